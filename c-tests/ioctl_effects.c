/*
 * What the settings of Windows CE's ioctl codes do to a session, as its peer sees it, and what
 * SO_SSL_GET_CONNECTION_INFO says of it.
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/dead.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define AES_128_BITS CALG_AES_128, 128
#define AES_256_BITS CALG_AES_256, 256
#define CHACHA20_BITS 0, 256
#define SHA_256_BITS 0x800C, 256
#define SHA_384_BITS 0x800D, 384
#define ECDH_BITS(bits) 0xAE06, bits
#define TLS_1_2_CLIENT 0x800
#define TLS_1_3_CLIENT 0x2000
#define TLS_1_2_SERVER 0x400
#define TLS_1_3_SERVER 0x1000
/* X25519, or its hybrid with ML-KEM. */
#define CURVE_25519 255

/* SSLCONNECTIONINFO. */
struct connection_info {
    uint32_t protocol;
    uint32_t cipher;
    uint32_t cipher_strength;
    uint32_t hash;
    uint32_t hash_strength;
    uint32_t exchange;
    uint32_t exchange_strength;
};

/* A list of ciphers, and what comes of it. */
struct agreement {
    const char *name;
    const char *peer;
    uint32_t count;
    uint32_t ciphers[4];
    /* How many suites the peer shares, and what it chose. */
    size_t shared;
    const char *seen;
    struct connection_info info;
};

static const struct agreement agreements[] = {
    {"nothing set", "SSLSOCK_PEER", 0, {0}, 9, "TLSv1.3 TLS_AES_256_GCM_SHA384",
     {TLS_1_3_CLIENT, AES_256_BITS, SHA_384_BITS, ECDH_BITS(CURVE_25519)}},
    {"AES-128", "SSLSOCK_PEER", 1, {CALG_AES_128}, 3, "TLSv1.3 TLS_AES_128_GCM_SHA256",
     {TLS_1_3_CLIENT, AES_128_BITS, SHA_256_BITS, ECDH_BITS(CURVE_25519)}},
    {"AES-256 beside RC4", "SSLSOCK_PEER", 2, {CALG_RC4, CALG_AES_256}, 3, "TLSv1.3 TLS_AES_256_GCM_SHA384",
     {TLS_1_3_CLIENT, AES_256_BITS, SHA_384_BITS, ECDH_BITS(CURVE_25519)}},
    {"AES", "SSLSOCK_PEER", 1, {CALG_AES}, 6, "TLSv1.3 TLS_AES_256_GCM_SHA384",
     {TLS_1_3_CLIENT, AES_256_BITS, SHA_384_BITS, ECDH_BITS(CURVE_25519)}},
    {"ChaCha20 by its suite", "SSLSOCK_PEER", 1, {0x1303}, 1, "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256",
     {TLS_1_3_CLIENT, CHACHA20_BITS, SHA_256_BITS, ECDH_BITS(CURVE_25519)}},
    {"a suite of TLS 1.2 alone", "SSLSOCK_PEER", 1, {0xC02B}, 1, "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256",
     {TLS_1_2_CLIENT, AES_128_BITS, SHA_256_BITS, ECDH_BITS(CURVE_25519)}},
    {"AES-128 with TLS 1.2", "SSLSOCK_PEER_TLS12", 1, {CALG_AES_128}, 3, "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256",
     {TLS_1_2_CLIENT, AES_128_BITS, SHA_256_BITS, ECDH_BITS(CURVE_25519)}},
    {"AES-256 with TLS 1.2", "SSLSOCK_PEER_TLS12", 1, {CALG_AES_256}, 3, "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384",
     {TLS_1_2_CLIENT, AES_256_BITS, SHA_384_BITS, ECDH_BITS(CURVE_25519)}},
    {"ChaCha20 with TLS 1.2", "SSLSOCK_PEER_TLS12", 2, {0xCCA8, 0xCCA9}, 2, "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305",
     {TLS_1_2_CLIENT, CHACHA20_BITS, SHA_256_BITS, ECDH_BITS(CURVE_25519)}},
    {"another curve", "SSLSOCK_PEER_P384", 1, {CALG_AES_128}, 3, "TLSv1.3 TLS_AES_128_GCM_SHA256",
     {TLS_1_3_CLIENT, AES_128_BITS, SHA_256_BITS, ECDH_BITS(384)}},
};

static void set_ciphers(ssl_socket *s, const uint32_t *ciphers, uint32_t count)
{
    uint32_t list[8] = {TLS1, count};

    memcpy(list + 2, ciphers, count * sizeof *ciphers);
    CHECK(set_code(s, SET_CIPHERS, list, 8 + 4 * count) == SSL_ERR_OKAY);
}

