/* What other threads of the program do while one upgrades its connection, and what becomes of it. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/conversation.h"
#include "common/dead.h"
#include "common/peer.h"
#include "common/recorder.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

/*
 * Two threads that send passwords, one on the descriptor and one on a duplicate of it. Their lines have no byte in
 * common, so that one can tell whose each byte is, however the two mix.
 */
struct sender {
    pthread_t thread;
    /* Where it sends: on a descriptor, or through a handle if that is not NULL. */
    int fd;
    ssl_socket *s;
    /* Its line is this, a number in ten letters from `letter` on, and `end`. */
    const char *password;
    char letter;
    char end;
    /* Begins when this says so. */
    void (*await)(const struct sender *sender);
    const char *ticket;
    /* The peer goes on when so many lines have been sent by both together; 0: it waits for nothing. */
    int lets_go;
    /* What the descriptor was when the thread was started. */
    struct stat before;
    struct sockaddr_storage peer_before;
    socklen_t peer_length;
    atomic_int is_there;
    /* What it sent, and the errno that ended it, or 0. */
    size_t lines;
    int failure;
};

#define LINE 40
#define LINES_BEYOND 100

static atomic_int sent_by_all;
/* The upgrade is over. */
static atomic_int upgraded;

static size_t line_of(const struct sender *sender, size_t number, char *line)
{
    size_t length = strlen(sender->password);

    memcpy(line, sender->password, length);
    for (size_t digit = 0, rest = number; digit < 10; digit++, rest /= 10) {
        line[length + 9 - digit] = (char)(sender->letter + (char)(rest % 10));
    }
    line[length + 10] = sender->end;
    return length + 11;
}

static void *send_passwords(void *argument)
{
    struct sender *sender = argument;
    size_t last = 0;

    atomic_store(&sender->is_there, 1);
    sender->await(sender);
    for (;;) {
        char line[LINE];
        size_t length = line_of(sender, sender->lines, line);
        ssize_t sent = sender->s != NULL ? (ssize_t)ssl_send(sender->s, line, length, MSG_NOSIGNAL)
                                         : send(sender->fd, line, length, MSG_NOSIGNAL);
        if (sent < 0 && sender->s != NULL && sender->lines == 0) {
            /* It is refused until there is a session. */
            if (atomic_fetch_add(&sent_by_all, 1) + 1 == sender->lets_go) {
                recorder_go(sender->ticket);
            }
            continue;
        }
        if (sent < 0) {
            sender->failure = errno;
            return NULL;
        }
        if ((size_t)sent < length) {
            /* The connection died in the middle of it, and that is what the next one says. */
            CHECK(send(sender->fd, line + sent, length - (size_t)sent, MSG_NOSIGNAL) < 0);
            sender->failure = errno;
            return NULL;
        }
        sender->lines++;
        if (atomic_fetch_add(&sent_by_all, 1) + 1 == sender->lets_go) {
            recorder_go(sender->ticket);
        }
        if (last == 0 && atomic_load(&upgraded)) {
            last = sender->lines + LINES_BEYOND;
        }
        if (sender->lines == last) {
            return NULL;
        }
    }
}

static void start(struct sender *sender)
{
    sender->peer_length = sizeof sender->peer_before;
    CHECK(fstat(sender->fd, &sender->before) == 0);
    CHECK(getpeername(sender->fd, (struct sockaddr *)&sender->peer_before, &sender->peer_length) == 0);
    CHECK(pthread_create(&sender->thread, NULL, send_passwords, sender) == 0);
    while (!atomic_load(&sender->is_there)) {
        sched_yield();
    }
}

static void await_hello(const struct sender *sender)
{
    recorder_await_hello(sender->ticket);
}

/* All that the sender's send accepted came under TLS, in order. Returns how much that is. */
static size_t check_sent(const struct record *record, const struct sender *sender)
{
    size_t total = 0;
    size_t number = 0;
    size_t at = 0;
    size_t length = 0;
    char alphabet[LINE + 10];
    char line[LINE];

    length = line_of(sender, 0, alphabet);
    for (char digit = 0; digit < 10; digit++) {
        alphabet[length++] = (char)(sender->letter + digit);
    }
    length = 0;
    for (size_t i = 0; i < record->plain_length; i++) {
        if (memchr(alphabet, record->plain[i], strlen(sender->password) + 21) == NULL) {
            continue;
        }
        if (at == length) {
            length = line_of(sender, number++, line);
            at = 0;
        }
        if (record->plain[i] != (unsigned char)line[at++]) {
            FAIL("the peer got other bytes than were sent, in line %zu of \"%s\"", number, sender->password);
        }
        total++;
    }
    if (at != length || number != sender->lines) {
        FAIL("the peer got %zu of %zu lines of \"%s\"", number, sender->lines, sender->password);
    }
    return total;
}

