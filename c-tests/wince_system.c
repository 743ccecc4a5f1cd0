/*
 * What Windows CE programs use of the system beside sockets: times, libraries, messages, memory, critical sections.
 * Compiled as C and as C++.
 */
#include <windows.h>
#include <tchar.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "../include/sslsock.h"
#include "common/test.h"
#ifdef __cplusplus
}
#endif

static ULONGLONG value_of(const FILETIME *time)
{
    ULARGE_INTEGER value;

    value.LowPart = time->dwLowDateTime;
    value.HighPart = time->dwHighDateTime;
    return value.QuadPart;
}

static void times_agree_with_the_c_library(const struct way *way)
{
    FILETIME now;
    FILETIME local;
    FILETIME back;
    SYSTEMTIME fields;
    SYSTEMTIME local_fields;
    struct tm expected;
    time_t seconds;

    (void)way;
    /* East of Greenwich by a time that nobody has. */
    CHECK(setenv("TZ", "XYZ-3:17", 1) == 0);
    tzset();
    GetSystemTimeAsFileTime(&now);
    seconds = (time_t)((value_of(&now) - 116444736000000000ULL) / 10000000);
    CHECK(seconds - time(NULL) <= 1 && time(NULL) - seconds < 60);
    CHECK(FileTimeToSystemTime(&now, &fields) && gmtime_r(&seconds, &expected) != NULL);
    CHECK(fields.wYear == expected.tm_year + 1900 && fields.wMonth == expected.tm_mon + 1);
    CHECK(fields.wDay == expected.tm_mday && fields.wDayOfWeek == expected.tm_wday);
    CHECK(fields.wHour == expected.tm_hour && fields.wMinute == expected.tm_min && fields.wSecond == expected.tm_sec);

    CHECK(FileTimeToLocalFileTime(&now, &local) && FileTimeToSystemTime(&local, &local_fields));
    CHECK(localtime_r(&seconds, &expected) != NULL);
    CHECK(local_fields.wHour == expected.tm_hour && local_fields.wMinute == expected.tm_min);
    CHECK(LocalFileTimeToFileTime(&local, &back) && CompareFileTime(&back, &now) == 0);
    CHECK(CompareFileTime(&now, &local) == -1 && CompareFileTime(&local, &now) == 1);

    CHECK(SystemTimeToFileTime(&fields, &back) && value_of(&now) - value_of(&back) < 10000);
    fields.wMonth = 13;
    SetLastError(0);
    CHECK(!SystemTimeToFileTime(&fields, &back) && GetLastError() == ERROR_INVALID_PARAMETER);
}

static void local_time_and_its_zone(const struct way *way)
{
    TIME_ZONE_INFORMATION zone;
    SYSTEMTIME utc;
    SYSTEMTIME local;
    int ahead;

    (void)way;
    CHECK(setenv("TZ", "XYZ-3:17", 1) == 0);
    tzset();
    CHECK(GetTimeZoneInformation(&zone) == TIME_ZONE_ID_UNKNOWN && zone.Bias == -197 && zone.StandardBias == 0);
    CHECK(wcscmp(zone.StandardName, L"XYZ") == 0);
    /* Both within one minute. */
    do {
        SYSTEMTIME again;
        GetSystemTime(&utc);
        GetLocalTime(&local);
        GetSystemTime(&again);
        ahead = again.wMinute == utc.wMinute ? (local.wHour - utc.wHour) * 60 + local.wMinute - utc.wMinute : 0;
    } while (ahead == 0);
    CHECK(ahead == 197 || ahead == 197 - 24 * 60);

    /* Either half of the year has its own. */
    CHECK(setenv("TZ", "AAA1BBB,M3.5.0,M10.5.0", 1) == 0);
    tzset();
    {
        DWORD now = GetTimeZoneInformation(&zone);
        CHECK(now == TIME_ZONE_ID_STANDARD || now == TIME_ZONE_ID_DAYLIGHT);
        CHECK(zone.Bias == 60 && zone.DaylightBias == -60);
        CHECK(wcscmp(zone.StandardName, L"AAA") == 0 && wcscmp(zone.DaylightName, L"BBB") == 0);
    }
}

static void clocks_go_on(const struct way *way)
{
    LARGE_INTEGER first;
    LARGE_INTEGER second;
    LARGE_INTEGER frequency;
    DWORD before = GetTickCount();

    (void)way;
    CHECK(QueryPerformanceCounter(&first) && QueryPerformanceFrequency(&frequency) && frequency.QuadPart > 1000);
    Sleep(20);
    Sleep(0);
    CHECK(QueryPerformanceCounter(&second));
    CHECK((second.QuadPart - first.QuadPart) * 1000 / frequency.QuadPart >= 20);
    CHECK(GetTickCount() - before >= 20 && GetTickCount() - before < 60000);
    CHECK(GetCurrentThreadId() != 0 && GetCurrentProcessId() != 0);
}

