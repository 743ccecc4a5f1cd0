/* Loads, uses and unloads the library again and again, in threads that end. */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/peer.h"
#include "../common/process.h"
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

/* A connection that lives, and a thread inside a call of the library, while it is unloaded. */
struct inside {
    struct api api;
    pthread_t thread;
    ssl_socket *s;
    atomic_int id;
};

static void *receive_inside(void *argument)
{
    struct inside *inside = argument;
    char answer[5];

    atomic_store(&inside->id, gettid());
    CHECK(inside->api.recv(inside->s, answer, 5, MSG_WAITALL) == 5 && memcmp(answer, "hello", 5) == 0);
    return NULL;
}

static void unloaded_beside_a_thread_that_is_inside(const struct way *way)
{
    for (int round = 0; round < rounds(20, 100); round++) {
        int fd = peer_connect(way->peer);
        struct inside inside;

        api_load(&inside.api, RTLD_NOW | RTLD_LOCAL);
        inside.s = api_upgrade(&inside.api, way, fd);
        CHECK(inside.api.send(inside.s, "echo\n", 5, 0) == 5);
        atomic_store(&inside.id, 0);
        CHECK(pthread_create(&inside.thread, NULL, receive_inside, &inside) == 0);
        while (atomic_load(&inside.id) == 0) {
            sleep_ms(1);
        }
        await_system_call(atomic_load(&inside.id), way->flags & SSL_FLAG_EXPLICIT_IO ? SYS_ppoll : SYS_recvfrom);
        CHECK(dlclose(inside.api.library) == 0);
        /* Its code is there still, for the thread, for the relay and for whoever holds an address of it. */
        CHECK(inside.api.send(inside.s, "hello", 5, 0) == 5);
        CHECK(pthread_join(inside.thread, NULL) == 0);
        CHECK(inside.api.socket_free(inside.s) == SSL_ERR_OKAY);
        CHECK(close(fd) == 0);
    }
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
        {"unloaded_beside_a_thread_that_is_inside", unloaded_beside_a_thread_that_is_inside, each_mode, 600},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
