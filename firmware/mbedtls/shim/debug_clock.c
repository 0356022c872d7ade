/* Keeps the cost of debug output apart from the cost of the handshake.
 *
 * A device in the field prints nothing; what the rig measures should be what that device needs. So
 * the library's files are compiled to call these functions instead of the library's own debug
 * functions (see build.rs), and these stop the cell's clock, call the real ones, and start it again.
 * A line that is not wanted costs a comparison, as in the library.
 */
#include "shim.h"

#include "mbedtls/debug.h"
#include "mbedtls/platform.h"
#include "mbedtls/version.h"
#if MBEDTLS_VERSION_MAJOR >= 3
#include "debug_internal.h"
#endif
#include <stdarg.h>
#include <stdio.h>

static int wanted = 0;

void rig_debug_level(int level)
{
    wanted = level;
    mbedtls_debug_set_threshold(level);
}

static int begin(const mbedtls_ssl_context *ssl, int level)
{
    if (level > wanted || ssl->conf == NULL || ssl->conf->p_dbg == NULL)
        return 0;
    const rig_host *host = ssl->conf->p_dbg;
    host->logging(host->context, 1);
    return 1;
}

static void end(const mbedtls_ssl_context *ssl)
{
    const rig_host *host = ssl->conf->p_dbg;
    host->logging(host->context, 0);
}

/* As long as the library's own buffer for a line. */
#define LINE 512

void rig_debug_print_msg(const mbedtls_ssl_context *ssl, int level, const char *file, int line,
                         const char *format, ...)
{
    if (!begin(ssl, level))
        return;
    char text[LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    mbedtls_debug_print_msg(ssl, level, file, line, "%s", text);
    end(ssl);
}

#define TIMED(function, ...)                                                                       \
    if (begin(ssl, level)) {                                                                       \
        function(ssl, level, file, line, text, __VA_ARGS__);                                       \
        end(ssl);                                                                                  \
    }

void rig_debug_print_ret(const mbedtls_ssl_context *ssl, int level, const char *file, int line,
                         const char *text, int ret)
{
    TIMED(mbedtls_debug_print_ret, ret)
}

void rig_debug_print_buf(const mbedtls_ssl_context *ssl, int level, const char *file, int line,
                         const char *text, const unsigned char *buf, size_t len)
{
    TIMED(mbedtls_debug_print_buf, buf, len)
}

void rig_debug_print_mpi(const mbedtls_ssl_context *ssl, int level, const char *file, int line,
                         const char *text, const mbedtls_mpi *X)
{
    TIMED(mbedtls_debug_print_mpi, X)
}

#if defined(MBEDTLS_ECP_C)
void rig_debug_print_ecp(const mbedtls_ssl_context *ssl, int level, const char *file, int line,
                         const char *text, const mbedtls_ecp_point *X)
{
    TIMED(mbedtls_debug_print_ecp, X)
}
#endif

void rig_debug_print_crt(const mbedtls_ssl_context *ssl, int level, const char *file, int line,
                         const char *text, const mbedtls_x509_crt *crt)
{
    TIMED(mbedtls_debug_print_crt, crt)
}

/* Since 2.16. */
#if defined(MBEDTLS_SSL_DEBUG_ECDH) && defined(MBEDTLS_ECDH_C)
void rig_debug_printf_ecdh(const mbedtls_ssl_context *ssl, int level, const char *file, int line,
                           const mbedtls_ecdh_context *ecdh, mbedtls_debug_ecdh_attr attr)
{
    if (begin(ssl, level)) {
        mbedtls_debug_printf_ecdh(ssl, level, file, line, ecdh, attr);
        end(ssl);
    }
}
#endif
