/*
 * A panic in any function behind the headers for Windows CE sources becomes what it answers when it fails, with
 * WSAECONNABORTED as the last error, in silence; the process lives and works on.
 *
 * For the library with the feature panic-injection. What is exported is asked of the library itself: a function without
 * a row in common/shims.c, or a case in panics.c, fails there or here.
 */
#define _GNU_SOURCE

#include <string.h>
#include <unistd.h>

#include <sslsock.h>

#include "../common/quiet.h"
#include "../common/shims.h"
#include "../common/test.h"

#define WSAECONNABORTED 10053

/* The library's, for this test alone. */
void ssl_test_panic_in(const char *name);

static const struct way *every_shim(void)
{
    static struct way ways[1024];
    size_t count = 0;

    for (const struct shim *shim = shims; shim->name != NULL; shim++) {
        CHECK(count + 1 < sizeof ways / sizeof *ways);
        ways[count++].name = shim->name;
    }
    return ways;
}

static intptr_t last_error(void)
{
    static const intptr_t none[12];

    return (int32_t)call_shim(find_shim("ssl_wce_get_last_error"), none);
}

static void set_last_error(intptr_t number)
{
    const intptr_t arguments[12] = {number};

    call_shim(find_shim("ssl_wce_set_last_error"), arguments);
}

static void panic(const struct shim *shim)
{
    /* NULL, 0 and descriptor 0: it does not get as far as to look at them. */
    static const intptr_t none[12];
    struct quiet quiet = listen_to_errors();
    char text[256] = "";
    size_t length = 0;
    intptr_t answer;

    set_last_error(0);
    ssl_test_panic_in(shim->name);
    answer = call_shim(shim, none);
    ssl_test_panic_in(NULL);
    if (stop_listening(&quiet) != 0) {
        FAIL("%s: something was printed", shim->name);
    }
    if (!has_failed(shim, answer)) {
        FAIL("%s: answers %jd", shim->name, (intmax_t)answer);
    }
    /* WSAStartup answers its error and sets none. */
    if (last_error() != WSAECONNABORTED && !(shim->failed == THE_ERROR && answer == WSAECONNABORTED)) {
        FAIL("%s: last error %jd", shim->name, (intmax_t)last_error());
    }
    ssl_get_error_text(NULL, text, sizeof text, &length);
    if (ssl_get_error(NULL) != SSL_ERR_INTERNAL || strstr(text, shim->name) == NULL) {
        FAIL("%s: the text is %s", shim->name, text);
    }
}

static void a_panic_in_a_shim(const struct way *way)
{
    panic(find_shim(way->name));
}

static void panics_in_all_shims_and_then_none(const struct way *way)
{
    (void)way;
    for (const struct shim *shim = shims; shim->name != NULL; shim++) {
        panic(shim);
    }
    set_last_error(5);
    CHECK(last_error() == 5);
}

static void every_shim_is_exported(const struct way *way)
{
    (void)way;
    for (const struct shim *shim = shims; shim->name != NULL; shim++) {
        const struct way *name = exported_names();
        while (name->name != NULL && strcmp(name->name, shim->name) != 0) {
            name++;
        }
        if (name->name == NULL) {
            FAIL("%s is not exported", shim->name);
        }
    }
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"every_shim_is_exported", every_shim_is_exported, NULL, 0},
        {"a_panic_in_a_shim", a_panic_in_a_shim, every_shim(), 0},
        {"panics_in_all_shims_and_then_none", panics_in_all_shims_and_then_none, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
