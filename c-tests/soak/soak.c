/*
 * The soak: hundreds of connections at a time for as long as is asked, both roles, both modes, both kinds of pair, all
 * endings, against OpenSSL in another process. Every byte is compared, every ending judged by what the documents promise.
 *
 *     soak SECONDS FOLDER [AT_ONCE [SEED [FIRST]]]      FOLDER has the keys of tests/servers/pki.py
 *
 * FIRST is the number of the connection to begin with: with AT_ONCE 1 that one alone is seen again.
 *
 * Now and then no connection is begun until all are over; then memory, descriptors and threads are looked at. Fails if a
 * byte is lost or wrong, an ending is told wrongly, anything hangs, or something has been left behind. The last line says
 * "soak passed" or "soak failed".
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../common/check.h"
#include "../common/extent.h"
#include "../common/process.h"
#include "connection.h"
#include "net.h"

/* Between the first look at the memory, when everything has been there once, and the last one. */
#define GROWTH_PERCENT 5
/* Shorter runs say nothing about memory. */
#define LONG_SECONDS 240
#define PATIENCE 30

uint64_t soak_seed;

static int poller, orders, outcomes;
static struct sockaddr_in peer4;
static struct sockaddr_in6 peer6;
static struct connection *connections;
static size_t at_once;
static int listeners[2];
static uint64_t turn, now, next_number, failures, judged;
static unsigned char buffer[MAX_PIECE];

/* What was done, by kind. */
static uint64_t by_ending[ENDINGS], by_path[PATHS], by_role[2], by_version[2], by_blocking[2], by_end[5], by_their_end[5];
static uint64_t stalls[2], freed_early, cut_up, cut_down, bytes_up, bytes_down, sends_failed, resumed;

void soak_failed(const struct connection *c, const char *format, ...)
{
    va_list arguments;

    if (__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED) > 20) {
        return;
    }
    flockfile(stderr);
    fprintf(stderr, "FAILED: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (c != NULL) {
        fputs("    ", stderr);
        plan_print(&c->plan);
        fprintf(stderr, "    ours: sent %llu%s, got %llu, end: %s, errno of send %d, code %s, \"%s\"\n",
                (unsigned long long)c->sent, c->sending_over ? "" : " (not over)", (unsigned long long)c->got, end_name(c->end),
                c->send_errno, c->code == -1 ? "not known" : ssl_error_name(c->code), c->text);
        fprintf(stderr, "    peer: sent %llu%s, got %llu, end: %s%s%s \"%s\"\n", (unsigned long long)c->theirs.sent,
                c->theirs.notified ? " and close_notify" : "", (unsigned long long)c->theirs.got, end_name(c->theirs.end),
                c->theirs_is_there ? "" : " (not over)", c->theirs.hangs ? ", hangs" : "", c->theirs.text);
    }
    funlockfile(stderr);
}

bool soak_has_failed(void)
{
    return __atomic_load_n(&failures, __ATOMIC_RELAXED) > 0;
}

static void watch(struct connection *c, int fd, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(poller, operation, fd, &event) != 0) {
        soak_failed(c, "epoll_ctl %d on %d: %s", operation, fd, strerror(errno));
    }
    c->events = events;
}

static void wait_for(struct connection *c, uint32_t events)
{
    if (events != c->events) {
        watch(c, c->fd, EPOLL_CTL_MOD, events);
    }
}

/* By calls that wait, or in the loop. */
static void go_on(struct connection *c)
{
    struct timeval none = {0, 0};

    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none) == 0);
    c->state = HANDSHAKE;
    if (c->plan.blocking) {
        blocking_hand_over(c);
        return;
    }
    if (c->plan.ours_stalls) {
        int size = STALLING_BUFFER;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    make_nonblocking(c->fd);
    connection_secure(c);
    if (c->plan.watched_before) {
        watch(c, c->fd, EPOLL_CTL_ADD, 0);
    }
    c->again = true;
}

static void call(struct connection *c)
{
    struct hello hello = {.word = HELLO_WORD, .number = c->plan.number};

    if (c->plan.server) {
        CHECK(write(orders, &c->plan.number, sizeof c->plan.number) == (ssize_t)sizeof c->plan.number);
        c->state = CALLED;
        return;
    }
    c->fd = connect_as(&c->plan, &peer4, &peer6);
    CHECK(send(c->fd, &hello, sizeof hello, MSG_NOSIGNAL) == (ssize_t)sizeof hello);
    watch(c, c->fd, EPOLL_CTL_ADD, EPOLLIN);
    c->state = GREETING;
}

