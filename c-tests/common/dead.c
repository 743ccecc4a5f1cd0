#define _GNU_SOURCE

#include "dead.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "check.h"

#define PASSWORD "PASS hunter2\r\n"

void expect_dead(int fd)
{
    char byte;

    for (int i = 0; i < 3; i++) {
        ssize_t count = send(fd, PASSWORD, strlen(PASSWORD), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0 || (errno != EPIPE && errno != ECONNRESET)) {
            FAIL("send after the failure: %zd, %s", count, count < 0 ? strerror(errno) : "sent");
        }
        count = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (count > 0 || (count < 0 && errno == EAGAIN)) {
            FAIL("recv after the failure: %zd, %s", count, count < 0 ? strerror(errno) : "received");
        }
    }
}
