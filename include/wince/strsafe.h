/* Windows: strings that end within their buffers. */
#ifndef SSLSOCK_WCE_STRSAFE_H
#define SSLSOCK_WCE_STRSAFE_H

#include "winerror.h"
#include "sslsock_wce/format.h"

#define STRSAFE_MAX_CCH 2147483647
#define STRSAFE_E_INSUFFICIENT_BUFFER SSLSOCK_WCE_RESULT(0x8007007a)
#define STRSAFE_E_INVALID_PARAMETER SSLSOCK_WCE_RESULT(0x80070057)
#define STRSAFE_E_END_OF_FILE SSLSOCK_WCE_RESULT(0x80070026)

SSLSOCK_WCE_BEGIN

static __inline__ HRESULT StringCchLengthA(LPCSTR text, size_t most, size_t *length)
{
    size_t i = 0;

    if (text == NULL || most == 0 || most > STRSAFE_MAX_CCH) {
        return STRSAFE_E_INVALID_PARAMETER;
    }
    while (i < most && text[i] != 0) {
        i++;
    }
    if (i == most) {
        return STRSAFE_E_INVALID_PARAMETER;
    }
    if (length != NULL) {
        *length = i;
    }
    return S_OK;
}

/* What fits is copied. */
static __inline__ HRESULT StringCchCopyNA(LPSTR to, size_t size, LPCSTR from, size_t most)
{
    size_t i;

    if (size == 0 || size > STRSAFE_MAX_CCH) {
        return STRSAFE_E_INVALID_PARAMETER;
    }
    for (i = 0; i < size - 1 && i < most && from[i] != 0; i++) {
        to[i] = from[i];
    }
    to[i] = 0;
    return i == most || from[i] == 0 ? S_OK : STRSAFE_E_INSUFFICIENT_BUFFER;
}

static __inline__ HRESULT StringCchCopyA(LPSTR to, size_t size, LPCSTR from)
{
    return StringCchCopyNA(to, size, from, (size_t)-1);
}

static __inline__ HRESULT StringCchCatNA(LPSTR to, size_t size, LPCSTR from, size_t most)
{
    size_t length;
    HRESULT result = StringCchLengthA(to, size, &length);

    return FAILED(result) ? result : StringCchCopyNA(to + length, size - length, from, most);
}

static __inline__ HRESULT StringCchCatA(LPSTR to, size_t size, LPCSTR from)
{
    return StringCchCatNA(to, size, from, (size_t)-1);
}

static __inline__ HRESULT StringCchVPrintfA(LPSTR to, size_t size, LPCSTR format, va_list list)
{
    if (size == 0 || size > STRSAFE_MAX_CCH) {
        return STRSAFE_E_INVALID_PARAMETER;
    }
    return sslsock_wce_vformat(to, size, SSLSOCK_WCE_RULE_TERMINATED, format, list) >= 0 ? S_OK : STRSAFE_E_INSUFFICIENT_BUFFER;
}

static __inline__ HRESULT StringCchPrintfA(LPSTR to, size_t size, LPCSTR format, ...)
{
    va_list list;
    HRESULT result;

    va_start(list, format);
    result = StringCchVPrintfA(to, size, format, list);
    va_end(list);
    return result;
}

static __inline__ HRESULT StringCbLengthA(LPCSTR text, size_t most, size_t *length)
{
    HRESULT result = StringCchLengthA(text, most / sizeof(char), length);

    if (SUCCEEDED(result) && length != NULL) {
        *length *= sizeof(char);
    }
    return result;
}

static __inline__ HRESULT StringCbCopyA(LPSTR to, size_t size, LPCSTR from)
{
    return StringCchCopyA(to, size / sizeof(char), from);
}

static __inline__ HRESULT StringCbCopyNA(LPSTR to, size_t size, LPCSTR from, size_t most)
{
    return StringCchCopyNA(to, size / sizeof(char), from, most / sizeof(char));
}

static __inline__ HRESULT StringCbCatA(LPSTR to, size_t size, LPCSTR from)
{
    return StringCchCatA(to, size / sizeof(char), from);
}

static __inline__ HRESULT StringCbCatNA(LPSTR to, size_t size, LPCSTR from, size_t most)
{
    return StringCchCatNA(to, size / sizeof(char), from, most / sizeof(char));
}

static __inline__ HRESULT StringCbVPrintfA(LPSTR to, size_t size, LPCSTR format, va_list list)
{
    return StringCchVPrintfA(to, size / sizeof(char), format, list);
}

static __inline__ HRESULT StringCbPrintfA(LPSTR to, size_t size, LPCSTR format, ...)
{
    va_list list;
    HRESULT result;

    va_start(list, format);
    result = StringCbVPrintfA(to, size, format, list);
    va_end(list);
    return result;
}

static __inline__ HRESULT StringCchLengthW(LPCWSTR text, size_t most, size_t *length)
{
    size_t i = 0;

    if (text == NULL || most == 0 || most > STRSAFE_MAX_CCH) {
        return STRSAFE_E_INVALID_PARAMETER;
    }
    while (i < most && text[i] != 0) {
        i++;
    }
    if (i == most) {
        return STRSAFE_E_INVALID_PARAMETER;
    }
    if (length != NULL) {
        *length = i;
    }
    return S_OK;
}

