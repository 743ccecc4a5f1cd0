/*
 * Formats with Microsoft's meaning: %s in a wide format is wide, %l has 32 bits, %I64 has 64, _snprintf answers -1 and
 * leaves out the NUL. That holds for the C library's own names (sprintf, printf, swprintf...) too, because %lu with a
 * DWORD would read too much otherwise; swprintf and vswprintf come with and without a count.
 *
 * The library formats. It cannot read a va_list, so it calls back for every argument.
 */
#ifndef SSLSOCK_WCE_FORMAT_H
#define SSLSOCK_WCE_FORMAT_H

#include "../windef.h"
#include "standard.h"

#pragma GCC system_header

/* The compiler's own check of formats knows the C library's meaning only. */
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-overflow"
#pragma GCC diagnostic ignored "-Wformat-truncation"

/* What happens at the end of the buffer; src/winsock/format.rs has the same numbers. */
#define SSLSOCK_WCE_RULE_UNLIMITED 0
#define SSLSOCK_WCE_RULE_COUNTED 1
#define SSLSOCK_WCE_RULE_STANDARD 2
#define SSLSOCK_WCE_RULE_TERMINATED 3
#define SSLSOCK_WCE_RULE_WSPRINTF 4

SSLSOCK_WCE_BEGIN

/* Stores the next argument at `value`: 1 an int, 2 a long long, 3 a pointer, 4 a double, 5 a long double as a double. */
typedef void (*sslsock_wce_next)(void *arguments, int kind, void *value);

int sslsock_wce_format_narrow(char *buffer, size_t capacity, int rule, const char *format, sslsock_wce_next next,
                              void *arguments) SSLSOCK_WCE(format_narrow);
int sslsock_wce_format_wide(wchar_t *buffer, size_t capacity, int rule, const wchar_t *format, sslsock_wce_next next,
                            void *arguments) SSLSOCK_WCE(format_wide);
/* MultiByteToWideChar and WideCharToMultiByte, for streams. */
int sslsock_wce_to_wide(UINT page, DWORD flags, const char *from, int length, wchar_t *to, int capacity)
    SSLSOCK_WCE(multi_byte_to_wide_char);
int sslsock_wce_to_narrow(UINT page, DWORD flags, const wchar_t *from, int length, char *to, int capacity,
                          const char *instead, BOOL *used_instead) SSLSOCK_WCE(wide_char_to_multi_byte);
#define SSLSOCK_WCE_UTF8 65001

struct sslsock_wce_arguments {
    va_list list;
};

static __inline__ void sslsock_wce_take(void *arguments, int kind, void *value)
{
    struct sslsock_wce_arguments *from = (struct sslsock_wce_arguments *)arguments;

    switch (kind) {
    case 1:
        *(int *)value = va_arg(from->list, int);
        break;
    case 2:
        *(long long *)value = va_arg(from->list, long long);
        break;
    case 3:
        *(void **)value = va_arg(from->list, void *);
        break;
    case 4:
        *(double *)value = va_arg(from->list, double);
        break;
    default:
        *(double *)value = (double)va_arg(from->list, long double);
        break;
    }
}

static __inline__ int sslsock_wce_vformat(char *buffer, size_t capacity, int rule, const char *format, va_list list)
{
    struct sslsock_wce_arguments arguments;
    int length;

    va_copy(arguments.list, list);
    length = sslsock_wce_format_narrow(buffer, capacity, rule, format, sslsock_wce_take, &arguments);
    va_end(arguments.list);
    return length;
}

static __inline__ int sslsock_wce_vwformat(wchar_t *buffer, size_t capacity, int rule, const wchar_t *format,
                                           va_list list)
{
    struct sslsock_wce_arguments arguments;
    int length;

    va_copy(arguments.list, list);
    length = sslsock_wce_format_wide(buffer, capacity, rule, format, sslsock_wce_take, &arguments);
    va_end(arguments.list);
    return length;
}

