/*
 * Numbers of descriptors in a program with threads: a number that is closed belongs to whoever opens something next,
 * and nothing of the library's may be written to it, read from it or done to it.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/marker.h"
#include "common/peer.h"
#include "common/process.h"
#include "common/quick_peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

/* A thread that waits in one receiving call, and what that answered. */
struct reader {
    pthread_t thread;
    int fd;
    /* NULL: recv on the descriptor; else ssl_recv. */
    ssl_socket *s;
    atomic_int id;
    unsigned char bytes[16];
    ptrdiff_t count;
};

static void *receive_once(void *argument)
{
    struct reader *reader = argument;

    atomic_store(&reader->id, gettid());
    reader->count = reader->s != NULL ? ssl_recv(reader->s, reader->bytes, sizeof reader->bytes, 0)
                                      : recv(reader->fd, reader->bytes, sizeof reader->bytes, 0);
    return NULL;
}

static void reader_start(struct reader *reader)
{
    atomic_store(&reader->id, 0);
    CHECK(pthread_create(&reader->thread, NULL, receive_once, reader) == 0);
    while (atomic_load(&reader->id) == 0) {
        sleep_ms(1);
    }
    await_system_call(atomic_load(&reader->id), reader->s != NULL ? SYS_ppoll : SYS_recvfrom);
}

/* Opens something, which has to get the number that was closed just now. */
static struct marker take_over(int number)
{
    struct marker marker = marker_open(0);

    if (!marker_has(&marker, number)) {
        FAIL("%d was opened, not %d", marker.fds[0], number);
    }
    return marker;
}

/* Two ends of a plain TCP connection over loopback. */
static void plain_pair(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
    socklen_t length = sizeof address;
    int listener;

    /* First, so that no lower number becomes free. */
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(ends[0] >= 0 && connect(ends[0], (struct sockaddr *)&address, sizeof address) == 0);
    ends[1] = accept(listener, NULL, NULL);
    CHECK(ends[1] >= 0 && close(listener) == 0);
}

/* A reader inside the call keeps the connection, and gets what the peer says afterwards. */
static void plain_close_during_recv(void)
{
    struct reader reader = {.s = NULL};
    struct marker marker;
    unsigned char bytes[5];
    int ends[2];

    plain_pair(ends);
    reader.fd = ends[0];
    reader_start(&reader);
    CHECK(close(ends[0]) == 0);
    marker = take_over(ends[0]);
    pattern_fill(bytes, sizeof bytes, 0);
    CHECK(send(ends[1], bytes, sizeof bytes, 0) == sizeof bytes);
    CHECK(pthread_join(reader.thread, NULL) == 0);
    CHECK(reader.count == 5 && pattern_matches(reader.bytes, 5, 0));
    marker_close(&marker);
    CHECK(close(ends[1]) == 0);
}

static void close_during_recv_is_as_on_a_plain_socket(const struct way *way)
{
    struct reader reader = {.s = NULL};
    struct marker marker;
    ssl_socket *s;
    int before;
    int trigger;

    plain_close_during_recv();
    /* The relay stays. */
    echo_with_peer(way, 1000);
    sleep_ms(300);
    before = open_descriptors();

    reader.fd = peer_connect(way->peer);
    s = upgrade_to_peer(reader.fd, way, "after %s 5", peer_ticket());
    if (way->flags & SSL_FLAG_EXPLICIT_IO) {
        reader.s = s;
    } else {
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    }
    reader_start(&reader);
    CHECK(close(reader.fd) == 0);
    marker = take_over(reader.fd);
    /* The peer speaks when another conversation is over. */
    trigger = peer_connect(way->peer);
    CHECK(ssl_socket_free(upgrade_to_peer(trigger, way, "sink %s", peer_ticket())) == SSL_ERR_OKAY);
    CHECK(close(trigger) == 0);
    CHECK(pthread_join(reader.thread, NULL) == 0);
    if (reader.count != 5 || !pattern_matches(reader.bytes, 5, 0)) {
        FAIL("the reader got %td", reader.count);
    }
    if (reader.s != NULL) {
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    }
    /* Only when the library has let go of the connection, which takes a moment. */
    await_descriptors(before + 1);
    marker_close(&marker);
}

