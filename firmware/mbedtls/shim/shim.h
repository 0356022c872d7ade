/* The rig's view of mbedTLS: one opaque session and about twenty functions over it.
 *
 * It exists so that Rust needs no layout of any mbedTLS structure, which differ from version to
 * version and from macro set to macro set. Return values are mbedTLS's own: 0 or a negative error.
 */
#ifndef RIG_SHIM_H
#define RIG_SHIM_H

#include <stddef.h>
#include <stdint.h>

typedef struct rig_tls rig_tls;

/* What the session calls back; `context` is handed through. */
typedef struct {
    void *context;
    int (*send)(void *context, const unsigned char *bytes, size_t length);
    int (*recv)(void *context, unsigned char *buffer, size_t length);
    int (*random)(void *context, unsigned char *buffer, size_t length);
    void (*log)(void *context, int level, const char *file, int line, const char *text);
    /* 1 before debug output is made, 0 after it: that time is not the handshake's. */
    void (*logging)(void *context, int on);
} rig_host;


/* In debug_clock.c. */
void rig_debug_level(int level);

void rig_warm_up(void);
void rig_tls_set_memory(void *(*calloc_function)(size_t, size_t), void (*free_function)(void *));
rig_tls *rig_tls_new(const rig_host *host, int log_level);
void rig_tls_free(rig_tls *tls);

/* Configuration, in the order in which the SDK's MQTT client calls it. */
int rig_tls_defaults(rig_tls *tls, int suite_b);
int rig_tls_min_version(rig_tls *tls, int minor);
int rig_tls_max_version(rig_tls *tls, int minor);
int rig_tls_suites(rig_tls *tls, const unsigned char *pairs, size_t count);
int rig_tls_max_fragment_length(rig_tls *tls, unsigned bytes);
int rig_tls_setup(rig_tls *tls);
int rig_tls_verify(rig_tls *tls, int mode, const unsigned char *ca, size_t length);
int rig_tls_host_name(rig_tls *tls, const char *name);

int rig_tls_step(rig_tls *tls);
int rig_tls_state(const rig_tls *tls);
int rig_tls_is_over(const rig_tls *tls);
int rig_tls_read(rig_tls *tls, unsigned char *buffer, size_t length);
int rig_tls_write(rig_tls *tls, const unsigned char *bytes, size_t length);

/* 0 before a ServerHello was accepted. */
uint16_t rig_tls_version(const rig_tls *tls);
uint16_t rig_tls_suite(const rig_tls *tls);
/* 1 and the flags once a certificate was looked at, else 0. */
int rig_tls_verify_flags(const rig_tls *tls, uint32_t *flags);
unsigned rig_content_length(void);
void rig_library_version(char text[18]);

#endif
