/*
 * A panic in any exported function becomes an error, in silence, and the process lives and works on.
 *
 * For the library with the feature panic-injection. What is exported is asked of the library itself: a function without
 * a case here fails.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/peer.h"
#include "../common/quiet.h"
#include "../common/shims.h"
#include "../common/test.h"
#include "../common/upgrade.h"
#include "../common/ways.h"

/* The library's, for this test alone. */
void ssl_test_panic_in(const char *name);

static _Alignas(16) unsigned char out[1024];
static size_t length;
static uint32_t number;
static int32_t number_of_descriptor;

#define PEM "-----BEGIN CERTIFICATE-----\n"

/* What the functions answer whose result is not a code. */
static int is_error_of_transfer(ptrdiff_t result)
{
    return result == -1 && errno == EPROTO ? SSL_ERR_INTERNAL : SSL_ERR_OKAY;
}

#define CASE(name, call)                                   \
    static int32_t case_##name(ssl_socket *s, int fd)      \
    {                                                      \
        (void)s;                                           \
        (void)fd;                                          \
        return (call);                                     \
    }

#define IF(condition) ((condition) ? SSL_ERR_INTERNAL : SSL_ERR_OKAY)

CASE(ssl_abi_version, IF(ssl_abi_version() == 0))
CASE(ssl_add_crl_file, ssl_add_crl_file(s, pki_file("ca.pem")))
CASE(ssl_add_crl_pem, ssl_add_crl_pem(s, PEM, sizeof PEM - 1))
CASE(ssl_add_identity_file, ssl_add_identity_file(s, pki_file("client-chain.pem"), pki_file("client.key")))
CASE(ssl_add_identity_pem, ssl_add_identity_pem(s, PEM, sizeof PEM - 1, PEM, sizeof PEM - 1))
CASE(ssl_add_pin, ssl_add_pin(s, NULL))
CASE(ssl_add_trust_dir, ssl_add_trust_dir(s, "/"))
CASE(ssl_add_trust_file, ssl_add_trust_file(s, pki_file("ca.pem")))
CASE(ssl_add_trust_pem, ssl_add_trust_pem(s, PEM, sizeof PEM - 1))
CASE(ssl_cancel_handshake, ssl_cancel_handshake(s))
CASE(ssl_complete_validation, ssl_complete_validation(s, 0))
CASE(ssl_connect, ssl_connect(s, out, sizeof(struct sockaddr_in)))
CASE(ssl_defaults, IF(ssl_defaults() == NULL && ssl_get_error(NULL) == SSL_ERR_INTERNAL))
CASE(ssl_error_category, IF(ssl_error_category(SSL_ERR_OKAY) == SSL_CATEGORY_INTERNAL))
CASE(ssl_error_name, IF(strcmp(ssl_error_name(SSL_ERR_OKAY), "SSL_ERR_INTERNAL") == 0))
CASE(ssl_flush_all, ssl_flush_all(0, &number))
CASE(ssl_get_address, (number = sizeof out, ssl_get_address(s, SSL_ADDRESS_PEER, out, &number)))
CASE(ssl_get_error, ssl_get_error(s))
CASE(ssl_get_error_info, (number = sizeof(ssl_error_info), memcpy(out, &number, 4),
                          ssl_get_error_info(s, (ssl_error_info *)(void *)out)))
CASE(ssl_get_error_text, ssl_get_error_text(s, (char *)out, sizeof out, &length))
CASE(ssl_get_flags, ssl_get_flags(s, &number))
CASE(ssl_get_peer_certificate, ssl_get_peer_certificate(s, 0, out, sizeof out, &length))
CASE(ssl_get_server_name, ssl_get_server_name(s, (char *)out, sizeof out, &length))
CASE(ssl_get_session_info, (number = sizeof(ssl_session_info), memcpy(out, &number, 4),
                            ssl_get_session_info(s, (ssl_session_info *)(void *)out)))