static ssl_socket *trusting(int fd)
{
    ssl_socket *s = ssl_socket_new(fd);

    CHECK(s != NULL && ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    return s;
}

static void say(int fd, ssl_socket *s, const struct way *way, const char *text)
{
    send_through(s, fd, way, text, strlen(text));
}

static void expect_info(ssl_socket *s, const struct connection_info *expected, const char *name)
{
    struct connection_info found;
    uint32_t returned = 0;

    CHECK(ssl_ioctl(s, GET_CONNECTION_INFO, NULL, 0, &found, sizeof found, &returned) == SSL_ERR_OKAY);
    CHECK(returned == 28);
    if (memcmp(&found, expected, sizeof found) != 0) {
        FAIL("%s: protocol %#x, cipher %#x with %u bits, hash %#x with %u, exchange %#x with %u", name, found.protocol,
             found.cipher, found.cipher_strength, found.hash, found.hash_strength, found.exchange,
             found.exchange_strength);
    }
}

static void the_peer_sees_the_ciphers_that_were_set(const struct way *way)
{
    for (size_t i = 0; i < sizeof agreements / sizeof *agreements; i++) {
        const struct agreement *row = &agreements[i];
        int fd = peer_connect(row->peer);
        ssl_socket *s = trusting(fd);
        char order[128];
        struct seen seen;

        CHECK(ssl_set_flags(s, way->flags) == SSL_ERR_OKAY);
        if (row->count) {
            set_ciphers(s, row->ciphers, row->count);
        }
        if (set_code(s, PERFORM_HANDSHAKE, "localhost", 10) != SSL_ERR_OKAY) {
            upgrade_failed(row->name, s);
        }
        expect_info(s, &row->info, row->name);
        snprintf(order, sizeof order, "agreed %s\n", peer_ticket());
        say(fd, s, way, order);
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
        seen = peer_result();
        if (seen.bytes != row->shared || strcmp(seen.end, row->seen) != 0) {
            FAIL("%s: the peer saw %zu suites, and %s", row->name, seen.bytes, seen.end);
        }
    }
}

static void what_the_peer_cannot_have_is_a_failure(const struct way *way)
{
    /* The peer's key is an ECDSA key, so these suites of TLS 1.2 are none for it. */
    static const uint32_t for_rsa[] = {0xC02F, 0xC030, 0xCCA8};
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = trusting(fd);

    (void)way;
    set_ciphers(s, for_rsa, 3);
    if (set_code(s, PERFORM_HANDSHAKE, "localhost", 10) != SSL_ERR_ALERT) {
        upgrade_failed("the handshake", s);
    }
    expect_error_text(s, "handshake_failure");
    expect_dead(fd);
    /* The setting was that socket's alone. */
    fd = peer_connect("SSLSOCK_PEER");
    s = trusting(fd);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_OKAY);
    echo_on(fd);
}

static void the_last_list_counts(const struct way *way)
{
    static const uint32_t first[] = {0x1303};
    static const uint32_t weak[] = {TLS1, 1, CALG_RC4};
    uint32_t list[16] = {TLS1};
    uint32_t returned = 0;
    struct connection_info info = {TLS_1_3_CLIENT, AES_128_BITS, SHA_256_BITS, ECDH_BITS(CURVE_25519)};
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = trusting(fd);

    (void)way;
    CHECK(ssl_ioctl(s, GET_CIPHERS, list, sizeof list, list, sizeof list, &returned) == SSL_ERR_OKAY);
    set_ciphers(s, first, 1);
    set_ciphers(s, (const uint32_t[]){CALG_AES_128}, 1);
    CHECK(set_code(s, SET_CIPHERS, weak, sizeof weak) == SSL_ERR_INVALID);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_OKAY);
    expect_info(s, &info, "the last one");
    echo_on(fd);
    /* What was read at first takes the restriction back. */
    fd = peer_connect("SSLSOCK_PEER");
    s = trusting(fd);
    set_ciphers(s, first, 1);
    CHECK(set_code(s, SET_CIPHERS, list, returned) == SSL_ERR_OKAY);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_OKAY);
    expect_info(s, &agreements[0].info, "everything");
    echo_on(fd);
}

static int32_t make_another_handshake(uint32_t type, void *other, uint32_t chain_len, const ssl_blob *chain,
                                      uint32_t flags)
{
    (void)type;
    (void)chain_len;
    (void)chain;
    (void)flags;
    return set_code(other, PERFORM_HANDSHAKE, "localhost", 10);
}

