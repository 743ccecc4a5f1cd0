/*
 * What Microsoft's C library has besides the standard functions. Case is that of ASCII in narrow strings and Unicode's in
 * wide ones.
 */
#ifndef SSLSOCK_WCE_CRT_H
#define SSLSOCK_WCE_CRT_H

#include "../windef.h"
#include "standard.h"

SSLSOCK_WCE_BEGIN

/* In place; a narrow string is Windows-1252 for it. */
void sslsock_wce_change_case_narrow(char *text, size_t length, int upper) SSLSOCK_WCE(change_case_narrow);
void sslsock_wce_change_case_wide(wchar_t *text, size_t length, int upper) SSLSOCK_WCE(change_case_wide);
/* The difference of the first characters that differ, both made small; of `most` at most. */
int sslsock_wce_compare_wide(const wchar_t *first, const wchar_t *second, size_t most) SSLSOCK_WCE(compare_wide);

static __inline__ int sslsock_wce_small(int character)
{
    return character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : character;
}

static __inline__ int _memicmp(const void *first, const void *second, size_t size)
{
    const unsigned char *one = (const unsigned char *)first;
    const unsigned char *other = (const unsigned char *)second;
    int difference = 0;

    for (; size > 0 && difference == 0; size--) {
        difference = sslsock_wce_small(*one++) - sslsock_wce_small(*other++);
    }
    return difference;
}

static __inline__ int _strnicmp(const char *first, const char *second, size_t most)
{
    int difference = 0;

    for (; most > 0 && difference == 0; most--, first++, second++) {
        difference = sslsock_wce_small((unsigned char)*first) - sslsock_wce_small((unsigned char)*second);
        if (*first == 0) {
            break;
        }
    }
    return difference;
}

static __inline__ int _stricmp(const char *first, const char *second)
{
    return _strnicmp(first, second, (size_t)-1);
}

static __inline__ int _wcsicmp(const wchar_t *first, const wchar_t *second)
{
    return sslsock_wce_compare_wide(first, second, (size_t)-1);
}

static __inline__ int _wcsnicmp(const wchar_t *first, const wchar_t *second, size_t most)
{
    return sslsock_wce_compare_wide(first, second, most);
}

static __inline__ char *_strlwr(char *text)
{
    char *at;

    for (at = text; *at != 0; at++) {
        *at = (char)sslsock_wce_small(*at);
    }
    return text;
}

static __inline__ char *_strupr(char *text)
{
    char *at;

    for (at = text; *at != 0; at++) {
        if (*at >= 'a' && *at <= 'z') {
            *at = (char)(*at - ('a' - 'A'));
        }
    }
    return text;
}

static __inline__ wchar_t *_wcslwr(wchar_t *text)
{
    sslsock_wce_change_case_wide(text, wcslen(text), 0);
    return text;
}

static __inline__ wchar_t *_wcsupr(wchar_t *text)
{
    sslsock_wce_change_case_wide(text, wcslen(text), 1);
    return text;
}

static __inline__ char *_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = (char *)malloc(size);

    return copy == NULL ? NULL : (char *)memcpy(copy, text, size);
}

static __inline__ wchar_t *_wcsdup(const wchar_t *text)
{
    size_t length = wcslen(text) + 1;
    wchar_t *copy = (wchar_t *)malloc(length * sizeof(wchar_t));

    return copy == NULL ? NULL : wmemcpy(copy, text, length);
}

/* As strtok: where the last call on this thread ended. */
static __inline__ wchar_t *sslsock_wce_wcstok(wchar_t *text, const wchar_t *separators)
{
    static __thread wchar_t *rest;
    wchar_t *found = text != NULL ? text : rest;

    if (found == NULL) {
        return NULL;
    }
    found += wcsspn(found, separators);
    if (*found == 0) {
        rest = NULL;
        return NULL;
    }
    rest = found + wcscspn(found, separators);
    if (*rest == 0) {
        rest = NULL;
    } else {
        *rest++ = 0;
    }
    return found;
}

/* What does not fit LONG becomes the nearest that does, as there. */
static __inline__ LONG _wtol(const wchar_t *text)
{
    long long value = wcstoll(text, NULL, 10);

    return value > 0x7fffffffLL ? 0x7fffffff : value < -0x7fffffffLL - 1 ? -0x7fffffff - 1 : (LONG)value;
}

static __inline__ int _wtoi(const wchar_t *text)
{
    return _wtol(text);
}

static __inline__ __int64 _wtoi64(const wchar_t *text)
{
    return wcstoll(text, NULL, 10);
}

static __inline__ double _wtof(const wchar_t *text)
{
    return wcstod(text, NULL);
}