/* Writes to a stream, whichever orientation it has; wide text in UTF-8. */
static __inline__ int sslsock_wce_put(FILE *stream, const char *text, int length)
{
    wchar_t *wide;
    int result = -1;

    if (fwide(stream, 0) <= 0) {
        return fwrite(text, 1, (size_t)length, stream) == (size_t)length ? length : -1;
    }
    wide = (wchar_t *)malloc(((size_t)length + 1) * sizeof(wchar_t));
    if (wide != NULL && sslsock_wce_to_wide(SSLSOCK_WCE_UTF8, 0, text, length + 1, wide, length + 1) > 0 &&
        fputws(wide, stream) >= 0) {
        result = length;
    }
    free(wide);
    return result;
}

static __inline__ int sslsock_wce_wput(FILE *stream, const wchar_t *text, int length)
{
    char *narrow;
    int result = -1;
    int bytes;

    if (fwide(stream, 0) > 0) {
        return fputws(text, stream) >= 0 ? length : -1;
    }
    bytes = sslsock_wce_to_narrow(SSLSOCK_WCE_UTF8, 0, text, length + 1, NULL, 0, NULL, NULL) - 1;
    narrow = bytes < 0 ? NULL : (char *)malloc((size_t)bytes + 1);
    if (narrow != NULL &&
        sslsock_wce_to_narrow(SSLSOCK_WCE_UTF8, 0, text, length + 1, narrow, bytes + 1, NULL, NULL) > 0 &&
        fwrite(narrow, 1, (size_t)bytes, stream) == (size_t)bytes) {
        result = length;
    }
    free(narrow);
    return result;
}

static __inline__ int sslsock_wce_vfprintf(FILE *stream, const char *format, va_list list)
{
    char small[512];
    char *text = small;
    int length = sslsock_wce_vformat(small, sizeof small, SSLSOCK_WCE_RULE_STANDARD, format, list);

    if (length >= (int)sizeof small) {
        text = (char *)malloc((size_t)length + 1);
        if (text == NULL) {
            return -1;
        }
        length = sslsock_wce_vformat(text, (size_t)length + 1, SSLSOCK_WCE_RULE_STANDARD, format, list);
    }
    if (length >= 0) {
        length = sslsock_wce_put(stream, text, length);
    }
    if (text != small) {
        free(text);
    }
    return length;
}

static __inline__ int sslsock_wce_vfwprintf(FILE *stream, const wchar_t *format, va_list list)
{
    wchar_t small[512];
    wchar_t *text = small;
    int length = sslsock_wce_vwformat(small, 512, SSLSOCK_WCE_RULE_STANDARD, format, list);

    if (length >= 512) {
        text = (wchar_t *)malloc(((size_t)length + 1) * sizeof(wchar_t));
        if (text == NULL) {
            return -1;
        }
        length = sslsock_wce_vwformat(text, (size_t)length + 1, SSLSOCK_WCE_RULE_STANDARD, format, list);
    }
    if (length >= 0) {
        length = sslsock_wce_wput(stream, text, length);
    }
    if (text != small) {
        free(text);
    }
    return length;
}

/* The functions without a counterpart in the C library. */

#define SSLSOCK_WCE_VARIADIC(call)   \
    va_list list;                    \
    int length;                      \
    va_start(list, format);          \
    length = call;                   \
    va_end(list);                    \
    return length

#define SSLSOCK_WCE_MOST ((size_t)0x3fffffff)

static __inline__ int _vsnprintf(char *buffer, size_t count, const char *format, va_list list)
{
    return sslsock_wce_vformat(buffer, count, SSLSOCK_WCE_RULE_COUNTED, format, list);
}

static __inline__ int _vsnwprintf(wchar_t *buffer, size_t count, const wchar_t *format, va_list list)
{
    return sslsock_wce_vwformat(buffer, count, SSLSOCK_WCE_RULE_COUNTED, format, list);
}

