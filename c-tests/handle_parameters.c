/*
 * What a program can get wrong with the parameters of a handshake, and the file that secrets go to.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/listener.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"

#define EXPECT(expected, call)                                                                            \
    do {                                                                                                  \
        int32_t answer_ = (call);                                                                         \
        if (answer_ != (expected)) {                                                                      \
            FAIL("%s: %s instead of %s", #call, ssl_error_name(answer_), ssl_error_name(expected));       \
        }                                                                                                 \
    } while (0)

static ssl_socket *plain_handle(void)
{
    ssl_socket *s = ssl_socket_new(socket(AF_INET, SOCK_STREAM, 0));

    CHECK(s != NULL);
    return s;
}

/* A path in a folder of this process's own. */
static const char *place(const char *name)
{
    static char folder[] = "/tmp/sslsock-parameters-XXXXXX";
    static char path[128];
    static int is_made;

    if (!is_made) {
        CHECK(mkdtemp(folder) != NULL);
        is_made = 1;
    }
    CHECK((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path);
    return path;
}

static void remove_place(const char *name)
{
    unlink(place(name));
    CHECK(rmdir(place("")) == 0);
}

static int32_t call_alpn(ssl_socket *s)
{
    return ssl_set_alpn(s, "\x02h2", 3);
}

static int32_t call_protocols(ssl_socket *s)
{
    return ssl_set_protocols(s, SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3);
}

static int32_t call_key_log(ssl_socket *s)
{
    return ssl_set_key_log_file(s, NULL);
}

static int32_t call_server_name(ssl_socket *s)
{
    char name[16];
    size_t length;

    return ssl_get_server_name(s, name, sizeof name, &length);
}

static int32_t (*const calls[])(ssl_socket *s) = {call_alpn, call_protocols, call_key_log, call_server_name};
/* All but the last are setters. */
#define SETTERS 3

static void handles_that_are_not_live(const struct way *way)
{
    ssl_socket *s = plain_handle();
    ssl_socket *const dead[] = {NULL, (ssl_socket *)(uintptr_t)1, (ssl_socket *)(uintptr_t)-1, s};

    (void)way;
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    for (size_t i = 0; i < sizeof dead / sizeof *dead; i++) {
        for (size_t j = 0; j <= SETTERS; j++) {
            EXPECT(SSL_ERR_BAD_HANDLE, calls[j](dead[i]));
        }
    }
}

static void before_and_after_the_handshake(const struct way *way)
{
    ssl_socket *plain = plain_handle(), *settings = ssl_settings_new();
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = upgrade(fd, "localhost");

    (void)way;
    for (size_t i = 0; i < SETTERS; i++) {
        EXPECT(SSL_ERR_OKAY, calls[i](plain));
        EXPECT(SSL_ERR_OKAY, calls[i](settings));
        EXPECT(SSL_ERR_STATE, calls[i](s));
    }
    EXPECT(SSL_ERR_STATE, call_server_name(plain));
    EXPECT(SSL_ERR_STATE, call_server_name(settings));
    /* It is a client. */
    EXPECT(SSL_ERR_STATE, call_server_name(s));
    expect_error_text(NULL, "for servers");
    /* What is too late makes no file. */
    EXPECT(SSL_ERR_STATE, ssl_set_key_log_file(s, place("late")));
    CHECK(access(place("late"), F_OK) != 0);
    remove_place("late");
}

static void lists_of_protocols(const struct way *way)
{
    static const struct {
        const char *list;
        size_t length;
        int32_t answer;
    } rows[] = {
        {"\x02h2\x08http/1.1", 12, SSL_ERR_OKAY},
        {"\x01\x00", 2, SSL_ERR_OKAY},
        {"", 0, SSL_ERR_OKAY},
        {NULL, 0, SSL_ERR_OKAY},
        {NULL, 1, SSL_ERR_INVALID},
        {"\x00", 1, SSL_ERR_INVALID},
        {"\x02h2\x00", 4, SSL_ERR_INVALID},
        {"\x03h2", 3, SSL_ERR_INVALID},
        {"\x02h2\x08http/1", 10, SSL_ERR_INVALID},
        {"h2", 2, SSL_ERR_INVALID},
        {"\x02h2", SIZE_MAX, SSL_ERR_INVALID},
        {"\x02h2", (size_t)PTRDIFF_MAX + 1, SSL_ERR_INVALID},
    };
    unsigned char long_list[4098];
    ssl_socket *s = plain_handle();

    (void)way;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        EXPECT(rows[i].answer, ssl_set_alpn(s, rows[i].list, rows[i].length));
    }
    memset(long_list, 1, sizeof long_list);
    EXPECT(SSL_ERR_OKAY, ssl_set_alpn(s, long_list, 4096));
    EXPECT(SSL_ERR_INVALID, ssl_set_alpn(s, long_list, 4098));
    expect_error_text(NULL, "at most 4096");
}

