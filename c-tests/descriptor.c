/* Transparent mode: what else a program has that refers to its connection. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

static void freed(ssl_socket *s)
{
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
}

static void a_dup_made_before_speaks_tls(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int other = dup(fd);

    CHECK(other >= 0);
    freed(upgrade_to_peer(fd, way, "echo"));
    send_pattern(other, 100);
    send_pattern(fd, 0);
    receive_pattern(fd, 50, 0);
    receive_pattern(other, 50, 50);
    CHECK(close(fd) == 0);
    /* It is one connection as long as there is a descriptor. */
    send_pattern(other, 100);
    receive_pattern(other, 100, 0);
    CHECK(close(other) == 0);
}

static void only_tls_is_on_the_wire_of_a_dup(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 500);

    CHECK(other >= 500);
    freed(upgrade_to_peer(fd, way, "sink %s", peer_ticket()));
    for (size_t i = 0; i < 100; i++) {
        unsigned char byte;
        pattern_fill(&byte, 1, i);
        send_all(i % 2 ? fd : other, &byte, 1);
    }
    CHECK(close(other) == 0 && close(fd) == 0);
    peer_got(100);
}

static void a_dup_made_after(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int other;

    freed(upgrade_to_peer(fd, way, "echo"));
    other = dup(fd);
    CHECK(other >= 0 && close(fd) == 0);
    send_pattern(other, 100);
    receive_pattern(other, 100, 0);
    CHECK(close(other) == 0);
}

static void upgraded_under_the_number_of_the_dup(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int other = dup(fd);
    ssl_socket *s;
    ssl_socket *found = NULL;

    CHECK(other >= 0);
    s = upgrade_to_peer(other, way, "echo");
    CHECK(ssl_socket_from_fd(fd, &found) == SSL_ERR_OKAY && found == s);
    send_pattern(fd, 100);
    receive_pattern(fd, 100, 0);
    CHECK(close(fd) == 0 && close(other) == 0);
    freed(s);
}

static void cloexec_stays_with_each_number(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    freed(upgrade_to_peer(fd, way, "echo"));
    CHECK(fcntl(fd, F_GETFD) == 0);
    CHECK(fcntl(other, F_GETFD) == FD_CLOEXEC);
    CHECK(close(fd) == 0 && close(other) == 0);
}

static void converse(FILE *stream, const char *line)
{
    char answer[64] = "";

    CHECK(fprintf(stream, "%s\n", line) > 0 && fflush(stream) == 0);
    CHECK(fgets(answer, sizeof answer, stream) != NULL);
    answer[strcspn(answer, "\n")] = '\0';
    CHECK(strcmp(answer, line) == 0);
}

static void a_stream_opened_before(const struct way *way)
{
    int fd = peer_connect(way->peer);
    FILE *stream = fdopen(fd, "r+");

    CHECK(stream != NULL);
    freed(upgrade_to_peer(fd, way, "echo"));
    converse(stream, "one");
    converse(stream, "two");
    CHECK(fclose(stream) == 0);
}

static void a_stream_opened_after(const struct way *way)
{
    int fd = peer_connect(way->peer);
    FILE *stream;

    freed(upgrade_to_peer(fd, way, "echo"));
    stream = fdopen(fd, "r+");
    CHECK(stream != NULL);
    converse(stream, "one");
    converse(stream, "two");
    CHECK(fclose(stream) == 0);
}

static void two_streams_of_two_dups(const struct way *way)
{
    int fd = peer_connect(way->peer);
    FILE *in = fdopen(fd, "r");
    FILE *out = fdopen(dup(fd), "w");
    char answer[64] = "";

    CHECK(in != NULL && out != NULL);
    freed(upgrade_to_peer(fd, way, "echo"));
    CHECK(fputs("line\n", out) >= 0 && fflush(out) == 0);
    CHECK(fgets(answer, sizeof answer, in) != NULL && strcmp(answer, "line\n") == 0);
    CHECK(fclose(out) == 0 && fclose(in) == 0);
}

