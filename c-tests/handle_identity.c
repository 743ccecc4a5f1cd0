/* What a program can get wrong with the functions that set an identity: see handle.c. */
#define _GNU_SOURCE

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

static char chain[32768], key[8192];
static size_t chain_len, key_len;
static char chain_path[4096], key_path[4096];

static size_t read_text(const char *name, char *text, size_t capacity)
{
    FILE *file = fopen(pki_file(name), "r");
    size_t length;

    CHECK(file != NULL);
    length = fread(text, 1, capacity, file);
    CHECK(length > 0 && length < capacity && fclose(file) == 0);
    return length;
}

static void read_identity(void)
{
    chain_len = read_text("client-chain.pem", chain, sizeof chain);
    key_len = read_text("client.key", key, sizeof key);
    /* Each call of pki_file uses the same memory. */
    snprintf(chain_path, sizeof chain_path, "%s", pki_file("client-chain.pem"));
    snprintf(key_path, sizeof key_path, "%s", pki_file("client.key"));
}

static int32_t sign(uint32_t type, void *arg, const uint8_t *source, uint32_t source_len, uint32_t flags, uint8_t *dest,
                    uint32_t *dest_len)
{
    (void)type, (void)arg, (void)source, (void)source_len, (void)flags, (void)dest, (void)dest_len;
    return SSL_ERR_FAILED;
}

static int32_t choose(uint32_t type, void *arg, uint32_t issuer_count, const ssl_blob *issuers, uint32_t flags,
                      uint32_t *chain_length, ssl_blob **answer)
{
    (void)type, (void)arg, (void)issuer_count, (void)issuers, (void)flags, (void)chain_length, (void)answer;
    return SSL_ERR_NO_CERT;
}

/* Each of the functions with arguments that are right. */
static void expect_everywhere(ssl_socket *s, int32_t code)
{
    struct hook hook = {NULL, NULL};

    CHECK(ssl_set_identity_pem(s, chain, chain_len, key, key_len) == code);
    CHECK(ssl_set_identity_file(s, chain_path, key_path) == code);
    CHECK(ssl_set_identity_signer(s, chain, chain_len, sign, NULL) == code);
    CHECK(ssl_add_identity_pem(s, chain, chain_len, key, key_len) == code);
    CHECK(ssl_add_identity_file(s, chain_path, key_path) == code);
    CHECK(ssl_set_auth_request_hook(s, choose, s) == code);
    CHECK(ssl_set_auth_request_hook(s, NULL, NULL) == code);
    CHECK(set_code(s, SET_AUTH_REQUEST_HOOK, &hook, sizeof hook) == code);
    CHECK(set_code(s, SET_SIGNATURE_HOOK, &hook, sizeof hook) == code);
}

static ssl_socket *plain_handle(void)
{
    int ends[2];
    ssl_socket *s;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    s = ssl_socket_new(ends[0]);
    CHECK(s != NULL);
    return s;
}

static void only_live_handles_are_handles(const struct way *way)
{
    ssl_socket *s = plain_handle();

    (void)way;
    read_identity();
    expect_everywhere(NULL, SSL_ERR_BAD_HANDLE);
    expect_everywhere((ssl_socket *)(uintptr_t)0x5a5a5a5a5a5a5a5au, SSL_ERR_BAD_HANDLE); // NOLINT: a number.
    expect_everywhere((ssl_socket *)(void *)&s, SSL_ERR_BAD_HANDLE);
    expect_everywhere(s, SSL_ERR_OKAY);
    expect_everywhere(ssl_defaults(), SSL_ERR_OKAY);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    expect_everywhere(s, SSL_ERR_BAD_HANDLE);
}

