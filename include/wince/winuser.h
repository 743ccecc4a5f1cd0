/* Windows: of the user interface only message boxes, and characters and formats, which belong to it too. */
#ifndef SSLSOCK_WCE_WINUSER_H
#define SSLSOCK_WCE_WINUSER_H

#include "winnt.h"
#include "sslsock_wce/crt.h"
#include "sslsock_wce/format.h"
#include "sslsock_wce/multibyte.h"

#define MB_OK 0x00000000
#define MB_OKCANCEL 0x00000001
#define MB_ABORTRETRYIGNORE 0x00000002
#define MB_YESNOCANCEL 0x00000003
#define MB_YESNO 0x00000004
#define MB_RETRYCANCEL 0x00000005
#define MB_TYPEMASK 0x0000000f
#define MB_ICONHAND 0x00000010
#define MB_ICONSTOP MB_ICONHAND
#define MB_ICONERROR MB_ICONHAND
#define MB_ICONQUESTION 0x00000020
#define MB_ICONEXCLAMATION 0x00000030
#define MB_ICONWARNING MB_ICONEXCLAMATION
#define MB_ICONASTERISK 0x00000040
#define MB_ICONINFORMATION MB_ICONASTERISK
#define MB_ICONMASK 0x000000f0
#define MB_DEFBUTTON1 0x00000000
#define MB_DEFBUTTON2 0x00000100
#define MB_DEFBUTTON3 0x00000200
#define MB_DEFBUTTON4 0x00000300
#define MB_DEFMASK 0x00000f00
#define MB_APPLMODAL 0x00000000
#define MB_SYSTEMMODAL 0x00001000
#define MB_TASKMODAL 0x00002000
#define MB_SETFOREGROUND 0x00010000
#define MB_TOPMOST 0x00040000
#define MB_RTLREADING 0x00100000

#define IDOK 1
#define IDCANCEL 2
#define IDABORT 3
#define IDRETRY 4
#define IDIGNORE 5
#define IDYES 6
#define IDNO 7
#define IDCLOSE 8

SSLSOCK_WCE_BEGIN

/* Whether it is a 1 letter, 2 letter or digit, 3 capital, 4 small letter. */
BOOL sslsock_wce_is_char(WCHAR character, int what) SSLSOCK_WCE(is_char);
/* Of a character of Windows-1252. */
WCHAR sslsock_wce_wide_of(int character) SSLSOCK_WCE(wide_of);

/* The owner that programs give for a message box. There are no windows, so there is none. */
static __inline__ HWND GetForegroundWindow(void)
{
    return NULL;
}
static __inline__ HWND GetActiveWindow(void)
{
    return NULL;
}
static __inline__ HWND GetDesktopWindow(void)
{
    return NULL;
}

/* Asks the function of ssl_wce_set_message_box (sslsock.h of the library); without one it is as if cancelled. */
int MessageBoxA(HWND owner, LPCSTR text, LPCSTR caption, UINT type) SSLSOCK_WCE(message_box_a);
int MessageBoxW(HWND owner, LPCWSTR text, LPCWSTR caption, UINT type) SSLSOCK_WCE(message_box_w);
#ifdef UNICODE
int MessageBox(HWND owner, LPCWSTR text, LPCWSTR caption, UINT type) SSLSOCK_WCE(message_box_w);
#else
int MessageBox(HWND owner, LPCSTR text, LPCSTR caption, UINT type) SSLSOCK_WCE(message_box_a);
#endif

/* A string, or one character in the place of its address. */
static __inline__ LPSTR sslsock_wce_char_case(LPSTR text, int upper)
{
    char one = (char)(uintptr_t)text;

    if ((uintptr_t)text <= 0xffff) {
        sslsock_wce_change_case_narrow(&one, 1, upper);
        return (LPSTR)(uintptr_t)(unsigned char)one;
    }
    sslsock_wce_change_case_narrow(text, strlen(text), upper);
    return text;
}

static __inline__ LPWSTR sslsock_wce_wide_char_case(LPWSTR text, int upper)
{
    WCHAR one = (WCHAR)(uintptr_t)text;

    /* No address is as low as the last code point. */
    if ((uintptr_t)text <= 0xffff) {
        sslsock_wce_change_case_wide(&one, 1, upper);
        return (LPWSTR)(uintptr_t)one;
    }
    sslsock_wce_change_case_wide(text, wcslen(text), upper);
    return text;
}

static __inline__ LPSTR CharUpperA(LPSTR text)
{
    return sslsock_wce_char_case(text, 1);
}

static __inline__ LPWSTR CharUpperW(LPWSTR text)
{
    return sslsock_wce_wide_char_case(text, 1);
}

