#define _GNU_SOURCE

#include "api.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/check.h"
#include "../common/peer.h"

void api_find(void *library, const char *name, void *pointer)
{
    void *address = dlsym(library, name);

    if (address == NULL) {
        FAIL("dlsym: %s", dlerror());
    }
    memcpy(pointer, &address, sizeof address);
}

void api_load(struct api *api, int flags)
{
    api->library = dlopen("libsslsock.so.0", flags);
    if (api->library == NULL) {
        FAIL("dlopen: %s", dlerror());
    }
    api_find(api->library, "ssl_socket_new", &api->socket_new);
    api_find(api->library, "ssl_socket_free", &api->socket_free);
    api_find(api->library, "ssl_set_flags", &api->set_flags);
    api_find(api->library, "ssl_add_trust_file", &api->add_trust_file);
    api_find(api->library, "ssl_perform_handshake", &api->perform_handshake);
    api_find(api->library, "ssl_send", &api->send);
    api_find(api->library, "ssl_recv", &api->recv);
    api_find(api->library, "ssl_shutdown", &api->shutdown);
    api_find(api->library, "ssl_get_error", &api->get_error);
    api_find(api->library, "ssl_get_error_text", &api->get_error_text);
}

static void check(const struct api *api, ssl_socket *s, int32_t code, const char *what)
{
    char text[1024] = "";
    size_t length = 0;

    if (code != SSL_ERR_OKAY) {
        api->get_error_text(s, text, sizeof text, &length);
        FAIL("%s: %d: %s", what, (int)code, text);
    }
}

ssl_socket *api_upgrade(const struct api *api, const struct way *way, int fd)
{
    ssl_socket *s = api->socket_new(fd);

    CHECK(s != NULL);
    check(api, s, api->set_flags(s, way->flags | SSL_FLAG_DEFER_HANDSHAKE), "ssl_set_flags");
    check(api, s, api->add_trust_file(s, pki_file("ca.pem")), "ssl_add_trust_file");
    check(api, s, api->perform_handshake(s, "localhost"), "ssl_perform_handshake");
    return s;
}

void api_converse(const struct api *api, const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = api_upgrade(api, way, fd);
    char answer[5];

    CHECK(api->send(s, "echo\nhello", 10, 0) == 10);
    CHECK(api->recv(s, answer, 5, MSG_WAITALL) == 5 && memcmp(answer, "hello", 5) == 0);
    check(api, s, api->shutdown(s, SHUT_WR), "ssl_shutdown");
    CHECK(api->recv(s, answer, 5, 0) == 0);
    check(api, s, api->socket_free(s), "ssl_socket_free");
    CHECK(close(fd) == 0);
}
