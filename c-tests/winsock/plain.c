/* Sockets without TLS. */
#define _GNU_SOURCE

#include "tests.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

/* Linux's number, which is not Windows's. */
#define LINUX_FIONBIO 0x5421
#define LINUX_SO_RCVTIMEO 20

void agrees_on_versions(const struct way *way)
{
    WSADATA data;

    (void)way;
    memset(&data, 0x55, sizeof data);
    CHECK(WSAStartup(MAKEWORD(1, 1), &data) == 0);
    CHECK(data.wVersion == MAKEWORD(1, 1) && data.wHighVersion == MAKEWORD(2, 2));
    CHECK(memchr(data.szDescription, 0, sizeof data.szDescription) != NULL && data.lpVendorInfo == NULL);
    CHECK(data.iMaxSockets > 0 && data.iMaxUdpDg > 1000);
    CHECK(WSAStartup(MAKEWORD(2, 2), &data) == 0 && data.wVersion == MAKEWORD(2, 2));
    CHECK(WSAStartup(MAKEWORD(9, 0), &data) == 0 && data.wVersion == MAKEWORD(2, 2));
    CHECK(WSAStartup(0, &data) == WSAVERNOTSUPPORTED);
    CHECK(WSAStartup(MAKEWORD(2, 2), NULL) == WSAEFAULT);
    for (int time = 0; time < 3; time++) {
        CHECK(WSACleanup() == 0);
    }
    FAILS(WSANOTINITIALISED, WSACleanup());
}

