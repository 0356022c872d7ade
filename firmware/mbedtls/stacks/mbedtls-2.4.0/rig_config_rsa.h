/* Macro set `rsa` for mbedTLS 2.4.0: the Ameba1 SDK's config_rsa.h.
 *
 * RSA is the only key exchange, so what remains is TLS 1.0 to 1.2 with AES-CBC (and RC4).
 * HAVE_TIME_DATE is off: certificates are never too old.
 *
 * What differs from the SDK beside what sdk_rsa.h says, and why:
 *   - RTL_HW_CRYPTO and RTL_CRYPTO_FRAGMENT, hooks of the SDK's own copy, are not there: the crypto
 *     engine computes the same bytes faster;
 *   - what rig_added.h adds.
 */
#ifndef RIG_CONFIG_RSA_H
#define RIG_CONFIG_RSA_H

#include "sdk_rsa.h"
#include "rig_added.h"

#include "mbedtls/check_config.h"

#endif