static void take_answer(struct connection *c)
{
    char go;
    ssize_t count = recv(c->fd, &go, 1, MSG_DONTWAIT);

    if (count < 0 && errno == EAGAIN) {
        return;
    }
    CHECK(count == 1 && go == GO);
    CHECK(epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL) == 0);
    go_on(c);
}

static void take_call(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct timeval limit = {PATIENCE, 0};
    struct hello hello;

    if (fd < 0) {
        return;
    }
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(recv(fd, &hello, sizeof hello, MSG_WAITALL) == (ssize_t)sizeof hello);
    CHECK(send(fd, &(char){GO}, 1, MSG_NOSIGNAL) == 1);
    for (size_t i = 0; i < at_once; i++) {
        struct connection *c = &connections[i];

        if (c->state == CALLED && c->plan.number == hello.number) {
            c->fd = fd;
            go_on(c);
            return;
        }
    }
    FAIL("the peer calls for connection %llu", (unsigned long long)hello.number);
}

static void end_waiting_in_handshake(struct connection *c)
{
    if (c->transport >= 0) {
        CHECK(epoll_ctl(poller, EPOLL_CTL_DEL, c->transport, NULL) == 0);
        close(c->transport);
        c->transport = -1;
    }
}

/*
 * An explicit session keeps a duplicate, with which the kernel would go on reporting. Where the descriptor is the only one
 * of the program's end, closing it is enough.
 */
static void close_watched(struct connection *c)
{
    bool is_watched = c->state == OPEN || c->plan.watched_before;

    if (is_watched && (c->state != OPEN || c->plan.path == EXPLICIT)) {
        CHECK(epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL) == 0);
    }
    connection_close(c);
}

static void handshake(struct connection *c)
{
    int32_t code = ssl_perform_handshake(c->s, c->plan.server ? NULL : "localhost");

    if (code == SSL_ERR_WANT_READ || code == SSL_ERR_WANT_WRITE) {
        uint32_t events = code == SSL_ERR_WANT_READ ? EPOLLIN : EPOLLOUT;

        if (c->plan.ending == OURS_DIES_IN_HANDSHAKE) {
            end_waiting_in_handshake(c);
            close_watched(c);
        } else if (c->transport < 0) {
            CHECK(ssl_get_transport_fd(c->s, &c->transport) == SSL_ERR_OKAY);
            watch(c, c->transport, EPOLL_CTL_ADD, events);
        } else if (events != c->events) {
            watch(c, c->transport, EPOLL_CTL_MOD, events);
        }
        return;
    }
    end_waiting_in_handshake(c);
    if (code != SSL_ERR_OKAY) {
        size_t length;

        ssl_get_error_text(c->s, c->text, sizeof c->text, &length);
        expect_dead(c);
        close_watched(c);
        return;
    }
    ssl_session_info info = {.size = sizeof info};
    CHECK(ssl_get_session_info(c->s, &info) == SSL_ERR_OKAY);
    resumed += info.resumed;
    if (info.protocol != (c->plan.tls13 ? 0x304 : 0x303) ||
        info.datapath != (uint32_t[]){SSL_DATAPATH_EXPLICIT, SSL_DATAPATH_TRANSPARENT_TCP, SSL_DATAPATH_TRANSPARENT_UNIX}[c->plan.path]) {
        soak_failed(c, "version %x, datapath %u", info.protocol, info.datapath);
    }
    c->handshake_made = true;
    c->state = OPEN;
    if (c->plan.freed_early) {
        CHECK(ssl_socket_free(c->s) == SSL_ERR_OKAY);
        c->s = NULL;
    }
    watch(c, c->fd, c->plan.watched_before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, EPOLLIN);
    c->again = true;
}

static void carry(struct connection *c)
{
    enum progress sending = BLOCKED, receiving = BLOCKED;

    for (int i = 0; i < 4 && is_to_receive(c) && c->resume <= turn; i++) {
        if (stall_due(&c->stall, c->got, turn, &c->resume, &c->receiving_dice)) {
            break;
        }
        receiving = receive_piece(c, buffer);
        if (receiving != MOVED) {
            break;
        }
    }
    for (int i = 0; i < 4 && !c->sending_over; i++) {
        sending = send_piece(c, buffer);
        if (sending != MOVED) {
            break;
        }
    }
    if (sending != BLOCKED || receiving != BLOCKED) {
        c->last_progress = now;
    }
    if (may_close(c)) {
        close_watched(c);
        return;
    }
    c->again = receiving == MOVED || sending == MOVED || receiving == OVER;
    bool reads = is_to_receive(c) && c->resume <= turn;
    bool writes = !c->sending_over && (to_send(c) > c->sent || c->notifying || c->unsent);
    wait_for(c, (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u));
}