/* In explicit mode the library reads from a duplicate. */
static void close_during_ssl_recv_leaves_the_number_alone(const struct way *way)
{
    close_during_recv_is_as_on_a_plain_socket(way);
}

static void plain_shutdown_wakes_recv(void)
{
    struct reader reader = {.s = NULL};
    int ends[2];

    plain_pair(ends);
    reader.fd = ends[0];
    reader_start(&reader);
    CHECK(shutdown(ends[0], SHUT_RDWR) == 0);
    CHECK(pthread_join(reader.thread, NULL) == 0 && reader.count == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void shutdown_wakes_recv_as_on_a_plain_socket(const struct way *way)
{
    struct reader reader = {.s = NULL};
    struct marker marker;

    plain_shutdown_wakes_recv();
    reader.fd = peer_connect(way->peer);
    CHECK(ssl_socket_free(upgrade_to_peer(reader.fd, way, "sink %s", peer_ticket())) == SSL_ERR_OKAY);
    reader_start(&reader);
    CHECK(shutdown(reader.fd, SHUT_RDWR) == 0);
    CHECK(pthread_join(reader.thread, NULL) == 0 && reader.count == 0);
    CHECK(close(reader.fd) == 0);
    marker = take_over(reader.fd);
    peer_got(0);
    marker_close(&marker);
}

/* Its read would take ciphertext. The upgrade fails and, as after every failure, nothing goes out any more. */
static void a_reader_inside_recv_refuses_the_upgrade(const struct way *way)
{
    struct reader reader = {.s = NULL};
    ssl_socket *s;

    reader.fd = peer_connect(way->peer);
    s = ssl_socket_new(reader.fd);
    CHECK(s != NULL && ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    reader_start(&reader);
    CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_STATE);
    CHECK(pthread_join(reader.thread, NULL) == 0 && reader.count <= 0);
    CHECK(send(reader.fd, "secret", 6, MSG_NOSIGNAL) == -1 && (errno == EPIPE || errno == ECONNRESET));
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(reader.fd) == 0);
}

static void close_twice_is_an_error_and_no_more(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "sink %s", peer_ticket());

    say_pattern(fd, s, way, 1000, 0);
    if (way->flags & SSL_FLAG_EXPLICIT_IO) {
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
        s = NULL;
    }
    CHECK(close(fd) == 0);
    errno = 0;
    CHECK(close(fd) == -1 && errno == EBADF);
    peer_got(1000);
    CHECK(s == NULL || ssl_socket_free(s) == SSL_ERR_OKAY);
    errno = 0;
    CHECK(close(fd) == -1 && errno == EBADF);
}

/* The handle outlives its descriptor, whose number is something else's: a file, a pipe, a socket. */
static void a_handle_leaves_a_reused_number_alone(const struct way *way)
{
    for (int kind = 0; kind < MARKER_KINDS; kind++) {
        int fd = peer_connect(way->peer);
        ssl_socket *s = upgrade_to_peer(fd, way, "echo");
        struct marker marker;
        char byte = 'x';
        size_t pending;

        CHECK(close(fd) == 0);
        marker = marker_open(kind);
        CHECK(marker_has(&marker, fd));
        errno = 0;
        CHECK(ssl_send(s, &byte, 1, 0) == -1 && errno == EBADF);
        errno = 0;
        CHECK(ssl_recv(s, &byte, 1, MSG_DONTWAIT) == -1 && errno == EBADF);
        CHECK(ssl_pending(s, &pending) != SSL_ERR_OKAY);
        CHECK(ssl_shutdown(s, SHUT_RDWR) != SSL_ERR_OKAY);
        marker_check(&marker);
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
        marker_close(&marker);
    }
}

/* What the threads of a test share. */
struct shared {
    struct quick_peer peer;
    const struct way *way;
    atomic_size_t next;
    atomic_size_t reused;
    atomic_int stopping;
};

