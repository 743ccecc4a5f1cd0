/* Sockets with SO_SECURE. */
#define _GNU_SOURCE

#include "tests.h"

#include <string.h>

#define PASSWORD "PASS hunter2\r\n"

struct hook {
    int answer;
    int calls;
    DWORD flags;
    pthread_t thread;
};

static int CALLBACK validate(DWORD type, LPVOID argument, DWORD count, LPBLOB chain, DWORD flags)
{
    struct hook *hook = argument;

    CHECK(type == SSL_CERT_X509 && count == 1 && chain->cbSize > 100 && chain->pBlobData[0] == 0x30);
    hook->calls++;
    hook->flags = flags;
    hook->thread = pthread_self();
    return hook->answer;
}

static void set_hook(SOCKET s, struct hook *hook)
{
    SSLVALIDATECERTHOOK buffer = {validate, hook};

    /* Without a count, as programs do. */
    WORKS(WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &buffer, sizeof buffer, NULL, 0, NULL, NULL, NULL));
    memset(&buffer, 0, sizeof buffer);
}

static void defer(SOCKET s)
{
    DWORD flags = SSL_FLAG_DEFER_HANDSHAKE;
    DWORD returned = 7;

    WORKS(WSAIoctl(s, SO_SSL_SET_FLAGS, &flags, sizeof flags, NULL, 0, NULL, NULL, NULL));
    flags = 0;
    WORKS(WSAIoctl(s, SO_SSL_GET_FLAGS, NULL, 0, &flags, sizeof flags, &returned, NULL, NULL));
    CHECK(flags == SSL_FLAG_DEFER_HANDSHAKE && returned == 4);
}

static int perform(SOCKET s)
{
    return WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL);
}

static SOCKET secure_of(const struct sockaddr_storage *address)
{
    SOCKET s = socket(address->ss_family, SOCK_STREAM, 0);
    DWORD value = SO_SEC_SSL;

    CHECK(s != INVALID_SOCKET);
    WORKS(setsockopt(s, SOL_SOCKET, SO_SECURE, (const char *)&value, sizeof value));
    return s;
}

static void echo(SOCKET s, const char *text)
{
    char back[64];
    int length = (int)strlen(text);

    CHECK(send(s, text, length, 0) == length);
    CHECK(recv(s, back, length, MSG_WAITALL) == length && memcmp(back, text, (size_t)length) == 0);
}

/* A program that goes on as if nothing had happened. */
static void expect_over(SOCKET s)
{
    char byte;

    for (int time = 0; time < 3; time++) {
        FAILS(WSAESHUTDOWN, send(s, PASSWORD, (int)strlen(PASSWORD), 0));
        FAILS(WSAESHUTDOWN, recv(s, &byte, 1, 0));
    }
}

void connect_makes_the_handshake(const struct way *way)
{
    static const char *const peers[] = {"SSLSOCK_PEER", "SSLSOCK_PEER6"};

    (void)way;
    for (size_t i = 0; i < 2; i++) {
        struct hook hook = {.answer = SSL_ERR_OKAY};
        struct sockaddr_storage address, found;
        int length = peer_address(peers[i], &address);
        int found_length = sizeof found;
        SOCKET s = secure_of(&address);

        set_hook(s, &hook);
        WORKS(connect(s, (struct sockaddr *)&address, length));
        CHECK(hook.calls == 1 && pthread_equal(hook.thread, pthread_self()));
        CHECK(send(s, "echo\n", 5, 0) == 5);
        echo(s, "hello");
        /* The addresses of the connection, not of what the library has put in its place. */
        WORKS(getpeername(s, (struct sockaddr *)&found, &found_length));
        CHECK(found_length == length && memcmp(&found, &address, (size_t)length) == 0);
        WORKS(getsockname(s, (struct sockaddr *)&found, &found_length));
        CHECK(found_length == length && found.ss_family == address.ss_family);
        CHECK(memcmp((char *)&found + 2, (char *)&address + 2, 2) != 0);
        CHECK(get_dword(s, SOL_SOCKET, SO_SECURE) == SO_SEC_SSL && get_dword(s, SOL_SOCKET, SO_ERROR) == 0);
        FAILS(WSAEISCONN, connect(s, (struct sockaddr *)&address, length));
        FAILS(WSAEISCONN, set_dword(s, SOL_SOCKET, SO_SECURE, SO_SEC_NONE));
        WORKS(set_dword(s, SOL_SOCKET, SO_SECURE, SO_SEC_SSL));
        echo(s, "still here");
        WORKS(closesocket(s));
        FAILS(WSAENOTSOCK, send(s, "x", 1, 0));
    }
}

