/* Macro set `all` carried over to mbedTLS 2.28: the Ameba1 SDK's config_all.h and no more, as in
 * rig_config_rsa.h.
 */
#ifndef RIG_CONFIG_ALL_H
#define RIG_CONFIG_ALL_H

#include "sdk_rsa.h"
#include "sdk_all.h"
#include "rig_added.h"

#include "mbedtls/check_config.h"

#endif