static void step(struct connection *c)
{
    c->ready = c->again = false;
    if (c->plan.blocking && c->state == HANDSHAKE) {
        return;
    }
    switch (c->state) {
    case GREETING:
        take_answer(c);
        break;
    case HANDSHAKE:
        handshake(c);
        break;
    case OPEN:
        carry(c);
        break;
    default:
        break;
    }
}

static void take_outcomes(void)
{
    struct outcome some[32];
    ssize_t count = read(outcomes, some, sizeof some);

    CHECK(count > 0 && count % (ssize_t)sizeof *some == 0);
    for (ssize_t i = 0; i < count / (ssize_t)sizeof *some; i++) {
        for (size_t k = 0; k < at_once; k++) {
            if (connections[k].state != EMPTY && connections[k].plan.number == some[i].number) {
                connections[k].theirs = some[i];
                connections[k].theirs_is_there = true;
                connections[k].last_progress = now;
            }
        }
    }
}

static void count(const struct connection *c)
{
    by_ending[c->plan.ending]++;
    by_path[c->plan.path]++;
    by_role[c->plan.server]++;
    by_version[c->plan.tls13]++;
    by_blocking[c->plan.blocking]++;
    by_end[c->end]++;
    by_their_end[c->theirs.end]++;
    stalls[0] += c->plan.ours_stalls && !c->plan.blocking;
    stalls[1] += c->plan.peer_stalls;
    freed_early += c->plan.freed_early;
    cut_up += c->theirs.got < c->sent;
    cut_down += c->got < c->theirs.sent;
    sends_failed += c->send_errno != 0;
    bytes_up += c->theirs.got;
    bytes_down += c->got;
}

static bool is_over(struct connection *c)
{
    if (c->plan.blocking && c->state == HANDSHAKE && atomic_load(&c->over)) {
        c->state = DONE;
        c->last_progress = now;
    }
    if (c->state == DONE && c->theirs_is_there) {
        judge(c);
        count(c);
        judged++;
        c->state = EMPTY;
    } else if (now > c->last_progress + HANG_SECONDS + PATIENCE && !c->judged) {
        c->judged = true;
        soak_failed(c, "hangs in state %d%s", c->state, c->theirs_is_there ? ", the peer is through" : "");
    }
    return c->state == EMPTY;
}

/* One round of the loop. How many connections there are. */
static size_t turn_once(bool begin)
{
    struct epoll_event events[256];
    size_t alive = 0;
    int begun = 0;
    int wait = 50;

    for (size_t i = 0; i < at_once; i++) {
        struct connection *c = &connections[i];

        if (c->state != EMPTY) {
            wait = c->again ? 0 : (c->resume > turn || (c->plan.blocking && wait > 2)) && wait ? 2 : wait;
        }
    }
    int found = epoll_wait(poller, events, 256, wait);
    now = seconds();
    turn++;
    for (int i = 0; i < found; i++) {
        void *which = events[i].data.ptr;

        if (which == &outcomes) {
            take_outcomes();
        } else if (which == &listeners[0] || which == &listeners[1]) {
            take_call(*(int *)which);
        } else {
            ((struct connection *)which)->ready = true;
        }
    }
    for (size_t i = 0; i < at_once; i++) {
        struct connection *c = &connections[i];

        if (c->state == EMPTY && begin && begun < 16) {
            connection_begin(c, next_number++);
            c->last_progress = now;
            call(c);
            begun++;
        }
        if (c->state == EMPTY) {
            continue;
        }
        if (c->ready || c->again || (c->resume && c->resume <= turn)) {
            c->resume = c->resume <= turn ? 0 : c->resume;
            step(c);
        }
        alive += !is_over(c);
    }
    return alive;
}

struct look {
    struct extent extent;
    long rss;
    size_t heap;
};

/* When all connections are over, and the library has done what was left to be done. */
static struct look look(uint64_t begun, const struct extent *before)
{
    struct look look;
    uint64_t until = seconds() + HANG_SECONDS + 2 * PATIENCE;
    size_t alive;