static void have_conversation(struct shared *shared, size_t number, size_t length, struct marker *last)
{
    int fd = quick_peer_connect(&shared->peer);
    ssl_socket *s = upgrade_with(fd, "localhost", shared->way->flags);
    int free_first = number % 2 == 0 || shared->way->flags & SSL_FLAG_EXPLICIT_IO;

    quick_peer_talk(fd, s, shared->way, number, length);
    CHECK(!free_first || ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    if (last != NULL) {
        struct marker marker = marker_open((int)(number % MARKER_KINDS));
        atomic_fetch_add(&shared->reused, (size_t)marker_has(&marker, fd));
        if (last->fds[0] >= 0) {
            marker_close(last);
        }
        *last = marker;
    }
    CHECK(free_first || ssl_socket_free(s) == SSL_ERR_OKAY);
}

static void *converse_and_reuse(void *argument)
{
    struct shared *shared = argument;
    struct marker last = {{-1, -1}, {0, 0}, {0, 0}, 0};

    for (;;) {
        size_t number = atomic_fetch_add(&shared->next, 1);
        if (number >= shared->peer.conversations) {
            break;
        }
        have_conversation(shared, number, 1 + number * 7 % 700, &last);
    }
    if (last.fds[0] >= 0) {
        marker_close(&last);
    }
    return NULL;
}

/* Opens whatever number is free, keeps it for a while, and looks at it. */
static void *open_and_close(void *argument)
{
    enum { KEPT = 6 };
    struct shared *shared = argument;
    struct marker kept[KEPT];

    for (int i = 0; i < KEPT; i++) {
        kept[i] = marker_open(i);
    }
    for (int round = 0; !atomic_load(&shared->stopping); round++) {
        marker_close(&kept[round % KEPT]);
        kept[round % KEPT] = marker_open(round);
    }
    for (int i = 0; i < KEPT; i++) {
        marker_close(&kept[i]);
    }
    return NULL;
}

#ifdef __SANITIZE_ADDRESS__
#define USUAL_CONVERSATIONS 300
#else
#define USUAL_CONVERSATIONS 2000
#endif

static void no_byte_crosses_when_a_number_is_used_again(const struct way *way)
{
    enum { CLIENTS = 2 };
    static struct shared shared;
    pthread_t clients[CLIENTS];
    pthread_t opener;

    shared.way = way;
    quick_peer_start(&shared.peer, (size_t)rounds(USUAL_CONVERSATIONS, way->flags == 0 ? 100000 : 30000));
    CHECK(pthread_create(&opener, NULL, open_and_close, &shared) == 0);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(pthread_create(&clients[i], NULL, converse_and_reuse, &shared) == 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(pthread_join(clients[i], NULL) == 0);
    }
    atomic_store(&shared.stopping, 1);
    CHECK(pthread_join(opener, NULL) == 0);
    quick_peer_expect_all(&shared.peer);
    /* Else nothing was tried. */
    CHECK(atomic_load(&shared.reused) > 0);
}

/* The connections that are upgraded at the moment, for others to duplicate. */
#define THREADS 50
#define EACH rounds(4, 100)

static struct {
    pthread_mutex_t lock;
    int fd;
} published[THREADS];

static struct {
    pthread_mutex_t lock;
    int fd;
} mailbox = {PTHREAD_MUTEX_INITIALIZER, -1};

static void publish(size_t place, int fd)
{
    pthread_mutex_lock(&published[place].lock);
    published[place].fd = fd;
    pthread_mutex_unlock(&published[place].lock);
}

static struct shared crowd;

static void *upgrade_in_the_crowd(void *argument)
{
    size_t place = (size_t)(uintptr_t)argument;
    size_t each = (size_t)EACH;

    for (size_t number = place * each; number < (place + 1) * each; number++) {
        int fd = quick_peer_connect(&crowd.peer);
        ssl_socket *s = upgrade_with(fd, "localhost", crowd.way->flags);
        publish(place, fd);
        quick_peer_talk(fd, s, crowd.way, number, number * 997 % 60000);
        publish(place, -1);
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
        CHECK(close(fd) == 0);
    }
    return NULL;
}

/* A duplicate of somebody's upgraded connection, for a moment; and one of something else, under many numbers. */
static void duplicate(const struct marker *marker, size_t place)
{
    int copy = dup(marker->fds[0]);
    int other = open("/dev/null", O_RDONLY);
    int high = fcntl(marker->fds[0], F_DUPFD_CLOEXEC, 700);

    CHECK(copy >= 0 && other >= 0 && high >= 700);
    CHECK(dup2(copy, other) == other && dup3(high, copy, O_CLOEXEC) == copy);
    CHECK(close(copy) == 0 && close(other) == 0 && close(high) == 0);

    pthread_mutex_lock(&published[place].lock);
    copy = published[place].fd < 0 ? -1 : dup(published[place].fd);
    pthread_mutex_unlock(&published[place].lock);
    CHECK(copy < 0 || close(copy) == 0);
}

/* A descriptor that this thread opens and another closes, and one that goes through a socket. */
static void hand_on(int sockets[2])
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int old;

    CHECK(fd >= 0);
    memset(&control, 0, sizeof control);
    CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
    CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
    CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
    CHECK(sendmsg(sockets[0], &message, 0) == 1 && close(fd) == 0);
    CHECK(recvmsg(sockets[1], &message, 0) == 1 && CMSG_FIRSTHDR(&message) != NULL);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);

    pthread_mutex_lock(&mailbox.lock);
    old = mailbox.fd;
    mailbox.fd = fd;
    pthread_mutex_unlock(&mailbox.lock);
    CHECK(old < 0 || close(old) == 0);
}

