#define _GNU_SOURCE

#include "marker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define TEXT "untouched"
#define LENGTH (sizeof TEXT - 1)

enum { FILE_KIND, PIPE_KIND, SOCKETS_KIND };

static int count_of(const struct marker *marker)
{
    return marker->kind == FILE_KIND ? 1 : 2;
}

static ino_t inode_of(int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        FAIL("somebody closed descriptor %d: %s", fd, strerror(errno));
    }
    return status.st_ino;
}

struct marker marker_open(int kind)
{
    struct marker marker = {{-1, -1}, {0, 0}, {0, 0}, kind % MARKER_KINDS};

    if (marker.kind == FILE_KIND) {
        marker.fds[0] = memfd_create("marker", 0);
        CHECK(marker.fds[0] >= 0 && write(marker.fds[0], TEXT, LENGTH) == (ssize_t)LENGTH);
    } else if (marker.kind == PIPE_KIND) {
        CHECK(pipe(marker.fds) == 0 && write(marker.fds[1], TEXT, LENGTH) == (ssize_t)LENGTH);
    } else {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, marker.fds) == 0);
        CHECK(write(marker.fds[0], TEXT, LENGTH) == (ssize_t)LENGTH);
        CHECK(write(marker.fds[1], TEXT, LENGTH) == (ssize_t)LENGTH);
    }
    for (int i = 0; i < count_of(&marker); i++) {
        marker.inodes[i] = inode_of(marker.fds[i]);
        marker.flags[i] = fcntl(marker.fds[i], F_GETFL);
    }
    return marker;
}

int marker_has(const struct marker *marker, int fd)
{
    return fd >= 0 && (marker->fds[0] == fd || marker->fds[1] == fd);
}

static void expect_text(int fd, int flags)
{
    char text[LENGTH + 1];
    int waiting = -1;
    ssize_t count;

    CHECK(ioctl(fd, FIONREAD, &waiting) == 0);
    count = flags ? recv(fd, text, sizeof text, flags) : pread(fd, text, sizeof text, 0);
    if (waiting != (int)LENGTH * (flags != 0) || count != (ssize_t)LENGTH || memcmp(text, TEXT, LENGTH) != 0) {
        FAIL("descriptor %d: %d bytes wait, %zd were read", fd, waiting, count);
    }
}

void marker_check(const struct marker *marker)
{
    for (int i = 0; i < count_of(marker); i++) {
        int fd = marker->fds[i];
        if (inode_of(fd) != marker->inodes[i]) {
            FAIL("descriptor %d is something else", fd);
        }
        if (fcntl(fd, F_GETFL) != marker->flags[i] || fcntl(fd, F_GETFD) != 0) {
            FAIL("somebody changed the flags of descriptor %d", fd);
        }
        if (marker->kind == SOCKETS_KIND) {
            expect_text(fd, MSG_PEEK | MSG_DONTWAIT);
        }
    }
    if (marker->kind == FILE_KIND) {
        expect_text(marker->fds[0], 0);
        CHECK(lseek(marker->fds[0], 0, SEEK_CUR) == (off_t)LENGTH);
    } else if (marker->kind == PIPE_KIND) {
        int waiting = -1;
        CHECK(ioctl(marker->fds[0], FIONREAD, &waiting) == 0 && waiting == (int)LENGTH);
    }
}

void marker_close(struct marker *marker)
{
    marker_check(marker);
    if (marker->kind == PIPE_KIND) {
        char text[LENGTH];
        CHECK(read(marker->fds[0], text, LENGTH) == (ssize_t)LENGTH && memcmp(text, TEXT, LENGTH) == 0);
    }
    for (int i = 0; i < count_of(marker); i++) {
        if (close(marker->fds[i]) != 0) {
            FAIL("close(%d): %s", marker->fds[i], strerror(errno));
        }
        marker->fds[i] = -1;
    }
}
