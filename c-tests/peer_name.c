/*
 * The peer's name by Windows CE's ioctl codes: where it stands, which one counts, and what happens without one.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/dead.h"
#include "common/listener.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define PAGE 4096

/* A handshake of which only the beginning matters. */
struct trial {
    const void *in;
    uint32_t in_len;
    const char *peername;
    /* Without one there has to be a name. */
    int without_hook;
    int32_t answer;
};

static void *read_hello(void *listener)
{
    int fd = accept_from(listener);
    const char *name = name_in_hello(fd);

    CHECK(close(fd) == 0);
    return (void *)(uintptr_t)name;
}

/* The name that the peer is told, "" if none. */
static const char *told(struct trial *trial)
{
    struct listener listener = listen_on(AF_INET);
    struct hook_calls call = {0, 0, SSL_ERR_OKAY};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ssl_socket *s;
    pthread_t thread;
    void *name;

    connect_to(fd, &listener);
    s = ssl_socket_new(fd);
    CHECK(s != NULL);
    if (!trial->without_hook) {
        set_counting_hook(s, &call);
    }
    if (trial->peername != NULL) {
        CHECK(set_code(s, SET_PEERNAME, trial->peername, (uint32_t)strlen(trial->peername)) == SSL_ERR_OKAY);
    }
    CHECK(pthread_create(&thread, NULL, read_hello, &listener) == 0);
    trial->answer = set_code(s, PERFORM_HANDSHAKE, trial->in, trial->in_len);
    CHECK(trial->answer != SSL_ERR_OKAY);
    CHECK(pthread_join(thread, &name) == 0);
    expect_dead(fd);
    CHECK(call.times == 0 && ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0 && close(listener.fd) == 0);
    return name;
}

#define EXPECT_TOLD(name, ...)                                        \
    do {                                                              \
        struct trial trial_ = {__VA_ARGS__};                          \
        const char *told_ = told(&trial_);                            \
        if (strcmp(told_, name) != 0) {                               \
            FAIL("the peer was told \"%s\", not \"%s\"", told_, name); \
        }                                                             \
    } while (0)

static void the_peer_name_by_all_its_codes(const struct way *way)
{
    static const uint32_t codes[] = {SET_PEERNAME, SET_PEERNAME_OUT, SET_PEERNAME_VOID};
    static const char *const names[] = {"localhost", "127.0.0.2", "mail.test", "MAIL.test."};

    (void)way;
    for (size_t code = 0; code < sizeof codes / sizeof *codes; code++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            /* Without the NUL, and with it. */
            for (uint32_t extra = 0; extra < 2; extra++) {
                int fd;
                ssl_socket *s = connected_handle(&fd);
                CHECK(set_code(s, codes[code], names[i], (uint32_t)strlen(names[i]) + extra) == SSL_ERR_OKAY);
                CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_OKAY);
                echo_on(fd);
                CHECK(close(fd) == 0 && ssl_socket_free(s) == SSL_ERR_OKAY);
            }
        }
    }
}

static void the_peer_name_is_checked_and_cleared(const struct way *way)
{
    static const struct {
        const char *bytes;
        uint32_t length;
    } wrong[] = {
        {"mail test", 9},        {"mail.test:993", 13},
        {"\xff\xfe\xfd", 3},     {"b\xc3\xbc" "cher.test", 12},
        {"\x90\x78\x56\x34\x12\x7f\0\0", 8},
    };
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    CHECK(set_code(s, SET_PEERNAME, "other.test", 10) == SSL_ERR_OKAY);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(set_code(s, SET_PEERNAME, wrong[i].bytes, wrong[i].length) == SSL_ERR_INVALID);
    }
    CHECK(set_code(s, SET_PEERNAME, NULL, 4) == SSL_ERR_INVALID);
    CHECK(set_code(s, SET_PEERNAME, "mail test", 9) == SSL_ERR_INVALID);
    expect_error_text(s, "not a host name: \"mail test\"");
    CHECK(set_code(s, SET_PEERNAME, "", 1) == SSL_ERR_OKAY);
    CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_NO_NAME);
    s = connected_handle(&fd);
    CHECK(set_code(s, SET_PEERNAME, "other.test", 10) == SSL_ERR_OKAY);
    CHECK(set_code(s, SET_PEERNAME, "mail test", 9) == SSL_ERR_INVALID);
    /* The earlier one is still there. */
    CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_NAME);
    s = connected_handle(&fd);
    CHECK(set_code(s, SET_PEERNAME, "other.test", 10) == SSL_ERR_OKAY);
    CHECK(set_code(s, SET_PEERNAME, NULL, 0) == SSL_ERR_OKAY);
    CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_NO_NAME);
}

