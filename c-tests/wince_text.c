/*
 * Strings as Windows CE programs make them: formats, scanning, code pages, Microsoft's additions to the C library.
 * Compiled as C and as C++, with UNICODE and, by wince_text_narrow.c, without it.
 */
#include <windows.h>
#include <tchar.h>
#include <strsafe.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#ifdef __cplusplus
#include <algorithm>
#include <string>
#endif

#ifdef __cplusplus
extern "C" {
#endif
#include "common/test.h"
#ifdef __cplusplus
}
#endif

#define IS(text, expected) CHECK(strcmp(text, expected) == 0)
#define WIDE_IS(text, expected) CHECK(wcscmp(text, expected) == 0)
#define TEXT_IS(text, expected) CHECK(_tcscmp(text, expected) == 0)

/* What stands behind the variables must stay as it is. */
struct guarded {
    DWORD value;
    DWORD guard;
};

static void formats_are_microsofts(const struct way *way)
{
    char narrow[200];
    WCHAR wide[200];
    TCHAR text[200];
    DWORD large = 0xfffffffe;
    long of_the_program = -7;

    (void)way;
    CHECK(sprintf(narrow, "%lu %ld %lx|%I64d|%S|%hs|%ls", large, of_the_program, large, (__int64)-5, L"w", "n", L"l") == 31);
    IS(narrow, "4294967294 -7 fffffffe|-5|w|n|l");
    CHECK(swprintf(wide, L"%s|%S|%lu", L"w\u20ac", "n", large) == 15);
    WIDE_IS(wide, L"w\u20ac|n|4294967294");
    CHECK(_stprintf(text, TEXT("%s %d"), TEXT("text"), 3) == 6);
    TEXT_IS(text, TEXT("text 3"));
    CHECK(_sntprintf(text, 200, TEXT("%02x%c"), 10, TEXT('z')) == 3);
    TEXT_IS(text, TEXT("0az"));
    CHECK(wsprintf(text, TEXT("%s"), TEXT("by wsprintf")) == 11);
    TEXT_IS(text, TEXT("by wsprintf"));
    CHECK(wsprintfA(narrow, "%s%S", "a", L"b") == 2 && wsprintfW(wide, L"%s%S", L"a", "b") == 2);
    IS(narrow, "ab");
    WIDE_IS(wide, L"ab");
    CHECK(sprintf(narrow, "%I64d %I64x", (__int64)-12345678901LL, (unsigned __int64)0xfedcba9876543210ULL) == 29);
    IS(narrow, "-12345678901 fedcba9876543210");
    /* Floating point goes through other registers. */
    CHECK(sprintf(narrow, "%.2f %d %g %s", 1.5, 1, 0.25, "end") == 15);
    IS(narrow, "1.50 1 0.25 end");
    CHECK(sprintf(narrow, "%d%d%d%d%d%d%d%d%d%d%s", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, "!") == 12);
    IS(narrow, "12345678910!");
    /* The buffer itself as an argument. */
    strcpy(narrow, "abc");
    sprintf(narrow, "%s%s", narrow, "def");
    IS(narrow, "abcdef");
}

static void what_does_not_fit(const struct way *way)
{
    char narrow[8];
    WCHAR wide[8];
    TCHAR *longest;

    (void)way;
    memset(narrow, 'x', sizeof narrow);
    CHECK(_snprintf(narrow, 4, "%s", "abc") == 3 && memcmp(narrow, "abc\0xxxx", 8) == 0);
    memset(narrow, 'x', sizeof narrow);
    CHECK(_snprintf(narrow, 4, "%s", "abcd") == 4 && memcmp(narrow, "abcdxxxx", 8) == 0);
    memset(narrow, 'x', sizeof narrow);
    CHECK(_snprintf(narrow, 4, "%s", "abcde") == -1 && memcmp(narrow, "abcdxxxx", 8) == 0);
    memset(narrow, 'x', sizeof narrow);
    CHECK(snprintf(narrow, 4, "%s", "abcde") == 5 && memcmp(narrow, "abc\0xxxx", 8) == 0);
    CHECK(_snwprintf(wide, 4, L"%s", L"abcd") == 4 && _snwprintf(wide, 4, L"%s", L"abcde") == -1);
    CHECK(swprintf(wide, 8, L"%d", 1234567) == 7 && swprintf(wide, 8, L"%d", 12345678) == -1);
    WIDE_IS(wide, L"1234567");
    CHECK(_scprintf("%d", 1234) == 4 && _scwprintf(L"%s", L"abc") == 3);
    /* wsprintf stops by itself. */
    longest = (TCHAR *)malloc(2000 * sizeof(TCHAR));
    CHECK(longest != NULL);
    CHECK(wsprintf(longest, TEXT("%1500d"), 1) == 1023 && _tcslen(longest) == 1023);
    free(longest);
    CHECK(_snprintf(narrow, 8, "%n", (int *)NULL) == -1 && narrow[0] == 0);
}