void sockets_have_numbers_of_their_own(const struct way *way)
{
    struct sockaddr_in address;
    SOCKET listener = listening(SOCK_STREAM, &address);
    SOCKET s, accepted;
    int out;

    (void)way;
    /* Where a program has closed its standard streams. */
    out = fcntl(1, F_DUPFD, 10);
    CHECK(out >= 10 && close(0) == 0 && close(1) == 0);
    s = new_socket();
    WORKS(connect(s, (struct sockaddr *)&address, sizeof address));
    accepted = accept(listener, NULL, NULL);
    CHECK(dup2(out, 1) == 1);
    CHECK(s > 2 && accepted > 2 && accepted != INVALID_SOCKET);
    CHECK(is_closed_on_exec((int)s) && is_closed_on_exec((int)accepted));
    CHECK(!is_nonblocking((int)accepted));
    WORKS(closesocket(s));
    FAILS(WSAENOTSOCK, closesocket(s));
    FAILS(WSAEAFNOSUPPORT, socket(AF_UNSPEC, SOCK_STREAM, 0));
    FAILS(WSAEAFNOSUPPORT, socket(1, SOCK_STREAM, 0));
    FAILS(WSAESOCKTNOSUPPORT, socket(AF_INET, 77, 0));
    FAILS(WSAESOCKTNOSUPPORT, socket(AF_INET, SOCK_STREAM | 04000, 0));
    FAILS(WSAEPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    s = WSASocket(AF_INET, SOCK_DGRAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
    CHECK(s != INVALID_SOCKET && get_dword(s, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM);
    FAILS(WSAEINVAL, WSASocket(AF_INET, SOCK_DGRAM, 0, NULL, 0, 0x80));
}

void what_is_no_socket_is_told(const struct way *way)
{
    SOCKET closed = new_socket();
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int pipes[2];
    struct sockaddr_in address = nowhere();
    int length = sizeof address;
    char data[16] = "";
    u_long number = 0;
    DWORD count;
    WSABUF buffer = {sizeof data, data};

    (void)way;
    CHECK(file >= 0 && pipe(pipes) == 0);
    WORKS(closesocket(closed));
    const SOCKET none[] = {INVALID_SOCKET, 0, closed, (SOCKET)file, (SOCKET)pipes[1], 0xffffffffu, 0x80000000u, 77777,
#if UINTPTR_MAX > 0xffffffffu
        /* In its lower half it would be one. */
        ((SOCKET)1 << 32) | 1, (SOCKET)-2,
#endif
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        SOCKET s = none[i];

        FAILS(WSAENOTSOCK, closesocket(s));
        FAILS(WSAENOTSOCK, connect(s, (struct sockaddr *)&address, length));
        FAILS(WSAENOTSOCK, bind(s, (struct sockaddr *)&address, length));
        FAILS(WSAENOTSOCK, listen(s, 5));
        FAILS(WSAENOTSOCK, accept(s, NULL, NULL));
        FAILS(WSAENOTSOCK, shutdown(s, SD_BOTH));
        FAILS(WSAENOTSOCK, send(s, data, 1, 0));
        FAILS(WSAENOTSOCK, recv(s, data, 1, 0));
        FAILS(WSAENOTSOCK, sendto(s, data, 1, 0, (struct sockaddr *)&address, length));
        FAILS(WSAENOTSOCK, recvfrom(s, data, 1, 0, (struct sockaddr *)&address, &length));
        FAILS(WSAENOTSOCK, setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, data, 4));
        FAILS(WSAENOTSOCK, setsockopt(s, SOL_SOCKET, SO_SECURE, data, 4));
        FAILS(WSAENOTSOCK, getsockopt(s, SOL_SOCKET, SO_TYPE, data, &length));
        FAILS(WSAENOTSOCK, getpeername(s, (struct sockaddr *)&address, &length));
        FAILS(WSAENOTSOCK, getsockname(s, (struct sockaddr *)&address, &length));
        FAILS(WSAENOTSOCK, ioctlsocket(s, FIONBIO, &number));
        FAILS(WSAENOTSOCK, WSAIoctl(s, FIONBIO, &number, 4, NULL, 0, &count, NULL, NULL));
        FAILS(WSAENOTSOCK, WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL));
        FAILS(WSAENOTSOCK, WSASend(s, &buffer, 1, &count, 0, NULL, NULL));
        FAILS(WSAENOTSOCK, WSARecv(s, &buffer, 1, &count, &count, NULL, NULL));
    }
    /* It was left alone. */
    CHECK(fcntl(file, F_GETFD) != -1 && !is_nonblocking(pipes[1]) && fcntl(pipes[1], F_GETFD) != -1);
}

void pointers_that_lead_nowhere_do_no_harm(const struct way *way)
{
    /* Where no program has anything. */
    void *const nowhere_at_all[] = {NULL, (void *)16, (void *)((uintptr_t)-1 - 4095)};
    SOCKET pair[2];
    struct sockaddr_in address;
    SOCKET listener = listening(SOCK_STREAM, &address);
    SOCKET s = new_socket();
    SOCKET datagrams = listening(SOCK_DGRAM, &address);
    DWORD one = 1;

    (void)way;
    connected_pair(pair);
    CHECK(send(pair[1], "data", 4, 0) == 4);
    WORKS(connect(datagrams, &address, sizeof address));
    CHECK(send(datagrams, "data", 4, 0) == 4);
    for (size_t i = 0; i < sizeof nowhere_at_all / sizeof *nowhere_at_all; i++) {
        void *bad = nowhere_at_all[i];
        int length = sizeof address;

        FAILS(WSAEFAULT, connect(s, (struct sockaddr *)bad, sizeof address));
        FAILS(WSAEFAULT, bind(s, (struct sockaddr *)bad, sizeof address));
        FAILS(WSAEFAULT, getpeername(pair[0], (struct sockaddr *)bad, &length));
        FAILS(WSAEFAULT, getsockname(pair[0], (struct sockaddr *)bad, &length));
        FAILS(WSAEFAULT, getpeername(pair[0], (struct sockaddr *)&address, (int *)bad));
        FAILS(WSAEFAULT, accept(listener, (struct sockaddr *)&address, (int *)bad));
        FAILS(WSAEFAULT, send(pair[0], (char *)bad, 4, 0));
        FAILS(WSAEFAULT, recv(pair[0], (char *)bad, 4, 0));
        FAILS(WSAEFAULT, recvfrom(datagrams, (char *)&one, 4, 0, (struct sockaddr *)&address, (int *)bad));
        FAILS(WSAEFAULT, setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, (char *)bad, 4));
        FAILS(WSAEFAULT, setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)bad, 4));
        FAILS(WSAEFAULT, getsockopt(s, SOL_SOCKET, SO_TYPE, (char *)bad, &length));
        FAILS(WSAEFAULT, getsockopt(s, SOL_SOCKET, SO_TYPE, (char *)&one, (int *)bad));
        FAILS(WSAEFAULT, ioctlsocket(s, FIONBIO, (u_long *)bad));
        FAILS(WSAEFAULT, ioctlsocket(s, FIONREAD, (u_long *)bad));
        FAILS(WSAEFAULT, ioctlsocket(s, FIONBIO, (unsigned long *)bad));
        FAILS(WSAEFAULT, WSAIoctl(s, FIONBIO, bad, 4, NULL, 0, NULL, NULL, NULL));
        FAILS(WSAEFAULT, WSASend(pair[0], (WSABUF *)bad, 1, NULL, 0, NULL, NULL));
        FAILS(WSAEFAULT, WSARecv(pair[0], (WSABUF *)bad, 1, NULL, &one, NULL, NULL));
        if (bad != NULL) {
            CHECK(WSAStartup(MAKEWORD(2, 2), (WSADATA *)bad) == WSAEFAULT);
        }
    }
    for (int wrong = -5; wrong < 0; wrong += 4) {
        int length = wrong;

        FAILS(WSAEFAULT, connect(s, (struct sockaddr *)&address, wrong));
        FAILS(WSAEFAULT, getsockname(pair[0], (struct sockaddr *)&address, &length));
        FAILS(WSAEFAULT, send(pair[0], "data", wrong, 0));
        FAILS(WSAEFAULT, recv(pair[0], (char *)&one, wrong, 0));
        FAILS(WSAEFAULT, setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, (char *)&one, wrong));
        FAILS(WSAEFAULT, getsockopt(s, SOL_SOCKET, SO_TYPE, (char *)&one, &length));
    }
    /* Too short for an address, and nothing has been written. */
    for (int length = 0; length < (int)sizeof address; length++) {
        struct sockaddr_in found;
        int given = length;

        memset(&found, 0x55, sizeof found);
        FAILS(WSAEFAULT, connect(s, (struct sockaddr *)&address, length));
        FAILS(WSAEFAULT, getsockname(pair[0], (struct sockaddr *)&found, &given));
        FAILS(WSAEFAULT, accept(listener, (struct sockaddr *)&found, &given));
        CHECK(given == length && found.sin_port == 0x5555);
    }
    /* The data is still there. */
    CHECK(recv(pair[0], (char *)&one, 4, 0) == 4 && memcmp(&one, "data", 4) == 0);
    CHECK(recv(datagrams, (char *)&one, 4, 0) == 4 && memcmp(&one, "data", 4) == 0);
}

