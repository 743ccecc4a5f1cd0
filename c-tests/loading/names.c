/*
 * A program with functions of its own that are called as the library's are: neither side takes the other's.
 *
 * The program exports them (-rdynamic), so they come first wherever the loader looks a name up.
 */
#define _GNU_SOURCE

#include <dlfcn.h>

#include "../common/peer.h"
#include "../common/test.h"
#include "api.h"

static int taken;

#define OWN(name)                           \
    int own_##name(void) __asm__("" #name); \
    int own_##name(void)                    \
    {                                       \
        return ++taken;                     \
    }

OWN(ssl_socket_new)
OWN(ssl_socket_free)
OWN(ssl_socket_from_fd)
OWN(ssl_set_flags)
OWN(ssl_perform_handshake)
OWN(ssl_send)
OWN(ssl_recv)
OWN(ssl_shutdown)
OWN(ssl_pending)
OWN(ssl_get_error)
OWN(ssl_get_error_text)
OWN(ssl_error_name)
OWN(ssl_flush_all)
OWN(ssl_version)

static void nobody_takes_anothers_function(const struct way *way, int flags)
{
    struct api api;
    int (*found)(void);

    api_load(&api, flags);
    for (int round = 0; round < 3; round++) {
        api_converse(&api, way);
    }
    CHECK(taken == 0);
    /* The program's own are the program's own. */
    CHECK(own_ssl_send() == 1 && own_ssl_recv() == 2 && own_ssl_socket_free() == 3);
    api_find(RTLD_DEFAULT, "ssl_send", &found);
    CHECK(found == own_ssl_send && found() == 4);
    api_converse(&api, way);
    CHECK(taken == 4);
}

static void loaded_for_all(const struct way *way)
{
    nobody_takes_anothers_function(way, RTLD_NOW | RTLD_GLOBAL);
}

static void loaded_for_itself(const struct way *way)
{
    nobody_takes_anothers_function(way, RTLD_LAZY | RTLD_LOCAL);
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"loaded_for_all", loaded_for_all, ways, 0},
        {"loaded_for_itself", loaded_for_itself, ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
