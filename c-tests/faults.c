/*
 * Every system call of an upgrade fails, one after the other, each in a process and on a connection of its own.
 *
 * Either the upgrade succeeds all the same, and then a conversation has every byte, all of it under TLS. Or it fails with
 * a code and a text, and then the connection is dead through every descriptor, and nothing has left in clear. In both
 * cases no descriptor and no thread stays behind, and the process can go on upgrading connections.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/calls.h"
#include "common/dead.h"
#include "common/extent.h"
#include "common/peer.h"
#include "common/supervisor.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define DATA UINT64_C(0x0123456789abcdef)
/* Calls that depend on who is quicker do not come in every run. */
#define TRIES 8

/* What an upgrade is like, beside its way. */
struct kind {
    const char *name;
    /* Another one came before: the relay thread runs already. */
    int is_later;
    /* The certificate is for another name. What fails before that is seen is another kind's matter. */
    int is_refused;
    /* A thread waits for input on the descriptor, and the calls that look for such threads fail. */
    int has_reader;
    /* The calls of which thread fail. */
    enum caller caller;
};

/* What a child tells. */
struct report {
    struct watch watch;
    int32_t code;
    int32_t reason;
    char text[512];
    /* AF_UNIX or AF_INET...: what the program's descriptor is. */
    int domain;
    int is_not_allowed;
};

/* 0, the errno of what failed, or -1 for an end of input. */
static int receive_plainly(int fd, size_t length, size_t offset)
{
    unsigned char buffer[8192];
    size_t received = 0;

    while (received < length) {
        ssize_t count = recv(fd, buffer, length - received, 0);
        if (count <= 0) {
            return count == 0 ? -1 : errno;
        }
        CHECK(pattern_matches(buffer, (size_t)count, offset + received));
        received += (size_t)count;
    }
    return 0;
}

/* There and back through both descriptors, and the epoll instance sees it. */
static void converse(ssl_socket *s, int fd, int again, int instance, const struct way *way)
{
    unsigned char bytes[5000];
    struct epoll_event event;

    pattern_fill(bytes, sizeof bytes, 0);
    send_through(s, fd, way, "echo\n", 5);
    send_through(s, fd, way, bytes, 3000);
    if ((way->flags & SSL_FLAG_EXPLICIT_IO) == 0) {
        CHECK(epoll_wait(instance, &event, 1, 10000) == 1 && event.data.u64 == DATA && event.events == EPOLLIN);
    }
    receive_through(s, fd, way, 3000, 0);
    send_through(s, again, way, bytes + 3000, 2000);
    receive_through(s, again, way, 2000, 3000);
}

/* The same while the relay's calls fail: 0, or the errno with which the connection ended, or -1 for an end of input. */
static int try_to_converse(int fd, int again)
{
    unsigned char bytes[5000];
    int error;

    pattern_fill(bytes, sizeof bytes, 0);
    if (send(fd, "echo\n", 5, MSG_NOSIGNAL) != 5 || send(fd, bytes, 3000, MSG_NOSIGNAL) != 3000) {
        return errno;
    }
    error = receive_plainly(fd, 3000, 0);
    if (error != 0) {
        return error;
    }
    if (send(again, bytes + 3000, 2000, MSG_NOSIGNAL) != 2000) {
        return errno;
    }
    return receive_plainly(again, 2000, 3000);
}

static void keep_error(ssl_socket *s, struct report *report)
{
    ssl_error_info info = {.size = sizeof info};
    size_t length = 0;

    report->code = ssl_get_error(s);
    CHECK(ssl_get_error_text(s, report->text, sizeof report->text, &length) == SSL_ERR_OKAY);
    CHECK(ssl_get_error_info(s, &info) == SSL_ERR_OKAY);
    report->reason = info.sys_errno;
}

static void expect_failed(ssl_socket *s, int fd, int again, int instance, struct report *report)
{
    struct epoll_event event;

    /* Before anything else could give the connection time to die. */
    expect_dead(fd);
    expect_dead(again);
    keep_error(s, report);
    CHECK(report->code != SSL_ERR_OKAY && report->text[0] != '\0');
    /* Who waits hears of it, unless it was the registration that could not be put back. */
    if (strstr(report->text, "could not add descriptor") == NULL) {
        CHECK(epoll_wait(instance, &event, 1, 10000) == 1 && event.data.u64 == DATA);
    }
}

/* The relay's calls fail: every byte arrives, or the program is told that the connection broke. */
static void expect_all_or_a_reset(ssl_socket *s, int fd, int again, struct report *report)
{
    int error = try_to_converse(fd, again);

    if (error == 0) {
        return;
    }
    CHECK(report->watch.error != EINTR);
    if (error != ECONNRESET && error != EPIPE) {
        FAIL("the conversation ended with %s", error < 0 ? "an end of input" : strerror(error));
    }
    expect_dead(fd);
    expect_dead(again);
    keep_error(s, report);
    CHECK(report->code != SSL_ERR_OKAY && report->text[0] != '\0');
}