static int by_list(TCHAR *text, size_t count, const TCHAR *format, ...)
{
    va_list list;
    int length;
    TCHAR again[100];

    va_start(list, format);
    length = _vsntprintf(text, count, format, list);
    va_end(list);
    va_start(list, format);
    CHECK(_vstprintf(again, format, list) == length && _tcscmp(again, text) == 0);
    va_end(list);
    va_start(list, format);
    CHECK(wvsprintf(again, format, list) == length && _tcscmp(again, text) == 0);
    va_end(list);
    return length;
}

static void lists_of_arguments(const struct way *way)
{
    TCHAR text[100];

    (void)way;
    CHECK(by_list(text, 100, TEXT("%s %lu %I64x %.1f"), TEXT("list"), (DWORD)7, (__int64)255, 2.5) == 13);
    TEXT_IS(text, TEXT("list 7 ff 2.5"));
}

/* A stream with what has been written. */
static void written(FILE *file, char *text, size_t size)
{
    size_t length;

    rewind(file);
    length = fread(text, 1, size - 1, file);
    text[length] = 0;
    fclose(file);
}

static void streams_take_both_widths(const struct way *way)
{
    char text[2000];
    WCHAR wide[20];
    FILE *file = tmpfile();

    (void)way;
    CHECK(file != NULL);
    CHECK(fprintf(file, "%s %lu %S\n", "narrow", (DWORD)0xffffffff, L"wide") == 23);
    CHECK(fwprintf(file, L"%s %S \u20ac\n", L"wide", "narrow") == 14);
    /* All kinds on one stream. */
    CHECK(fputws(L"\u20ac", file) >= 0 && fputs("n", file) >= 0 && fputwc(L'\u00e4', file) == 0xe4);
    CHECK(putwc(L'\n', file) == L'\n' && _fputts(TEXT("t"), file) >= 0);
    CHECK(_ftprintf(file, TEXT("%s%1000d\n"), TEXT("long"), 5) == 1005);
    written(file, text, sizeof text);
    CHECK(strncmp(text, "narrow 4294967295 wide\nwide narrow \xe2\x82\xac\n\xe2\x82\xacn\xc3\xa4\ntlong   ", 54) == 0);
    CHECK(strcmp(text + strlen(text) - 4, "  5\n") == 0);

    file = tmpfile();
    CHECK(file != NULL && fwide(file, 1) > 0);
    CHECK(fprintf(file, "%s", "narrow") == 6 && fwprintf(file, L"%s", L"wide") == 4);
    rewind(file);
    CHECK(fgetws(wide, 20, file) != NULL && wcscmp(wide, L"narrowwide") == 0);
    fclose(file);
}

