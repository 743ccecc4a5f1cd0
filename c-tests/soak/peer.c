/*
 * The other side of the soak: OpenSSL in a process of its own, server and client, every connection as its plan says. It
 * says on the pipe what came of each.
 *
 *     peer SEED FOLDER PORT4 PORT6      with the pipes at ORDERS_FD and OUTCOMES_FD; prints its two ports
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../common/check.h"
#include "net.h"
#include "plan.h"

enum state { GREETING, AWAITING_GO, HANDSHAKE, OPEN };

struct connection {
    struct connection *next;
    struct plan plan;
    struct dice dice;
    enum state state;
    int fd;
    SSL *ssl;
    struct hello hello;
    size_t hello_length;
    uint64_t up_key, down_key;
    uint64_t resume;
    struct stall stall;
    /* A write that has to be made again with the same bytes. */
    size_t unwritten;
    bool sending_over;
    bool notifying;
    bool ready;
    bool again;
    bool over;
    uint32_t events;
    uint64_t last_progress;
    struct outcome outcome;
};

static uint64_t seed;
static SSL_CTX *servers;
static SSL_CTX *clients;
static int poller;
static uint64_t turn;
static uint64_t now;
static struct connection *connections;
static unsigned char bytes[MAX_PIECE];
static struct sockaddr_in ours4;
static struct sockaddr_in6 ours6;

static void watch(struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (events != c->events) {
        CHECK(epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event) == 0);
        c->events = events;
    }
}

static struct connection *add(int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    CHECK(c != NULL);
    c->fd = fd;
    c->events = EPOLLIN;
    c->last_progress = now;
    c->next = connections;
    connections = c;
    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
    return c;
}