static void the_name_of_the_handshake_goes_before_the_peer_name(const struct way *way)
{
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    EXPECT_TOLD("second.test", .in = "second.test", .in_len = 11, .peername = "first.test");
    EXPECT_TOLD("first.test", .in = "", .in_len = 1, .peername = "first.test");
    EXPECT_TOLD("first.test", .peername = "first.test");
    EXPECT_TOLD("first.test", .in = NULL, .in_len = 12, .peername = "first.test");
    EXPECT_TOLD("first.test", .in = "\xff\xfe", .in_len = 2, .peername = "first.test");
    /* It is the one that is verified. */
    CHECK(set_code(s, SET_PEERNAME, "other.test", 10) == SSL_ERR_OKAY);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_OKAY);
    echo_on(fd);
    s = connected_handle(&fd);
    CHECK(set_code(s, SET_PEERNAME, "localhost", 10) == SSL_ERR_OKAY);
    CHECK(set_code(s, PERFORM_HANDSHAKE, "other.test", 11) == SSL_ERR_NAME);
    expect_dead(fd);
}

static void without_name_and_hook_it_fails_and_nothing_leaves(const struct way *way)
{
    static const struct {
        const void *bytes;
        uint32_t length;
    } nothing[] = {
        {NULL, 0}, {NULL, 8}, {"", 0}, {"", 1}, {"a b", 3}, {"\x41\xff", 2}, {"\xff\xff\xff\xff\xff\xff\xff\xff", 8},
    };

    (void)way;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        struct listener listener = listen_on(AF_INET);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct arrived arrived;
        ssl_socket *s;
        int other;
        connect_to(fd, &listener);
        other = accept_from(&listener);
        s = ssl_socket_new(fd);
        CHECK(s != NULL && set_code(s, PERFORM_HANDSHAKE, nothing[i].bytes, nothing[i].length) == SSL_ERR_NO_NAME);
        expect_error_text(s, "SO_SSL_SET_PEERNAME");
        expect_dead(fd);
        CHECK(close(fd) == 0);
        arrived = read_to_end(other);
        CHECK(arrived.bytes == 0);
        CHECK(ssl_get_error(s) == SSL_ERR_NO_NAME && close(other) == 0 && close(listener.fd) == 0);
    }
}

static void without_a_name_the_hook_decides(const struct way *way)
{
    struct hook_calls call = {0, 0, SSL_ERR_OKAY};
    ssl_verify_report report = {.size = sizeof report};
    char text[512];
    size_t length = 0;
    int fd;
    ssl_socket *s = connected_handle(&fd);

    CHECK(set_code_flags(s, way->flags) == SSL_ERR_OKAY);
    set_counting_hook(s, &call);
    CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_OKAY);
    CHECK(call.times == 1 && call.flags == SSL_CERT_FLAG_ISSUER_UNKNOWN);
    CHECK(ssl_get_verify_report(s, &report) == SSL_ERR_OKAY);
    /* Everything else is in order. */
    CHECK(report.causes == SSL_CAUSE_NAME && report.verdict == SSL_VERDICT_ACCEPTED_BY_HOOK);
    CHECK(ssl_get_verify_text(s, SSL_TEXT_SUMMARY, 0, text, sizeof text, &length) == SSL_ERR_OKAY);
    CHECK(strstr(text, "there was no name to check") != NULL);
    CHECK(ssl_get_verify_text(s, SSL_TEXT_EXPECTED, 0, text, sizeof text, &length) == SSL_ERR_OKAY && length == 1);
    CHECK(ssl_send(s, "echo\n", 5, 0) == 5);
    say_pattern(fd, s, way, 1000, 0);
    receive_through(s, fd, way, 1000, 0);
    EXPECT_TOLD("", .in = NULL);
    EXPECT_TOLD("", .in = "\xff\xfe", .in_len = 2);
}

