/* What an upgrade does where there are no descriptors left, no /proc, or no further thread. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/dead.h"
#include "common/extent.h"
#include "common/peer.h"
#include "common/supervisor.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

/* More than any upgrade needs. */
#define DESCRIPTORS_ENOUGH 40
/* So many connections does one relay thread have before there is another. */
#define CONNECTIONS_PER_THREAD 64

/* A connection with a duplicate, unless there is to be none (-1), and the handle. */
struct begun {
    int fd;
    int again;
    ssl_socket *s;
};

static struct begun begin(const struct way *way)
{
    struct begun begun = {.fd = peer_connect_in_clear(way->peer), .again = -1};

    if ((way->flags & SSL_FLAG_SOLE_DESCRIPTOR) == 0) {
        begun.again = dup(begun.fd);
        CHECK(begun.again >= 0);
    }
    begun.s = ssl_socket_new(begun.fd);
    CHECK(begun.s != NULL && ssl_set_flags(begun.s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(begun.s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    return begun;
}

static void expect_failed(const struct begun *begun, int32_t code, const char *says)
{
    char text[512];
    size_t length = 0;

    expect_dead(begun->fd);
    if (begun->again >= 0) {
        expect_dead(begun->again);
    }
    CHECK(code == SSL_ERR_IO && ssl_get_error(begun->s) == SSL_ERR_IO);
    CHECK(ssl_get_error_text(begun->s, text, sizeof text, &length) == SSL_ERR_OKAY);
    if (strncmp(text, "could not ", 10) != 0 || strstr(text, says) == NULL) {
        FAIL("the text is \"%s\"", text);
    }
}

static void expect_echo(const struct begun *begun, const struct way *way)
{
    unsigned char bytes[5000];

    pattern_fill(bytes, sizeof bytes, 0);
    send_through(begun->s, begun->fd, way, "echo\n", 5);
    send_through(begun->s, begun->fd, way, bytes, sizeof bytes);
    receive_through(begun->s, begun->again >= 0 ? begun->again : begun->fd, way, sizeof bytes, 0);
}

static void end(const struct begun *begun)
{
    CHECK(ssl_socket_free(begun->s) == SSL_ERR_OKAY);
    CHECK(close(begun->fd) == 0 && (begun->again < 0 || close(begun->again) == 0));
    peer_saw_only_tls();
}

/* Every number up to the highest that is open gets used. Returns that. */
static int fill_the_gaps(void)
{
    int highest = 0;
    int next;

    for (int number = 0; number < 4096; number++) {
        if (fcntl(number, F_GETFD) >= 0) {
            highest = number;
        }
    }
    do {
        next = dup(STDERR_FILENO);
        CHECK(next >= 0);
    } while (next < highest);
    return next;
}

/* Ends with status 0 if the upgrade succeeded, 1 for a wrong behaviour, and 2 if it failed as it should. */
static void upgrade_with_free_descriptors(const struct way *way, int is_later, int count)
{
    struct rlimit limit;
    struct extent before;
    struct begun begun;
    int32_t code;
    rlim_t usual;

    alarm(20);
    if (is_later) {
        struct extent none = extent_now();

        echo_with_peer(way, 1000);
        expect_nothing_left_since(&none);
    }
    begun = begin(way);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    usual = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)(fill_the_gaps() + 1 + count);
    before = extent_now();
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    code = ssl_perform_handshake(begun.s, "localhost");
    if (code != SSL_ERR_OKAY) {
        expect_failed(&begun, code, strerror(EMFILE));
    } else {
        expect_echo(&begun, way);
    }
    limit.rlim_cur = usual;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    end(&begun);
    /* What was the connection's. */
    before.descriptors -= begun.again >= 0 ? 2 : 1;
    expect_nothing_left_since(&before);
    echo_with_peer(way, 1000);
    expect_nothing_left_since(&before);
    _exit(code != SSL_ERR_OKAY ? 2 : 0);
}

static void descriptors_run_out(const struct way *way, int is_later)
{
    for (int count = 0; count < DESCRIPTORS_ENOUGH; count++) {
        pid_t child = fork();
        int status;

        CHECK(child >= 0);
        if (child == 0) {
            upgrade_with_free_descriptors(way, is_later, count);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) == 1) {
            FAIL("with %d free descriptors: status %#x", count, (unsigned)status);
        }
        if (WEXITSTATUS(status) == 0) {
            CHECK(count > 0);
            printf("# %d free descriptors are enough, with fewer it fails\n", count);
            return;
        }
    }
    FAIL("%d free descriptors are not enough", DESCRIPTORS_ENOUGH - 1);
}

static void descriptors_run_out_in_the_first_upgrade(const struct way *way)
{
    descriptors_run_out(way, 0);
}

static void descriptors_run_out_in_a_later_upgrade(const struct way *way)
{
    descriptors_run_out(way, 1);
}

static void cover_proc(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/proc", "tmpfs", 0, NULL) != 0) {
        SKIP("no mount namespace of one's own: %s", strerror(errno));
    }
}

