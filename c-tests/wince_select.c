/*
 * Winsock's select as Windows CE programs use it: the sets, the times, what a failed connect looks like, and that on a
 * secure socket it never promises what recv does not keep. Compiled as C and as C++.
 */
/* Where programs say this, it does not count. */
#define FD_SETSIZE 32

#include <winsock2.h>
#include <sslsock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "common/outside.h"
#include "common/test.h"
#include "common/ways.h"
#ifdef __cplusplus
}
#endif

#define PERIOD 251

static const struct way tls_ways[] = {
    {"TLS 1.3", "SSLSOCK_PEER", 0},
    {"TLS 1.2", "SSLSOCK_PEER_TLS12", 0},
    {NULL, NULL, 0},
};

/* A socket that speaks to another one of this process. */
struct both {
    SOCKET one;
    SOCKET other;
};

static struct sockaddr_in at(const char *host, int port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((u_short)port);
    address.sin_addr.s_addr = inet_addr(host);
    return address;
}

static struct sockaddr_in loopback(int port)
{
    return at("127.0.0.1", port);
}

static SOCKET listening(struct sockaddr_in *address)
{
    int length = sizeof *address;
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);

    *address = loopback(0);
    CHECK(s != INVALID_SOCKET && bind(s, (struct sockaddr *)address, sizeof *address) == 0 && listen(s, 5) == 0);
    CHECK(getsockname(s, (struct sockaddr *)address, &length) == 0);
    return s;
}

static struct both connected(void)
{
    struct sockaddr_in address;
    struct both both;
    SOCKET listener = listening(&address);

    both.one = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(both.one, (struct sockaddr *)&address, sizeof address) == 0);
    both.other = accept(listener, NULL, NULL);
    CHECK(both.other != INVALID_SOCKET && closesocket(listener) == 0);
    return both;
}

static const struct timeval *no_time(void)
{
    static const struct timeval none = {0, 0};
    return &none;
}

/* select for reading, with this time. */
static int readable(SOCKET s, const struct timeval *time)
{
    fd_set set;
    int count;

    FD_ZERO(&set);
    FD_SET(s, &set);
    count = select(0, &set, NULL, NULL, time);
    CHECK(count < 0 || count == FD_ISSET(s, &set));
    return count;
}

static int failed_with(int answer, int number)
{
    return answer == SOCKET_ERROR && WSAGetLastError() == number;
}

static void sets_hold_each_socket_once(const struct way *way)
{
    fd_set set;
    SOCKET next = 100;
    u_int i;

    (void)way;
    CHECK(FD_SETSIZE == 1024 && sizeof set.fd_array / sizeof *set.fd_array == 1024);
    FD_ZERO(&set);
    CHECK(set.fd_count == 0 && FD_ISSET(7, &set) == FALSE);
    FD_SET(next++, &set);
    CHECK(next == 101 && set.fd_count == 1);
    FD_SET(100, &set);
    CHECK(set.fd_count == 1 && FD_ISSET(100, &set) == TRUE && __WSAFDIsSet(100, &set) == TRUE);
    for (i = 0; i < 2000; i++) {
        FD_SET(200 + i, &set);
    }
    CHECK(set.fd_count == FD_SETSIZE && FD_ISSET(200 + 1022, &set) == TRUE && FD_ISSET(200 + 1023, &set) == FALSE);
    FD_CLR(201, &set);
    FD_CLR(5, &set);
    CHECK(set.fd_count == FD_SETSIZE - 1 && FD_ISSET(201, &set) == FALSE && FD_ISSET(200 + 1022, &set) == TRUE);
    FD_SET(201, &set);
    CHECK(set.fd_count == FD_SETSIZE && set.fd_array[FD_SETSIZE - 1] == 201);
}

static void answers_in_the_sets_that_were_asked(const struct way *way)
{
    struct both both = connected();
    fd_set in, out, bad;

    (void)way;
    FD_ZERO(&in);
    FD_SET(both.one, &in);
    FD_SET(both.other, &in);
    out = in;
    bad = in;
    CHECK(select(-1, &in, &out, &bad, no_time()) == 2);
    CHECK(in.fd_count == 0 && out.fd_count == 2 && bad.fd_count == 0 && out.fd_array[0] == both.one);
    CHECK(send(both.one, "ab", 2, 0) == 2);
    CHECK(readable(both.other, NULL) == 1 && readable(both.one, no_time()) == 0);
    FD_ZERO(&in);
    FD_SET(both.one, &in);
    FD_SET(both.other, &in);
    /* The number of sockets in all the sets. */
    CHECK(select(0, &in, &out, &bad, NULL) == 3);
    CHECK(in.fd_count == 1 && in.fd_array[0] == both.other && FD_ISSET(both.one, &in) == FALSE);
    CHECK(closesocket(both.one) == 0);
    CHECK(readable(both.other, NULL) == 1 && closesocket(both.other) == 0);
}