void connect_waits_although_it_should_not(const struct way *way)
{
    struct hook hook = {.answer = SSL_ERR_OKAY};
    struct sockaddr_storage address;
    int length = peer_address("SSLSOCK_PEER", &address);
    SOCKET s = secure_of(&address);
    u_long on = 1;
    char byte;

    (void)way;
    set_hook(s, &hook);
    WORKS(ioctlsocket(s, FIONBIO, &on));
    WORKS(connect(s, (struct sockaddr *)&address, length));
    CHECK(hook.calls == 1 && is_nonblocking((int)s));
    FAILS(WSAEWOULDBLOCK, recv(s, &byte, 1, 0));
    on = 0;
    WORKS(ioctlsocket(s, FIONBIO, &on));
    CHECK(send(s, "echo\n", 5, 0) == 5);
    echo(s, "hello");
}

void the_hook_decides(const struct way *way)
{
    static const int answers[] = {SSL_ERR_FAILED, SSL_ERR_CERT_UNKNOWN, SSL_ERR_CERT_EXPIRED, -1, -77};

    (void)way;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct hook hook = {.answer = answers[i]};
        struct sockaddr_storage address;
        int length = peer_address("SSLSOCK_PEER", &address);
        SOCKET s = secure_of(&address);

        set_hook(s, &hook);
        FAILS(answers[i], connect(s, (struct sockaddr *)&address, length));
        CHECK(hook.calls == 1 && hook.flags == SSL_CERT_FLAG_ISSUER_UNKNOWN);
        CHECK(last_text_has("hook refused"));
        expect_over(s);
        WORKS(closesocket(s));
    }
}

struct server {
    SOCKET listener;
    /* It speaks first, or only after the client has. */
    int is_first;
    char heard[65536];
    int length;
};

static void *serve(void *argument)
{
    static const char greeting[] = "220 ready for anything\r\n";
    struct server *server = argument;
    SOCKET s = accept(server->listener, NULL, NULL);
    int got = 1;

    CHECK(s != INVALID_SOCKET);
    server->length = 0;
    while (!server->is_first && server->length < 100 && got > 0) {
        got = recv(s, server->heard + server->length, (int)sizeof server->heard - server->length, 0);
        server->length += got > 0 ? got : 0;
    }
    CHECK(send(s, greeting, sizeof greeting - 1, 0) == sizeof greeting - 1);
    while (got > 0) {
        got = recv(s, server->heard + server->length, (int)sizeof server->heard - server->length, 0);
        server->length += got > 0 ? got : 0;
    }
    WORKS(closesocket(s));
    return NULL;
}

void a_peer_without_tls_gets_nothing_in_clear(const struct way *way)
{
    static struct server server;
    struct hook hook = {.answer = SSL_ERR_OKAY};
    struct sockaddr_in address;
    pthread_t thread;

    (void)way;
    server.listener = listening(SOCK_STREAM, &address);
    for (int variant = 0; variant < 4; variant++) {
        SOCKET s = secure_socket();
        u_long on = 1;

        set_hook(s, &hook);
        server.is_first = variant & 1;
        if (variant & 2) {
            WORKS(ioctlsocket(s, FIONBIO, &on));
        }
        in_thread(&thread, serve, &server);
        FAILS(WSAECONNABORTED, connect(s, (struct sockaddr *)&address, sizeof address));
        CHECK(hook.calls == 0);
        expect_over(s);
        FAILS(WSAEINVAL, connect(s, (struct sockaddr *)&address, sizeof address));
        expect_over(s);
        WORKS(closesocket(s));
        CHECK(pthread_join(thread, NULL) == 0);
        /* A ClientHello and nothing else; it may have found the greeting before it said anything. */
        CHECK(server.length > 100 || (server.is_first && server.length == 0));
        CHECK(server.length == 0 || (server.heard[0] == 0x16 && server.heard[1] == 3));
        CHECK(memmem(server.heard, (size_t)server.length, "PASS", 4) == NULL);
    }
}

