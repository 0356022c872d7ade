/* A TLS client on mbedTLS 2.4.0 as it is shipped, for the logs that no board of the rig can write: its
 * builds have no calendar, and it never lets them run out of anything.
 *
 *   cc -I$MBEDTLS/include main.c $MBEDTLS/library/*.c -Wl,--wrap=calloc -Wl,--wrap=free -o client
 *   ./client PORT clock SECONDS    the clock says so many seconds since 1970
 *   ./client PORT heap BYTES       there is so much memory
 *   ./client PORT entropy -        the entropy source gives nothing
 *   ./client PORT wait MS          the receive function gives up after so many milliseconds
 *
 * The broker was `openssl s_server -no_tls1_3 -www -cert broker.pem -key broker.key`, with a
 * certificate for broker.example that the CA in ca.pem has signed; for `wait`, a port that accepts and
 * says nothing. The debug level is in the environment's LEVEL.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mbedtls/ctr_drbg.h"
#include "mbedtls/debug.h"
#include "mbedtls/entropy.h"
#include "mbedtls/net.h"
#include "mbedtls/ssl.h"

static time_t now;
static size_t left = 1 << 24;

/* In place of the C library's. */
time_t time(time_t *to)
{
    if (to != NULL)
        *to = now;
    return now;
}

void *__real_calloc(size_t count, size_t size);
void __real_free(void *block);

void *__wrap_calloc(size_t count, size_t size)
{
    if (count * size > left)
        return NULL;
    void *block = __real_calloc(count, size);
    left -= malloc_usable_size(block);
    return block;
}

void __wrap_free(void *block)
{
    left += malloc_usable_size(block);
    __real_free(block);
}

static int no_entropy(void *context, unsigned char *to, size_t length)
{
    (void) context, (void) to, (void) length;
    return MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
}

static int urandom(void *context, unsigned char *to, size_t length)
{
    (void) context;
    FILE *file = fopen("/dev/urandom", "rb");
    size_t got = fread(to, 1, length, file);
    fclose(file);
    return got == length ? 0 : MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
}

static void print(void *context, int level, const char *file, int line, const char *text)
{
    (void) context;
    const char *name = strrchr(file, '/');
    printf("%s:%04d: |%d| %s", name == NULL ? file : name + 1, line, level, text);
}

int main(int count, char **words)
{
    if (count != 4)
        return 2;
    const char *what = words[2];
    long number = atol(words[3]);
    mbedtls_net_context socket;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_x509_crt ca;
    mbedtls_net_init(&socket);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&ca);
    mbedtls_debug_set_threshold(atoi(getenv("LEVEL")));

    struct timespec today;
    clock_gettime(CLOCK_REALTIME, &today);
    now = today.tv_sec;
    int ret = mbedtls_ctr_drbg_seed(&random, strcmp(what, "entropy") == 0 ? no_entropy : urandom,
                                    NULL, NULL, 0);
    if (ret != 0) {
        printf("app: mbedtls_ctr_drbg_seed returned -0x%04x\n", -ret);
        return 1;
    }
    mbedtls_x509_crt_parse_file(&ca, "ca.pem");
    ret = mbedtls_net_connect(&socket, "127.0.0.1", words[1], MBEDTLS_NET_PROTO_TCP);
    if (ret != 0)
        return 3;
    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    mbedtls_ssl_conf_dbg(&config, print, NULL);
    if (strcmp(what, "clock") == 0)
        now = number;
    if (strcmp(what, "heap") == 0)
        left = number;
    if (strcmp(what, "wait") == 0)
        mbedtls_ssl_conf_read_timeout(&config, number);
    mbedtls_ssl_set_bio(&ssl, &socket, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
    ret = mbedtls_ssl_setup(&ssl, &config);
    if (ret != 0) {
        printf("app: mbedtls_ssl_setup returned -0x%04x\n", -ret);
        return 1;
    }
    mbedtls_ssl_set_hostname(&ssl, "broker.example");
    ret = mbedtls_ssl_handshake(&ssl);
    printf("app: mbedtls_ssl_handshake returned -0x%04x\n", -ret);
    if (strcmp(what, "clock") == 0)
        printf("app: verify result 0x%08x\n", (unsigned) mbedtls_ssl_get_verify_result(&ssl));
    return ret != 0;
}
