/*
 * Winsock's select and its sets, which list sockets. winsock2.h includes this after it has declared SOCKET.
 *
 * The system's own fd_set is declared by <stdlib.h> and other headers, so ours has its name by a macro.
 */
#ifndef SSLSOCK_WCE_SELECT_H
#define SSLSOCK_WCE_SELECT_H

#include "../windef.h"

#include <sys/select.h>

/* Whatever the program has defined: a set must not depend on which header was included first. */
#define SSLSOCK_WCE_FD_SETSIZE 1024
#undef FD_SETSIZE
#define FD_SETSIZE SSLSOCK_WCE_FD_SETSIZE

#undef FD_SET
#undef FD_CLR
#undef FD_ISSET
#undef FD_ZERO
#define fd_set sslsock_wce_fd_set

typedef struct fd_set {
    unsigned int fd_count;
    SOCKET fd_array[SSLSOCK_WCE_FD_SETSIZE];
} fd_set;

typedef struct fd_set FD_SET, *PFD_SET, *LPFD_SET;
typedef struct timeval TIMEVAL, *PTIMEVAL, *LPTIMEVAL;

static __inline__ int __WSAFDIsSet(SOCKET s, fd_set *set)
{
    unsigned int at;
    for (at = 0; at < set->fd_count && at < SSLSOCK_WCE_FD_SETSIZE; at++) {
        if (set->fd_array[at] == s) {
            return TRUE;
        }
    }
    return FALSE;
}

/* A full set stays as it is. */
static __inline__ void sslsock_wce_fd_add(SOCKET s, fd_set *set)
{
    if (set->fd_count < SSLSOCK_WCE_FD_SETSIZE && !__WSAFDIsSet(s, set)) {
        set->fd_array[set->fd_count++] = s;
    }
}

static __inline__ void sslsock_wce_fd_remove(SOCKET s, fd_set *set)
{
    unsigned int from;
    unsigned int to = 0;
    for (from = 0; from < set->fd_count && from < SSLSOCK_WCE_FD_SETSIZE; from++) {
        if (set->fd_array[from] != s) {
            set->fd_array[to++] = set->fd_array[from];
        }
    }
    set->fd_count = to;
}

#define FD_SET(s, set) sslsock_wce_fd_add((SOCKET)(s), (fd_set *)(set))
#define FD_CLR(s, set) sslsock_wce_fd_remove((SOCKET)(s), (fd_set *)(set))
#define FD_ISSET(s, set) __WSAFDIsSet((SOCKET)(s), (fd_set *)(set))
#define FD_ZERO(set) ((void)(((fd_set *)(set))->fd_count = 0))

#ifndef timerisset
#define timerisset(time) ((time)->tv_sec || (time)->tv_usec)
#endif
#ifndef timerclear
#define timerclear(time) ((void)((time)->tv_sec = (time)->tv_usec = 0))
#endif
#ifndef timercmp
#define timercmp(one, other, compare) \
    ((one)->tv_sec == (other)->tv_sec ? (one)->tv_usec compare(other)->tv_usec : (one)->tv_sec compare(other)->tv_sec)
#endif

/*
 * Waits until a socket of `readable` can be read, accepted from, or has ended; one of `writable` can be written or has got
 * connected; one of `failed` could not be connected or has urgent data. The sets then hold these sockets alone, and the
 * answer is how many they are in all. A connect that failed shows in `failed` only; if the socket is not in that set, in
 * `writable`; if it is not in that one either, in `readable`.
 *
 * `ignored` is. Without `timeout` the call waits for as long as it takes; it is not ended by a signal. -1 and
 * WSAGetLastError: WSAENOTSOCK for what is no socket, WSAEINVAL for a negative time, for a set with more than FD_SETSIZE
 * sockets and where there is no socket in any set, WSAEFAULT for a pointer that cannot be one.
 *
 * In C++ this is an overload of the system's select. That one is chosen where all three sets are the constant NULL: it
 * waits for the given time and answers 0.
 */
#ifdef __cplusplus
extern "C++" int select(int ignored, fd_set *readable, fd_set *writable, fd_set *failed, const struct timeval *timeout)
    SSLSOCK_WCE(select);
#else
#define select sslsock_wce_select
int select(int ignored, fd_set *readable, fd_set *writable, fd_set *failed, const struct timeval *timeout)
    SSLSOCK_WCE(select);
#endif

SSLSOCK_WCE_ASSERT(sizeof(struct timeval) == 2 * sizeof(long), "timeval");

#endif
