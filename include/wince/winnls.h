/* Windows: code pages. Wide characters have 32 bits here, one code point each. */
#ifndef SSLSOCK_WCE_WINNLS_H
#define SSLSOCK_WCE_WINNLS_H

#include "winnt.h"

/* The first three and CP_THREAD_ACP are 1252, as on Western devices. Others: 1252, 20127, 28591, CP_UTF8. */
#define CP_ACP 0
#define CP_OEMCP 1
#define CP_MACCP 2
#define CP_THREAD_ACP 3
#define CP_UTF7 65000
#define CP_UTF8 65001

#define MB_PRECOMPOSED 0x00000001
#define MB_COMPOSITE 0x00000002
#define MB_USEGLYPHCHARS 0x00000004
#define MB_ERR_INVALID_CHARS 0x00000008
#define WC_COMPOSITECHECK 0x00000200
#define WC_DISCARDNS 0x00000010
#define WC_SEPCHARS 0x00000020
#define WC_DEFAULTCHAR 0x00000040
#define WC_ERR_INVALID_CHARS 0x00000080
#define WC_NO_BEST_FIT_CHARS 0x00000400

#define NORM_IGNORECASE 0x00000001
#define CSTR_LESS_THAN 1
#define CSTR_EQUAL 2
#define CSTR_GREATER_THAN 3

SSLSOCK_WCE_BEGIN

int MultiByteToWideChar(UINT page, DWORD flags, LPCSTR from, int length, LPWSTR to, int capacity)
    SSLSOCK_WCE(multi_byte_to_wide_char);
int WideCharToMultiByte(UINT page, DWORD flags, LPCWSTR from, int length, LPSTR to, int capacity, LPCSTR instead,
                        LPBOOL used_instead) SSLSOCK_WCE(wide_char_to_multi_byte);

static __inline__ UINT GetACP(void)
{
    return 1252;
}

static __inline__ UINT GetOEMCP(void)
{
    return 1252;
}

static __inline__ BOOL IsValidCodePage(UINT page)
{
    return page == CP_UTF8 || page == 1252 || page == 20127 || page == 28591;
}

static __inline__ BOOL IsDBCSLeadByte(BYTE byte)
{
    (void)byte;
    return FALSE;
}

/* Only by code points, and NORM_IGNORECASE. */
int CompareStringA(LCID locale, DWORD flags, LPCSTR first, int first_length, LPCSTR second, int second_length)
    SSLSOCK_WCE(compare_string_a);
int CompareStringW(LCID locale, DWORD flags, LPCWSTR first, int first_length, LPCWSTR second, int second_length)
    SSLSOCK_WCE(compare_string_w);
#ifdef UNICODE
int CompareString(LCID locale, DWORD flags, LPCWSTR first, int first_length, LPCWSTR second, int second_length)
    SSLSOCK_WCE(compare_string_w);
#else
int CompareString(LCID locale, DWORD flags, LPCSTR first, int first_length, LPCSTR second, int second_length)
    SSLSOCK_WCE(compare_string_a);
#endif

SSLSOCK_WCE_END

#endif
