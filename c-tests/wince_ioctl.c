/*
 * WSAIoctl with the codes of secure sockets as Windows CE programs call it: the sizes of its structures, and the error
 * numbers in every state of a socket. Compiled as C and as C++. Every kind of buffer: ioctl_table.c.
 */
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

#define STATES 5
/* What WSAGetLastError says of a call that succeeds. */
#define FINE 0

/* One call, and its error in each of the states. */
struct call {
    const char *name;
    DWORD code;
    const void *in;
    DWORD in_length;
    DWORD out_length;
    /* How much of the output is used. */
    DWORD returned;
    int errors[STATES];
};

static int CALLBACK accept_all(DWORD type, LPVOID argument, DWORD count, LPBLOB chain, DWORD flags)
{
    (void)argument;
    (void)flags;
    CHECK(type == SSL_CERT_X509 && count == 1 && chain->cbSize > 0);
    return SSL_ERR_OKAY;
}

static int CALLBACK refuse_all(DWORD type, LPVOID argument, DWORD count, LPBLOB chain, DWORD flags)
{
    (void)type;
    (void)argument;
    (void)count;
    (void)chain;
    (void)flags;
    return SSL_ERR_CERT_UNKNOWN;
}

static int CALLBACK choose_certificate(DWORD type, LPVOID argument, DWORD issuers, LPBLOB list, DWORD flags,
                                       LPDWORD count, LPBLOB *chain)
{
    (void)type;
    (void)argument;
    (void)issuers;
    (void)list;
    (void)flags;
    (void)count;
    (void)chain;
    return SSL_ERR_FAILED;
}

static int CALLBACK sign(DWORD type, LPVOID argument, LPBYTE source, DWORD source_length, DWORD flags, LPBYTE dest,
                         LPDWORD dest_length)
{
    (void)type;
    (void)argument;
    (void)source;
    (void)source_length;
    (void)flags;
    (void)dest;
    (void)dest_length;
    return SSL_ERR_FAILED;
}

static DWORD defer = SSL_FLAG_DEFER_HANDSHAKE;
static DWORD auth_client = SSL_FLAG_SERVER | SSL_FLAG_AUTH_CLIENT;
static DWORD unknown_flag = 1;
static DWORD tls1 = SSL_PROTOCOL_TLS1;
static SSLPROTOCOLS tls = {1, {{SSL_PROTOCOL_TLS1, 0, 0}}};
static SSLPROTOCOLS ssl3 = {1, {{SSL_PROTOCOL_SSL3, 0, 0}}};
static SSLPROTOCOLS too_many = {2, {{SSL_PROTOCOL_TLS1, 0, 0}}};
static SSLCIPHERS aes = {SSL_PROTOCOL_TLS1, 1, {CALG_AES_128}};
static SSLCIPHERS rc4 = {SSL_PROTOCOL_TLS1, 1, {CALG_RC4}};
static SSLCLIENTOPTS client_opts = {60, 10, 0};
static SSLSERVEROPTS server_opts = {60, 10, 0};
static SSLCLIENTAUTHOPTS demand = {1, 0, SSL_CERT_X509, 0, NULL, 0};
static SSLCLIENTAUTHOPTS no_demand = {0, 0, SSL_CERT_X509, 0, NULL, 0};
static SSLCLIENTAUTHOPTS again = {0, 1, SSL_CERT_X509, 0, NULL, 0};
static SSLVALIDATECERTHOOK accepting = {accept_all, NULL};
static SSLVALIDATECERTHOOK refusing = {refuse_all, NULL};
static SSLAUTHREQUESTHOOK no_request_hook = {NULL, NULL};
static SSLAUTHREQUESTHOOK request_hook = {choose_certificate, NULL};
static SSLKEYEXCHANGEHOOK no_exchange_hook = {NULL, NULL};
static SSLSIGNATUREHOOK no_signature_hook = {NULL, NULL};
static SSLSIGNATUREHOOK signature_hook = {sign, NULL};
static SSLKEYEXCHANGEHOOK exchange_hook = {sign, NULL};

