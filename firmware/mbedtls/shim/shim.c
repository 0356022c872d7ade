/* See shim.h. */
#include "shim.h"

#include "mbedtls/platform.h"
#include "mbedtls/ssl.h"
#include "mbedtls/version.h"
#if defined(MBEDTLS_PSA_CRYPTO_C)
#include "psa/crypto.h"
#endif
#include <string.h>

struct rig_tls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt ca;
    mbedtls_x509_crt own;
    mbedtls_pk_context key;
    int *suites;
    int verified;
    rig_host host;
};

struct rig_session {
    mbedtls_ssl_session session;
};

#if defined(MBEDTLS_PSA_CRYPTO_C)
/* PSA is one for the whole program, as is the session: this is the session's. */
static const rig_host *psa_host = NULL;

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
                                             uint8_t *output, size_t output_size,
                                             size_t *output_length)
{
    (void) context;
    if (psa_host == NULL || psa_host->random(psa_host->context, output, output_size) != 0)
        return PSA_ERROR_INSUFFICIENT_ENTROPY;
    *output_length = output_size;
    return PSA_SUCCESS;
}
#endif

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
    mbedtls_x509_crt_init(&tls->own);
    mbedtls_pk_init(&tls->key);
    mbedtls_ssl_conf_dbg(&tls->conf, log_line, &tls->host);
    rig_debug_level(log_level);
    return tls;
}

void rig_tls_free(rig_tls *tls)
{
    mbedtls_ssl_free(&tls->ssl);
    mbedtls_ssl_config_free(&tls->conf);
    mbedtls_x509_crt_free(&tls->ca);
    mbedtls_x509_crt_free(&tls->own);
    mbedtls_pk_free(&tls->key);
#if defined(MBEDTLS_PSA_CRYPTO_C)
    mbedtls_psa_crypto_free();
    psa_host = NULL;
#endif
    mbedtls_free(tls->suites);
    mbedtls_free(tls);
}

int rig_tls_defaults(rig_tls *tls, int suite_b)
{
#if defined(MBEDTLS_PSA_CRYPTO_C)
    /* TLS 1.3 computes with PSA, which the application has to start. */
    psa_host = &tls->host;
    psa_status_t status = psa_crypto_init();
    if (status != PSA_SUCCESS)
        return (int) status;
#endif
    int preset = suite_b ? MBEDTLS_SSL_PRESET_SUITEB : MBEDTLS_SSL_PRESET_DEFAULT;
    int error = mbedtls_ssl_config_defaults(&tls->conf, MBEDTLS_SSL_IS_CLIENT,
                                            MBEDTLS_SSL_TRANSPORT_STREAM, preset);
    if (error != 0)
        return error;
    mbedtls_ssl_set_bio(&tls->ssl, tls->host.context, tls->host.send, tls->host.recv, NULL);
    mbedtls_ssl_conf_rng(&tls->conf, tls->host.random, tls->host.context);
    return 0;
}

