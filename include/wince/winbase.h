/* Windows: the functions of the base system that network code calls. */
#ifndef SSLSOCK_WCE_WINBASE_H
#define SSLSOCK_WCE_WINBASE_H

#include "winerror.h"
#include "winnt.h"
#include "sslsock_wce/critical_section.h"
#include "sslsock_wce/crt.h"
#include "sslsock_wce/interlocked.h"
#include "sslsock_wce/memory.h"

SSLSOCK_WCE_BEGIN

/* The same as WSAGetLastError and WSASetLastError; each thread has its own. */
DWORD GetLastError(void) SSLSOCK_WCE(get_last_error);
void SetLastError(DWORD number) SSLSOCK_WCE(set_last_error);

/* Time. */

typedef struct _SYSTEMTIME {
    WORD wYear;
    WORD wMonth;
    WORD wDayOfWeek;
    WORD wDay;
    WORD wHour;
    WORD wMinute;
    WORD wSecond;
    WORD wMilliseconds;
} SYSTEMTIME, *PSYSTEMTIME, *LPSYSTEMTIME;

typedef struct _TIME_ZONE_INFORMATION {
    LONG Bias;
    WCHAR StandardName[32];
    SYSTEMTIME StandardDate;
    LONG StandardBias;
    WCHAR DaylightName[32];
    SYSTEMTIME DaylightDate;
    LONG DaylightBias;
} TIME_ZONE_INFORMATION, *PTIME_ZONE_INFORMATION, *LPTIME_ZONE_INFORMATION;

#define TIME_ZONE_ID_UNKNOWN 0
#define TIME_ZONE_ID_STANDARD 1
#define TIME_ZONE_ID_DAYLIGHT 2
#define TIME_ZONE_ID_INVALID ((DWORD)0xffffffff)
#define INFINITE 0xffffffffU

DWORD GetTickCount(void) SSLSOCK_WCE(get_tick_count);
void Sleep(DWORD milliseconds) SSLSOCK_WCE(sleep);
BOOL QueryPerformanceCounter(LARGE_INTEGER *count) SSLSOCK_WCE(query_performance_counter);
BOOL QueryPerformanceFrequency(LARGE_INTEGER *frequency) SSLSOCK_WCE(query_performance_frequency);

void GetSystemTime(LPSYSTEMTIME time) SSLSOCK_WCE(get_system_time);
void GetLocalTime(LPSYSTEMTIME time) SSLSOCK_WCE(get_local_time);
void GetSystemTimeAsFileTime(LPFILETIME time) SSLSOCK_WCE(get_system_time_as_file_time);
BOOL SystemTimeToFileTime(const SYSTEMTIME *from, LPFILETIME to) SSLSOCK_WCE(system_time_to_file_time);
BOOL FileTimeToSystemTime(const FILETIME *from, LPSYSTEMTIME to) SSLSOCK_WCE(file_time_to_system_time);
BOOL FileTimeToLocalFileTime(const FILETIME *from, LPFILETIME to) SSLSOCK_WCE(file_time_to_local_file_time);
BOOL LocalFileTimeToFileTime(const FILETIME *from, LPFILETIME to) SSLSOCK_WCE(local_file_time_to_file_time);
LONG CompareFileTime(const FILETIME *first, const FILETIME *second) SSLSOCK_WCE(compare_file_time);
/* The current bias; it does not say when it changes. */
DWORD GetTimeZoneInformation(LPTIME_ZONE_INFORMATION zone) SSLSOCK_WCE(get_time_zone_information);

/* What GetProcAddress answers is always cast. */
#pragma GCC diagnostic ignored "-Wcast-function-type"

/* Libraries: those whose functions these headers declare, by name, and those functions. */

HMODULE LoadLibraryA(LPCSTR name) SSLSOCK_WCE(load_library_a);
HMODULE LoadLibraryW(LPCWSTR name) SSLSOCK_WCE(load_library_w);
HMODULE LoadLibraryExA(LPCSTR name, HANDLE file, DWORD flags) SSLSOCK_WCE(load_library_ex_a);
HMODULE LoadLibraryExW(LPCWSTR name, HANDLE file, DWORD flags) SSLSOCK_WCE(load_library_ex_w);
HMODULE GetModuleHandleA(LPCSTR name) SSLSOCK_WCE(get_module_handle_a);
HMODULE GetModuleHandleW(LPCWSTR name) SSLSOCK_WCE(get_module_handle_w);
BOOL FreeLibrary(HMODULE module) SSLSOCK_WCE(free_library);
FARPROC GetProcAddressA(HMODULE module, LPCSTR name) SSLSOCK_WCE(get_proc_address_a);
FARPROC GetProcAddressW(HMODULE module, LPCWSTR name) SSLSOCK_WCE(get_proc_address_w);

