/*
 * Windows CE's ioctl codes: what each does, and what real programs put into the buffers. For names see peer_name.c.
 */
#define _GNU_SOURCE

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/dead.h"
#include "common/listener.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define CANARY 0xa5

static void flags_are_set_and_read_back(const struct way *way)
{
    int fd;
    ssl_socket *s = connected_handle(&fd);
    uint32_t flags = 1;
    uint32_t returned = 0;
    uint32_t wide[4] = {SSL_FLAG_STRICT, CANARY, CANARY, CANARY};

    (void)way;
    CHECK(ssl_ioctl(s, GET_FLAGS, NULL, 0, &flags, sizeof flags, &returned) == SSL_ERR_OKAY);
    CHECK(flags == 0 && returned == sizeof flags);
    /* As the program does that reads them, adds one and writes them back. */
    flags |= SSL_FLAG_DEFER_HANDSHAKE;
    CHECK(ssl_ioctl(s, SET_FLAGS, &flags, sizeof flags, NULL, 0, &returned) == SSL_ERR_OKAY && returned == 0);
    CHECK(ssl_ioctl(s, GET_FLAGS, NULL, 0, &flags, sizeof flags, NULL) == SSL_ERR_OKAY);
    CHECK(flags == SSL_FLAG_DEFER_HANDSHAKE);
    /* The first four bytes count. */
    CHECK(set_code(s, SET_FLAGS, wide, sizeof wide) == SSL_ERR_OKAY);
    CHECK(ssl_get_flags(s, &flags) == SSL_ERR_OKAY && flags == SSL_FLAG_STRICT);
    CHECK(set_code_flags(s, 0x1) == SSL_ERR_INVALID);
    CHECK(set_code_flags(s, SSL_FLAG_AUTH_CLIENT | 0x80000000u) == SSL_ERR_INVALID);
    for (uint32_t length = 0; length < sizeof flags; length++) {
        CHECK(set_code(s, SET_FLAGS, wide, length) == SSL_ERR_INVALID);
    }
    expect_error_text(s, "SO_SSL_SET_FLAGS takes a DWORD of 4 bytes, not 3");
    CHECK(set_code(s, SET_FLAGS, NULL, sizeof flags) == SSL_ERR_INVALID);
    CHECK(ssl_get_flags(s, &flags) == SSL_ERR_OKAY && flags == SSL_FLAG_STRICT);
}

static void what_is_read_needs_room(const struct way *way)
{
    static const struct {
        uint32_t code;
        uint32_t size;
    } reading[] = {{GET_FLAGS, sizeof(uint32_t)}, {GET_HOOK, sizeof(struct hook)}};
    unsigned char out[64];
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    for (size_t i = 0; i < sizeof reading / sizeof *reading; i++) {
        uint32_t size = reading[i].size;
        for (uint32_t capacity = 0; capacity < sizeof out; capacity++) {
            int32_t expected = capacity < size ? SSL_ERR_BUFFER : SSL_ERR_OKAY;
            uint32_t returned = CANARY;
            memset(out, CANARY, sizeof out);
            CHECK(ssl_ioctl(s, reading[i].code, NULL, 0, out, capacity, &returned) == expected);
            CHECK(returned == size);
            for (size_t at = expected == SSL_ERR_OKAY ? size : 0; at < sizeof out; at++) {
                CHECK(out[at] == CANARY);
            }
            CHECK(ssl_ioctl(s, reading[i].code, NULL, 0, out, capacity, NULL) == expected);
        }
        CHECK(ssl_ioctl(s, reading[i].code, NULL, 0, NULL, 0, NULL) == SSL_ERR_BUFFER);
        CHECK(ssl_ioctl(s, reading[i].code, NULL, 0, NULL, size, NULL) == SSL_ERR_INVALID);
        /* The same buffer for both, and one that is not aligned. */
        CHECK(ssl_ioctl(s, reading[i].code, out + 1, 32, out + 1, 32, NULL) == SSL_ERR_OKAY);
    }
}

