/* Windows: critical sections, which a thread may enter again while it is inside. */
#ifndef SSLSOCK_WCE_CRITICAL_SECTION_H
#define SSLSOCK_WCE_CRITICAL_SECTION_H

#include "../windef.h"

#include <pthread.h>

SSLSOCK_WCE_BEGIN

typedef struct CRITICAL_SECTION {
    pthread_mutex_t mutex;
} CRITICAL_SECTION, *PCRITICAL_SECTION, *LPCRITICAL_SECTION;

/* pthread.h declares it only for programs that ask for POSIX. */
int sslsock_wce_set_type(pthread_mutexattr_t *attributes, int type) __asm__("pthread_mutexattr_settype");

static __inline__ void InitializeCriticalSection(LPCRITICAL_SECTION section)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    sslsock_wce_set_type(&attributes, PTHREAD_MUTEX_RECURSIVE_NP);
    pthread_mutex_init(&section->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static __inline__ BOOL InitializeCriticalSectionAndSpinCount(LPCRITICAL_SECTION section, DWORD spins)
{
    (void)spins;
    InitializeCriticalSection(section);
    return TRUE;
}

static __inline__ void EnterCriticalSection(LPCRITICAL_SECTION section)
{
    pthread_mutex_lock(&section->mutex);
}

static __inline__ BOOL TryEnterCriticalSection(LPCRITICAL_SECTION section)
{
    return pthread_mutex_trylock(&section->mutex) == 0;
}

static __inline__ void LeaveCriticalSection(LPCRITICAL_SECTION section)
{
    pthread_mutex_unlock(&section->mutex);
}

static __inline__ void DeleteCriticalSection(LPCRITICAL_SECTION section)
{
    pthread_mutex_destroy(&section->mutex);
}

SSLSOCK_WCE_END

#endif
