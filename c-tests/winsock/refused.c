/* Upgrades that are refused before they begin: what was asked for is over, and nothing follows in clear. */
#define _GNU_SOURCE

#include "tests.h"

#include <string.h>
#include <unistd.h>

#define PASSWORD "PASS hunter2\r\n"

static int perform_overlapped(SOCKET s)
{
    WSAOVERLAPPED overlapped = {0};

    return WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, &overlapped, NULL);
}

static int perform(SOCKET s)
{
    return WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL);
}

static void defer(SOCKET s)
{
    DWORD flags = SSL_FLAG_DEFER_HANDSHAKE;

    WORKS(WSAIoctl(s, SO_SSL_SET_FLAGS, &flags, sizeof flags, NULL, 0, NULL, NULL, NULL));
}

/* The peer of a connection that has been killed has got nothing. */
static void expect_nothing_at(SOCKET peer)
{
    char byte;
    int received = recv(peer, &byte, 1, 0);

    CHECK(received == 0 || (received == -1 && WSAGetLastError() == WSAECONNRESET));
    WORKS(closesocket(peer));
}

static void expect_silence(SOCKET s)
{
    for (int time = 0; time < 3; time++) {
        CHECK(send(s, PASSWORD, (int)strlen(PASSWORD), 0) == -1);
    }
}

/* Whatever is tried: the listener never hears of it. */
static void expect_never_connected(SOCKET s)
{
    struct sockaddr_in address;
    struct sockaddr_in closed = nowhere();
    SOCKET listener = listening(SOCK_STREAM, &address);
    struct timeval soon = {0, 0};
    fd_set readable;

    for (int time = 0; time < 3; time++) {
        CHECK(connect(s, (struct sockaddr *)&closed, sizeof closed) == -1);
        CHECK(connect(s, (struct sockaddr *)&address, sizeof address) == -1);
        CHECK(send(s, PASSWORD, (int)strlen(PASSWORD), 0) == -1);
    }
    FD_ZERO(&readable);
    FD_SET(listener, &readable);
    CHECK(select(0, &readable, NULL, NULL, &soon) == 0);
    WORKS(closesocket(listener));
}

void a_handshake_without_so_secure_ends_the_connection(const struct way *way)
{
    static int (*const ways[])(SOCKET) = {perform, perform_overlapped};

    (void)way;
    for (size_t i = 0; i < 2; i++) {
        SOCKET pair[2];
        SOCKET s = new_socket();

        connected_pair(pair);
        FAILS(WSAEOPNOTSUPP, ways[i](pair[0]));
        expect_silence(pair[0]);
        expect_never_connected(pair[0]);
        WORKS(closesocket(pair[0]));
        expect_nothing_at(pair[1]);
        FAILS(WSAEOPNOTSUPP, ways[i](s));
        expect_never_connected(s);
        WORKS(closesocket(s));
    }
}

void a_handshake_that_is_overlapped_ends_the_connection(const struct way *way)
{
    struct sockaddr_in address;
    SOCKET listener = listening(SOCK_STREAM, &address);
    SOCKET s = secure_socket();
    SOCKET peer;

    (void)way;
    defer(s);
    WORKS(connect(s, (struct sockaddr *)&address, sizeof address));
    peer = accept(listener, NULL, NULL);
    FAILS(WSAEOPNOTSUPP, perform_overlapped(s));
    expect_silence(s);
    expect_never_connected(s);
    WORKS(closesocket(s));
    expect_nothing_at(peer);
}

void a_handshake_in_a_forked_child_ends_the_connection(const struct way *way)
{
    (void)way;
    for (int is_connected = 0; is_connected < 2; is_connected++) {
        struct sockaddr_in address;
        SOCKET listener = listening(SOCK_STREAM, &address);
        SOCKET s = secure_socket();
        SOCKET peer = INVALID_SOCKET;
        pid_t child;

        defer(s);
        if (is_connected) {
            WORKS(connect(s, (struct sockaddr *)&address, sizeof address));
            peer = accept(listener, NULL, NULL);
        }
        child = quiet_fork();
        if (child == 0) {
            CHECK(perform(s) == -1);
            expect_silence(s);
            expect_never_connected(s);
            _exit(0);
        }
        await_child(child);
        WORKS(closesocket(s));
        if (is_connected) {
            expect_nothing_at(peer);
        }
        WORKS(closesocket(listener));
    }
}

