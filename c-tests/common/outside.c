#define _GNU_SOURCE

#include "outside.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sslsock.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"
#include "listener.h"
#include "peer.h"

void trust_the_tests(void)
{
    trust_certificate("ca.pem");
}

void trust_certificate(const char *name)
{
    CHECK(ssl_add_trust_file(ssl_defaults(), pki_file(name)) == SSL_ERR_OKAY);
}

static const char *colon_in(const char *variable)
{
    const char *where = getenv(variable);

    if (where == NULL || strrchr(where, ':') == NULL) {
        SKIP("%s is not set", variable);
    }
    return strrchr(where, ':');
}

const char *peer_host(const char *variable)
{
    static char host[64];

    snprintf(host, sizeof host, "%.*s", (int)(colon_in(variable) - getenv(variable)), getenv(variable));
    return host;
}

int peer_port(const char *variable)
{
    return atoi(colon_in(variable) + 1);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        SKIP("%s cannot be written: %s", path, strerror(errno));
    }
    CHECK(close(fd) == 0);
}

void use_hosts(const char *text)
{
    char path[] = "/tmp/sslsock-hosts-XXXXXX";
    char map[64];
    unsigned user = getuid();
    int fd = mkstemp(path);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
    if (user == 0 ? unshare(CLONE_NEWNS) != 0 : unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        unlink(path);
        SKIP("no mount namespace: %s", strerror(errno));
    }
    if (user != 0) {
        snprintf(map, sizeof map, "%u %u 1", user, user);
        write_file("/proc/self/uid_map", map);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount(path, "/etc/hosts", NULL, MS_BIND, NULL) != 0) {
        unlink(path);
        SKIP("/etc/hosts cannot be mounted over: %s", strerror(errno));
    }
    CHECK(unlink(path) == 0);
}

static struct listener hello_listener;
static pthread_t hello_thread;

static void *read_hello(void *unused)
{
    int fd = accept_from(&hello_listener);
    const char *name = name_in_hello(fd);

    (void)unused;
    CHECK(close(fd) == 0);
    return (void *)(uintptr_t)name;
}

static int port_of(const struct listener *listener)
{
    /* At the same place in both families. */
    return ntohs(((const struct sockaddr_in *)&listener->address)->sin_port);
}

int hello_port(int family)
{
    hello_listener = listen_on(family);
    CHECK(pthread_create(&hello_thread, NULL, read_hello, NULL) == 0);
    return port_of(&hello_listener);
}

const char *hello_name(void)
{
    void *name;

    CHECK(pthread_join(hello_thread, &name) == 0);
    CHECK(close(hello_listener.fd) == 0);
    return name;
}

int refusing_port(void)
{
    static struct listener listener;

    listener = refuse_on(AF_INET);
    return port_of(&listener);
}

static volatile sig_atomic_t arrived;

static void count_signal(int signal)
{
    (void)signal;
    arrived++;
}

void rain_signals(void)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct itimerval each = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};

    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &each, NULL) == 0);
}

unsigned long signals_arrived(void)
{
    return (unsigned long)arrived;
}

static void (*elsewhere)(void);
static pthread_t other_thread;

static void *call(void *unused)
{
    (void)unused;
    elsewhere();
    return NULL;
}

void begin_elsewhere(void (*work)(void))
{
    elsewhere = work;
    CHECK(pthread_create(&other_thread, NULL, call, NULL) == 0);
}

static atomic_int thread_number;

void here(void)
{
    atomic_store(&thread_number, gettid());
}

void await_asleep_elsewhere(void)
{
    char path[64];
    char text[512];

    for (;;) {
        int fd;
        ssize_t count;
        char *state;
        int number = atomic_load(&thread_number);

        if (number == 0) {
            sched_yield();
            continue;
        }
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", number);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0);
        count = read(fd, text, sizeof text - 1);
        CHECK(count > 0 && close(fd) == 0);
        text[count] = '\0';
        state = strrchr(text, ')');
        CHECK(state != NULL);
        if (state[2] == 'S') {
            return;
        }
    }
}

void end_elsewhere(void)
{
    CHECK(pthread_join(other_thread, NULL) == 0);
}

static struct listener trickle_listener;
static int trickle_peer;
static int trickle_program;
static int trickle_is_on[2];

static void pass_on(int from, int to)
{
    char bytes[16384];
    ssize_t count = recv(from, bytes, sizeof bytes, 0);

    if (count <= 0) {
        shutdown(to, SHUT_WR);
        return;
    }
    send_all(to, bytes, (size_t)count);
}

/* Passes on what the program says, and what the peer says until the trickle begins. */
static void *carry(void *unused)
{
    struct pollfd ends[3] = {{.events = POLLIN}, {.fd = trickle_peer, .events = POLLIN}, {.events = POLLIN}};

    (void)unused;
    trickle_program = accept_from(&trickle_listener);
    ends[0].fd = trickle_program;
    ends[2].fd = trickle_is_on[0];
    for (;;) {
        CHECK(poll(ends, 3, -1) > 0);
        if (ends[2].revents != 0) {
            char answer = 0;
            /* The one who trickles reads the peer from here on. */
            ends[1].fd = -1;
            ends[2].fd = -1;
            CHECK(write(trickle_is_on[0], &answer, 1) == 1);
            continue;
        }
        if (ends[0].revents != 0) {
            pass_on(trickle_program, trickle_peer);
            if (ends[0].revents & POLLHUP) {
                return NULL;
            }
        }
        if (ends[1].fd >= 0 && ends[1].revents != 0) {
            pass_on(trickle_peer, trickle_program);
        }
    }
}

int trickle_port(const char *variable)
{
    pthread_t thread;

    trickle_peer = peer_connect(variable);
    trickle_listener = listen_on(AF_INET);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, trickle_is_on) == 0);
    CHECK(pthread_create(&thread, NULL, carry, NULL) == 0 && pthread_detach(thread) == 0);
    return port_of(&trickle_listener);
}

void trickle_begin(void)
{
    char order = 0;

    CHECK(write(trickle_is_on[1], &order, 1) == 1 && read(trickle_is_on[1], &order, 1) == 1);
}

int trickle_byte(int program)
{
    struct pollfd ends[2] = {{.fd = trickle_peer, .events = POLLIN}, {.fd = program, .events = POLLIN}};
    int one = 1;
    char byte;

    CHECK(poll(ends, 2, -1) > 0);
    if (ends[0].revents == 0) {
        return 0;
    }
    CHECK(recv(trickle_peer, &byte, 1, 0) == 1);
    CHECK(setsockopt(trickle_program, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    send_all(trickle_program, &byte, 1);
    return 1;
}

void trickle_end(void)
{
    /* The thread passes it on to the peer. */
    CHECK(shutdown(trickle_program, SHUT_RDWR) == 0);
}