static __inline__ int _snprintf(char *buffer, size_t count, const char *format, ...)
{
    SSLSOCK_WCE_VARIADIC(_vsnprintf(buffer, count, format, list));
}

static __inline__ int _snwprintf(wchar_t *buffer, size_t count, const wchar_t *format, ...)
{
    SSLSOCK_WCE_VARIADIC(_vsnwprintf(buffer, count, format, list));
}

static __inline__ int _vscprintf(const char *format, va_list list)
{
    return sslsock_wce_vformat(NULL, 0, SSLSOCK_WCE_RULE_STANDARD, format, list);
}

static __inline__ int _vscwprintf(const wchar_t *format, va_list list)
{
    return sslsock_wce_vwformat(NULL, 0, SSLSOCK_WCE_RULE_STANDARD, format, list);
}

static __inline__ int _scprintf(const char *format, ...)
{
    SSLSOCK_WCE_VARIADIC(_vscprintf(format, list));
}

static __inline__ int _scwprintf(const wchar_t *format, ...)
{
    SSLSOCK_WCE_VARIADIC(_vscwprintf(format, list));
}

/* At most 1,023 characters. */
static __inline__ int wvsprintfA(LPSTR buffer, LPCSTR format, va_list list)
{
    return sslsock_wce_vformat(buffer, 1024, SSLSOCK_WCE_RULE_WSPRINTF, format, list);
}

static __inline__ int wvsprintfW(LPWSTR buffer, LPCWSTR format, va_list list)
{
    return sslsock_wce_vwformat(buffer, 1024, SSLSOCK_WCE_RULE_WSPRINTF, format, list);
}

static __inline__ int wsprintfA(LPSTR buffer, LPCSTR format, ...)
{
    SSLSOCK_WCE_VARIADIC(wvsprintfA(buffer, format, list));
}

static __inline__ int wsprintfW(LPWSTR buffer, LPCWSTR format, ...)
{
    SSLSOCK_WCE_VARIADIC(wvsprintfW(buffer, format, list));
}

static __inline__ int wvsprintf(LPTSTR buffer, LPCTSTR format, va_list list)
{
#ifdef UNICODE
    return wvsprintfW(buffer, format, list);
#else
    return wvsprintfA(buffer, format, list);
#endif
}

static __inline__ int wsprintf(LPTSTR buffer, LPCTSTR format, ...)
{
    SSLSOCK_WCE_VARIADIC(wvsprintf(buffer, format, list));
}

/* What the C library's names below become. */

static __inline__ int sslsock_wce_sprintf(char *buffer, const char *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vformat(buffer, SSLSOCK_WCE_MOST, SSLSOCK_WCE_RULE_UNLIMITED, format, list));
}

static __inline__ int sslsock_wce_snprintf(char *buffer, size_t count, const char *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vformat(buffer, count, SSLSOCK_WCE_RULE_STANDARD, format, list));
}

static __inline__ int sslsock_wce_printf(const char *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vfprintf(stdout, format, list));
}

static __inline__ int sslsock_wce_fprintf(FILE *stream, const char *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vfprintf(stream, format, list));
}

static __inline__ int sslsock_wce_wprintf(const wchar_t *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vfwprintf(stdout, format, list));
}

static __inline__ int sslsock_wce_fwprintf(FILE *stream, const wchar_t *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vfwprintf(stream, format, list));
}

static __inline__ int sslsock_wce_counted_swprintf(wchar_t *buffer, size_t count, const wchar_t *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vwformat(buffer, count, SSLSOCK_WCE_RULE_TERMINATED, format, list));
}

static __inline__ int sslsock_wce_swprintf(wchar_t *buffer, const wchar_t *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vwformat(buffer, SSLSOCK_WCE_MOST, SSLSOCK_WCE_RULE_UNLIMITED, format, list));
}

static __inline__ int sslsock_wce_vswprintf(wchar_t *buffer, const wchar_t *format, va_list list)
{
    return sslsock_wce_vwformat(buffer, SSLSOCK_WCE_MOST, SSLSOCK_WCE_RULE_UNLIMITED, format, list);
}

