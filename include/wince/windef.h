/*
 * Windows's basic types, with their widths: DWORD, LONG and ULONG have 32 bits here too, where long has 64.
 */
#ifndef SSLSOCK_WCE_WINDEF_H
#define SSLSOCK_WCE_WINDEF_H

/* Sources define the one for windows.h and the other for tchar.h: a mixture of both makes no sense. */
#if defined(_UNICODE) && !defined(UNICODE)
#define UNICODE
#elif defined(UNICODE) && !defined(_UNICODE)
#define _UNICODE
#endif

#include "sslsock_wce/linkage.h"
#include "sslsock_wce/standard.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* Windows sources are full of pragmas for its compiler and linker. (g++ obeys this from version 13 on.) */
#pragma GCC diagnostic ignored "-Wunknown-pragmas"

/* Calling conventions, and what distinguished pointers on 16-bit systems. */
#define CALLBACK
#define WINAPI
#define WINAPIV
#define APIENTRY
#define APIPRIVATE
#define PASCAL
#define FAR
#define NEAR
#define far
#define near
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define UNALIGNED
#define __stdcall
#define __cdecl
#define _cdecl
#define _stdcall
#define __fastcall
#define __unaligned
#define __ptr64
#define __w64
#define STDMETHODCALLTYPE
#define STDMETHODVCALLTYPE
#define STDAPICALLTYPE
#define WINBASEAPI
#define WINUSERAPI
#define __declspec(what)
#define DECLSPEC_IMPORT
#define DECLSPEC_NORETURN __attribute__((__noreturn__))

/* In C an inline function of Windows's compiler needs no definition elsewhere. */
#define _inline __inline__
#ifdef __cplusplus
#define __forceinline inline __attribute__((__always_inline__))
#else
#define __forceinline __inline__ __attribute__((__always_inline__))
#endif
#define FORCEINLINE __forceinline

#ifdef __cplusplus
#define EXTERN_C extern "C"
#else
#define EXTERN_C extern
#endif

#define __int8 char
#define __int16 short
#define __int32 int
#define __int64 long long
#define _int64 long long

typedef int BOOL, *PBOOL, *LPBOOL;
typedef unsigned char BYTE, *PBYTE, *LPBYTE;
typedef unsigned char UCHAR, *PUCHAR;
typedef unsigned char byte, boolean;
typedef BYTE BOOLEAN, *PBOOLEAN;
typedef uint16_t WORD, *PWORD, *LPWORD;
typedef uint16_t USHORT, *PUSHORT;
typedef uint32_t DWORD, *PDWORD, *LPDWORD;
typedef uint32_t ULONG, *PULONG;
typedef unsigned int UINT, *PUINT, *LPUINT;
typedef int INT, *PINT, *LPINT;
typedef int16_t SHORT, *PSHORT;
typedef int32_t LONG, *PLONG, *LPLONG;
typedef float FLOAT;
typedef double DOUBLE;
typedef char CHAR, *PCHAR, *LPCH, *PCH;
typedef wchar_t WCHAR, *PWCHAR, *LPWCH, *PWCH;
#ifndef VOID
#define VOID void
#endif
typedef void *PVOID, *LPVOID;
typedef const void *LPCVOID;
typedef WORD ATOM;
typedef DWORD COLORREF, *LPCOLORREF;

typedef int8_t INT8;
typedef uint8_t UINT8;
typedef int16_t INT16;
typedef uint16_t UINT16;
typedef int32_t INT32, *PINT32;
typedef uint32_t UINT32, *PUINT32;
/* long long, as __int64 is: int64_t is another type for C++ where long has 64 bits. */
typedef long long INT64, LONGLONG, LONG64, *PINT64, *PLONGLONG;
typedef unsigned long long UINT64, ULONGLONG, ULONG64, DWORD64, DWORDLONG, *PUINT64, *PULONGLONG;
typedef int32_t LONG32;
typedef uint32_t ULONG32, DWORD32;
typedef intptr_t INT_PTR, LONG_PTR, *PINT_PTR, *PLONG_PTR;
typedef uintptr_t UINT_PTR, ULONG_PTR, DWORD_PTR, *PUINT_PTR, *PULONG_PTR, *PDWORD_PTR;
typedef size_t SIZE_T, *PSIZE_T;
typedef ptrdiff_t SSIZE_T;
typedef UINT_PTR WPARAM;
typedef LONG_PTR LPARAM, LRESULT;

typedef CHAR *LPSTR, *PSTR, *NPSTR;
typedef const CHAR *LPCSTR, *PCSTR;
typedef WCHAR *LPWSTR, *PWSTR, *NWPSTR;
typedef const WCHAR *LPCWSTR, *PCWSTR;
typedef WCHAR OLECHAR, *LPOLESTR;
typedef const WCHAR *LPCOLESTR;

