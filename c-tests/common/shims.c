#define _GNU_SOURCE

#include "shims.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <sslsock.h>

#include "check.h"

#define MOST_EXPORTS 1024

const struct shim shims[] = {
    {"ssl_wce_accept", MINUS_ONE_POINTER, "sov"},
    {"ssl_wce_bind", MINUS_ONE, "spn"},
    {"ssl_wce_cleanup", MINUS_ONE, ""},
    {"ssl_wce_closesocket", MINUS_ONE, "s"},
    {"ssl_wce_connect", MINUS_ONE, "spn"},
    {"ssl_wce_crack_certificate", ZERO, "pNiq"},
    {"ssl_wce_free_certificate", NOTHING, "h"},
    {"ssl_wce_freeaddrinfo", NOTHING, "h"},
    {"ssl_wce_gai_strerror_a", NO_POINTER, "i"},
    {"ssl_wce_gai_strerror_w", NO_POINTER, "i"},
    {"ssl_wce_get_last_error", THE_ERROR, ""},
    {"ssl_wce_getaddrinfo", THE_ERROR, "dzqq"},
    {"ssl_wce_gethostbyaddr", NO_POINTER, "pni"},
    {"ssl_wce_gethostbyname", NO_POINTER, "d"},
    {"ssl_wce_gethostname", MINUS_ONE, "on"},
    {"ssl_wce_getnameinfo", THE_ERROR, "pnoNoNi"},
    {"ssl_wce_getpeername", MINUS_ONE, "sov"},
    {"ssl_wce_getprotobyname", NO_POINTER, "z"},
    {"ssl_wce_getprotobynumber", NO_POINTER, "i"},
    {"ssl_wce_getservbyname", NO_POINTER, "zz"},
    {"ssl_wce_getservbyport", NO_POINTER, "iz"},
    {"ssl_wce_getsockname", MINUS_ONE, "sov"},
    {"ssl_wce_getsockopt", MINUS_ONE, "siiov"},
    {"ssl_wce_inet_addr", MINUS_ONE, "z"},
    {"ssl_wce_inet_ntoa", NO_POINTER, "i"},
    {"ssl_wce_ioctlsocket", MINUS_ONE, "siv"},
    {"ssl_wce_ioctlsocket_long", MINUS_ONE, "siv"},
    {"ssl_wce_listen", MINUS_ONE, "si"},
    {"ssl_wce_recv", MINUS_ONE, "soni"},
    {"ssl_wce_recvfrom", MINUS_ONE, "soniov"},
    {"ssl_wce_select", MINUS_ONE, "iSSST"},
    {"ssl_wce_send", MINUS_ONE, "spni"},
    {"ssl_wce_sendto", MINUS_ONE, "spnipn"},
    {"ssl_wce_set_last_error", NOTHING, "i"},
    {"ssl_wce_setsockopt", MINUS_ONE, "siipn"},
    {"ssl_wce_shutdown", MINUS_ONE, "si"},
    {"ssl_wce_socket", MINUS_ONE_POINTER, "iii"},
    {"ssl_wce_startup", THE_ERROR, "iq"},
    {"ssl_wce_wsa_ioctl", MINUS_ONE, "sipNoNvqh"},
    {"ssl_wce_wsa_recv", MINUS_ONE, "sqivvhh"},
    {"ssl_wce_wsa_send", MINUS_ONE, "sqivihh"},
    {"ssl_wce_wsa_socket", MINUS_ONE_POINTER, "iiiqii"},
    {NULL, NOTHING, NULL},
};

const struct shim *find_shim(const char *name)
{
    for (const struct shim *shim = shims; shim->name != NULL; shim++) {
        if (strcmp(shim->name, name) == 0) {
            return shim;
        }
    }
    return NULL;
}

intptr_t call_shim(const struct shim *shim, const intptr_t *a)
{
    /* Numbers and pointers are passed alike, and more of them than there are do no harm, on the processors that we test on. */
    typedef intptr_t (*any)(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t,
                            intptr_t, intptr_t, intptr_t);
    void *found = dlsym(RTLD_DEFAULT, shim->name);
    any function;

    if (found == NULL) {
        FAIL("the library has no %s", shim->name);
    }
    memcpy(&function, &found, sizeof function);
    return function(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
}

int has_failed(const struct shim *shim, intptr_t answer)
{
    switch (shim->failed) {
    case ZERO:
        return (int32_t)answer == 0;
    case NO_POINTER:
        return answer == 0;
    case MINUS_ONE:
        return (int32_t)answer == -1;
    case MINUS_ONE_POINTER:
        return answer == -1;
    case THE_ERROR:
        return (int32_t)answer != 0;
    default:
        return 1;
    }
}

const struct way *exported_names(void)
{
    static struct way names[MOST_EXPORTS + 1];
    Dl_info library;
    char command[4200];
    char line[256];
    size_t count = 0;
    FILE *listing;

    CHECK(dladdr((void *)(uintptr_t)&ssl_abi_version, &library) != 0);
    snprintf(command, sizeof command, "nm -D --defined-only '%s'", library.dli_fname);
    listing = popen(command, "r");
    CHECK(listing != NULL);
    while (fgets(line, sizeof line, listing) != NULL) {
        char name[256];
        if (sscanf(line, "%*s %*s %255s", name) == 1 && strcmp(name, "ssl_test_panic_in") != 0) {
            CHECK(count < MOST_EXPORTS);
            names[count++].name = strdup(name);
        }
    }
    CHECK(pclose(listing) == 0 && count > 0);
    return names;
}