static void versions(const struct way *way)
{
    static const struct {
        uint16_t oldest, newest;
        int32_t answer;
    } rows[] = {
        {SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_2, SSL_ERR_OKAY},
        {SSL_PROTOCOL_TLS1_3, SSL_PROTOCOL_TLS1_3, SSL_ERR_OKAY},
        {SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3, SSL_ERR_OKAY},
        {SSL_PROTOCOL_TLS1_3, SSL_PROTOCOL_TLS1_2, SSL_ERR_INVALID},
        {0x0302, SSL_PROTOCOL_TLS1_3, SSL_ERR_INVALID},
        {0x0301, 0x0301, SSL_ERR_INVALID},
        {0x0300, SSL_PROTOCOL_TLS1_2, SSL_ERR_INVALID},
        {0, SSL_PROTOCOL_TLS1_3, SSL_ERR_INVALID},
        {SSL_PROTOCOL_TLS1_2, 0, SSL_ERR_INVALID},
        {SSL_PROTOCOL_TLS1_2, 0x0305, SSL_ERR_INVALID},
        {0xfefd, 0xfefd, SSL_ERR_INVALID},
        {UINT16_MAX, UINT16_MAX, SSL_ERR_INVALID},
    };
    ssl_socket *s = plain_handle();

    (void)way;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        EXPECT(rows[i].answer, ssl_set_protocols(s, rows[i].oldest, rows[i].newest));
    }
}

static void ciphers_that_no_version_has_fail(const struct way *way)
{
    static const uint32_t chacha20_of_tls_1_3[] = {4, 1, 0x1303};
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = ssl_socket_new(fd);

    (void)way;
    EXPECT(SSL_ERR_OKAY, set_code(s, SET_CIPHERS, chacha20_of_tls_1_3, sizeof chacha20_of_tls_1_3));
    EXPECT(SSL_ERR_OKAY, ssl_set_protocols(s, SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_2));
    EXPECT(SSL_ERR_INVALID, ssl_perform_handshake(s, "localhost"));
    expect_error_text(s, "none of the cipher suites that were set (SO_SSL_SET_CIPHERS) is for TLS 1.2 alone");
    CHECK(send(fd, "in clear", 8, MSG_NOSIGNAL) == -1);
}

/* The server's name where the buffer is too small, NULL or none. */
static void buffers_for_the_name(const struct way *way)
{
    char chain[512], key[512], name[16];
    size_t length = 99;
    int ends[2];
    ssl_socket *server, *client;

    (void)way;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    snprintf(chain, sizeof chain, "%s", pki_file("server-chain.pem"));
    snprintf(key, sizeof key, "%s", pki_file("server.key"));
    if (quiet_fork() == 0) {
        client = upgrade(ends[1], "localhost");
        expect_end(ends[1]);
        CHECK(ssl_socket_free(client) == SSL_ERR_OKAY);
        _exit(0);
    }
    CHECK(close(ends[1]) == 0);
    server = ssl_socket_new(ends[0]);
    CHECK(ssl_set_flags(server, SSL_FLAG_SERVER) == SSL_ERR_OKAY);
    CHECK(ssl_set_identity_file(server, chain, key) == SSL_ERR_OKAY);
    if (ssl_perform_handshake(server, NULL) != SSL_ERR_OKAY) {
        upgrade_failed("server", server);
    }
    memset(name, '?', sizeof name);
    EXPECT(SSL_ERR_BUFFER, ssl_get_server_name(server, name, 9, &length));
    CHECK(length == 10 && name[0] == '?');
    EXPECT(SSL_ERR_BUFFER, ssl_get_server_name(server, NULL, 0, &length));
    EXPECT(SSL_ERR_INVALID, ssl_get_server_name(server, NULL, 10, &length));
    EXPECT(SSL_ERR_INVALID, ssl_get_server_name(server, name, SIZE_MAX, &length));
    EXPECT(SSL_ERR_INVALID, ssl_get_server_name(server, name, 10, NULL));
    EXPECT(SSL_ERR_OKAY, ssl_get_server_name(server, name, 10, &length));
    CHECK(length == 10 && strcmp(name, "localhost") == 0 && name[10] == '?');
    CHECK(close(ends[0]) == 0);
}