static __inline__ __int64 _atoi64(const char *text)
{
    return strtoll(text, NULL, 10);
}

#define _strtoi64 strtoll
#define _strtoui64 strtoull
#define _wcstoi64 wcstoll
#define _wcstoui64 wcstoull

/* Digits of the radix, 2 to 36, in small letters. */
static __inline__ char *_ui64toa(unsigned __int64 value, char *text, int radix)
{
    char digits[64];
    char *at = text;
    int count = 0;

    do {
        int digit = (int)(value % (unsigned)radix);
        digits[count++] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
        value /= (unsigned)radix;
    } while (value != 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    *at = 0;
    return text;
}

/* A sign only with radix 10. */
static __inline__ char *_i64toa(__int64 value, char *text, int radix)
{
    if (radix == 10 && value < 0) {
        text[0] = '-';
        _ui64toa(0 - (unsigned __int64)value, text + 1, radix);
    } else {
        _ui64toa((unsigned __int64)value, text, radix);
    }
    return text;
}

static __inline__ char *_ultoa(ULONG value, char *text, int radix)
{
    return _ui64toa(value, text, radix);
}

static __inline__ char *_ltoa(LONG value, char *text, int radix)
{
    return radix == 10 ? _i64toa(value, text, radix) : _ui64toa((ULONG)value, text, radix);
}

static __inline__ char *_itoa(int value, char *text, int radix)
{
    return _ltoa(value, text, radix);
}

/* Digits of the radix, 2 to 36, in small letters. */
static __inline__ wchar_t *_ui64tow(unsigned __int64 value, wchar_t *text, int radix)
{
    wchar_t digits[64];
    wchar_t *at = text;
    int count = 0;

    do {
        int digit = (int)(value % (unsigned)radix);
        digits[count++] = (wchar_t)(digit < 10 ? '0' + digit : 'a' + digit - 10);
        value /= (unsigned)radix;
    } while (value != 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    *at = 0;
    return text;
}

/* A sign only with radix 10. */
static __inline__ wchar_t *_i64tow(__int64 value, wchar_t *text, int radix)
{
    if (radix == 10 && value < 0) {
        text[0] = '-';
        _ui64tow(0 - (unsigned __int64)value, text + 1, radix);
    } else {
        _ui64tow((unsigned __int64)value, text, radix);
    }
    return text;
}

static __inline__ wchar_t *_ultow(ULONG value, wchar_t *text, int radix)
{
    return _ui64tow(value, text, radix);
}

static __inline__ wchar_t *_ltow(LONG value, wchar_t *text, int radix)
{
    return radix == 10 ? _i64tow(value, text, radix) : _ui64tow((ULONG)value, text, radix);
}

static __inline__ wchar_t *_itow(int value, wchar_t *text, int radix)
{
    return _ltow(value, text, radix);
}

static __inline__ char *_strrev(char *text)
{
    size_t last = strlen(text);
    size_t first = 0;

    while (last > first + 1) {
        char character = text[--last];
        text[last] = text[first];
        text[first++] = character;
    }
    return text;
}

static __inline__ wchar_t *_wcsrev(wchar_t *text)
{
    size_t last = wcslen(text);
    size_t first = 0;

    while (last > first + 1) {
        wchar_t character = text[--last];
        text[last] = text[first];
        text[first++] = character;
    }
    return text;
}

/* The older names. */
#define stricmp _stricmp
#define strcmpi _stricmp
#define _strcmpi _stricmp
#define strnicmp _strnicmp
#define memicmp _memicmp
#define wcsicmp _wcsicmp
#define wcsnicmp _wcsnicmp
#define strlwr _strlwr
#define strupr _strupr
#define wcslwr _wcslwr
#define wcsupr _wcsupr
#define strrev _strrev
#define wcsrev _wcsrev
#define itoa _itoa
#define ltoa _ltoa
#define ultoa _ultoa
#define _msize malloc_usable_size

#ifndef __max
#define __max(a, b) ((a) > (b) ? (a) : (b))
#define __min(a, b) ((a) < (b) ? (a) : (b))
#endif

SSLSOCK_WCE_END

/* With two arguments, as there, and with three. */
#ifdef __cplusplus
extern "C++" {
inline wchar_t *wcstok(wchar_t *text, const wchar_t *separators)
{
    return sslsock_wce_wcstok(text, separators);
}
}
#else
#define wcstok(...) SSLSOCK_WCE_THIRD(__VA_ARGS__, wcstok, sslsock_wce_wcstok, 0)(__VA_ARGS__)
#define SSLSOCK_WCE_THIRD(first, second, third, fourth, ...) fourth
#endif

#endif