static void the_hook_is_copied_and_read_back(const struct way *way)
{
    struct hook_calls call = {0, 0, SSL_ERR_OKAY};
    struct hook found = {NULL, &call};
    struct hook none = {NULL, &call};
    uint32_t returned = 0;
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    CHECK(ssl_ioctl(s, GET_HOOK, NULL, 0, &found, sizeof found, &returned) == SSL_ERR_OKAY);
    CHECK(found.function == NULL && found.argument == NULL && returned == sizeof found);
    set_counting_hook(s, &call);
    CHECK(ssl_ioctl(s, GET_HOOK, NULL, 0, &found, sizeof found, NULL) == SSL_ERR_OKAY);
    CHECK(found.function == count_hook_call && found.argument == &call);
    for (uint32_t length = 0; length < sizeof found; length++) {
        CHECK(set_code(s, SET_HOOK, &none, length) == SSL_ERR_INVALID);
    }
    expect_error_text(s, "SSLVALIDATECERTHOOK has 16 bytes, not 15");
    CHECK(ssl_ioctl(s, GET_HOOK, NULL, 0, &found, sizeof found, NULL) == SSL_ERR_OKAY);
    CHECK(found.function == count_hook_call && found.argument == &call);
    /* The other way of setting it. */
    CHECK(ssl_set_validate_cert_hook(s, count_hook_call, &found) == SSL_ERR_OKAY);
    CHECK(ssl_ioctl(s, GET_HOOK, NULL, 0, &found, sizeof found, NULL) == SSL_ERR_OKAY);
    CHECK(found.function == count_hook_call && found.argument == &found);
    /* Cleared: now nobody decides about a peer without a name. */
    CHECK(set_code(s, SET_HOOK, &none, sizeof none) == SSL_ERR_OKAY);
    CHECK(ssl_ioctl(s, GET_HOOK, NULL, 0, &found, sizeof found, NULL) == SSL_ERR_OKAY && found.function == NULL);
    CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_NO_NAME && call.times == 0);
}

static void a_handshake_with_flags_hook_and_name(const struct way *way)
{
    struct hook_calls call = {0, 0xff, SSL_ERR_OKAY};
    uint32_t returned = CANARY;
    int fd;
    ssl_socket *s = connected_handle(&fd);

    CHECK(set_code_flags(s, way->flags | SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_OKAY);
    set_counting_hook(s, &call);
    CHECK(set_code(s, SET_PEERNAME, "localhost", 10) == SSL_ERR_OKAY);
    CHECK(ssl_ioctl(s, PERFORM_HANDSHAKE, NULL, 0, NULL, 0, &returned) == SSL_ERR_OKAY && returned == 0);
    CHECK(call.times == 1 && call.flags == 0);
    CHECK(ssl_send(s, "echo\n", 5, 0) == 5);
    say_pattern(fd, s, way, 1000, 0);
    receive_through(s, fd, way, 1000, 0);
    /* From here on there is nothing to set, and a second handshake changes nothing. */
    CHECK(set_code_flags(s, 0) == SSL_ERR_STATE);
    CHECK(set_code(s, SET_PEERNAME, "localhost", 10) == SSL_ERR_STATE);
    CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_STATE);
    say_pattern(fd, s, way, 1000, 1000);
    receive_through(s, fd, way, 1000, 1000);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
}

static void what_the_hook_refuses_has_its_value(const struct way *way)
{
    struct hook_calls call = {0, 0, -1};
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    set_counting_hook(s, &call);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 9) == -1 && call.times == 1);
    expect_dead(fd);
}

static int is_known(uint32_t code)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (code == all_codes[i]) {
            return 1;
        }
    }
    return 0;
}

static void other_numbers_are_refused(const struct way *way)
{
    /* FIONBIO and its like by both systems' numbers, the hook's number without directions, the gap in the list. */
    static const uint32_t unknown[] = {
        0, UINT32_MAX, 0x8004667Eu, 0x4004667Fu, 0x40047307u, 0x5421, 0x541B, 0x8905, 0x10730008u, 0x1073000Cu,
        0x9073000Cu, 0x5073000Cu, 0x50730000u, 0x9073000Eu, 0x90730001u, 0xD073000Fu, 0x10730002u, 0x9073000Du,
    };
    unsigned char bytes[32];
    uint32_t returned = CANARY;
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    memset(bytes, CANARY, sizeof bytes);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK(ssl_ioctl(s, unknown[i], bytes, 16, bytes, 32, &returned) == SSL_ERR_INVALID);
    }
    for (uint32_t low = 0; low < 0x40; low++) {
        for (uint32_t high = 0; high < 16; high++) {
            uint32_t code = high << 28 | 0x00730000u | low;
            if (!is_known(code)) {
                CHECK(ssl_ioctl(s, code, bytes, 16, bytes, 32, &returned) == SSL_ERR_INVALID);
            }
        }
    }
    expect_error_text(s, "0xf073003f is none of the SO_SSL_* codes");
    CHECK(returned == CANARY);
    for (size_t i = 0; i < sizeof bytes; i++) {
        CHECK(bytes[i] == CANARY);
    }
    /* None of it has done any harm. */
    CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_OKAY);
    echo_on(fd);
}