static void the_c_librarys_conversions_know_the_code_page(const struct way *way)
{
    WCHAR wide[8];
    char narrow[8];

    (void)way;
    CHECK(mbstowcs(wide, "gr\xfc\x80", 8) == 4 && wcscmp(wide, L"gr\u00fc\u20ac") == 0);
    CHECK(mbstowcs(NULL, "gr\xfc", 0) == 3 && mbstowcs(wide, "", 8) == 0 && wide[0] == 0);
    wide[2] = L'z';
    CHECK(mbstowcs(wide, "abc", 2) == 2 && wide[1] == L'b' && wide[2] == L'z');
    CHECK(wcstombs(narrow, L"gr\u00fc\u20ac", 8) == 4 && strcmp(narrow, "gr\xfc\x80") == 0);
    CHECK(wcstombs(narrow, L"\u4e2d!", 8) == 2 && strcmp(narrow, "?!") == 0);
    CHECK(wcstombs(NULL, L"gr\u00fc", 0) == 3 && wcstombs(narrow, L"", 8) == 0 && narrow[0] == 0);
    narrow[2] = 'z';
    CHECK(wcstombs(narrow, L"abc", 2) == 2 && narrow[1] == 'b' && narrow[2] == 'z');
    CHECK(mbtowc(wide, "\xfc", 1) == 1 && wide[0] == 0xfc && mbtowc(wide, "", 1) == 0 && mbtowc(wide, "a", 0) == -1);
    CHECK(wctomb(narrow, L'\u20ac') == 1 && narrow[0] == '\x80' && wctomb(NULL, L'a') == 0);
#ifdef __cplusplus
    CHECK(std::mbstowcs(wide, "\xfc", 8) == 1 && std::wcstombs(narrow, wide, 8) == 1);
#endif
}

static void scanning_stores_what_fits(const struct way *way)
{
    struct guarded number = {0, 0x12345678};
    struct guarded other = {0, 0x12345678};
    long of_the_program = -1;
    WORD half = 1;
    BYTE bytes[4] = {1, 1, 1, 1};
    char narrow[20];
    WCHAR wide[20];
    TCHAR text[20];
    float single = 0;
    double twice = 0;
    __int64 longest = 0;
    int count = 0;

    (void)way;
    CHECK(sscanf("4294967294 -2 70", "%lu %ld %hu", &number.value, &of_the_program, &half) == 3);
    CHECK(number.value == 4294967294u && number.guard == 0x12345678 && of_the_program == -2 && half == 70);
    CHECK(sscanf("10.0.255.1", "%d.%d.%d.%d", &bytes[0], &bytes[1], &bytes[2], &bytes[3]) == 4);
    CHECK(bytes[0] == 10 && bytes[1] == 0 && bytes[2] == 255 && bytes[3] == 1);
    CHECK(sscanf("1.5 2.5 123456789012", "%f %lf %I64d", &single, &twice, &longest) == 3);
    CHECK(single == 1.5f && twice == 2.5 && longest == 123456789012LL);
    CHECK(sscanf("HTTP/1.1 200 OK", "HTTP/%*d.%*d %lu %19s%n", &number.value, narrow, &count) == 2);
    CHECK(number.value == 200 && strcmp(narrow, "OK") == 0 && count == 15 && number.guard == 0x12345678);
    CHECK(swscanf(L"w\u00e4 17 n", L"%s %lu %S", wide, &other.value, narrow) == 3);
    CHECK(wcscmp(wide, L"w\u00e4") == 0 && other.value == 17 && other.guard == 0x12345678 && strcmp(narrow, "n") == 0);
    CHECK(_stscanf(TEXT("text:99"), TEXT("%[^:]:%lu"), text, &number.value) == 2);
    CHECK(_tcscmp(text, TEXT("text")) == 0 && number.value == 99 && number.guard == 0x12345678);
    /* More conversions than variables. */
    CHECK(sscanf("1 2", "%lu %lu", &number.value) == EOF && number.guard == 0x12345678);
    CHECK(sscanf("x 5", "x %*d") == 0);
}

