/* Windows: atomic changes of LONGs and pointers, each a full barrier. */
#ifndef SSLSOCK_WCE_INTERLOCKED_H
#define SSLSOCK_WCE_INTERLOCKED_H

#include "../windef.h"

/* Also for long, which is the same type on Windows. */
#define SSLSOCK_WCE_INTERLOCKED(type)                                                               \
    static __inline__ type InterlockedIncrement(type volatile *target)                              \
    {                                                                                               \
        return __sync_add_and_fetch(target, 1);                                                     \
    }                                                                                               \
    static __inline__ type InterlockedDecrement(type volatile *target)                              \
    {                                                                                               \
        return __sync_sub_and_fetch(target, 1);                                                     \
    }                                                                                               \
    static __inline__ type InterlockedExchange(type volatile *target, type value)                   \
    {                                                                                               \
        return __atomic_exchange_n(target, value, __ATOMIC_SEQ_CST);                                \
    }                                                                                               \
    static __inline__ type InterlockedExchangeAdd(type volatile *target, type value)                \
    {                                                                                               \
        return __sync_fetch_and_add(target, value);                                                 \
    }                                                                                               \
    static __inline__ type InterlockedCompareExchange(type volatile *target, type value, type when) \
    {                                                                                               \
        return __sync_val_compare_and_swap(target, when, value);                                    \
    }

#ifdef __cplusplus
extern "C++" {
SSLSOCK_WCE_INTERLOCKED(LONG)
SSLSOCK_WCE_INTERLOCKED(long)
}
#else
SSLSOCK_WCE_INTERLOCKED(LONG)
#define InterlockedIncrement(target) ((LONG)__sync_add_and_fetch((target), 1))
#define InterlockedDecrement(target) ((LONG)__sync_sub_and_fetch((target), 1))
#define InterlockedExchange(target, value) ((LONG)__atomic_exchange_n((target), (value), __ATOMIC_SEQ_CST))
#define InterlockedExchangeAdd(target, value) ((LONG)__sync_fetch_and_add((target), (value)))
#define InterlockedCompareExchange(target, value, when) \
    ((LONG)__sync_val_compare_and_swap((target), (when), (value)))
#endif
#undef SSLSOCK_WCE_INTERLOCKED

static __inline__ PVOID InterlockedExchangePointer(PVOID volatile *target, PVOID value)
{
    return __atomic_exchange_n(target, value, __ATOMIC_SEQ_CST);
}

static __inline__ PVOID InterlockedCompareExchangePointer(PVOID volatile *target, PVOID value, PVOID when)
{
    return __sync_val_compare_and_swap(target, when, value);
}

#endif