CASE(ssl_get_transport_fd, ssl_get_transport_fd(s, &number_of_descriptor))
CASE(ssl_get_verify_report, (number = sizeof(ssl_verify_report), memcpy(out, &number, 4),
                             ssl_get_verify_report(s, (ssl_verify_report *)(void *)out)))
CASE(ssl_get_verify_text, ssl_get_verify_text(s, SSL_TEXT_SUMMARY, 0, (char *)out, sizeof out, &length))
CASE(ssl_ioctl, ssl_ioctl(s, 0x50730002, NULL, 0, out, sizeof out, &number))
CASE(ssl_pending, ssl_pending(s, &length))
CASE(ssl_perform_handshake, ssl_perform_handshake(s, "localhost"))
CASE(ssl_recv, is_error_of_transfer(ssl_recv(s, out, sizeof out, MSG_DONTWAIT)))
CASE(ssl_send, is_error_of_transfer(ssl_send(s, "x", 1, 0)))
CASE(ssl_set_alpn, ssl_set_alpn(s, NULL, 0))
CASE(ssl_set_auth_request_hook, ssl_set_auth_request_hook(s, NULL, NULL))
CASE(ssl_set_flags, ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE))
CASE(ssl_set_identity_file, ssl_set_identity_file(s, pki_file("client-chain.pem"), pki_file("client.key")))
CASE(ssl_set_identity_pem, ssl_set_identity_pem(s, PEM, sizeof PEM - 1, PEM, sizeof PEM - 1))
CASE(ssl_set_identity_signer, ssl_set_identity_signer(s, PEM, sizeof PEM - 1, NULL, NULL))
CASE(ssl_set_key_log_file, ssl_set_key_log_file(s, NULL))
CASE(ssl_set_log_callback, ssl_set_log_callback(SSL_LOG_OFF, NULL, NULL))
CASE(ssl_set_peername, ssl_set_peername(s, "localhost"))
CASE(ssl_set_protocols, ssl_set_protocols(s, SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3))
CASE(ssl_set_relay_threads, ssl_set_relay_threads(0))
CASE(ssl_set_session_from, ssl_set_session_from(s, NULL))
CASE(ssl_set_timeout, ssl_set_timeout(s, SSL_TIMEOUT_CLOSE, 1000))
CASE(ssl_set_validate_cert_hook, ssl_set_validate_cert_hook(s, NULL, NULL))
CASE(ssl_settings_new, IF(ssl_settings_new() == NULL && ssl_get_error(NULL) == SSL_ERR_INTERNAL))
CASE(ssl_shutdown, ssl_shutdown(s, SHUT_WR))
CASE(ssl_socket_free, ssl_socket_free(s))
CASE(ssl_socket_from_fd, ssl_socket_from_fd(fd, (ssl_socket **)(void *)out))
CASE(ssl_socket_new, IF(ssl_socket_new(fd) == NULL && ssl_get_error(NULL) == SSL_ERR_INTERNAL))
CASE(ssl_use_system_trust, ssl_use_system_trust(s))
CASE(ssl_verify_chain, ssl_verify_chain(s, NULL, 0, NULL, SSL_TIME_NOW, NULL))
CASE(ssl_version, IF(ssl_version() != NULL && ssl_version()[0] == '\0'))
CASE(ssl_wce_hold, ssl_wce_hold(s, 0))
CASE(ssl_wce_secure, ssl_wce_secure(fd, (ssl_socket **)(void *)out))
CASE(ssl_wce_set_message_box, ssl_wce_set_message_box(NULL, NULL))

struct entry {
    const char *name;
    int32_t (*call)(ssl_socket *s, int fd);
    /* A panic in it ends the handle's connection: what it left half done must not carry data. */
    int ends;
};