static void stray_buffers_are_left_alone(const struct way *way)
{
    struct hook_calls call = {0, 0, SSL_ERR_OKAY};
    struct hook hook = {count_hook_call, &call};
    uint32_t flags = SSL_FLAG_DEFER_HANDSHAKE;
    uint32_t returned = CANARY;
    unsigned char out[16];
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    memset(out, CANARY, sizeof out);
    CHECK(ssl_ioctl(s, SET_HOOK, &hook, sizeof hook, out, 4, &returned) == SSL_ERR_OKAY && returned == 0);
    CHECK(ssl_ioctl(s, SET_FLAGS, &flags, sizeof flags, out, sizeof out, NULL) == SSL_ERR_OKAY);
    CHECK(ssl_ioctl(s, SET_PEERNAME, "localhost", 10, out, sizeof out, &returned) == SSL_ERR_OKAY && returned == 0);
    CHECK(ssl_ioctl(s, GET_FLAGS, out, sizeof out, &flags, sizeof flags, &returned) == SSL_ERR_OKAY && returned == 4);
    /* Also pointers that lead nowhere. */
    CHECK(ssl_ioctl(s, SET_FLAGS, &flags, sizeof flags, (void *)(uintptr_t)1, 99, NULL) == SSL_ERR_OKAY);
    CHECK(ssl_ioctl(s, PERFORM_HANDSHAKE, NULL, 0, out, sizeof out, &returned) == SSL_ERR_OKAY && returned == 0);
    CHECK(call.times == 1);
    for (size_t i = 0; i < sizeof out; i++) {
        CHECK(out[i] == CANARY);
    }
    echo_on(fd);
}

static void a_misaligned_count_is_refused(const struct way *way)
{
    _Alignas(16) unsigned char bytes[32] = {0};
    uint32_t *odd = (uint32_t *)(void *)(bytes + 1);
    uint32_t flags = SSL_FLAG_STRICT;
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    CHECK(ssl_ioctl(s, SET_FLAGS, &flags, sizeof flags, NULL, 0, odd) == SSL_ERR_INVALID);
    CHECK(ssl_ioctl(s, GET_FLAGS, NULL, 0, bytes + 8, 4, odd) == SSL_ERR_INVALID);
    CHECK(ssl_get_flags(s, &flags) == SSL_ERR_OKAY && flags == 0);
    for (size_t i = 0; i < sizeof bytes; i++) {
        CHECK(bytes[i] == 0);
    }
    /* An upgrade that is asked for wrongly still is one that has failed. */
    CHECK(ssl_ioctl(s, PERFORM_HANDSHAKE, "localhost", 9, NULL, 0, odd) == SSL_ERR_INVALID);
    expect_dead(fd);
}

static void what_is_no_handle(const struct way *way)
{
    unsigned char bytes[16] = {0};
    int fd;
    ssl_socket *stale = connected_handle(&fd);
    ssl_socket *none[] = {NULL, (ssl_socket *)(uintptr_t)1, (ssl_socket *)bytes, (ssl_socket *)UINTPTR_MAX, stale};

    (void)way;
    CHECK(ssl_socket_free(stale) == SSL_ERR_OKAY);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        for (size_t code = 0; code < CODE_COUNT; code++) {
            uint32_t number = all_codes[code];
            uint32_t returned = CANARY;
            CHECK(ssl_ioctl(none[i], number, bytes, 16, bytes, 16, &returned) == SSL_ERR_BAD_HANDLE);
            CHECK(returned == CANARY);
        }
    }
    /* The connection of a freed handle is as it was. */
    CHECK(send(fd, "S", 1, MSG_NOSIGNAL) == 1);
    CHECK(set_code_flags(ssl_defaults(), SSL_FLAG_STRICT) == SSL_ERR_OKAY);
    CHECK(set_code(ssl_defaults(), PERFORM_HANDSHAKE, "localhost", 9) == SSL_ERR_STATE);
}

static int32_t ask_inside(uint32_t type, void *s, uint32_t chain_len, const ssl_blob *chain, uint32_t flags)
{
    uint32_t found;

    (void)type;
    (void)chain_len;
    (void)chain;
    (void)flags;
    CHECK(ssl_ioctl(s, GET_FLAGS, NULL, 0, &found, sizeof found, NULL) == SSL_ERR_REENTRANT);
    CHECK(set_code_flags(s, 0) == SSL_ERR_REENTRANT);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 9) == SSL_ERR_REENTRANT);
    return SSL_ERR_OKAY;
}

