/* What a process is made of, seen from inside: children, threads, descriptors, memory. */
#ifndef SSLSOCK_TESTS_PROCESS_H
#define SSLSOCK_TESTS_PROCESS_H

#include <sys/types.h>

/* Waits for the child, which has to end with status 0. */
void expect_success(pid_t child);

/* How many threads the process has. */
int threads(void);

/* How many of them are the library's; the signals that all of those block, as in SigBlk of /proc/self/task/N/status. */
int library_threads(unsigned long long *blocked_by_all);

/* Waits until the thread is inside the system call of that number: SYS_*, SYS_ppoll for any kind of poll. */
void await_system_call(pid_t thread, long number);

/* How many sockets, epoll instances and the like are open beside 0, 1 and 2; each is printed. */
int sockets_open(void);

/* VmRSS, in KiB. */
long resident_kib(void);

#endif
