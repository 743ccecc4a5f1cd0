/*
 * Many connections in one process: what one of them costs must not depend on how many there are. Prints figures as JSON,
 * one a line; what is to be so whatever the machine (no echo fails, idle connections cost nothing, nothing is left) ends
 * the program with status 1 if it is not.
 *
 *     scale FOLDER connections COUNT [MODE]     MODE: tcp_pair (if not said), unix_pair, explicit, and each with _walk:
 *                                               without SSL_FLAG_SOLE_DESCRIPTOR
 *     scale FOLDER churn RATE SECONDS [MODE]    so many connections a second, each for one echo
 *
 * FOLDER has the keys of tests/servers/pki.py.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sslsock.h>

#include "../../c-tests/common/check.h"
#include "../../c-tests/common/extent.h"
#include "../../c-tests/common/process.h"

#define MESSAGE 64
#define ECHOES 12000
#define BULK ((size_t)128 * 1024 * 1024)
#define PIECE ((size_t)16384)
/* The buffers of an idle connection are given back after a second. */
#define SETTLE_SECONDS 3
#define IDLE_SECONDS 10
#define PATIENCE_MS 60000
/* Beside those of the connections. */
#define OTHER_DESCRIPTORS 64

struct link {
    int fd;
    ssl_socket *s;
};

static const char *mode;
static uint32_t flags;
static struct sockaddr_in peer;
static int failures;

/* What has to be so. */
static void expect(bool is_so, const char *what, double value)
{
    if (!is_so) {
        fprintf(stderr, "FAILED: %s: %g\n", what, value);
        failures++;
    }
}

static void figure(size_t count, const char *metric, double value)
{
    printf("{\"bench\": \"scale\", \"variant\": \"%s\", \"params\": {\"connections\": %zu}, \"metric\": \"%s\", \"value\": %.6g}\n",
           mode, count, metric, value);
    fflush(stdout);
}

static double now(clockid_t clock)
{
    struct timespec time;

    CHECK(clock_gettime(clock, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu(void)
{
    return now(CLOCK_PROCESS_CPUTIME_ID);
}

static void pause_for(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    while (nanosleep(&time, &time) != 0) {
    }
}

static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* What all threads but the calling one have done. */
struct activity {
    double cpu;
    long switches;
};

static struct activity others(void)
{
    struct activity sum = {0};
    DIR *folder = opendir("/proc/self/task");

    CHECK(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[300], line[256];
        long number;
        double nanoseconds;
        FILE *file;

        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid()) {
            continue;
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            char *value = strstr(line, "voluntary_ctxt_switches:");
            if (value != NULL && sscanf(strchr(value, ':') + 1, "%ld", &number) == 1) {
                sum.switches += number;
            }
        }
        if (file != NULL) {
            fclose(file);
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
        file = fopen(path, "r");
        if (file != NULL && fscanf(file, "%lf", &nanoseconds) == 1) {
            sum.cpu += nanoseconds / 1e9;
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    closedir(folder);
    return sum;
}

static void start_peer(const char *program, const char *folder)
{
    int in[2], out[2];
    char path[1024], text[32] = "";

    snprintf(path, sizeof path, "%.*s/scale_peer", (int)(strrchr(program, '/') - program), program);
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        CHECK(dup2(in[0], STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0);
        execl(path, path, folder, (char *)NULL);
        FAIL("%s: %s", path, strerror(errno));
    }
    close(in[0]);
    close(out[1]);
    CHECK(read(out[0], text, sizeof text - 1) > 0);
    close(out[0]);
    peer = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(text)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Connects and makes the handshake. Whether that went well; `number` spreads connections over the peer's addresses. */
static bool open_link(struct link *link, size_t number)
{
    struct sockaddr_in address = peer;
    int on = 1;
    char text[512] = "";
    size_t length;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number % 16));
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "connection %zu: %s\n", number, strerror(errno));
        return false;
    }
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    link->s = ssl_socket_new(link->fd);
    CHECK(link->s != NULL);
    CHECK(ssl_set_flags(link->s, SSL_FLAG_DEFER_HANDSHAKE | flags) == SSL_ERR_OKAY);
    if (ssl_perform_handshake(link->s, "localhost") != SSL_ERR_OKAY) {
        ssl_get_error_text(link->s, text, sizeof text, &length);
        fprintf(stderr, "connection %zu: %s\n", number, text);
        return false;
    }
    return true;
}

static bool send_whole(struct link *link, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const char *from = (const char *)bytes + done;
        ssize_t count = flags & SSL_FLAG_EXPLICIT_IO ? ssl_send(link->s, from, size - done, 0)
                                                     : send(link->fd, from, size - done, MSG_NOSIGNAL);
        if (count <= 0) {
            return false;
        }
        done += (size_t)count;
    }
    return true;
}

static bool receive_whole(struct link *link, void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        char *to = (char *)bytes + done;
        ssize_t count = flags & SSL_FLAG_EXPLICIT_IO ? ssl_recv(link->s, to, size - done, 0) : recv(link->fd, to, size - done, 0);
        if (count <= 0) {
            return false;
        }
        done += (size_t)count;
    }
    return true;
}