static void ask_for_tls(SOCKET s)
{
    static const char go_ahead[] = "220 go ahead\r\n";
    char line[128];
    int length = snprintf(line, sizeof line, "STARTTLS %s\n", peer_ticket());

    CHECK(send(s, line, length, 0) == length);
    CHECK(recv(s, line, sizeof go_ahead - 1, MSG_WAITALL) == sizeof go_ahead - 1);
    CHECK(memcmp(line, go_ahead, sizeof go_ahead - 1) == 0);
}

void deferred_it_begins_in_clear(const struct way *way)
{
    struct hook hook = {.answer = SSL_ERR_OKAY};
    struct sockaddr_storage address;
    int length = peer_address("SSLSOCK_PEER", &address);
    SOCKET s = secure_of(&address);
    struct timeval patience = {20, 0};
    fd_set write;
    u_long on = 1;

    (void)way;
    set_hook(s, &hook);
    defer(s);
    /* With a limit of the program's own for the connection. */
    WORKS(ioctlsocket(s, FIONBIO, &on));
    FAILS(WSAEWOULDBLOCK, connect(s, (struct sockaddr *)&address, length));
    on = 0;
    WORKS(ioctlsocket(s, FIONBIO, &on));
    FD_ZERO(&write);
    FD_SET(s, &write);
    CHECK(select(0, NULL, &write, NULL, &patience) == 1);
    FAILS(WSAEISCONN, set_dword(s, SOL_SOCKET, SO_SECURE, SO_SEC_NONE));
    ask_for_tls(s);
    CHECK(hook.calls == 0);
    WORKS(perform(s));
    CHECK(hook.calls == 1);
    CHECK(send(s, "echo\n", 5, 0) == 5);
    echo(s, PASSWORD);
    FAILS(WSAEINVAL, perform(s));
    echo(s, "still here");
    WORKS(shutdown(s, SD_BOTH));
    WORKS(closesocket(s));
    peer_saw_only_tls();
}

void deferred_and_refused_nothing_follows(const struct way *way)
{
    struct hook hook = {.answer = SSL_ERR_CERT_UNKNOWN};
    struct sockaddr_storage address;
    int length = peer_address("SSLSOCK_PEER", &address);
    SOCKET s = secure_of(&address);

    (void)way;
    set_hook(s, &hook);
    defer(s);
    WORKS(connect(s, (struct sockaddr *)&address, length));
    ask_for_tls(s);
    FAILS(SSL_ERR_CERT_UNKNOWN, perform(s));
    expect_over(s);
    WORKS(closesocket(s));
    peer_saw_only_tls();
}

void after_a_refused_connection_another_is_tried(const struct way *way)
{
    struct hook hook = {.answer = SSL_ERR_OKAY};
    struct sockaddr_storage address;
    struct sockaddr_in closed = nowhere();
    int length = peer_address("SSLSOCK_PEER", &address);
    SOCKET s = secure_of(&address);

    (void)way;
    set_hook(s, &hook);
    for (int time = 0; time < 3; time++) {
        FAILS(WSAECONNREFUSED, connect(s, (struct sockaddr *)&closed, sizeof closed));
        FAILS(WSAENOTCONN, send(s, PASSWORD, (int)strlen(PASSWORD), 0));
    }
    WORKS(connect(s, (struct sockaddr *)&address, length));
    CHECK(send(s, "echo\n", 5, 0) == 5);
    echo(s, PASSWORD);
}