void connections_come_and_are_told_by_name(const struct way *way)
{
    struct sockaddr_in address, ours, theirs;
    /* Programs give larger structures. */
    struct sockaddr_storage large;
    SOCKET listener = listening(SOCK_STREAM, &address);
    SOCKET s = new_socket();
    SOCKET accepted;
    int length = sizeof ours;
    u_long on = 1;

    (void)way;
    FAILS(WSAEINVAL, getsockname(s, (struct sockaddr *)&ours, &length));
    FAILS(WSAENOTCONN, getpeername(s, (struct sockaddr *)&ours, &length));
    CHECK(get_dword(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1 && get_dword(s, SOL_SOCKET, SO_ACCEPTCONN) == 0);
    memset(&large, 0, sizeof large);
    memcpy(&large, &address, sizeof address);
    WORKS(connect(s, (struct sockaddr *)&large, sizeof large));
    length = sizeof theirs;
    accepted = accept(listener, (struct sockaddr *)&theirs, &length);
    CHECK(accepted != INVALID_SOCKET && length == sizeof theirs);
    WORKS(getsockname(s, (struct sockaddr *)&ours, &length));
    CHECK(ours.sin_port == theirs.sin_port && ours.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    WORKS(getpeername(s, (struct sockaddr *)&theirs, &length));
    CHECK(theirs.sin_port == address.sin_port && theirs.sin_family == AF_INET);
    CHECK(theirs.sin_addr.S_un.S_un_b.s_b1 == 127 && theirs.sin_addr.S_un.S_un_b.s_b4 == 1);
    FAILS(WSAEISCONN, connect(s, (struct sockaddr *)&address, sizeof address));
    FAILS(WSAEINVAL, accept(s, NULL, NULL));
    FAILS(WSAEADDRINUSE, bind(new_socket(), (struct sockaddr *)&address, sizeof address));
    FAILS(WSAEINVAL, bind(listener, (struct sockaddr *)&address, sizeof address));
    CHECK(send(s, "abc", 3, 0) == 3 && recv(accepted, (char *)&large, 2, MSG_PEEK) == 2);
    CHECK(recv(accepted, (char *)&large, 3, MSG_WAITALL) == 3 && memcmp(&large, "abc", 3) == 0);
    /* As on Windows, what is accepted is as what listens. */
    WORKS(ioctlsocket(listener, FIONBIO, &on));
    FAILS(WSAEWOULDBLOCK, accept(listener, NULL, NULL));
    s = new_socket();
    WORKS(connect(s, (struct sockaddr *)&address, sizeof address));
    accepted = accept(listener, NULL, NULL);
    FAILS(WSAEWOULDBLOCK, recv(accepted, (char *)&large, 1, 0));
    /* Addresses of nobody. */
    address.sin_port = 0;
    FAILS(WSAEADDRNOTAVAIL, connect(new_socket(), (struct sockaddr *)&address, sizeof address));
    address.sin_port = 1;
    address.sin_addr.s_addr = INADDR_ANY;
    FAILS(WSAEADDRNOTAVAIL, connect(new_socket(), (struct sockaddr *)&address, sizeof address));
    address.sin_addr.s_addr = htonl(0xc0000201);
    FAILS(WSAEADDRNOTAVAIL, bind(new_socket(), (struct sockaddr *)&address, sizeof address));
    address.sin_family = 77;
    FAILS(WSAEAFNOSUPPORT, connect(new_socket(), (struct sockaddr *)&address, sizeof address));
    FAILS(WSAEAFNOSUPPORT, bind(new_socket(), (struct sockaddr *)&address, sizeof address));
}

static int wait_for(SOCKET s, fd_set *write, fd_set *except)
{
    struct timeval patience = {20, 0};

    FD_ZERO(write);
    FD_ZERO(except);
    FD_SET(s, write);
    FD_SET(s, except);
    return select((int)s + 1, NULL, write, except, &patience);
}

void connects_without_waiting(const struct way *way)
{
    struct sockaddr_in address, closed = nowhere();
    SOCKET listener = listening(SOCK_STREAM, &address);
    SOCKET s = new_socket();
    unsigned long on = 1;
    fd_set write, except;

    (void)way;
    WORKS(ioctlsocket(s, FIONBIO, &on));
    FAILS(WSAEWOULDBLOCK, connect(s, (struct sockaddr *)&address, sizeof address));
    CHECK(wait_for(s, &write, &except) == 1 && FD_ISSET(s, &write) && !FD_ISSET(s, &except));
    CHECK(get_dword(s, SOL_SOCKET, SO_ERROR) == 0);
    on = 0;
    WORKS(ioctlsocket(s, FIONBIO, &on));
    CHECK(!is_nonblocking((int)s));
    CHECK(send(s, "x", 1, 0) == 1 && accept(listener, NULL, NULL) != INVALID_SOCKET);
    s = new_socket();
    on = 1;
    WORKS(ioctlsocket(s, FIONBIO, &on));
    FAILS(WSAEWOULDBLOCK, connect(s, (struct sockaddr *)&closed, sizeof closed));
    CHECK(wait_for(s, &write, &except) == 1 && FD_ISSET(s, &except) && !FD_ISSET(s, &write));
    CHECK(get_dword(s, SOL_SOCKET, SO_ERROR) == WSAECONNREFUSED);
    FAILS(WSAECONNREFUSED, connect(new_socket(), (struct sockaddr *)&closed, sizeof closed));
}

/* More than the kernel takes for a peer that does not read. */
static int send_until_it_fails(SOCKET s)
{
    static const char data[65536];

    while (send(s, data, sizeof data, 0) > 0) {
    }
    return WSAGetLastError();
}

void times_run_out(const struct way *way)
{
    SOCKET pair[2];
    char byte;
    u_long on = 1;

    (void)way;
    connected_pair(pair);
    WORKS(set_dword(pair[0], SOL_SOCKET, SO_RCVTIMEO, 50));
    WORKS(set_dword(pair[0], SOL_SOCKET, SO_SNDTIMEO, 50));
    FAILS(WSAETIMEDOUT, recv(pair[0], &byte, 1, 0));
    CHECK(send(pair[1], "x", 1, 0) == 1 && recv(pair[0], &byte, 1, 0) == 1);
    CHECK(send_until_it_fails(pair[0]) == WSAETIMEDOUT);
    WORKS(ioctlsocket(pair[0], FIONBIO, &on));
    FAILS(WSAEWOULDBLOCK, recv(pair[0], &byte, 1, 0));
    CHECK(send_until_it_fails(pair[0]) == WSAEWOULDBLOCK);
}

static void *connect_there(void *address)
{
    SOCKET s = new_socket();

    WORKS(set_dword(s, SOL_SOCKET, SO_SNDTIMEO, 1));
    return (void *)(intptr_t)connect(s, (struct sockaddr *)address, sizeof(struct sockaddr_in));
}

void no_limit_of_send_is_one_of_connect(const struct way *way)
{
    struct sockaddr_in address;
    SOCKET listener = listening(SOCK_STREAM, &address);
    pthread_t thread;
    void *result;

    (void)way;
    /* There is room for one that waits; for others the kernel does not answer yet. */
    WORKS(listen(listener, 0));
    WORKS(connect(new_socket(), (struct sockaddr *)&address, sizeof address));
    in_thread(&thread, connect_there, &address);
    await_sleep();
    CHECK(accept(listener, NULL, NULL) != INVALID_SOCKET && accept(listener, NULL, NULL) != INVALID_SOCKET);
    CHECK(pthread_join(thread, &result) == 0 && (intptr_t)result == 0);
}

static void *receive_one(void *socket)
{
    char byte;

    return (void *)(intptr_t)recv(*(SOCKET *)socket, &byte, 1, 0);
}

void closing_wakes_who_waits(const struct way *way)
{
    struct linger abort = {1, 0};
    struct sockaddr_in address;
    SOCKET pair[2];
    pthread_t thread;
    void *got;
    char byte;

    (void)way;
    for (int aborts = 0; aborts < 2; aborts++) {
        connected_pair(pair);
        if (aborts) {
            WORKS(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, (char *)&abort, sizeof abort));
        }
        in_thread(&thread, receive_one, &pair[0]);
        await_sleep();
        WORKS(closesocket(pair[0]));
        CHECK(pthread_join(thread, &got) == 0 && (intptr_t)got <= 0);
        if (aborts) {
            FAILS(WSAECONNRESET, recv(pair[1], &byte, 1, 0));
        } else {
            CHECK(recv(pair[1], &byte, 1, 0) == 0);
        }
        WORKS(closesocket(pair[1]));
    }
    pair[0] = listening(SOCK_DGRAM, &address);
    in_thread(&thread, receive_one, &pair[0]);
    await_sleep();
    WORKS(closesocket(pair[0]));
    CHECK(pthread_join(thread, &got) == 0 && (intptr_t)got <= 0);
}

static void nothing(int signal)
{
    (void)signal;
}

void signals_do_not_show(const struct way *way)
{
    struct sigaction action;
    SOCKET pair[2];
    pthread_t thread;
    void *got;

    (void)way;
    memset(&action, 0, sizeof action);
    /* Without SA_RESTART system calls end with EINTR. */
    action.sa_handler = nothing;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    connected_pair(pair);
    in_thread(&thread, receive_one, &pair[0]);
    for (int time = 0; time < 20; time++) {
        await_sleep();
        CHECK(pthread_kill(thread, SIGUSR1) == 0);
    }
    CHECK(send(pair[1], "x", 1, 0) == 1);
    CHECK(pthread_join(thread, &got) == 0 && (intptr_t)got == 1);
}

void the_end_of_a_connection_is_told_apart(const struct way *way)
{
    struct linger abort = {1, 0};
    SOCKET pair[2];
    SOCKET s = new_socket();
    char byte;

    (void)way;
    /* SIGPIPE would end the program. */
    FAILS(WSAENOTCONN, send(s, "x", 1, 0));
    FAILS(WSAENOTCONN, recv(s, &byte, 1, 0));
    FAILS(WSAENOTCONN, shutdown(s, SD_SEND));
    FAILS(WSAEINVAL, shutdown(s, 3));
    FAILS(WSAEINVAL, shutdown(s, -1));
    connected_pair(pair);
    WORKS(shutdown(pair[0], SD_SEND));
    FAILS(WSAESHUTDOWN, send(pair[0], "x", 1, 0));
    CHECK(recv(pair[1], &byte, 1, 0) == 0 && send(pair[1], "x", 1, 0) == 1 && recv(pair[0], &byte, 1, 0) == 1);
    connected_pair(pair);
    WORKS(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, (char *)&abort, sizeof abort));
    WORKS(closesocket(pair[1]));
    FAILS(WSAECONNRESET, recv(pair[0], &byte, 1, 0));
    FAILS(WSAECONNRESET, send(pair[0], "x", 1, 0));
    FAILS(WSAEOPNOTSUPP, send(s, "x", 1, 0x8000));
    FAILS(WSAEOPNOTSUPP, recv(s, &byte, 1, 0x40));
}

