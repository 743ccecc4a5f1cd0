/* Windows CE's ioctl codes, by the names that its sslsock.h has for them, and what a test does with them. */
#ifndef SSLSOCK_TESTS_CODES_H
#define SSLSOCK_TESTS_CODES_H

#include <sslsock.h>

#define GET_FLAGS 0x50730002u
#define SET_FLAGS 0x90730002u
#define GET_HOOK 0x50730008u
#define SET_HOOK 0x90730008u
#define SET_PEERNAME 0x9073000Fu
#define SET_PEERNAME_OUT 0x5073000Fu
#define SET_PEERNAME_VOID 0x1073000Fu
#define PERFORM_HANDSHAKE 0x1073000Du

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
