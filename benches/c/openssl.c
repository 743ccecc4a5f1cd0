/* OpenSSL. Modes: "" as it is; "release" with SSL_MODE_RELEASE_BUFFERS; "read_ahead" with reads of up to 64 KiB. */
#include "harness.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *context;
static SSL_SESSION *newest;
static const char *name;

__attribute__((noreturn)) static void failed(const char *what)
{
    char text[256];

    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    die(what, text);
}

static const char *version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

static int keep(SSL *connection, SSL_SESSION *session)
{
    (void)connection;
    SSL_SESSION_free(newest);
    newest = session;
    return 1;
}

static void setup(const struct bench_options *options)
{
    int only = options->tls == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    /* In TLS 1.2 the list has to have the curve of the certificate, too. */
    const char *groups = options->tls == 12 ? "X25519:P-256" : "X25519";

    name = options->name;
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, only);
    SSL_CTX_set_max_proto_version(context, only);
    if (!SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") ||
        !SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384") || !SSL_CTX_set1_groups_list(context, groups) ||
        !SSL_CTX_load_verify_locations(context, options->ca, NULL)) {
        failed("settings");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (strcmp(options->mode, "release") == 0) {
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    } else if (strcmp(options->mode, "read_ahead") == 0) {
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_default_read_buffer_len(context, 65536);
    }
    if (options->resume) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, keep);
    } else {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    }
}

static void *open_connection(int fd)
{
    SSL *ssl = SSL_new(context);

    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set1_host(ssl, name);
    if (newest != NULL) {
        SSL_set_session(ssl, newest);
    }
    if (SSL_connect(ssl) != 1) {
        failed("SSL_connect");
    }
    return ssl;
}

static void send_all(void *connection, const void *bytes, size_t length)
{
    /* Without SSL_MODE_ENABLE_PARTIAL_WRITE it is all of them. */
    if (SSL_write(connection, bytes, (int)length) != (int)length) {
        failed("SSL_write");
    }
}

static size_t receive(void *connection, void *bytes, size_t capacity)
{
    int got = SSL_read(connection, bytes, (int)capacity);

    if (got <= 0 && SSL_get_error(connection, got) != SSL_ERROR_ZERO_RETURN) {
        failed("SSL_read");
    }
    return got < 0 ? 0 : (size_t)got;
}

static void close_connection(void *connection)
{
    int fd = SSL_get_fd(connection);

    /* The second waits for the peer's. */
    if (SSL_shutdown(connection) < 0 || shutdown(fd, SHUT_WR) != 0 || SSL_shutdown(connection) != 1) {
        failed("SSL_shutdown");
    }
    SSL_free(connection);
    close(fd);
}

const struct bench_client bench_client = {
    version, setup, open_connection, send_all, receive, close_connection, NULL, NULL,
};
