/*
 * Each situation that Winsock documents gives its number. One line for each: "ok NAME", or "not ok NAME: ANSWER, ERROR".
 * Arguments: address and port of the peer (tests/peer.py).
 */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <sslsock.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong;

static void report(const char *what, int failed, int wanted)
{
    int error = WSAGetLastError();

    if (failed && error == wanted) {
        printf("ok %s\n", what);
    } else {
        printf("not ok %s: %s, error %d instead of %d\n", what, failed ? "failed" : "succeeded", error, wanted);
        wrong++;
    }
}

/* The call has to fail with that error; what the last error was before must not matter. */
#define FAILS(call, wanted)                                \
    do {                                                   \
        int answer;                                        \
        WSASetLastError(0);                                \
        answer = (call) == SOCKET_ERROR;                   \
        report(#call, answer, (wanted));                   \
    } while (0)
#define NO_SOCKET(call, wanted)                            \
    do {                                                   \
        int answer;                                        \
        WSASetLastError(0);                                \
        answer = (call) == INVALID_SOCKET;                 \
        report(#call, answer, (wanted));                   \
    } while (0)
#define MUST(call)                                                                  \
    do {                                                                            \
        if (!(call)) {                                                              \
            printf("not ok %d: %s, error %d\n", __LINE__, #call, WSAGetLastError()); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

static struct sockaddr_in loopback(u_short port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static SOCKET tcp(void)
{
    SOCKET s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

    MUST(s != INVALID_SOCKET && s != 0);
    return s;
}

static SOCKET listening(struct sockaddr_in *address)
{
    int length = sizeof *address;
    SOCKET s = tcp();

    *address = loopback(0);
    MUST(bind(s, (struct sockaddr *)address, sizeof *address) == 0 && listen(s, 5) == 0);
    MUST(getsockname(s, (struct sockaddr *)address, &length) == 0 && length == sizeof *address);
    return s;
}

static SOCKET connected(SOCKET listener, struct sockaddr_in *address, SOCKET *other)
{
    SOCKET s = tcp();

    MUST(connect(s, (struct sockaddr *)address, sizeof *address) == 0);
    *other = accept(listener, NULL, NULL);
    MUST(*other != INVALID_SOCKET);
    return s;
}

static void no_sockets(void)
{
    SOCKET file = (SOCKET)open("/dev/null", O_RDWR);
    SOCKET gone = tcp();
    struct sockaddr_in address = loopback(9);
    int number = 0, length = sizeof number;
    u_long on = 1;
    DWORD secure = SO_SEC_SSL;
    char byte = 0;

    MUST(closesocket(gone) == 0);
    FAILS(closesocket(gone), WSAENOTSOCK);
    FAILS(closesocket(file), WSAENOTSOCK);
    FAILS(closesocket(INVALID_SOCKET), WSAENOTSOCK);
    FAILS(send(INVALID_SOCKET, "x", 1, 0), WSAENOTSOCK);
    FAILS(send(file, "x", 1, 0), WSAENOTSOCK);
    FAILS(recv(gone, &byte, 1, 0), WSAENOTSOCK);
    FAILS(recv(file, &byte, 1, 0), WSAENOTSOCK);
    FAILS(connect(file, (struct sockaddr *)&address, sizeof address), WSAENOTSOCK);
    FAILS(connect(gone, (struct sockaddr *)&address, sizeof address), WSAENOTSOCK);
    FAILS(bind(file, (struct sockaddr *)&address, sizeof address), WSAENOTSOCK);
    FAILS(listen(gone, 1), WSAENOTSOCK);
    NO_SOCKET(accept(gone, NULL, NULL), WSAENOTSOCK);
    FAILS(shutdown(file, SD_BOTH), WSAENOTSOCK);
    FAILS(setsockopt(file, SOL_SOCKET, SO_KEEPALIVE, (char *)&number, sizeof number), WSAENOTSOCK);
    FAILS(setsockopt(file, SOL_SOCKET, SO_SECURE, (char *)&secure, sizeof secure), WSAENOTSOCK);
    FAILS(getsockopt(gone, SOL_SOCKET, SO_TYPE, (char *)&number, &length), WSAENOTSOCK);
    FAILS(ioctlsocket(file, FIONBIO, &on), WSAENOTSOCK);
    FAILS(ioctlsocket(INVALID_SOCKET, FIONREAD, &on), WSAENOTSOCK);
    FAILS(WSAIoctl(file, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL), WSAENOTSOCK);
    FAILS(getsockname(file, (struct sockaddr *)&address, &length), WSAENOTSOCK);
    FAILS(getpeername(gone, (struct sockaddr *)&address, &length), WSAENOTSOCK);
}

static void arguments(void)
{
    struct sockaddr_in address = loopback(9);
    struct timeval zero = {0, 0}, negative = {-1, 0};
    SOCKET s = tcp();
    int number = 0, length = 1;
    fd_set none, one;
    WSADATA data;

    FD_ZERO(&none);
    FD_ZERO(&one);
    FD_SET(s, &one);
    FAILS(connect(s, (struct sockaddr *)NULL, sizeof address), WSAEFAULT);
    FAILS(connect(s, (struct sockaddr *)&address, 4), WSAEFAULT);
    FAILS(bind(s, (struct sockaddr *)NULL, sizeof address), WSAEFAULT);
    FAILS(getsockname(s, (struct sockaddr *)&address, NULL), WSAEFAULT);
    FAILS(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, NULL, sizeof number), WSAEFAULT);
    FAILS(setsockopt(s, SOL_SOCKET, SO_SECURE, NULL, sizeof number), WSAEFAULT);
    FAILS(getsockopt(s, SOL_SOCKET, SO_TYPE, (char *)&number, &length), WSAEFAULT);
    FAILS(WSAStartup(MAKEWORD(2, 2), NULL) == WSAEFAULT ? (WSASetLastError(WSAEFAULT), SOCKET_ERROR) : 0, WSAEFAULT);
    FAILS(WSAStartup(0, &data) == WSAVERNOTSUPPORTED ? (WSASetLastError(WSAVERNOTSUPPORTED), SOCKET_ERROR) : 0,
          WSAVERNOTSUPPORTED);

    FAILS(shutdown(s, 99), WSAEINVAL);
    NO_SOCKET(accept(s, NULL, NULL), WSAEINVAL);
    FAILS(select(0, &none, NULL, NULL, &zero), WSAEINVAL);
    FAILS(select(0, &one, NULL, NULL, &negative), WSAEINVAL);
    FAILS(WSAIoctl(s, 0x12345678, NULL, 0, NULL, 0, NULL, NULL, NULL), WSAEOPNOTSUPP);
    FAILS(setsockopt(s, SOL_SOCKET, 0x7777, (char *)&number, sizeof number), WSAENOPROTOOPT);
    FAILS(setsockopt(s, IPPROTO_TCP, 0x7777, (char *)&number, sizeof number), WSAENOPROTOOPT);
    FAILS(setsockopt(s, 0x7777, SO_KEEPALIVE, (char *)&number, sizeof number), WSAEINVAL);
    NO_SOCKET(socket(77, SOCK_STREAM, 0), WSAEAFNOSUPPORT);
    NO_SOCKET(socket(AF_INET, 77, 0), WSAESOCKTNOSUPPORT);
    NO_SOCKET(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), WSAEPROTONOSUPPORT);
    MUST(closesocket(s) == 0);
}

static void states(void)
{
    struct sockaddr_in address, other = loopback(9);
    SOCKET listener = listening(&address), s, peer, unconnected = tcp();
    struct linger abort = {1, 0};
    int length = sizeof other, limit = 50;
    DWORD sent;
    u_long on = 1;
    WSABUF buffers[2] = {{1, NULL}, {1, NULL}};
    WSAOVERLAPPED overlapped;
    char byte = 0;

    memset(&overlapped, 0, sizeof overlapped);
    buffers[0].buf = buffers[1].buf = &byte;
    s = connected(listener, &address, &peer);
    FAILS(connect(s, (struct sockaddr *)&address, sizeof address), WSAEISCONN);
    FAILS(bind(unconnected, (struct sockaddr *)&address, sizeof address), WSAEADDRINUSE);
    FAILS(bind(s, (struct sockaddr *)&other, sizeof other), WSAEINVAL);
    other.sin_addr.s_addr = inet_addr("203.0.113.1");
    FAILS(bind(unconnected, (struct sockaddr *)&other, sizeof other), WSAEADDRNOTAVAIL);

    FAILS(send(unconnected, "x", 1, 0), WSAENOTCONN);
    FAILS(recv(unconnected, &byte, 1, 0), WSAENOTCONN);
    FAILS(getpeername(unconnected, (struct sockaddr *)&other, &length), WSAENOTCONN);
    FAILS(shutdown(unconnected, SD_BOTH), WSAENOTCONN);
    FAILS(WSASend(s, buffers, 2, &sent, 0, NULL, NULL), WSAEOPNOTSUPP);
    FAILS(WSASend(s, buffers, 1, &sent, 0, &overlapped, NULL), WSAEOPNOTSUPP);
    FAILS(WSARecv(s, buffers, 2, &sent, &sent, NULL, NULL), WSAEOPNOTSUPP);

    MUST(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&limit, sizeof limit) == 0);
    FAILS(recv(s, &byte, 1, 0), WSAETIMEDOUT);
    MUST(ioctlsocket(s, FIONBIO, &on) == 0);
    FAILS(recv(s, &byte, 1, 0), WSAEWOULDBLOCK);
    MUST(ioctlsocket(listener, FIONBIO, &on) == 0);
    NO_SOCKET(accept(listener, NULL, NULL), WSAEWOULDBLOCK);
    MUST(ioctlsocket(unconnected, FIONBIO, &on) == 0);
    FAILS(connect(unconnected, (struct sockaddr *)&address, sizeof address), WSAEWOULDBLOCK);
    on = 0;
    MUST(ioctlsocket(listener, FIONBIO, &on) == 0 && ioctlsocket(s, FIONBIO, &on) == 0);

    MUST(shutdown(s, SD_SEND) == 0);
    FAILS(send(s, "x", 1, 0), WSAESHUTDOWN);
    MUST(setsockopt(peer, SOL_SOCKET, SO_LINGER, (char *)&abort, sizeof abort) == 0 && closesocket(peer) == 0);
    limit = 0;
    MUST(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&limit, sizeof limit) == 0);
    FAILS(recv(s, &byte, 1, 0), WSAECONNRESET);
    MUST(closesocket(s) == 0 && closesocket(unconnected) == 0 && closesocket(listener) == 0);

    s = tcp();
    FAILS(connect(s, (struct sockaddr *)&address, sizeof address), WSAECONNREFUSED);
    MUST(closesocket(s) == 0);
}

static void datagrams(void)
{
    struct sockaddr_in address = loopback(0), everybody = loopback(9);
    SOCKET s = socket(AF_INET, SOCK_DGRAM, 0);
    int length = sizeof address;
    char bytes[4];

    MUST(s != INVALID_SOCKET && bind(s, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(getsockname(s, (struct sockaddr *)&address, &length) == 0);
    FAILS(listen(s, 1), WSAEOPNOTSUPP);
    FAILS(send(s, "x", 1, 0), WSAENOTCONN);
    everybody.sin_addr.s_addr = INADDR_BROADCAST;
    FAILS(sendto(s, "x", 1, 0, (struct sockaddr *)&everybody, sizeof everybody), WSAEACCES);
    MUST(sendto(s, "longer", 6, 0, (struct sockaddr *)&address, sizeof address) == 6);
    FAILS(recvfrom(s, bytes, sizeof bytes, 0, NULL, NULL), WSAEMSGSIZE);
    MUST(closesocket(s) == 0);
}

static void names(void)
{
    struct addrinfo hints, *found = NULL;

    memset(&hints, 0, sizeof hints);
    hints.ai_flags = AI_NUMERICHOST;
    FAILS(gethostbyname("no host has a name with blanks in it") == NULL ? SOCKET_ERROR : 0, WSAHOST_NOT_FOUND);
    FAILS(gethostbyaddr("x", 4, 77) == NULL ? SOCKET_ERROR : 0, WSAEAFNOSUPPORT);
    FAILS(getaddrinfo("name", NULL, &hints, &found) == WSAHOST_NOT_FOUND ? SOCKET_ERROR : 0, WSAHOST_NOT_FOUND);
}

static int CALLBACK answer(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    (void)dwType, (void)dwChainLen, (void)pCertChain, (void)dwFlags;
    return *(int *)pvArg;
}

static SOCKET secured(int *hook_answers)
{
    SSLVALIDATECERTHOOK hook;
    DWORD secure = SO_SEC_SSL;
    SOCKET s = tcp();

    hook.HookFunc = answer;
    hook.pvArg = hook_answers;
    MUST(setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&secure, sizeof secure) == 0);
    MUST(hook_answers == NULL || WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof hook, NULL, 0, NULL, NULL, NULL) == 0);
    return s;
}

static void secure_sockets(struct sockaddr_in *peer)
{
    /* What a hook answers is the last error, but for a number that is no code of its own. */
    static const struct {
        int answer, error;
    } hooks[] = {{2, 2}, {5, 5}, {7, 7}, {8, 8}, {9, 9}, {10, 10}, {11, 11}, {-1, -1}, {1, 10}, {99, 10}};
    struct sockaddr_in address;
    SOCKET listener = listening(&address), s, other;
    DWORD number = SO_SEC_SSL;
    SSLAUTHREQUESTHOOK request;
    SSLPROTOCOLS protocols;
    size_t i;

    for (i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        int chosen = hooks[i].answer;
        s = secured(&chosen);
        FAILS(connect(s, (struct sockaddr *)peer, sizeof *peer), hooks[i].error);
        FAILS(send(s, "password", 8, 0), WSAECONNABORTED);
        MUST(closesocket(s) == 0);
    }
    s = secured(NULL);
    /* The peer's issuer is unknown, or no name is known. */
    FAILS(connect(s, (struct sockaddr *)peer, sizeof *peer), WSAEINVAL);
    MUST(closesocket(s) == 0);

    s = tcp();
    FAILS(WSAIoctl(s, SO_SSL_SET_FLAGS, &number, sizeof number, NULL, 0, NULL, NULL, NULL), WSAEOPNOTSUPP);
    FAILS(WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL), WSAEOPNOTSUPP);
    FAILS(setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&number, 2), WSAEFAULT);
    number = 0x7777;
    FAILS(setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&number, sizeof number), WSAEINVAL);
    MUST(closesocket(s) == 0);

    s = connected(listener, &address, &other);
    number = SO_SEC_SSL;
    FAILS(setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&number, sizeof number), WSAEISCONN);
    MUST(closesocket(s) == 0 && closesocket(other) == 0 && closesocket(listener) == 0);

    s = secured(NULL);
    number = SSL_FLAG_DEFER_HANDSHAKE;
    FAILS(WSAIoctl(s, SO_SSL_SET_FLAGS, &number, 2, NULL, 0, NULL, NULL, NULL), WSAEFAULT);
    FAILS(WSAIoctl(s, SO_SSL_SET_FLAGS, NULL, 4, NULL, 0, NULL, NULL, NULL), WSAEFAULT);
    FAILS(WSAIoctl(s, SO_SSL_GET_FLAGS, NULL, 0, &number, 2, NULL, NULL, NULL), WSAEFAULT);
    number = SSL_FLAG_AUTH_CLIENT;
    FAILS(WSAIoctl(s, SO_SSL_SET_FLAGS, &number, sizeof number, NULL, 0, NULL, NULL, NULL), WSAEOPNOTSUPP);
    memset(&request, 0x11, sizeof request);
    FAILS(WSAIoctl(s, SO_SSL_SET_AUTH_REQUEST_HOOK, &request, sizeof request, NULL, 0, NULL, NULL, NULL), WSAEOPNOTSUPP);
    memset(&protocols, 0, sizeof protocols);
    protocols.dwCount = 1;
    protocols.ProtocolList[0].dwProtocol = SSL_PROTOCOL_SSL2;
    FAILS(WSAIoctl(s, SO_SSL_SET_PROTOCOLS, &protocols, sizeof protocols, NULL, 0, NULL, NULL, NULL), WSAEINVAL);
    FAILS(WSAIoctl(s, SO_SSL_GET_CONNECTION_INFO, NULL, 0, &protocols, sizeof protocols, NULL, NULL, NULL), WSAEFAULT);
    FAILS(WSAIoctl(s, 0x5073000C, NULL, 0, NULL, 0, NULL, NULL, NULL), WSAEINVAL);
    MUST(closesocket(s) == 0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in peer;
    WSADATA data;

    if (argc != 3 || WSAStartup(MAKEWORD(2, 2), &data) != 0) {
        return 2;
    }
    memset(&peer, 0, sizeof peer);
    peer.sin_family = AF_INET;
    peer.sin_addr.s_addr = inet_addr(argv[1]);
    peer.sin_port = htons((u_short)atoi(argv[2]));
    no_sockets();
    arguments();
    states();
    datagrams();
    names();
    secure_sockets(&peer);
    WSACleanup();
    return wrong != 0;
}
