/*
 * Windows's basic types, with their widths: DWORD, LONG and ULONG have 32 bits here too, where long has 64.
 */
#ifndef SSLSOCK_WCE_WINDEF_H
#define SSLSOCK_WCE_WINDEF_H

#include "sslsock_wce/linkage.h"

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* Calling conventions, and what distinguished pointers on 16-bit systems. */
#define CALLBACK
#define WINAPI
#define WINAPIV
#define APIENTRY
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
#define __forceinline static __inline__ __attribute__((always_inline))
#define __declspec(what)

typedef int BOOL, *PBOOL, *LPBOOL;
typedef unsigned char BYTE, *PBYTE, *LPBYTE;
typedef unsigned char UCHAR, *PUCHAR;
typedef uint16_t WORD, *PWORD, *LPWORD;
typedef uint16_t USHORT, *PUSHORT;
typedef uint32_t DWORD, *PDWORD, *LPDWORD;
typedef uint32_t ULONG, *PULONG;
typedef unsigned int UINT, *PUINT;
typedef int INT, *PINT, *LPINT;
typedef int16_t SHORT, *PSHORT;
typedef int32_t LONG, *PLONG, *LPLONG;
typedef float FLOAT;
typedef char CHAR, *PCHAR;
typedef wchar_t WCHAR, *PWCHAR;
typedef void VOID, *PVOID, *LPVOID;
typedef const void *LPCVOID;

typedef int8_t INT8;
typedef uint8_t UINT8;
typedef int16_t INT16;
typedef uint16_t UINT16;
typedef int32_t INT32;
typedef uint32_t UINT32;
typedef int64_t INT64, LONGLONG, LONG64;
typedef uint64_t UINT64, ULONGLONG, ULONG64, DWORD64;
typedef int32_t LONG32;
typedef uint32_t ULONG32, DWORD32;
typedef intptr_t INT_PTR, LONG_PTR;
typedef uintptr_t UINT_PTR, ULONG_PTR, DWORD_PTR;
typedef size_t SIZE_T;
typedef ptrdiff_t SSIZE_T;
typedef UINT_PTR WPARAM;
typedef LONG_PTR LPARAM, LRESULT;

typedef CHAR *LPSTR, *PSTR;
typedef const CHAR *LPCSTR, *PCSTR;
typedef WCHAR *LPWSTR, *PWSTR;
typedef const WCHAR *LPCWSTR, *PCWSTR;

#ifdef UNICODE
typedef WCHAR TCHAR, *PTCHAR;
typedef LPWSTR LPTSTR, PTSTR;
typedef LPCWSTR LPCTSTR, PCTSTR;
#define SSLSOCK_WCE_TEXT(quoted) L##quoted
#else
typedef CHAR TCHAR, *PTCHAR;
typedef LPSTR LPTSTR, PTSTR;
typedef LPCSTR LPCTSTR, PCTSTR;
#define SSLSOCK_WCE_TEXT(quoted) quoted
#endif
#define TEXT(quoted) SSLSOCK_WCE_TEXT(quoted)

typedef void *HANDLE, **PHANDLE, **LPHANDLE;
typedef struct HINSTANCE__ *HINSTANCE;
typedef HINSTANCE HMODULE;
typedef struct HWND__ *HWND;
typedef INT_PTR (*FARPROC)();
typedef int32_t HRESULT;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#define MAX_PATH 260

#define MAKEWORD(low, high) ((WORD)(((BYTE)(low)) | ((WORD)((BYTE)(high))) << 8))
#define MAKELONG(low, high) ((LONG)(((WORD)(low)) | ((DWORD)((WORD)(high))) << 16))
#define LOWORD(value) ((WORD)((uintptr_t)(value) & 0xffff))
#define HIWORD(value) ((WORD)(((uintptr_t)(value) >> 16) & 0xffff))
#define LOBYTE(value) ((BYTE)((uintptr_t)(value) & 0xff))
#define HIBYTE(value) ((BYTE)(((uintptr_t)(value) >> 8) & 0xff))

typedef struct _FILETIME {
    DWORD dwLowDateTime;
    DWORD dwHighDateTime;
} FILETIME, *PFILETIME, *LPFILETIME;

SSLSOCK_WCE_ASSERT(sizeof(DWORD) == 4 && sizeof(LONG) == 4 && sizeof(ULONG) == 4, "32 bits");
SSLSOCK_WCE_ASSERT(sizeof(LPVOID) == sizeof(UINT_PTR), "pointers");
SSLSOCK_WCE_ASSERT(sizeof(FILETIME) == 8, "FILETIME");

#endif
