/* See shim.h. */
#include "shim.h"

#include "mbedtls/platform.h"
#include "mbedtls/ssl.h"
#include "mbedtls/ssl_internal.h"
#include "mbedtls/version.h"
#include <string.h>

struct rig_tls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt ca;
    int *suites;
    rig_host host;
};

void rig_warm_up(void)
{
    (void) mbedtls_ssl_list_ciphersuites();
}

void rig_tls_set_memory(void *(*calloc_function)(size_t, size_t), void (*free_function)(void *))
{
    mbedtls_platform_set_calloc_free(calloc_function, free_function);
}

static void log_line(void *context, int level, const char *file, int line, const char *text)
{
    const rig_host *host = context;
    host->log(host->context, level, file, line, text);
}

rig_tls *rig_tls_new(const rig_host *host, int log_level)
{
    rig_tls *tls = mbedtls_calloc(1, sizeof(*tls));
    if (tls == NULL)
        return NULL;
    tls->host = *host;
    mbedtls_ssl_init(&tls->ssl);
    mbedtls_ssl_config_init(&tls->conf);
    mbedtls_x509_crt_init(&tls->ca);
    mbedtls_ssl_conf_dbg(&tls->conf, log_line, &tls->host);
    rig_debug_level(log_level);
    return tls;
}

void rig_tls_free(rig_tls *tls)
{
    mbedtls_ssl_free(&tls->ssl);
    mbedtls_ssl_config_free(&tls->conf);
    mbedtls_x509_crt_free(&tls->ca);
    mbedtls_free(tls->suites);
    mbedtls_free(tls);
}

int rig_tls_defaults(rig_tls *tls, int suite_b)
{
    int preset = suite_b ? MBEDTLS_SSL_PRESET_SUITEB : MBEDTLS_SSL_PRESET_DEFAULT;
    int error = mbedtls_ssl_config_defaults(&tls->conf, MBEDTLS_SSL_IS_CLIENT,
                                            MBEDTLS_SSL_TRANSPORT_STREAM, preset);
    if (error != 0)
        return error;
    mbedtls_ssl_set_bio(&tls->ssl, tls->host.context, tls->host.send, tls->host.recv, NULL);
    mbedtls_ssl_conf_rng(&tls->conf, tls->host.random, tls->host.context);
    return 0;
}

int rig_tls_min_version(rig_tls *tls, int minor)
{
    mbedtls_ssl_conf_min_version(&tls->conf, MBEDTLS_SSL_MAJOR_VERSION_3, minor);
    return 0;
}

int rig_tls_max_version(rig_tls *tls, int minor)
{
    mbedtls_ssl_conf_max_version(&tls->conf, MBEDTLS_SSL_MAJOR_VERSION_3, minor);
    return 0;
}

/* Returns how many of the suites this build knows, or an error. The library itself leaves unknown
 * ones out of the ClientHello without a word, and so does this list. */
int rig_tls_suites(rig_tls *tls, const unsigned char *pairs, size_t count)
{
    int known = 0;
    tls->suites = mbedtls_calloc(count + 1, sizeof(int));
    if (tls->suites == NULL)
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    for (size_t i = 0; i < count; i++) {
        tls->suites[i] = pairs[2 * i] << 8 | pairs[2 * i + 1];
        if (mbedtls_ssl_ciphersuite_from_id(tls->suites[i]) != NULL)
            known++;
    }
    mbedtls_ssl_conf_ciphersuites(&tls->conf, tls->suites);
    return known;
}

int rig_tls_max_fragment_length(rig_tls *tls, unsigned bytes)
{
#if defined(MBEDTLS_SSL_MAX_FRAGMENT_LENGTH)
    unsigned char code = bytes == 512    ? MBEDTLS_SSL_MAX_FRAG_LEN_512
                         : bytes == 1024 ? MBEDTLS_SSL_MAX_FRAG_LEN_1024
                         : bytes == 2048 ? MBEDTLS_SSL_MAX_FRAG_LEN_2048
                         : bytes == 4096 ? MBEDTLS_SSL_MAX_FRAG_LEN_4096
                                         : MBEDTLS_SSL_MAX_FRAG_LEN_INVALID;
    return mbedtls_ssl_conf_max_frag_len(&tls->conf, code);
#else
    (void) tls;
    (void) bytes;
    return MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE;
#endif
}

int rig_tls_setup(rig_tls *tls)
{
    return mbedtls_ssl_setup(&tls->ssl, &tls->conf);
}

/* The SDK's callback only logs, and leaves the flags as they are. */
static int leave_flags(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    (void) context;
    (void) certificate;
    (void) depth;
    (void) flags;
    return 0;
}

int rig_tls_verify(rig_tls *tls, int mode, const unsigned char *ca, size_t length)
{
    if (length > 0) {
        int error = mbedtls_x509_crt_parse(&tls->ca, ca, length);
        if (error != 0)
            return error;
        mbedtls_ssl_conf_ca_chain(&tls->conf, &tls->ca, NULL);
    }
    mbedtls_ssl_conf_authmode(&tls->conf, mode == 0   ? MBEDTLS_SSL_VERIFY_NONE
                                          : mode == 1 ? MBEDTLS_SSL_VERIFY_OPTIONAL
                                                      : MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_verify(&tls->conf, leave_flags, NULL);
    return 0;
}

/* `name` NULL is a name given on purpose: none. */
int rig_tls_host_name(rig_tls *tls, const char *name)
{
#if MBEDTLS_VERSION_NUMBER < 0x02050000
    /* These versions measure the name without looking whether there is one. */
    if (name == NULL)
        return 0;
#endif
    return mbedtls_ssl_set_hostname(&tls->ssl, name);
}

int rig_tls_step(rig_tls *tls)
{
    return mbedtls_ssl_handshake_step(&tls->ssl);
}

int rig_tls_state(const rig_tls *tls)
{
    return tls->ssl.state;
}

int rig_tls_is_over(const rig_tls *tls)
{
    return tls->ssl.state == MBEDTLS_SSL_HANDSHAKE_OVER;
}

int rig_tls_read(rig_tls *tls, unsigned char *buffer, size_t length)
{
    return mbedtls_ssl_read(&tls->ssl, buffer, length);
}

int rig_tls_write(rig_tls *tls, const unsigned char *bytes, size_t length)
{
    return mbedtls_ssl_write(&tls->ssl, bytes, length);
}

static const mbedtls_ssl_session *session(const rig_tls *tls)
{
    return tls->ssl.session != NULL ? tls->ssl.session : tls->ssl.session_negotiate;
}

uint16_t rig_tls_suite(const rig_tls *tls)
{
    const mbedtls_ssl_session *current = session(tls);
    return current == NULL ? 0 : (uint16_t) current->ciphersuite;
}

uint16_t rig_tls_version(const rig_tls *tls)
{
    if (rig_tls_suite(tls) == 0)
        return 0;
    return (uint16_t) (tls->ssl.major_ver << 8 | tls->ssl.minor_ver);
}

int rig_tls_verify_flags(const rig_tls *tls, uint32_t *flags)
{
    const mbedtls_ssl_session *current = session(tls);
    if (current == NULL || current->peer_cert == NULL)
        return 0;
    /* Without verification nothing was looked at, and the flags of 0 would look like praise. */
    if (tls->conf.authmode == MBEDTLS_SSL_VERIFY_NONE)
        return 0;
    *flags = current->verify_result;
    return 1;
}

unsigned rig_content_length(void)
{
    return MBEDTLS_SSL_MAX_CONTENT_LEN;
}

void rig_library_version(char text[18])
{
    mbedtls_version_get_string_full(text);
}