void datagrams_have_senders(const struct way *way)
{
    struct sockaddr_in address, other, from, closed;
    SOCKET s = listening(SOCK_DGRAM, &address);
    SOCKET t = listening(SOCK_DGRAM, &other);
    SOCKET gone = listening(SOCK_DGRAM, &closed);
    int length = sizeof from;
    char data[8];

    (void)way;
    CHECK(sendto(t, "hello", 5, 0, (struct sockaddr *)&address, sizeof address) == 5);
    CHECK(recvfrom(s, data, sizeof data, 0, (struct sockaddr *)&from, &length) == 5);
    CHECK(length == sizeof from && from.sin_port == other.sin_port && memcmp(data, "hello", 5) == 0);
    CHECK(sendto(t, "hello", 5, 0, (struct sockaddr *)&address, sizeof address) == 5);
    FAILS(WSAEMSGSIZE, recvfrom(s, data, 3, 0, (struct sockaddr *)&from, &length));
    CHECK(sendto(t, "bye", 3, 0, (struct sockaddr *)&address, sizeof address) == 3);
    CHECK(recvfrom(s, data, sizeof data, 0, NULL, NULL) == 3);
    FAILS(WSAEDESTADDRREQ, send(s, data, 1, 0));
    /* What a closed port answers is an error of the next call. */
    WORKS(closesocket(gone));
    WORKS(connect(s, (struct sockaddr *)&closed, sizeof closed));
    CHECK(send(s, "x", 1, 0) == 1);
    FAILS(WSAECONNRESET, recv(s, data, 1, 0));
    /* A stream has its peer, whatever is said. */
    SOCKET pair[2];
    connected_pair(pair);
    length = -1;
    CHECK(sendto(pair[0], "x", 1, 0, (struct sockaddr *)&closed, sizeof closed) == 1);
    CHECK(recvfrom(pair[1], data, 1, 0, (struct sockaddr *)&from, &length) == 1 && length == -1);
}