static void planned(struct connection *c, uint64_t number)
{
    plan_make(&c->plan, seed, number);
    c->dice.state = seed ^ (number << 20) ^ 0x70656572;
    c->up_key = stream_key(seed, number, true);
    c->down_key = stream_key(seed, number, false);
    c->outcome.number = number;
    stall_begin(&c->stall, c->plan.peer_stalls, &c->dice);
    if (c->plan.peer_stalls) {
        int size = STALLING_BUFFER;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
}

static void finish(struct connection *c)
{
    if (c->ssl != NULL) {
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    close(c->fd);
    c->fd = -1;
    c->over = true;
    CHECK(write(OUTCOMES_FD, &c->outcome, sizeof c->outcome) == (ssize_t)sizeof c->outcome);
}

static void reset(struct connection *c)
{
    struct linger linger = {1, 0};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    finish(c);
}

static void say(struct connection *c, const char *what)
{
    unsigned long error = ERR_peek_error();

    snprintf(c->outcome.text, sizeof c->outcome.text, "%s: %s", what,
             error ? ERR_reason_error_string(error) : strerror(errno));
}

static void begin_tls(struct connection *c)
{
    int version = c->plan.tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;

    c->state = HANDSHAKE;
    if (c->plan.ending == PEER_DIES_IN_HANDSHAKE) {
        switch (roll_below(&c->dice, 3)) {
        case 0:
            reset(c);
            return;
        case 1:
            finish(c);
            return;
        default:
            /* The hello is read, and a piece of an answer is all that comes. */
            break;
        }
    }
    c->ssl = SSL_new(c->plan.server ? clients : servers);
    CHECK(c->ssl != NULL);
    CHECK(SSL_set_fd(c->ssl, c->fd) == 1);
    CHECK(SSL_set_min_proto_version(c->ssl, version) == 1 && SSL_set_max_proto_version(c->ssl, version) == 1);
    if (c->plan.server) {
        CHECK(SSL_set_tlsext_host_name(c->ssl, "localhost") == 1 && SSL_set1_host(c->ssl, "localhost") == 1);
        SSL_set_connect_state(c->ssl);
    } else {
        SSL_set_accept_state(c->ssl);
    }
}

static void hello(struct connection *c)
{
    if (c->state == AWAITING_GO) {
        char go;
        ssize_t count = recv(c->fd, &go, 1, 0);

        if (count < 0 && errno == EAGAIN) {
            return;
        }
        if (count != 1 || go != GO) {
            say(c, "no answer in clear");
            c->outcome.wrong = 1;
            finish(c);
            return;
        }
        begin_tls(c);
        return;
    }
    ssize_t count = recv(c->fd, (char *)&c->hello + c->hello_length, sizeof c->hello - c->hello_length, 0);
    if (count < 0 && errno == EAGAIN) {
        return;
    }
    CHECK(count > 0);
    c->hello_length += (size_t)count;
    if (c->hello_length == sizeof c->hello) {
        CHECK(memcmp(c->hello.word, HELLO_WORD, sizeof c->hello.word) == 0);
        planned(c, c->hello.number);
        c->last_progress = now;
        CHECK(send(c->fd, &(char){GO}, 1, MSG_NOSIGNAL) == 1);
        begin_tls(c);
    }
}

static void handshake(struct connection *c)
{
    ERR_clear_error();
    int result = SSL_do_handshake(c->ssl);
    int error = SSL_get_error(c->ssl, result);

    if (c->plan.ending == PEER_DIES_IN_HANDSHAKE && (result == 1 || error == SSL_ERROR_WANT_READ)) {
        if (SSL_get_state(c->ssl) != TLS_ST_BEFORE) {
            c->outcome.open = result == 1;
            finish(c);
        }
    } else if (result == 1) {
        c->state = OPEN;
        c->outcome.open = 1;
        c->last_progress = now;
        c->again = true;
    } else if (error == SSL_ERROR_WANT_READ) {
        watch(c, EPOLLIN);
    } else if (error == SSL_ERROR_WANT_WRITE) {
        watch(c, EPOLLOUT);
    } else {
        say(c, "handshake");
        c->outcome.end = error == SSL_ERROR_SYSCALL ? RESET : TLS_ERROR;
        finish(c);
    }
}

/* How much is to be sent: in all, and before something else happens. */
static uint64_t to_send(const struct connection *c)
{
    switch (c->plan.ending) {
    case OURS_ENDS_FIRST:
        return c->outcome.end == NOT_READ ? 0 : c->plan.down;
    case OURS_CLOSES_UNREAD:
        if (c->plan.talks_first) {
            return c->plan.down;
        }
        return c->outcome.end == NOT_READ ? UINT64_MAX : c->outcome.sent;
    case PEER_RESETS:
    case PEER_TRUNCATES:
        return c->plan.down_cut;
    default:
        return c->plan.down;
    }
}

/* What comes when everything has been sent. */
static void sent_all(struct connection *c)
{
    switch (c->plan.ending) {
    case PEER_RESETS:
        reset(c);
        return;
    case PEER_TRUNCATES:
        shutdown(c->fd, SHUT_WR);
        c->sending_over = true;
        return;
    case OURS_ENDS_FIRST:
        if (c->outcome.end == NOT_READ) {
            return;
        }
        break;
    case OURS_CLOSES:
    case OURS_CLOSES_UNREAD:
    case OURS_RESETS:
        /* Not before they have. */
        if (c->outcome.end == NOT_READ) {
            return;
        }
        break;
    default:
        break;
    }
    ERR_clear_error();
    int result = SSL_shutdown(c->ssl);
    if (result >= 0) {
        c->sending_over = true;
        c->outcome.notified = 1;
        if (c->plan.ending == PEER_CLOSES) {
            finish(c);
        }
    } else if (SSL_get_error(c->ssl, result) == SSL_ERROR_WANT_WRITE) {
        c->notifying = true;
    } else {
        c->sending_over = true;
    }
}

static void send_some(struct connection *c)
{
    c->notifying = false;
    for (int i = 0; i < 4 && !c->sending_over && !c->over; i++) {
        uint64_t left = to_send(c) - c->outcome.sent;

        if (left == 0) {
            sent_all(c);
            return;
        }
        size_t size = c->unwritten ? c->unwritten : 1 + roll_below(&c->dice, c->plan.peer_piece);
        size = size < left ? size : left;
        stream_fill(bytes, size, c->down_key, c->outcome.sent);
        ERR_clear_error();
        int count = SSL_write(c->ssl, bytes, (int)size);
        int error = SSL_get_error(c->ssl, count);
        c->unwritten = 0;
        if (count > 0) {
            c->outcome.sent += (uint64_t)count;
            c->last_progress = now;
        } else if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) {
            c->unwritten = size;
            return;
        } else {
            say(c, "write");
            c->sending_over = true;
            return;
        }
    }
    c->again = true;
}

static void receive_some(struct connection *c)
{
    for (int i = 0; i < 4 && c->outcome.end == NOT_READ; i++) {
        if (c->resume > turn || stall_due(&c->stall, c->outcome.got, turn, &c->resume, &c->dice)) {
            return;
        }
        size_t size = 1 + roll_below(&c->dice, c->plan.peer_piece);
        ERR_clear_error();
        int count = SSL_read(c->ssl, bytes, (int)size);
        int error = SSL_get_error(c->ssl, count);
        if (count > 0) {
            size_t right = stream_matches(bytes, (size_t)count, c->up_key, c->outcome.got);
            c->outcome.got += right;
            if (right != (size_t)count) {
                snprintf(c->outcome.text, sizeof c->outcome.text, "wrong byte at %llu", (unsigned long long)c->outcome.got);
                c->outcome.wrong = 1;
                finish(c);
                return;
            }
            c->last_progress = now;
        } else if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
            return;
        } else if (error == SSL_ERROR_ZERO_RETURN) {
            c->outcome.end = CLOSE_NOTIFY;
        } else if (error == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            c->outcome.end = TCP_END;
        } else if (error == SSL_ERROR_SYSCALL) {
            c->outcome.end = errno == ECONNRESET ? RESET : TCP_END;
        } else {
            say(c, "read");
            c->outcome.end = TLS_ERROR;
        }
    }
    c->again = true;
}