    while ((alive = turn_once(false)) > 0 && seconds() < until) {
    }
    if (alive > 0) {
        soak_failed(NULL, "%zu connections are not over", alive);
        for (size_t i = 0; i < at_once; i++) {
            if (connections[i].state != EMPTY) {
                soak_failed(&connections[i], "state %d", connections[i].state);
            }
        }
    }
    until = seconds() + PATIENCE;
    for (;;) {
        look.extent = extent_now();
        int relays = look.extent.relay_threads - before->relay_threads;
        bool nothing_left = relays <= 1 && look.extent.descriptors - before->descriptors <= 2 * relays &&
                            look.extent.threads - before->threads == relays;
        if (nothing_left || seconds() > until) {
            if (!nothing_left) {
                soak_failed(NULL, "left behind: %d descriptors, %d threads, of which %d are the library's",
                            look.extent.descriptors - before->descriptors, look.extent.threads - before->threads, relays);
            }
            break;
        }
        turn_once(false);
    }
    long untrimmed = resident_kib();
    /* What the allocator keeps for the next ones is no leak, and differs with who came when. */
    malloc_trim(0);
    look.rss = resident_kib();
    look.heap = mallinfo2().uordblks;
    printf("%4llu s: %llu connections, RSS %ld KiB (%ld before it was trimmed), heap in use %zu KiB, %d descriptors, %d threads (%d of the library)\n",
           (unsigned long long)(seconds() - begun), (unsigned long long)judged, look.rss, untrimmed, look.heap / 1024,
           look.extent.descriptors, look.extent.threads, look.extent.relay_threads);
    fflush(stdout);
    return look;
}

static void print_counts(void)
{
    for (int i = 0; i < ENDINGS; i++) {
        printf("%s %llu%s", ending_name(i), (unsigned long long)by_ending[i], i + 1 < ENDINGS ? ", " : "\n");
    }
    printf("explicit %llu, TCP pair %llu, Unix pair %llu; client %llu, server %llu; TLS 1.2 %llu, TLS 1.3 %llu, resumed %llu\n",
           (unsigned long long)by_path[EXPLICIT], (unsigned long long)by_path[TCP_PAIR], (unsigned long long)by_path[UNIX_PAIR],
           (unsigned long long)by_role[0], (unsigned long long)by_role[1], (unsigned long long)by_version[0],
           (unsigned long long)by_version[1], (unsigned long long)resumed);
    printf("non-blocking %llu, blocking %llu; ours stalled %llu, the peer %llu; freed early %llu; sends that failed %llu\n",
           (unsigned long long)by_blocking[0], (unsigned long long)by_blocking[1], (unsigned long long)stalls[0],
           (unsigned long long)stalls[1], (unsigned long long)freed_early, (unsigned long long)sends_failed);
    printf("ends here: close_notify %llu, reset or truncated %llu, not read %llu; at the peer: close_notify %llu, "
           "TCP end %llu, reset %llu, not read %llu\n",
           (unsigned long long)by_end[CLOSE_NOTIFY], (unsigned long long)by_end[RESET], (unsigned long long)by_end[NOT_READ],
           (unsigned long long)by_their_end[CLOSE_NOTIFY], (unsigned long long)by_their_end[TCP_END],
           (unsigned long long)by_their_end[RESET], (unsigned long long)by_their_end[NOT_READ]);
    printf("cut on purpose: %llu up, %llu down; bytes compared: %.1f MiB up, %.1f MiB down\n", (unsigned long long)cut_up,
           (unsigned long long)cut_down, (double)bytes_up / 1048576, (double)bytes_down / 1048576);
}

/* Each kind has to have happened, or the soak says nothing about it. */
static void expect_all_kinds(void)
{
    for (int i = 0; i < ENDINGS; i++) {
        if (by_ending[i] == 0) {
            soak_failed(NULL, "%s has not happened", ending_name(i));
        }
    }
    for (int i = 0; i < PATHS; i++) {
        if (by_path[i] == 0) {
            soak_failed(NULL, "%s has not happened", path_name(i));
        }
    }
    if (!by_role[0] || !by_role[1] || !by_version[0] || !by_version[1] || !by_blocking[0] || !by_blocking[1] || !stalls[0] ||
        !stalls[1] || !freed_early || !by_their_end[CLOSE_NOTIFY] || !by_their_end[RESET] || !by_end[RESET] || !cut_up || !resumed) {
        soak_failed(NULL, "not every kind of connection has happened");
    }
}

