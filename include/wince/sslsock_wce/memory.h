/* Windows: memory. Local, global and heap memory are the C library's. */
#ifndef SSLSOCK_WCE_MEMORY_H
#define SSLSOCK_WCE_MEMORY_H

#include "../winerror.h"
#include "standard.h"

SSLSOCK_WCE_BEGIN

#define RtlZeroMemory(to, size) memset((to), 0, (size))
#define RtlFillMemory(to, size, byte) memset((to), (byte), (size))
#define RtlCopyMemory(to, from, size) memcpy((to), (from), (size))
#define RtlMoveMemory(to, from, size) memmove((to), (from), (size))
#define RtlEqualMemory(first, second, size) (memcmp((first), (second), (size)) == 0)
#define ZeroMemory RtlZeroMemory
#define FillMemory RtlFillMemory
#define CopyMemory RtlCopyMemory
#define MoveMemory RtlMoveMemory

/* Not left out by the compiler, however soon the memory is freed. */
static __inline__ PVOID SecureZeroMemory(PVOID to, SIZE_T size)
{
    memset(to, 0, size);
    __asm__ __volatile__("" : : "r"(to) : "memory");
    return to;
}

#define LMEM_FIXED 0x0000
#define LMEM_MOVEABLE 0x0002
#define LMEM_ZEROINIT 0x0040
#define LPTR (LMEM_FIXED | LMEM_ZEROINIT)
#define LHND (LMEM_MOVEABLE | LMEM_ZEROINIT)
#define NONZEROLPTR LMEM_FIXED
#define GMEM_FIXED 0x0000
#define GMEM_MOVEABLE 0x0002
#define GMEM_ZEROINIT 0x0040
#define GPTR (GMEM_FIXED | GMEM_ZEROINIT)
#define GHND (GMEM_MOVEABLE | GMEM_ZEROINIT)
#define HEAP_NO_SERIALIZE 0x0001
#define HEAP_ZERO_MEMORY 0x0008

void sslsock_wce_set_last_error(DWORD number) SSLSOCK_WCE(set_last_error);

static __inline__ void *sslsock_wce_allocate(SIZE_T size, int zeroed)
{
    void *memory = zeroed ? calloc(1, size ? size : 1) : malloc(size ? size : 1);

    if (memory == NULL) {
        sslsock_wce_set_last_error(ERROR_NOT_ENOUGH_MEMORY);
    }
    return memory;
}

static __inline__ void *sslsock_wce_reallocate(void *memory, SIZE_T size, int zeroed)
{
    SIZE_T before = memory == NULL ? 0 : malloc_usable_size(memory);
    void *now = realloc(memory, size ? size : 1);

    if (now == NULL) {
        sslsock_wce_set_last_error(ERROR_NOT_ENOUGH_MEMORY);
    } else if (zeroed && size > before) {
        memset((char *)now + before, 0, size - before);
    }
    return now;
}

/* A handle is the address. */
static __inline__ HLOCAL LocalAlloc(UINT flags, SIZE_T size)
{
    return sslsock_wce_allocate(size, (flags & LMEM_ZEROINIT) != 0);
}

static __inline__ HLOCAL LocalReAlloc(HLOCAL memory, SIZE_T size, UINT flags)
{
    return sslsock_wce_reallocate(memory, size, (flags & LMEM_ZEROINIT) != 0);
}

static __inline__ HLOCAL LocalFree(HLOCAL memory)
{
    free(memory);
    return NULL;
}

static __inline__ SIZE_T LocalSize(HLOCAL memory)
{
    return malloc_usable_size(memory);
}

static __inline__ LPVOID LocalLock(HLOCAL memory)
{
    return memory;
}

static __inline__ BOOL LocalUnlock(HLOCAL memory)
{
    (void)memory;
    return FALSE;
}

static __inline__ HGLOBAL GlobalAlloc(UINT flags, SIZE_T size)
{
    return sslsock_wce_allocate(size, (flags & GMEM_ZEROINIT) != 0);
}

static __inline__ HGLOBAL GlobalReAlloc(HGLOBAL memory, SIZE_T size, UINT flags)
{
    return sslsock_wce_reallocate(memory, size, (flags & GMEM_ZEROINIT) != 0);
}

static __inline__ HGLOBAL GlobalFree(HGLOBAL memory)
{
    free(memory);
    return NULL;
}

static __inline__ SIZE_T GlobalSize(HGLOBAL memory)
{
    return malloc_usable_size(memory);
}

static __inline__ LPVOID GlobalLock(HGLOBAL memory)
{
    return memory;
}

static __inline__ BOOL GlobalUnlock(HGLOBAL memory)
{
    (void)memory;
    return FALSE;
}

static __inline__ HANDLE GetProcessHeap(void)
{
    return (HANDLE)1;
}

static __inline__ LPVOID HeapAlloc(HANDLE heap, DWORD flags, SIZE_T size)
{
    (void)heap;
    return sslsock_wce_allocate(size, (flags & HEAP_ZERO_MEMORY) != 0);
}

static __inline__ LPVOID HeapReAlloc(HANDLE heap, DWORD flags, LPVOID memory, SIZE_T size)
{
    (void)heap;
    return sslsock_wce_reallocate(memory, size, (flags & HEAP_ZERO_MEMORY) != 0);
}

static __inline__ BOOL HeapFree(HANDLE heap, DWORD flags, LPVOID memory)
{
    (void)heap;
    (void)flags;
    free(memory);
    return TRUE;
}

static __inline__ SIZE_T HeapSize(HANDLE heap, DWORD flags, const void *memory)
{
    (void)heap;
    (void)flags;
    return malloc_usable_size((void *)(uintptr_t)memory);
}

#define _alloca(size) __builtin_alloca(size)
#ifndef alloca
#define alloca(size) __builtin_alloca(size)
#endif

SSLSOCK_WCE_END

#endif