static const struct entry entries[] = {
    {"ssl_abi_version", case_ssl_abi_version, 0},
    {"ssl_add_crl_file", case_ssl_add_crl_file, 1},
    {"ssl_add_crl_pem", case_ssl_add_crl_pem, 1},
    {"ssl_add_identity_file", case_ssl_add_identity_file, 1},
    {"ssl_add_identity_pem", case_ssl_add_identity_pem, 1},
    {"ssl_add_pin", case_ssl_add_pin, 1},
    {"ssl_add_trust_dir", case_ssl_add_trust_dir, 1},
    {"ssl_add_trust_file", case_ssl_add_trust_file, 1},
    {"ssl_add_trust_pem", case_ssl_add_trust_pem, 1},
    {"ssl_cancel_handshake", case_ssl_cancel_handshake, 1},
    {"ssl_complete_validation", case_ssl_complete_validation, 1},
    {"ssl_connect", case_ssl_connect, 1},
    {"ssl_defaults", case_ssl_defaults, 0},
    {"ssl_error_category", case_ssl_error_category, 0},
    {"ssl_error_name", case_ssl_error_name, 0},
    {"ssl_flush_all", case_ssl_flush_all, 0},
    {"ssl_get_address", case_ssl_get_address, 0},
    {"ssl_get_error", case_ssl_get_error, 0},
    {"ssl_get_error_info", case_ssl_get_error_info, 0},
    {"ssl_get_error_text", case_ssl_get_error_text, 0},
    {"ssl_get_flags", case_ssl_get_flags, 0},
    {"ssl_get_peer_certificate", case_ssl_get_peer_certificate, 0},
    {"ssl_get_server_name", case_ssl_get_server_name, 0},
    {"ssl_get_session_info", case_ssl_get_session_info, 0},
    {"ssl_get_transport_fd", case_ssl_get_transport_fd, 0},
    {"ssl_get_verify_report", case_ssl_get_verify_report, 0},
    {"ssl_get_verify_text", case_ssl_get_verify_text, 0},
    {"ssl_ioctl", case_ssl_ioctl, 1},
    {"ssl_pending", case_ssl_pending, 1},
    {"ssl_perform_handshake", case_ssl_perform_handshake, 1},
    {"ssl_recv", case_ssl_recv, 1},
    {"ssl_send", case_ssl_send, 1},
    {"ssl_set_alpn", case_ssl_set_alpn, 1},
    {"ssl_set_auth_request_hook", case_ssl_set_auth_request_hook, 1},
    {"ssl_set_flags", case_ssl_set_flags, 1},
    {"ssl_set_identity_file", case_ssl_set_identity_file, 1},
    {"ssl_set_identity_pem", case_ssl_set_identity_pem, 1},
    {"ssl_set_identity_signer", case_ssl_set_identity_signer, 1},
    {"ssl_set_key_log_file", case_ssl_set_key_log_file, 1},
    {"ssl_set_log_callback", case_ssl_set_log_callback, 0},
    {"ssl_set_peername", case_ssl_set_peername, 1},
    {"ssl_set_protocols", case_ssl_set_protocols, 1},
    {"ssl_set_relay_threads", case_ssl_set_relay_threads, 0},
    {"ssl_set_session_from", case_ssl_set_session_from, 1},
    {"ssl_set_timeout", case_ssl_set_timeout, 1},
    {"ssl_set_validate_cert_hook", case_ssl_set_validate_cert_hook, 1},
    {"ssl_settings_new", case_ssl_settings_new, 0},
    {"ssl_shutdown", case_ssl_shutdown, 1},
    {"ssl_socket_free", case_ssl_socket_free, 0},
    {"ssl_socket_from_fd", case_ssl_socket_from_fd, 0},
    {"ssl_socket_new", case_ssl_socket_new, 0},
    {"ssl_use_system_trust", case_ssl_use_system_trust, 1},
    {"ssl_verify_chain", case_ssl_verify_chain, 0},
    {"ssl_version", case_ssl_version, 0},
    {"ssl_wce_hold", case_ssl_wce_hold, 1},
    {"ssl_wce_secure", case_ssl_wce_secure, 0},
    {"ssl_wce_set_message_box", case_ssl_wce_set_message_box, 0},
    {NULL, NULL, 0},
};

/* One way for each exported function that is not in shim_panics.c. */
static struct way exports[256];

