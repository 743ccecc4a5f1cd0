/*
 * A TLS server with OpenSSL that sends back what it gets, for as many connections as come.
 *
 *     scale_peer FOLDER      keys of tests/servers/pki.py; prints its port, and ends with its standard input
 */
#define _GNU_SOURCE

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../../c-tests/common/check.h"

struct echo {
    int fd;
    SSL *ssl;
    bool open;
    /* What has come and not gone back. */
    int held;
    int sent;
    unsigned char *bytes;
};

#define ECHO_SIZE 16384

static int poller;
static unsigned char spare[ECHO_SIZE];

static void end(struct echo *e)
{
    SSL_free(e->ssl);
    close(e->fd);
    free(e->bytes);
    free(e);
}

static void wait_for(struct echo *e, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = e};

    CHECK(epoll_ctl(poller, EPOLL_CTL_MOD, e->fd, &event) == 0);
}

static void serve(struct echo *e)
{
    for (;;) {
        int result;

        ERR_clear_error();
        if (!e->open) {
            result = SSL_accept(e->ssl);
            e->open = result == 1;
        } else if (e->held > 0) {
            result = SSL_write(e->ssl, e->bytes + e->sent, e->held - e->sent);
            if (result > 0 && (e->sent += result) == e->held) {
                e->held = e->sent = 0;
                free(e->bytes);
                e->bytes = NULL;
            }
        } else {
            result = SSL_read(e->ssl, spare, sizeof spare);
            if (result > 0) {
                e->bytes = malloc((size_t)result);
                CHECK(e->bytes != NULL);
                memcpy(e->bytes, spare, (size_t)result);
                e->held = result;
            }
        }
        if (result <= 0) {
            int error = SSL_get_error(e->ssl, result);
            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
                wait_for(e, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
                return;
            }
            SSL_shutdown(e->ssl);
            end(e);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct rlimit limit;
    char path[2][1024];
    struct epoll_event events[256], event = {.events = EPOLLIN};

    CHECK(argc == 2 && context != NULL);
    signal(SIGPIPE, SIG_IGN);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    snprintf(path[0], sizeof path[0], "%s/server-chain.pem", argv[1]);
    snprintf(path[1], sizeof path[1], "%s/server.key", argv[1]);
    CHECK(SSL_CTX_use_certificate_chain_file(context, path[0]) == 1);
    CHECK(SSL_CTX_use_PrivateKey_file(context, path[1], SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4096) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    event.data.ptr = &listener;
    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) == 0);
    event.data.ptr = &poller;
    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poller, events, 256, -1);

        for (int i = 0; i < count; i++) {
            void *which = events[i].data.ptr;
            int fd;

            if (which == &poller) {
                return 0;
            }
            if (which != &listener) {
                serve(which);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                struct echo *e = calloc(1, sizeof *e);
                int on = 1;

                CHECK(e != NULL);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                e->fd = fd;
                e->ssl = SSL_new(context);
                CHECK(e->ssl != NULL && SSL_set_fd(e->ssl, fd) == 1);
                event.data.ptr = e;
                CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
            }
        }
    }
}