void secure_is_set_before_connect(const struct way *way)
{
    SOCKET pair[2];
    SOCKET s = new_socket();
    SOCKET datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    DWORD value = SO_SEC_SSL;

    (void)way;
    CHECK(get_dword(s, SOL_SOCKET, SO_SECURE) == SO_SEC_NONE);
    FAILS(WSAEFAULT, setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&value, 3));
    FAILS(WSAEINVAL, set_dword(s, SOL_SOCKET, SO_SECURE, 1));
    FAILS(WSAEINVAL, set_dword(s, SOL_SOCKET, SO_SECURE, 0));
    FAILS(WSAEOPNOTSUPP, WSAIoctl(s, SO_SSL_SET_FLAGS, &value, 4, NULL, 0, NULL, NULL, NULL));
    /* By Linux's SOL_SOCKET, too; and twice is once. */
    WORKS(set_dword(s, 1, SO_SECURE, SO_SEC_SSL));
    WORKS(set_dword(s, SOL_SOCKET, SO_SECURE, SO_SEC_SSL));
    CHECK(get_dword(s, SOL_SOCKET, SO_SECURE) == SO_SEC_SSL && get_dword(s, 1, SO_SECURE) == SO_SEC_SSL);
    WORKS(closesocket(s));
    connected_pair(pair);
    FAILS(WSAEISCONN, set_dword(pair[0], SOL_SOCKET, SO_SECURE, SO_SEC_SSL));
    CHECK(send(pair[0], "x", 1, 0) == 1 && get_dword(pair[0], SOL_SOCKET, SO_SECURE) == SO_SEC_NONE);
    FAILS(WSAEOPNOTSUPP, set_dword(datagrams, SOL_SOCKET, SO_SECURE, SO_SEC_SSL));
}

void secure_is_taken_back(const struct way *way)
{
    struct sockaddr_in address;
    SOCKET listener = listening(SOCK_STREAM, &address);

    (void)way;
    WORKS(set_dword(new_socket(), SOL_SOCKET, SO_SECURE, SO_SEC_NONE));
    for (int deferred = 0; deferred < 2; deferred++) {
        SOCKET s = secure_socket();
        SOCKET accepted;
        char data[sizeof PASSWORD];

        if (deferred) {
            defer(s);
        }
        WORKS(set_dword(s, SOL_SOCKET, SO_SECURE, SO_SEC_NONE));
        CHECK(get_dword(s, SOL_SOCKET, SO_SECURE) == SO_SEC_NONE);
        WORKS(connect(s, (struct sockaddr *)&address, sizeof address));
        accepted = accept(listener, NULL, NULL);
        CHECK(send(s, PASSWORD, sizeof PASSWORD, 0) == sizeof PASSWORD);
        CHECK(recv(accepted, data, sizeof data, MSG_WAITALL) == sizeof data && strcmp(data, PASSWORD) == 0);
        FAILS(WSAEOPNOTSUPP, perform(s));
    }
}

void a_held_socket_looks_unconnected(const struct way *way)
{
    SOCKET s = secure_socket();
    struct sockaddr_in address;
    int length = sizeof address;
    u_long count = 77;
    char byte;

    (void)way;
    FAILS(WSAENOTCONN, send(s, PASSWORD, (int)strlen(PASSWORD), 0));
    FAILS(WSAENOTCONN, recv(s, &byte, 1, 0));
    FAILS(WSAENOTCONN, shutdown(s, SD_BOTH));
    FAILS(WSAENOTCONN, getpeername(s, (struct sockaddr *)&address, &length));
    FAILS(WSAEINVAL, getsockname(s, (struct sockaddr *)&address, &length));
    CHECK(get_dword(s, SOL_SOCKET, SO_ACCEPTCONN) == 0);
    WORKS(ioctlsocket(s, FIONREAD, &count));
    CHECK(count == 0);
    /* It has stayed held through all of that. */
    FAILS(WSAENOTCONN, send(s, PASSWORD, (int)strlen(PASSWORD), 0));
}