#ifdef UNICODE
HMODULE LoadLibrary(LPCWSTR name) SSLSOCK_WCE(load_library_w);
HMODULE LoadLibraryEx(LPCWSTR name, HANDLE file, DWORD flags) SSLSOCK_WCE(load_library_ex_w);
HMODULE GetModuleHandle(LPCWSTR name) SSLSOCK_WCE(get_module_handle_w);
#else
HMODULE LoadLibrary(LPCSTR name) SSLSOCK_WCE(load_library_a);
HMODULE LoadLibraryEx(LPCSTR name, HANDLE file, DWORD flags) SSLSOCK_WCE(load_library_ex_a);
HMODULE GetModuleHandle(LPCSTR name) SSLSOCK_WCE(get_module_handle_a);
#endif

/* Names are narrow on Windows and may be wide on Windows CE. */
#ifdef __cplusplus
extern "C++" {
inline FARPROC GetProcAddress(HMODULE module, LPCSTR name)
{
    return GetProcAddressA(module, name);
}
inline FARPROC GetProcAddress(HMODULE module, LPCWSTR name)
{
    return GetProcAddressW(module, name);
}
}
#else
#define GetProcAddress(module, name)                                               \
    (sizeof *(name) == sizeof(WCHAR) ? GetProcAddressW(module, (LPCWSTR)(name))     \
                                     : GetProcAddressA(module, (LPCSTR)(name)))
#endif

/* Texts of error numbers, Winsock's and the system's. */

#define FORMAT_MESSAGE_ALLOCATE_BUFFER 0x00000100
#define FORMAT_MESSAGE_IGNORE_INSERTS 0x00000200
#define FORMAT_MESSAGE_FROM_HMODULE 0x00000800
#define FORMAT_MESSAGE_FROM_SYSTEM 0x00001000
#define FORMAT_MESSAGE_ARGUMENT_ARRAY 0x00002000
#define FORMAT_MESSAGE_MAX_WIDTH_MASK 0x000000ff

/* FROM_SYSTEM only. The buffer of ALLOCATE_BUFFER is freed with LocalFree. */
DWORD FormatMessageA(DWORD flags, LPCVOID source, DWORD number, DWORD language, LPSTR buffer, DWORD size,
                     va_list *arguments) SSLSOCK_WCE(format_message_a);
DWORD FormatMessageW(DWORD flags, LPCVOID source, DWORD number, DWORD language, LPWSTR buffer, DWORD size,
                     va_list *arguments) SSLSOCK_WCE(format_message_w);
#ifdef UNICODE
DWORD FormatMessage(DWORD flags, LPCVOID source, DWORD number, DWORD language, LPWSTR buffer, DWORD size,
                    va_list *arguments) SSLSOCK_WCE(format_message_w);
#else
DWORD FormatMessage(DWORD flags, LPCVOID source, DWORD number, DWORD language, LPSTR buffer, DWORD size,
                    va_list *arguments) SSLSOCK_WCE(format_message_a);
#endif

/* Goes to the callback of ssl_set_log_callback at level SSL_LOG_DEBUG. */
void OutputDebugStringA(LPCSTR text) SSLSOCK_WCE(output_debug_string_a);
void OutputDebugStringW(LPCWSTR text) SSLSOCK_WCE(output_debug_string_w);
#ifdef UNICODE
void OutputDebugString(LPCWSTR text) SSLSOCK_WCE(output_debug_string_w);
#else
void OutputDebugString(LPCSTR text) SSLSOCK_WCE(output_debug_string_a);
#endif

DWORD GetCurrentThreadId(void) SSLSOCK_WCE(get_current_thread_id);
DWORD GetCurrentProcessId(void) SSLSOCK_WCE(get_current_process_id);

typedef DWORD (*PTHREAD_START_ROUTINE)(LPVOID argument);
typedef PTHREAD_START_ROUTINE LPTHREAD_START_ROUTINE;

/* Strings. */

static __inline__ int lstrlenA(LPCSTR text)
{
    return text == NULL ? 0 : (int)strlen(text);
}

static __inline__ int lstrlenW(LPCWSTR text)
{
    return text == NULL ? 0 : (int)wcslen(text);
}

static __inline__ LPSTR lstrcpyA(LPSTR to, LPCSTR from)
{
    return (LPSTR)memmove(to, from, strlen(from) + 1);
}