static void *wait_for_input(void *fd)
{
    char byte;

    CHECK(recv(*(int *)fd, &byte, 1, 0) <= 0);
    return NULL;
}

/* Waits until a thread of this process is inside recv. */
static void await_reader(void)
{
    char wanted[16];
    int found = 0;

    snprintf(wanted, sizeof wanted, "%d 0x", SYS_recvfrom);
    for (long until = milliseconds() + 10000; !found && milliseconds() < until; sleep_ms(1)) {
        DIR *folder = opendir("/proc/self/task");

        CHECK(folder != NULL);
        for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
            char path[300];
            char line[32] = "";
            FILE *file;

            snprintf(path, sizeof path, "/proc/self/task/%s/syscall", entry->d_name);
            file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
            if (file != NULL) {
                found |= fgets(line, sizeof line, file) != NULL && strncmp(line, wanted, strlen(wanted)) == 0;
                fclose(file);
            }
        }
        closedir(folder);
    }
    CHECK(found);
}

static void upgrade_with_a_fault(const struct way *way, const struct kind *kind, struct report *report)
{
    struct epoll_event watched = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = DATA};
    struct extent before;
    ssl_socket *s;
    pthread_t reader;
    int fd, again, instance;
    int32_t code;

    alarm(20);
    if (supervise(&report->watch) != 0) {
        report->is_not_allowed = 1;
        return;
    }
    if (kind->is_later) {
        struct extent none = extent_now();

        echo_with_peer(way, 1000);
        expect_nothing_left_since(&none);
    }
    before = extent_now();

    fd = peer_connect_in_clear(way->peer);
    again = dup(fd);
    instance = epoll_create1(EPOLL_CLOEXEC);
    CHECK(again >= 0 && instance >= 0 && epoll_ctl(instance, EPOLL_CTL_ADD, fd, &watched) == 0);
    s = ssl_socket_new(fd);
    CHECK(s != NULL && ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);

    if (kind->has_reader) {
        CHECK(pthread_create(&reader, NULL, wait_for_input, &again) == 0);
        await_reader();
    }

    mark_begin();
    code = ssl_perform_handshake(s, kind->is_refused ? "wrong.test" : "localhost");
    if (kind->caller == UPGRADING_THREAD) {
        mark_end();
    }

    if (kind->has_reader || kind->is_refused) {
        CHECK(code != SSL_ERR_OKAY);
    }
    if (report->watch.error == EINTR) {
        CHECK(code == (kind->has_reader ? SSL_ERR_STATE : kind->is_refused ? SSL_ERR_NAME : SSL_ERR_OKAY));
    }
    if (code != SSL_ERR_OKAY) {
        expect_failed(s, fd, again, instance, report);
        CHECK(code == report->code);
    } else {
        CHECK(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &report->domain, &(socklen_t){sizeof report->domain}) == 0);
        if (kind->caller == UPGRADING_THREAD) {
            converse(s, fd, again, instance, way);
        } else {
            expect_all_or_a_reset(s, fd, again, report);
        }
    }
    if (kind->has_reader) {
        CHECK(pthread_join(reader, NULL) == 0);
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0 && close(again) == 0 && close(instance) == 0);
    peer_saw_only_tls();
    expect_nothing_left_since(&before);
    if (kind->caller != UPGRADING_THREAD) {
        mark_end();
    }
    if (code != SSL_ERR_OKAY || kind->caller != UPGRADING_THREAD || rounds(0, 1)) {
        echo_with_peer(way, 1000);
        expect_nothing_left_since(&before);
    }
}

/* In a process of its own. Answers whether everything was as it should be there; if not, it has said why. */
static int in_a_child(const struct way *way, const struct kind *kind, struct report *report)
{
    struct watch *watch = &report->watch;
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        upgrade_with_a_fault(way, kind, report);
        _exit(EXIT_SUCCESS);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (report->is_not_allowed) {
        SKIP("a seccomp filter with a listener is not allowed here");
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
        fprintf(stderr, "%s for call %u of %s%s: status %#x, code %d, \"%s\"\n", error_name(watch->error),
                watch->target.earlier + 1, watch->target.text, watch->done ? "" : " (which did not come)",
                (unsigned)status, (int)report->code, report->text);
        return 0;
    }
    return 1;
}

/* For the table in docs/bad-input.md: see tests/fault_table.py. */
static void tell(const struct way *way, const struct kind *kind, const struct report *report)
{
    const char *path = getenv("SSLSOCK_FAULTS");
    FILE *file = path == NULL ? NULL : fopen(path, "a");
    const char *outcome = report->text;

    if (report->code == SSL_ERR_OKAY) {
        outcome = report->domain != AF_UNIX ? "TCP" : "Unix";
    }
    if (file != NULL) {
        fprintf(file, "%s\t%s\t%s\t%s\t%s\t%s\n", kind->name, way->name, report->watch.target.text,
                error_name(report->watch.error), ssl_error_name(report->code), outcome);
        fclose(file);
    }
}

