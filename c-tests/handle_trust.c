/*
 * What a program can get wrong with trust, pins, revocation lists and chains of its own.
 */
#define _GNU_SOURCE

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"

#define EXPECT(expected, call)                                                                            \
    do {                                                                                                  \
        int32_t answer_ = (call);                                                                         \
        if (answer_ != (expected)) {                                                                      \
            FAIL("%s: %s instead of %s", #call, ssl_error_name(answer_), ssl_error_name(expected));       \
        }                                                                                                 \
    } while (0)

#define PIN "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

/* What is no certificate can be verified, too. */
static unsigned char junk[] = {0x30, 0x00};
static const ssl_blob one = {sizeof junk, junk};

static ssl_socket *settings_handle(void)
{
    ssl_socket *s = ssl_settings_new();

    CHECK(s != NULL);
    return s;
}

static int32_t call_dir(ssl_socket *s)
{
    return ssl_add_trust_dir(s, "/nonexistent");
}

static int32_t call_pin(ssl_socket *s)
{
    return ssl_add_pin(s, PIN);
}

static int32_t call_crl_file(ssl_socket *s)
{
    return ssl_add_crl_file(s, "/nonexistent");
}

static int32_t call_crl_pem(ssl_socket *s)
{
    return ssl_add_crl_pem(s, junk, sizeof junk);
}

static int32_t call_verify(ssl_socket *s)
{
    return ssl_verify_chain(s, &one, 1, "a.test", SSL_TIME_NOW, NULL);
}

static int32_t (*const calls[])(ssl_socket *s) = {call_dir, call_pin, call_crl_file, call_crl_pem, call_verify};
/* All but the last change something. */
#define SETTERS 4

static void handles_that_are_not_live(const struct way *way)
{
    ssl_socket *s = settings_handle();
    ssl_socket *const dead[] = {NULL, (ssl_socket *)(uintptr_t)1, (ssl_socket *)(uintptr_t)-1, s};

    (void)way;
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    for (size_t i = 0; i < sizeof dead / sizeof *dead; i++) {
        for (size_t j = 0; j <= SETTERS; j++) {
            EXPECT(SSL_ERR_BAD_HANDLE, calls[j](dead[i]));
        }
        EXPECT(SSL_ERR_BAD_HANDLE, ssl_socket_free(dead[i]));
    }
}

static void handles_of_the_parent(const struct way *way)
{
    ssl_socket *s = settings_handle();
    int status;
    pid_t child = fork();

    (void)way;
    CHECK(child >= 0);
    if (child == 0) {
        ssl_socket *own;
        for (size_t i = 0; i <= SETTERS; i++) {
            EXPECT(SSL_ERR_FORKED, calls[i](s));
        }
        own = settings_handle();
        EXPECT(SSL_ERR_BAD_DATA, call_verify(own));
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void after_the_handshake(const struct way *way)
{
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = upgrade(fd, "localhost");

    (void)way;
    EXPECT(SSL_ERR_STATE, ssl_add_pin(s, PIN));
    EXPECT(SSL_ERR_STATE, ssl_add_pin(s, NULL));
    EXPECT(SSL_ERR_STATE, ssl_add_trust_dir(s, "/nonexistent"));
    EXPECT(SSL_ERR_STATE, ssl_add_crl_file(s, "/nonexistent"));
    EXPECT(SSL_ERR_STATE, ssl_add_crl_pem(s, junk, sizeof junk));
    EXPECT(SSL_ERR_BAD_DATA, call_verify(s));
}

static void settings_have_no_connection(const struct way *way)
{
    ssl_socket *s = settings_handle();
    char byte = 0;
    int fd;
    size_t length;
    ssl_verify_report report = {.size = sizeof report};

    (void)way;
    EXPECT(SSL_ERR_STATE, ssl_perform_handshake(s, "a.test"));
    CHECK(ssl_send(s, &byte, 1, 0) == -1);
    CHECK(ssl_recv(s, &byte, 1, 0) == -1);
    EXPECT(SSL_ERR_STATE, ssl_get_transport_fd(s, &fd));
    EXPECT(SSL_ERR_STATE, ssl_pending(s, &length));
    EXPECT(SSL_ERR_STATE, ssl_get_verify_report(s, &report));
    /* The setters go on working: no connection has failed. */
    EXPECT(SSL_ERR_OKAY, ssl_add_pin(s, PIN));
    /* What is verified does not stay on the handle. */
    EXPECT(SSL_ERR_BAD_DATA, call_verify(s));
    EXPECT(SSL_ERR_STATE, ssl_get_verify_report(s, &report));
    EXPECT(SSL_ERR_OKAY, ssl_socket_free(s));
}

static void paths_and_lists(const struct way *way)
{
    ssl_socket *s = settings_handle();

    (void)way;
    EXPECT(SSL_ERR_INVALID, ssl_add_trust_dir(s, NULL));
    EXPECT(SSL_ERR_IO, ssl_add_trust_dir(s, ""));
    EXPECT(SSL_ERR_IO, ssl_add_trust_dir(s, "/dev/null"));
    EXPECT(SSL_ERR_INVALID, ssl_add_crl_file(s, NULL));
    EXPECT(SSL_ERR_IO, ssl_add_crl_file(s, "/"));
    EXPECT(SSL_ERR_IO, ssl_add_crl_file(s, "/dev/zero"));
    EXPECT(SSL_ERR_BAD_DATA, ssl_add_crl_file(s, "/dev/null"));
    EXPECT(SSL_ERR_INVALID, ssl_add_crl_pem(s, NULL, 1));
    EXPECT(SSL_ERR_INVALID, ssl_add_crl_pem(s, junk, SIZE_MAX));
    EXPECT(SSL_ERR_BAD_DATA, ssl_add_crl_pem(s, NULL, 0));
    EXPECT(SSL_ERR_BAD_DATA, ssl_add_crl_pem(s, junk, sizeof junk));
    expect_error_text(NULL, "revocation lists");
}

static void pins(const struct way *way)
{
    static const char *const wrong[] = {
        "", ";", PIN ";", "sha256//", "sha1//AAAA", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "e3b0",
        "\xff\xfe", PIN ",second", "/etc/passwd",
    };
    size_t length = 10 << 20;
    char *long_one = malloc(length);
    ssl_socket *s = settings_handle();

    (void)way;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        EXPECT(SSL_ERR_INVALID, ssl_add_pin(s, wrong[i]));
        /* It is not forgotten. */
        EXPECT(SSL_ERR_INVALID, call_verify(s));
        expect_error_text(NULL, "the pin that was asked for is missing");
        EXPECT(SSL_ERR_OKAY, ssl_add_pin(s, NULL));
        EXPECT(SSL_ERR_BAD_DATA, call_verify(s));
    }
    CHECK(long_one != NULL);
    memset(long_one, 'e', length - 1);
    long_one[length - 1] = 0;
    EXPECT(SSL_ERR_INVALID, ssl_add_pin(s, long_one));
    free(long_one);
    EXPECT(SSL_ERR_OKAY, ssl_add_pin(s, PIN));
    EXPECT(SSL_ERR_OKAY, ssl_add_pin(s, PIN ";" PIN));
}

/* Answers that verify nothing leave the report alone. */
static void check_refused(ssl_socket *s, const ssl_blob *chain, uint32_t count, const char *name)
{
    ssl_verify_report report, before;

    memset(&report, 0xa5, sizeof report);
    report.size = sizeof report;
    before = report;
    EXPECT(SSL_ERR_INVALID, ssl_verify_chain(s, chain, count, name, SSL_TIME_NOW, &report));
    CHECK(memcmp(&report, &before, sizeof report) == 0);
}

static void chains(const struct way *way)
{
    enum { MANY = 10000 };
    static ssl_blob many[MANY];
    ssl_socket *s = settings_handle();
    unsigned char text[] = "\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    ssl_blob pem = {sizeof text - 1, text}, behind[] = {one, pem};
    ssl_blob nowhere = {16, NULL}, empty = {0, NULL}, huge = {UINT32_MAX, junk}, large = {(1 << 20) + 1, junk};
    unsigned char bytes[2 * sizeof(ssl_blob)] = {0};
    ssl_verify_report report = {.size = sizeof report};

    (void)way;
    check_refused(s, NULL, 0, "a.test");
    check_refused(s, &one, 0, "a.test");
    check_refused(s, NULL, 1, "a.test");
    check_refused(s, NULL, UINT32_MAX, "a.test");
    check_refused(s, (const ssl_blob *)(const void *)(bytes + 1), 1, "a.test");
    check_refused(s, &nowhere, 1, "a.test");
    check_refused(s, &huge, 1, "a.test");
    check_refused(s, &large, 1, "a.test");
    /* In one block, but not beside others; what stands in it is no certificate. */
    EXPECT(SSL_ERR_BAD_DATA, ssl_verify_chain(s, &pem, 1, "a.test", SSL_TIME_NOW, &report));
    CHECK(report.chain_len == 1 && report.verdict == SSL_VERDICT_NOT_TRUSTED);
    text[sizeof text - 3] = 'x';
    check_refused(s, &pem, 1, "a.test");
    text[sizeof text - 3] = '-';
    check_refused(s, behind, 2, "a.test");
    check_refused(s, &one, UINT32_MAX, "a.test");
    check_refused(s, &one, 1, "no name");
    check_refused(s, &one, 1, "a.test:443");
    check_refused(s, &one, 1, "\xff");
    EXPECT(SSL_ERR_NO_NAME, ssl_verify_chain(s, &one, 1, "", SSL_TIME_NOW, &report));

    for (size_t i = 0; i < MANY; i++) {
        many[i] = one;
    }
    check_refused(s, many, MANY, "a.test");
    check_refused(s, many, 101, "a.test");
    EXPECT(SSL_ERR_BAD_DATA, ssl_verify_chain(s, many, 100, "a.test", SSL_TIME_NOW, &report));
    CHECK(report.chain_len == 100 && report.verdict == SSL_VERDICT_NOT_TRUSTED);
    EXPECT(SSL_ERR_BAD_DATA, ssl_verify_chain(s, &empty, 1, NULL, SSL_TIME_NOW, &report));
    CHECK(report.causes == (SSL_CAUSE_MALFORMED | SSL_CAUSE_ISSUER_UNKNOWN) && report.chain_len == 1);
}

static void reports(const struct way *way)
{
    ssl_socket *s = settings_handle();
    unsigned char bytes[sizeof(ssl_verify_report) + 8] = {0};
    ssl_verify_report report = {.size = sizeof report - 1};
    /* A page behind which nothing can be written. */
    long page = sysconf(_SC_PAGESIZE);
    unsigned char *pages = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ssl_verify_report *last = (ssl_verify_report *)(void *)(pages + page - sizeof report);

    (void)way;
    EXPECT(SSL_ERR_BAD_DATA, ssl_verify_chain(s, &one, 1, NULL, SSL_TIME_NOW, NULL));
    EXPECT(SSL_ERR_INVALID, ssl_verify_chain(s, &one, 1, NULL, SSL_TIME_NOW, &report));
    report.size = 0;
    EXPECT(SSL_ERR_INVALID, ssl_verify_chain(s, &one, 1, NULL, SSL_TIME_NOW, &report));
    EXPECT(SSL_ERR_INVALID,
           ssl_verify_chain(s, &one, 1, NULL, SSL_TIME_NOW, (ssl_verify_report *)(void *)(bytes + 1)));
    CHECK(pages != MAP_FAILED && mprotect(pages + page, (size_t)page, PROT_NONE) == 0);
    last->size = sizeof report;
    EXPECT(SSL_ERR_BAD_DATA, ssl_verify_chain(s, &one, 1, NULL, SSL_TIME_NOW, last));
    CHECK(last->size == sizeof report && last->verdict == SSL_VERDICT_NOT_TRUSTED);
    expect_error_text(NULL, "cannot be parsed");
}

static void times(const struct way *way)
{
    static const int64_t all[] = {INT64_MIN, INT64_MIN + 1, -62135596801, -1, 0, 1, 253402300800, INT64_MAX - 1, INT64_MAX};
    ssl_socket *s = settings_handle();

    (void)way;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        EXPECT(SSL_ERR_BAD_DATA, ssl_verify_chain(s, &one, 1, "a.test", all[i], NULL));
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"handles_that_are_not_live", handles_that_are_not_live, NULL, 0},
        {"handles_of_the_parent", handles_of_the_parent, NULL, 0},
        {"after_the_handshake", after_the_handshake, NULL, 0},
        {"settings_have_no_connection", settings_have_no_connection, NULL, 0},
        {"paths_and_lists", paths_and_lists, NULL, 0},
        {"pins", pins, NULL, 0},
        {"chains", chains, NULL, 0},
        {"reports", reports, NULL, 0},
        {"times", times, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