static ssl_socket *prepare(int fd, const struct way *way)
{
    ssl_socket *s = ssl_socket_new(fd);

    CHECK(s != NULL && ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    return s;
}

/* Two threads send all through an upgrade that succeeds, and beyond it. */
static void send_through_an_upgrade(const struct way *way, const char *order, int lets_go,
                                    void (*await)(const struct sender *),
                                    void (*await_other)(const struct sender *))
{
    char ticket[RECORDER_TICKET];
    int fd = recorder_connect(way, order, ticket);
    int other = dup(fd);
    ssl_socket *s = prepare(fd, way);
    ssl_socket *by_handle = way->flags & SSL_FLAG_EXPLICIT_IO ? s : NULL;
    struct sender one = {.fd = fd, .s = by_handle, .password = "PASS:HUNTER:", .letter = 'A', .end = '\n'};
    struct sender two = {.fd = other, .password = "pass-hunter-", .letter = 'a', .end = ';'};
    struct record record;

    atomic_store(&sent_by_all, 0);
    atomic_store(&upgraded, 0);
    one.ticket = two.ticket = ticket;
    one.lets_go = two.lets_go = lets_go;
    one.await = await;
    two.await = await_other;
    recorder_starttls(fd);
    start(&one);
    if (by_handle == NULL) {
        start(&two);
    }
    if (ssl_perform_handshake(s, "localhost") != SSL_ERR_OKAY) {
        upgrade_failed("with threads that send", s);
    }
    atomic_store(&upgraded, 1);
    CHECK(pthread_join(one.thread, NULL) == 0);
    if (by_handle == NULL) {
        CHECK(pthread_join(two.thread, NULL) == 0);
    }
    CHECK(one.failure == 0 && two.failure == 0);
    CHECK(one.lines >= LINES_BEYOND && (by_handle != NULL || two.lines >= LINES_BEYOND));
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0 && close(other) == 0);

    record = recorder_result(ticket);
    record_check_tls(&record);
    CHECK(!record_has(&record, "HUNTER") && !record_has(&record, "hunter"));
    CHECK(check_sent(&record, &one) + check_sent(&record, &two) == record.plain_length);
    CHECK(strcmp(record.end, "close_notify") == 0);
    record_free(&record);
}

static void what_is_sent_all_through_an_upgrade_leaves_under_tls(const struct way *way)
{
    for (int round = 0; round < rounds(2, 100); round++) {
        /* An AF_UNIX pair takes some 270 sends before it blocks. */
        send_through_an_upgrade(way, "halt known", 100, await_hello, await_hello);
    }
}

/* As soon as one can see that something has happened: the descriptor is another socket. */
static void await_another_inode(const struct sender *sender)
{
    struct stat now;

    do {
        CHECK(fstat(sender->fd, &now) == 0);
    } while (now.st_ino == sender->before.st_ino);
}

static void await_another_peer(const struct sender *sender)
{
    struct sockaddr_storage now;
    socklen_t length;

    if (sender->peer_before.ss_family == AF_UNIX) {
        /* The pair has no names, and the peer's is the same for every client. */
        await_another_inode(sender);
        return;
    }
    do {
        length = sizeof now;
        CHECK(getpeername(sender->fd, (struct sockaddr *)&now, &length) == 0);
    } while (length == sender->peer_length && memcmp(&sender->peer_before, &now, length) == 0);
}

static void what_is_sent_from_the_first_sign_on_leaves_under_tls(const struct way *way)
{
    for (int round = 0; round < rounds(10, 1000); round++) {
        send_through_an_upgrade(way, "serve known", 0, round % 2 ? await_another_inode : await_another_peer,
                                round % 2 ? await_another_peer : await_another_inode);
    }
}

