/* Macro set `all` for mbedTLS 2.4.0: the Ameba1 SDK's config_all.h.
 *
 * It differs from the SDK as rig_config_rsa.h and sdk_all.h say; DEBUG_C is in the SDK's set anyway.
 */
#ifndef RIG_CONFIG_ALL_H
#define RIG_CONFIG_ALL_H

#include "sdk_rsa.h"
#include "sdk_all.h"
#include "rig_added.h"

#include "mbedtls/check_config.h"

#endif