static void without_a_name_strict_lets_no_hook_accept(const struct way *way)
{
    struct hook_calls call = {0, 0, SSL_ERR_OKAY};
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    CHECK(set_code_flags(s, SSL_FLAG_STRICT) == SSL_ERR_OKAY);
    set_counting_hook(s, &call);
    CHECK(set_code(s, PERFORM_HANDSHAKE, NULL, 0) == SSL_ERR_NAME && call.times == 1);
    expect_error_text(s, "there was no name to check");
    expect_error_text(s, "SSL_FLAG_STRICT");
    expect_dead(fd);
}

/* Whoever asks by another function has to say whom. */
static void no_other_call_goes_without_a_name(const struct way *way)
{
    struct listener listener = listen_on(AF_INET);
    struct hook_calls call = {0, 0, SSL_ERR_OKAY};
    int fd;
    ssl_socket *s = connected_handle(&fd);

    (void)way;
    set_counting_hook(s, &call);
    CHECK(ssl_perform_handshake(s, NULL) == SSL_ERR_NO_NAME);
    expect_dead(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    s = ssl_socket_new(fd);
    set_counting_hook(s, &call);
    CHECK(ssl_connect(s, &listener.address, listener.length) == SSL_ERR_NO_NAME);
    expect_dead(fd);
    CHECK(call.times == 0);
}

/* Two pages, of which the second one cannot be read. */
static char *readable_page(void)
{
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(pages != MAP_FAILED && munmap(pages + PAGE, PAGE) == 0);
    return pages;
}

static void the_address_of_a_name(const struct way *way)
{
    char on_stack[] = "stack.test";
    char *on_heap = strdup("heap.test");
    char *page = readable_page();
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *at = on_stack;

    (void)way;
    CHECK(on_heap != NULL && pages != MAP_FAILED);
    EXPECT_TOLD("stack.test", .in = &at, .in_len = sizeof at);
    at = on_heap;
    EXPECT_TOLD("heap.test", .in = &at, .in_len = sizeof at, .without_hook = 1);
    EXPECT_TOLD("heap.test", .in = &at, .in_len = sizeof at, .peername = "first.test");
    /* Up to the last byte of a page, with nothing behind it. */
    at = page + PAGE - sizeof "edge.test";
    strcpy(at, "edge.test");
    EXPECT_TOLD("edge.test", .in = &at, .in_len = sizeof at);
    /* Across the border of two pages. */
    at = pages + PAGE - 4;
    strcpy(at, "border.test");
    EXPECT_TOLD("border.test", .in = &at, .in_len = sizeof at);
    CHECK(munmap(pages, 2 * PAGE) == 0 && munmap(page, PAGE) == 0);
    free(on_heap);
}

/* The address 0x7a7a7a7a7a7a reads "zzzzzz" in place. */
static void an_address_that_looks_like_a_name(const struct way *way)
{
    char *at = (char *)(uintptr_t)0x7a7a7a7a7a7a; // NOLINT: that is what is tried.
    char *page = (char *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1));

    (void)way;
    EXPECT_TOLD("zzzzzz", .in = &at, .in_len = sizeof at);
    if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != page) {
        SKIP("no memory can be had there: %s", strerror(errno));
    }
    EXPECT_TOLD("page.test", .in = strcpy(at, "page.test"), .in_len = 10);
    EXPECT_TOLD("page.test", .in = &at, .in_len = sizeof at);
    strcpy(at, "two words");
    EXPECT_TOLD("first.test", .in = &at, .in_len = sizeof at, .peername = "first.test");
}