/* Whether a call belongs to what this kind is about. The calls are asked for in their order. */
static int is_to_fail(const struct kind *kind, const struct call *call, int *has_begun)
{
    if (kind->is_refused) {
        *has_begun |= call->number == SYS_sendto;
    } else if (kind->has_reader) {
        *has_begun |= strcmp(call->text, "open /proc/self/task") == 0;
        *has_begun &= strcmp(call->text, "open /proc/thread-self/fdinfo/N") != 0;
    } else {
        *has_begun = 1;
    }
    return *has_begun;
}

/* In the usual run a call is tried with the first of its errors and with EINTR. */
static int is_to_be_tried(const struct kind *kind, const int *errors, const int *error)
{
    /* Where the kernel or a sandbox does not let threads be looked at, nobody is found: documented. */
    if (kind->has_reader && (*error == ENOENT || *error == EACCES)) {
        return 0;
    }
    return error == errors || *error == EINTR || rounds(0, 1);
}

static void each_call_fails(const struct way *way, const struct kind *kind)
{
    static struct watch learnt;
    struct report *report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int calls = 0, injected = 0, missed = 0, failed = 0, wrong = 0, has_begun = 0;

    CHECK(report != MAP_FAILED);
    /* The kernel takes 40 ms to make room for numbers above 1023 if there are threads. Children inherit the room. */
    CHECK(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 1500) >= 0);
    report->watch.target.caller = kind->caller;
    CHECK(in_a_child(way, kind, report));
    learnt = report->watch;
    CHECK(learnt.count > 0 && learnt.count < CALLS_MAX);
    for (int i = 0; i < learnt.count; i++) {
        int errors[ERRORS_MAX];

        if (!is_to_fail(kind, &learnt.calls[i], &has_begun)) {
            continue;
        }
        calls++;
        call_errors(&learnt.calls[i], errors);
        for (int *error = errors; *error != 0; error++) {
            int fine;
            int try = 0;

            if (!is_to_be_tried(kind, errors, error)) {
                continue;
            }
            do {
                memset(report, 0, sizeof *report);
                report->watch.target = learnt.calls[i];
                report->watch.error = *error;
                fine = in_a_child(way, kind, report);
            } while (fine && !report->watch.done && ++try < TRIES);
            wrong += !fine;
            if (!report->watch.done) {
                missed++;
                continue;
            }
            tell(way, kind, report);
            injected++;
            failed += report->code != SSL_ERR_OKAY;
        }
    }
    printf("# %d calls, %d faults: %d with an error, %d without an effect or with a fallback; %d did not come again\n", calls,
           injected, failed, injected - failed, missed);
    fflush(stdout);
    munmap(report, sizeof *report);
    if (wrong > 0) {
        FAIL("%d of %d faults did not end as they should", wrong, injected);
    }
}

static void each_call_of_the_first_upgrade(const struct way *way)
{
    each_call_fails(way, &(struct kind){.name = "first"});
}

static void each_call_of_a_later_upgrade(const struct way *way)
{
    each_call_fails(way, &(struct kind){.name = "later", .is_later = 1});
}

static void each_call_after_a_refused_certificate(const struct way *way)
{
    each_call_fails(way, &(struct kind){.name = "refused", .is_refused = 1});
}

static void each_call_that_looks_for_a_blocked_reader(const struct way *way)
{
    each_call_fails(way, &(struct kind){.name = "reader", .has_reader = 1});
}

static void each_call_of_the_relay(const struct way *way)
{
    each_call_fails(way, &(struct kind){.name = "relay", .is_later = 1, .caller = OTHER_THREAD});
}

int main(int argc, char **argv)
{
    /* The others are for the long run. */
    static const struct way all_ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
        {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
        {"IPv6", "SSLSOCK_PEER6", 0},
        {"Unix", "SSLSOCK_PEER_UNIX", 0},
        {"Unix, explicit", "SSLSOCK_PEER_UNIX", SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct way usual_ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
        {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct way relay_ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
        {NULL, NULL, 0},
    };
    const struct way *ways = rounds(0, 1) ? all_ways : usual_ways;
    const struct test tests[] = {
        {"each_call_of_the_first_upgrade", each_call_of_the_first_upgrade, ways, 600},
        {"each_call_of_a_later_upgrade", each_call_of_a_later_upgrade, ways, 600},
        {"each_call_after_a_refused_certificate", each_call_after_a_refused_certificate, ways, 600},
        {"each_call_that_looks_for_a_blocked_reader", each_call_that_looks_for_a_blocked_reader, usual_way, 600},
        {"each_call_of_the_relay", each_call_of_the_relay, rounds(0, 1) ? transparent_ways : relay_ways, 600},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