static void inside_the_hook_it_is_refused(const struct way *way)
{
    int fd;
    ssl_socket *s = connected_handle(&fd);
    struct hook hook = {ask_inside, s};

    (void)way;
    CHECK(set_code(s, SET_HOOK, &hook, sizeof hook) == SSL_ERR_OKAY);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 9) == SSL_ERR_OKAY);
    echo_on(fd);
}

static void a_forked_child_that_asks_for_the_handshake_sends_nothing(const struct way *way)
{
    struct listener listener = listen_on(AF_INET);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int status = 0;
    ssl_socket *s;
    pid_t child;
    int other;

    (void)way;
    connect_to(fd, &listener);
    other = accept_from(&listener);
    s = ssl_socket_new(fd);
    CHECK(s != NULL);
    child = quiet_fork();
    if (child == 0) {
        CHECK(set_code_flags(s, 0) == SSL_ERR_FORKED);
        CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 9) == SSL_ERR_FORKED);
        expect_dead(fd);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(close(fd) == 0);
    CHECK(read_to_end(other).bytes == 0);
}

/* A handle whose peer has ended already, so that no handshake waits for an answer or gets as far as a hook. */
static ssl_socket *lonely_handle(int ends[2])
{
    ssl_socket *s;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && shutdown(ends[1], SHUT_WR) == 0);
    s = ssl_socket_new(ends[0]);
    CHECK(s != NULL);
    return s;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Every code with buffers of every length up to 64 bytes, filled with whatever. */
static void garbage_in_every_buffer(const struct way *way)
{
    uint64_t state = 88172645463325252u;
    int ends[2];
    ssl_socket *s = lonely_handle(ends);

    (void)way;
    for (int round = 0; round < rounds(20, 2000); round++) {
        for (size_t code = 0; code < CODE_COUNT; code++) {
            uint32_t number = all_codes[code];
            for (uint32_t length = 0; length <= 64; length++) {
                /* Of their exact sizes, so that AddressSanitizer sees a byte too much. */
                unsigned char *in = malloc(length ? length : 1);
                uint32_t capacity = (uint32_t)(next_random(&state) % 65);
                unsigned char *out = malloc(capacity ? capacity : 1);
                uint32_t returned = CANARY;
                int32_t answer;
                CHECK(in != NULL && out != NULL);
                for (uint32_t i = 0; i < length; i++) {
                    uint64_t random = next_random(&state);
                    /* Letters now and then, and small numbers. */
                    in[i] = (unsigned char)(random & 0x100 ? 'a' + random % 26 : random & 0x200 ? random % 4 : random);
                }
                answer = ssl_ioctl(s, number, in, length, out, capacity, next_random(&state) & 1 ? &returned : NULL);
                CHECK(answer >= 0);
                if (number == PERFORM_HANDSHAKE) {
                    CHECK(answer != SSL_ERR_OKAY);
                    CHECK(send(ends[0], "x", 1, MSG_NOSIGNAL) == -1);
                    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(ends[0]) == 0 && close(ends[1]) == 0);
                    s = lonely_handle(ends);
                }
                free(in);
                free(out);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"flags_are_set_and_read_back", flags_are_set_and_read_back, NULL, 0},
        {"what_is_read_needs_room", what_is_read_needs_room, NULL, 0},
        {"the_hook_is_copied_and_read_back", the_hook_is_copied_and_read_back, NULL, 0},
        {"a_handshake_with_flags_hook_and_name", a_handshake_with_flags_hook_and_name, each_mode, 0},
        {"what_the_hook_refuses_has_its_value", what_the_hook_refuses_has_its_value, NULL, 0},
        {"other_numbers_are_refused", other_numbers_are_refused, NULL, 0},
        {"stray_buffers_are_left_alone", stray_buffers_are_left_alone, NULL, 0},
        {"a_misaligned_count_is_refused", a_misaligned_count_is_refused, NULL, 0},
        {"what_is_no_handle", what_is_no_handle, NULL, 0},
        {"inside_the_hook_it_is_refused", inside_the_hook_it_is_refused, NULL, 0},
        {"a_forked_child_that_asks_for_the_handshake_sends_nothing",
         a_forked_child_that_asks_for_the_handshake_sends_nothing, NULL, 0},
        {"garbage_in_every_buffer", garbage_in_every_buffer, NULL, 600},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