static void handshakes_at_once_have_ciphers_of_their_own(const struct way *way)
{
    int fds[2] = {peer_connect("SSLSOCK_PEER"), peer_connect("SSLSOCK_PEER")};
    ssl_socket *sockets[2] = {trusting(fds[0]), trusting(fds[1])};
    struct hook_calls accepting = {0, 0, SSL_ERR_OKAY};

    (void)way;
    /* Beside the ciphers they differ in nothing, and the second handshake is made in the middle of the first. */
    set_ciphers(sockets[0], agreements[1].ciphers, 1);
    set_ciphers(sockets[1], agreements[4].ciphers, 1);
    CHECK(ssl_set_validate_cert_hook(sockets[0], make_another_handshake, sockets[1]) == SSL_ERR_OKAY);
    set_counting_hook(sockets[1], &accepting);
    CHECK(set_code(sockets[0], PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_OKAY && accepting.times == 1);
    expect_info(sockets[0], &agreements[1].info, "the first");
    expect_info(sockets[1], &agreements[4].info, "the second");
    echo_on(fds[0]);
    echo_on(fds[1]);
}

static void tls_1_0_means_the_safe_versions(const struct way *way)
{
    static const uint32_t lists[][13] = {
        {1, TLS1, 0, 0},
        {1, TLS1, 0x301, 0x80},
        {4, PCT1, 0, 0, SSL2, 0, 0, SSL3, 0, 0, TLS1, 0, 0},
    };
    static const struct {
        const char *peer;
        const char *seen;
        uint32_t protocol;
    } peers[] = {
        {"SSLSOCK_PEER", "TLSv1.3 ", TLS_1_3_CLIENT},
        {"SSLSOCK_PEER_TLS12", "TLSv1.2 ", TLS_1_2_CLIENT},
    };

    (void)way;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (size_t at = 0; at < sizeof peers / sizeof *peers; at++) {
            int fd = peer_connect(peers[at].peer);
            ssl_socket *s = trusting(fd);
            struct connection_info info;
            char order[128];

            CHECK(set_code(s, SET_PROTOCOLS, lists[i], 4 + 12 * lists[i][0]) == SSL_ERR_OKAY);
            CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_OKAY);
            CHECK(ssl_ioctl(s, GET_CONNECTION_INFO, NULL, 0, &info, sizeof info, NULL) == SSL_ERR_OKAY);
            CHECK(info.protocol == peers[at].protocol);
            snprintf(order, sizeof order, "agreed %s\n", peer_ticket());
            send_all(fd, order, strlen(order));
            CHECK(close(fd) == 0);
            CHECK(strncmp(peer_result().end, peers[at].seen, strlen(peers[at].seen)) == 0);
        }
    }
}

static void *serve(void *s)
{
    CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_OKAY);
    return NULL;
}

/* A client whose handshake may fail. */
static void *converse(void *client)
{
    set_code(client, PERFORM_HANDSHAKE, "localhost", 10);
    return NULL;
}

/* Both ends of a connection, and what the setting of one of them makes of it. */
static void in_the_server_role(const struct way *way)
{
    static const struct {
        uint32_t server;
        uint32_t client;
        struct connection_info seen_by_server;
        uint32_t seen_by_client;
    } rows[] = {
        {CALG_AES_128, CALG_AES, {TLS_1_3_SERVER, AES_128_BITS, SHA_256_BITS, ECDH_BITS(CURVE_25519)}, TLS_1_3_CLIENT},
        {CALG_AES, CALG_AES_128, {TLS_1_3_SERVER, AES_128_BITS, SHA_256_BITS, ECDH_BITS(CURVE_25519)}, TLS_1_3_CLIENT},
        {0xC02C, CALG_AES, {TLS_1_2_SERVER, AES_256_BITS, SHA_384_BITS, ECDH_BITS(CURVE_25519)}, TLS_1_2_CLIENT},
    };

    (void)way;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char chain[512], key[512];
        struct connection_info info = rows[i].seen_by_server;
        ssl_socket *server, *client;
        pthread_t thread;
        int ends[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        server = ssl_socket_new(ends[0]);
        client = trusting(ends[1]);
        snprintf(chain, sizeof chain, "%s", pki_file("server-chain.pem"));
        snprintf(key, sizeof key, "%s", pki_file("server.key"));
        CHECK(ssl_set_identity_file(server, chain, key) == SSL_ERR_OKAY);
        CHECK(set_code_flags(server, SSL_FLAG_SERVER) == SSL_ERR_OKAY);
        set_ciphers(server, &rows[i].server, 1);
        set_ciphers(client, &rows[i].client, 1);
        CHECK(pthread_create(&thread, NULL, serve, server) == 0);
        if (set_code(client, PERFORM_HANDSHAKE, "localhost", 10) != SSL_ERR_OKAY) {
            upgrade_failed("client", client);
        }
        CHECK(pthread_join(thread, NULL) == 0);
        expect_info(server, &info, "server");
        info.protocol = rows[i].seen_by_client;
        expect_info(client, &info, "client");
        CHECK(ssl_socket_free(server) == SSL_ERR_OKAY && ssl_socket_free(client) == SSL_ERR_OKAY);
        CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    }
}