typedef DWORD (*tick_count)(void);
typedef int (*last_error)(void);

static void functions_by_their_names(const struct way *way)
{
    HMODULE core = LoadLibrary(TEXT("\\Windows\\CoreDLL.dll"));
    tick_count ticks = (tick_count)GetProcAddress(core, TEXT("GetTickCount"));
    last_error last;

    (void)way;
    CHECK(core != NULL && ticks != NULL && ticks() - GetTickCount() + 1000 < 2000);
    last = (last_error)GetProcAddress(LoadLibrary(_T("ws2.dll")), "WSAGetLastError");
    SetLastError(77);
    CHECK(last != NULL && last() == 77);
    CHECK((tick_count)GetProcAddress(core, L"GetTickCount") == ticks);
    CHECK(GetModuleHandle(TEXT("coredll")) == core && FreeLibrary(core));
    CHECK(GetProcAddress(LoadLibrary(TEXT("schannel.dll")), TEXT("SslCrackCertificate")) != NULL);
    CHECK(GetProcAddress(LoadLibrary(TEXT("schannel.dll")), "SslFreeCertificate") != NULL);
    CHECK(GetProcAddress(LoadLibrary(TEXT("crypt32.dll")), TEXT("CertCreateCertificateContext")) != NULL);

    CHECK(LoadLibrary(TEXT("aygshell.dll")) == NULL && GetLastError() == ERROR_MOD_NOT_FOUND);
    CHECK(GetProcAddress(core, TEXT("CreateThread")) == NULL && GetLastError() == ERROR_PROC_NOT_FOUND);
    CHECK(GetProcAddressA(core, (LPCSTR)(uintptr_t)17) == NULL && GetLastError() == ERROR_PROC_NOT_FOUND);
    CHECK(GetProcAddress(NULL, TEXT("Sleep")) == NULL && GetLastError() == ERROR_INVALID_HANDLE);
    CHECK(!FreeLibrary((HMODULE)(uintptr_t)&ticks) && GetLastError() == ERROR_INVALID_HANDLE);
}

static void texts_of_error_numbers(const struct way *way)
{
    LPTSTR allocated = NULL;
    TCHAR text[200];
    DWORD length;

    (void)way;
    length = FormatMessage(FORMAT_MESSAGE_ALLOCATE_BUFFER | FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
                           10061, MAKELANGID(LANG_NEUTRAL, SUBLANG_DEFAULT), (LPTSTR)(void *)&allocated, 0, NULL);
    CHECK(length > 10 && allocated != NULL && _tcslen(allocated) == length);
    CHECK(_tcsstr(allocated, TEXT("refused")) != NULL && _tcscmp(allocated + length - 2, TEXT("\r\n")) == 0);
    CHECK(LocalFree(allocated) == NULL);
    CHECK(FormatMessage(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 11001, 0, text, 200, NULL) == _tcslen(text));
    CHECK(FormatMessage(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 11001, 0, text, 5, NULL) == 0);
    CHECK(GetLastError() == ERROR_INSUFFICIENT_BUFFER);
    CHECK(FormatMessage(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 987654, 0, text, 200, NULL) == 0);
    CHECK(GetLastError() == ERROR_MR_MID_NOT_FOUND);
    CHECK(HRESULT_FROM_WIN32(ERROR_INSUFFICIENT_BUFFER) == (HRESULT)0x8007007a && HRESULT_FROM_WIN32(0) == S_OK);
    CHECK(FAILED(E_FAIL) && SUCCEEDED(S_FALSE) && HRESULT_CODE(E_OUTOFMEMORY) == ERROR_OUTOFMEMORY);
}

static char asked[200];

static int32_t answer(void *arg, void *owner, const char *text, const char *caption, uint32_t type)
{
    snprintf(asked, sizeof asked, "%s|%s|%x", text, caption, type);
    CHECK(arg == asked && owner == (void *)(uintptr_t)0x55);
    return IDYES;
}

