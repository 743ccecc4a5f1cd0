/* Windows CE's ioctl codes, by the names that its sslsock.h has for them, and what a test does with them. */
#ifndef SSLSOCK_TESTS_CODES_H
#define SSLSOCK_TESTS_CODES_H

#include <time.h>

#include <sslsock.h>

#define GET_CAPABILITIES 0x50730001u
#define GET_FLAGS 0x50730002u
#define SET_FLAGS 0x90730002u
#define GET_PROTOCOLS 0x50730003u
#define SET_PROTOCOLS 0x90730003u
#define GET_CIPHERS 0xD0730004u
#define SET_CIPHERS 0x90730004u
#define GET_CLIENT_OPTS 0x50730005u
#define SET_CLIENT_OPTS 0x90730005u
#define GET_SERVER_OPTS 0x50730006u
#define SET_SERVER_OPTS 0x90730006u
#define GET_CLIENT_AUTH_OPTS 0x50730007u
#define SET_CLIENT_AUTH_OPTS 0x90730007u
#define GET_HOOK 0x50730008u
#define SET_HOOK 0x90730008u
#define GET_AUTH_REQUEST_HOOK 0x50730009u
#define SET_AUTH_REQUEST_HOOK 0x90730009u
#define GET_KEY_EXCH_HOOK 0x5073000Au
#define SET_KEY_EXCH_HOOK 0x9073000Au
#define GET_SIGNATURE_HOOK 0x5073000Bu
#define SET_SIGNATURE_HOOK 0x9073000Bu
#define GET_CONNECTION_INFO 0x5073000Eu
#define SET_PEERNAME 0x9073000Fu
#define SET_PEERNAME_OUT 0x5073000Fu
#define SET_PEERNAME_VOID 0x1073000Fu
#define PERFORM_HANDSHAKE 0x1073000Du

/* All of them. */
#define CODE_COUNT 26
extern const uint32_t all_codes[CODE_COUNT];

/* Protocols and ciphers, the former without their prefix SSL_PROTOCOL_. */
#define PCT1 1u
#define SSL2 2u
#define SSL3 3u
#define TLS1 4u
#define CALG_DES 0x6601u
#define CALG_RC4 0x6801u
#define CALG_AES_128 0x660Eu
#define CALG_AES_256 0x6610u
#define CALG_AES 0x6611u

/* SSLCLIENTOPTS and SSLSERVEROPTS. */
struct cache_opts {
    time_t timeout;
    uint32_t entries;
    uint32_t flags;
};

/* SSLCLIENTAUTHOPTS, with the padding at its end. */
struct client_auth_opts {
    uint32_t request_client_auth;
    uint32_t redo_handshake;
    uint32_t type;
    uint32_t issuer_count;
    void *issuers;
    uint32_t flags;
    uint32_t padding;
};

/* SSLVALIDATECERTHOOK. */
struct hook {
    ssl_validate_cert_fn function;
    void *argument;
};

/* How often a hook was called, with which flags the last time, and what it answers. */
struct hook_calls {
    int times;
    uint32_t flags;
    int32_t answer;
};

/* ssl_ioctl with an input alone. */
int32_t set_code(ssl_socket *s, uint32_t code, const void *in, uint32_t in_len);

int32_t set_code_flags(ssl_socket *s, uint32_t flags);

/* A hook whose argument is a struct hook_calls. */
int32_t count_hook_call(uint32_t type, void *argument, uint32_t chain_len, const ssl_blob *chain, uint32_t flags);

/* Sets it by a structure that is gone when the call has returned, as all programs do. */
void set_counting_hook(ssl_socket *s, struct hook_calls *calls);

/* A connection to the peer over IPv4, not upgraded yet, and its handle, which trusts the tests' authority. */
ssl_socket *connected_handle(int *fd);

/* After the upgrade: gives the peer its order, and has a thousand bytes there and back. */
void echo_on(int fd);

#endif
