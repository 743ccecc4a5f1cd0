/*
 * Whatever the arguments are, no function behind the headers for Windows CE sources does harm: sockets that are none,
 * NULL, lengths that are none, strings that are none. With AddressSanitizer nothing outside of a buffer is touched. The
 * buffers that are given are as long as is said; that a program says more than it has cannot be seen.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <wchar.h>

#include "common/shims.h"
#include "common/test.h"

#define MOST_ARGUMENTS 12
/* Calls of one function: all combinations, or so many of them that a generator picks. */
#define MOST_CALLS 4000
#define LONGEST 5000
#define ROOM 64
/* No structure is longer. */
#define STRUCTURE 512

/* A buffer of exactly so many bytes, so that AddressSanitizer sees one more. */
struct memory {
    void *blocks[MOST_ARGUMENTS * 4];
    size_t count;
};

static void *take(struct memory *memory, size_t size)
{
    void *block = malloc(size);

    CHECK(block != NULL && memory->count < sizeof memory->blocks / sizeof *memory->blocks);
    memory->blocks[memory->count++] = block;
    return block;
}

static void give_back(struct memory *memory)
{
    while (memory->count > 0) {
        free(memory->blocks[--memory->count]);
    }
}

/* The number of bytes behind the pointer that was made last, without the NUL of a string. */
static size_t extent;

/* Descriptors that are no sockets, and one that is. */
static int file, plain, closed;

static intptr_t narrow(struct memory *memory, unsigned choice)
{
    static const char *const texts[] = {"", "127.0.0.1", "\xff\xfe\x80", "a b\tc\n", "%"};
    char *text;

    extent = choice == 0 ? 0 : choice <= sizeof texts / sizeof *texts ? strlen(texts[choice - 1]) : LONGEST;
    if (choice == 0) {
        return 0;
    }
    if (choice <= sizeof texts / sizeof *texts) {
        text = take(memory, strlen(texts[choice - 1]) + 1);
        return (intptr_t)strcpy(text, texts[choice - 1]);
    }
    text = take(memory, LONGEST + 1);
    memset(text, 'a', LONGEST);
    text[LONGEST] = '\0';
    return (intptr_t)text;
}

static intptr_t wide(struct memory *memory, unsigned choice)
{
    static const wchar_t beyond[] = {0x110000, 0xd800, -1, 0};
    static const wchar_t *const texts[] = {L"", L"text", beyond, L"%"};
    wchar_t *text;

    extent = choice == 0 ? 0 : choice <= sizeof texts / sizeof *texts ? wcslen(texts[choice - 1]) : LONGEST;
    extent *= sizeof *text;
    if (choice == 0) {
        return 0;
    }
    if (choice <= sizeof texts / sizeof *texts) {
        text = take(memory, (wcslen(texts[choice - 1]) + 1) * sizeof *text);
        return (intptr_t)wcscpy(text, texts[choice - 1]);
    }
    text = take(memory, (LONGEST + 1) * sizeof *text);
    wmemset(text, L'a', LONGEST);
    text[LONGEST] = L'\0';
    return (intptr_t)text;
}

/* Winsock's fd_set. */
struct set {
    uint32_t count;
    uintptr_t sockets[1024];
};

static intptr_t set_of_sockets(struct memory *memory, unsigned choice)
{
    const uintptr_t members[] = {(uintptr_t)file, (uintptr_t)plain, (uintptr_t)-1};
    struct set *set;

    if (choice == 0) {
        return 0;
    }
    set = memset(take(memory, sizeof *set), 0xff, sizeof *set);
    /* Empty, one that is no socket, one that is, or more than there can be. */
    set->count = choice == 1 ? 0 : choice == 4 ? 5000 : 1;
    set->sockets[0] = members[choice % 3];
    return (intptr_t)set;
}

static unsigned choices_of(char kind)
{
    switch (kind) {
    case 's':
    case 'i':
        return 8;
    case 'p':
    case 'o':
        return 3;
    case 'n':
    case 'w':
    case 'd':
    case 'g':
        return 4;
    case 'v':
        return 5;
    case 'z':
        return 7;
    case 'Z':
        return 6;
    case 'q':
    case 'T':
        return 3;
    case 'b':
        return 6;
    case 'S':
        return 5;
    case 'N':
    case 'W':
    case 'e':
    case 'm':
        return 2;
    default:
        return 1;
    }
}

