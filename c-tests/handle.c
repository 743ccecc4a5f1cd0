/*
 * What a program can get wrong with handles, pointers, sizes and lengths: an error each, and nothing is touched.
 *
 * Meant for AddressSanitizer, in the program and in the library; it runs without as well.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define CANARY 0xa5

/* Where functions are told to write, and must not. */
static _Alignas(16) unsigned char out[4096];

/* ssl_send and ssl_recv have errno for a code. */
static int32_t code_of(ptrdiff_t count)
{
    if (count >= 0) {
        return SSL_ERR_OKAY;
    }
    return errno == EBADF ? SSL_ERR_BAD_HANDLE : errno == EPROTO ? SSL_ERR_FORKED : errno == EINVAL ? SSL_ERR_INVALID : -1;
}

static int32_t call_free(ssl_socket *s)
{
    return ssl_socket_free(s);
}

static int32_t call_set_flags(ssl_socket *s)
{
    return ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE);
}

static int32_t call_get_flags(ssl_socket *s)
{
    return ssl_get_flags(s, (uint32_t *)out);
}

static int32_t call_set_hook(ssl_socket *s)
{
    return ssl_set_validate_cert_hook(s, NULL, NULL);
}

static int32_t call_set_peername(ssl_socket *s)
{
    return ssl_set_peername(s, "localhost");
}

static int32_t call_set_timeout(ssl_socket *s)
{
    return ssl_set_timeout(s, SSL_TIMEOUT_HANDSHAKE, 1000);
}

static int32_t call_add_trust_file(ssl_socket *s)
{
    return ssl_add_trust_file(s, "/nonexistent");
}

static int32_t call_add_trust_pem(ssl_socket *s)
{
    return ssl_add_trust_pem(s, out, 16);
}

static int32_t call_use_system_trust(ssl_socket *s)
{
    return ssl_use_system_trust(s);
}

static int32_t call_set_identity_pem(ssl_socket *s)
{
    return ssl_set_identity_pem(s, out, 16, out, 16);
}

static int32_t call_set_identity_file(ssl_socket *s)
{
    return ssl_set_identity_file(s, "/nonexistent", "/nonexistent");
}

static int32_t call_perform_handshake(ssl_socket *s)
{
    return ssl_perform_handshake(s, "localhost");
}

static int32_t call_complete_validation(ssl_socket *s)
{
    return ssl_complete_validation(s, SSL_ERR_OKAY);
}

static int32_t call_cancel_handshake(ssl_socket *s)
{
    return ssl_cancel_handshake(s);
}

static int32_t call_connect(ssl_socket *s)
{
    return ssl_connect(s, out, sizeof(struct sockaddr_in));
}

static int32_t call_send(ssl_socket *s)
{
    return code_of(ssl_send(s, out, 16, 0));
}

static int32_t call_recv(ssl_socket *s)
{
    return code_of(ssl_recv(s, out, 16, MSG_DONTWAIT));
}

static int32_t call_pending(ssl_socket *s)
{
    return ssl_pending(s, (size_t *)(void *)out);
}

static int32_t call_shutdown(ssl_socket *s)
{
    return ssl_shutdown(s, SHUT_RDWR);
}

static int32_t call_get_transport_fd(ssl_socket *s)
{
    return ssl_get_transport_fd(s, (int32_t *)(void *)out);
}

static int32_t call_get_address(ssl_socket *s)
{
    return ssl_get_address(s, SSL_ADDRESS_PEER, out, (uint32_t *)(void *)(out + 1024));
}

static int32_t call_get_session_info(ssl_socket *s)
{
    return ssl_get_session_info(s, (ssl_session_info *)(void *)out);
}

static int32_t call_get_peer_certificate(ssl_socket *s)
{
    return ssl_get_peer_certificate(s, 0, out, 1024, (size_t *)(void *)(out + 1024));
}

static int32_t call_get_verify_report(ssl_socket *s)
{
    return ssl_get_verify_report(s, (ssl_verify_report *)(void *)out);
}

static int32_t call_get_verify_text(ssl_socket *s)
{
    return ssl_get_verify_text(s, SSL_TEXT_SUMMARY, 0, (char *)out, 1024, (size_t *)(void *)(out + 1024));
}

static int32_t call_get_error(ssl_socket *s)
{
    return ssl_get_error(s);
}