static void code_pages(const struct way *way)
{
    WCHAR wide[40];
    char narrow[40];
    BOOL replaced = FALSE;

    (void)way;
    CHECK(MultiByteToWideChar(CP_ACP, 0, "a\x80\xe4", -1, NULL, 0) == 4);
    CHECK(MultiByteToWideChar(CP_ACP, 0, "a\x80\xe4", -1, wide, 40) == 4);
    WIDE_IS(wide, L"a\u20ac\u00e4");
    CHECK(MultiByteToWideChar(CP_UTF8, 0, "\xf0\x9f\x98\x80x", 5, wide, 40) == 2 && wide[0] == 0x1f600 && wide[1] == L'x');
    CHECK(WideCharToMultiByte(CP_ACP, 0, L"\u20ac\u0416", -1, narrow, 40, NULL, &replaced) == 3 && replaced);
    IS(narrow, "\x80?");
    CHECK(WideCharToMultiByte(CP_ACP, 0, L"\u0416", 1, narrow, 40, "_", &replaced) == 1 && narrow[0] == '_');
    CHECK(WideCharToMultiByte(CP_UTF8, 0, L"\u00e4\U0001f600", -1, narrow, 40, NULL, NULL) == 7);
    IS(narrow, "\xc3\xa4\xf0\x9f\x98\x80");
    CHECK(GetACP() == 1252);

    SetLastError(0);
    CHECK(WideCharToMultiByte(CP_UTF8, 0, L"abc", -1, narrow, 2, NULL, NULL) == 0);
    CHECK(GetLastError() == ERROR_INSUFFICIENT_BUFFER);
    CHECK(MultiByteToWideChar(932, 0, "a", -1, wide, 40) == 0 && GetLastError() == ERROR_INVALID_PARAMETER);
    CHECK(MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, "\xff", -1, wide, 40) == 0);
    CHECK(GetLastError() == ERROR_NO_UNICODE_TRANSLATION);
    CHECK(MultiByteToWideChar(CP_UTF8, MB_PRECOMPOSED, "a", -1, wide, 40) == 0 && GetLastError() == ERROR_INVALID_FLAGS);
    CHECK(MultiByteToWideChar(CP_ACP, 0, "a", 0, wide, 40) == 0 && GetLastError() == ERROR_INVALID_PARAMETER);
}

static void strings_of_windows(const struct way *way)
{
    TCHAR text[40];
    TCHAR *rest;
    WCHAR wide[40];
    char narrow[40];

    (void)way;
    lstrcpy(text, TEXT("Abc"));
    CHECK(lstrlen(text) == 3 && lstrcmp(text, TEXT("abc")) != 0 && lstrcmpi(text, TEXT("aBC")) == 0);
    lstrcat(text, TEXT("def"));
    TEXT_IS(text, TEXT("Abcdef"));
    CHECK(lstrlen(NULL) == 0 && lstrcpyn(text, TEXT("abcdef"), 4) == text);
    TEXT_IS(text, TEXT("abc"));
    TEXT_IS(_tcsupr(text), TEXT("ABC"));
    TEXT_IS(CharLower(text), TEXT("abc"));
    CHECK((TCHAR)(uintptr_t)CharUpper((LPTSTR)(uintptr_t)'q') == 'Q' && CharUpperBuff(text, 2) == 2);
    TEXT_IS(text, TEXT("ABc"));
    wcscpy(wide, L"\u00e4\u0436\u00df");
    WIDE_IS(CharUpperW(wide), L"\u00c4\u0416\u00df");
    strcpy(narrow, "\xe4");
    IS(CharUpperA(narrow), "\xc4");
    CHECK(IsCharAlpha(TEXT('x')) && !IsCharAlpha(TEXT('1')) && IsCharAlphaNumeric(TEXT('1')) && IsCharUpperW(0x416));
    CHECK(_wcsicmp(L"\u00c4B", L"\u00e4b") == 0 && _wcsnicmp(L"abX", L"ABy", 2) == 0 && _wcsicmp(L"a", L"b") < 0);
    CHECK(_stricmp("HeLo", "hElO") == 0 && _strnicmp("abX", "ABY", 2) == 0 && _stricmp("ab", "abc") < 0);
    CHECK(_memicmp("Ab\0C", "aB\0c", 4) == 0 && _tcsnicmp(TEXT("abx"), TEXT("ABY"), 3) < 0);

    lstrcpy(text, TEXT("one,two"));
    TEXT_IS(_tcstok(text, TEXT(",")), TEXT("one"));
    TEXT_IS(_tcstok(NULL, TEXT(",")), TEXT("two"));
    CHECK(_tcstok(NULL, TEXT(",")) == NULL);
    wcscpy(wide, L" a b");
    WIDE_IS(wcstok(wide, L" "), L"a");
    WIDE_IS(wcstok(NULL, L" "), L"b");
    CHECK(wcstok(NULL, L" ") == NULL);
    CHECK(_tcschr(TEXT("a:b"), TEXT(':')) != NULL && _ttoi(TEXT("-12x")) == -12 && _tcstoul(TEXT("ff"), &rest, 16) == 255);
    CHECK(_wtoi(L"99999999999") == 2147483647 && _atoi64("-99999999999") == -99999999999LL);
    TEXT_IS(_itot(-255, text, 10), TEXT("-255"));
    TEXT_IS(_itot(-1, text, 16), TEXT("ffffffff"));
    TEXT_IS(_ultot(4000000000u, text, 10), TEXT("4000000000"));
    IS(_strrev(strcpy(narrow, "abcd")), "dcba");
    IS(itoa(10, narrow, 2), "1010");
    rest = _tcsdup(TEXT("copy"));
    TEXT_IS(rest, TEXT("copy"));
    free(rest);
    CHECK(CompareString(LOCALE_USER_DEFAULT, NORM_IGNORECASE, TEXT("Ab"), -1, TEXT("aB"), 2) == CSTR_EQUAL);
}