static void find_exports(void)
{
    size_t count = 0;

    for (const struct way *name = exported_names(); name->name != NULL; name++) {
        if (find_shim(name->name) == NULL) {
            CHECK(count + 1 < sizeof exports / sizeof *exports);
            exports[count++] = *name;
        }
    }
    CHECK(count > 0);
}

static void works_on(void)
{
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = upgrade_to_peer(fd, usual_way, "echo");

    send_pattern(fd, 1000);
    receive_pattern(fd, 1000, 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
}

static const struct entry *entry_of(const char *name)
{
    for (const struct entry *entry = entries; entry->name != NULL; entry++) {
        if (strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    FAIL("%s is exported but has no case in this test", name);
}

static void panic(const struct entry *entry, ssl_socket *s, int fd)
{
    struct quiet quiet = listen_to_errors();
    int32_t answer;
    int said;

    ssl_test_panic_in(entry->name);
    answer = entry->call(s, fd);
    ssl_test_panic_in(NULL);
    said = stop_listening(&quiet);
    if (answer != SSL_ERR_INTERNAL) {
        FAIL("%s: %s instead of SSL_ERR_INTERNAL", entry->name, ssl_error_name(answer));
    }
    if (said) {
        FAIL("%s: something was printed", entry->name);
    }
}

static void a_panic_on_a_plain_handle(const struct way *way)
{
    const struct entry *entry = entry_of(way->name);
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = ssl_socket_new(fd);

    CHECK(s != NULL);
    panic(entry, s, fd);
    if (entry->ends) {
        char byte;
        CHECK(ssl_get_error(s) == SSL_ERR_INTERNAL);
        CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_STATE);
        CHECK(send(fd, "password", 8, MSG_NOSIGNAL) == -1);
        CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) <= 0);
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    works_on();
}

static void on_open(const struct way *way, uint32_t flags)
{
    const struct entry *entry = entry_of(way->name);
    struct way peer = {"", "SSLSOCK_PEER", flags};
    int fd = peer_connect(peer.peer);
    ssl_socket *s = upgrade_to_peer(fd, &peer, "echo");
    char bytes[10];

    panic(entry, s, fd);
    if (entry->ends) {
        CHECK(ssl_get_error(s) == SSL_ERR_INTERNAL);
        CHECK(ssl_send(s, "x", 1, 0) == -1);
    } else {
        CHECK(ssl_send(s, "0123456789", 10, 0) == 10);
        CHECK(ssl_recv(s, bytes, 10, MSG_WAITALL) == 10 && memcmp(bytes, "0123456789", 10) == 0);
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    works_on();
}

static void a_panic_on_a_transparent_handle(const struct way *way)
{
    on_open(way, 0);
}

static void a_panic_on_an_explicit_handle(const struct way *way)
{
    on_open(way, SSL_FLAG_EXPLICIT_IO);
}

static void panics_in_a_row(const struct way *way)
{
    (void)way;
    for (int round = 0; round < 3; round++) {
        for (const struct entry *entry = entries; entry->name != NULL; entry++) {
            int fd = peer_connect("SSLSOCK_PEER");
            ssl_socket *s = ssl_socket_new(fd);
            CHECK(s != NULL);
            panic(entry, s, fd);
            CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
            CHECK(close(fd) == 0);
        }
    }
    works_on();
}

static void every_case_is_of_an_export(const struct way *way)
{
    (void)way;
    for (const struct entry *entry = entries; entry->name != NULL; entry++) {
        const struct way *export = exports;
        while (export->name != NULL && strcmp(export->name, entry->name) != 0) {
            export++;
        }
        if (export->name == NULL) {
            FAIL("%s is not exported", entry->name);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"every_case_is_of_an_export", every_case_is_of_an_export, NULL, 0},
        {"a_panic_on_a_plain_handle", a_panic_on_a_plain_handle, exports, 0},
        {"a_panic_on_a_transparent_handle", a_panic_on_a_transparent_handle, exports, 0},
        {"a_panic_on_an_explicit_handle", a_panic_on_an_explicit_handle, exports, 0},
        {"panics_in_a_row", panics_in_a_row, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    find_exports();
    return run_tests(argc, argv, tests);
}