static void step(struct connection *c)
{
    c->again = false;
    c->ready = false;
    if (c->state == GREETING || c->state == AWAITING_GO) {
        hello(c);
        if (c->state != HANDSHAKE || c->over) {
            return;
        }
    }
    if (c->state == HANDSHAKE) {
        handshake(c);
        return;
    }
    bool listens = !c->plan.talks_first || c->sending_over || c->outcome.sent == to_send(c);
    if (listens) {
        receive_some(c);
    }
    if (!c->over) {
        send_some(c);
    }
    if (c->over) {
        return;
    }
    /* Where their direction has not ended in order, nobody reads what we say. */
    if (c->outcome.end == RESET || c->outcome.end == TLS_ERROR || c->outcome.end == TCP_END) {
        c->sending_over = true;
    }
    if (c->sending_over && c->outcome.end != NOT_READ) {
        finish(c);
        return;
    }
    listens = !c->plan.talks_first || c->sending_over || c->outcome.sent == to_send(c);
    bool reads = listens && c->outcome.end == NOT_READ && c->resume <= turn;
    bool writes = !c->sending_over && (c->unwritten > 0 || c->notifying || to_send(c) > c->outcome.sent);
    watch(c, (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u));
}

static void call(uint64_t number)
{
    struct plan plan;
    struct hello hello = {.word = HELLO_WORD, .number = number};
    struct connection *c;
    int fd;

    plan_make(&plan, seed, number);
    fd = connect_as(&plan, &ours4, &ours6);
    make_nonblocking(fd);
    c = add(fd);
    planned(c, number);
    c->state = AWAITING_GO;
    CHECK(send(fd, &hello, sizeof hello, MSG_NOSIGNAL) == (ssize_t)sizeof hello);
}

static void take_orders(void)
{
    uint64_t order[64];
    ssize_t count = read(ORDERS_FD, order, sizeof order);

    if (count == 0) {
        exit(EXIT_SUCCESS);
    }
    CHECK(count > 0 && count % (ssize_t)sizeof *order == 0);
    for (ssize_t i = 0; i < count / (ssize_t)sizeof *order; i++) {
        call(order[i]);
    }
}

static SSL_CTX *context(const SSL_METHOD *method, const char *folder)
{
    SSL_CTX *context = SSL_CTX_new(method);
    char path[3][1024];

    CHECK(context != NULL);
    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", folder, (const char *[]){"server-chain.pem", "server.key", "ca.pem"}[i]);
    }
    CHECK(SSL_CTX_use_certificate_chain_file(context, path[0]) == 1);
    CHECK(SSL_CTX_use_PrivateKey_file(context, path[1], SSL_FILETYPE_PEM) == 1);
    CHECK(SSL_CTX_load_verify_locations(context, path[2], NULL) == 1);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return context;
}

static void watch_for(int fd, void *which)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = which};

    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
}

int main(int argc, char **argv)
{
    int listeners[2];
    uint16_t port4, port6;
    struct epoll_event events[256];

    CHECK(argc == 5);
    signal(SIGPIPE, SIG_IGN);
    seed = strtoull(argv[1], NULL, 10);
    ours4 = address4(INADDR_LOOPBACK, (uint16_t)atoi(argv[3]));
    ours6 = address6((uint16_t)atoi(argv[4]));
    servers = context(TLS_server_method(), argv[2]);
    clients = context(TLS_client_method(), argv[2]);
    SSL_CTX_set_verify(clients, SSL_VERIFY_PEER, NULL);
    poller = epoll_create1(EPOLL_CLOEXEC);
    CHECK(poller >= 0);
    listeners[0] = listen_at(AF_INET, &port4);
    listeners[1] = listen_at(AF_INET6, &port6);
    watch_for(ORDERS_FD, &seed);
    watch_for(listeners[0], &listeners[0]);
    watch_for(listeners[1], &listeners[1]);
    printf("%u %u\n", port4, port6);
    fflush(stdout);
    for (;;) {
        int wait = 100;

        for (struct connection *c = connections; c != NULL; c = c->next) {
            wait = c->again ? 0 : c->resume > turn && wait ? 2 : wait;
        }
        int count = epoll_wait(poller, events, 256, wait);
        now = seconds();
        turn++;
        for (int i = 0; i < count; i++) {
            void *which = events[i].data.ptr;

            if (which == &seed) {
                take_orders();
            } else if (which == &listeners[0] || which == &listeners[1]) {
                int fd = accept4(*(int *)which, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd >= 0) {
                    add(fd);
                }
            } else {
                ((struct connection *)which)->ready = true;
            }
        }
        for (struct connection **place = &connections; *place != NULL;) {
            struct connection *c = *place;

            if (c->ready || c->again || (c->resume && c->resume <= turn)) {
                c->resume = c->resume <= turn ? 0 : c->resume;
                step(c);
            }
            if (!c->over && now > c->last_progress + HANG_SECONDS) {
                c->outcome.hangs = 1;
                snprintf(c->outcome.text, sizeof c->outcome.text, "state %d, sending %s", c->state, c->sending_over ? "over" : "on");
                finish(c);
            }
            if (c->over) {
                *place = c->next;
                free(c);
            } else {
                place = &c->next;
            }
        }
    }
}
