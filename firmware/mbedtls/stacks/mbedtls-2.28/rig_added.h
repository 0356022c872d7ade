/* What the rig adds to every macro set of this stack, and why:
 *   - DEBUG_C: the device log is what the rig explains. It does not change what is sent.
 *   - PLATFORM_STD_MEM_HDR and PLATFORM_SNPRINTF_MACRO and PLATFORM_VSNPRINTF_MACRO: with NO_STD_FUNCTIONS, this
 *     version wants to be told where snprintf is.
 *   - SSL_MAX_CONTENT_LEN comes from the build (builds.toml).
 */
#define MBEDTLS_DEBUG_C
#define MBEDTLS_PLATFORM_STD_MEM_HDR <stdio.h>
#define MBEDTLS_PLATFORM_SNPRINTF_MACRO snprintf
#define MBEDTLS_PLATFORM_VSNPRINTF_MACRO vsnprintf
#define MBEDTLS_SSL_MAX_CONTENT_LEN RIG_CONTENT_LENGTH
