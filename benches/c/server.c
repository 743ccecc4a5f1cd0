/*
 * The one server of all clients: OpenSSL's, with AES-256-GCM and X25519 only.
 *
 *     server ECDSA.pem ECDSA.key RSA.pem RSA.key
 *
 * prints its ports as JSON and serves until its input ends: in clear, and TLS 1.2 and 1.3 with each certificate, without
 * and with tickets (two, as by default). Each connection has a thread. It does what it is told in blocks of 32 bytes:
 *
 *     Q 0   say which version, suite and group this is, and whether it was resumed
 *     S N   send N bytes     R N   receive N bytes and answer one     E N   return N messages of 64 bytes
 */
#define _GNU_SOURCE

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COMMAND = 32, ANSWER = 96, MESSAGE = 64, BLOCK = 65536 };

struct listener {
    int fd;
    SSL_CTX *context;
};

struct connection {
    int fd;
    SSL *ssl;
    char block[BLOCK];
};

static int send_all(struct connection *c, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = c->ssl != NULL ? SSL_write(c->ssl, bytes, (int)length) : write(c->fd, bytes, length);

        if (sent <= 0) {
            return 0;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
    return 1;
}

static ssize_t receive(struct connection *c, char *bytes, size_t capacity)
{
    return c->ssl != NULL ? SSL_read(c->ssl, bytes, (int)capacity) : read(c->fd, bytes, capacity);
}

static int receive_all(struct connection *c, char *bytes, size_t length)
{
    size_t got = 0;

    while (got < length) {
        ssize_t n = receive(c, bytes + got, length - got);

        if (n <= 0) {
            return 0;
        }
        got += (size_t)n;
    }
    return 1;
}

static int describe(struct connection *c)
{
    char answer[ANSWER] = "plain resumed=0";

    if (c->ssl != NULL) {
        int resumed = SSL_session_reused(c->ssl);
        int group = (int)SSL_get_negotiated_group(c->ssl);

        /* A resumed session of TLS 1.2 has none of its own. */
        snprintf(answer, sizeof answer, "%s %s %s resumed=%d", SSL_get_version(c->ssl),
                 SSL_CIPHER_standard_name(SSL_get_current_cipher(c->ssl)),
                 resumed && SSL_version(c->ssl) == TLS1_2_VERSION ? "X25519" : OBJ_nid2sn(group), resumed);
    }
    return send_all(c, answer, sizeof answer);
}

static int obey(struct connection *c, char what, size_t number)
{
    switch (what) {
    case 'Q':
        return describe(c);
    case 'S':
        while (number > 0) {
            size_t part = number < BLOCK ? number : BLOCK;

            if (!send_all(c, c->block, part)) {
                return 0;
            }
            number -= part;
        }
        return 1;
    case 'R':
        while (number > 0) {
            ssize_t got = receive(c, c->block, number < BLOCK ? number : BLOCK);

            if (got <= 0) {
                return 0;
            }
            number -= (size_t)got;
        }
        return send_all(c, "!", 1);
    case 'E':
        while (number-- > 0) {
            if (!receive_all(c, c->block, MESSAGE) || !send_all(c, c->block, MESSAGE)) {
                return 0;
            }
        }
        return 1;
    default:
        return 0;
    }
}

static void *serve(void *argument)
{
    struct connection *c = argument;
    char command[COMMAND + 1] = "", what;
    size_t number;

    if (c->ssl == NULL || SSL_accept(c->ssl) == 1) {
        while (receive_all(c, command, COMMAND) && sscanf(command, "%c %zu", &what, &number) == 2 &&
               obey(c, what, number)) {
        }
    }
    if (c->ssl != NULL) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    close(c->fd);
    free(c);
    return NULL;
}

static void *accept_all(void *argument)
{
    struct listener *l = argument;
    pthread_attr_t attributes;
    int one = 1;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    for (;;) {
        struct connection *c = calloc(1, sizeof *c);
        pthread_t thread;

        c->fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (c->fd < 0) {
            die("accept", strerror(errno));
        }
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (l->context != NULL) {
            c->ssl = SSL_new(l->context);
            SSL_set_fd(c->ssl, c->fd);
        }
        if (pthread_create(&thread, &attributes, serve, c) != 0) {
            die("pthread_create", "no thread");
        }
    }
    return NULL;
}

static SSL_CTX *context(const char *certificate, const char *key, int tickets)
{
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());

    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    if (!SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384") || !SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384") ||
        !SSL_CTX_set1_groups_list(c, "X25519") || !SSL_CTX_use_certificate_chain_file(c, certificate) ||
        !SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM)) {
        die(certificate, ERR_error_string(ERR_get_error(), NULL));
    }
    SSL_CTX_set_session_id_context(c, (const unsigned char *)"bench", 5);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(c, tickets ? 2 : 0);
    if (!tickets) {
        SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
    }
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_default_read_buffer_len(c, BLOCK);
    return c;
}

static void start(const char *label, SSL_CTX *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct listener *l = malloc(sizeof *l);
    pthread_t thread;

    l->context = c;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(l->fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(l->fd, 1024) != 0) {
        die("listen", strerror(errno));
    }
    getsockname(l->fd, (struct sockaddr *)&address, &length);
    printf("%s\"%s\": %d", c == NULL ? "{" : ", ", label, ntohs(address.sin_port));
    pthread_create(&thread, NULL, accept_all, l);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        die("usage", "server ECDSA.pem ECDSA.key RSA.pem RSA.key");
    }
    signal(SIGPIPE, SIG_IGN);
    start("plain", NULL);
    start("ecdsa", context(argv[1], argv[2], 0));
    start("rsa", context(argv[3], argv[4], 0));
    start("ecdsa_tickets", context(argv[1], argv[2], 1));
    start("rsa_tickets", context(argv[3], argv[4], 1));
    printf("}\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}
