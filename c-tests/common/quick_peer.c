#define _GNU_SOURCE

#include "quick_peer.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "peer.h"
#include "upgrade.h"
#include "ways.h"

#define PATIENCE_MS 60000
#define BUFFER 16384
#define STACK (512 * 1024)
#define PEM 1
#define ZERO_RETURN 6

struct header {
    uint64_t number;
    uint64_t length;
};

struct quick_peer_record {
    atomic_size_t wrong;
    /* What was wrong first. */
    atomic_flag told;
    char text[256];
    atomic_uchar had[];
};

/* OpenSSL's functions, by hand: it belongs to the server's process alone. */
static struct {
    void *(*TLS_server_method)(void);
    void *(*SSL_CTX_new)(void *method);
    int (*SSL_CTX_use_certificate_chain_file)(void *context, const char *file);
    int (*SSL_CTX_use_PrivateKey_file)(void *context, const char *file, int type);
    void *(*SSL_new)(void *context);
    void (*SSL_free)(void *ssl);
    int (*SSL_set_fd)(void *ssl, int fd);
    int (*SSL_accept)(void *ssl);
    int (*SSL_read)(void *ssl, void *data, int length);
    int (*SSL_write)(void *ssl, const void *data, int length);
    int (*SSL_get_error)(void *ssl, int result);
    int (*SSL_shutdown)(void *ssl);
} openssl;

static void *context;
static struct quick_peer served;

static void find(void *library, const char *name, void *pointer)
{
    void *address = dlsym(library, name);

    if (address == NULL) {
        FAIL("dlsym: %s", dlerror());
    }
    memcpy(pointer, &address, sizeof address);
}

#define FIND(name) find(library, #name, &openssl.name)

static void load_openssl(void)
{
    void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        _exit(EXIT_SKIPPED);
    }
    FIND(TLS_server_method);
    FIND(SSL_CTX_new);
    FIND(SSL_CTX_use_certificate_chain_file);
    FIND(SSL_CTX_use_PrivateKey_file);
    FIND(SSL_new);
    FIND(SSL_free);
    FIND(SSL_set_fd);
    FIND(SSL_accept);
    FIND(SSL_read);
    FIND(SSL_write);
    FIND(SSL_get_error);
    FIND(SSL_shutdown);
    context = openssl.SSL_CTX_new(openssl.TLS_server_method());
    CHECK(context != NULL);
    CHECK(openssl.SSL_CTX_use_certificate_chain_file(context, pki_file("server-chain.pem")) == 1);
    CHECK(openssl.SSL_CTX_use_PrivateKey_file(context, pki_file("server.key"), PEM) == 1);
}

/* The server's side. */

static void *wrong(const char *what, uint64_t number, long detail)
{
    if (!atomic_flag_test_and_set(&served.record->told)) {
        snprintf(served.record->text, sizeof served.record->text, "conversation %lu: %s (%ld)", (unsigned long)number,
                 what, detail);
    }
    atomic_fetch_add(&served.record->wrong, 1);
    return NULL;
}

static int read_all(void *ssl, void *data, int length)
{
    for (int done = 0; done < length;) {
        int count = openssl.SSL_read(ssl, (char *)data + done, length - done);
        if (count <= 0) {
            return openssl.SSL_get_error(ssl, count);
        }
        done += count;
    }
    return 0;
}

static void *have(void *ssl, int fd)
{
    unsigned char buffer[BUFFER];
    struct header header = {UINT64_MAX, 0};
    int error;

    openssl.SSL_set_fd(ssl, fd);
    if (openssl.SSL_accept(ssl) != 1) {
        return wrong("no handshake", header.number, errno);
    }
    error = read_all(ssl, &header, sizeof header);
    if (error != 0) {
        return wrong("no beginning", UINT64_MAX, error);
    }
    if (header.number >= served.conversations) {
        return wrong("no such number", header.number, 0);
    }
    if (openssl.SSL_write(ssl, &header, sizeof header) != sizeof header) {
        return wrong("cannot answer", header.number, errno);
    }
    for (size_t done = 0; done < header.length;) {
        size_t piece = header.length - done < sizeof buffer ? header.length - done : sizeof buffer;
        error = read_all(ssl, buffer, (int)piece);
        if (error != 0) {
            return wrong("the end in the middle", header.number, error);
        }
        if (!pattern_matches(buffer, piece, header.number + done)) {
            return wrong("other bytes", header.number, (long)done);
        }
        if (openssl.SSL_write(ssl, buffer, (int)piece) != (int)piece) {
            return wrong("cannot go on answering", header.number, errno);
        }
        done += piece;
    }
    error = openssl.SSL_read(ssl, buffer, 1);
    if (error > 0) {
        return wrong("more bytes than there should be", header.number, error);
    }
    error = openssl.SSL_get_error(ssl, error);
    if (error != ZERO_RETURN) {
        return wrong("an end without close_notify", header.number, error);
    }
    openssl.SSL_shutdown(ssl);
    if (atomic_fetch_add(&served.record->had[header.number], 1) != 0) {
        return wrong("had twice", header.number, 0);
    }
    return NULL;
}

