#define _GNU_SOURCE

#include "supervisor.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "check.h"

/* Options of prctl that the kernel does not know. */
#define MARK_BEGIN 0x534c0001
#define MARK_END 0x534c0002

/*
 * What is not asked about. Memory, clocks, futexes and masks: a process for which those fail is lost anyway. close: the
 * kernel gives the descriptor back whatever it answers, and a call that is not made would be a leak of our own.
 */
static const int unasked[] = {
    SYS_brk,           SYS_munmap,          SYS_mprotect,        SYS_madvise,         SYS_mremap,
    SYS_futex,         SYS_rt_sigaction,    SYS_rt_sigprocmask,  SYS_rt_sigreturn,    SYS_exit,
    SYS_exit_group,    SYS_sched_yield,     SYS_nanosleep,       SYS_clock_nanosleep, SYS_clock_gettime,
    SYS_gettimeofday,  SYS_getpid,          SYS_gettid,          SYS_set_robust_list, SYS_rseq,
    SYS_set_tid_address, SYS_restart_syscall, SYS_tgkill,        SYS_close,
};

#define UNASKED (sizeof unasked / sizeof *unasked)

static struct {
    struct watch *watch;
    int listener;
    sem_t is_ready;
    /* The thread between the marks; 0 outside them. */
    uint32_t upgrading;
    unsigned counts[2][512];
} supervisor;

static int answer_to(const struct seccomp_data *data, uint32_t thread, int32_t *error)
{
    struct watch *watch = supervisor.watch;
    struct call call = {.number = data->nr};
    unsigned *count;

    if (data->nr == SYS_prctl && data->args[0] == MARK_BEGIN) {
        supervisor.upgrading = thread;
        return 0;
    }
    if (data->nr == SYS_prctl && data->args[0] == MARK_END) {
        supervisor.upgrading = 0;
        return 0;
    }
    if (supervisor.upgrading == 0 || data->nr < 0 || data->nr >= 512) {
        return 1;
    }
    call.caller = thread == supervisor.upgrading ? UPGRADING_THREAD : OTHER_THREAD;
    count = &supervisor.counts[call.caller][data->nr];
    call.earlier = (*count)++;
    for (int i = 0; i < 6; i++) {
        call.arguments[i] = data->args[i];
    }
    call_describe(&call);
    if (call.caller == watch->target.caller && watch->count < CALLS_MAX) {
        watch->calls[watch->count++] = call;
    }
    if (watch->error != 0 && call.number == watch->target.number && call.caller == watch->target.caller &&
        call.earlier == watch->target.earlier) {
        /* What came instead may be another one than was meant. */
        watch->target = call;
        watch->done = 1;
        *error = -watch->error;
        return 0;
    }
    return 1;
}

/*
 * Not a thread of what is watched. It may not allocate: the thread that waits for its answer may be inside the
 * allocator.
 */
static void *answer(void *unused)
{
    struct seccomp_notif question;
    struct seccomp_notif_resp reply;

    (void)unused;
    while (sem_wait(&supervisor.is_ready) != 0) {
    }
    for (;;) {
        memset(&question, 0, sizeof question);
        memset(&reply, 0, sizeof reply);
        if (ioctl(supervisor.listener, SECCOMP_IOCTL_NOTIF_RECV, &question) != 0) {
            if (errno == EINTR || errno == ENOENT) {
                continue;
            }
            return NULL;
        }
        reply.id = question.id;
        if (answer_to(&question.data, question.pid, &reply.error)) {
            reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        }
        ioctl(supervisor.listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
}

static unsigned short filter(struct sock_filter *code)
{
    unsigned short length = 0;

    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < UNASKED; i++) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)unasked[i], 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    /* The stack of a new thread is asked about, other memory is not. */
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3]));
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_STACK, 1, 0);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    return length;
}

int supervise(struct watch *watch)
{
    struct sock_filter code[2 * UNASKED + 8];
    struct sock_fprog program = {.filter = code};
    pthread_t thread;
    long listener;

    program.len = filter(code);
    supervisor.watch = watch;
    CHECK(sem_init(&supervisor.is_ready, 0, 0) == 0);
    CHECK(pthread_create(&thread, NULL, answer, NULL) == 0);
    pthread_detach(thread);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return errno;
    }
    listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) {
        return errno;
    }
    supervisor.listener = (int)listener;
    CHECK(sem_post(&supervisor.is_ready) == 0);
    return 0;
}

void mark_begin(void)
{
    CHECK(syscall(SYS_prctl, MARK_BEGIN, 0, 0, 0, 0) == 0);
}

void mark_end(void)
{
    CHECK(syscall(SYS_prctl, MARK_END, 0, 0, 0, 0) == 0);
}
