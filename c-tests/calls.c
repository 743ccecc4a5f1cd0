/*
 * Every call on a socket in clear and on an upgraded one, and where they differ.
 *
 * Each probe is a function that works on a connection and writes down what the calls answered. It runs in a process of
 * its own for every kind of connection. The program prints, with tabs between the fields:
 *
 *     same        PROBE
 *     difference  PROBE  IN CLEAR  ON A TCP PAIR  ON AN AF_UNIX PAIR
 *     skipped     KIND   WHY
 *     failed      PROBE  KIND  WHY
 *
 * and at last how many there were. tests/differences.py compares it with the README. Arguments choose probes by parts
 * of their names; with -v every outcome is printed, too.
 */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls/connection.h"
#include "calls/probes.h"
#include "common/check.h"

#define SECONDS 60

enum { PLAIN4, TCP4, UNIX4, PLAIN6, TCP6, UNIX6, PLAIN_UNIX, UNIX_UNIX, KINDS };

static const struct kind kinds[KINDS] = {
    [PLAIN4] = {"IPv4, in clear", "SSLSOCK_CALLS_PEER", 0, 0},
    [TCP4] = {"IPv4, TCP pair", "SSLSOCK_CALLS_PEER", 1, 0},
    [UNIX4] = {"IPv4, Unix pair", "SSLSOCK_CALLS_PEER", 1, SSL_FLAG_UNIX_PAIR},
    [PLAIN6] = {"IPv6, in clear", "SSLSOCK_CALLS_PEER6", 0, 0},
    [TCP6] = {"IPv6, TCP pair", "SSLSOCK_CALLS_PEER6", 1, 0},
    [UNIX6] = {"IPv6, Unix pair", "SSLSOCK_CALLS_PEER6", 1, SSL_FLAG_UNIX_PAIR},
    [PLAIN_UNIX] = {"AF_UNIX, in clear", "SSLSOCK_CALLS_PEER_UNIX", 0, 0},
    [UNIX_UNIX] = {"AF_UNIX, Unix pair", "SSLSOCK_CALLS_PEER_UNIX", 1, 0},
};

static const struct probe *const all_probes[] = {
    address_probes, receiving_probes, sending_probes,    waiting_probes,
    epoll_probes,   ending_probes,    descriptor_probes, option_probes,
};

/* A probe's outcome, or what it said before it failed. */
struct run {
    pid_t child;
    int output;
    int failed;
    char text[OUTCOME_SIZE];
};

static struct {
    int same;
    int different;
    int failed;
} tally;

static void begin(struct run *run, const struct probe *probe, const struct kind *kind)
{
    int ends[2];

    CHECK(pipe(ends) == 0);
    fflush(stdout);
    run->child = fork();
    CHECK(run->child >= 0);
    if (run->child == 0) {
        static struct connection c;

        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        alarm(SECONDS);
        open_connection(&c, kind);
        probe->run(&c);
        dprintf(STDERR_FILENO, "%s", c.outcome);
        /* Without the library's exit handler: what a process's end does is not compared here. */
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    run->output = ends[0];
}

static void finish(struct run *run)
{
    size_t used = 0;
    ssize_t count;
    int status;

    while ((count = read(run->output, run->text + used, sizeof run->text - 1 - used)) > 0) {
        used += (size_t)count;
    }
    close(run->output);
    run->text[used] = '\0';
    CHECK(waitpid(run->child, &status, 0) == run->child);
    run->failed = !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS;
    if (WIFSIGNALED(status)) {
        snprintf(run->text + used, sizeof run->text - used, " (signal %d)", WTERMSIG(status));
    }
    run->text[strcspn(run->text, "\n")] = '\0';
}

static int equal(const struct run *one, const struct run *other)
{
    return strcmp(one->text, other->text) == 0;
}

static void print_difference(const char *name, const char *over, const char *clear, const char *tcp,
                             const char *unix_pair)
{
    tally.different++;
    printf("difference\t%s%s\t%s\t%s\t%s\n", name, over, clear, tcp, unix_pair);
}

static int differs(const struct run *three)
{
    return !equal(&three[0], &three[1]) || !equal(&three[0], &three[2]);
}

static void compare(const char *name, const struct run *runs, int with_ipv6)
{
    const struct run *four = &runs[PLAIN4];
    const struct run *six = &runs[PLAIN6];
    const struct run *clear = &runs[PLAIN_UNIX];
    const struct run *unix_pair = &runs[UNIX_UNIX];
    int found = 0;

    if (differs(four)) {
        found = 1;
        print_difference(name, "", four[0].text, four[1].text, four[2].text);
    }
    /* Only what is not as with IPv4. */
    if (with_ipv6 && (differs(six) || found) &&
        !(equal(&six[0], &four[0]) && equal(&six[1], &four[1]) && equal(&six[2], &four[2]))) {
        found = 1;
        print_difference(name, ", over IPv6", six[0].text, six[1].text, six[2].text);
    }
    if (!equal(clear, unix_pair) && !(equal(clear, &four[0]) && equal(unix_pair, &four[2]))) {
        found = 1;
        print_difference(name, ", AF_UNIX connection", clear->text, "", unix_pair->text);
    }
    if (!found) {
        tally.same++;
        printf("same\t%s\n", name);
    }
}

static void run_probe(const struct probe *probe, int with_ipv6, int verbose)
{
    struct run runs[KINDS];
    int failed = 0;

    memset(runs, 0, sizeof runs);
    for (int i = 0; i < KINDS; i++) {
        if (with_ipv6 || strcmp(kinds[i].peer, "SSLSOCK_CALLS_PEER6") != 0) {
            begin(&runs[i], probe, &kinds[i]);
        }
    }
    for (int i = 0; i < KINDS; i++) {
        if (runs[i].child == 0) {
            continue;
        }
        finish(&runs[i]);
        if (runs[i].failed) {
            failed = 1;
            printf("failed\t%s\t%s\t%s\n", probe->name, kinds[i].name, runs[i].text);
        } else if (verbose) {
            printf("    %-20s %s\n", kinds[i].name, runs[i].text);
        }
    }
    if (failed) {
        tally.failed++;
    } else {
        compare(probe->name, runs, with_ipv6);
    }
}

int main(int argc, char **argv)
{
    int with_ipv6 = getenv("SSLSOCK_CALLS_PEER6") != NULL;
    int verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    int first = 1 + verbose;

    if (!with_ipv6) {
        printf("skipped\tIPv6\t::1 cannot be bound\n");
    }
    for (size_t i = 0; i < sizeof all_probes / sizeof *all_probes; i++) {
        for (const struct probe *probe = all_probes[i]; probe->name != NULL; probe++) {
            int chosen = first == argc;
            for (int word = first; word < argc; word++) {
                chosen |= strstr(probe->name, argv[word]) != NULL;
            }
            if (chosen) {
                run_probe(probe, with_ipv6, verbose);
            }
        }
    }
    printf("%d the same, %d different, %d failed\n", tally.same, tally.different, tally.failed);
    return tally.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