static void times_are_kept_and_signals_do_not_show(const struct way *way)
{
    struct both both = connected();
    struct timeval time = {0, 1200 * 1000};
    unsigned long before;

    (void)way;
    rain_signals();
    before = signals_arrived();
    /* More than a second in microseconds is what programs write. */
    CHECK(readable(both.one, &time) == 0 && time.tv_sec == 0 && time.tv_usec == 1200 * 1000);
    CHECK(signals_arrived() - before > 100);
    time.tv_usec = -1;
    CHECK(failed_with(readable(both.one, &time), WSAEINVAL));
    time.tv_sec = -1;
    time.tv_usec = 0;
    CHECK(failed_with(readable(both.one, &time), WSAEINVAL));
    CHECK(send(both.other, "x", 1, 0) == 1);
    time.tv_sec = 0x7fffffffffffffff;
    time.tv_usec = 0x7fffffffffffffff;
    CHECK(readable(both.one, &time) == 1);
    CHECK(closesocket(both.one) == 0 && closesocket(both.other) == 0);
}

static void what_makes_no_sense_is_refused(const struct way *way)
{
    struct both both = connected();
    fd_set set;
    SOCKET closed;

    (void)way;
    FD_ZERO(&set);
    CHECK(failed_with(select(0, &set, &set, NULL, no_time()), WSAEINVAL));
    CHECK(failed_with(select(0, NULL, NULL, &set, NULL), WSAEINVAL));
    FD_SET(both.one, &set);
    FD_SET(INVALID_SOCKET, &set);
    CHECK(failed_with(select(0, NULL, &set, NULL, no_time()), WSAENOTSOCK));
    /* Standard input is no socket, whatever it is. */
    FD_CLR(INVALID_SOCKET, &set);
    FD_SET(0, &set);
    CHECK(failed_with(select(0, NULL, &set, NULL, no_time()), WSAENOTSOCK));
    closed = both.other;
    CHECK(closesocket(both.other) == 0);
    FD_ZERO(&set);
    FD_SET(closed, &set);
    CHECK(failed_with(select(0, &set, NULL, NULL, NULL), WSAENOTSOCK));
    memset(&set, 0xa5, sizeof set);
    CHECK(failed_with(select(0, &set, NULL, NULL, NULL), WSAEINVAL));
    set.fd_count = FD_SETSIZE + 1;
    CHECK(failed_with(select(0, NULL, NULL, &set, NULL), WSAEINVAL));
    CHECK(failed_with(select(0, (fd_set *)((char *)&set + 1), NULL, NULL, NULL), WSAEFAULT));
    CHECK(closesocket(both.one) == 0);
}

