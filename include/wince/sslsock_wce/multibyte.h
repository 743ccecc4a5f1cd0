/*
 * The C library's functions between narrow and wide text as Windows CE has them: narrow strings are Windows-1252, whatever
 * the locale is, and a stream takes both kinds of text, wide text as UTF-8.
 */
#ifndef SSLSOCK_WCE_MULTIBYTE_H
#define SSLSOCK_WCE_MULTIBYTE_H

#include "../windef.h"
#include "format.h"
#include "standard.h"

#define SSLSOCK_WCE_ANSI 0

/* In a namespace, so that std has them too, also if these headers stand in a namespace of the program's. */
#ifdef __cplusplus
extern "C++" {
namespace sslsock_wce_multibyte {
#endif

/* As there: without a target the length, which a target that is too short cuts, without a NUL. */
static __inline__ size_t sslsock_wce_mbstowcs(wchar_t *to, const char *from, size_t most)
{
    size_t length = 0;

    if (to == NULL) {
        return strlen(from);
    }
    while (length < most && from[length] != 0) {
        length++;
    }
    if (length > 0 && sslsock_wce_to_wide(SSLSOCK_WCE_ANSI, 0, from, (int)length, to, (int)length) <= 0) {
        return (size_t)-1;
    }
    if (length < most) {
        to[length] = 0;
    }
    return length;
}

/* What Windows-1252 does not have is a question mark. */
static __inline__ size_t sslsock_wce_wcstombs(char *to, const wchar_t *from, size_t most)
{
    size_t length = 0;

    if (to == NULL) {
        return wcslen(from);
    }
    while (length < most && from[length] != 0) {
        length++;
    }
    if (length > 0 && sslsock_wce_to_narrow(SSLSOCK_WCE_ANSI, 0, from, (int)length, to, (int)length, NULL, NULL) <= 0) {
        return (size_t)-1;
    }
    if (length < most) {
        to[length] = 0;
    }
    return length;
}

static __inline__ int sslsock_wce_mbtowc(wchar_t *to, const char *from, size_t most)
{
    wchar_t one;

    if (from == NULL || (most > 0 && *from == 0)) {
        if (from != NULL && to != NULL) {
            *to = 0;
        }
        return 0;
    }
    if (most == 0 || sslsock_wce_mbstowcs(&one, from, 1) != 1) {
        return -1;
    }
    if (to != NULL) {
        *to = one;
    }
    return 1;
}

static __inline__ int sslsock_wce_wctomb(char *to, wchar_t from)
{
    if (to == NULL) {
        return 0;
    }
    if (from == 0) {
        *to = 0;
        return 1;
    }
    return sslsock_wce_wcstombs(to, &from, 1) == 1 ? 1 : -1;
}

static __inline__ int sslsock_wce_fputws(const wchar_t *text, FILE *stream)
{
    return sslsock_wce_wput(stream, text, (int)wcslen(text)) < 0 ? -1 : 0;
}

static __inline__ wint_t sslsock_wce_fputwc(wchar_t character, FILE *stream)
{
    wchar_t text[2];

    text[0] = character;
    text[1] = 0;
    return sslsock_wce_wput(stream, text, 1) < 0 ? WEOF : (wint_t)character;
}

static __inline__ int sslsock_wce_putws(const wchar_t *text)
{
    return sslsock_wce_fputws(text, stdout) < 0 || putc('\n', stdout) == EOF ? -1 : 0;
}

#ifdef __cplusplus
}
using sslsock_wce_multibyte::sslsock_wce_fputwc;
using sslsock_wce_multibyte::sslsock_wce_fputws;
using sslsock_wce_multibyte::sslsock_wce_mbstowcs;
using sslsock_wce_multibyte::sslsock_wce_mbtowc;
using sslsock_wce_multibyte::sslsock_wce_wcstombs;
using sslsock_wce_multibyte::sslsock_wce_wctomb;
using sslsock_wce_multibyte::sslsock_wce_putws;
namespace std {
using sslsock_wce_multibyte::sslsock_wce_fputwc;
using sslsock_wce_multibyte::sslsock_wce_fputws;
using sslsock_wce_multibyte::sslsock_wce_mbstowcs;
using sslsock_wce_multibyte::sslsock_wce_mbtowc;
using sslsock_wce_multibyte::sslsock_wce_wcstombs;
using sslsock_wce_multibyte::sslsock_wce_wctomb;
}
}
#endif

#define mbstowcs sslsock_wce_mbstowcs
#define wcstombs sslsock_wce_wcstombs
#define mbtowc sslsock_wce_mbtowc
#define wctomb sslsock_wce_wctomb
#define fputws sslsock_wce_fputws
#define fputwc sslsock_wce_fputwc
#define putwc sslsock_wce_fputwc
#define putwchar(character) sslsock_wce_fputwc((character), stdout)

#endif