static void message_boxes_are_the_programs(const struct way *way)
{
    HWND owner = (HWND)(uintptr_t)0x55;

    (void)way;
    CHECK(MessageBox(owner, TEXT("text"), TEXT("caption"), MB_YESNO | MB_ICONQUESTION) == IDNO);
    CHECK(MessageBox(NULL, TEXT("text"), NULL, MB_OK) == IDCANCEL);
    CHECK(MessageBox(NULL, TEXT("text"), NULL, MB_ABORTRETRYIGNORE) == IDABORT);
    CHECK(ssl_wce_set_message_box(answer, asked) == SSL_ERR_OKAY);
    CHECK(MessageBoxW(owner, L"\u20ac?", L"cap\u00e4", MB_YESNO | MB_ICONQUESTION) == IDYES);
    CHECK(strcmp(asked, "\xe2\x82\xac?|cap\xc3\xa4|24") == 0);
    CHECK(MessageBoxA(owner, "\x80", NULL, MB_OK) == IDYES && strcmp(asked, "\xe2\x82\xac||0") == 0);
    CHECK(ssl_wce_set_message_box(NULL, NULL) == SSL_ERR_OKAY);
    CHECK(MessageBox(owner, TEXT("text"), TEXT("caption"), MB_YESNO) == IDNO);
}

static char said[400];

static void listen_to(void *arg, uint32_t level, const char *message)
{
    CHECK(arg == said && level == SSL_LOG_DEBUG);
    strcat(said, message);
    strcat(said, "|");
}

static void debug_messages_go_to_the_log(const struct way *way)
{
    int evaluated = 0;

    (void)way;
    OutputDebugString(TEXT("nobody listens"));
    CHECK(ssl_set_log_callback(SSL_LOG_INFO, listen_to, said) == SSL_ERR_OKAY);
    OutputDebugString(TEXT("less is listened to"));
    CHECK(ssl_set_log_callback(SSL_LOG_DEBUG, listen_to, said) == SSL_ERR_OKAY);
    OutputDebugString(TEXT("first\r\n"));
    OutputDebugStringA("\x80");
    RETAILMSG(1, (TEXT("%s=%d\r\n"), TEXT("number"), 5));
    RETAILMSG(0, (TEXT("%d"), ++evaluated));
    DEBUGMSG(1, (TEXT("%d"), ++evaluated));
    DEBUGCHK(++evaluated == 0);
    CHECK(evaluated == 0);
    CHECK(strcmp(said, "first|\xe2\x82\xac|number=5|") == 0);
}

static CRITICAL_SECTION section;
static LONG inside;
static LONG counter;

static void *count_inside(void *arg)
{
    int i;

    for (i = 0; i < 10000; i++) {
        EnterCriticalSection(&section);
        EnterCriticalSection(&section);
        inside++;
        LeaveCriticalSection(&section);
        LeaveCriticalSection(&section);
    }
    for (i = 0; i < 2000000; i++) {
        InterlockedIncrement(&counter);
    }
    return arg;
}

static void *try_to_enter(void *arg)
{
    *(int *)arg = TryEnterCriticalSection(&section);
    return NULL;
}

static void critical_sections_and_atomic_numbers(const struct way *way)
{
    pthread_t threads[4];
    int entered = -1;
    int i;
    long plain = 0;
    void *pointer = NULL;

    (void)way;
    InitializeCriticalSection(&section);
    for (i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, count_inside, NULL) == 0);
    }
    for (i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(inside == 40000 && counter == 8000000);
    CHECK(TryEnterCriticalSection(&section) && TryEnterCriticalSection(&section));
    CHECK(pthread_create(&threads[0], NULL, try_to_enter, &entered) == 0 && pthread_join(threads[0], NULL) == 0);
    CHECK(entered == 0);
    LeaveCriticalSection(&section);
    LeaveCriticalSection(&section);
    DeleteCriticalSection(&section);
    CHECK(InterlockedDecrement(&counter) == 7999999 && InterlockedExchange(&counter, 5) == 7999999);
    CHECK(InterlockedExchangeAdd(&counter, 2) == 5 && InterlockedCompareExchange(&counter, 9, 7) == 7 && counter == 9);
    CHECK(InterlockedExchangePointer(&pointer, &counter) == NULL && pointer == &counter);
    /* A long is changed as a whole, whatever its width. */
    CHECK(InterlockedDecrement(&plain) == -1 && plain == -1);
    CHECK(InterlockedIncrement(&plain) == 0 && plain == 0);
    CHECK(InterlockedExchange(&plain, -7) == 0 && InterlockedExchangeAdd(&plain, 2) == -7 && plain == -5);
    CHECK(InterlockedCompareExchange(&plain, -3, -5) == -5 && plain == -3);
    CHECK(__max(plain, 2) == 2 && __min(plain, 2) == -3);
}