static void message_of(unsigned char *message, size_t number, size_t round)
{
    for (size_t i = 0; i < MESSAGE; i++) {
        message[i] = (unsigned char)(number * 31 + round * 7 + i + (number >> 8));
    }
}

/* How many failed of one echo on each: first all are sent, then all are received. */
static size_t echo_on_all(struct link *links, size_t count, size_t round)
{
    unsigned char message[MESSAGE], answer[MESSAGE];
    size_t failed = 0;

    for (size_t i = 0; i < count; i++) {
        message_of(message, i, round);
        failed += !send_whole(&links[i], message, MESSAGE);
    }
    for (size_t i = 0; i < count; i++) {
        message_of(message, i, round);
        failed += !receive_whole(&links[i], answer, MESSAGE) || memcmp(message, answer, MESSAGE) != 0;
    }
    return failed;
}

static size_t echo_one_by_one(struct link *links, size_t count, size_t echoes)
{
    unsigned char message[MESSAGE], answer[MESSAGE];
    size_t failed = 0;

    for (size_t i = 0; i < echoes; i++) {
        struct link *link = &links[i * 7919 % count];

        message_of(message, i, 0);
        failed += !send_whole(link, message, MESSAGE) || !receive_whole(link, answer, MESSAGE) ||
                  memcmp(message, answer, MESSAGE) != 0;
    }
    return failed;
}

/* Everything there and back, a few pieces at a time on each. */
static void bulk(struct link *links, size_t count)
{
    static unsigned char piece[PIECE], answer[PIECE];
    size_t rounds = BULK / PIECE / count;
    double begun, used;
    size_t failed = 0;

    rounds = rounds ? rounds : 1;
    for (size_t i = 0; i < PIECE; i++) {
        piece[i] = (unsigned char)(i * 131 >> 3);
    }
    begun = now(CLOCK_MONOTONIC);
    used = cpu();
    for (size_t round = 0; round < rounds; round++) {
        /* So much that many are busy at once, and little enough for the peer not to be the one who waits. */
        for (size_t from = 0; from < count; from += 256) {
            size_t to = from + 256 < count ? from + 256 : count;
            for (size_t i = from; i < to; i++) {
                failed += !send_whole(&links[i], piece, PIECE);
            }
            for (size_t i = from; i < to; i++) {
                failed += !receive_whole(&links[i], answer, PIECE) || memcmp(piece, answer, PIECE) != 0;
            }
        }
    }
    double gigabytes = 2.0 * (double)(rounds * count * PIECE) / 1e9;
    figure(count, "bulk_cpu_s_per_gb", (cpu() - used) / gigabytes);
    figure(count, "bulk_gb_per_s", gigabytes / (now(CLOCK_MONOTONIC) - begun));
    expect(failed == 0, "pieces of bulk that failed", (double)failed);
}