static intptr_t argument(struct memory *memory, char kind, unsigned choice)
{
    const intptr_t sockets[] = {-1, 0, 99999, file, plain, closed, INT_MIN, ((intptr_t)1 << 32) + plain};
    const intptr_t numbers[] = {0, 1, -1, INT_MIN, INT_MAX, 0xffff, 0x2001, 0x1073000d};

    switch (kind) {
    case 's':
        return sockets[choice];
    case 'i':
        return numbers[choice];
    case 'm':
        return choice;
    case 'p':
    case 'o':
        extent = choice == 0 ? 0 : choice == 1 ? 1 : ROOM;
        return choice == 0 ? 0 : (intptr_t)memset(take(memory, extent), choice == 1 ? 0xff : 0, extent);
    case 'n':
    case 'w': {
        const intptr_t lengths[] = {kind == 'n' ? extent : extent / sizeof(wchar_t), 0, -1, INT_MIN};
        return lengths[choice];
    }
    case 'v': {
        const int32_t values[] = {0, -1, INT_MIN, (int32_t)extent};
        if (choice == 0) {
            return 0;
        }
        /* Eight bytes, as there may be a number of 64 bits. */
        return (intptr_t)memcpy(memset(take(memory, 8), 0, 8), &values[choice - 1], 4);
    }
    case 'N':
    case 'W': {
        const intptr_t most = kind == 'N' ? extent : extent / sizeof(wchar_t);
        return choice == 1 ? 0 : extent == 0 ? -1 : most;
    }
    case 'b': {
        const intptr_t small[] = {0, 1, 2, 4, 9, 10};
        return small[choice];
    }
    case 'g': {
        const intptr_t strange[] = {0, 1, -8, (intptr_t)&shims};
        return strange[choice];
    }
    case 'e':
    case 'q':
        return choice == 0 ? 0 : (intptr_t)memset(take(memory, STRUCTURE), choice == 1 ? 0 : 0xff, STRUCTURE);
    case 'S':
        return set_of_sockets(memory, choice);
    case 'T': {
        const struct timeval times[] = {{0, 0}, {0, 1}, {-1, -1}};
        return (intptr_t)memcpy(take(memory, sizeof times[0]), &times[choice], sizeof times[0]);
    }
    case 'd': {
        /* NULL, "", an address, what is too long to be a name. */
        const unsigned texts[] = {0, 1, 2, 6};
        return narrow(memory, texts[choice]);
    }
    case 'z':
        return narrow(memory, choice);
    case 'Z':
        return wide(memory, choice);
    case 'h':
    case 'f':
        return 0;
    default:
        FAIL("no kind of argument: %c", kind);
    }
}

static void call_with(const struct shim *shim, const unsigned *choices)
{
    intptr_t arguments[MOST_ARGUMENTS] = {0};
    struct memory memory = {.count = 0};

    extent = 0;
    for (size_t i = 0; shim->arguments[i] != '\0'; i++) {
        arguments[i] = argument(&memory, shim->arguments[i], choices[i]);
    }
    call_shim(shim, arguments);
    give_back(&memory);
}

static void any_arguments(const struct way *way)
{
    const struct shim *shim = find_shim(way->name);
    size_t count = strlen(shim->arguments);
    unsigned choices[MOST_ARGUMENTS] = {0};
    double combinations = 1;
    struct stat before, after;
    uint32_t generator = 1;
    int flags;

    CHECK(count <= MOST_ARGUMENTS);
    file = open("/dev/null", O_RDWR);
    plain = socket(AF_INET, SOCK_STREAM, 0);
    closed = dup(file);
    CHECK(file >= 0 && plain >= 0 && close(closed) == 0 && fstat(file, &before) == 0);
    flags = fcntl(file, F_GETFL);
    for (size_t i = 0; i < count; i++) {
        combinations *= choices_of(shim->arguments[i]);
    }
    for (int call = 0; call < (combinations < MOST_CALLS ? combinations : MOST_CALLS); call++) {
        unsigned rest = (unsigned)call;
        for (size_t i = 0; i < count; i++) {
            unsigned of = choices_of(shim->arguments[i]);
            if (combinations < MOST_CALLS) {
                choices[i] = rest % of;
                rest /= of;
            } else {
                generator = generator * 1664525 + 1013904223;
                choices[i] = (generator >> 16) % of;
            }
        }
        call_with(shim, choices);
        if (fcntl(plain, F_GETFD) == -1) {
            /* It may close a socket. */
            CHECK(socket(AF_INET, SOCK_STREAM, 0) == plain);
        }
    }
    /* It may not close, shut down or change what is no socket. */
    CHECK(fstat(file, &after) == 0 && after.st_rdev == before.st_rdev && fcntl(file, F_GETFL) == flags);
    CHECK(fcntl(STDOUT_FILENO, F_GETFD) != -1 && fcntl(STDERR_FILENO, F_GETFD) != -1);
}

int main(int argc, char **argv)
{
    static struct way ways[1024];
    static const struct test tests[] = {
        {"any_arguments", any_arguments, ways, 0},
        {NULL, NULL, NULL, 0},
    };
    size_t count = 0;

    for (const struct shim *shim = shims; shim->name != NULL; shim++) {
        CHECK(count + 1 < sizeof ways / sizeof *ways);
        ways[count++].name = shim->name;
    }
    return run_tests(argc, argv, tests);
}