static void a_child_has_none_of_its_parents(const struct way *way)
{
    ssl_socket *s = plain_handle();
    int status = 0;
    pid_t child;

    (void)way;
    read_identity();
    child = quiet_fork();
    CHECK(child >= 0);
    if (child == 0) {
        expect_everywhere(s, SSL_ERR_FORKED);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void it_is_too_late_after_the_handshake(const struct way *way)
{
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = upgrade_to_peer(fd, usual_way, "echo");

    (void)way;
    read_identity();
    expect_everywhere(s, SSL_ERR_STATE);
    CHECK(close(fd) == 0);
}

static void every_pointer_null(const struct way *way)
{
    ssl_socket *s = plain_handle();

    (void)way;
    read_identity();
    CHECK(ssl_set_identity_signer(s, NULL, 10, sign, NULL) == SSL_ERR_INVALID);
    CHECK(ssl_set_identity_signer(s, NULL, 0, sign, NULL) == SSL_ERR_BAD_DATA);
    CHECK(ssl_set_identity_signer(s, chain, chain_len, NULL, NULL) == SSL_ERR_INVALID);
    expect_error_text(s, "sign is NULL");
    CHECK(ssl_add_identity_pem(s, NULL, 10, key, key_len) == SSL_ERR_INVALID);
    CHECK(ssl_add_identity_pem(s, chain, chain_len, NULL, 10) == SSL_ERR_INVALID);
    CHECK(ssl_add_identity_pem(s, NULL, 0, NULL, 0) == SSL_ERR_BAD_DATA);
    CHECK(ssl_add_identity_file(s, NULL, key_path) == SSL_ERR_INVALID);
    CHECK(ssl_add_identity_file(s, chain_path, NULL) == SSL_ERR_INVALID);
    CHECK(ssl_add_identity_file(s, "/nonexistent", "/nonexistent") == SSL_ERR_IO);
    CHECK(ssl_add_identity_file(s, "/", key_path) == SSL_ERR_IO);
}

static void wrong_lengths(const struct way *way)
{
    static const size_t impossible[] = {SIZE_MAX, SIZE_MAX - 1, (size_t)PTRDIFF_MAX + 1};
    ssl_socket *s = plain_handle();

    (void)way;
    read_identity();
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        size_t size = impossible[i];
        CHECK(ssl_set_identity_signer(s, chain, size, sign, NULL) == SSL_ERR_INVALID);
        CHECK(ssl_add_identity_pem(s, chain, size, key, key_len) == SSL_ERR_INVALID);
        CHECK(ssl_add_identity_pem(s, chain, chain_len, key, size) == SSL_ERR_INVALID);
    }
    /* Each length of a text that is exactly so long, in memory of its own: nothing behind it is read. */
    for (size_t length = 0; length < key_len - 1; length++) {
        char *cut = malloc(length ? length : 1);
        CHECK(cut != NULL);
        memcpy(cut, key, length);
        CHECK(ssl_add_identity_pem(s, chain, chain_len, cut, length) == SSL_ERR_BAD_DATA);
        free(cut);
    }
    CHECK(ssl_set_identity_signer(s, key, key_len, sign, NULL) == SSL_ERR_BAD_DATA);
    CHECK(ssl_add_identity_pem(s, key, key_len, chain, chain_len) == SSL_ERR_BAD_DATA);
}

static void there_is_an_end_to_identities(const struct way *way)
{
    ssl_socket *s = plain_handle();
    int count = 0;

    (void)way;
    read_identity();
    while (ssl_add_identity_pem(s, chain, chain_len, key, key_len) == SSL_ERR_OKAY) {
        CHECK(++count <= 64);
    }
    CHECK(count == 64 && ssl_get_error(s) == SSL_ERR_INVALID);
    expect_error_text(s, "nothing was changed");
    /* Setting one replaces them all. */
    CHECK(ssl_set_identity_pem(s, chain, chain_len, key, key_len) == SSL_ERR_OKAY);
    CHECK(ssl_add_identity_pem(s, chain, chain_len, key, key_len) == SSL_ERR_OKAY);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"only_live_handles_are_handles", only_live_handles_are_handles, NULL, 0},
        {"a_child_has_none_of_its_parents", a_child_has_none_of_its_parents, NULL, 0},
        {"it_is_too_late_after_the_handshake", it_is_too_late_after_the_handshake, NULL, 0},
        {"every_pointer_null", every_pointer_null, NULL, 0},
        {"wrong_lengths", wrong_lengths, NULL, 0},
        {"there_is_an_end_to_identities", there_is_an_end_to_identities, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
