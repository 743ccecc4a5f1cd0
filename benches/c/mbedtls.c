/* mbedTLS 2.28, which has TLS 1.2 only. */
#include "harness.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <sys/socket.h>

struct connection {
    mbedtls_ssl_context ssl;
    mbedtls_net_context net;
};

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context random_numbers;
static mbedtls_x509_crt trust;
static mbedtls_ssl_config config;
static mbedtls_ssl_session newest;
static int has_newest;
static int resume;
static const char *name;
static const int suites[] = {
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, 0,
};
static const mbedtls_ecp_group_id groups[] = {
    MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE,
};

static void must(const char *what, int result)
{
    char text[256];

    if (result < 0) {
        mbedtls_strerror(result, text, sizeof text);
        die(what, text);
    }
}

static const char *version(void)
{
    static char text[64];

    mbedtls_version_get_string_full(text);
    return text;
}

static void setup(const struct bench_options *options)
{
    if (options->tls != 12) {
        die("mbedTLS 2.28", "has TLS 1.2 only");
    }
    name = options->name;
    resume = options->resume;
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random_numbers);
    mbedtls_x509_crt_init(&trust);
    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_session_init(&newest);
    must("seed", mbedtls_ctr_drbg_seed(&random_numbers, mbedtls_entropy_func, &entropy, NULL, 0));
    must("trust", mbedtls_x509_crt_parse_file(&trust, options->ca));
    must("defaults", mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT));
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&config, &trust, NULL);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random_numbers);
    mbedtls_ssl_conf_ciphersuites(&config, suites);
    mbedtls_ssl_conf_curves(&config, groups);
    mbedtls_ssl_conf_session_tickets(&config, resume);
}

static void *open_connection(int fd)
{
    struct connection *c = malloc(sizeof *c);
    int result;

    mbedtls_ssl_init(&c->ssl);
    c->net.fd = fd;
    must("setup", mbedtls_ssl_setup(&c->ssl, &config));
    must("name", mbedtls_ssl_set_hostname(&c->ssl, name));
    mbedtls_ssl_set_bio(&c->ssl, &c->net, mbedtls_net_send, mbedtls_net_recv, NULL);
    if (has_newest) {
        must("session", mbedtls_ssl_set_session(&c->ssl, &newest));
    }
    do {
        result = mbedtls_ssl_handshake(&c->ssl);
    } while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
    must("handshake", result);
    return c;
}

static void send_all(void *connection, const void *bytes, size_t length)
{
    struct connection *c = connection;
    const unsigned char *at = bytes;

    while (length > 0) {
        int sent = mbedtls_ssl_write(&c->ssl, at, length);

        must("write", sent);
        at += sent;
        length -= (size_t)sent;
    }
}

static size_t receive(void *connection, void *bytes, size_t capacity)
{
    struct connection *c = connection;
    int got = mbedtls_ssl_read(&c->ssl, bytes, capacity);

    if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        return 0;
    }
    must("read", got);
    return (size_t)got;
}

static void close_connection(void *connection)
{
    struct connection *c = connection;
    unsigned char rest;

    if (resume) {
        mbedtls_ssl_session_free(&newest);
        mbedtls_ssl_session_init(&newest);
        must("session", mbedtls_ssl_get_session(&c->ssl, &newest));
        has_newest = 1;
    }
    must("close_notify", mbedtls_ssl_close_notify(&c->ssl));
    if (shutdown(c->net.fd, SHUT_WR) != 0 ||
        mbedtls_ssl_read(&c->ssl, &rest, 1) != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        die("close_notify", "the peer has sent something else");
    }
    mbedtls_ssl_free(&c->ssl);
    mbedtls_net_free(&c->net);
    free(c);
}

const struct bench_client bench_client = {
    version, setup, open_connection, send_all, receive, close_connection, NULL, NULL,
};
