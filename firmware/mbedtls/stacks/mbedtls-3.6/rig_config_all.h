/* Macro set `all` carried over to mbedTLS 3.6: the Ameba1 SDK's config_all.h, and TLS 1.3, which is
 * what an application goes to 3.6 for.
 *
 * What TLS 1.3 needs beyond the SDK's set, and why:
 *   - HKDF_C and PSA_CRYPTO_C: its key schedule is HKDF, called through PSA.
 *   - PSA_CRYPTO_EXTERNAL_RNG: PSA has no generator of its own, and asks the shim, which answers with
 *     the cell's seeded one. So there is no ENTROPY_C, as in the SDK.
 *   - SSL_KEEP_PEER_CERTIFICATE: refused without. Versions before 2.18 always keep it.
 *   - the three ways of exchanging keys, and COMPATIBILITY_MODE, on as in the library's own header.
 */
#include "sdk_rsa.h"
#include "sdk_all.h"
#include "rig_added.h"

#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#define MBEDTLS_HKDF_C
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
