#define _GNU_SOURCE

#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ways.h"

#define USUAL_SECONDS 60

struct tally {
    int passed;
    int failed;
    int skipped;
};

/* Why a test did not pass: the last line that it printed and that says something. */
static void last_line(FILE *output, char *why, size_t size)
{
    char line[1024];

    why[0] = '\0';
    rewind(output);
    while (fgets(line, sizeof line, output) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        /* A sanitizer has "==1234==ABORTING" after its summary; notes are printed in any case. */
        if (line[0] != '\0' && line[0] != '=' && line[0] != '#') {
            snprintf(why, size, "%s", line);
        }
    }
}

/* Passes on the figures that it measured, which are lines that begin with "# ". */
static void print_figures(FILE *output, const char *name)
{
    char line[1024];

    rewind(output);
    while (fgets(line, sizeof line, output) != NULL) {
        if (strncmp(line, "# ", 2) == 0) {
            printf("# %s: %s", name, line + 2);
        }
    }
}

/* Waits for the child, or ends it when its time is over. */
static int await(pid_t child, unsigned seconds, int *status)
{
    struct timespec now;
    struct timespec limit;
    struct timespec left;
    sigset_t ended;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += (time_t)seconds;
    while (waitpid(child, status, WNOHANG) == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > limit.tv_sec) {
            kill(-child, SIGKILL);
            waitpid(child, status, 0);
            return 0;
        }
        left.tv_sec = 1;
        left.tv_nsec = 0;
        sigtimedwait(&ended, NULL, &left);
    }
    return 1;
}

static void run_one(const struct test *test, const struct way *way, const char *name, struct tally *tally)
{
    FILE *output = tmpfile();
    sigset_t ended;
    sigset_t before;
    char why[1024];
    int status;
    int in_time;
    pid_t child;

    if (output == NULL) {
        perror("tmpfile");
        exit(EXIT_FAILURE);
    }
    fflush(stdout);
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, &before);
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        dup2(fileno(output), STDOUT_FILENO);
        dup2(fileno(output), STDERR_FILENO);
        fclose(output);
        test->run(way);
        exit(EXIT_SUCCESS);
    }
    setpgid(child, child);
    in_time = await(child, test->seconds != 0 ? test->seconds : USUAL_SECONDS, &status);
    sigprocmask(SIG_SETMASK, &before, NULL);
    /* What a failed test left running. */
    kill(-child, SIGKILL);
    last_line(output, why, sizeof why);

    if (in_time && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) {
        printf("ok %s\n", name);
        print_figures(output, name);
        tally->passed++;
    } else if (in_time && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
        printf("skip %s: %s\n", name, why);
        tally->skipped++;
    } else {
        if (!in_time) {
            printf("not ok %s: not over in time; last said: %s\n", name, why);
        } else if (WIFSIGNALED(status)) {
            printf("not ok %s: signal %d; last said: %s\n", name, WTERMSIG(status), why);
        } else {
            printf("not ok %s: %s\n", name, why);
        }
        tally->failed++;
        rewind(output);
        for (int byte = fgetc(output); byte != EOF; byte = fgetc(output)) {
            fputc(byte, stderr);
        }
    }
    fclose(output);
}

static int is_chosen(const char *name, int argc, char **argv)
{
    if (argc < 2) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i]) != NULL) {
            return 1;
        }
    }
    return 0;
}

static void run_if_chosen(const struct test *test, const struct way *way, int argc, char **argv, struct tally *tally)
{
    char name[256];

    if (way == NULL) {
        snprintf(name, sizeof name, "%s", test->name);
    } else {
        snprintf(name, sizeof name, "%s (%s)", test->name, way->name);
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        puts(name);
    } else if (is_chosen(name, argc, argv)) {
        run_one(test, way, name, tally);
    }
}

void note(const char *format, ...)
{
    va_list arguments;

    printf("# ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

int rounds(int usual, int thorough)
{
    return getenv("SSLSOCK_LONG") != NULL ? thorough : usual;
}

int run_tests(int argc, char **argv, const struct test *tests)
{
    struct tally tally = {0, 0, 0};

    for (const struct test *test = tests; test->name != NULL; test++) {
        if (test->ways == NULL) {
            run_if_chosen(test, NULL, argc, argv, &tally);
            continue;
        }
        for (const struct way *way = test->ways; way->name != NULL; way++) {
            run_if_chosen(test, way, argc, argv, &tally);
        }
    }
    printf("%d passed, %d failed, %d skipped\n", tally.passed, tally.failed, tally.skipped);
    return tally.failed > 0 || tally.passed + tally.skipped == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
