/* Macro set `rsa` carried over to mbedTLS 2.16.0: the Ameba1 SDK's config_rsa.h and no more.
 *
 * Nothing of it had to go. What this version's own default header would add to it (such as SHA-1
 * signatures in the default profile) is not there: an application that takes its old header along
 * does not get it either.
 */
#ifndef RIG_CONFIG_RSA_H
#define RIG_CONFIG_RSA_H

#include "sdk_rsa.h"
#include "rig_added.h"

#include "mbedtls/check_config.h"

#endif
