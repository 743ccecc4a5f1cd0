#define _GNU_SOURCE

#include "codes.h"

#include <string.h>

#include "check.h"
#include "peer.h"

#define CANARY 0xa5

const uint32_t all_codes[CODE_COUNT] = {
    GET_CAPABILITIES, GET_FLAGS, SET_FLAGS, GET_PROTOCOLS, SET_PROTOCOLS, GET_CIPHERS, SET_CIPHERS, GET_CLIENT_OPTS,
    SET_CLIENT_OPTS, GET_SERVER_OPTS, SET_SERVER_OPTS, GET_CLIENT_AUTH_OPTS, SET_CLIENT_AUTH_OPTS, GET_HOOK, SET_HOOK,
    GET_AUTH_REQUEST_HOOK, SET_AUTH_REQUEST_HOOK, GET_KEY_EXCH_HOOK, SET_KEY_EXCH_HOOK, GET_SIGNATURE_HOOK,
    SET_SIGNATURE_HOOK, GET_CONNECTION_INFO, SET_PEERNAME, SET_PEERNAME_OUT, SET_PEERNAME_VOID, PERFORM_HANDSHAKE,
};

int32_t set_code(ssl_socket *s, uint32_t code, const void *in, uint32_t in_len)
{
    return ssl_ioctl(s, code, in, in_len, NULL, 0, NULL);
}

int32_t set_code_flags(ssl_socket *s, uint32_t flags)
{
    return set_code(s, SET_FLAGS, &flags, sizeof flags);
}

int32_t count_hook_call(uint32_t type, void *argument, uint32_t chain_len, const ssl_blob *chain, uint32_t flags)
{
    struct hook_calls *calls = argument;

    CHECK(type == SSL_CERT_X509 && chain_len == 1 && chain->cbSize > 0);
    calls->times++;
    calls->flags = flags;
    return calls->answer;
}

void set_counting_hook(ssl_socket *s, struct hook_calls *calls)
{
    struct hook hook = {count_hook_call, calls};

    CHECK(set_code(s, SET_HOOK, &hook, sizeof hook) == SSL_ERR_OKAY);
    memset(&hook, CANARY, sizeof hook);
}

ssl_socket *connected_handle(int *fd)
{
    ssl_socket *s;

    *fd = peer_connect("SSLSOCK_PEER");
    s = ssl_socket_new(*fd);
    CHECK(s != NULL && ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    return s;
}

void echo_on(int fd)
{
    send_all(fd, "echo\n", 5);
    send_pattern(fd, 1000);
    receive_pattern(fd, 1000, 0);
}