static void a_stream_written_and_closed_loses_nothing(const struct way *way)
{
    int fd = peer_connect(way->peer);
    unsigned char bytes[251];
    FILE *stream;

    freed(upgrade_to_peer(fd, way, "sink %s 100", peer_ticket()));
    pattern_fill(bytes, sizeof bytes, 0);
    stream = fdopen(fd, "w");
    CHECK(stream != NULL);
    for (int i = 0; i < 4000; i++) {
        CHECK(fwrite(bytes, sizeof bytes, 1, stream) == 1);
    }
    CHECK(fclose(stream) == 0);
    peer_got(4000 * sizeof bytes);
}

static void it_is_a_socket_still(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct stat status;
    int value = 0;
    socklen_t length = sizeof value;

    freed(upgrade_to_peer(fd, way, "echo"));
    CHECK(fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode));
    CHECK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length) == 0 && value == SOCK_STREAM);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0 && value == 0);
    CHECK(close(fd) == 0);
}

static void the_real_addresses_can_be_asked_for(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct sockaddr_storage before;
    struct sockaddr_storage after;
    socklen_t before_length = sizeof before;
    uint32_t after_length = sizeof after;
    ssl_socket *s;

    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    CHECK(getpeername(fd, (struct sockaddr *)&before, &before_length) == 0);
    s = upgrade_to_peer(fd, way, "echo");
    CHECK(ssl_get_address(s, SSL_ADDRESS_PEER, &after, &after_length) == SSL_ERR_OKAY);
    CHECK(after_length == before_length && memcmp(&before, &after, before_length) == 0);
    CHECK(close(fd) == 0);
    freed(s);
}

static void tls_within_tls_is_a_handle_of_its_own(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *outer = upgrade_to_peer(fd, way, "echo");
    ssl_socket *inner = ssl_socket_new(fd);

    CHECK(inner != NULL && inner != outer);
    CHECK(ssl_perform_handshake(outer, "localhost") == SSL_ERR_STATE);
    freed(inner);
    send_pattern(fd, 10);
    receive_pattern(fd, 10, 0);
    CHECK(close(fd) == 0);
    freed(outer);
}

static void a_closed_connection_leaves_no_descriptor(const struct way *way)
{
    int before;

    /* The relay itself stays: an epoll instance and an eventfd. */
    before = open_descriptors() + 2;
    for (int round = 0; round < 20; round++) {
        int fd = peer_connect(way->peer);
        freed(upgrade_to_peer(fd, way, "echo"));
        send_pattern(fd, 100);
        receive_pattern(fd, 100, 0);
        CHECK(close(fd) == 0);
    }
    await_descriptors(before);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a_dup_made_before_speaks_tls", a_dup_made_before_speaks_tls, transparent_ways, 0},
        {"only_tls_is_on_the_wire_of_a_dup", only_tls_is_on_the_wire_of_a_dup, transparent_ways, 0},
        {"a_dup_made_after", a_dup_made_after, transparent_ways, 0},
        {"upgraded_under_the_number_of_the_dup", upgraded_under_the_number_of_the_dup, transparent_ways, 0},
        {"cloexec_stays_with_each_number", cloexec_stays_with_each_number, transparent_ways, 0},
        {"a_stream_opened_before", a_stream_opened_before, transparent_ways, 0},
        {"a_stream_opened_after", a_stream_opened_after, transparent_ways, 0},
        {"two_streams_of_two_dups", two_streams_of_two_dups, transparent_ways, 0},
        {"a_stream_written_and_closed_loses_nothing", a_stream_written_and_closed_loses_nothing, transparent_ways, 0},
        {"it_is_a_socket_still", it_is_a_socket_still, transparent_ways, 0},
        {"the_real_addresses_can_be_asked_for", the_real_addresses_can_be_asked_for, transparent_ways, 0},
        {"tls_within_tls_is_a_handle_of_its_own", tls_within_tls_is_a_handle_of_its_own, transparent_ways, 0},
        {"a_closed_connection_leaves_no_descriptor", a_closed_connection_leaves_no_descriptor, transparent_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