static __inline__ LPWSTR lstrcpyW(LPWSTR to, LPCWSTR from)
{
    return wmemmove(to, from, wcslen(from) + 1);
}

static __inline__ LPSTR lstrcatA(LPSTR to, LPCSTR from)
{
    return strcat(to, from);
}

static __inline__ LPWSTR lstrcatW(LPWSTR to, LPCWSTR from)
{
    return wcscat(to, from);
}

/* At most size - 1 characters and always a NUL. */
static __inline__ LPSTR lstrcpynA(LPSTR to, LPCSTR from, int size)
{
    int i;

    if (size <= 0) {
        return to;
    }
    for (i = 0; i < size - 1 && from[i] != 0; i++) {
        to[i] = from[i];
    }
    to[i] = 0;
    return to;
}

static __inline__ LPWSTR lstrcpynW(LPWSTR to, LPCWSTR from, int size)
{
    int i;

    if (size <= 0) {
        return to;
    }
    for (i = 0; i < size - 1 && from[i] != 0; i++) {
        to[i] = from[i];
    }
    to[i] = 0;
    return to;
}

static __inline__ int lstrcmpA(LPCSTR first, LPCSTR second)
{
    return strcmp(first, second);
}

static __inline__ int lstrcmpW(LPCWSTR first, LPCWSTR second)
{
    return wcscmp(first, second);
}

static __inline__ int lstrcmpiA(LPCSTR first, LPCSTR second)
{
    return _stricmp(first, second);
}

static __inline__ int lstrcmpiW(LPCWSTR first, LPCWSTR second)
{
    return _wcsicmp(first, second);
}

static __inline__ int lstrlen(LPCTSTR text)
{
    return SSLSOCK_WCE_BY_WIDTH(lstrlen)(text);
}

static __inline__ LPTSTR lstrcpy(LPTSTR to, LPCTSTR from)
{
    return SSLSOCK_WCE_BY_WIDTH(lstrcpy)(to, from);
}

static __inline__ LPTSTR lstrcpyn(LPTSTR to, LPCTSTR from, int size)
{
    return SSLSOCK_WCE_BY_WIDTH(lstrcpyn)(to, from, size);
}

static __inline__ LPTSTR lstrcat(LPTSTR to, LPCTSTR from)
{
    return SSLSOCK_WCE_BY_WIDTH(lstrcat)(to, from);
}

static __inline__ int lstrcmp(LPCTSTR first, LPCTSTR second)
{
    return SSLSOCK_WCE_BY_WIDTH(lstrcmp)(first, second);
}

static __inline__ int lstrcmpi(LPCTSTR first, LPCTSTR second)
{
    return SSLSOCK_WCE_BY_WIDTH(lstrcmpi)(first, second);
}

/* Which system it is: programs ask for Windows CE to choose their ways. */

#define VER_PLATFORM_WIN32s 0
#define VER_PLATFORM_WIN32_WINDOWS 1
#define VER_PLATFORM_WIN32_NT 2
#define VER_PLATFORM_WIN32_CE 3

typedef struct _OSVERSIONINFO {
    DWORD dwOSVersionInfoSize;
    DWORD dwMajorVersion;
    DWORD dwMinorVersion;
    DWORD dwBuildNumber;
    DWORD dwPlatformId;
    TCHAR szCSDVersion[128];
} OSVERSIONINFO, *POSVERSIONINFO, *LPOSVERSIONINFO;

#ifndef _WIN32_WCE
#define SSLSOCK_WCE_VERSION 0x501
#else
#define SSLSOCK_WCE_VERSION (_WIN32_WCE + 0)
#endif

/* Windows CE, in the version that the program is compiled for (_WIN32_WCE). */
static __inline__ BOOL GetVersionEx(LPOSVERSIONINFO information)
{
    if (information == NULL || information->dwOSVersionInfoSize < sizeof(OSVERSIONINFO)) {
        SetLastError(ERROR_INSUFFICIENT_BUFFER);
        return FALSE;
    }
    information->dwMajorVersion = SSLSOCK_WCE_VERSION >> 8;
    information->dwMinorVersion = SSLSOCK_WCE_VERSION & 0xff;
    information->dwBuildNumber = 0;
    information->dwPlatformId = VER_PLATFORM_WIN32_CE;
    information->szCSDVersion[0] = 0;
    return TRUE;
}

SSLSOCK_WCE_END

SSLSOCK_WCE_ASSERT(sizeof(SYSTEMTIME) == 16, "SYSTEMTIME");

#endif