static void an_address_without_a_name_does_no_harm(const struct way *way)
{
    static char long_name[4096];
    char *page = readable_page();
    char *closed = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t addresses[13];
    size_t count = 0;

    (void)way;
    CHECK(closed != MAP_FAILED);
    memset(page, 'a', PAGE);
    memset(long_name, 'a', sizeof long_name - 1);
    /* No NUL before the end of the page; none within 256 bytes; what is there is no name. */
    addresses[count++] = (uintptr_t)page + PAGE - 9;
    addresses[count++] = (uintptr_t)long_name;
    addresses[count++] = (uintptr_t)"two words";
    addresses[count++] = (uintptr_t)"";
    /* Nothing there, nothing to be read there, and numbers that are no addresses. */
    addresses[count++] = (uintptr_t)page + PAGE;
    addresses[count++] = (uintptr_t)closed;
    addresses[count++] = 0;
    addresses[count++] = 1;
    addresses[count++] = PAGE - 1;
    addresses[count++] = (uintptr_t)1 << 47;
    addresses[count++] = UINTPTR_MAX;
    addresses[count++] = UINTPTR_MAX - 300;
    addresses[count++] = 0xffffffff81000000u;
    for (size_t i = 0; i < count; i++) {
        EXPECT_TOLD("first.test", .in = &addresses[i], .in_len = sizeof addresses[i], .peername = "first.test");
    }
}

/* Of a buffer that has the size of an address the bytes count, if they are a name. */
static void a_name_of_the_size_of_an_address(const struct way *way)
{
    (void)way;
    EXPECT_TOLD("aaa.test", .in = "aaa.test", .in_len = 8);
    EXPECT_TOLD("aa.test", .in = "aa.test", .in_len = 8);
    EXPECT_TOLD("a.test", .in = "a.test\0", .in_len = 8);
    EXPECT_TOLD("a", .in = "a\0\0\0\0\0\0", .in_len = 8);
    EXPECT_TOLD("", .in = "12.0.0.1", .in_len = 8, .without_hook = 1);
    /* What is behind the NUL does not count, but where that makes it a number, or UTF-16. */
    EXPECT_TOLD("aa.test", .in = "aa.test\0other.test", .in_len = 19);
    EXPECT_TOLD("aa.test", .in = "aa.test\0\xff\xff\xff\xff", .in_len = 12);
    EXPECT_TOLD("", .in = "ab\0\x34\x12\x7f\0\0", .in_len = 8);
    EXPECT_TOLD("", .in = "a\0.\0t\0e\0s\0t\0", .in_len = 12);
}

static void deny_reading_memory(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};

    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        SKIP("no system call can be forbidden here: %s", strerror(errno));
    }
}

static void where_memory_must_not_be_read_the_address_is_ignored(const struct way *way)
{
    /* Mapped, since its address then has a byte that no name has. */
    char *at = strcpy(readable_page(), "page.test");

    (void)way;
    EXPECT_TOLD("page.test", .in = &at, .in_len = sizeof at, .peername = "first.test");
    deny_reading_memory();
    EXPECT_TOLD("first.test", .in = &at, .in_len = sizeof at, .peername = "first.test");
    EXPECT_TOLD("aaa.test", .in = "aaa.test", .in_len = 8, .peername = "first.test");
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"the_peer_name_by_all_its_codes", the_peer_name_by_all_its_codes, NULL, 0},
        {"the_peer_name_is_checked_and_cleared", the_peer_name_is_checked_and_cleared, NULL, 0},
        {"the_name_of_the_handshake_goes_before_the_peer_name",
         the_name_of_the_handshake_goes_before_the_peer_name, NULL, 0},
        {"without_name_and_hook_it_fails_and_nothing_leaves",
         without_name_and_hook_it_fails_and_nothing_leaves, NULL, 0},
        {"without_a_name_the_hook_decides", without_a_name_the_hook_decides, each_mode, 0},
        {"without_a_name_strict_lets_no_hook_accept", without_a_name_strict_lets_no_hook_accept, NULL, 0},
        {"no_other_call_goes_without_a_name", no_other_call_goes_without_a_name, NULL, 0},
        {"the_address_of_a_name", the_address_of_a_name, NULL, 0},
        {"an_address_that_looks_like_a_name", an_address_that_looks_like_a_name, NULL, 0},
        {"an_address_without_a_name_does_no_harm", an_address_without_a_name_does_no_harm, NULL, 0},
        {"a_name_of_the_size_of_an_address", a_name_of_the_size_of_an_address, NULL, 0},
        {"where_memory_must_not_be_read_the_address_is_ignored",
         where_memory_must_not_be_read_the_address_is_ignored, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