void a_handshake_in_a_forked_child_leaves_its_parents_tls_alone(const struct way *way)
{
    struct sockaddr_storage address;
    int length = peer_address("SSLSOCK_PEER", &address);
    char back[6];
    pid_t child;
    SOCKET s;

    (void)way;
    trust_the_tests();
    s = socket(address.ss_family, SOCK_STREAM, 0);
    WORKS(set_dword(s, SOL_SOCKET, SO_SECURE, SO_SEC_SSL));
    WORKS(WSAIoctl(s, SO_SSL_SET_PEERNAME, (void *)"localhost", 10, NULL, 0, NULL, NULL, NULL));
    WORKS(connect(s, (struct sockaddr *)&address, length));
    CHECK(send(s, "echo\n", 5, 0) == 5);
    child = quiet_fork();
    if (child == 0) {
        CHECK(perform(s) == -1);
        _exit(0);
    }
    await_child(child);
    CHECK(send(s, "hello\n", 6, 0) == 6);
    CHECK(recv(s, back, 6, MSG_WAITALL) == 6 && memcmp(back, "hello\n", 6) == 0);
}

static void *receive(void *argument)
{
    char byte;

    CHECK(recv(*(SOCKET *)argument, &byte, 1, 0) <= 0);
    return NULL;
}

/* A reader in another thread is in the way of the upgrade. */
void a_socket_whose_handshake_failed_is_not_connected_again(const struct way *way)
{
    struct sockaddr_in address;
    SOCKET listener = listening(SOCK_STREAM, &address);
    SOCKET s = secure_socket();
    SOCKET peer;
    pthread_t reader;

    (void)way;
    defer(s);
    WORKS(connect(s, (struct sockaddr *)&address, sizeof address));
    peer = accept(listener, NULL, NULL);
    in_thread(&reader, receive, &s);
    await_sleep();
    CHECK(perform(s) == -1);
    CHECK(pthread_join(reader, NULL) == 0);
    expect_silence(s);
    expect_never_connected(s);
    WORKS(closesocket(s));
    expect_nothing_at(peer);
}

/* send is the system's there, and would go out in clear. */
void explicit_sessions_are_not_for_plain_send(const struct way *way)
{
    struct sockaddr_storage address;
    int length = peer_address("SSLSOCK_PEER", &address);

    (void)way;
    trust_the_tests();
    for (int is_deferred = 0; is_deferred < 2; is_deferred++) {
        SOCKET s;

        set_default_flags(SSL_FLAG_EXPLICIT_IO_OF_THE_LIBRARY);
        s = socket(address.ss_family, SOCK_STREAM, 0);
        WORKS(set_dword(s, SOL_SOCKET, SO_SECURE, SO_SEC_SSL));
        set_default_flags(0);
        WORKS(WSAIoctl(s, SO_SSL_SET_PEERNAME, (void *)"localhost", 10, NULL, 0, NULL, NULL, NULL));
        if (is_deferred) {
            DWORD flags = 0;
            DWORD returned;

            WORKS(WSAIoctl(s, SO_SSL_GET_FLAGS, NULL, 0, &flags, 4, &returned, NULL, NULL));
            flags |= SSL_FLAG_DEFER_HANDSHAKE;
            WORKS(WSAIoctl(s, SO_SSL_SET_FLAGS, &flags, 4, NULL, 0, NULL, NULL, NULL));
            WORKS(connect(s, (struct sockaddr *)&address, length));
            FAILS(WSAEINVAL, perform(s));
        } else {
            FAILS(WSAEINVAL, connect(s, (struct sockaddr *)&address, length));
        }
        expect_silence(s);
        expect_never_connected(s);
        WORKS(closesocket(s));
    }
}