static void what_is_sent_all_through_a_failing_upgrade_dies(const struct way *way)
{
    for (int round = 0; round < rounds(2, 100); round++) {
        char ticket[RECORDER_TICKET];
        int fd = recorder_connect(way, "halt unknown", ticket);
        int other = dup(fd);
        ssl_socket *s = prepare(fd, way);
        struct sender one = {.fd = fd, .password = "PASS:HUNTER:", .letter = 'A', .end = '\n'};
        struct sender two = {.fd = other, .password = "pass-hunter-", .letter = 'a', .end = ';'};
        struct record record;

        atomic_store(&sent_by_all, 0);
        one.ticket = two.ticket = ticket;
        one.lets_go = two.lets_go = 100;
        one.await = two.await = await_hello;
        recorder_starttls(fd);
        start(&one);
        start(&two);
        CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_CERT_UNKNOWN);
        CHECK(pthread_join(one.thread, NULL) == 0 && pthread_join(two.thread, NULL) == 0);
        CHECK(one.failure == EPIPE || one.failure == ECONNRESET);
        CHECK(two.failure == EPIPE || two.failure == ECONNRESET);
        CHECK(one.lines + two.lines >= 100);
        expect_dead(fd);
        expect_dead(other);
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0 && close(other) == 0);
        record = recorder_result(ticket);
        record_check_tls(&record);
        CHECK(!record_has(&record, "HUNTER") && !record_has(&record, "hunter"));
        CHECK(record.plain_length == 0);
        record_free(&record);
    }
}

static void what_ssl_send_takes_during_an_upgrade_leaves_under_tls(const struct way *way)
{
    for (int round = 0; round < rounds(2, 100); round++) {
        send_through_an_upgrade(way, "halt known", 100, await_hello, await_hello);
    }
}

/* A thread inside a call on the connection. */

enum call { CALL_RECV, CALL_READ, CALL_RECVMSG, CALL_READV, CALL_SEND, CALL_WRITE };

struct blocked {
    pthread_t thread;
    int fd;
    enum call call;
    atomic_int tid;
    /* What the call gave. */
    ssize_t result;
    size_t sent;
};

static ssize_t call(const struct blocked *blocked)
{
    static char bytes[65536];
    struct iovec piece = {.iov_base = bytes, .iov_len = 64};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    switch (blocked->call) {
    case CALL_RECV:
        return recv(blocked->fd, bytes, 64, 0);
    case CALL_READ:
        return read(blocked->fd, bytes, 64);
    case CALL_RECVMSG:
        return recvmsg(blocked->fd, &message, 0);
    case CALL_READV:
        return readv(blocked->fd, &piece, 1);
    case CALL_SEND:
        return send(blocked->fd, bytes, sizeof bytes, MSG_NOSIGNAL);
    default:
        return write(blocked->fd, bytes, sizeof bytes);
    }
}

static void *make_the_call(void *argument)
{
    struct blocked *blocked = argument;

    atomic_store(&blocked->tid, (int)syscall(SYS_gettid));
    do {
        blocked->result = call(blocked);
        blocked->sent += blocked->result > 0 ? (size_t)blocked->result : 0;
        /* A writer goes on until nobody takes any more. */
    } while (blocked->call >= CALL_SEND && blocked->result > 0);
    return NULL;
}

/*
 * Waits until the thread has slept in its call for a while: a writer's sleeps are short at first. Before the call it may
 * sleep in others, of the C library or of a sanitizer, so the descriptor counts.
 */
static void await_asleep(const struct blocked *blocked)
{
    long wanted = blocked->call >= CALL_SEND ? 100 : 5;
    long since = milliseconds();
    long limit = since + 20000;

    while (milliseconds() - since < wanted) {
        char path[64];
        long number = -1;
        unsigned long descriptor = 0;
        FILE *file;

        /* "running", or the number of the system call and its arguments. */
        snprintf(path, sizeof path, "/proc/self/task/%d/syscall", atomic_load(&blocked->tid));
        file = fopen(path, "r");
        if (file == NULL || fscanf(file, "%ld %lx", &number, &descriptor) != 2 || number < 0 ||
            (int)descriptor != blocked->fd) {
            since = milliseconds();
        }
        if (file != NULL) {
            fclose(file);
        }
        CHECK(milliseconds() < limit);
        sleep_ms(1);
    }
}

