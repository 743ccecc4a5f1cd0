/*
 * What Windows CE programs in C++ write. It is compiled with each standard and run: a conversation with itself, in clear.
 */
#include <windows.h>
#include <winsock2.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <sslsock.h>

using namespace std;

#define MUST(condition)                                                               \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%d: not so: %s (%d)\n", __LINE__, #condition, WSAGetLastError()); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

class Base {
public:
    virtual ~Base() {}
    virtual bool connect(const char *host, u_short port) = 0;
    virtual int send(const char *text, int length) = 0;
};

/* Methods with the names of the functions that they call. */
class Connection : public Base {
public:
    Connection() : s(NULL)
    {
        s = -1;
        MUST(s == INVALID_SOCKET);
    }
    virtual ~Connection() { close(); }

    virtual bool connect(const char *host, u_short port)
    {
        sockaddr_in name;
        hostent *h = gethostbyname(host);

        MUST(h != NULL && h->h_addrtype == AF_INET && h->h_length == 4);
        memset(&name, 0, sizeof(name));
        name.sin_family = AF_INET;
        name.sin_port = htons(port);
        name.sin_addr.s_addr = *(unsigned long *)h->h_addr_list[0];
        s = ::socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
        MUST((SOCKET)(void *)s == s);
        return ::connect(s, (sockaddr *)&name, sizeof(name)) != SOCKET_ERROR;
    }
    bool bind(u_short port)
    {
        SOCKADDR_IN name = {0};
        name.sin_family = AF_INET;
        name.sin_port = htons(port);
        name.sin_addr.S_un.S_addr = inet_addr("127.0.0.1");
        s = ::socket(PF_INET, SOCK_STREAM, 0);
        return ::bind(s, (LPSOCKADDR)&name, sizeof(name)) == 0 && ::listen(s, SOMAXCONN) == 0;
    }
    u_short port()
    {
        struct sockaddr_in name;
        int length = sizeof(name);
        return ::getsockname(s, (struct sockaddr *)&name, &length) == 0 ? ntohs(name.sin_port) : 0;
    }
    void accept(Connection &from) { s = ::accept(from.s, NULL, NULL); }
    virtual int send(const char *text, int length) { return ::send(s, text, length, 0); }
    int recv(char *buffer, int length) { return ::recv(s, buffer, length, 0); }
    int shutdown(int how) { return ::shutdown(s, how); }
    int ioctlsocket(unsigned long on) { return ::ioctlsocket(s, FIONBIO, &on); }
    bool select(long milliseconds)
    {
        const struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};
        fd_set readable, failed;
        FD_ZERO(&readable);
        FD_ZERO(&failed);
        FD_SET(s, &readable);
        FD_SET(s, &failed);
        int found = ::select(0, &readable, NULL, &failed, &limit);
        if (found == SOCKET_ERROR || FD_ISSET(s, &readable) == FALSE) {
            return false;
        }
        return found == 1 && readable.fd_count == 1 && readable.fd_array[0] == s && !FD_ISSET(s, &failed);
    }
    void close()
    {
        if (s != INVALID_SOCKET) {
            ::closesocket(s);
            s = INVALID_SOCKET;
        }
    }

    /* Hooks as members, with and without the calling convention. */
    static int CALLBACK Validate(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
    {
        Connection *self = reinterpret_cast<Connection *>(pvArg);
        return self != NULL && dwType == SSL_CERT_X509 && dwChainLen == 1 && pCertChain != NULL && dwFlags == 0 ? SSL_ERR_OKAY : SSL_ERR_BAD_DATA;
    }
    static int ValidateBare(DWORD, LPVOID, DWORD, LPBLOB, DWORD) { return SSL_ERR_OKAY; }

    bool secure()
    {
        DWORD dwSecure = SO_SEC_SSL, dwFlags = 0, dwReturned = 0;
        SSLVALIDATECERTHOOK hook = {ValidateBare, NULL};
        s = ::socket(AF_INET, SOCK_STREAM, 0);
        hook.HookFunc = &Connection::Validate;
        hook.pvArg = (LPVOID)this;
        if (setsockopt(s, SOL_SOCKET, SO_SECURE, (LPSTR)&dwSecure, sizeof(dwSecure)) == SOCKET_ERROR ||
            ::WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR ||
            ::WSAIoctl(s, SO_SSL_GET_FLAGS, NULL, 0, &dwFlags, sizeof(dwFlags), &dwReturned, NULL, NULL) == SOCKET_ERROR) {
            return false;
        }
        dwFlags |= SSL_FLAG_DEFER_HANDSHAKE;
        return dwReturned == sizeof(dwFlags) &&
               ::WSAIoctl(s, SO_SSL_SET_FLAGS, &dwFlags, sizeof(dwFlags), NULL, 0, NULL, NULL, NULL) == 0;
    }

private:
    SOCKET s;
};

/* A template that finds the program's own function first. */
template <class T> int send(T &connection, const std::string &text)
{
    return connection.send(text.data(), static_cast<int>(text.size()));
}

#if __cplusplus >= 201103L
static int add(int a, int b) { return a + b; }
static std::string sums_by_bind()
{
    auto bound = std::bind(add, std::placeholders::_1, 2);
    auto unqualified = bind(add, 1, std::placeholders::_1);
    return std::to_string(bound(3)) + std::to_string(unqualified(4));
}
#endif