#if defined(SSLSOCK_WCE_FORTIFIED) || defined(__clang__)

#define sprintf(...) sslsock_wce_sprintf(__VA_ARGS__)
#define snprintf(...) sslsock_wce_snprintf(__VA_ARGS__)
#define printf(...) sslsock_wce_printf(__VA_ARGS__)
#define fprintf(...) sslsock_wce_fprintf(__VA_ARGS__)
#define wprintf(...) sslsock_wce_wprintf(__VA_ARGS__)
#define fwprintf(...) sslsock_wce_fwprintf(__VA_ARGS__)
#define vsprintf(buffer, format, list) \
    sslsock_wce_vformat(buffer, SSLSOCK_WCE_MOST, SSLSOCK_WCE_RULE_UNLIMITED, format, list)
#define vsnprintf(buffer, count, format, list) \
    sslsock_wce_vformat(buffer, count, SSLSOCK_WCE_RULE_STANDARD, format, list)
#define vprintf(format, list) sslsock_wce_vfprintf(stdout, format, list)
#define vfprintf(stream, format, list) sslsock_wce_vfprintf(stream, format, list)
#define vwprintf(format, list) sslsock_wce_vfwprintf(stdout, format, list)
#define vfwprintf(stream, format, list) sslsock_wce_vfwprintf(stream, format, list)

#else

/*
 * Definitions for inlining only: std::sprintf means them too, members of these names do not, and the compiler does not
 * take the calls for those of its built-in functions.
 */
#define SSLSOCK_WCE_OVER extern __inline__ __attribute__((__gnu_inline__, __always_inline__, __artificial__))
#ifdef __cplusplus
#define SSLSOCK_WCE_THROW __THROW
#else
#define SSLSOCK_WCE_THROW
#endif

SSLSOCK_WCE_OVER int sprintf(char *buffer, const char *format, ...) SSLSOCK_WCE_THROW
{
    return sslsock_wce_sprintf(buffer, format, __builtin_va_arg_pack());
}

SSLSOCK_WCE_OVER int vsprintf(char *buffer, const char *format, va_list list) SSLSOCK_WCE_THROW
{
    return sslsock_wce_vformat(buffer, SSLSOCK_WCE_MOST, SSLSOCK_WCE_RULE_UNLIMITED, format, list);
}

SSLSOCK_WCE_OVER int snprintf(char *buffer, size_t count, const char *format, ...) SSLSOCK_WCE_THROW
{
    return sslsock_wce_snprintf(buffer, count, format, __builtin_va_arg_pack());
}

SSLSOCK_WCE_OVER int vsnprintf(char *buffer, size_t count, const char *format, va_list list) SSLSOCK_WCE_THROW
{
    return sslsock_wce_vformat(buffer, count, SSLSOCK_WCE_RULE_STANDARD, format, list);
}

SSLSOCK_WCE_OVER int printf(const char *format, ...)
{
    return sslsock_wce_printf(format, __builtin_va_arg_pack());
}

SSLSOCK_WCE_OVER int fprintf(FILE *stream, const char *format, ...)
{
    return sslsock_wce_fprintf(stream, format, __builtin_va_arg_pack());
}

SSLSOCK_WCE_OVER int vfprintf(FILE *stream, const char *format, va_list list)
{
    return sslsock_wce_vfprintf(stream, format, list);
}

/* The C library's own one calls the above. */
#ifndef __USE_EXTERN_INLINES
SSLSOCK_WCE_OVER int vprintf(const char *format, va_list list)
{
    return sslsock_wce_vfprintf(stdout, format, list);
}
#endif

SSLSOCK_WCE_OVER int wprintf(const wchar_t *format, ...)
{
    return sslsock_wce_wprintf(format, __builtin_va_arg_pack());
}