/* What can be set, until it is too late. */
#define SET(name, value, size) REFUSED(name, value, size, FINE)
/* What cannot be set at all. */
#define REFUSED(name, value, size, error) \
    {#name, SO_SSL_SET_##name, value, size, 0, 0, {WSAEOPNOTSUPP, error, error, WSAEINVAL, WSAEINVAL}}
/* What can always be read; and not if there is too little room. */
#define GET(name, size) {#name, SO_SSL_GET_##name, &tls1, 4, size, size, {WSAEOPNOTSUPP, FINE, FINE, FINE, FINE}}
#define CRAMPED(name, size) \
    {#name " in too little", SO_SSL_GET_##name, &tls1, 4, (size) - 1, size, \
     {WSAEOPNOTSUPP, WSAEFAULT, WSAEFAULT, WSAEFAULT, WSAEFAULT}}

static const struct call calls[] = {
    GET(CAPABILITIES, 4),
    CRAMPED(CAPABILITIES, 4),
    SET(FLAGS, &defer, sizeof defer),
    REFUSED(FLAGS, &defer, 3, WSAEFAULT),
    REFUSED(FLAGS, &unknown_flag, sizeof unknown_flag, WSAEINVAL),
    SET(FLAGS, &auth_client, sizeof auth_client),
    GET(FLAGS, 4),
    CRAMPED(FLAGS, 4),
    SET(PROTOCOLS, &tls, sizeof tls),
    REFUSED(PROTOCOLS, &tls, 15, WSAEFAULT),
    REFUSED(PROTOCOLS, &ssl3, sizeof ssl3, WSAEINVAL),
    REFUSED(PROTOCOLS, &too_many, sizeof too_many, WSAEFAULT),
    GET(PROTOCOLS, 16),
    CRAMPED(PROTOCOLS, 16),
    SET(CIPHERS, &aes, sizeof aes),
    REFUSED(CIPHERS, &aes, 11, WSAEFAULT),
    REFUSED(CIPHERS, &rc4, sizeof rc4, WSAEINVAL),
    SET(CLIENT_OPTS, &client_opts, sizeof client_opts),
    REFUSED(CLIENT_OPTS, &client_opts, sizeof client_opts - 1, WSAEFAULT),
    GET(CLIENT_OPTS, sizeof(SSLCLIENTOPTS)),
    SET(SERVER_OPTS, &server_opts, sizeof server_opts),
    GET(SERVER_OPTS, sizeof(SSLSERVEROPTS)),
    SET(CLIENT_AUTH_OPTS, &no_demand, sizeof no_demand),
    SET(CLIENT_AUTH_OPTS, &demand, sizeof demand),
    REFUSED(CLIENT_AUTH_OPTS, &again, sizeof again, WSAEOPNOTSUPP),
    GET(CLIENT_AUTH_OPTS, sizeof(SSLCLIENTAUTHOPTS)),
    SET(VALIDATE_CERT_HOOK, &accepting, sizeof accepting),
    REFUSED(VALIDATE_CERT_HOOK, &accepting, sizeof accepting - 1, WSAEFAULT),
    GET(VALIDATE_CERT_HOOK, sizeof(SSLVALIDATECERTHOOK)),
    SET(AUTH_REQUEST_HOOK, &no_request_hook, sizeof no_request_hook),
    SET(AUTH_REQUEST_HOOK, &request_hook, sizeof request_hook),
    REFUSED(AUTH_REQUEST_HOOK, &request_hook, sizeof request_hook - 1, WSAEFAULT),
    GET(AUTH_REQUEST_HOOK, sizeof(SSLAUTHREQUESTHOOK)),
    SET(KEY_EXCH_HOOK, &no_exchange_hook, sizeof no_exchange_hook),
    GET(KEY_EXCH_HOOK, sizeof(SSLKEYEXCHANGEHOOK)),
    REFUSED(KEY_EXCH_HOOK, &exchange_hook, sizeof exchange_hook, WSAEOPNOTSUPP),
    SET(SIGNATURE_HOOK, &no_signature_hook, sizeof no_signature_hook),
    SET(SIGNATURE_HOOK, &signature_hook, sizeof signature_hook),
    REFUSED(SIGNATURE_HOOK, &signature_hook, sizeof signature_hook - 1, WSAEFAULT),
    GET(SIGNATURE_HOOK, sizeof(SSLSIGNATUREHOOK)),
    SET(PEERNAME, "localhost", 10),
    REFUSED(PEERNAME, "two words", 10, WSAEINVAL),
    {"CIPHERS", SO_SSL_GET_CIPHERS, &tls1, 4, 64, 12, {WSAEOPNOTSUPP, FINE, FINE, FINE, FINE}},
    {"CIPHERS of nothing", SO_SSL_GET_CIPHERS, NULL, 0, 64, 0,
     {WSAEOPNOTSUPP, WSAEFAULT, WSAEFAULT, WSAEFAULT, WSAEFAULT}},
    {"CONNECTION_INFO", SO_SSL_GET_CONNECTION_INFO, NULL, 0, 28, 28,
     {WSAEOPNOTSUPP, WSAEINVAL, WSAEINVAL, FINE, WSAEINVAL}},
    {"CONNECTION_INFO in too little", SO_SSL_GET_CONNECTION_INFO, NULL, 0, 27, 28,
     {WSAEOPNOTSUPP, WSAEINVAL, WSAEINVAL, WSAEFAULT, WSAEINVAL}},
    {"the gap", 0x1073000Cu, NULL, 0, 0, 0, {WSAEINVAL, WSAEINVAL, WSAEINVAL, WSAEINVAL, WSAEINVAL}},
    {"a hook's number with the direction of nothing", 0x10730008u, &accepting, sizeof accepting, 0, 0,
     {WSAEINVAL, WSAEINVAL, WSAEINVAL, WSAEINVAL, WSAEINVAL}},
};

static const struct way states[] = {
    {"not secure", NULL, 0},
    {"secure", NULL, 1},
    {"connected", NULL, 2},
    {"after the handshake", NULL, 3},
    {"after a handshake that failed", NULL, 4},
    {NULL, NULL, 0},
};

static int set(SOCKET s, DWORD code, const void *in, DWORD length)
{
    return WSAIoctl(s, code, (LPVOID)in, length, NULL, 0, NULL, NULL, NULL);
}

static SOCKET socket_in(DWORD state)
{
    DWORD secure = SO_SEC_SSL;
    struct sockaddr_in peer;
    SOCKET s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

    CHECK(s != INVALID_SOCKET);
    if (state >= 1) {
        trust_the_tests();
        CHECK(setsockopt(s, SOL_SOCKET, SO_SECURE, (const char *)&secure, sizeof secure) == 0);
        CHECK(set(s, SO_SSL_SET_CIPHERS, &aes, sizeof aes) == 0);
    }
    if (state >= 2) {
        CHECK(set(s, SO_SSL_SET_FLAGS, &defer, sizeof defer) == 0);
        CHECK(set(s, SO_SSL_SET_VALIDATE_CERT_HOOK, state == 4 ? &refusing : &accepting, sizeof refusing) == 0);
        memset(&peer, 0, sizeof peer);
        peer.sin_family = AF_INET;
        peer.sin_port = htons((u_short)peer_port("SSLSOCK_PEER"));
        peer.sin_addr.s_addr = inet_addr("127.0.0.2");
        CHECK(connect(s, (struct sockaddr *)&peer, sizeof peer) == 0);
    }
    if (state == 3) {
        CHECK(set(s, SO_SSL_PERFORM_HANDSHAKE, "localhost", 10) == 0);
    } else if (state == 4) {
        CHECK(set(s, SO_SSL_PERFORM_HANDSHAKE, "localhost", 10) == SOCKET_ERROR);
        /* The hook's own value. */
        CHECK(WSAGetLastError() == SSL_ERR_CERT_UNKNOWN);
    }
    return s;
}

static void every_code_has_its_error(const struct way *way)
{
    DWORD state = way->flags;
    SOCKET s = socket_in(state);
    size_t i;

    for (i = 0; i < sizeof calls / sizeof *calls; i++) {
        const struct call *call = &calls[i];
        int expected = call->errors[state];
        unsigned char out[64];
        DWORD returned = 77;
        int answer, error, again;

        memset(out, 0xa5, sizeof out);
        WSASetLastError(FINE);
        answer = WSAIoctl(s, call->code, (LPVOID)call->in, call->in_length, out, call->out_length, &returned, NULL,
                          NULL);
        error = WSAGetLastError();
        if (answer != (expected == FINE ? 0 : SOCKET_ERROR) || error != expected) {
            FAIL("%s: %d with error %d instead of %d", call->name, answer, error, expected);
        }
        if (expected == FINE && returned != call->returned) {
            FAIL("%s: %u bytes", call->name, (unsigned)returned);
        }
        CHECK(out[63] == 0xa5 && (expected == FINE || out[0] == 0xa5));
        again = WSAIoctl(s, call->code, (LPVOID)call->in, call->in_length, out, call->out_length, NULL, NULL, NULL);
        CHECK(again == answer && WSAGetLastError() == expected);
    }
    CHECK(closesocket(s) == 0);
}

static void structures_are_filled_as_they_are_declared(const struct way *way)
{
    SOCKET s = socket_in(3);
    SSLCONNECTIONINFO info;
    SSLVALIDATECERTHOOK hook;
    SSLPROTOCOLS protocols;
    DWORD both[16] = {SSL_PROTOCOL_TLS1, 0};
    DWORD returned = 0;
    char order[] = "echo\nhello\n", echo[6];
    int count = 0;

    (void)way;
    memset(&info, 0, sizeof info);
    memset(&protocols, 0, sizeof protocols);
    CHECK(sizeof info == 28 && sizeof protocols == 16 && sizeof(SSLCIPHERS) == 12 && sizeof(SSLCLIENTOPTS) == 16);
    CHECK(WSAIoctl(s, SO_SSL_GET_CONNECTION_INFO, NULL, 0, &info, sizeof info, &returned, NULL, NULL) == 0);
    CHECK(info.dwProtocol == 0x2000 && info.aiCipher == CALG_AES_128 && info.dwCipherStrength == 128);
    CHECK(info.aiHash == CALG_SHA_256 && info.dwHashStrength == 256);
    CHECK(info.aiExch == CALG_ECDH_EPHEM && info.dwExchStrength == 255);
    CHECK(WSAIoctl(s, SO_SSL_GET_VALIDATE_CERT_HOOK, NULL, 0, &hook, sizeof hook, &returned, NULL, NULL) == 0);
    CHECK(hook.HookFunc == accept_all && hook.pvArg == NULL);
    CHECK(WSAIoctl(s, SO_SSL_GET_PROTOCOLS, NULL, 0, &protocols, sizeof protocols, &returned, NULL, NULL) == 0);
    CHECK(protocols.dwCount == 1 && protocols.ProtocolList[0].dwProtocol == SSL_PROTOCOL_TLS1);
    CHECK(WSAIoctl(s, SO_SSL_GET_CIPHERS, both, 4, both, sizeof both, &returned, NULL, NULL) == 0);
    CHECK(returned == sizeof aes && memcmp(both, &aes, sizeof aes) == 0);
    /* And the session goes on. */
    CHECK(send(s, order, (int)strlen(order), 0) == (int)strlen(order));
    while (count < 6) {
        int got = recv(s, echo + count, 6 - count, 0);
        CHECK(got > 0);
        count += got;
    }
    CHECK(memcmp(echo, "hello\n", 6) == 0 && closesocket(s) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"every_code_has_its_error", every_code_has_its_error, states, 0},
        {"structures_are_filled_as_they_are_declared", structures_are_filled_as_they_are_declared, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
