/* Stands in for a header of the Ameba SDKs that their copies of mbedTLS include: the driver of the
 * crypto engine, see rom_ssl_ram_map.h. */
#ifndef RIG_HAL_CRYPTO_H
#define RIG_HAL_CRYPTO_H

#include "rom_ssl_ram_map.h"

static inline void rtl_cryptoEngine_init(void)
{
}

#endif