/* An object of the program's that becomes a SOCKET, and is compared with one. */
class Handle {
public:
    Handle(SOCKET socket = INVALID_SOCKET) : s(socket), text(NULL) {}
    Handle(const char *name) : s(INVALID_SOCKET), text(name) {}
    operator SOCKET() const { return s; }
    bool failed() const { return s == INVALID_SOCKET ? true : text != NULL; }
    SOCKET release(bool really) { return really ? s : INVALID_SOCKET; }

private:
    SOCKET s;
    const char *text;
};
struct Compared {
    SOCKET s;
    explicit Compared(SOCKET socket) : s(socket) {}
    operator bool() const { return s != INVALID_SOCKET; }
    bool operator==(SOCKET other) const { return s == other; }
    bool operator!=(SOCKET other) const { return !(*this == other); }
};

static void no_socket()
{
    SOCKET none = INVALID_SOCKET;
    DWORD number = INVALID_SOCKET;
    unsigned short small = 0xffff;
    Handle handle(INVALID_SOCKET);
    char text[64];

    /* Passed to printf it is one argument, as wide as others. */
    sprintf(text, "%d %d %s", INVALID_SOCKET, 7, "seven");
    MUST(strcmp(text, "-1 7 seven") == 0);
    sprintf(text, "%d%d%d%d%d%d%d|%s", 1, 2, 3, 4, 5, 6, INVALID_SOCKET, "stack");
    MUST(strcmp(text, "123456-1|stack") == 0);
    sprintf(text, "%u %d", INADDR_NONE, 5);
    MUST(strcmp(text, "4294967295 5") == 0);
    wsprintfA(text, "%x %d", INVALID_SOCKET, 5);
    MUST(strcmp(text, "ffffffff 5") == 0);

    MUST(number == INVALID_SOCKET && INVALID_SOCKET == none && small != INVALID_SOCKET && none >= INVALID_SOCKET);
    MUST((number & INADDR_NONE) == number && INADDR_NONE == INVALID_SOCKET && !(none < INVALID_SOCKET));
    MUST(handle == INVALID_SOCKET && handle.failed() && handle.release(false) == INVALID_SOCKET);
    MUST(INVALID_SOCKET != Handle(SOCKET(5)) && Handle("name").failed());
#if __cplusplus >= 201103L
    /* In C++98, where it is an int, the compiler cannot choose between the program's and its own comparison. */
    MUST(Compared(none) == INVALID_SOCKET && Compared(5) != INVALID_SOCKET);
    std::cout << INVALID_SOCKET << std::endl;
#endif
    MUST((HANDLE)INVALID_SOCKET == (HANDLE)none);

    std::vector<SOCKET> sockets(2, INVALID_SOCKET);
    std::map<std::string, SOCKET> names;
    sockets.push_back(5);
    names["one"] = INVALID_SOCKET;
    names.insert(std::make_pair(std::string("two"), INVALID_SOCKET));
    MUST(std::count(sockets.begin(), sockets.end(), INVALID_SOCKET) == 2 && names["two"] == INVALID_SOCKET);
    MUST(std::find(sockets.begin(), sockets.end(), INVALID_SOCKET) == sockets.begin());
    switch (none) {
    case INVALID_SOCKET:
        break;
    default:
        MUST(0);
    }
}

/* unsigned long for a DWORD, not initialised, as it is only written to. */
static bool flags_of(SOCKET s)
{
    unsigned long returned, flags = 99;
    DWORD secure = SO_SEC_SSL;

    if (setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&secure, sizeof(secure)) != 0 ||
        WSAIoctl(s, SO_SSL_GET_FLAGS, NULL, 0, &flags, sizeof(flags), &returned, NULL, NULL) != 0) {
        return false;
    }
    return returned == 4;
}

int main()
{
    WSADATA data;
    WORD version = MAKEWORD(1, 1);
    Connection listener, client, server, secured;
    char buffer[32] = "";

    MUST(WSAStartup(version, &data) == 0 && data.wVersion == version);
    MUST(listener.bind(0) && listener.port() != 0);
    MUST(client.connect("127.0.0.1", listener.port()));
    server.accept(listener);
    MUST(!server.select(0));
    MUST(send(client, "hello") == 5);
    MUST(server.select(20000));
    MUST(server.recv(buffer, sizeof(buffer)) == 5 && strcmp(buffer, "hello") == 0);
    MUST(server.ioctlsocket(1) == 0);
    MUST(server.recv(buffer, sizeof(buffer)) == SOCKET_ERROR && WSAGetLastError() == WSAEWOULDBLOCK);
    MUST(GetLastError() == (DWORD)WSAEWOULDBLOCK);
    MUST(server.ioctlsocket(0) == 0);
    MUST(client.shutdown(SD_SEND) == 0);
    MUST(server.recv(buffer, sizeof(buffer)) == 0);
    MUST(secured.secure());

    no_socket();
    SOCKET fresh = socket(AF_INET, SOCK_STREAM, 0);
    MUST(flags_of(fresh) && closesocket(fresh) == 0);
    MUST(__min(sizeof(buffer), 5u) == 5 && __max(2, 3) == 3 && USHRT_MAX == 65535);

    MUST(std::min(1, 2) == 1 && std::max(1, 2) == 2);
    MUST(std::min<DWORD>(1, 2) == 1 && (std::max)(1L, 2L) == 2);
    MUST(min(3, 4) == 3 && max(3, 4) == 4);
#if __cplusplus >= 201103L
    MUST(sums_by_bind() == "55");
#endif
    std::cout << "done" << std::endl;
    return WSACleanup();
}
