/* Macro set `rsa` carried over to mbedTLS 3.6: the Ameba1 SDK's config_rsa.h.
 *
 * TLS 1.0 and 1.1, RC4, record splitting and the fallback signal were removed in 3.0: their macros
 * have no effect, and what remains is TLS 1.2 with RSA key exchange and AES-CBC.
 *
 * What an application loses without a word, because 3.0 made two macros of one: SHA512_C no longer
 * brings SHA-384 along. The header from the SDK does not name SHA384_C, so suites that end in _SHA384
 * are not offered, and certificates signed with SHA-384 are not accepted.
 *
 * build_info.h reads this header and checks it by itself.
 */
#include "sdk_rsa.h"
#include "rig_added.h"
