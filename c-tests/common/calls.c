#define _GNU_SOURCE

#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "supervisor.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

struct name {
    int number;
    const char *name;
};

struct kind {
    int number;
    const char *name;
    int errors[ERRORS_MAX];
};

/* By the names under which programs know them, whatever the C library makes of those. */
static const struct kind kinds[] = {
    {SYS_accept4, "accept", {EMFILE, ENFILE, ENOBUFS, ECONNABORTED, EINTR}},
    {SYS_bind, "bind", {EADDRNOTAVAIL, EADDRINUSE, EACCES}},
#ifdef SYS_clone
    {SYS_clone, "clone", {EAGAIN, ENOMEM}},
#endif
    {SYS_clone3, "clone", {EAGAIN, ENOMEM, ENOSYS}},
    {SYS_connect, "connect", {ENETUNREACH, EACCES, EADDRNOTAVAIL, ECONNREFUSED, EINTR}},
    {SYS_dup3, "dup3", {EMFILE, EBUSY, EINTR}},
    {SYS_epoll_create1, "epoll_create", {EMFILE, ENFILE, ENOMEM}},
    {SYS_epoll_ctl, "epoll_ctl", {ENOMEM, ENOSPC}},
    {SYS_epoll_pwait, "epoll_wait", {ENOMEM, EINTR}},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait", {ENOMEM, EINTR}},
#endif
    {SYS_eventfd2, "eventfd", {EMFILE, ENFILE, ENOMEM}},
    {SYS_fcntl, "fcntl", {EPERM}},
    {SYS_fstat, "fstat", {ENOMEM}},
    {SYS_getdents64, "getdents", {EIO, ENOMEM}},
    {SYS_getpeername, "getpeername", {ENOBUFS}},
    {SYS_getrandom, "getrandom", {EINTR}},
    {SYS_getsockname, "getsockname", {ENOBUFS}},
    {SYS_getsockopt, "getsockopt", {ENOBUFS, ENOPROTOOPT}},
    {SYS_ioctl, "ioctl", {ENOMEM}},
    {SYS_listen, "listen", {EADDRINUSE}},
    {SYS_lseek, "lseek", {EPERM}},
    {SYS_mmap, "mmap of a stack", {ENOMEM}},
    {SYS_newfstatat, "fstat", {ENOMEM}},
    {SYS_openat, "open", {EMFILE, ENFILE, ENOENT, EACCES, EINTR}},
#ifdef SYS_poll
    {SYS_poll, "poll", {ENOMEM, EINTR}},
#endif
    {SYS_ppoll, "poll", {ENOMEM, EINTR}},
    {SYS_prctl, "prctl", {EPERM}},
    {SYS_read, "read", {EIO, EINTR}},
#ifdef SYS_readlink
    {SYS_readlink, "readlink", {ENOMEM}},
#endif
    {SYS_readlinkat, "readlink", {ENOMEM, EACCES}},
    {SYS_recvfrom, "recv", {ECONNRESET, ENOBUFS, EINTR}},
    {SYS_sched_getaffinity, "sched_getaffinity", {EPERM}},
    {SYS_sendto, "send", {ECONNRESET, ENOBUFS, EINTR}},
    {SYS_setsockopt, "setsockopt", {ENOBUFS, ENOPROTOOPT}},
    {SYS_shutdown, "shutdown", {ENOTCONN}},
    {SYS_socket, "socket", {EMFILE, ENFILE, ENOBUFS, EAFNOSUPPORT, EACCES}},
    {SYS_socketpair, "socketpair", {EMFILE, ENFILE, EOPNOTSUPP}},
    {SYS_statx, "statx", {ENOMEM}},
    {SYS_write, "write", {EIO, EINTR}},
};

static const struct name commands[] = {
    {F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"},
    {F_GETFD, "F_GETFD"},
    {F_SETFD, "F_SETFD"},
    {F_GETFL, "F_GETFL"},
    {F_SETFL, "F_SETFL"},
    {F_SETOWN, "F_SETOWN"},
    {F_GETOWN_EX, "F_GETOWN_EX"},
    {F_SETOWN_EX, "F_SETOWN_EX"},
    {F_GETSIG, "F_GETSIG"},
    {F_SETSIG, "F_SETSIG"},
};

static const struct name socket_options[] = {
    {SO_ACCEPTCONN, "SO_ACCEPTCONN"}, {SO_BUF_LOCK, "SO_BUF_LOCK"},   {SO_DOMAIN, "SO_DOMAIN"},
    {SO_ERROR, "SO_ERROR"},           {SO_KEEPALIVE, "SO_KEEPALIVE"}, {SO_LINGER, "SO_LINGER"},
    {SO_OOBINLINE, "SO_OOBINLINE"},   {SO_PROTOCOL, "SO_PROTOCOL"},   {SO_RCVBUF, "SO_RCVBUF"},
    {SO_RCVLOWAT, "SO_RCVLOWAT"},
    {SO_RCVTIMEO, "SO_RCVTIMEO"},     {SO_SNDBUF, "SO_SNDBUF"},       {SO_SNDTIMEO, "SO_SNDTIMEO"},
    {SO_TYPE, "SO_TYPE"},             {66, "SO_RCVTIMEO"},            {67, "SO_SNDTIMEO"},
};

static const struct name tcp_options[] = {
    {TCP_NODELAY, "TCP_NODELAY"},
    {TCP_LINGER2, "TCP_LINGER2"},
    {TCP_CORK, "TCP_CORK"},
};

static const struct name operations[] = {
    {EPOLL_CTL_ADD, "EPOLL_CTL_ADD"},
    {EPOLL_CTL_MOD, "EPOLL_CTL_MOD"},
    {EPOLL_CTL_DEL, "EPOLL_CTL_DEL"},
};

static const struct name errors_by_name[] = {
    {EACCES, "EACCES"},           {EADDRINUSE, "EADDRINUSE"},     {EADDRNOTAVAIL, "EADDRNOTAVAIL"},
    {EAFNOSUPPORT, "EAFNOSUPPORT"}, {EAGAIN, "EAGAIN"},           {EBUSY, "EBUSY"},
    {ECONNABORTED, "ECONNABORTED"}, {ECONNREFUSED, "ECONNREFUSED"}, {ECONNRESET, "ECONNRESET"},
    {EINTR, "EINTR"},             {EIO, "EIO"},                   {EMFILE, "EMFILE"},
    {ENETUNREACH, "ENETUNREACH"}, {ENFILE, "ENFILE"},             {ENOBUFS, "ENOBUFS"},
    {ENOENT, "ENOENT"},           {ENOMEM, "ENOMEM"},             {ENOPROTOOPT, "ENOPROTOOPT"},
    {ENOSPC, "ENOSPC"},           {ENOSYS, "ENOSYS"},             {ENOTCONN, "ENOTCONN"},
    {EOPNOTSUPP, "EOPNOTSUPP"},   {EPERM, "EPERM"},
};

static const char *name_of(const struct name *names, size_t count, int number)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].number == number) {
            return names[i].name;
        }
    }
    return "?";
}