static void a_listener_is_readable_when_somebody_comes(const struct way *way)
{
    struct sockaddr_in address;
    SOCKET listener = listening(&address);
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
    SOCKET accepted;

    (void)way;
    CHECK(readable(listener, no_time()) == 0);
    CHECK(connect(s, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(readable(listener, NULL) == 1);
    accepted = accept(listener, NULL, NULL);
    CHECK(accepted != INVALID_SOCKET && readable(listener, no_time()) == 0);
    CHECK(closesocket(s) == 0 && closesocket(accepted) == 0 && closesocket(listener) == 0);
}

static void ends_and_resets_are_readable(const struct way *way)
{
    LINGER abort_it = {1, 0};
    char byte;
    int reset;

    (void)way;
    for (reset = 0; reset < 2; reset++) {
        struct both both = connected();
        if (reset) {
            CHECK(setsockopt(both.other, SOL_SOCKET, SO_LINGER, (char *)&abort_it, sizeof abort_it) == 0);
        }
        CHECK(closesocket(both.other) == 0);
        CHECK(readable(both.one, NULL) == 1);
        if (reset) {
            CHECK(failed_with(recv(both.one, &byte, 1, 0), WSAECONNRESET));
        } else {
            CHECK(recv(both.one, &byte, 1, 0) == 0 && readable(both.one, NULL) == 1);
        }
        CHECK(closesocket(both.one) == 0);
    }
}

static void urgent_data_is_exceptional(const struct way *way)
{
    struct both both = connected();
    fd_set bad;
    char byte;

    (void)way;
    FD_ZERO(&bad);
    FD_SET(both.one, &bad);
    CHECK(send(both.other, "!", 1, MSG_OOB) == 1);
    CHECK(select(0, NULL, NULL, &bad, NULL) == 1 && FD_ISSET(both.one, &bad));
    CHECK(recv(both.one, &byte, 1, MSG_OOB) == 1 && byte == '!');
    CHECK(select(0, NULL, NULL, &bad, no_time()) == 0 && bad.fd_count == 0);
    CHECK(closesocket(both.one) == 0 && closesocket(both.other) == 0);
}

static SOCKET begun(int port)
{
    struct sockaddr_in address = loopback(port);
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
    u_long on = 1;

    CHECK(s != INVALID_SOCKET && ioctlsocket(s, FIONBIO, &on) == 0);
    CHECK(failed_with(connect(s, (struct sockaddr *)&address, sizeof address), WSAEWOULDBLOCK));
    return s;
}

static void a_failed_connect_is_in_one_set_alone(const struct way *way)
{
    int port = refusing_port();
    int error = 0;
    int length = sizeof error;
    fd_set in, out, bad;
    SOCKET s = begun(port);

    (void)way;
    FD_ZERO(&in);
    FD_SET(s, &in);
    out = in;
    bad = in;
    CHECK(select(0, &in, &out, &bad, NULL) == 1);
    CHECK(in.fd_count == 0 && out.fd_count == 0 && FD_ISSET(s, &bad) == TRUE);
    CHECK(select(0, NULL, NULL, &bad, no_time()) == 1);
    FD_SET(s, &in);
    FD_SET(s, &out);
    CHECK(select(0, &in, &out, NULL, NULL) == 1 && in.fd_count == 0 && FD_ISSET(s, &out));
    CHECK(readable(s, NULL) == 1);
    /* The reason is still there. */
    CHECK(getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &length) == 0 && error == WSAECONNREFUSED);
    CHECK(closesocket(s) == 0);
}

static void a_connect_that_worked_is_writable(const struct way *way)
{
    struct sockaddr_in address;
    SOCKET listener = listening(&address);
    SOCKET s = begun(ntohs(address.sin_port));
    fd_set in, out, bad;

    (void)way;
    FD_ZERO(&in);
    FD_SET(s, &in);
    out = in;
    bad = in;
    CHECK(select(0, &in, &out, &bad, NULL) == 1);
    CHECK(in.fd_count == 0 && bad.fd_count == 0 && FD_ISSET(s, &out));
    CHECK(closesocket(s) == 0 && closesocket(listener) == 0);
}

static int accept_all(DWORD type, LPVOID arg, DWORD length, LPBLOB chain, DWORD flags)
{
    (void)type;
    (void)arg;
    (void)length;
    (void)chain;
    (void)flags;
    return SSL_ERR_OKAY;
}

static void make_secure(SOCKET s)
{
    DWORD security = SO_SEC_SSL;
    SSLVALIDATECERTHOOK hook;

    hook.HookFunc = accept_all;
    hook.pvArg = NULL;
    CHECK(setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&security, sizeof security) == 0);
    CHECK(WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof hook, NULL, 0, NULL, NULL, NULL) == 0);
}

/* A secure connection whose peer has been given its order. */
static SOCKET secure(const char *host, int port, const char *order)
{
    struct sockaddr_in address = at(host, port);
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);

    make_secure(s);
    if (connect(s, (struct sockaddr *)&address, sizeof address) != 0) {
        FAIL("connect: %d", WSAGetLastError());
    }
    CHECK(send(s, order, (int)strlen(order), 0) == (int)strlen(order));
    return s;
}

/* Would recv wait, the byte that it waits for would never be passed on. */
static void a_record_that_trickles_in_is_not_promised(const struct way *way)
{
    enum { EXPECTED = 600 };
    char bytes[EXPECTED];
    int got = 0;
    int passed = 0;
    SOCKET s = secure("127.0.0.1", trickle_port(way->peer), "drip 1 200 600\n");

    trickle_begin();
    for (;;) {
        while (got < EXPECTED && readable(s, no_time())) {
            int count = recv(s, bytes + got, EXPECTED - got, 0);
            CHECK(count > 0);
            got += count;
        }
        if (got == EXPECTED) {
            break;
        }
        passed += trickle_byte((int)s);
    }
    CHECK(passed > EXPECTED);
    for (got = 0; got < EXPECTED; got++) {
        CHECK((unsigned char)bytes[got] == got % PERIOD);
    }
    CHECK(readable(s, no_time()) == 0);
    trickle_end();
    CHECK(closesocket(s) == 0);
}