SSLSOCK_WCE_OVER int fwprintf(FILE *stream, const wchar_t *format, ...)
{
    return sslsock_wce_fwprintf(stream, format, __builtin_va_arg_pack());
}

SSLSOCK_WCE_OVER int vwprintf(const wchar_t *format, va_list list)
{
    return sslsock_wce_vfwprintf(stdout, format, list);
}

SSLSOCK_WCE_OVER int vfwprintf(FILE *stream, const wchar_t *format, va_list list)
{
    return sslsock_wce_vfwprintf(stream, format, list);
}

#ifdef __cplusplus
SSLSOCK_WCE_OVER int swprintf(wchar_t *buffer, size_t count, const wchar_t *format, ...) SSLSOCK_WCE_THROW
{
    return sslsock_wce_counted_swprintf(buffer, count, format, __builtin_va_arg_pack());
}

SSLSOCK_WCE_OVER int vswprintf(wchar_t *buffer, size_t count, const wchar_t *format, va_list list) SSLSOCK_WCE_THROW
{
    return sslsock_wce_vwformat(buffer, count, SSLSOCK_WCE_RULE_TERMINATED, format, list);
}
#endif

#endif

SSLSOCK_WCE_END

#ifdef __cplusplus

extern "C++" {

#ifdef sprintf
#define swprintf(...) sslsock_wce_any_swprintf(__VA_ARGS__)
#define vswprintf(...) sslsock_wce_any_vswprintf(__VA_ARGS__)
inline int swprintf(wchar_t *buffer, size_t count, const wchar_t *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vwformat(buffer, count, SSLSOCK_WCE_RULE_TERMINATED, format, list));
}

inline int vswprintf(wchar_t *buffer, size_t count, const wchar_t *format, va_list list)
{
    return sslsock_wce_vwformat(buffer, count, SSLSOCK_WCE_RULE_TERMINATED, format, list);
}
#endif

inline int swprintf(wchar_t *buffer, const wchar_t *format, ...)
{
    SSLSOCK_WCE_VARIADIC(sslsock_wce_vswprintf(buffer, format, list));
}

inline int vswprintf(wchar_t *buffer, const wchar_t *format, va_list list)
{
    return sslsock_wce_vswprintf(buffer, format, list);
}

}

namespace std {
#ifndef sprintf
using ::swprintf;
using ::vswprintf;
#else
using ::sslsock_wce_any_swprintf;
using ::sslsock_wce_any_vswprintf;
using ::sslsock_wce_fprintf;
using ::sslsock_wce_fwprintf;
using ::sslsock_wce_printf;
using ::sslsock_wce_snprintf;
using ::sslsock_wce_sprintf;
using ::sslsock_wce_vformat;
using ::sslsock_wce_vfprintf;
using ::sslsock_wce_vfwprintf;
using ::sslsock_wce_wprintf;
#endif
}

#else

/* By the second argument: a count or the format. */
#define swprintf(buffer, ...)                                                        \
    _Generic((SSLSOCK_WCE_FIRST(__VA_ARGS__, 0)), wchar_t *: sslsock_wce_swprintf,   \
             const wchar_t *: sslsock_wce_swprintf,                                  \
             default: sslsock_wce_counted_swprintf)(buffer, __VA_ARGS__)
#define SSLSOCK_WCE_FIRST(first, ...) first

/* By their number. */
#define vswprintf(...) \
    SSLSOCK_WCE_FOURTH(__VA_ARGS__, sslsock_wce_counted_vswprintf, sslsock_wce_vswprintf, 0)(__VA_ARGS__)
#define SSLSOCK_WCE_FOURTH(first, second, third, fourth, fifth, ...) fifth

static __inline__ int sslsock_wce_counted_vswprintf(wchar_t *buffer, size_t count, const wchar_t *format, va_list list)
{
    return sslsock_wce_vwformat(buffer, count, SSLSOCK_WCE_RULE_TERMINATED, format, list);
}

#endif

#endif