int rig_knows_version(int minor)
{
    switch (minor) {
#if MBEDTLS_VERSION_MAJOR < 3
#if defined(MBEDTLS_SSL_PROTO_TLS1)
        case 1:
            return 1;
#endif
#if defined(MBEDTLS_SSL_PROTO_TLS1_1)
        case 2:
            return 1;
#endif
#endif
#if defined(MBEDTLS_SSL_PROTO_TLS1_2)
        case 3:
            return 1;
#endif
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
        case 4:
            return 1;
#endif
        default:
            return 0;
    }
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

/* The next three are compiled into every macro set of the rig's own. A user's header may lack one:
 * then there is nothing to turn off. */
int rig_tls_no_extended_master_secret(rig_tls *tls)
{
    (void) tls;
#if defined(MBEDTLS_SSL_EXTENDED_MASTER_SECRET)
    mbedtls_ssl_conf_extended_master_secret(&tls->conf, MBEDTLS_SSL_EXTENDED_MS_DISABLED);
#endif
    return 0;
}

int rig_tls_no_encrypt_then_mac(rig_tls *tls)
{
    (void) tls;
#if defined(MBEDTLS_SSL_ENCRYPT_THEN_MAC)
    mbedtls_ssl_conf_encrypt_then_mac(&tls->conf, MBEDTLS_SSL_ETM_DISABLED);
#endif
    return 0;
}

int rig_tls_no_tickets(rig_tls *tls)
{
    (void) tls;
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_session_tickets(&tls->conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
    return 0;
}

void rig_tls_keep_tickets(rig_tls *tls)
{
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        &tls->conf, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#else
    (void) tls;
#endif
}

int rig_tls_psk(rig_tls *tls, const unsigned char *key, size_t key_length,
                const unsigned char *identity, size_t identity_length)
{
/* What 2.4 and 2.16 call it, what 2.28 does, and what 3.x does. */
#if defined(MBEDTLS_KEY_EXCHANGE__SOME__PSK_ENABLED) ||                                            \
    defined(MBEDTLS_KEY_EXCHANGE_SOME_PSK_ENABLED) ||                                              \
    defined(MBEDTLS_SSL_HANDSHAKE_WITH_PSK_ENABLED)
    return mbedtls_ssl_conf_psk(&tls->conf, key, key_length, identity, identity_length);
#else
    (void) tls;
    (void) key;
    (void) key_length;
    (void) identity;
    (void) identity_length;
    return MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE;
#endif
}

#if MBEDTLS_VERSION_MAJOR >= 3
static void export_secret(void *context, mbedtls_ssl_key_export_type type,
                          const unsigned char *secret, size_t length,
                          const unsigned char client_random[32],
                          const unsigned char server_random[32], mbedtls_tls_prf_types prf)
{
    const rig_host *host = context;
    int kind;
    (void) client_random;
    (void) server_random;
    (void) prf;
    switch (type) {
        case MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET:
            kind = RIG_SECRET_MASTER;
            break;
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET:
            kind = RIG_SECRET_CLIENT_HANDSHAKE;
            break;
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_HANDSHAKE_TRAFFIC_SECRET:
            kind = RIG_SECRET_SERVER_HANDSHAKE;
            break;
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET:
            kind = RIG_SECRET_CLIENT_APPLICATION;
            break;
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET:
            kind = RIG_SECRET_SERVER_APPLICATION;
            break;
#endif
        /* Those of early data, which this client never sends. */
        default:
            return;
    }
    host->secret(host->context, kind, secret, length);
}
#elif defined(MBEDTLS_SSL_EXPORT_KEYS)
static int export_master(void *context, const unsigned char *master, const unsigned char *keys,
                         size_t mac_length, size_t key_length, size_t iv_length)
{
    const rig_host *host = context;
    (void) keys;
    (void) mac_length;
    (void) key_length;
    (void) iv_length;
    host->secret(host->context, RIG_SECRET_MASTER, master, 48);
    return 0;
}
#endif

/* The SDK's macro sets have EXPORT_KEYS in them, so asking for the secrets changes nothing about what
 * is compiled. A set without it would leave that to brokers that tell theirs. */
int rig_tls_setup(rig_tls *tls)
{
    int error = mbedtls_ssl_setup(&tls->ssl, &tls->conf);
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_set_export_keys_cb(&tls->ssl, export_secret, &tls->host);
#elif defined(MBEDTLS_SSL_EXPORT_KEYS)
    mbedtls_ssl_conf_export_keys_cb(&tls->conf, export_master, &tls->host);
#endif
    return error;
}

/* The SDK's callback only logs, and leaves the flags as they are. */
static int leave_flags(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    rig_tls *tls = context;
    tls->verified = 1;
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
    mbedtls_ssl_conf_verify(&tls->conf, leave_flags, tls);
    return 0;
}

int rig_tls_own_certificate(rig_tls *tls, const unsigned char *certificate,
                            size_t certificate_length, const unsigned char *key, size_t key_length)
{
    int error = mbedtls_x509_crt_parse(&tls->own, certificate, certificate_length);
    if (error != 0)
        return error;
#if MBEDTLS_VERSION_MAJOR < 3
    error = mbedtls_pk_parse_key(&tls->key, key, key_length, NULL, 0);
#else
    error = mbedtls_pk_parse_key(&tls->key, key, key_length, NULL, 0, tls->host.random,
                                 tls->host.context);
#endif
    if (error != 0)
        return error;
    return mbedtls_ssl_conf_own_cert(&tls->conf, &tls->own, &tls->key);
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

rig_session *rig_tls_save(rig_tls *tls)
{
    rig_session *saved = mbedtls_calloc(1, sizeof(*saved));
    if (saved == NULL)
        return NULL;
    mbedtls_ssl_session_init(&saved->session);
    if (mbedtls_ssl_get_session(&tls->ssl, &saved->session) == 0)
        return saved;
    rig_session_free(saved);
    return NULL;
}

int rig_tls_offer(rig_tls *tls, const rig_session *session)
{
    return mbedtls_ssl_set_session(&tls->ssl, &session->session);
}

void rig_session_free(rig_session *session)
{
    mbedtls_ssl_session_free(&session->session);
    mbedtls_free(session);
}

int rig_tls_step(rig_tls *tls)
{
    return mbedtls_ssl_handshake_step(&tls->ssl);
}

int rig_tls_state(const rig_tls *tls)
{
    switch ((int) tls->ssl.state) {
        case MBEDTLS_SSL_HANDSHAKE_OVER:
            return RIG_STATE_OVER;
#if MBEDTLS_VERSION_MAJOR < 3
        case MBEDTLS_SSL_SERVER_NEW_SESSION_TICKET:
            return RIG_STATE_NEW_SESSION_TICKET;
#else
        case MBEDTLS_SSL_NEW_SESSION_TICKET:
            return RIG_STATE_NEW_SESSION_TICKET;
        case MBEDTLS_SSL_HELLO_RETRY_REQUEST:
            return RIG_STATE_HELLO_RETRY_REQUEST;
        case MBEDTLS_SSL_ENCRYPTED_EXTENSIONS:
            return RIG_STATE_ENCRYPTED_EXTENSIONS;
        case MBEDTLS_SSL_CLIENT_CERTIFICATE_VERIFY:
            return RIG_STATE_CLIENT_CERTIFICATE_VERIFY;
        case MBEDTLS_SSL_CLIENT_CCS_AFTER_SERVER_FINISHED:
        case MBEDTLS_SSL_CLIENT_CCS_BEFORE_2ND_CLIENT_HELLO:
        case MBEDTLS_SSL_CLIENT_CCS_AFTER_CLIENT_HELLO:
            return RIG_STATE_CHANGE_CIPHER_SPEC;
#endif
        default:
            return (int) tls->ssl.state;
    }
}

int rig_tls_read(rig_tls *tls, unsigned char *buffer, size_t length)
{
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    int read;
    /* Neither is an error: the session has a ticket now, or the library wants to be called again after
     * a message that was not the application's. Waiting for bytes is done below the library. */
    do
        read = mbedtls_ssl_read(&tls->ssl, buffer, length);
    while (read == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET ||
           read == MBEDTLS_ERR_SSL_WANT_READ);
    return read;
#else
    return mbedtls_ssl_read(&tls->ssl, buffer, length);
#endif
}

int rig_tls_write(rig_tls *tls, const unsigned char *bytes, size_t length)
{
    return mbedtls_ssl_write(&tls->ssl, bytes, length);
}

uint16_t rig_tls_suite(const rig_tls *tls)
{
    const mbedtls_ssl_session *session =
        tls->ssl.session != NULL ? tls->ssl.session : tls->ssl.session_negotiate;
    /* A session that is offered has a suite before the server has said anything. */
    if (session == NULL || tls->ssl.state <= MBEDTLS_SSL_SERVER_HELLO)
        return 0;
    return (uint16_t) session->ciphersuite;
}

uint16_t rig_tls_version(const rig_tls *tls)
{
    static const char family[] = "TLSv1.";
    const char *name = mbedtls_ssl_get_version(&tls->ssl);
    if (rig_tls_suite(tls) == 0 || strncmp(name, family, sizeof(family) - 1) != 0)
        return 0;
    return (uint16_t) (0x0301 + (name[sizeof(family) - 1] - '0'));
}

int rig_tls_verify_flags(const rig_tls *tls, uint32_t *flags)
{
    /* Where nothing was verified, the flags of 0 would look like praise. */
    if (!tls->verified)
        return 0;
    *flags = mbedtls_ssl_get_verify_result(&tls->ssl);
    return 1;
}

unsigned rig_content_length(void)
{
#if defined(MBEDTLS_SSL_IN_CONTENT_LEN)
    return MBEDTLS_SSL_IN_CONTENT_LEN;
#else
    return MBEDTLS_SSL_MAX_CONTENT_LEN;
#endif
}

void rig_library_version(char text[18])
{
    mbedtls_version_get_string_full(text);
}
