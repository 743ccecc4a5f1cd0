/* OpenSSL in the same process, loaded before and after, each with a real handshake. */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "../common/peer.h"
#include "../common/test.h"
#include "api.h"

#define VERIFY_PEER 1

/* OpenSSL's functions, by hand: its headers are not needed to run the tests. */
struct openssl {
    void *(*TLS_client_method)(void);
    void *(*SSL_CTX_new)(void *method);
    void (*SSL_CTX_free)(void *context);
    int (*SSL_CTX_load_verify_locations)(void *context, const char *file, const char *folder);
    void (*SSL_CTX_set_verify)(void *context, int mode, void *callback);
    void *(*SSL_new)(void *context);
    void (*SSL_free)(void *ssl);
    int (*SSL_set_fd)(void *ssl, int fd);
    int (*SSL_connect)(void *ssl);
    int (*SSL_write)(void *ssl, const void *data, int length);
    int (*SSL_read)(void *ssl, void *data, int length);
    int (*SSL_shutdown)(void *ssl);
};

static void load_openssl(struct openssl *openssl, int flags)
{
    void *library = dlopen("libssl.so.3", flags);

    if (library == NULL) {
        SKIP("%s", dlerror());
    }
    api_find(library, "TLS_client_method", &openssl->TLS_client_method);
    api_find(library, "SSL_CTX_new", &openssl->SSL_CTX_new);
    api_find(library, "SSL_CTX_free", &openssl->SSL_CTX_free);
    api_find(library, "SSL_CTX_load_verify_locations", &openssl->SSL_CTX_load_verify_locations);
    api_find(library, "SSL_CTX_set_verify", &openssl->SSL_CTX_set_verify);
    api_find(library, "SSL_new", &openssl->SSL_new);
    api_find(library, "SSL_free", &openssl->SSL_free);
    api_find(library, "SSL_set_fd", &openssl->SSL_set_fd);
    api_find(library, "SSL_connect", &openssl->SSL_connect);
    api_find(library, "SSL_write", &openssl->SSL_write);
    api_find(library, "SSL_read", &openssl->SSL_read);
    api_find(library, "SSL_shutdown", &openssl->SSL_shutdown);
}

static void converse_with_openssl(const struct openssl *openssl)
{
    int fd = peer_connect("SSLSOCK_PEER");
    void *context = openssl->SSL_CTX_new(openssl->TLS_client_method());
    void *ssl;
    char answer[5];

    CHECK(context != NULL && openssl->SSL_CTX_load_verify_locations(context, pki_file("ca.pem"), NULL) == 1);
    openssl->SSL_CTX_set_verify(context, VERIFY_PEER, NULL);
    ssl = openssl->SSL_new(context);
    CHECK(ssl != NULL && openssl->SSL_set_fd(ssl, fd) == 1 && openssl->SSL_connect(ssl) == 1);
    CHECK(openssl->SSL_write(ssl, "echo\nhello", 10) == 10);
    for (int received = 0; received < 5;) {
        int count = openssl->SSL_read(ssl, answer + received, 5 - received);
        CHECK(count > 0);
        received += count;
    }
    CHECK(memcmp(answer, "hello", 5) == 0);
    openssl->SSL_shutdown(ssl);
    openssl->SSL_free(ssl);
    openssl->SSL_CTX_free(context);
    CHECK(close(fd) == 0);
}

static void both(const struct way *way, int openssl_first, int flags)
{
    struct openssl openssl;
    struct api api;

    if (openssl_first) {
        load_openssl(&openssl, flags);
        converse_with_openssl(&openssl);
        api_load(&api, flags);
    } else {
        api_load(&api, flags);
        api_converse(&api, way);
        load_openssl(&openssl, flags);
    }
    for (int round = 0; round < 5; round++) {
        api_converse(&api, way);
        converse_with_openssl(&openssl);
    }
}

static void openssl_first(const struct way *way)
{
    both(way, 1, RTLD_NOW | RTLD_GLOBAL);
}

static void openssl_after(const struct way *way)
{
    both(way, 0, RTLD_NOW | RTLD_GLOBAL);
}

static void openssl_first_both_local(const struct way *way)
{
    both(way, 1, RTLD_LAZY | RTLD_LOCAL);
}

static void openssl_after_both_local(const struct way *way)
{
    both(way, 0, RTLD_LAZY | RTLD_LOCAL);
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"openssl_first", openssl_first, ways, 0},
        {"openssl_after", openssl_after, ways, 0},
        {"openssl_first_both_local", openssl_first_both_local, ways, 0},
        {"openssl_after_both_local", openssl_after_both_local, ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
