/* GnuTLS. */
#include "harness.h"

#include <gnutls/gnutls.h>
#include <sys/socket.h>
#include <unistd.h>

static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priority;
static gnutls_datum_t newest;
static const char *name;
static int resume;

static void must(const char *what, int result)
{
    if (result < 0) {
        die(what, gnutls_strerror(result));
    }
}

static const char *version(void)
{
    static char text[64];

    snprintf(text, sizeof text, "GnuTLS %s", gnutls_check_version(NULL));
    return text;
}

static void setup(const struct bench_options *options)
{
    char text[512];

    name = options->name;
    resume = options->resume;
    snprintf(text, sizeof text,
             "NONE:+AES-256-GCM:+AEAD:+ECDHE-ECDSA:+ECDHE-RSA:+GROUP-X25519:+%s:+SIGN-ECDSA-SECP256R1-SHA256:"
             "+SIGN-ECDSA-SHA256:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256:+COMP-NULL%s",
             options->tls == 12 ? "VERS-TLS1.2:+GROUP-SECP256R1" : "VERS-TLS1.3", resume ? "" : ":%NO_TICKETS");
    must("priority", gnutls_priority_init(&priority, text, NULL));
    must("credentials", gnutls_certificate_allocate_credentials(&credentials));
    must("trust", gnutls_certificate_set_x509_trust_file(credentials, options->ca, GNUTLS_X509_FMT_PEM));
}

static void *open_connection(int fd)
{
    gnutls_session_t session;
    int result;

    must("init", gnutls_init(&session, GNUTLS_CLIENT));
    gnutls_priority_set(session, priority);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_server_name_set(session, GNUTLS_NAME_DNS, name, strlen(name));
    gnutls_session_set_verify_cert(session, name, 0);
    gnutls_transport_set_int(session, fd);
    if (newest.data != NULL) {
        must("session", gnutls_session_set_data(session, newest.data, newest.size));
    }
    do {
        result = gnutls_handshake(session);
    } while (result < 0 && !gnutls_error_is_fatal(result));
    must("handshake", result);
    return session;
}

static void send_all(void *connection, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0) {
        ssize_t sent = gnutls_record_send(connection, at, length);

        must("send", (int)sent);
        at += sent;
        length -= (size_t)sent;
    }
}

static size_t receive(void *connection, void *bytes, size_t capacity)
{
    ssize_t got;

    do {
        got = gnutls_record_recv(connection, bytes, capacity);
    } while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED);
    must("receive", (int)got);
    return (size_t)got;
}

static void close_connection(void *connection)
{
    int fd = gnutls_transport_get_int(connection);
    char rest;

    if (resume) {
        gnutls_free(newest.data);
        newest.data = NULL;
        must("session", gnutls_session_get_data2(connection, &newest));
    }
    must("bye", gnutls_bye(connection, GNUTLS_SHUT_WR));
    if (shutdown(fd, SHUT_WR) != 0 || receive(connection, &rest, 1) != 0) {
        die("close_notify", "the peer has sent something else");
    }
    gnutls_deinit(connection);
    close(fd);
}

const struct bench_client bench_client = {
    version, setup, open_connection, send_all, receive, close_connection, NULL, NULL,
};
