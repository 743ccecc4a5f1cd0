#define _GNU_SOURCE

#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "peer.h"

#define PATIENCE_MS 20000

void expect_success(pid_t child)
{
    int status = 0;

    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        FAIL("the child ended with status %#x", (unsigned)status);
    }
}

int threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    CHECK(tasks != NULL);
    for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
        count += entry->d_name[0] != '.';
    }
    closedir(tasks);
    return count;
}

int library_threads(unsigned long long *blocked_by_all)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    CHECK(tasks != NULL);
    *blocked_by_all = ~0ULL;
    for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
        char path[300];
        char line[256];
        char name[64] = "";
        unsigned long long blocked = 0;
        FILE *status;

        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        status = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (status == NULL) {
            continue;
        }
        while (fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Name: %63s", name);
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        fclose(status);
        if (strcmp(name, "sslsock") == 0) {
            count++;
            *blocked_by_all &= blocked;
        }
    }
    closedir(tasks);
    return count;
}

void await_system_call(pid_t thread, long number)
{
    long deadline = milliseconds() + PATIENCE_MS;
    char path[64];

    snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", (long)thread);
    for (;;) {
        FILE *file = fopen(path, "r");
        long inside = -1;
        if (file != NULL) {
            /* "running" while it is in none. */
            if (fscanf(file, "%ld", &inside) != 1) {
                inside = -1;
            }
            fclose(file);
        }
        if (inside == number) {
            return;
        }
#ifdef SYS_poll
        if (inside == SYS_poll && number == SYS_ppoll) {
            return;
        }
#endif
        if (milliseconds() > deadline) {
            FAIL("the thread is not in system call %ld after 20 s", number);
        }
        sleep_ms(1);
    }
}

int sockets_open(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    CHECK(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        int number = atoi(entry->d_name);
        if (number > 2 && number != dirfd(folder)) {
            char path[64];
            char target[256] = "";
            snprintf(path, sizeof path, "/proc/self/fd/%d", number);
            if (readlink(path, target, sizeof target - 1) < 0) {
                target[0] = '?';
            }
            if (strncmp(target, "socket:", 7) == 0 || strncmp(target, "anon_inode:", 11) == 0) {
                fprintf(stderr, "descriptor %d is open: %s\n", number, target);
                count++;
            }
        }
    }
    closedir(folder);
    return count;
}

long resident_kib(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;

    CHECK(status != NULL);
    while (fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "VmRSS: %ld", &kib);
    }
    fclose(status);
    CHECK(kib > 0);
    return kib;
}