#ifdef UNICODE
typedef WCHAR TCHAR, *PTCHAR, TBYTE, *PTBYTE;
typedef LPWSTR LPTSTR, PTSTR, LPTCH;
typedef LPCWSTR LPCTSTR, PCTSTR;
#define SSLSOCK_WCE_TEXT(quoted) L##quoted
#else
typedef CHAR TCHAR, *PTCHAR;
typedef unsigned char TBYTE, *PTBYTE;
typedef LPSTR LPTSTR, PTSTR, LPTCH;
typedef LPCSTR LPCTSTR, PCTSTR;
#define SSLSOCK_WCE_TEXT(quoted) quoted
#endif
#ifdef UNICODE
#define SSLSOCK_WCE_BY_WIDTH(name) name##W
#else
#define SSLSOCK_WCE_BY_WIDTH(name) name##A
#endif
#define TEXT(quoted) SSLSOCK_WCE_TEXT(quoted)
/* tchar.h's name for the same type. */
#define _TCHAR TCHAR

typedef void *HANDLE, **PHANDLE, **LPHANDLE;
#define DECLARE_HANDLE(name) typedef struct name##__ *name
DECLARE_HANDLE(HINSTANCE);
DECLARE_HANDLE(HWND);
DECLARE_HANDLE(HDC);
DECLARE_HANDLE(HICON);
DECLARE_HANDLE(HMENU);
DECLARE_HANDLE(HBRUSH);
DECLARE_HANDLE(HPEN);
DECLARE_HANDLE(HFONT);
DECLARE_HANDLE(HBITMAP);
DECLARE_HANDLE(HRGN);
DECLARE_HANDLE(HPALETTE);
DECLARE_HANDLE(HACCEL);
DECLARE_HANDLE(HRSRC);
DECLARE_HANDLE(HKEY);
typedef HINSTANCE HMODULE;
typedef HICON HCURSOR;
typedef void *HGDIOBJ;
typedef HANDLE HGLOBAL, HLOCAL;
typedef HKEY *PHKEY;
#define INVALID_HANDLE_VALUE ((HANDLE)(LONG_PTR)-1)

typedef INT_PTR (*FARPROC)();
typedef INT_PTR (*PROC)();
typedef LRESULT (*WNDPROC)(HWND, UINT, WPARAM, LPARAM);
typedef int32_t HRESULT;
typedef int32_t SCODE;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#define MAX_PATH 260
#define _MAX_PATH 260
#define _MAX_DRIVE 3
#define _MAX_DIR 256
#define _MAX_FNAME 256
#define _MAX_EXT 256

#define MAKEWORD(low, high) ((WORD)(((BYTE)(low)) | ((WORD)((BYTE)(high))) << 8))
#define MAKELONG(low, high) ((LONG)(((WORD)(low)) | ((DWORD)((WORD)(high))) << 16))
#define LOWORD(value) ((WORD)((uintptr_t)(value) & 0xffff))
#define HIWORD(value) ((WORD)(((uintptr_t)(value) >> 16) & 0xffff))
#define LOBYTE(value) ((BYTE)((uintptr_t)(value) & 0xff))
#define HIBYTE(value) ((BYTE)(((uintptr_t)(value) >> 8) & 0xff))

#define RGB(red, green, blue) ((COLORREF)((BYTE)(red) | (WORD)(BYTE)(green) << 8 | (DWORD)(BYTE)(blue) << 16))

#define ARRAYSIZE(array) (sizeof(array) / sizeof((array)[0]))
#define _countof(array) (sizeof(array) / sizeof((array)[0]))
#define FIELD_OFFSET(type, field) ((LONG)offsetof(type, field))
#define UNREFERENCED_PARAMETER(name) ((void)(name))
#define DBG_UNREFERENCED_PARAMETER(name) ((void)(name))
#define DBG_UNREFERENCED_LOCAL_VARIABLE(name) ((void)(name))

#ifndef NOMINMAX
#ifdef __cplusplus
/* Less specialised than the templates of <algorithm>, which therefore win wherever both are in sight. */
extern "C++" {
template <class A, class B>
struct sslsock_wce_common {
    typedef __typeof__(true ? *(A *)0 : *(B *)0) type;
};
template <class A, class B>
inline typename sslsock_wce_common<A, B>::type min(const A &a, const B &b)
{
    return b < a ? b : a;
}
template <class A, class B>
inline typename sslsock_wce_common<A, B>::type max(const A &a, const B &b)
{
    return a < b ? b : a;
}
}
#else
#ifndef min
#define min(a, b) ((a) < (b) ? (a) : (b))
#endif
#ifndef max
#define max(a, b) ((a) > (b) ? (a) : (b))
#endif
#endif
#endif

typedef struct _FILETIME {
    DWORD dwLowDateTime;
    DWORD dwHighDateTime;
} FILETIME, *PFILETIME, *LPFILETIME;

typedef struct tagPOINT {
    LONG x;
    LONG y;
} POINT, *PPOINT, *LPPOINT;

typedef struct tagSIZE {
    LONG cx;
    LONG cy;
} SIZE, *PSIZE, *LPSIZE;

typedef struct tagRECT {
    LONG left;
    LONG top;
    LONG right;
    LONG bottom;
} RECT, *PRECT, *LPRECT;
typedef const RECT *LPCRECT;

SSLSOCK_WCE_ASSERT(sizeof(DWORD) == 4 && sizeof(LONG) == 4 && sizeof(ULONG) == 4, "32 bits");
SSLSOCK_WCE_ASSERT(sizeof(LPVOID) == sizeof(UINT_PTR), "pointers");
SSLSOCK_WCE_ASSERT(sizeof(FILETIME) == 8, "FILETIME");

#endif
