/* Macro set `arduino` for mbedTLS 2.4.0: the AmebaD Arduino SDK's config_arduino.h.
 *
 * It differs from the SDK as rig_config_rsa.h says; DEBUG_C is in the SDK's set anyway.
 */
#ifndef RIG_CONFIG_ARDUINO_H
#define RIG_CONFIG_ARDUINO_H

#include "sdk_rsa.h"
#include "sdk_arduino.h"
#include "rig_added.h"

#include "mbedtls/check_config.h"

#endif