static void *disturb(void *argument)
{
    size_t seed = (size_t)(uintptr_t)argument;
    int sockets[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    for (size_t round = seed; !atomic_load(&crowd.stopping); round++) {
        struct marker first = marker_open((int)(round % MARKER_KINDS));
        struct marker second = marker_open((int)((round + seed) % MARKER_KINDS));
        duplicate(&first, round % THREADS);
        hand_on(sockets);
        marker_close(&first);
        marker_close(&second);
    }
    CHECK(close(sockets[0]) == 0 && close(sockets[1]) == 0);
    return NULL;
}

static void fifty_threads_upgrade_while_others_open_and_close(const struct way *way)
{
    enum { DISTURBERS = 4 };
    pthread_t upgraders[THREADS];
    pthread_t disturbers[DISTURBERS];
    unsigned long long blocked;
    int before;

    crowd.way = way;
    /* The relay stays. */
    echo_with_peer(way, 1000);
    quick_peer_start(&crowd.peer, THREADS * (size_t)EACH);
    sleep_ms(300);
    before = open_descriptors() - 2 * library_threads(&blocked);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_mutex_init(&published[i].lock, NULL) == 0);
        published[i].fd = -1;
    }
    for (size_t i = 0; i < DISTURBERS; i++) {
        CHECK(pthread_create(&disturbers[i], NULL, disturb, (void *)(uintptr_t)i) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&upgraders[i], NULL, upgrade_in_the_crowd, (void *)(uintptr_t)i) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(upgraders[i], NULL) == 0);
    }
    atomic_store(&crowd.stopping, 1);
    for (size_t i = 0; i < DISTURBERS; i++) {
        CHECK(pthread_join(disturbers[i], NULL) == 0);
    }
    CHECK(mailbox.fd < 0 || close(mailbox.fd) == 0);
    quick_peer_expect_all(&crowd.peer);
    /* With so many connections there may be more threads of the library, with an epoll instance and an eventfd each. */
    await_descriptors(before + 2 * library_threads(&blocked));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"close_during_recv_is_as_on_a_plain_socket", close_during_recv_is_as_on_a_plain_socket, transparent_ways, 0},
        {"close_during_ssl_recv_leaves_the_number_alone",
         close_during_ssl_recv_leaves_the_number_alone, explicit_ways, 0},
        {"shutdown_wakes_recv_as_on_a_plain_socket", shutdown_wakes_recv_as_on_a_plain_socket, transparent_ways, 0},
        {"a_reader_inside_recv_refuses_the_upgrade", a_reader_inside_recv_refuses_the_upgrade, transparent_ways, 0},
        {"close_twice_is_an_error_and_no_more", close_twice_is_an_error_and_no_more, each_mode, 0},
        {"a_handle_leaves_a_reused_number_alone", a_handle_leaves_a_reused_number_alone, transparent_ways, 0},
        {"no_byte_crosses_when_a_number_is_used_again", no_byte_crosses_when_a_number_is_used_again, each_mode, 1200},
        {"fifty_threads_upgrade_while_others_open_and_close", fifty_threads_upgrade_while_others_open_and_close,
         each_mode, 300},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
