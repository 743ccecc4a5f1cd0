#define _GNU_SOURCE

#include "extent.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "peer.h"

struct extent extent_now(void)
{
    struct extent extent = {.descriptors = open_descriptors()};
    DIR *folder = opendir("/proc/self/task");

    CHECK(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[300];
        char name[32] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file == NULL) {
            continue;
        }
        extent.threads++;
        extent.relay_threads += fgets(name, sizeof name, file) != NULL && strcmp(name, "sslsock\n") == 0;
        fclose(file);
    }
    closedir(folder);
    return extent;
}

void expect_nothing_left_since(const struct extent *before)
{
    struct extent now;
    int relays;
    long until = milliseconds() + 10000;

    do {
        sleep_ms(1);
        now = extent_now();
        relays = now.relay_threads - before->relay_threads;
        if (relays <= 1 && now.descriptors - before->descriptors == 2 * relays && now.threads - before->threads == relays) {
            return;
        }
    } while (milliseconds() < until);
    FAIL("left behind: %d descriptors, %d threads, of which %d are the relay's", now.descriptors - before->descriptors,
         now.threads - before->threads, relays);
}