static int32_t call_get_error_text(ssl_socket *s)
{
    return ssl_get_error_text(s, (char *)out, 1024, (size_t *)(void *)(out + 1024));
}

static int32_t call_get_error_info(ssl_socket *s)
{
    return ssl_get_error_info(s, (ssl_error_info *)(void *)out);
}

static int32_t call_ioctl(ssl_socket *s)
{
    return ssl_ioctl(s, 0x50730002, NULL, 0, out, 1024, (uint32_t *)(void *)(out + 1024));
}

static int32_t call_hold(ssl_socket *s)
{
    return ssl_wce_hold(s, 0);
}

struct call {
    const char *name;
    int32_t (*call)(ssl_socket *s);
    /* NULL is not a handle to it but this thread. */
    int takes_null;
};

static const struct call calls[] = {
    {"ssl_socket_free", call_free, 0},
    {"ssl_set_flags", call_set_flags, 0},
    {"ssl_get_flags", call_get_flags, 0},
    {"ssl_set_validate_cert_hook", call_set_hook, 0},
    {"ssl_set_peername", call_set_peername, 0},
    {"ssl_set_timeout", call_set_timeout, 0},
    {"ssl_add_trust_file", call_add_trust_file, 0},
    {"ssl_add_trust_pem", call_add_trust_pem, 0},
    {"ssl_use_system_trust", call_use_system_trust, 0},
    {"ssl_set_identity_pem", call_set_identity_pem, 0},
    {"ssl_set_identity_file", call_set_identity_file, 0},
    {"ssl_perform_handshake", call_perform_handshake, 0},
    {"ssl_complete_validation", call_complete_validation, 0},
    {"ssl_cancel_handshake", call_cancel_handshake, 0},
    {"ssl_connect", call_connect, 0},
    {"ssl_send", call_send, 0},
    {"ssl_recv", call_recv, 0},
    {"ssl_pending", call_pending, 0},
    {"ssl_shutdown", call_shutdown, 0},
    {"ssl_get_transport_fd", call_get_transport_fd, 0},
    {"ssl_get_address", call_get_address, 0},
    {"ssl_get_session_info", call_get_session_info, 0},
    {"ssl_get_peer_certificate", call_get_peer_certificate, 0},
    {"ssl_get_verify_report", call_get_verify_report, 0},
    {"ssl_get_verify_text", call_get_verify_text, 0},
    {"ssl_ioctl", call_ioctl, 0},
    {"ssl_wce_hold", call_hold, 0},
    {"ssl_get_error", call_get_error, 1},
    {"ssl_get_error_text", call_get_error_text, 1},
    {"ssl_get_error_info", call_get_error_info, 1},
};
#define CALLS (sizeof calls / sizeof *calls)

static void fill(void)
{
    memset(out, CANARY, sizeof out);
}

static void check_untouched(const char *name)
{
    for (size_t i = 0; i < sizeof out; i++) {
        if (out[i] != CANARY) {
            FAIL("%s wrote at %zu", name, i);
        }
    }
}

static void expect_everywhere(ssl_socket *s, int32_t code)
{
    for (size_t i = 0; i < CALLS; i++) {
        int32_t answer;
        if (s == NULL && calls[i].takes_null) {
            continue;
        }
        fill();
        answer = calls[i].call(s);
        if (answer != code) {
            FAIL("%s(%p): %s instead of %s", calls[i].name, (void *)s, ssl_error_name(answer), ssl_error_name(code));
        }
        check_untouched(calls[i].name);
    }
}

static ssl_socket *token(uintptr_t value)
{
    return (ssl_socket *)value; // NOLINT: a handle is a number.
}

/* A handle on one end of a pair; the other end, and the number, are left to the end of the process. */
static ssl_socket *plain_handle(void)
{
    int ends[2];
    ssl_socket *s;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    s = ssl_socket_new(ends[0]);
    CHECK(s != NULL);
    return s;
}

static ssl_socket *open_handle(int *fd)
{
    *fd = peer_connect("SSLSOCK_PEER");
    return upgrade_to_peer(*fd, usual_way, "echo");
}

static void null_is_no_handle(const struct way *way)
{
    (void)way;
    expect_everywhere(NULL, SSL_ERR_BAD_HANDLE);
    /* With a table of handles, too. */
    CHECK(plain_handle() != NULL);
    expect_everywhere(NULL, SSL_ERR_BAD_HANDLE);
}