static void refuse_with_a_thread_in(const struct way *way, enum call call, int on_the_duplicate)
{
    char ticket[RECORDER_TICKET];
    char text[1024] = "";
    char wanted[64];
    size_t length;
    int writes = call >= CALL_SEND;
    int fd = recorder_connect(way, writes ? "deaf" : "silent", ticket);
    int other = dup(fd);
    struct blocked blocked = {.fd = on_the_duplicate ? other : fd, .call = call};
    ssl_socket *s = prepare(fd, way);
    struct record record;

    recorder_starttls(fd);
    CHECK(pthread_create(&blocked.thread, NULL, make_the_call, &blocked) == 0);
    await_asleep(&blocked);
    if (ssl_perform_handshake(s, "localhost") != SSL_ERR_STATE) {
        upgrade_failed("a thread in a call", s);
    }
    expect_dead(fd);
    expect_dead(other);
    CHECK(ssl_get_error(s) == SSL_ERR_STATE);
    CHECK(ssl_get_error_text(s, text, sizeof text, &length) == SSL_ERR_OKAY);
    snprintf(wanted, sizeof wanted, "on descriptor %d; let it return before the upgrade", blocked.fd);
    if (strstr(text, wanted) == NULL) {
        FAIL("\"%s\" does not say \"%s\"", text, wanted);
    }
    /* It returns, with no byte. */
    CHECK(pthread_join(blocked.thread, NULL) == 0);
    CHECK(blocked.result <= 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0 && close(other) == 0);
    recorder_go(ticket);
    record = recorder_result(ticket);
    CHECK(!record_has(&record, "hunter2"));
    /* What the program itself sent in clear before, and nothing of the library's. */
    for (size_t i = record.starttls; i < record.raw_length; i++) {
        CHECK(writes && record.raw[i] == 0);
    }
    CHECK(record.raw_length - record.starttls <= blocked.sent + 65536);
    record_free(&record);
}

static void a_thread_in_a_call_on_it_is_refused_with_a_text(const struct way *way)
{
    for (enum call call = CALL_RECV; call <= CALL_WRITE; call++) {
        refuse_with_a_thread_in(way, call, 0);
        refuse_with_a_thread_in(way, call, 1);
    }
}

/* The main thread has ended. */

static const struct way *the_way;

static void converse_and_refuse(void)
{
    int fd = peer_connect(the_way->peer);
    int other = dup(fd);
    ssl_socket *s = upgrade_to_peer(fd, the_way, "echo");

    send_pattern(other, 1000);
    receive_pattern(fd, 1000, 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(other) == 0);
    send_pattern(fd, 100000);
    receive_pattern(fd, 100000, 0);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    expect_end(fd);
    CHECK(close(fd) == 0);

    /* What is looked for in /proc is still found. */
    refuse_with_a_thread_in(the_way, CALL_RECV, 1);
}

static void *go_on_alone(void *main_thread)
{
    int fd;

    CHECK(pthread_join(*(pthread_t *)main_thread, NULL) == 0);
    converse_and_refuse();
    /* The last words, on the way at the end. */
    fd = peer_connect(the_way->peer);
    upgrade_to_peer(fd, the_way, "sink %s", peer_ticket());
    send_pattern(fd, 100000);
    exit(EXIT_SUCCESS);
}

static void a_program_whose_main_thread_has_ended(const struct way *way)
{
    static pthread_t main_thread;
    pthread_t thread;
    int status = 0;
    pid_t child;

    the_way = way;
    peer_ticket();
    child = quiet_fork();
    if (child == 0) {
        main_thread = pthread_self();
        CHECK(pthread_create(&thread, NULL, go_on_alone, &main_thread) == 0);
        pthread_exit(NULL);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
        FAIL("the program ended with status %#x", (unsigned)status);
    }
    peer_got(100000);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"what_is_sent_all_through_an_upgrade_leaves_under_tls", what_is_sent_all_through_an_upgrade_leaves_under_tls,
         transparent_ways, 600},
        {"what_is_sent_from_the_first_sign_on_leaves_under_tls", what_is_sent_from_the_first_sign_on_leaves_under_tls,
         transparent_ways, 600},
        {"what_is_sent_all_through_a_failing_upgrade_dies", what_is_sent_all_through_a_failing_upgrade_dies,
         transparent_ways, 600},
        {"what_ssl_send_takes_during_an_upgrade_leaves_under_tls",
         what_ssl_send_takes_during_an_upgrade_leaves_under_tls, explicit_ways, 600},
        {"a_thread_in_a_call_on_it_is_refused_with_a_text", a_thread_in_a_call_on_it_is_refused_with_a_text,
         transparent_ways, 0},
        {"a_program_whose_main_thread_has_ended", a_program_whose_main_thread_has_ended, transparent_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