void a_held_socket_is_bound(const struct way *way)
{
    struct hook hook = {.answer = SSL_ERR_OKAY};
    struct sockaddr_storage address;
    struct sockaddr_in ours = nowhere(), found;
    int length = peer_address("SSLSOCK_PEER", &address);
    int found_length = sizeof found;
    SOCKET s = secure_of(&address);

    (void)way;
    FAILS(WSAEADDRINUSE, bind(s, (struct sockaddr *)&ours, sizeof ours));
    /* To whatever port is free. */
    ours.sin_port = 0;
    WORKS(bind(s, (struct sockaddr *)&ours, sizeof ours));
    FAILS(WSAEINVAL, bind(s, (struct sockaddr *)&ours, sizeof ours));
    WORKS(getsockname(s, (struct sockaddr *)&ours, &found_length));
    CHECK(ours.sin_port != 0);
    FAILS(WSAENOTCONN, send(s, PASSWORD, (int)strlen(PASSWORD), 0));
    set_hook(s, &hook);
    WORKS(connect(s, (struct sockaddr *)&address, length));
    WORKS(getsockname(s, (struct sockaddr *)&found, &found_length));
    CHECK(found.sin_port == ours.sin_port && found.sin_addr.s_addr == ours.sin_addr.s_addr);
    CHECK(send(s, "echo\n", 5, 0) == 5);
    echo(s, "hello");
}

void secure_sockets_are_no_servers(const struct way *way)
{
    SOCKET s = secure_socket();

    (void)way;
    FAILS(WSAEOPNOTSUPP, listen(s, 5));
    FAILS(WSAEOPNOTSUPP, accept(s, NULL, NULL));
    defer(s);
    FAILS(WSAEOPNOTSUPP, listen(s, 5));
    FAILS(WSAEOPNOTSUPP, accept(s, NULL, NULL));
}

void the_name_is_that_of_the_look_up(const struct way *way)
{
    static struct server server;
    struct hook hook = {.answer = SSL_ERR_OKAY};
    struct sockaddr_storage address;
    struct sockaddr_in here;
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    int length = peer_address("SSLSOCK_PEER", &address);
    struct hostent *host;
    pthread_t thread;
    SOCKET s;

    (void)way;
    trust_the_tests();
    s = secure_of(&address);
    FAILS(WSAEINVAL, connect(s, (struct sockaddr *)&address, length));
    CHECK(last_text_has("no peer name"));
    WORKS(closesocket(s));
    host = gethostbyname(inet_ntoa(in->sin_addr));
    CHECK(host != NULL && *(unsigned long *)host->h_addr == in->sin_addr.s_addr);
    /* No hook: the certificate is compared with the name, which here is an address. */
    s = secure_of(&address);
    WORKS(connect(s, (struct sockaddr *)&address, length));
    CHECK(send(s, "echo\n", 5, 0) == 5);
    echo(s, "hello");
    WORKS(closesocket(s));
    /* Deferred, it is looked for just as well. */
    s = secure_of(&address);
    defer(s);
    WORKS(connect(s, (struct sockaddr *)&address, length));
    ask_for_tls(s);
    WORKS(perform(s));
    CHECK(send(s, "echo\n", 5, 0) == 5);
    echo(s, "hello");
    WORKS(closesocket(s));
    peer_saw_only_tls();
    /* A name of the program's own goes before it. */
    s = secure_of(&address);
    WORKS(WSAIoctl(s, SO_SSL_SET_PEERNAME, (void *)"wrong.test", 11, NULL, 0, NULL, NULL, NULL));
    FAILS(SSL_ERR_CERT_UNKNOWN, connect(s, (struct sockaddr *)&address, length));
    CHECK(last_text_has("wrong.test"));
    /* It goes to the server, too. */
    server.listener = listening(SOCK_STREAM, &here);
    for (int looks_up = 0; looks_up < 2; looks_up++) {
        if (looks_up) {
            host = gethostbyname("localhost");
            CHECK(host != NULL && *(unsigned long *)host->h_addr == here.sin_addr.s_addr);
        }
        s = secure_socket();
        set_hook(s, &hook);
        in_thread(&thread, serve, &server);
        FAILS(WSAECONNABORTED, connect(s, (struct sockaddr *)&here, sizeof here));
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK((memmem(server.heard, (size_t)server.length, "localhost", 9) != NULL) == looks_up);
    }
}