static void without_proc(const struct way *way)
{
    struct extent before = extent_now();
    struct begun begun = begin(way);
    int32_t code;

    cover_proc();
    code = ssl_perform_handshake(begun.s, "localhost");
    if ((way->flags & (SSL_FLAG_EXPLICIT_IO | SSL_FLAG_SOLE_DESCRIPTOR)) != 0) {
        CHECK(code == SSL_ERR_OKAY);
        expect_echo(&begun, way);
    } else {
        expect_failed(&begun, code, "is /proc mounted?");
    }
    end(&begun);
    CHECK(umount2("/proc", MNT_DETACH) == 0);
    expect_nothing_left_since(&before);
    echo_with_peer(way, 1000);
}

/* What the system lacks in the second half of a test, after a failure, is there again. */
static void try_again(const struct way *way, const struct extent *before)
{
    echo_with_peer(way, 1000);
    expect_nothing_left_since(before);
}

static void without_loopback(const struct way *way)
{
    struct extent before = extent_now();
    struct begun begun = begin(way);
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int network = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    /* The connection stays in the network where it was made. */
    CHECK(network >= 0);
    if (unshare(CLONE_NEWNET) != 0) {
        SKIP("no network namespace of one's own: %s", strerror(errno));
    }
    CHECK(ssl_perform_handshake(begun.s, "localhost") == SSL_ERR_OKAY);
    CHECK(getsockname(begun.fd, (struct sockaddr *)&address, &length) == 0);
    if ((way->flags & SSL_FLAG_EXPLICIT_IO) == 0) {
        CHECK(address.ss_family == AF_UNIX);
    }
    expect_echo(&begun, way);
    CHECK(setns(network, CLONE_NEWNET) == 0 && close(network) == 0);
    end(&begun);
    try_again(way, &before);
}

/* From here on this process is a user's who may have no further thread. */
static void allow_no_more_threads(void)
{
    struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};

    CHECK(getrlimit(RLIMIT_NPROC, &none) == 0);
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
        SKIP("not another user: %s", strerror(errno));
    }
}

static void allow_threads(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
}

static void trust_in_the_defaults(void)
{
    CHECK(ssl_add_trust_file(ssl_defaults(), pki_file("ca.pem")) == SSL_ERR_OKAY);
}

static void without_a_thread(const struct way *way)
{
    struct extent before;
    struct begun begun;
    int32_t code;
    int fd;
    ssl_socket *s;

    trust_in_the_defaults();
    /* Afterwards this user may reach neither the file nor the peer's AF_UNIX socket. */
    fd = peer_connect(way->peer);
    before = extent_now();
    begun = begin(way);
    allow_no_more_threads();
    code = ssl_perform_handshake(begun.s, "localhost");
    if ((way->flags & SSL_FLAG_EXPLICIT_IO) != 0) {
        CHECK(code == SSL_ERR_OKAY);
        expect_echo(&begun, way);
    } else {
        expect_failed(&begun, code, "start the relay thread");
        expect_error_text(begun.s, "raise their limit (ulimit -u");
    }
    end(&begun);
    expect_nothing_left_since(&before);
    allow_threads();
    s = ssl_socket_new(fd);
    CHECK(s != NULL && ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_OKAY);
    send_through(s, fd, way, "echo\n", 5);
    say_pattern(fd, s, way, 1000, 0);
    receive_through(s, fd, way, 1000, 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    before.descriptors--;
    expect_nothing_left_since(&before);
}

/* A session of explicit mode ends on the program's thread where there is no other. */
static void freed_without_a_thread(const struct way *way)
{
    struct extent before = extent_now();
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "sink %s", peer_ticket());

    say_pattern(fd, s, way, 100000, 0);
    allow_no_more_threads();
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    peer_got(100000);
    expect_nothing_left_since(&before);
}

static void a_close_delivers_without_a_descriptor_left(const struct way *way)
{
    struct extent before = extent_now();
    struct rlimit limit, none;
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "sink %s", peer_ticket());

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    say_pattern(fd, s, way, 100000, 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    peer_got(100000);
    expect_nothing_left_since(&before);
    try_again(way, &before);
}