static void random_numbers_are_no_handles(const struct way *way)
{
    uint64_t state = 88172645463325252u;
    ssl_socket *live = plain_handle();

    (void)way;
    for (int round = 0; round < 100000; round++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if (token((uintptr_t)state) == live) {
            continue;
        }
        CHECK(ssl_get_error(token((uintptr_t)state)) == SSL_ERR_BAD_HANDLE);
        if (round < 200) {
            expect_everywhere(token((uintptr_t)state), SSL_ERR_BAD_HANDLE);
        }
    }
    CHECK(ssl_get_error(live) == SSL_ERR_OKAY);
}

static void small_and_large_numbers_are_no_handles(const struct way *way)
{
    (void)way;
    CHECK(plain_handle() != NULL);
    for (uintptr_t value = 1; value < 64; value++) {
        expect_everywhere(token(UINTPTR_MAX - value), SSL_ERR_BAD_HANDLE);
        expect_everywhere(token(value), SSL_ERR_BAD_HANDLE);
    }
    expect_everywhere(token(UINTPTR_MAX), SSL_ERR_BAD_HANDLE);
}

static void near_misses_are_no_handles(const struct way *way)
{
    ssl_socket *s = plain_handle();

    (void)way;
    for (unsigned bit = 0; bit < 64; bit++) {
        expect_everywhere(token((uintptr_t)s ^ (uintptr_t)1 << bit), SSL_ERR_BAD_HANDLE);
    }
    expect_everywhere(token((uintptr_t)s + 2), SSL_ERR_BAD_HANDLE);
    expect_everywhere(token((uintptr_t)s - 2), SSL_ERR_BAD_HANDLE);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
}

static void addresses_are_no_handles(const struct way *way)
{
    static int in_data;
    int on_stack = 0;
    char *on_heap = malloc(64);

    (void)way;
    CHECK(on_heap != NULL);
    CHECK(plain_handle() != NULL);
    for (uintptr_t offset = 0; offset < 8; offset++) {
        expect_everywhere(token((uintptr_t)&in_data + offset), SSL_ERR_BAD_HANDLE);
        expect_everywhere(token((uintptr_t)&on_stack + offset), SSL_ERR_BAD_HANDLE);
        expect_everywhere(token((uintptr_t)on_heap + offset), SSL_ERR_BAD_HANDLE);
    }
    expect_everywhere(token((uintptr_t)&ssl_send), SSL_ERR_BAD_HANDLE);
    expect_everywhere(token((uintptr_t)on_heap | 1), SSL_ERR_BAD_HANDLE);
    free(on_heap);
}

static void a_freed_handle_is_stale(const struct way *way)
{
    ssl_socket *s = plain_handle();
    int fd;
    ssl_socket *opened = open_handle(&fd);

    (void)way;
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    expect_everywhere(s, SSL_ERR_BAD_HANDLE);
    CHECK(ssl_socket_free(s) == SSL_ERR_BAD_HANDLE);
    CHECK(ssl_socket_free(opened) == SSL_ERR_OKAY);
    expect_everywhere(opened, SSL_ERR_BAD_HANDLE);
    CHECK(ssl_socket_free(opened) == SSL_ERR_BAD_HANDLE);
    send_pattern(fd, 10);
    receive_pattern(fd, 10, 0);
    CHECK(close(fd) == 0);
}

static void a_used_slot_does_not_revive_stale_handles(const struct way *way)
{
    enum { ROUNDS = 5000 };
    static ssl_socket *stale[ROUNDS];
    int ends[2];

    (void)way;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        stale[round] = ssl_socket_new(ends[0]);
        CHECK(stale[round] != NULL);
        CHECK(ssl_socket_free(stale[round]) == SSL_ERR_OKAY);
    }
    CHECK(ssl_socket_new(ends[0]) != NULL);
    for (int round = 0; round < ROUNDS; round++) {
        CHECK(ssl_get_error(stale[round]) == SSL_ERR_BAD_HANDLE);
        CHECK(ssl_socket_free(stale[round]) == SSL_ERR_BAD_HANDLE);
    }
    expect_everywhere(stale[0], SSL_ERR_BAD_HANDLE);
}

