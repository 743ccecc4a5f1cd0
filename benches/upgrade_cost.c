/*
 * What ssl_perform_handshake costs its thread with 10, 1,000 and 15,000 descriptors open: transparent mode with and
 * without SSL_FLAG_SOLE_DESCRIPTOR beside explicit mode, which looks at none of them. Prints JSON lines.
 *
 *     upgrade_cost ROUNDS CA.pem SERVER-ALL.pem
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sslsock.h>

#define ROUNDS_MAX 1000
#define DESCRIPTORS_MAX 15000
/* For the library's own, the standard ones and the connection. */
#define SPARE 60

enum { FILES, SOCKETS };
enum { EXPLICIT, TRANSPARENT, SOLE, VARIANTS };

static const char *const variant_names[VARIANTS] = {"explicit", "transparent", "transparent_sole"};
static const uint32_t variant_flags[VARIANTS] = {SSL_FLAG_EXPLICIT_IO, 0, SSL_FLAG_SOLE_DESCRIPTOR};

static struct sockaddr_in server_address = {.sin_family = AF_INET};
static const char *authority;

#define MUST(condition) must(condition, #condition, __LINE__)

static void must(int holds, const char *what, int line)
{
    if (!holds) {
        char text[512] = "";
        size_t length;

        ssl_get_error_text(NULL, text, sizeof text, &length);
        fprintf(stderr, "upgrade_cost.c:%d: %s: %m %s\n", line, what, text);
        exit(EXIT_FAILURE);
    }
}

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* In a process of its own. */
static void serve(int listener, const char *identity)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        ssl_socket *s = ssl_socket_new(fd);
        char end;

        MUST(s != NULL && ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | SSL_FLAG_SERVER | SSL_FLAG_EXPLICIT_IO) == 0);
        MUST(ssl_set_identity_file(s, identity, identity) == 0);
        if (ssl_perform_handshake(s, NULL) == 0) {
            while (ssl_recv(s, &end, 1, 0) > 0) {
            }
        }
        ssl_socket_free(s);
        close(fd);
    }
}

static void start_server(const char *identity)
{
    socklen_t length = sizeof server_address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    server_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(bind(listener, (struct sockaddr *)&server_address, length) == 0 && listen(listener, 16) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&server_address, &length) == 0);
    switch (fork()) {
    case 0:
        serve(listener, identity);
        _exit(EXIT_FAILURE);
    case -1:
        MUST(0);
    }
    close(listener);
}

struct cost {
    double cpu;
    double wall;
};

static struct cost upgrade(int variant)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssl_socket *s = ssl_socket_new(fd);
    struct cost cost;

    MUST(connect(fd, (struct sockaddr *)&server_address, sizeof server_address) == 0);
    MUST(s != NULL && ssl_add_trust_file(s, authority) == 0);
    MUST(ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | SSL_FLAG_NO_RESUMPTION | variant_flags[variant]) == 0);
    cost.cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    cost.wall = seconds(CLOCK_MONOTONIC);
    MUST(ssl_perform_handshake(s, "localhost") == 0);
    cost.wall = seconds(CLOCK_MONOTONIC) - cost.wall;
    cost.cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cost.cpu;
    ssl_socket_free(s);
    close(fd);
    return cost;
}

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

static void *wait_for_ever(void *unused)
{
    pause();
    return unused;
}

static void measure(int descriptors, int kind, int is_watched, int has_thread, int rounds)
{
    static int opened[DESCRIPTORS_MAX];
    static double cpu[VARIANTS][ROUNDS_MAX], wall[VARIANTS][ROUNDS_MAX];
    int epoll = is_watched ? epoll_create1(EPOLL_CLOEXEC) : -1;
    pthread_t thread;

    if (has_thread) {
        MUST(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    }
    for (int i = 0; i < descriptors; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};

        opened[i] = kind == FILES ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                                  : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        MUST(opened[i] >= 0);
        MUST(!is_watched || epoll_ctl(epoll, EPOLL_CTL_ADD, opened[i], &event) == 0);
    }
    for (int variant = 0; variant < VARIANTS; variant++) {
        upgrade(variant);
    }
    for (int round = 0; round < rounds; round++) {
        for (int variant = 0; variant < VARIANTS; variant++) {
            struct cost cost = upgrade(variant);
            cpu[variant][round] = cost.cpu * 1e6;
            wall[variant][round] = cost.wall * 1e6;
        }
    }
    for (int variant = 0; variant < VARIANTS; variant++) {
        const char *names[] = {"cpu_us", "wall_us"};
        double values[] = {median(cpu[variant], rounds), median(wall[variant], rounds)};

        for (int metric = 0; metric < 2; metric++) {
            printf("{\"bench\": \"upgrade_cost\", \"variant\": \"%s\", \"params\": {\"descriptors\": %d, \"kind\": "
                   "\"%s\", \"watched_by_epoll\": %s, \"other_thread\": %s}, \"metric\": \"%s\", \"value\": %.1f}\n",
                   variant_names[variant], descriptors, kind == FILES ? "files" : "sockets",
                   is_watched ? "true" : "false", has_thread ? "true" : "false", names[metric], values[metric]);
        }
    }
    fflush(stdout);
    for (int i = 0; i < descriptors; i++) {
        close(opened[i]);
    }
    if (is_watched) {
        close(epoll);
    }
    if (has_thread) {
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
}

int main(int argc, char **argv)
{
    static const int counts[] = {10, 1000, DESCRIPTORS_MAX};
    struct rlimit limit;
    int rounds = argc > 1 ? atoi(argv[1]) : 0;

    if (argc != 4 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: upgrade_cost ROUNDS CA.pem SERVER-ALL.pem\n");
        return EXIT_FAILURE;
    }
    authority = argv[2];
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    start_server(argv[3]);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if ((rlim_t)counts[i] + SPARE > limit.rlim_cur) {
            fprintf(stderr, "%d descriptors are more than the limit of %lu allows\n", counts[i], limit.rlim_cur);
            continue;
        }
        for (int has_thread = 0; has_thread < 2; has_thread++) {
            measure(counts[i], FILES, 0, has_thread, rounds);
            measure(counts[i], SOCKETS, 0, has_thread, rounds);
            measure(counts[i], SOCKETS, 1, has_thread, rounds);
        }
    }
    return EXIT_SUCCESS;
}