static void a_further_relay_thread_is_not_needed(const struct way *way)
{
    struct watch *watch = mmap(NULL, sizeof *watch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ssl_socket *handles[CONNECTIONS_PER_THREAD];
    int fds[CONNECTIONS_PER_THREAD];
    struct begun begun;

    CHECK(watch != MAP_FAILED);
    if (supervise(watch) != 0) {
        SKIP("a seccomp filter with a listener is not allowed here");
    }
    /* A thread that is busy has others started sooner. */
    CHECK(ssl_set_relay_threads(1) == SSL_ERR_OKAY);
    for (int i = 0; i < CONNECTIONS_PER_THREAD; i++) {
        fds[i] = peer_connect(way->peer);
        handles[i] = upgrade_to_peer(fds[i], way, "hold");
    }
    CHECK(ssl_set_relay_threads(2) == SSL_ERR_OKAY);
    begun = begin(way);
    watch->target.number = SYS_mmap;
    watch->error = ENOMEM;
    mark_begin();
    CHECK(ssl_perform_handshake(begun.s, "localhost") == SSL_ERR_OKAY);
    mark_end();
    CHECK(watch->done);
    expect_echo(&begun, way);
    end(&begun);
    for (int i = 0; i < CONNECTIONS_PER_THREAD; i++) {
        CHECK(ssl_socket_free(handles[i]) == SSL_ERR_OKAY && close(fds[i]) == 0);
    }
}

/* What there is stays; nothing is added. */
static void allow_no_more_descriptors(void)
{
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
}

static void a_truncation_is_told_without_a_descriptor_left(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "play %s data:1000 line fin read", peer_ticket());
    char byte;

    receive_pattern(fd, 1000, 0);
    allow_no_more_descriptors();
    CHECK(send(fd, "\n", 1, MSG_NOSIGNAL) == 1);
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
    CHECK(ssl_get_error(s) == SSL_ERR_TRUNCATED);
    CHECK(close(fd) == 0);
}

static void exit_delivers_without_a_descriptor_left(const struct way *way)
{
    int status = 0;
    pid_t child;

    /* The child's is to be the same. */
    peer_ticket();
    child = fork();
    if (child == 0) {
        int fd = peer_connect(way->peer);
        CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "sink %s", peer_ticket())) == SSL_ERR_OKAY);
        allow_no_more_descriptors();
        send_pattern(fd, 100000);
        exit(EXIT_SUCCESS);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    peer_got(100000);
}

static void flush_all_waits_without_a_descriptor_left(const struct way *way)
{
    static const unsigned char block[65536];
    int fd = peer_connect(way->peer);
    uint32_t unfinished = 0;

    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "hold")) == SSL_ERR_OKAY);
    set_nonblocking(fd);
    allow_no_more_descriptors();
    while (send(fd, block, sizeof block, MSG_NOSIGNAL) > 0) {
    }
    CHECK(errno == EAGAIN);
    CHECK(ssl_flush_all(50, &unfinished) == SSL_ERR_TIMEOUT && unfinished == 1);
    _exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
        {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
        {"IPv4, sole", "SSLSOCK_PEER", SSL_FLAG_SOLE_DESCRIPTOR},
        {"IPv4, Unix pair, sole", "SSLSOCK_PEER", SSL_FLAG_SOLE_DESCRIPTOR | SSL_FLAG_UNIX_PAIR},
        {"IPv6", "SSLSOCK_PEER6", 0},
        {"Unix", "SSLSOCK_PEER_UNIX", 0},
        {"Unix, explicit", "SSLSOCK_PEER_UNIX", SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"descriptors_run_out_in_the_first_upgrade", descriptors_run_out_in_the_first_upgrade, ways, 0},
        {"descriptors_run_out_in_a_later_upgrade", descriptors_run_out_in_a_later_upgrade, ways, 0},
        {"without_proc", without_proc, ways, 0},
        {"without_loopback", without_loopback, ways, 0},
        {"without_a_thread", without_a_thread, ways, 0},
        {"freed_without_a_thread", freed_without_a_thread, explicit_ways, 0},
        {"a_close_delivers_without_a_descriptor_left", a_close_delivers_without_a_descriptor_left, ways, 0},
        {"a_truncation_is_told_without_a_descriptor_left", a_truncation_is_told_without_a_descriptor_left,
         transparent_ways, 0},
        {"exit_delivers_without_a_descriptor_left", exit_delivers_without_a_descriptor_left, transparent_ways, 0},
        {"flush_all_waits_without_a_descriptor_left", flush_all_waits_without_a_descriptor_left, transparent_ways, 0},
        {"a_further_relay_thread_is_not_needed", a_further_relay_thread_is_not_needed, usual_way, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
