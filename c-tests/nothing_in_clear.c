/*
 * Whatever makes an upgrade fail: a program that does not look and sends a password sends it to nobody, and receives
 * nothing that came in clear. The recording peer has every byte that left.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/conversation.h"
#include "common/dead.h"
#include "common/peer.h"
#include "common/process.h"
#include "common/recorder.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

/* One way to fail. */
struct failing {
    /* What the peer does. */
    const char *order;
    /* The name that is asked for; NULL: none. */
    const char *name;
    /* What is set before; NULL: the tests' authority is trusted and that is all. */
    void (*prepare)(ssl_socket *s);
    /* Right before the handshake, with the duplicate made and the child forked. */
    void (*deprive)(void);
    /* 0: whatever. */
    int code;
    /* What the text has to say. */
    const char *says;
};

static void trust(ssl_socket *s)
{
    CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
}

/* With the limit of descriptors lowered nothing can be asked of the peer. */
static void restore_descriptors(void);

static void fails(const struct way *way, const struct failing *failing)
{
    char ticket[RECORDER_TICKET];
    char text[1024] = "";
    char byte;
    size_t length;
    struct record record;
    int fd = recorder_connect(way, failing->order, ticket);
    int other = dup(fd);
    struct forked child = fork_with(fd, other);
    ssl_socket *s = ssl_socket_new(fd);
    int result;

    recorder_starttls(fd);
    CHECK(ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    (failing->prepare != NULL ? failing->prepare : trust)(s);
    if (failing->deprive != NULL) {
        failing->deprive();
    }

    result = ssl_perform_handshake(s, failing->name);
    /* At once, without a look at the result. */
    expect_dead(fd);
    expect_dead(other);
    restore_descriptors();
    CHECK(ssl_get_error_text(s, text, sizeof text, &length) == SSL_ERR_OKAY);
    if (result == SSL_ERR_OKAY || (failing->code != 0 && result != failing->code)) {
        FAIL("the handshake gave %s instead of %s: %s", ssl_error_name(result), ssl_error_name(failing->code), text);
    }
    if (strstr(text, failing->says) == NULL) {
        FAIL("\"%s\" does not say \"%s\"", text, failing->says);
    }
    expect_dead_in(child);

    CHECK(ssl_send(s, PASSWORD, strlen(PASSWORD), MSG_NOSIGNAL) == -1);
    CHECK(ssl_recv(s, &byte, 1, MSG_DONTWAIT) <= 0);
    /* Asking again does not revive it, nor does the end of the handle. */
    CHECK(ssl_perform_handshake(s, "localhost") != SSL_ERR_OKAY);
    expect_dead(fd);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    expect_dead(fd);
    expect_dead(other);
    CHECK(close(fd) == 0 && close(other) == 0);

    record = recorder_result(ticket);
    CHECK(!record_has(&record, "hunter2"));
    CHECK(record.plain_length == 0);
    record_check_tls(&record);
    record_free(&record);
}

static void a_wrong_name(const struct way *way)
{
    fails(way, &(struct failing){"serve known", "other.test", NULL, NULL, SSL_ERR_NAME, "other.test"});
}

static void no_name(const struct way *way)
{
    fails(way, &(struct failing){"serve known", NULL, NULL, NULL, SSL_ERR_NO_NAME, "no peer name"});
}

static void an_unknown_issuer(const struct way *way)
{
    fails(way,
          &(struct failing){"serve unknown", "localhost", NULL, NULL, SSL_ERR_CERT_UNKNOWN, "is not trusted"});
}

static int32_t say_no(uint32_t type, void *arg, uint32_t chain_len, const ssl_blob *chain, uint32_t flags)
{
    (void)type, (void)arg, (void)chain_len, (void)chain, (void)flags;
    return SSL_ERR_CERT_REVOKED;
}

static void ask_one_who_says_no(ssl_socket *s)
{
    trust(s);
    CHECK(ssl_set_validate_cert_hook(s, say_no, NULL) == SSL_ERR_OKAY);
}

static void a_hook_that_says_no(const struct way *way)
{
    fails(way, &(struct failing){"serve known", "localhost", ask_one_who_says_no, NULL, SSL_ERR_CERT_REVOKED,
                                 "hook refused"});
}

static void wait_50_ms(ssl_socket *s)
{
    trust(s);
    CHECK(ssl_set_timeout(s, SSL_TIMEOUT_HANDSHAKE, 50) == SSL_ERR_OKAY);
}

static void a_timeout(const struct way *way)
{
    fails(way, &(struct failing){"silent", "localhost", wait_50_ms, NULL, SSL_ERR_TIMEOUT, "within 50 ms"});
}

static void a_peer_in_clear(const struct way *way)
{
    fails(way, &(struct failing){"plaintext", "localhost", NULL, NULL, SSL_ERR_NOT_TLS, "500 what?"});
}

static void an_injected_line(const struct way *way)
{
    fails(way, &(struct failing){"inject", "localhost", NULL, NULL, SSL_ERR_EARLY_DATA, "250 injected"});
}

static void a_peer_that_closes(const struct way *way)
{
    fails(way, &(struct failing){"close", "localhost", NULL, NULL, SSL_ERR_TRUNCATED, "closed the connection"});
}

static void a_peer_that_resets(const struct way *way)
{
    /* AF_UNIX has no reset of its own; there it is a close with nothing unread. */
    int is_unix = strcmp(way->peer, "SSLSOCK_PEER_UNIX") == 0;

    fails(way, &(struct failing){"reset", "localhost", NULL, NULL, is_unix ? 0 : SSL_ERR_RESET, ""});
}

static void trust_a_missing_file(ssl_socket *s)
{
    /* The result is one of those that the program does not look at. */
    ssl_add_trust_file(s, "/nonexistent/ca.pem");
}

static void a_missing_trust_file(const struct way *way)
{
    fails(way, &(struct failing){"serve known", "localhost", trust_a_missing_file, NULL, 0, ""});
}

/* Descriptors. */

#define MOST_DESCRIPTORS 256

static struct rlimit descriptors_before;
static int filling[MOST_DESCRIPTORS];
static int filled;
static int free_descriptors;

static void limit_descriptors(rlim_t most)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    descriptors_before = limit;
    limit.rlim_cur = most;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void restore_descriptors(void)
{
    while (filled > 0) {
        close(filling[--filled]);
    }
    if (descriptors_before.rlim_cur != 0) {
        CHECK(setrlimit(RLIMIT_NOFILE, &descriptors_before) == 0);
    }
}

/* Fills the table but for free_descriptors. */
static void fill_descriptors(void)
{
    int number;

    limit_descriptors(MOST_DESCRIPTORS);
    while ((number = dup(STDIN_FILENO)) >= 0) {
        filling[filled++] = number;
    }
    CHECK(errno == EMFILE && filled > free_descriptors);
    for (int i = 0; i < free_descriptors; i++) {
        close(filling[--filled]);
    }
}

/* The limit falls to the first number that is not in use, and free_descriptors more. */
static void lower_the_limit(void)
{
    int first = dup(STDIN_FILENO);

    CHECK(first >= 0 && close(first) == 0);
    limit_descriptors((rlim_t)(first + free_descriptors));
}

static int works_now(const struct way *way, void (*deprive)(void))
{
    char ticket[RECORDER_TICKET];
    char line[] = PASSWORD;
    int fd = recorder_connect(way, "serve known", ticket);
    ssl_socket *s = ssl_socket_new(fd);
    int result;

    recorder_starttls(fd);
    CHECK(ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    trust(s);
    deprive();
    result = ssl_perform_handshake(s, "localhost");
    restore_descriptors();
    if (result == SSL_ERR_OKAY) {
        CHECK(ssl_send(s, line, strlen(line), 0) == (ptrdiff_t)strlen(line));
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    if (result == SSL_ERR_OKAY) {
        struct record record = recorder_result(ticket);
        CHECK(!record_has(&record, "hunter2"));
        CHECK(record.plain_length == strlen(line));
        record_check_tls(&record);
        record_free(&record);
    }
    return result == SSL_ERR_OKAY;
}

/* In a process of its own: a thread that was started before something else failed stays, with its descriptors. */
static int works_in_a_child(const struct way *way, void (*deprive)(void))
{
    enum { WORKS = 2 };
    pid_t child = quiet_fork();
    int status = 0;

    if (child == 0) {
        _exit(works_now(way, deprive) ? WORKS : EXIT_SUCCESS);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == WORKS || WEXITSTATUS(status) == EXIT_SUCCESS));
    return WEXITSTATUS(status) == WORKS;
}

static void fails_in_a_child(const struct way *way, const struct failing *failing)
{
    pid_t child = quiet_fork();

    if (child == 0) {
        fails(way, failing);
        _exit(EXIT_SUCCESS);
    }
    expect_success(child);
}

static void with_too_few_descriptors(const struct way *way, void (*deprive)(void))
{
    struct failing failing = {"serve known", "localhost", NULL, deprive, SSL_ERR_IO, "Too many open files"};
    int failed = 0;

    /* Each one more lets the upgrade get further before it fails; with enough of them it works. */
    for (free_descriptors = 0; !works_in_a_child(way, deprive); free_descriptors++) {
        CHECK(free_descriptors < 32);
        fails_in_a_child(way, &failing);
        failed++;
    }
    CHECK(failed > 0);
}

static void no_descriptors_left(const struct way *way)
{
    with_too_few_descriptors(way, fill_descriptors);
}

static void a_low_limit_of_descriptors(const struct way *way)
{
    with_too_few_descriptors(way, lower_the_limit);
}

/* Threads. */

/* clone3 hands its flags over by a pointer, which a filter cannot follow: it fails always. */
static void refuse_threads(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        SKIP("no seccomp filter here: %s", strerror(errno));
    }
}

static void no_thread_to_be_had(const struct way *way)
{
    fails(way, &(struct failing){"serve known", "localhost", NULL, refuse_threads, SSL_ERR_IO,
                                 "Resource temporarily unavailable"});
}

/* Root is above the limit, so it becomes somebody else; what that hides of /proc is asked for again. */
static void allow_one_thread(void)
{
    enum { NOBODY = 65534 };
    struct rlimit none = {0, 0};

    if (geteuid() == 0) {
        CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
        CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    }
    CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
}

static void a_limit_of_threads(const struct way *way)
{
    fails(way, &(struct failing){"serve known", "localhost", NULL, allow_one_thread, SSL_ERR_IO,
                                 "Resource temporarily unavailable"});
}

/* One thread carries 64 connections, then another one is started if it can be. */
static void connections_share_a_thread_where_there_is_no_other(const struct way *way)
{
    enum { CONNECTIONS = 70, REFUSED_FROM = 60 };
    int numbers[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++) {
        if (i == REFUSED_FROM) {
            refuse_threads();
        }
        numbers[i] = peer_connect(way->peer);
        CHECK(ssl_socket_free(upgrade_to_peer(numbers[i], way, "echo")) == SSL_ERR_OKAY);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        send_pattern(numbers[i], 1000);
        receive_pattern(numbers[i], 1000, 0);
        CHECK(close(numbers[i]) == 0);
    }
}

/* Streams of the C library hold bytes that the library cannot see. */

static FILE *stream_on(int fd, const char *mode)
{
    int number = dup(fd);
    FILE *stream = number >= 0 ? fdopen(number, mode) : NULL;

    CHECK(stream != NULL);
    return stream;
}

static void what_a_stream_holds_leaves_under_tls(const struct way *way)
{
    char ticket[RECORDER_TICKET];
    struct record record;
    int fd = recorder_connect(way, "serve known", ticket);
    FILE *stream = stream_on(fd, "w");

    CHECK(fputs(PASSWORD, stream) >= 0);
    recorder_starttls(fd);
    CHECK(ssl_socket_free(upgrade_with(fd, "localhost", way->flags)) == SSL_ERR_OKAY);
    CHECK(fclose(stream) == 0 && close(fd) == 0);
    record = recorder_result(ticket);
    record_check_tls(&record);
    CHECK(record.plain_length == strlen(PASSWORD) && memcmp(record.plain, PASSWORD, strlen(PASSWORD)) == 0);
    CHECK(!record_has(&record, "hunter2"));
    record_free(&record);
}

static void what_a_stream_holds_dies_with_a_failed_upgrade(const struct way *way)
{
    char ticket[RECORDER_TICKET];
    struct record record;
    int fd = recorder_connect(way, "serve known", ticket);
    FILE *stream = stream_on(fd, "w");
    ssl_socket *s = ssl_socket_new(fd);

    signal(SIGPIPE, SIG_IGN);
    CHECK(fputs(PASSWORD, stream) >= 0);
    recorder_starttls(fd);
    CHECK(ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    trust(s);
    CHECK(ssl_perform_handshake(s, "other.test") == SSL_ERR_NAME);
    CHECK(fflush(stream) == EOF && (errno == EPIPE || errno == ECONNRESET));
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    fclose(stream);
    record = recorder_result(ticket);
    record_check_tls(&record);
    CHECK(record.plain_length == 0 && !record_has(&record, "hunter2"));
    record_free(&record);
}

/* The trap that the README tells of: the library sees what is in the socket, and this is not there any more. */
static void what_a_stream_has_read_ahead_is_not_seen(const struct way *way)
{
    char ticket[RECORDER_TICKET];
    char line[64] = "";
    struct record record;
    int fd = recorder_connect(way, "slip known", ticket);
    FILE *stream = stream_on(fd, "r");

    talk_send(fd, "STARTTLS");
    CHECK(fgets(line, sizeof line, stream) != NULL && strcmp(line, "220 go ahead\r\n") == 0);
    CHECK(ssl_socket_free(upgrade_with(fd, "localhost", way->flags)) == SSL_ERR_OKAY);
    CHECK(fgets(line, sizeof line, stream) != NULL && strcmp(line, "250 injected\r\n") == 0);
    CHECK(fclose(stream) == 0 && close(fd) == 0);
    record = recorder_result(ticket);
    record_check_tls(&record);
    record_free(&record);
}

#define EVERY_WAY(test) {#test, test, transparent_ways, 0}, {#test, test, explicit_ways, 0}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        EVERY_WAY(a_wrong_name),
        EVERY_WAY(no_name),
        EVERY_WAY(an_unknown_issuer),
        EVERY_WAY(a_hook_that_says_no),
        EVERY_WAY(a_timeout),
        EVERY_WAY(a_peer_in_clear),
        EVERY_WAY(an_injected_line),
        EVERY_WAY(a_peer_that_closes),
        EVERY_WAY(a_peer_that_resets),
        EVERY_WAY(a_missing_trust_file),
        EVERY_WAY(no_descriptors_left),
        EVERY_WAY(a_low_limit_of_descriptors),
        /* Explicit mode needs none. */
        {"no_thread_to_be_had", no_thread_to_be_had, transparent_ways, 0},
        {"a_limit_of_threads", a_limit_of_threads, transparent_ways, 0},
        {"connections_share_a_thread_where_there_is_no_other", connections_share_a_thread_where_there_is_no_other,
         transparent_ways, 0},
        {"what_a_stream_holds_leaves_under_tls", what_a_stream_holds_leaves_under_tls, transparent_ways, 0},
        EVERY_WAY(what_a_stream_holds_dies_with_a_failed_upgrade),
        EVERY_WAY(what_a_stream_has_read_ahead_is_not_seen),
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