/* What fits is copied. */
static __inline__ HRESULT StringCchCopyNW(LPWSTR to, size_t size, LPCWSTR from, size_t most)
{
    size_t i;

    if (size == 0 || size > STRSAFE_MAX_CCH) {
        return STRSAFE_E_INVALID_PARAMETER;
    }
    for (i = 0; i < size - 1 && i < most && from[i] != 0; i++) {
        to[i] = from[i];
    }
    to[i] = 0;
    return i == most || from[i] == 0 ? S_OK : STRSAFE_E_INSUFFICIENT_BUFFER;
}

static __inline__ HRESULT StringCchCopyW(LPWSTR to, size_t size, LPCWSTR from)
{
    return StringCchCopyNW(to, size, from, (size_t)-1);
}

static __inline__ HRESULT StringCchCatNW(LPWSTR to, size_t size, LPCWSTR from, size_t most)
{
    size_t length;
    HRESULT result = StringCchLengthW(to, size, &length);

    return FAILED(result) ? result : StringCchCopyNW(to + length, size - length, from, most);
}

static __inline__ HRESULT StringCchCatW(LPWSTR to, size_t size, LPCWSTR from)
{
    return StringCchCatNW(to, size, from, (size_t)-1);
}

static __inline__ HRESULT StringCchVPrintfW(LPWSTR to, size_t size, LPCWSTR format, va_list list)
{
    if (size == 0 || size > STRSAFE_MAX_CCH) {
        return STRSAFE_E_INVALID_PARAMETER;
    }
    return sslsock_wce_vwformat(to, size, SSLSOCK_WCE_RULE_TERMINATED, format, list) >= 0 ? S_OK : STRSAFE_E_INSUFFICIENT_BUFFER;
}

static __inline__ HRESULT StringCchPrintfW(LPWSTR to, size_t size, LPCWSTR format, ...)
{
    va_list list;
    HRESULT result;

    va_start(list, format);
    result = StringCchVPrintfW(to, size, format, list);
    va_end(list);
    return result;
}

static __inline__ HRESULT StringCbLengthW(LPCWSTR text, size_t most, size_t *length)
{
    HRESULT result = StringCchLengthW(text, most / sizeof(WCHAR), length);

    if (SUCCEEDED(result) && length != NULL) {
        *length *= sizeof(WCHAR);
    }
    return result;
}

static __inline__ HRESULT StringCbCopyW(LPWSTR to, size_t size, LPCWSTR from)
{
    return StringCchCopyW(to, size / sizeof(WCHAR), from);
}

static __inline__ HRESULT StringCbCopyNW(LPWSTR to, size_t size, LPCWSTR from, size_t most)
{
    return StringCchCopyNW(to, size / sizeof(WCHAR), from, most / sizeof(WCHAR));
}

static __inline__ HRESULT StringCbCatW(LPWSTR to, size_t size, LPCWSTR from)
{
    return StringCchCatW(to, size / sizeof(WCHAR), from);
}

static __inline__ HRESULT StringCbCatNW(LPWSTR to, size_t size, LPCWSTR from, size_t most)
{
    return StringCchCatNW(to, size / sizeof(WCHAR), from, most / sizeof(WCHAR));
}

static __inline__ HRESULT StringCbVPrintfW(LPWSTR to, size_t size, LPCWSTR format, va_list list)
{
    return StringCchVPrintfW(to, size / sizeof(WCHAR), format, list);
}

static __inline__ HRESULT StringCbPrintfW(LPWSTR to, size_t size, LPCWSTR format, ...)
{
    va_list list;
    HRESULT result;

    va_start(list, format);
    result = StringCbVPrintfW(to, size, format, list);
    va_end(list);
    return result;
}

SSLSOCK_WCE_END

/* Macros: nobody else has such names. */
#ifdef UNICODE
#define StringCchLength StringCchLengthW
#define StringCchCopy StringCchCopyW
#define StringCchCopyN StringCchCopyNW
#define StringCchCat StringCchCatW
#define StringCchCatN StringCchCatNW
#define StringCchPrintf StringCchPrintfW
#define StringCchVPrintf StringCchVPrintfW
#define StringCbLength StringCbLengthW
#define StringCbCopy StringCbCopyW
#define StringCbCopyN StringCbCopyNW
#define StringCbCat StringCbCatW
#define StringCbCatN StringCbCatNW
#define StringCbPrintf StringCbPrintfW
#define StringCbVPrintf StringCbVPrintfW
#else
#define StringCchLength StringCchLengthA
#define StringCchCopy StringCchCopyA
#define StringCchCopyN StringCchCopyNA
#define StringCchCat StringCchCatA
#define StringCchCatN StringCchCatNA
#define StringCchPrintf StringCchPrintfA
#define StringCchVPrintf StringCchVPrintfA
#define StringCbLength StringCbLengthA
#define StringCbCopy StringCbCopyA
#define StringCbCopyN StringCbCopyNA
#define StringCbCat StringCbCatA
#define StringCbCatN StringCbCatNA
#define StringCbPrintf StringCbPrintfA
#define StringCbVPrintf StringCbVPrintfA
#endif

#endif
