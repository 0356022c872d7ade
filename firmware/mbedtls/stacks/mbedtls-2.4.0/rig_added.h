/* What the rig adds to every macro set of this stack, and why:
 *   - DEBUG_C: the device log is what the rig explains. It does not change what is sent.
 *   - PLATFORM_STD_MEM_HDR: without it x509_crl.c and x509_csr.c of `all` call snprintf undeclared,
 *     which newer compilers refuse.
 *   - SSL_MAX_CONTENT_LEN comes from the build (builds.toml); the SDK ships 4096.
 */
#define MBEDTLS_DEBUG_C
#define MBEDTLS_PLATFORM_STD_MEM_HDR <stdio.h>
#define MBEDTLS_SSL_MAX_CONTENT_LEN RIG_CONTENT_LENGTH
