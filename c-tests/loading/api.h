/* The library as a program has it that loads it by itself. */
#ifndef SSLSOCK_TESTS_API_H
#define SSLSOCK_TESTS_API_H

#include <sslsock.h>

#include "../common/ways.h"

struct api {
    void *library;
    ssl_socket *(*socket_new)(int32_t fd);
    int32_t (*socket_free)(ssl_socket *s);
    int32_t (*set_flags)(ssl_socket *s, uint32_t flags);
    int32_t (*add_trust_file)(ssl_socket *s, const char *pem_path);
    int32_t (*perform_handshake)(ssl_socket *s, const char *host);
    ptrdiff_t (*send)(ssl_socket *s, const void *buf, size_t len, int32_t msg_flags);
    ptrdiff_t (*recv)(ssl_socket *s, void *buf, size_t len, int32_t msg_flags);
    int32_t (*shutdown)(ssl_socket *s, int32_t how);
    int32_t (*get_error)(ssl_socket *s);
    int32_t (*get_error_text)(ssl_socket *s, char *buf, size_t capacity, size_t *len);
};

/* dlopen with these flags, and dlsym. */
void api_load(struct api *api, int flags);

/* Puts the address of a function where a pointer to it is. */
void api_find(void *library, const char *name, void *pointer);

/* Turns a connection to the peer into TLS in this way. */
ssl_socket *api_upgrade(const struct api *api, const struct way *way, int fd);

/* A connection to the peer in this way, with an echo both ways and an orderly end. */
void api_converse(const struct api *api, const struct way *way);

#endif
