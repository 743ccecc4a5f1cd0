/* Loads, uses and unloads the library again and again, in threads that end. */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "../common/peer.h"
#include "../common/test.h"
#include "api.h"

/* 100 in either run: it is what the library is held to. */
#define ROUNDS rounds(100, 100)

static void use(const struct way *way)
{
    struct api api;

    api_load(&api, RTLD_NOW | RTLD_LOCAL);
    api_converse(&api, way);
    CHECK(dlclose(api.library) == 0);
}

static void *use_in_thread(void *argument)
{
    use(argument);
    return NULL;
}

static void check_descriptors(int round, int *expected)
{
    if (round == 0) {
        /* The relay stays. */
        sleep_ms(100);
        *expected = open_descriptors();
    }
}

static void load_use_unload(const struct way *way)
{
    int expected = 0;

    for (int round = 0; round < ROUNDS; round++) {
        use(way);
        check_descriptors(round, &expected);
    }
    sleep_ms(200);
    CHECK(open_descriptors() == expected);
}

static void load_use_unload_in_threads_that_end(const struct way *way)
{
    int expected = 0;

    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, use_in_thread, (void *)(uintptr_t)way) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        check_descriptors(round, &expected);
    }
    sleep_ms(200);
    CHECK(open_descriptors() == expected);
}

static void threads_of_one_load(const struct way *way)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    struct api api;

    api_load(&api, RTLD_NOW);
    for (int round = 0; round < (ROUNDS + 9) / 10; round++) {
        for (size_t i = 0; i < THREADS; i++) {
            CHECK(pthread_create(&threads[i], NULL, use_in_thread, (void *)(uintptr_t)way) == 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
    }
    CHECK(dlclose(api.library) == 0);
}

static void a_thread_uses_it_after_another_has_unloaded_it(const struct way *way)
{
    struct api api;

    api_load(&api, RTLD_NOW);
    CHECK(dlclose(api.library) == 0);
    /* It stays, for its threads and handlers. */
    api_converse(&api, way);
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"load_use_unload", load_use_unload, ways, 600},
        {"load_use_unload_in_threads_that_end", load_use_unload_in_threads_that_end, ways, 600},
        {"threads_of_one_load", threads_of_one_load, ways, 600},
        {"a_thread_uses_it_after_another_has_unloaded_it", a_thread_uses_it_after_another_has_unloaded_it, ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
