/*
 * Three functions that rustc's instrumentation calls for ThreadSanitizer and that GCC's runtime does not have under
 * these names. What they call is intercepted, so the accesses are seen.
 */
#include <string.h>

void *__tsan_memcpy(void *to, const void *from, size_t length);
void *__tsan_memmove(void *to, const void *from, size_t length);
void *__tsan_memset(void *to, int value, size_t length);

void *__tsan_memcpy(void *to, const void *from, size_t length)
{
    return memcpy(to, from, length);
}

void *__tsan_memmove(void *to, const void *from, size_t length)
{
    return memmove(to, from, length);
}

void *__tsan_memset(void *to, int value, size_t length)
{
    return memset(to, value, length);
}
