/* Macro set `rsa` carried over to mbedTLS 3.6: the Ameba1 SDK's config_rsa.h.
 *
 * TLS 1.0 and 1.1, RC4, record splitting and the fallback signal were removed in 3.0: their macros
 * have no effect, and what remains is TLS 1.2 with RSA key exchange and AES-CBC.
 *
 * build_info.h reads this header and checks it by itself.
 */
#include "sdk_rsa.h"
#include "rig_added.h"