static void CALLBACK never(DWORD error, DWORD count, LPWSAOVERLAPPED overlapped, DWORD flags)
{
    (void)error, (void)count, (void)overlapped, (void)flags;
    FAIL("called");
}

void one_buffer_is_sent_and_received(const struct way *way)
{
    char data[8] = "hello";
    WSABUF buffers[2] = {{5, data}, {1, data}};
    WSAOVERLAPPED overlapped;
    DWORD count = 77, flags = 0;
    SOCKET pair[2];

    (void)way;
    connected_pair(pair);
    WORKS(WSASend(pair[0], buffers, 1, &count, 0, NULL, NULL));
    CHECK(count == 5);
    memset(data, 0, sizeof data);
    buffers[0].len = sizeof data;
    flags = MSG_PEEK;
    WORKS(WSARecv(pair[1], buffers, 1, &count, &flags, NULL, NULL));
    CHECK(count == 5 && flags == 0);
    WORKS(WSARecv(pair[1], buffers, 1, NULL, &flags, NULL, NULL));
    CHECK(strcmp(data, "hello") == 0);
    FAILS(WSAEOPNOTSUPP, WSASend(pair[0], buffers, 2, &count, 0, NULL, NULL));
    FAILS(WSAEOPNOTSUPP, WSASend(pair[0], buffers, 0, &count, 0, NULL, NULL));
    memset(&overlapped, 0, sizeof overlapped);
    FAILS(WSAEOPNOTSUPP, WSASend(pair[0], buffers, 1, &count, 0, &overlapped, NULL));
    FAILS(WSAEOPNOTSUPP, WSARecv(pair[0], buffers, 1, &count, &flags, &overlapped, NULL));
    FAILS(WSAEOPNOTSUPP, WSARecv(pair[0], buffers, 1, &count, &flags, NULL, never));
    FAILS(WSAEFAULT, WSARecv(pair[0], buffers, 1, &count, NULL, NULL, NULL));
    buffers[0].len = 0xffffffff;
    FAILS(WSAEFAULT, WSASend(pair[0], buffers, 1, &count, 0, NULL, NULL));
}

