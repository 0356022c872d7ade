/* The rig's view of mbedTLS: one opaque session and about thirty functions over it.
 *
 * It exists so that Rust needs no layout of any mbedTLS structure, which differ from version to
 * version and from macro set to macro set. Return values are mbedTLS's own: 0 or a negative error,
 * MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE where this build has not what is asked for.
 *
 * One source serves 2.4 to 3.6. Where versions differ, the public function that all of them have is
 * taken; an #if stands only where there is none.
 */
#ifndef RIG_SHIM_H
#define RIG_SHIM_H

/* 3.x hides the fields of its structures; the state and the negotiated suite are in them. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include <stddef.h>
#include <stdint.h>

typedef struct rig_tls rig_tls;
/* What a later connection can resume. */
typedef struct rig_session rig_session;

/* What the session calls back; `context` is handed through. */
typedef struct {
    void *context;
    int (*send)(void *context, const unsigned char *bytes, size_t length);
    int (*recv)(void *context, unsigned char *buffer, size_t length);
    int (*random)(void *context, unsigned char *buffer, size_t length);
    void (*log)(void *context, int level, const char *file, int line, const char *text);
    /* 1 before debug output is made, 0 after it: that time is not the handshake's. */
    void (*logging)(void *context, int on);
    /* A RIG_SECRET_ of the connection, as soon as it is derived. */
    void (*secret)(void *context, int kind, const unsigned char *secret, size_t length);
} rig_host;

/* What of TLS 1.2 and TLS 1.3 reads the records of a connection. */
enum {
    RIG_SECRET_MASTER,
    RIG_SECRET_CLIENT_HANDSHAKE,
    RIG_SECRET_SERVER_HANDSHAKE,
    RIG_SECRET_CLIENT_APPLICATION,
    RIG_SECRET_SERVER_APPLICATION,
};

/* Handshake states that 3.x has beside those of 2.x, under numbers that no version uses. */
enum {
    RIG_STATE_OVER = 100,
    RIG_STATE_NEW_SESSION_TICKET,
    RIG_STATE_HELLO_RETRY_REQUEST,
    RIG_STATE_ENCRYPTED_EXTENSIONS,
    RIG_STATE_CLIENT_CERTIFICATE_VERIFY,
    RIG_STATE_CHANGE_CIPHER_SPEC,
};

/* In debug_clock.c. */
void rig_debug_level(int level);

void rig_warm_up(void);
void rig_tls_set_memory(void *(*calloc_function)(size_t, size_t), void (*free_function)(void *));
rig_tls *rig_tls_new(const rig_host *host, int log_level);
void rig_tls_free(rig_tls *tls);

/* Configuration, in the order in which the SDK's MQTT client calls it. */
int rig_tls_defaults(rig_tls *tls, int suite_b);
/* Whether this build speaks TLS 1.0 (`minor` 1) to TLS 1.3 (4). */
int rig_knows_version(int minor);
int rig_tls_min_version(rig_tls *tls, int minor);
int rig_tls_max_version(rig_tls *tls, int minor);
int rig_tls_suites(rig_tls *tls, const unsigned char *pairs, size_t count);
int rig_tls_max_fragment_length(rig_tls *tls, unsigned bytes);
/* Turn off what the library does if it can. */
int rig_tls_no_extended_master_secret(rig_tls *tls);
int rig_tls_no_encrypt_then_mac(rig_tls *tls);
int rig_tls_no_tickets(rig_tls *tls);
/* Lets rig_tls_save have the tickets that come after a TLS 1.3 handshake. */
void rig_tls_keep_tickets(rig_tls *tls);
int rig_tls_psk(rig_tls *tls, const unsigned char *key, size_t key_length,
                const unsigned char *identity, size_t identity_length);
int rig_tls_setup(rig_tls *tls);
int rig_tls_verify(rig_tls *tls, int mode, const unsigned char *ca, size_t length);
/* Certificate and key in DER. */
int rig_tls_own_certificate(rig_tls *tls, const unsigned char *certificate,
                            size_t certificate_length, const unsigned char *key, size_t key_length);
int rig_tls_host_name(rig_tls *tls, const char *name);

/* The session of a connection that stands, or NULL; and its use in a later one. */
rig_session *rig_tls_save(rig_tls *tls);
int rig_tls_offer(rig_tls *tls, const rig_session *session);
void rig_session_free(rig_session *session);

int rig_tls_step(rig_tls *tls);
/* mbedtls_ssl_states as numbered in 2.x up to HANDSHAKE_WRAPUP (15), or a RIG_STATE_. */
int rig_tls_state(const rig_tls *tls);
int rig_tls_read(rig_tls *tls, unsigned char *buffer, size_t length);
int rig_tls_write(rig_tls *tls, const unsigned char *bytes, size_t length);

/* 0 before a ServerHello was accepted. */
uint16_t rig_tls_version(const rig_tls *tls);
uint16_t rig_tls_suite(const rig_tls *tls);
/* 1 and the flags once a certificate was verified, else 0. */
int rig_tls_verify_flags(const rig_tls *tls, uint32_t *flags);
unsigned rig_content_length(void);
void rig_library_version(char text[18]);

#endif