static pid_t start_peer(const char *program, const char *folder, uint16_t port4, uint16_t port6)
{
    int order[2], outcome[2], said[2];
    char path[1024], seed[32], ports[2][8], text[64] = "";
    unsigned four, six;
    pid_t child;

    snprintf(path, sizeof path, "%.*s/peer", (int)(strrchr(program, '/') - program), program);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)soak_seed);
    snprintf(ports[0], sizeof ports[0], "%u", port4);
    snprintf(ports[1], sizeof ports[1], "%u", port6);
    CHECK(pipe2(order, O_CLOEXEC) == 0 && pipe2(outcome, O_CLOEXEC) == 0 && pipe2(said, O_CLOEXEC) == 0);
    fcntl(outcome[1], F_SETPIPE_SZ, 1 << 20);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* First out of the way of the numbers that they are to have. */
        int from = fcntl(order[0], F_DUPFD_CLOEXEC, 100), to = fcntl(outcome[1], F_DUPFD_CLOEXEC, 100);
        CHECK(dup2(said[1], STDOUT_FILENO) >= 0 && dup2(from, ORDERS_FD) >= 0 && dup2(to, OUTCOMES_FD) >= 0);
        execl(path, path, seed, folder, ports[0], ports[1], (char *)NULL);
        FAIL("%s: %s", path, strerror(errno));
    }
    close(order[0]);
    close(outcome[1]);
    close(said[1]);
    CHECK(read(said[0], text, sizeof text - 1) > 0 && sscanf(text, "%u %u", &four, &six) == 2);
    close(said[0]);
    orders = order[1];
    outcomes = outcome[0];
    peer4 = address4(INADDR_LOOPBACK, (uint16_t)four);
    peer6 = address6((uint16_t)six);
    return child;
}

static void set_defaults(const char *folder)
{
    char path[3][1024];
    ssl_socket *defaults = ssl_defaults();

    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", folder, (const char *[]){"server-chain.pem", "server.key", "ca.pem"}[i]);
    }
    CHECK(ssl_set_identity_file(defaults, path[0], path[1]) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(defaults, path[2]) == SSL_ERR_OKAY);
}

static void watch_for(int fd, void *which)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = which};

    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
}

int main(int argc, char **argv)
{
    uint16_t port4, port6;
    uint64_t length, begun, next_look;
    struct timespec time;

    if (argc < 3) {
        fprintf(stderr, "usage: soak SECONDS FOLDER [AT_ONCE [SEED [FIRST]]]\n");
        return 2;
    }
    clock_gettime(CLOCK_REALTIME, &time);
    length = strtoull(argv[1], NULL, 10);
    at_once = argc > 3 ? strtoul(argv[3], NULL, 10) : 500;
    soak_seed = argc > 4 ? strtoull(argv[4], NULL, 10) : (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
    next_number = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
    printf("seed %llu, %zu connections at a time, %llu s\n", (unsigned long long)soak_seed, at_once, (unsigned long long)length);
    fflush(stdout);
    signal(SIGPIPE, SIG_IGN);
    connections = calloc(at_once, sizeof *connections);
    CHECK(connections != NULL);
    listeners[0] = listen_at(AF_INET, &port4);
    listeners[1] = listen_at(AF_INET6, &port6);
    pid_t peer = start_peer(argv[0], argv[2], port4, port6);
    poller = epoll_create1(EPOLL_CLOEXEC);
    CHECK(poller >= 0);
    watch_for(outcomes, &outcomes);
    watch_for(listeners[0], &listeners[0]);
    watch_for(listeners[1], &listeners[1]);
    set_defaults(argv[2]);
    /* Each arena grows by itself, to the most that was ever asked of it at once. */
    mallopt(M_ARENA_MAX, 2);
    blocking_begin();

    begun = now = seconds();
    struct extent before = extent_now();
    uint64_t period = length / 5 ? length / 5 : 1;
    struct look first = {0}, last = {0};
    while (seconds() < begun + length || first.rss == 0) {
        for (next_look = seconds() + period; seconds() < next_look && !soak_has_failed();) {
            turn_once(true);
        }
        last = look(begun, &before);
        if (first.rss == 0) {
            first = last;
        }
        if (soak_has_failed()) {
            break;
        }
    }
    print_counts();
    if (length >= LONG_SECONDS && labs(last.rss - first.rss) * 100 > first.rss * GROWTH_PERCENT) {
        soak_failed(NULL, "RSS was %ld KiB first and %ld KiB last", first.rss, last.rss);
    }
    if (last.extent.descriptors != first.extent.descriptors) {
        soak_failed(NULL, "descriptors: %d first, %d last", first.extent.descriptors, last.extent.descriptors);
    }
    if (!soak_has_failed()) {
        expect_all_kinds();
    }
    kill(peer, SIGKILL);
    if (soak_has_failed()) {
        fprintf(stderr, "%llu failures; again with: %s %s %s %zu %llu\n", (unsigned long long)failures, argv[0], argv[1], argv[2],
                at_once, (unsigned long long)soak_seed);
    }
    printf("soak %s\n", soak_has_failed() ? "failed" : "passed");
    return soak_has_failed();
}