static void safe_strings(const struct way *way)
{
    TCHAR text[8];
    size_t length = 0;

    (void)way;
    CHECK(StringCchCopy(text, 8, TEXT("1234567")) == S_OK);
    CHECK(StringCchCopy(text, 4, TEXT("abcdef")) == STRSAFE_E_INSUFFICIENT_BUFFER);
    TEXT_IS(text, TEXT("abc"));
    CHECK(StringCchCat(text, 8, TEXT("d")) == S_OK && StringCchLength(text, 8, &length) == S_OK && length == 4);
    CHECK(StringCchPrintf(text, 8, TEXT("%s-%d"), TEXT("ab"), 5) == S_OK);
    TEXT_IS(text, TEXT("ab-5"));
    CHECK(StringCbPrintf(text, 4 * sizeof(TCHAR), TEXT("%d"), 12345) == STRSAFE_E_INSUFFICIENT_BUFFER);
    TEXT_IS(text, TEXT("123"));
    CHECK(FAILED(StringCchCopy(text, 0, TEXT(""))) && SUCCEEDED(StringCchCopyN(text, 8, TEXT("abcdef"), 2)));
    TEXT_IS(text, TEXT("ab"));
}

#ifdef __cplusplus
struct Printer {
    int printf(const char *format)
    {
        return (int)strlen(format);
    }
    int sprintf(char *, const char *)
    {
        return -5;
    }
    int (*swscanf)(int);
};

static int plus_one(int number)
{
    return number + 1;
}
#endif

static void names_of_cplusplus(const struct way *way)
{
    (void)way;
#ifdef __cplusplus
    char narrow[40];
    WCHAR wide[40];
    Printer printer;
    DWORD number[2] = {0, 7};

    printer.swscanf = plus_one;
    CHECK(printer.printf("%d") == 2 && printer.sprintf(narrow, "") == -5 && printer.swscanf(1) == 2);
    CHECK(std::sprintf(narrow, "%lu %S", (DWORD)5, L"x") == 3 && strcmp(narrow, "5 x") == 0);
    CHECK(std::sscanf("8", "%lu", &number[0]) == 1 && number[0] == 8 && number[1] == 7);
    CHECK(std::swprintf(wide, L"%s", L"std") == 3 && std::swprintf(wide, 40, L"%s", L"std") == 3);
    CHECK(min(3, 4L) == 3 && max(1u, 2u) == 2 && std::min(1, 2) == 1);
    {
        using namespace std;
        CHECK(min(3, 4) == 3 && string("x") == "x" && sprintf(narrow, "%I64d", (__int64)1) == 1);
    }
#else
    CHECK(min(3, 4) == 3 && max(1, 2) == 2);
#endif
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"formats_are_microsofts", formats_are_microsofts, NULL, 0},
        {"what_does_not_fit", what_does_not_fit, NULL, 0},
        {"lists_of_arguments", lists_of_arguments, NULL, 0},
        {"streams_take_both_widths", streams_take_both_widths, NULL, 0},
        {"the_c_librarys_conversions_know_the_code_page", the_c_librarys_conversions_know_the_code_page, NULL, 0},
        {"scanning_stores_what_fits", scanning_stores_what_fits, NULL, 0},
        {"code_pages", code_pages, NULL, 0},
        {"strings_of_windows", strings_of_windows, NULL, 0},
        {"safe_strings", safe_strings, NULL, 0},
        {"names_of_cplusplus", names_of_cplusplus, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