void options_are_read_back(const struct way *way)
{
    static const struct {
        int level, name;
        DWORD value;
    } options[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1},      {SOL_SOCKET, SO_KEEPALIVE, 1},         {SOL_SOCKET, SO_BROADCAST, 1},
        {SOL_SOCKET, SO_DONTROUTE, 1},      {SOL_SOCKET, SO_OOBINLINE, 1},         {SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1},
        {SOL_SOCKET, SO_SNDBUF, 16384},     {SOL_SOCKET, SO_RCVBUF, 16384},        {SOL_SOCKET, SO_RCVLOWAT, 3},
        {SOL_SOCKET, SO_SNDTIMEO, 5000},    {SOL_SOCKET, SO_RCVTIMEO, 61000},      {SOL_SOCKET, SO_RCVTIMEO, 0},
        {SOL_SOCKET, SO_DONTLINGER, 1},     {IPPROTO_TCP, TCP_NODELAY, 1},         {IPPROTO_IP, IP_TTL, 9},
        {IPPROTO_IP, IP_TOS, 16},           {SOL_SOCKET, SO_KEEPALIVE, 0},         {IPPROTO_TCP, TCP_NODELAY, 0},
    };
    SOCKET s = new_socket();
    struct linger linger = {1, 9};
    struct ip_mreq group;
    char one = 1;
    DWORD value;
    int length;

    (void)way;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        WORKS(set_dword(s, options[i].level, options[i].name, options[i].value));
        CHECK(get_dword(s, options[i].level, options[i].name) == options[i].value);
    }
    WORKS(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &one, 1));
    CHECK(get_dword(s, SOL_SOCKET, SO_KEEPALIVE) == 1);
    length = 1;
    WORKS(getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &one, &length));
    CHECK(length == 1 && one == 1);
    WORKS(setsockopt(s, SOL_SOCKET, SO_LINGER, (char *)&linger, sizeof linger));
    memset(&linger, 0, sizeof linger);
    length = sizeof linger;
    WORKS(getsockopt(s, SOL_SOCKET, SO_LINGER, (char *)&linger, &length));
    CHECK(length == 4 && linger.l_onoff == 1 && linger.l_linger == 9 && get_dword(s, SOL_SOCKET, SO_DONTLINGER) == 0);
    CHECK(get_dword(s, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
    /* What programs ignore the result of has to be ignorable. */
    WORKS(set_dword(s, SOL_SOCKET, SO_DEBUG, 1));
    FAILS(WSAENOPROTOOPT, set_dword(s, IPPROTO_TCP, SO_RCVTIMEO, 1000));
    FAILS(WSAENOPROTOOPT, set_dword(s, SOL_SOCKET, LINUX_SO_RCVTIMEO, 1));
    FAILS(WSAENOPROTOOPT, set_dword(s, SOL_SOCKET, SO_TYPE, 1));
    FAILS(WSAENOPROTOOPT, set_dword(s, 1, SO_KEEPALIVE, 1));
    length = sizeof value;
    FAILS(WSAENOPROTOOPT, getsockopt(s, SOL_SOCKET, 0x7fff, (char *)&value, &length));
    FAILS(WSAEFAULT, setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&value, 3));
    FAILS(WSAEFAULT, setsockopt(s, SOL_SOCKET, SO_LINGER, (char *)&value, 2));
    FAILS(WSAEFAULT, setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, (char *)&value, 0));
    length = 3;
    FAILS(WSAEFAULT, getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&value, &length));
    CHECK(length == 3);
    s = socket(AF_INET, SOCK_DGRAM, 0);
    group.imr_multiaddr.s_addr = inet_addr("239.255.77.77");
    group.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
    WORKS(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, (char *)&group, sizeof group));
    WORKS(setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, (char *)&group, sizeof group));
    FAILS(WSAEADDRNOTAVAIL, setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, (char *)&group, sizeof group));
    WORKS(setsockopt(s, IPPROTO_IP, IP_MULTICAST_TTL, &one, 1));
    WORKS(set_dword(s, IPPROTO_IP, IP_MULTICAST_TTL, 3));
    CHECK(get_dword(s, IPPROTO_IP, IP_MULTICAST_TTL) == 3);
}

