/* Macro set `rsa` carried over to mbedTLS 2.28: the Ameba1 SDK's config_rsa.h and no more.
 *
 * What had to differ, and why:
 *   - ECP_NO_INTERNAL_RNG is added: ECP_C wants to blind its computing with a DRBG, and this set has
 *     none. With RSA key exchange alone no curve is computed on.
 *   - SSL_TICKET_C is taken away: it wants GCM or CCM now. It is the server's half of tickets.
 *
 * What this version's own default header would add to it (such as SHA-1
 * signatures in the default profile) is not there: an application that takes its old header along
 * does not get it either.
 */
#ifndef RIG_CONFIG_RSA_H
#define RIG_CONFIG_RSA_H

#include "sdk_rsa.h"
#include "rig_added.h"

#define MBEDTLS_ECP_NO_INTERNAL_RNG
#undef MBEDTLS_SSL_TICKET_C

#include "mbedtls/check_config.h"

#endif