/* Windows CE's two ways of asking a client for its certificate, and the two of asking less. */
static void a_server_may_ask_for_certificates(const struct way *way)
{
    static const struct {
        uint32_t flags;
        uint32_t request;
        int has_trust;
        int32_t result;
    } rows[] = {
        {0, 0, 0, SSL_ERR_OKAY},
        {0, 1, 0, SSL_ERR_INVALID},
        {SSL_FLAG_AUTH_CLIENT, 0, 0, SSL_ERR_INVALID},
        {0, 1, 1, SSL_ERR_NO_CERT},
        {SSL_FLAG_AUTH_CLIENT, 0, 1, SSL_ERR_NO_CERT},
        {SSL_FLAG_ASK_CLIENT, 1, 1, SSL_ERR_OKAY},
        {SSL_FLAG_ASK_CLIENT, 0, 1, SSL_ERR_OKAY},
    };

    (void)way;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct client_auth_opts options = {rows[i].request, 0, 0, 0, NULL, 0, 0};
        char chain[512], key[512], authority[512];
        ssl_socket *server, *client;
        pthread_t thread;
        int ends[2];
        int32_t result;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        server = ssl_socket_new(ends[0]);
        client = trusting(ends[1]);
        snprintf(chain, sizeof chain, "%s", pki_file("server-chain.pem"));
        snprintf(key, sizeof key, "%s", pki_file("server.key"));
        snprintf(authority, sizeof authority, "%s", pki_file("ca.pem"));
        CHECK(ssl_set_identity_file(server, chain, key) == SSL_ERR_OKAY);
        CHECK(set_code_flags(server, SSL_FLAG_SERVER | rows[i].flags) == SSL_ERR_OKAY);
        CHECK(set_code(server, SET_CLIENT_AUTH_OPTS, &options, sizeof options) == SSL_ERR_OKAY);
        CHECK(!rows[i].has_trust || ssl_add_trust_file(server, authority) == SSL_ERR_OKAY);
        CHECK(pthread_create(&thread, NULL, converse, client) == 0);
        result = ssl_perform_handshake(server, NULL);
        if (result != rows[i].result) {
            upgrade_failed("server", server);
        }
        CHECK(close(ends[0]) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(ssl_socket_free(server) == SSL_ERR_OKAY && ssl_socket_free(client) == SSL_ERR_OKAY);
        CHECK(close(ends[1]) == 0);
    }
}

static void options_that_are_only_kept_do_no_harm(const struct way *way)
{
    static const struct cache_opts cache = {-1, UINT32_MAX, UINT32_MAX};
    static const struct client_auth_opts nothing = {0, 0, 7, 99, (void *)(uintptr_t)1, UINT32_MAX, 0};
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = trusting(fd);

    (void)way;
    CHECK(set_code(s, SET_CLIENT_OPTS, &cache, sizeof cache) == SSL_ERR_OKAY);
    CHECK(set_code(s, SET_SERVER_OPTS, &cache, sizeof cache) == SSL_ERR_OKAY);
    CHECK(set_code(s, SET_CLIENT_AUTH_OPTS, &nothing, sizeof nothing) == SSL_ERR_OKAY);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_OKAY);
    expect_info(s, &agreements[0].info, "all the same");
    echo_on(fd);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"the_peer_sees_the_ciphers_that_were_set", the_peer_sees_the_ciphers_that_were_set, each_mode, 0},
        {"what_the_peer_cannot_have_is_a_failure", what_the_peer_cannot_have_is_a_failure, NULL, 0},
        {"the_last_list_counts", the_last_list_counts, NULL, 0},
        {"handshakes_at_once_have_ciphers_of_their_own", handshakes_at_once_have_ciphers_of_their_own, NULL, 0},
        {"tls_1_0_means_the_safe_versions", tls_1_0_means_the_safe_versions, NULL, 0},
        {"in_the_server_role", in_the_server_role, NULL, 0},
        {"a_server_may_ask_for_certificates", a_server_may_ask_for_certificates, NULL, 0},
        {"options_that_are_only_kept_do_no_harm", options_that_are_only_kept_do_no_harm, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