void control_codes_answer(const struct way *way)
{
    SOCKET pair[2];
    char data[8] = "";
    u_long narrow = 0xdddddddd;
    unsigned long wide = (unsigned long)-1;
    DWORD count = 0, on = 1;
    WSAOVERLAPPED overlapped;

    (void)way;
    connected_pair(pair);
    CHECK(send(pair[1], "12345", 5, 0) == 5 && recv(pair[0], data, 1, MSG_PEEK) == 1);
    WORKS(ioctlsocket(pair[0], FIONREAD, &narrow));
    WORKS(ioctlsocket(pair[0], FIONREAD, &wide));
    CHECK(narrow == 5 && wide == 5);
    WORKS(WSAIoctl(pair[0], FIONREAD, NULL, 0, &narrow, sizeof narrow, &count, NULL, NULL));
    CHECK(narrow == 5 && count == 4);
    WORKS(ioctlsocket(pair[0], SIOCATMARK, &narrow));
    CHECK(narrow == TRUE);
    CHECK(send(pair[1], "!", 1, MSG_OOB) == 1);
    /* Five bytes come before the urgent one. */
    do {
        WORKS(ioctlsocket(pair[0], SIOCATMARK, &narrow));
    } while (narrow == TRUE);
    CHECK(recv(pair[0], data, 5, MSG_WAITALL) == 5);
    WORKS(ioctlsocket(pair[0], SIOCATMARK, &narrow));
    CHECK(narrow == TRUE && recv(pair[0], data, 1, MSG_OOB) == 1 && data[0] == '!');
    WORKS(WSAIoctl(pair[0], FIONBIO, &on, sizeof on, NULL, 0, &count, NULL, NULL));
    CHECK(count == 0 && is_nonblocking((int)pair[0]));
    /* All of a long counts, as programs hand it over. */
    wide = 0;
    WORKS(ioctlsocket(pair[0], FIONBIO, &wide));
    CHECK(!is_nonblocking((int)pair[0]));
    FAILS(WSAEINVAL, ioctlsocket(pair[0], LINUX_FIONBIO, &wide));
    FAILS(WSAEINVAL, ioctlsocket(pair[0], 0, &wide));
    FAILS(WSAEINVAL, ioctlsocket(pair[0], (long)SO_SSL_PERFORM_HANDSHAKE, &wide));
    FAILS(WSAEINVAL, WSAIoctl(pair[0], LINUX_FIONBIO, &on, 4, NULL, 0, &count, NULL, NULL));
    FAILS(WSAEFAULT, WSAIoctl(pair[0], FIONBIO, &on, 3, NULL, 0, &count, NULL, NULL));
    FAILS(WSAEFAULT, WSAIoctl(pair[0], FIONREAD, NULL, 0, &narrow, 3, &count, NULL, NULL));
    FAILS(WSAEOPNOTSUPP, WSAIoctl(pair[0], FIONBIO, &on, 4, NULL, 0, &count, &overlapped, NULL));
    FAILS(WSAEOPNOTSUPP, WSAIoctl(pair[0], FIONBIO, &on, 4, NULL, 0, &count, NULL, never));
    CHECK(!is_nonblocking((int)pair[0]));
    /* Not secure. */
    FAILS(WSAEOPNOTSUPP, WSAIoctl(pair[0], SO_SSL_SET_FLAGS, &on, 4, NULL, 0, NULL, NULL, NULL));
    FAILS(WSAEINVAL, WSAIoctl(pair[0], 0x9073007fu, &on, 4, NULL, 0, NULL, NULL, NULL));
    CHECK(send(pair[0], "x", 1, 0) == 1 && recv(pair[1], data, 1, 0) == 1);
}