static void *serve(void *argument)
{
    int fd = (int)(intptr_t)argument;
    void *ssl = openssl.SSL_new(context);

    have(ssl, fd);
    openssl.SSL_free(ssl);
    close(fd);
    return NULL;
}

static _Noreturn void serve_all(int listener)
{
    const int on = 1;
    pthread_attr_t attributes;
    pthread_t thread;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        /* The answer is several small records. */
        if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
            pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd) != 0) {
            wrong("cannot accept", UINT64_MAX, errno);
            _exit(EXIT_FAILURE);
        }
    }
}

/* The client's side. */

void quick_peer_start(struct quick_peer *peer, size_t conversations)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ready[2];
    char how = 0;

    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 1024) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    peer->port = ntohs(address.sin_port);
    peer->conversations = conversations;
    peer->record = mmap(NULL, sizeof *peer->record + conversations, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(peer->record != MAP_FAILED && pipe(ready) == 0);
    peer->process = fork();
    CHECK(peer->process >= 0);
    if (peer->process == 0) {
        close(ready[0]);
        served = *peer;
        load_openssl();
        CHECK(write(ready[1], "r", 1) == 1);
        close(ready[1]);
        serve_all(listener);
    }
    close(listener);
    close(ready[1]);
    if (read(ready[0], &how, 1) != 1) {
        SKIP("libssl.so.3 cannot be loaded");
    }
    close(ready[0]);
}

int quick_peer_connect(const struct quick_peer *peer)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002), .sin_port = htons((uint16_t)peer->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        FAIL("no connection: %s", strerror(errno));
    }
    return fd;
}

static void receive(int fd, ssl_socket *s, const struct way *way, void *buffer, size_t length)
{
    ptrdiff_t count = way->flags & SSL_FLAG_EXPLICIT_IO ? ssl_recv(s, buffer, length, MSG_WAITALL)
                                                        : recv(fd, buffer, length, MSG_WAITALL);
    if (count != (ptrdiff_t)length) {
        FAIL("%td of %zu bytes: %s", count, length, count < 0 ? strerror(errno) : "the end");
    }
}

void quick_peer_talk(int fd, ssl_socket *s, const struct way *way, size_t number, size_t length)
{
    unsigned char buffer[BUFFER];
    struct header header = {number, length};
    struct header answer;

    if (way->flags & SSL_FLAG_EXPLICIT_IO) {
        CHECK(ssl_send(s, &header, sizeof header, 0) == (ptrdiff_t)sizeof header);
    } else {
        send_all(fd, &header, sizeof header);
    }
    say_pattern(fd, s, way, length, number);
    receive(fd, s, way, &answer, sizeof answer);
    CHECK(memcmp(&header, &answer, sizeof header) == 0);
    for (size_t done = 0; done < length;) {
        size_t piece = length - done < sizeof buffer ? length - done : sizeof buffer;
        receive(fd, s, way, buffer, piece);
        if (!pattern_matches(buffer, piece, number + done)) {
            FAIL("conversation %zu: other bytes after %zu", number, done);
        }
        done += piece;
    }
}

void quick_peer_expect_all(const struct quick_peer *peer)
{
    long deadline = milliseconds() + PATIENCE_MS;

    for (size_t number = 0; number < peer->conversations;) {
        if (atomic_load(&peer->record->wrong) != 0) {
            sleep_ms(10);
            FAIL("%zu conversations went wrong; the first: %s", atomic_load(&peer->record->wrong), peer->record->text);
        }
        if (atomic_load(&peer->record->had[number]) != 0) {
            number++;
            continue;
        }
        if (milliseconds() > deadline) {
            FAIL("conversation %zu has not come to its end", number);
        }
        sleep_ms(5);
    }
}