static void idle(size_t count, size_t heap_before, long resident_before)
{
    pause_for(SETTLE_SECONDS);
    figure(count, "heap_bytes_per_idle", ((double)heap() - (double)heap_before) / (double)count);
    figure(count, "resident_bytes_per_idle", (double)(resident_kib() - resident_before) * 1024.0 / (double)count);
    struct activity before = others();
    pause_for(IDLE_SECONDS);
    struct activity after = others();
    figure(count, "idle_cpu_us", (after.cpu - before.cpu) * 1e6);
    figure(count, "idle_context_switches", (double)(after.switches - before.switches));
    expect(after.cpu == before.cpu, "CPU time of idle connections in microseconds", (after.cpu - before.cpu) * 1e6);
    expect(after.switches == before.switches, "context switches of idle connections", (double)(after.switches - before.switches));
}

/* Waits until nothing is left but one relay thread with its two descriptors, and says what there is. */
static void gone(size_t count, const struct extent *before)
{
    struct extent left;
    double until = now(CLOCK_MONOTONIC) + PATIENCE_MS / 1000.0;

    do {
        struct extent there = extent_now();
        left.relay_threads = there.relay_threads - before->relay_threads;
        left.threads = there.threads - before->threads - left.relay_threads;
        left.descriptors = there.descriptors - before->descriptors - 2 * left.relay_threads;
        if (left.relay_threads <= 1 && left.threads == 0 && left.descriptors <= 0) {
            break;
        }
        pause_for(0.01);
    } while (now(CLOCK_MONOTONIC) < until);
    figure(count, "descriptors_left", left.descriptors);
    figure(count, "relay_threads_left", left.relay_threads);
    expect(left.descriptors <= 0, "descriptors left", left.descriptors);
    expect(left.relay_threads <= 1 && left.threads == 0, "threads left", left.relay_threads + left.threads);
}

static void connections(size_t wanted)
{
    struct rlimit limit;
    size_t each = flags & SSL_FLAG_EXPLICIT_IO ? 2 : 3;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    size_t most = (limit.rlim_cur - OTHER_DESCRIPTORS) / each;
    size_t count = wanted < most ? wanted : most;
    figure(count, "descriptor_limit", (double)limit.rlim_cur);
    if (count < wanted) {
        fprintf(stderr, "%zu connections of %zu: there may be %llu descriptors\n", count, wanted, (unsigned long long)limit.rlim_cur);
    }
    struct link *links = calloc(count, sizeof *links);
    CHECK(links != NULL);
    /* What the first one costs is not the connection's. */
    struct link one;
    struct extent at_first = extent_now();
    CHECK(open_link(&one, 0) && echo_on_all(&one, 1, 0) == 0);
    size_t heap_before = heap();
    long resident_before = resident_kib();
    double used = cpu(), begun = now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < count - (count == most); i++) {
        CHECK(open_link(&links[i], i));
    }
    if (count == most) {
        count--;
    }
    figure(count, "handshake_cpu_us", (cpu() - used) / (double)count * 1e6);
    figure(count, "handshakes_per_s", (double)count / (now(CLOCK_MONOTONIC) - begun));
    figure(count, "relay_threads", extent_now().relay_threads);
    size_t rounds = ECHOES / count ? ECHOES / count : 1, failed = 0;
    used = cpu();
    for (size_t round = 0; round < rounds; round++) {
        failed += echo_on_all(links, count, round);
    }
    figure(count, "echo_cpu_us", (cpu() - used) / (double)(rounds * count) * 1e6);
    used = cpu();
    begun = now(CLOCK_MONOTONIC);
    failed += echo_one_by_one(links, count, ECHOES);
    figure(count, "round_trip_cpu_us", (cpu() - used) / ECHOES * 1e6);
    figure(count, "round_trip_us", (now(CLOCK_MONOTONIC) - begun) / ECHOES * 1e6);
    figure(count, "echoes_failed", (double)failed);
    expect(failed == 0, "echoes that failed", (double)failed);
    idle(count, heap_before, resident_before);
    bulk(links, count);
    pause_for(SETTLE_SECONDS);
    figure(count, "heap_bytes_after_bulk", ((double)heap() - (double)heap_before) / (double)count);
    figure(count, "resident_bytes_after_bulk", (double)(resident_kib() - resident_before) * 1024.0 / (double)count);
    failed = echo_on_all(links, count, 1);
    expect(failed == 0, "echoes that failed after a rest", (double)failed);
    used = cpu();
    for (size_t i = 0; i < count; i++) {
        CHECK(ssl_socket_free(links[i].s) == SSL_ERR_OKAY && close(links[i].fd) == 0);
    }
    CHECK(ssl_socket_free(one.s) == SSL_ERR_OKAY && close(one.fd) == 0);
    free(links);
    gone(count, &at_first);
    figure(count, "close_cpu_us", (cpu() - used) / (double)count * 1e6);
}