static void memory_of_all_kinds(const struct way *way)
{
    BYTE *local = (BYTE *)LocalAlloc(LPTR, 100);
    BYTE *heap = (BYTE *)HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, 50);
    HGLOBAL global = GlobalAlloc(GHND, 10);
    BYTE *bytes;
    size_t i;

    (void)way;
    CHECK(local != NULL && heap != NULL && global != NULL && LocalSize(local) >= 100);
    for (i = 0; i < 100; i++) {
        CHECK(local[i] == 0 && heap[i / 2] == 0);
    }
    FillMemory(local, 100, 7);
    local = (BYTE *)LocalReAlloc(local, 100000, LMEM_MOVEABLE | LMEM_ZEROINIT);
    CHECK(local != NULL && local[99] == 7 && local[99999] == 0);
    /* Memory that has been used before. */
    for (i = 0; i < 20; i++) {
        BYTE *small = (BYTE *)LocalAlloc(LMEM_FIXED, 100);
        BYTE *used = (BYTE *)LocalAlloc(LMEM_FIXED, 3000);
        size_t at;
        CHECK(small != NULL && used != NULL);
        for (at = 0; at < 3000; at++) {
            ((volatile BYTE *)used)[at] = 0xff;
        }
        LocalFree(used);
        small = (BYTE *)LocalReAlloc(small, 3000, LMEM_MOVEABLE | LMEM_ZEROINIT);
        CHECK(small != NULL);
        for (at = 200; at < 3000; at++) {
            CHECK(small[at] == 0);
        }
        LocalFree(small);
    }
    bytes = (BYTE *)GlobalLock(global);
    CHECK(bytes != NULL && bytes[9] == 0);
    CopyMemory(bytes, "123456789", 10);
    MoveMemory(bytes + 1, bytes, 5);
    CHECK(memcmp(bytes, "112345789", 10) == 0);
    SecureZeroMemory(bytes, 10);
    CHECK(bytes[0] == 0 && bytes[8] == 0);
    GlobalUnlock(global);
    heap = (BYTE *)HeapReAlloc(GetProcessHeap(), 0, heap, 5);
    CHECK(heap != NULL && HeapFree(GetProcessHeap(), 0, heap));
    CHECK(LocalFree(local) == NULL && GlobalFree(global) == NULL);
    /* AddressSanitizer ends a program that asks for so much. */
#ifndef __SANITIZE_ADDRESS__
    SetLastError(0);
    CHECK(LocalAlloc(LPTR, (SIZE_T)1 << 62) == NULL && GetLastError() == ERROR_NOT_ENOUGH_MEMORY);
#endif
}

static void it_is_windows_ce(const struct way *way)
{
    OSVERSIONINFO version;

    (void)way;
    version.dwOSVersionInfoSize = sizeof version;
    CHECK(GetVersionEx(&version) && version.dwPlatformId == VER_PLATFORM_WIN32_CE);
    CHECK(version.dwMajorVersion == 5 && version.dwMinorVersion == 1);
    version.dwOSVersionInfoSize = 4;
    CHECK(!GetVersionEx(&version));
}

int _tmain(int argc, _TCHAR *argv[])
{
    static const struct test tests[] = {
        {"times_agree_with_the_c_library", times_agree_with_the_c_library, NULL, 0},
        {"local_time_and_its_zone", local_time_and_its_zone, NULL, 0},
        {"clocks_go_on", clocks_go_on, NULL, 0},
        {"functions_by_their_names", functions_by_their_names, NULL, 0},
        {"texts_of_error_numbers", texts_of_error_numbers, NULL, 0},
        {"message_boxes_are_the_programs", message_boxes_are_the_programs, NULL, 0},
        {"debug_messages_go_to_the_log", debug_messages_go_to_the_log, NULL, 0},
        {"critical_sections_and_atomic_numbers", critical_sections_and_atomic_numbers, NULL, 0},
        {"memory_of_all_kinds", memory_of_all_kinds, NULL, 0},
        {"it_is_windows_ce", it_is_windows_ce, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    char **narrow = (char **)calloc((size_t)argc + 1, sizeof(char *));
    int result;
    int i;

    CHECK(narrow != NULL && argv[argc] == NULL);
    for (i = 0; i < argc; i++) {
        CHECK((narrow[i] = (char *)calloc(1, 1000)) != NULL);
        CHECK(WideCharToMultiByte(CP_UTF8, 0, argv[i], -1, narrow[i], 1000, NULL, NULL) > 0);
    }
    result = run_tests(argc, narrow, tests);
    while (argc > 0) {
        free(narrow[--argc]);
    }
    free(narrow);
    return result;
}