static void what_has_been_decrypted_always_shows(const struct way *way)
{
    enum { BYTES = 8000 };
    u_long there = 0;
    int got;
    char byte;
    SOCKET s = secure(peer_host(way->peer), peer_port(way->peer), "drip 1 8000 8000\n");

    while (there < BYTES) {
        CHECK(readable(s, NULL) == 1 && ioctlsocket(s, FIONREAD, &there) == 0);
    }
    for (got = 0; got < BYTES; got++) {
        CHECK(readable(s, no_time()) == 1);
        CHECK(recv(s, &byte, 1, 0) == 1 && (unsigned char)byte == got % PERIOD);
    }
    CHECK(readable(s, no_time()) == 0);
    CHECK(shutdown(s, SD_SEND) == 0);
    CHECK(readable(s, NULL) == 1 && recv(s, &byte, 1, 0) == 0 && closesocket(s) == 0);
}

static SOCKET left_alone;

static void close_it(void)
{
    CHECK(closesocket(left_alone) == 0);
}

static void a_secure_socket_that_is_closed_elsewhere_wakes_select(const struct way *way)
{
    SOCKET s = secure(peer_host(way->peer), peer_port(way->peer), "hold\n");
    fd_set set;
    int count;

    left_alone = s;
    FD_ZERO(&set);
    FD_SET(s, &set);
    begin_elsewhere(close_it);
    count = select(0, &set, NULL, NULL, NULL);
    CHECK(count == 1 || failed_with(count, WSAENOTSOCK));
    end_elsewhere();
}

static void read_what_select_shows(void)
{
    char bytes[100];
    int got = 0;

    here();
    while (got < 100) {
        int count;
        CHECK(readable(left_alone, NULL) == 1);
        /* Nobody else reads. */
        CHECK(readable(left_alone, no_time()) == 1);
        count = recv(left_alone, bytes + got, 100 - got, 0);
        CHECK(count > 0);
        got += count;
    }
    for (got = 0; got < 100; got++) {
        CHECK((unsigned char)bytes[got] == got);
    }
}

/* As a program does that has a thread for reading, which also waits while another one asks for TLS. */
static void a_select_that_waits_sees_the_upgrade(const struct way *way)
{
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = at(peer_host(way->peer), peer_port(way->peer));
    DWORD flags = SSL_FLAG_DEFER_HANDSHAKE;
    char name[] = "localhost";

    make_secure(s);
    CHECK(WSAIoctl(s, SO_SSL_SET_FLAGS, &flags, sizeof flags, NULL, 0, NULL, NULL, NULL) == 0);
    CHECK(connect(s, (struct sockaddr *)&address, sizeof address) == 0);
    left_alone = s;
    begin_elsewhere(read_what_select_shows);
    await_asleep_elsewhere();
    CHECK(WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, name, sizeof name, NULL, 0, NULL, NULL, NULL) == 0);
    CHECK(send(s, "drip 10 10 100\n", 15, 0) == 15);
    end_elsewhere();
    CHECK(closesocket(s) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"sets_hold_each_socket_once", sets_hold_each_socket_once, NULL, 0},
        {"answers_in_the_sets_that_were_asked", answers_in_the_sets_that_were_asked, NULL, 0},
        {"times_are_kept_and_signals_do_not_show", times_are_kept_and_signals_do_not_show, NULL, 0},
        {"what_makes_no_sense_is_refused", what_makes_no_sense_is_refused, NULL, 0},
        {"a_listener_is_readable_when_somebody_comes", a_listener_is_readable_when_somebody_comes, NULL, 0},
        {"ends_and_resets_are_readable", ends_and_resets_are_readable, NULL, 0},
        {"urgent_data_is_exceptional", urgent_data_is_exceptional, NULL, 0},
        {"a_failed_connect_is_in_one_set_alone", a_failed_connect_is_in_one_set_alone, NULL, 0},
        {"a_connect_that_worked_is_writable", a_connect_that_worked_is_writable, NULL, 0},
        {"a_record_that_trickles_in_is_not_promised", a_record_that_trickles_in_is_not_promised, tls_ways, 0},
        {"what_has_been_decrypted_always_shows", what_has_been_decrypted_always_shows, tls_ways, 0},
        {"a_secure_socket_that_is_closed_elsewhere_wakes_select", a_secure_socket_that_is_closed_elsewhere_wakes_select,
         tls_ways, 0},
        {"a_select_that_waits_sees_the_upgrade", a_select_that_waits_sees_the_upgrade, tls_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    trust_the_tests();
    return run_tests(argc, argv, tests);
}