/* Each second so many are begun, by a few threads. */
struct churn {
    size_t first, step, all;
    double begun, rate;
    size_t failed;
};

#define CHURN_THREADS 8

static void *churn_part(void *argument)
{
    struct churn *part = argument;
    unsigned char message[MESSAGE];

    for (size_t i = part->first; i < part->all; i += part->step) {
        double early = part->begun + (double)i / part->rate - now(CLOCK_MONOTONIC);
        struct link link;

        if (early > 0) {
            pause_for(early);
        }
        message_of(message, i, 0);
        if (!open_link(&link, i)) {
            part->failed++;
            continue;
        }
        part->failed += echo_on_all(&link, 1, i);
        CHECK(ssl_socket_free(link.s) == SSL_ERR_OKAY && close(link.fd) == 0);
    }
    return NULL;
}

static void churn(double rate, double length)
{
    struct churn parts[CHURN_THREADS];
    pthread_t threads[CHURN_THREADS];
    struct extent at_first = extent_now();
    double used = cpu(), begun = now(CLOCK_MONOTONIC);
    size_t all = (size_t)(rate * length), failed = 0;

    for (size_t i = 0; i < CHURN_THREADS; i++) {
        parts[i] = (struct churn){.first = i, .step = CHURN_THREADS, .all = all, .begun = begun, .rate = rate};
        CHECK(pthread_create(&threads[i], NULL, churn_part, &parts[i]) == 0);
    }
    for (size_t i = 0; i < CHURN_THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        failed += parts[i].failed;
    }
    double seconds = now(CLOCK_MONOTONIC) - begun;
    figure(all, "churn_per_s", (double)all / seconds);
    figure(all, "churn_failed", (double)failed);
    figure(all, "churn_cpu_us", (cpu() - used) / (double)all * 1e6);
    expect(failed == 0, "connections of the churn that failed", (double)failed);
    gone(all, &at_first);
}

static void choose_mode(const char *name)
{
    mode = name;
    flags = SSL_FLAG_SOLE_DESCRIPTOR;
    if (strstr(name, "_walk") != NULL) {
        flags = 0;
    }
    if (strncmp(name, "unix_pair", 9) == 0) {
        flags |= SSL_FLAG_UNIX_PAIR;
    } else if (strncmp(name, "explicit", 8) == 0) {
        flags |= SSL_FLAG_EXPLICIT_IO;
    } else if (strncmp(name, "tcp_pair", 8) != 0) {
        FAIL("no such mode: %s", name);
    }
}

int main(int argc, char **argv)
{
    char path[1024];
    bool is_churn = argc > 2 && strcmp(argv[2], "churn") == 0;
    int behind = is_churn ? 5 : 4;

    if (argc < behind || (!is_churn && strcmp(argv[2], "connections") != 0)) {
        fprintf(stderr, "usage: scale FOLDER connections COUNT [MODE] | scale FOLDER churn RATE SECONDS [MODE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    choose_mode(argc > behind ? argv[behind] : "tcp_pair");
    snprintf(path, sizeof path, "%s/ca.pem", argv[1]);
    CHECK(ssl_add_trust_file(ssl_defaults(), path) == SSL_ERR_OKAY);
    start_peer(argv[0], argv[1]);
    if (is_churn) {
        churn(atof(argv[3]), atof(argv[4]));
    } else {
        connections(strtoul(argv[3], NULL, 10));
    }
    return failures > 0;
}
