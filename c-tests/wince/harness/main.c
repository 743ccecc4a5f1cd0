/* Runs a program of this folder: its arguments as wide strings, and the threads of client.h. Linux only. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wchar.h>

#define MAX_ARGUMENTS 16
#define MAX_LENGTH 1024

extern int RunClient(int argc, wchar_t *argv[]);

struct start {
    uint32_t (*function)(void *parameter);
    void *parameter;
};

static void *run(void *opaque)
{
    struct start start = *(struct start *)opaque;

    free(opaque);
    return (void *)(uintptr_t)start.function(start.parameter);
}

void *StartThread(uint32_t (*function)(void *parameter), void *parameter)
{
    struct start *start = malloc(sizeof *start);
    pthread_t *thread = malloc(sizeof *thread);

    if (start == NULL || thread == NULL)
        abort();
    start->function = function;
    start->parameter = parameter;
    if (pthread_create(thread, NULL, run, start) != 0)
        abort();
    return thread;
}

int WaitForThread(void *handle, uint32_t milliseconds)
{
    pthread_t *thread = handle;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (pthread_timedjoin_np(*thread, NULL, &until) != 0)
        return 0;
    free(thread);
    return 1;
}

int main(int argc, char *argv[])
{
    static wchar_t texts[MAX_ARGUMENTS][MAX_LENGTH];
    wchar_t *wide[MAX_ARGUMENTS + 1] = {NULL};

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 3 || argc > MAX_ARGUMENTS) {
        fprintf(stderr, "usage: %s HOST PORT [ARGUMENTS]\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < argc; i++) {
        for (int at = 0; at < MAX_LENGTH - 1 && argv[i][at] != '\0'; at++)
            texts[i][at] = (unsigned char)argv[i][at];
        wide[i] = texts[i];
    }
    return RunClient(argc, wide);
}