SOCKET connected_to_peer(const char *order)
{
    static struct hook hook = {.answer = SSL_ERR_OKAY};
    struct sockaddr_storage address;
    int length = peer_address("SSLSOCK_PEER", &address);
    SOCKET s = secure_of(&address);

    set_hook(s, &hook);
    WORKS(set_dword(s, SOL_SOCKET, SO_RCVTIMEO, 20000));
    WORKS(connect(s, (struct sockaddr *)&address, length));
    CHECK(send(s, order, (int)strlen(order), 0) == (int)strlen(order));
    return s;
}

static void *receive_something(void *socket)
{
    char byte;

    return (void *)(intptr_t)recv(*(SOCKET *)socket, &byte, 1, 0);
}

void a_secure_connection_is_as_any_other(const struct way *way)
{
    SOCKET s = connected_to_peer("echo\n");
    struct timeval patience = {20, 0}, none = {0, 0};
    char data[8] = "";
    pthread_t thread;
    fd_set read;
    u_long count = 0;
    void *got;

    (void)way;
    CHECK(get_dword(s, SOL_SOCKET, SO_RCVTIMEO) == 20000);
    CHECK(send(s, "abcde", 5, 0) == 5);
    FD_ZERO(&read);
    FD_SET(s, &read);
    CHECK(select(0, &read, NULL, NULL, &patience) == 1);
    CHECK(recv(s, data, 5, MSG_WAITALL | MSG_PEEK) == 5);
    WORKS(ioctlsocket(s, FIONREAD, &count));
    CHECK(count == 5);
    for (int i = 0; i < 5; i++) {
        CHECK(recv(s, data, 1, 0) == 1 && data[0] == "abcde"[i]);
    }
    FD_ZERO(&read);
    FD_SET(s, &read);
    CHECK(select(0, &read, NULL, NULL, &none) == 0 && read.fd_count == 0);
    WORKS(set_dword(s, SOL_SOCKET, SO_RCVTIMEO, 50));
    CHECK(get_dword(s, SOL_SOCKET, SO_RCVTIMEO) == 52 || get_dword(s, SOL_SOCKET, SO_RCVTIMEO) == 50);
    FAILS(WSAETIMEDOUT, recv(s, data, 1, 0));
    WORKS(set_dword(s, SOL_SOCKET, SO_RCVTIMEO, 0));
    WORKS(set_dword(s, IPPROTO_TCP, TCP_NODELAY, 1));
    echo(s, "hello");
    /* The end of what is sent, then that of what comes. */
    WORKS(shutdown(s, SD_SEND));
    CHECK(recv(s, data, 1, 0) == 0);
    WORKS(closesocket(s));
    s = connected_to_peer("hold\n");
    WORKS(shutdown(s, SD_SEND));
    FAILS(WSAESHUTDOWN, send(s, "x", 1, 0));
    WORKS(closesocket(s));
    s = connected_to_peer("hold\n");
    WORKS(set_dword(s, SOL_SOCKET, SO_RCVTIMEO, 0));
    in_thread(&thread, receive_something, &s);
    await_sleep();
    WORKS(closesocket(s));
    CHECK(pthread_join(thread, &got) == 0 && (intptr_t)got <= 0);
}

void a_broken_secure_connection_has_its_reason(const struct way *way)
{
    SOCKET s = connected_to_peer("truncate 100\n");
    char data[100];

    (void)way;
    CHECK(recv(s, data, sizeof data, MSG_WAITALL) == sizeof data);
    for (int time = 0; time < 3; time++) {
        FAILS(WSAECONNRESET, recv(s, data, 1, 0));
    }
    CHECK(last_text_has("close_notify"));
    /* Sooner or later: the peer's end and ours do not know of each other. */
    while (send(s, "x", 1, 0) == 1) {
        sleep_ms(1);
    }
    CHECK(WSAGetLastError() == WSAECONNRESET);
    WORKS(closesocket(s));
    s = connected_to_peer("reset\n");
    FAILS(WSAECONNRESET, recv(s, data, 1, 0));
    FAILS(WSAECONNRESET, recv(s, data, 1, 0));
    WORKS(closesocket(s));
}