static void many_handles_are_all_different(const struct way *way)
{
    enum { HANDLES = 400 };
    static ssl_socket *handles[HANDLES];
    static int numbers[HANDLES][2];

    (void)way;
    for (size_t i = 0; i < HANDLES; i++) {
        ssl_socket *found = NULL;
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, numbers[i]) == 0);
        handles[i] = ssl_socket_new(numbers[i][0]);
        CHECK(handles[i] != NULL && ssl_set_timeout(handles[i], SSL_TIMEOUT_CLOSE, (uint32_t)i + 1) == SSL_ERR_OKAY);
        CHECK(ssl_socket_new(numbers[i][0]) == NULL && ssl_get_error(NULL) == SSL_ERR_STATE);
        CHECK(ssl_socket_from_fd(numbers[i][0], &found) == SSL_ERR_OKAY && found == handles[i]);
        for (size_t other = 0; other < i; other++) {
            CHECK(handles[other] != handles[i]);
        }
    }
    for (size_t i = 0; i < HANDLES; i++) {
        CHECK(ssl_socket_free(handles[i]) == SSL_ERR_OKAY);
    }
}

static void a_forked_child_cannot_use_its_parents_handles(const struct way *way)
{
    ssl_socket *plain = plain_handle();
    int fd;
    ssl_socket *opened = open_handle(&fd);
    int status = 0;
    pid_t child;

    (void)way;
    child = quiet_fork();
    if (child == 0) {
        expect_everywhere(plain, SSL_ERR_FORKED);
        expect_everywhere(opened, SSL_ERR_FORKED);
        /* Also once the child has handles of its own. */
        CHECK(plain_handle() != NULL);
        expect_everywhere(plain, SSL_ERR_FORKED);
        expect_everywhere(opened, SSL_ERR_FORKED);
        CHECK(ssl_socket_free(opened) == SSL_ERR_FORKED);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    send_pattern(fd, 1000);
    receive_pattern(fd, 1000, 0);
    CHECK(ssl_get_error(opened) == SSL_ERR_OKAY && ssl_get_error(plain) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    CHECK(ssl_socket_free(opened) == SSL_ERR_OKAY && ssl_socket_free(plain) == SSL_ERR_OKAY);
}

#define EXPECT(code, call)                                                                                   \
    do {                                                                                                     \
        int32_t answer_;                                                                                     \
        fill();                                                                                              \
        answer_ = (call);                                                                                    \
        if (answer_ != (code)) {                                                                             \
            FAIL("%s: %s instead of %s", #call, ssl_error_name(answer_), ssl_error_name(code));              \
        }                                                                                                    \
        check_untouched(#call);                                                                              \
    } while (0)

static void every_pointer_null(const struct way *way)
{
    ssl_socket *plain = plain_handle();
    int fd;
    ssl_socket *s = open_handle(&fd);
    char *buffer = (char *)out;
    size_t *length = (size_t *)(void *)(out + 1024);
    uint32_t *short_length = (uint32_t *)(void *)(out + 1024);

    (void)way;
    EXPECT(SSL_ERR_INVALID, ssl_socket_from_fd(fd, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_wce_secure(socket(AF_INET, SOCK_STREAM, 0), NULL));
    EXPECT(SSL_ERR_INVALID, ssl_ioctl(plain, 0x90730002, NULL, 4, NULL, 0, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_ioctl(plain, 0x50730002, NULL, 0, NULL, 4, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_flags(plain, NULL));
    EXPECT(SSL_ERR_OKAY, ssl_set_validate_cert_hook(plain, NULL, NULL));
    EXPECT(SSL_ERR_OKAY, ssl_set_peername(plain, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_add_trust_file(plain, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_add_trust_pem(plain, NULL, 10));
    EXPECT(SSL_ERR_BAD_DATA, ssl_add_trust_pem(plain, NULL, 0));
    EXPECT(SSL_ERR_INVALID, ssl_set_identity_pem(plain, NULL, 10, out, 10));
    EXPECT(SSL_ERR_INVALID, ssl_set_identity_pem(plain, out, 10, NULL, 10));
    EXPECT(SSL_ERR_BAD_DATA, ssl_set_identity_pem(plain, NULL, 0, NULL, 0));
    EXPECT(SSL_ERR_INVALID, ssl_set_identity_file(plain, NULL, "/nonexistent"));
    EXPECT(SSL_ERR_INVALID, ssl_set_identity_file(plain, "/nonexistent", NULL));
    EXPECT(SSL_ERR_INVALID, ssl_connect(plain, NULL, sizeof(struct sockaddr_in)));
    EXPECT(SSL_ERR_INVALID, code_of(ssl_send(s, NULL, 10, 0)));
    EXPECT(SSL_ERR_OKAY, code_of(ssl_send(s, NULL, 0, 0)));
    EXPECT(SSL_ERR_INVALID, code_of(ssl_recv(s, NULL, 10, MSG_DONTWAIT)));
    EXPECT(SSL_ERR_OKAY, code_of(ssl_recv(s, NULL, 0, MSG_DONTWAIT)));
    EXPECT(SSL_ERR_INVALID, ssl_pending(s, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_transport_fd(s, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_address(s, SSL_ADDRESS_PEER, NULL, short_length));
    EXPECT(SSL_ERR_INVALID, ssl_get_address(s, SSL_ADDRESS_PEER, out, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_session_info(s, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_peer_certificate(s, 0, NULL, 1024, length));
    EXPECT(SSL_ERR_INVALID, ssl_get_peer_certificate(s, 0, out, 1024, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_report(s, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, NULL, 1024, length));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, buffer, 1024, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_error_text(s, NULL, 1024, length));
    EXPECT(SSL_ERR_INVALID, ssl_get_error_text(s, buffer, 1024, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_error_info(s, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_get_error_info(NULL, NULL));
    EXPECT(SSL_ERR_OKAY, ssl_flush_all(5000, NULL));
    EXPECT(SSL_ERR_OKAY, ssl_set_log_callback(SSL_LOG_INFO, NULL, NULL));
    EXPECT(SSL_ERR_OKAY, ssl_wce_set_message_box(NULL, NULL));
    /* None of it was a failure of the connection. */
    send_pattern(fd, 10);
    receive_pattern(fd, 10, 0);
    EXPECT(SSL_ERR_NO_NAME, ssl_perform_handshake(plain, NULL));
    CHECK(close(fd) == 0);
}

static void misaligned_pointers(const struct way *way)
{
    int fd;
    ssl_socket *s = open_handle(&fd);
    unsigned char *odd = out + 1;

    (void)way;
    EXPECT(SSL_ERR_INVALID, ssl_socket_from_fd(fd, (ssl_socket **)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_flags(s, (uint32_t *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_pending(s, (size_t *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_transport_fd(s, (int32_t *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_address(s, SSL_ADDRESS_PEER, out + 1024, (uint32_t *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_session_info(s, (ssl_session_info *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_peer_certificate(s, 0, out + 1024, 1024, (size_t *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_report(s, (ssl_verify_report *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_report(s, (ssl_verify_report *)(void *)(out + 4)));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, (char *)out + 1024, 1024, (size_t *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_error_text(s, (char *)out + 1024, 1024, (size_t *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_get_error_info(s, (ssl_error_info *)(void *)odd));
    EXPECT(SSL_ERR_INVALID, ssl_flush_all(0, (uint32_t *)(void *)odd));
    CHECK(close(fd) == 0);
}

struct sized {
    const char *name;
    int32_t (*call)(ssl_socket *s);
    uint32_t size;
};

static void structures_say_their_size(const struct way *way)
{
    static const struct sized structures[] = {
        {"ssl_session_info", call_get_session_info, sizeof(ssl_session_info)},
        {"ssl_verify_report", call_get_verify_report, sizeof(ssl_verify_report)},
        {"ssl_error_info", call_get_error_info, sizeof(ssl_error_info)},
    };
    int fd;
    ssl_socket *s = open_handle(&fd);

    (void)way;
    for (size_t i = 0; i < sizeof structures / sizeof *structures; i++) {
        const struct sized *structure = &structures[i];
        const uint32_t too_small[] = {0, 1, 4, structure->size - 1};
        const uint32_t large_enough[] = {structure->size, structure->size + 1, structure->size + 512, UINT32_MAX};

        for (size_t j = 0; j < 4; j++) {
            fill();
            memcpy(out, &too_small[j], 4);
            CHECK(structure->call(s) == SSL_ERR_INVALID);
            CHECK(memcmp(out, &too_small[j], 4) == 0);
            memset(out, CANARY, 4);
            check_untouched(structure->name);
        }
        for (size_t j = 0; j < 4; j++) {
            fill();
            memcpy(out, &large_enough[j], 4);
            CHECK(structure->call(s) == SSL_ERR_OKAY);
            CHECK(memcmp(out, &structure->size, 4) == 0);
            memset(out, CANARY, structure->size);
            check_untouched(structure->name);
        }
    }
    CHECK(close(fd) == 0);
}

static void wrong_lengths(const struct way *way)
{
    static const size_t impossible[] = {SIZE_MAX, SIZE_MAX - 1, (size_t)PTRDIFF_MAX + 1};
    static const uint32_t no_address[] = {0, 1, sizeof(struct sockaddr_storage) + 1, 65536, UINT32_MAX};
    ssl_socket *plain = plain_handle();
    int fd;
    ssl_socket *s = open_handle(&fd);
    char *buffer = (char *)out;
    size_t *length = (size_t *)(void *)(out + 1024);

    (void)way;
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        size_t size = impossible[i];
        EXPECT(SSL_ERR_INVALID, code_of(ssl_send(s, out, size, 0)));
        EXPECT(SSL_ERR_INVALID, code_of(ssl_recv(s, out, size, MSG_DONTWAIT)));
        EXPECT(SSL_ERR_INVALID, ssl_add_trust_pem(plain, out, size));
        EXPECT(SSL_ERR_INVALID, ssl_set_identity_pem(plain, out, size, out, 16));
        EXPECT(SSL_ERR_INVALID, ssl_set_identity_pem(plain, out, 16, out, size));
        EXPECT(SSL_ERR_INVALID, ssl_get_error_text(s, buffer, size, length));
        EXPECT(SSL_ERR_INVALID, ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, buffer, size, length));
        EXPECT(SSL_ERR_INVALID, ssl_get_peer_certificate(s, 0, out, size, length));
    }
    for (size_t i = 0; i < sizeof no_address / sizeof *no_address; i++) {
        unsigned char small[2] = {0, 0};
        EXPECT(SSL_ERR_INVALID, ssl_connect(plain, small, no_address[i]));
    }
    CHECK(close(fd) == 0);
}

static void unknown_numbers(const struct way *way)
{
    ssl_socket *plain = plain_handle();
    int fd;
    ssl_socket *s = open_handle(&fd);
    char *buffer = (char *)out;
    size_t *length = (size_t *)(void *)(out + 1024);

    (void)way;
    EXPECT(SSL_ERR_INVALID, ssl_set_flags(plain, 0x80000000));
    EXPECT(SSL_ERR_INVALID, ssl_set_flags(plain, UINT32_MAX));
    EXPECT(SSL_ERR_STATE, ssl_set_flags(s, SSL_FLAG_EXPLICIT_IO));
    EXPECT(SSL_ERR_INVALID, ssl_set_timeout(plain, 0, 1000));
    EXPECT(SSL_ERR_INVALID, ssl_set_timeout(plain, 3, 1000));
    EXPECT(SSL_ERR_INVALID, ssl_set_timeout(plain, SSL_TIMEOUT_CLOSE, 0));
    EXPECT(SSL_ERR_INVALID, code_of(ssl_send(s, out, 16, MSG_OOB)));
    EXPECT(SSL_ERR_INVALID, code_of(ssl_recv(s, out, 16, MSG_OOB | MSG_DONTWAIT)));
    EXPECT(SSL_ERR_INVALID, ssl_shutdown(s, 3));
    EXPECT(SSL_ERR_INVALID, ssl_shutdown(s, -1));
    EXPECT(SSL_ERR_INVALID, ssl_get_address(s, 3, out, (uint32_t *)(void *)(out + 1024)));
    EXPECT(SSL_ERR_INVALID, ssl_get_peer_certificate(s, 99, out, 1024, length));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_text(s, 99, 0, buffer, 1024, length));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 1, buffer, 1024, length));
    EXPECT(SSL_ERR_INVALID, ssl_get_verify_text(s, SSL_TEXT_PRESENTED, 99, buffer, 1024, length));
    EXPECT(SSL_ERR_INVALID, ssl_set_log_callback(99, NULL, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_set_relay_threads(257));
    EXPECT(SSL_ERR_INVALID, ssl_set_relay_threads(UINT32_MAX));
    EXPECT(SSL_ERR_OKAY, ssl_set_relay_threads(256));
    EXPECT(SSL_ERR_OKAY, ssl_set_relay_threads(0));
    CHECK(strcmp(ssl_error_name(12345), "SSL_ERR_(unknown)") == 0 && strcmp(ssl_error_name(-1), "SSL_ERR_(hook)") == 0);
    CHECK(ssl_error_category(12345) == SSL_CATEGORY_INTERNAL);
    CHECK(ssl_error_category(SSL_ERR_BAD_HANDLE) == SSL_CATEGORY_USAGE);
    CHECK(close(fd) == 0);
}

/* The right capacity is enough, one byte less is not and says what is needed. */
static void capacities(const struct way *way)
{
    int fd;
    ssl_socket *s = open_handle(&fd);
    size_t needed = 0;
    size_t length = 0;
    uint32_t short_needed = 0;
    char *exact;

    (void)way;
    CHECK(ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, NULL, 0, &needed) == SSL_ERR_BUFFER && needed > 1);
    exact = malloc(needed);
    CHECK(exact != NULL);
    memset(exact, CANARY, needed);
    CHECK(ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, exact, needed - 1, &length) == SSL_ERR_BUFFER && length == needed);
    CHECK((unsigned char)exact[0] == CANARY);
    CHECK(ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, exact, needed, &length) == SSL_ERR_OKAY && length == needed);
    CHECK(strlen(exact) == needed - 1);
    free(exact);

    CHECK(ssl_get_peer_certificate(s, 0, NULL, 0, &needed) == SSL_ERR_BUFFER && needed > 100);
    exact = malloc(needed);
    CHECK(exact != NULL && ssl_get_peer_certificate(s, 0, exact, needed, &length) == SSL_ERR_OKAY && length == needed);
    free(exact);

    CHECK(ssl_get_address(s, SSL_ADDRESS_LOCAL, NULL, &short_needed) == SSL_ERR_BUFFER);
    CHECK(short_needed == sizeof(struct sockaddr_in));
    exact = malloc(short_needed);
    CHECK(exact != NULL && ssl_get_address(s, SSL_ADDRESS_LOCAL, exact, &short_needed) == SSL_ERR_OKAY);
    free(exact);
    CHECK(close(fd) == 0);
}

static void names_that_are_none(const struct way *way)
{
    static char long_name[65537];
    static const char *const names[] = {"\xff\xfe", "a b", "-", "host\n", "1.2.3.4.5", "[::1]:443"};
    ssl_socket *s = plain_handle();

    (void)way;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int32_t answer = ssl_set_peername(s, names[i]);
        if (answer != SSL_ERR_INVALID) {
            FAIL("\"%s\": %s", names[i], ssl_error_name(answer));
        }
    }
    CHECK(ssl_set_peername(s, "") == SSL_ERR_NO_NAME);
    memset(long_name, 'a', sizeof long_name - 1);
    CHECK(ssl_set_peername(s, long_name) == SSL_ERR_INVALID);
    CHECK(ssl_add_trust_file(s, long_name) == SSL_ERR_IO);
}

static void a_name_that_is_none_ends_the_connection(const struct way *way)
{
    int ends[2];
    char byte;
    ssl_socket *s;

    (void)way;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    s = ssl_socket_new(ends[0]);
    CHECK(s != NULL && ssl_perform_handshake(s, "\xff\xfe") == SSL_ERR_INVALID);
    CHECK(send(ends[0], "password", 8, MSG_NOSIGNAL) == -1);
    CHECK(recv(ends[1], &byte, 1, MSG_DONTWAIT) <= 0);
    CHECK(ssl_get_error(s) == SSL_ERR_INVALID);
}

static void descriptors_that_are_none(const struct way *way)
{
    static const int32_t wrong[] = {-1, -2, INT32_MIN, INT32_MAX, 999};
    int pipe_ends[2];
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    ssl_socket *s = NULL;

    (void)way;
    CHECK(pipe(pipe_ends) == 0 && datagram >= 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(ssl_socket_new(wrong[i]) == NULL && ssl_get_error(NULL) == SSL_ERR_INVALID);
        CHECK(ssl_socket_from_fd(wrong[i], &s) == SSL_ERR_BAD_HANDLE && s == NULL);
    }
    CHECK(ssl_socket_new(pipe_ends[0]) == NULL && ssl_get_error(NULL) == SSL_ERR_INVALID);
    CHECK(ssl_socket_new(datagram) == NULL && ssl_get_error(NULL) == SSL_ERR_INVALID);
    CHECK(ssl_version()[0] != '\0' && ssl_abi_version() == SSL_ABI_VERSION);
}

static void the_defaults_take_settings_only(const struct way *way)
{
    ssl_socket *s = ssl_defaults();
    uint32_t flags = 0;

    (void)way;
    CHECK(s != NULL && ssl_defaults() == s);
    CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_STATE);
    CHECK(ssl_send(s, "x", 1, 0) == -1);
    CHECK(ssl_socket_free(s) == SSL_ERR_INVALID);
    CHECK(ssl_set_flags(s, SSL_FLAG_UNIX_PAIR) == SSL_ERR_OKAY);
    CHECK(ssl_get_flags(plain_handle(), &flags) == SSL_ERR_OKAY && flags == SSL_FLAG_UNIX_PAIR);
}

#ifdef __SANITIZE_ADDRESS__
/* The write to freed memory is the library's, so it is seen only if the library itself is instrumented. */
static void the_library_is_instrumented(const struct way *way)
{
    ssl_socket *s = plain_handle();
    char said[65536];
    size_t length = 0;
    ssize_t count;
    int channel[2];
    int status = 0;
    pid_t child;

    (void)way;
    CHECK(pipe(channel) == 0);
    child = fork();
    if (child == 0) {
        ssl_socket *own;
        /* As a number, or the compiler itself would see what is wrong here. */
        volatile uintptr_t freed = (uintptr_t)malloc(sizeof(uint32_t));
        dup2(channel[1], STDERR_FILENO);
        close(channel[0]);
        close(channel[1]);
        own = plain_handle();
        free((void *)freed);
        ssl_get_flags(own, (uint32_t *)freed);
        _exit(0);
    }
    close(channel[1]);
    while (length < sizeof said - 1 && (count = read(channel[0], said + length, sizeof said - 1 - length)) > 0) {
        length += (size_t)count;
    }
    said[length] = '\0';
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    CHECK(strstr(said, "AddressSanitizer: heap-use-after-free") != NULL);
    CHECK(strstr(said, "WRITE of size 4") != NULL);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
}
#endif

int main(int argc, char **argv)
{
    static const struct test tests[] = {
#ifdef __SANITIZE_ADDRESS__
        {"the_library_is_instrumented", the_library_is_instrumented, NULL, 0},
#endif
        {"null_is_no_handle", null_is_no_handle, NULL, 0},
        {"random_numbers_are_no_handles", random_numbers_are_no_handles, NULL, 0},
        {"small_and_large_numbers_are_no_handles", small_and_large_numbers_are_no_handles, NULL, 0},
        {"near_misses_are_no_handles", near_misses_are_no_handles, NULL, 0},
        {"addresses_are_no_handles", addresses_are_no_handles, NULL, 0},
        {"a_freed_handle_is_stale", a_freed_handle_is_stale, NULL, 0},
        {"a_used_slot_does_not_revive_stale_handles", a_used_slot_does_not_revive_stale_handles, NULL, 0},
        {"many_handles_are_all_different", many_handles_are_all_different, NULL, 0},
        {"a_forked_child_cannot_use_its_parents_handles", a_forked_child_cannot_use_its_parents_handles, NULL, 0},
        {"every_pointer_null", every_pointer_null, NULL, 0},
        {"misaligned_pointers", misaligned_pointers, NULL, 0},
        {"structures_say_their_size", structures_say_their_size, NULL, 0},
        {"wrong_lengths", wrong_lengths, NULL, 0},
        {"unknown_numbers", unknown_numbers, NULL, 0},
        {"capacities", capacities, NULL, 0},
        {"names_that_are_none", names_that_are_none, NULL, 0},
        {"a_name_that_is_none_ends_the_connection", a_name_that_is_none_ends_the_connection, NULL, 0},
        {"descriptors_that_are_none", descriptors_that_are_none, NULL, 0},
        {"the_defaults_take_settings_only", the_defaults_take_settings_only, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
