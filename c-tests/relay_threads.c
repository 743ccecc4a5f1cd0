/*
 * How many threads carry connections: what ssl_set_relay_threads says, before the first connection and later, in a
 * forked child, and that threads end when there is nothing left for them, and sleep when nothing happens.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/extent.h"
#include "common/peer.h"
#include "common/process.h"
#include "common/test.h"
#include "common/upgrade.h"

/* With so many connections on each thread there is another one, if there may be. */
#define EACH 64

#define MOST 200

static int sockets[MOST];

static void open_sockets(int first, int count)
{
    CHECK(first + count <= MOST);
    for (int i = first; i < first + count; i++) {
        sockets[i] = peer_connect("SSLSOCK_PEER");
        CHECK(ssl_socket_free(upgrade_with(sockets[i], "localhost", SSL_FLAG_SOLE_DESCRIPTOR)) == SSL_ERR_OKAY);
        send_all(sockets[i], "echo\n", 5);
    }
}

static void talk(int first, int count)
{
    char answer[10];

    for (int i = first; i < first + count; i++) {
        send_all(sockets[i], "0123456789", sizeof answer);
    }
    for (int i = first; i < first + count; i++) {
        CHECK(recv(sockets[i], answer, sizeof answer, MSG_WAITALL) == sizeof answer);
        CHECK(memcmp(answer, "0123456789", sizeof answer) == 0);
    }
}

static void close_sockets(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        CHECK(close(sockets[i]) == 0);
    }
}

static int relay_threads(void)
{
    return extent_now().relay_threads;
}

static void await_threads(int count)
{
    long until = milliseconds() + 20000;

    while (relay_threads() != count) {
        if (milliseconds() > until) {
            FAIL("%d threads of the relay instead of %d", relay_threads(), count);
        }
        sleep_ms(1);
    }
}

/* More than there are processors, too. */
static void grow_to_what_was_set_and_end(const struct way *way)
{
    struct extent before = extent_now();

    (void)way;
    CHECK(ssl_set_relay_threads(3) == SSL_ERR_OKAY);
    CHECK(relay_threads() == 0);
    open_sockets(0, 1);
    CHECK(relay_threads() == 1);
    open_sockets(1, 2 * EACH + 9);
    await_threads(3);
    talk(0, 2 * EACH + 10);
    CHECK(relay_threads() == 3);
    close_sockets(0, 2 * EACH + 10);
    await_threads(1);
    expect_nothing_left_since(&before);
}

static void a_lower_number_counts_for_what_follows(const struct way *way)
{
    (void)way;
    CHECK(ssl_set_relay_threads(2) == SSL_ERR_OKAY);
    open_sockets(0, EACH + 10);
    await_threads(2);
    CHECK(ssl_set_relay_threads(1) == SSL_ERR_OKAY);
    open_sockets(EACH + 10, EACH + 10);
    talk(0, 2 * EACH + 20);
    CHECK(relay_threads() == 2);
    /* The second thread has none of the later ones, which go on talking on the first. */
    close_sockets(0, EACH + 10);
    await_threads(1);
    talk(EACH + 10, EACH + 10);
    close_sockets(EACH + 10, EACH + 10);
}

static void a_higher_number_counts_for_what_follows(const struct way *way)
{
    (void)way;
    CHECK(ssl_set_relay_threads(1) == SSL_ERR_OKAY);
    open_sockets(0, EACH + 10);
    CHECK(relay_threads() == 1);
    CHECK(ssl_set_relay_threads(2) == SSL_ERR_OKAY);
    open_sockets(EACH + 10, 1);
    await_threads(2);
    talk(0, EACH + 11);
    close_sockets(0, EACH + 11);
}

static void use_processors(int count)
{
    cpu_set_t all;
    cpu_set_t some;
    int found = 0;

    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&some);
    for (int i = 0; i < CPU_SETSIZE && found < count; i++) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &some);
            found++;
        }
    }
    if (found < count) {
        SKIP("there are %d processors, not %d", found, count);
    }
    CHECK(sched_setaffinity(0, sizeof some, &some) == 0);
}

static void by_default_one_for_each_processor(const struct way *way)
{
    (void)way;
    use_processors(1);
    open_sockets(0, EACH + 10);
    talk(0, EACH + 10);
    CHECK(relay_threads() == 1);
    close_sockets(0, EACH + 10);
}

static void a_child_begins_with_the_default(const struct way *way)
{
    pid_t child;

    (void)way;
    use_processors(2);
    CHECK(ssl_set_relay_threads(1) == SSL_ERR_OKAY);
    open_sockets(0, EACH + 10);
    CHECK(relay_threads() == 1);
    child = quiet_fork();
    if (child == 0) {
        close_sockets(0, EACH + 10);
        CHECK(relay_threads() == 0);
        open_sockets(0, EACH + 10);
        await_threads(2);
        talk(0, EACH + 10);
        /* Without what a sanitizer does at the end: it takes the parent's threads' memory for lost. */
        _exit(EXIT_SUCCESS);
    }
    expect_success(child);
    talk(0, EACH + 10);
    CHECK(relay_threads() == 1);
    close_sockets(0, EACH + 10);
}

/* How often the relay's threads have been on a processor. */
static long wakings(void)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    long sum = 0;

    CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        char path[300];
        char line[200];
        FILE *file;
        int is_relay = 0;

        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            long count;

            is_relay |= strcmp(line, "Name:\tsslsock\n") == 0;
            if (is_relay && sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1) {
                sum += count;
            }
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    closedir(folder);
    return sum;
}

/* The buffers have been given back after a second; from then on nothing happens. */
static void nobody_wakes_up_while_nothing_happens(const struct way *way)
{
    long until = milliseconds() + 30000;
    long before;

    (void)way;
    CHECK(ssl_set_relay_threads(2) == SSL_ERR_OKAY);
    open_sockets(0, EACH + 10);
    talk(0, EACH + 10);
    do {
        before = wakings();
        CHECK(before > 0 && milliseconds() < until);
        sleep_ms(3000);
    } while (wakings() != before);
    talk(0, EACH + 10);
    CHECK(wakings() > before);
    close_sockets(0, EACH + 10);
}

static const struct test tests[] = {
    {"grow_to_what_was_set_and_end", grow_to_what_was_set_and_end, NULL, 0},
    {"a_lower_number_counts_for_what_follows", a_lower_number_counts_for_what_follows, NULL, 0},
    {"a_higher_number_counts_for_what_follows", a_higher_number_counts_for_what_follows, NULL, 0},
    {"by_default_one_for_each_processor", by_default_one_for_each_processor, NULL, 0},
    {"a_child_begins_with_the_default", a_child_begins_with_the_default, NULL, 0},
    {"nobody_wakes_up_while_nothing_happens", nobody_wakes_up_while_nothing_happens, NULL, 0},
    {NULL, NULL, NULL, 0},
};

int main(int argc, char **argv)
{
    return run_tests(argc, argv, tests);
}