static __inline__ LPTSTR CharUpper(LPTSTR text)
{
    return SSLSOCK_WCE_BY_WIDTH(CharUpper)(text);
}

static __inline__ DWORD CharUpperBuffA(LPSTR text, DWORD length)
{
    sslsock_wce_change_case_narrow(text, length, 1);
    return length;
}

static __inline__ DWORD CharUpperBuffW(LPWSTR text, DWORD length)
{
    sslsock_wce_change_case_wide(text, length, 1);
    return length;
}

static __inline__ DWORD CharUpperBuff(LPTSTR text, DWORD length)
{
    return SSLSOCK_WCE_BY_WIDTH(CharUpperBuff)(text, length);
}

static __inline__ LPSTR CharLowerA(LPSTR text)
{
    return sslsock_wce_char_case(text, 0);
}

static __inline__ LPWSTR CharLowerW(LPWSTR text)
{
    return sslsock_wce_wide_char_case(text, 0);
}

static __inline__ LPTSTR CharLower(LPTSTR text)
{
    return SSLSOCK_WCE_BY_WIDTH(CharLower)(text);
}

static __inline__ DWORD CharLowerBuffA(LPSTR text, DWORD length)
{
    sslsock_wce_change_case_narrow(text, length, 0);
    return length;
}

static __inline__ DWORD CharLowerBuffW(LPWSTR text, DWORD length)
{
    sslsock_wce_change_case_wide(text, length, 0);
    return length;
}

static __inline__ DWORD CharLowerBuff(LPTSTR text, DWORD length)
{
    return SSLSOCK_WCE_BY_WIDTH(CharLowerBuff)(text, length);
}

static __inline__ BOOL IsCharAlphaW(WCHAR character)
{
    return sslsock_wce_is_char(character, 1);
}

static __inline__ BOOL IsCharAlphaA(CHAR character)
{
    return IsCharAlphaW(sslsock_wce_wide_of((unsigned char)character));
}

static __inline__ BOOL IsCharAlpha(TCHAR character)
{
    return SSLSOCK_WCE_BY_WIDTH(IsCharAlpha)(character);
}

static __inline__ BOOL IsCharAlphaNumericW(WCHAR character)
{
    return sslsock_wce_is_char(character, 2);
}

static __inline__ BOOL IsCharAlphaNumericA(CHAR character)
{
    return IsCharAlphaNumericW(sslsock_wce_wide_of((unsigned char)character));
}

static __inline__ BOOL IsCharAlphaNumeric(TCHAR character)
{
    return SSLSOCK_WCE_BY_WIDTH(IsCharAlphaNumeric)(character);
}

static __inline__ BOOL IsCharUpperW(WCHAR character)
{
    return sslsock_wce_is_char(character, 3);
}

static __inline__ BOOL IsCharUpperA(CHAR character)
{
    return IsCharUpperW(sslsock_wce_wide_of((unsigned char)character));
}

static __inline__ BOOL IsCharUpper(TCHAR character)
{
    return SSLSOCK_WCE_BY_WIDTH(IsCharUpper)(character);
}

static __inline__ BOOL IsCharLowerW(WCHAR character)
{
    return sslsock_wce_is_char(character, 4);
}

static __inline__ BOOL IsCharLowerA(CHAR character)
{
    return IsCharLowerW(sslsock_wce_wide_of((unsigned char)character));
}

static __inline__ BOOL IsCharLower(TCHAR character)
{
    return SSLSOCK_WCE_BY_WIDTH(IsCharLower)(character);
}

static __inline__ LPSTR CharNextA(LPCSTR text)
{
    return (LPSTR)(uintptr_t)(*text != 0 ? text + 1 : text);
}

static __inline__ LPWSTR CharNextW(LPCWSTR text)
{
    return (LPWSTR)(uintptr_t)(*text != 0 ? text + 1 : text);
}

static __inline__ LPSTR CharPrevA(LPCSTR start, LPCSTR text)
{
    return (LPSTR)(uintptr_t)(text > start ? text - 1 : start);
}

static __inline__ LPWSTR CharPrevW(LPCWSTR start, LPCWSTR text)
{
    return (LPWSTR)(uintptr_t)(text > start ? text - 1 : start);
}

static __inline__ LPTSTR CharNext(LPCTSTR text)
{
    return (LPTSTR)(uintptr_t)(*text != 0 ? text + 1 : text);
}

static __inline__ LPTSTR CharPrev(LPCTSTR start, LPCTSTR text)
{
    return (LPTSTR)(uintptr_t)(text > start ? text - 1 : start);
}

SSLSOCK_WCE_END

#endif
