/* Stands in for a header of the Ameba SDKs that their copies of mbedTLS include: a lock around the
 * crypto engine, see rom_ssl_ram_map.h. */
#ifndef RIG_DEVICE_LOCK_H
#define RIG_DEVICE_LOCK_H

#include "rom_ssl_ram_map.h"

enum { RT_DEV_LOCK_CRYPTO };

static inline void device_mutex_lock(int lock)
{
    (void) lock;
}

static inline void device_mutex_unlock(int lock)
{
    (void) lock;
}

#endif