static const struct kind *kind_of(int number)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].number == number) {
            return &kinds[i];
        }
    }
    return NULL;
}

static const char *option_of(const struct call *call)
{
    int option = (int)call->arguments[2];

    switch ((int)call->arguments[1]) {
    case SOL_SOCKET:
        return name_of(socket_options, COUNT_OF(socket_options), option);
    case IPPROTO_TCP:
        return name_of(tcp_options, COUNT_OF(tcp_options), option);
    case IPPROTO_IPV6:
        return option == IPV6_V6ONLY ? "IPV6_V6ONLY" : "?";
    default:
        return "?";
    }
}

/* A path without what differs from one run to the next. */
static void append_path(char *text, size_t size, const char *path)
{
    size_t length = strlen(text);

    while (*path != '\0' && length + 1 < size) {
        if (*path >= '0' && *path <= '9') {
            text[length++] = 'N';
            path += strspn(path, "0123456789");
        } else {
            text[length++] = *path++;
        }
    }
    text[length] = '\0';
}

static int is_unix_socket(int fd)
{
    int domain = 0;
    socklen_t length = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
}

void call_describe(struct call *call)
{
    const struct kind *kind = kind_of(call->number);
    const char *about = "";

    switch (call->number) {
    case SYS_fcntl:
        about = name_of(commands, COUNT_OF(commands), (int)call->arguments[1]);
        break;
    case SYS_getsockopt:
    case SYS_setsockopt:
        about = option_of(call);
        break;
    case SYS_epoll_ctl:
        about = name_of(operations, COUNT_OF(operations), (int)call->arguments[1]);
        break;
    case SYS_connect:
        about = ((const struct sockaddr *)(uintptr_t)call->arguments[1])->sa_family == AF_UNSPEC ? "AF_UNSPEC" : "";
        break;
    case SYS_shutdown:
        about = is_unix_socket((int)call->arguments[0]) ? "AF_UNIX" : "";
        break;
    default:
        break;
    }
    if (kind == NULL) {
        snprintf(call->text, sizeof call->text, "call %d", call->number);
        return;
    }
    snprintf(call->text, sizeof call->text, "%s%s%s", kind->name, *about ? " " : "", about);
    if (call->number == SYS_openat) {
        append_path(call->text, sizeof call->text - 1, " ");
        append_path(call->text, sizeof call->text, (const char *)(uintptr_t)call->arguments[1]);
    }
}

void call_errors(const struct call *call, int errors[ERRORS_MAX])
{
    static const int duplicating[] = {EMFILE, ENOMEM, 0};
    static const int relaying[] = {ENOBUFS, EINTR, 0};
    static const int none[] = {0};
    static const int unknown[] = {EPERM, 0};
    const struct kind *kind = kind_of(call->number);
    const int *chosen = kind == NULL ? unknown : kind->errors;

    /* That an end of the inner pair was reset would be news of the program, not a failure. */
    if (call->caller == OTHER_THREAD && (call->number == SYS_recvfrom || call->number == SYS_sendto)) {
        chosen = relaying;
    }
    if (call->number == SYS_fcntl && (int)call->arguments[1] == F_DUPFD_CLOEXEC) {
        chosen = duplicating;
    }
    /* The kernel never refuses this, and there is no other way to end such a connection. */
    if (strcmp(call->text, "shutdown AF_UNIX") == 0) {
        chosen = none;
    }
    memset(errors, 0, ERRORS_MAX * sizeof *errors);
    for (int i = 0, used = 0; chosen[i] != 0; i++) {
        /* An open descriptor has its file. */
        if (chosen[i] != ENOENT || strstr(call->text, "/fdinfo/") == NULL) {
            errors[used++] = chosen[i];
        }
    }
}

const char *error_name(int error)
{
    return name_of(errors_by_name, COUNT_OF(errors_by_name), error);
}