static void files_that_cannot_be_written(const struct way *way)
{
    static const char *const paths[] = {"/", "/dev/null", "/no/such/folder/log", ""};
    ssl_socket *s = plain_handle();

    (void)way;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        EXPECT(SSL_ERR_IO, ssl_set_key_log_file(s, paths[i]));
        expect_error_text(NULL, "key log file");
    }
    /* Somebody else's: whoever has put it there could read it. */
    if (geteuid() == 0) {
        int fd = open(place("foreign"), O_WRONLY | O_CREAT | O_EXCL, 0666);

        CHECK(fd >= 0 && fchown(fd, 12345, 12345) == 0 && close(fd) == 0);
        EXPECT(SSL_ERR_IO, ssl_set_key_log_file(s, place("foreign")));
        expect_error_text(NULL, "belongs to another user");
        CHECK(unlink(place("foreign")) == 0);
    }
    /* Nobody reads: it must not wait, and not write later. */
    CHECK(mkfifo(place("fifo"), 0600) == 0);
    EXPECT(SSL_ERR_IO, ssl_set_key_log_file(s, place("fifo")));
    remove_place("fifo");
}

static int lines_in(const char *path)
{
    FILE *file = fopen(path, "r");
    int lines = 0, c;

    CHECK(file != NULL);
    while ((c = getc(file)) != EOF) {
        lines += c == '\n';
    }
    CHECK(fclose(file) == 0);
    return lines;
}

/* The number of this process's descriptor of the file, -1 if it has none. */
static int descriptor_of(const char *path)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int found = -1;

    CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        char target[256] = "";

        if (readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0 && strcmp(target, path) == 0) {
            CHECK(found == -1);
            found = atoi(entry->d_name);
        }
    }
    CHECK(closedir(folder) == 0);
    return found;
}

static void talk(void)
{
    int fd = peer_connect("SSLSOCK_PEER");
    ssl_socket *s = upgrade_with(fd, "localhost", SSL_FLAG_NO_RESUMPTION);

    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
}

/* Of TLS 1.3. */
#define LINES 5

static void the_file_is_out_of_the_way_and_a_child_has_its_own(const struct way *way)
{
    struct rlimit limit;
    struct stat status;
    int number, ended;
    pid_t child;

    (void)way;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    umask(0);
    EXPECT(SSL_ERR_OKAY, ssl_set_key_log_file(ssl_defaults(), place("log")));
    CHECK(stat(place("log"), &status) == 0 && (status.st_mode & 07777) == 0600);
    talk();
    CHECK(lines_in(place("log")) == LINES);
    number = descriptor_of(place("log"));
    CHECK(number >= 1024 || (number > 2 && limit.rlim_max <= 1024));
    CHECK(fcntl(number, F_GETFD) == FD_CLOEXEC);

    child = quiet_fork();
    CHECK(child != -1);
    if (child == 0) {
        /* The parent's descriptor is closed here; its number may be somebody else's. */
        CHECK(descriptor_of(place("log")) == -1);
        talk();
        CHECK(descriptor_of(place("log")) != -1);
        _exit(0);
    }
    CHECK(waitpid(child, &ended, 0) == child && ended == 0);
    CHECK(lines_in(place("log")) == 2 * LINES);
    talk();
    CHECK(lines_in(place("log")) == 3 * LINES);

    /* Made anew under its old path it is another file. */
    CHECK(unlink(place("log")) == 0);
    EXPECT(SSL_ERR_OKAY, ssl_set_key_log_file(ssl_defaults(), place("log")));
    talk();
    CHECK(lines_in(place("log")) == LINES);
    EXPECT(SSL_ERR_OKAY, ssl_set_key_log_file(ssl_defaults(), NULL));
    talk();
    CHECK(lines_in(place("log")) == LINES);
    remove_place("log");
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"handles_that_are_not_live", handles_that_are_not_live, NULL, 0},
        {"before_and_after_the_handshake", before_and_after_the_handshake, NULL, 0},
        {"lists_of_protocols", lists_of_protocols, NULL, 0},
        {"versions", versions, NULL, 0},
        {"ciphers_that_no_version_has_fail", ciphers_that_no_version_has_fail, NULL, 0},
        {"buffers_for_the_name", buffers_for_the_name, NULL, 0},
        {"files_that_cannot_be_written", files_that_cannot_be_written, NULL, 0},
        {"the_file_is_out_of_the_way_and_a_child_has_its_own", the_file_is_out_of_the_way_and_a_child_has_its_own, NULL,
         0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
