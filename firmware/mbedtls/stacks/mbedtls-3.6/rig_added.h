/* What the rig adds to every macro set of this stack, and why:
 *   - DEBUG_C: the device log is what the rig explains. It does not change what is sent.
 *   - PLATFORM_STD_MEM_HDR, PLATFORM_SNPRINTF_MACRO and PLATFORM_VSNPRINTF_MACRO: with
 *     NO_STD_FUNCTIONS, this version wants to be told where snprintf is.
 *   - SSL_IN_CONTENT_LEN and SSL_OUT_CONTENT_LEN, which took the place of SSL_MAX_CONTENT_LEN in 3.0,
 *     come from the build (builds.toml).
 *
 * What it takes away: TRUNCATED_HMAC, which was removed in 3.0 and is refused since.
 */
#define MBEDTLS_DEBUG_C
#define MBEDTLS_PLATFORM_STD_MEM_HDR <stdio.h>
#define MBEDTLS_PLATFORM_SNPRINTF_MACRO snprintf
#define MBEDTLS_PLATFORM_VSNPRINTF_MACRO vsnprintf
#define MBEDTLS_SSL_IN_CONTENT_LEN RIG_CONTENT_LENGTH
#define MBEDTLS_SSL_OUT_CONTENT_LEN RIG_CONTENT_LENGTH
#undef MBEDTLS_SSL_TRUNCATED_HMAC
