/* Windows: names of functions that are narrow or wide with _UNICODE. */
#ifndef SSLSOCK_WCE_TCHAR_H
#define SSLSOCK_WCE_TCHAR_H

#include "windef.h"
#include "sslsock_wce/crt.h"
#include "sslsock_wce/format.h"
#include "sslsock_wce/multibyte.h"
#include "sslsock_wce/scan.h"

#define _T(quoted) SSLSOCK_WCE_TEXT(quoted)
#define _TEXT(quoted) SSLSOCK_WCE_TEXT(quoted)
#define __T(quoted) SSLSOCK_WCE_TEXT(quoted)

typedef TCHAR _TSCHAR, _TXCHAR;
#ifdef _UNICODE
typedef TCHAR _TUCHAR;
typedef wint_t _TINT;
#define _TEOF WEOF
#else
typedef int _TINT;
#define _TEOF EOF
typedef unsigned char _TUCHAR;
#endif

#define _tcsinc(at) ((at) + 1)
#define _tcsdec(start, at) ((start) >= (at) ? NULL : (at)-1)
#define _tcsnextc(at) ((unsigned int)*(at))
#define _tcsninc(at, count) ((at) + (count))
#define _tclen(at) 1
#define _tccpy(to, from) ((void)(*(to) = *(from)))
#define _istlead(character) 0
#define _istascii(character) ((unsigned)(character) < 0x80)

#ifdef _UNICODE
#define _tcslen wcslen
#define _tcsclen wcslen
#define _tcsnlen wcsnlen
#define _tcscpy wcscpy
#define _tcsncpy wcsncpy
#define _tcsnccpy wcsncpy
#define _tcscat wcscat
#define _tcsncat wcsncat
#define _tcsnccat wcsncat
#define _tcscmp wcscmp
#define _tcsncmp wcsncmp
#define _tcsnccmp wcsncmp
#define _tcsicmp _wcsicmp
#define _tcsnicmp _wcsnicmp
#define _tcsncicmp _wcsnicmp
#define _tcscoll wcscoll
#define _tcschr wcschr
#define _tcsrchr wcsrchr
#define _tcsstr wcsstr
#define _tcsspn wcsspn
#define _tcscspn wcscspn
#define _tcspbrk wcspbrk
#define _tcstok sslsock_wce_wcstok
#define _tcsdup _wcsdup
#define _tcslwr _wcslwr
#define _tcsupr _wcsupr
#define _tcsrev _wcsrev
#define _tcsftime wcsftime

#define _tcstol wcstol
#define _tcstoul wcstoul
#define _tcstod wcstod
#define _tcstoi64 _wcstoi64
#define _tcstoui64 _wcstoui64
#define _ttoi _wtoi
#define _ttol _wtol
#define _ttoi64 _wtoi64
#define _tstoi _wtoi
#define _tstol _wtol
#define _tstof _wtof
#define _ttof _wtof
#define _itot _itow
#define _ltot _ltow
#define _ultot _ultow
#define _i64tot _i64tow
#define _ui64tot _ui64tow

#define _tprintf wprintf
#define _ftprintf fwprintf
#define _stprintf swprintf
#define _sntprintf _snwprintf
#define _vtprintf vwprintf
#define _vftprintf vfwprintf
#define _vstprintf vswprintf
#define _vsntprintf _vsnwprintf
#define _sctprintf _scwprintf
#define _vsctprintf _vscwprintf
#define _tscanf wscanf
#define _ftscanf fwscanf
#define _stscanf swscanf
#define _fgetts fgetws
#define _fputts fputws
#define _putts sslsock_wce_putws
#define _puttchar putwchar
#define _gettc getwc
#define _puttc putwc

#define _istalpha iswalpha
#define _istupper iswupper
#define _istlower iswlower
#define _istdigit iswdigit
#define _istxdigit iswxdigit
#define _istspace iswspace
#define _istpunct iswpunct
#define _istalnum iswalnum
#define _istprint iswprint
#define _istgraph iswgraph
#define _istcntrl iswcntrl
#define _totupper towupper
#define _totlower towlower
#else
#define _tcslen strlen
#define _tcsclen strlen
#define _tcsnlen strnlen
#define _tcscpy strcpy
#define _tcsncpy strncpy
#define _tcsnccpy strncpy
#define _tcscat strcat
#define _tcsncat strncat
#define _tcsnccat strncat
#define _tcscmp strcmp
#define _tcsncmp strncmp
#define _tcsnccmp strncmp
#define _tcsicmp _stricmp
#define _tcsnicmp _strnicmp
#define _tcsncicmp _strnicmp
#define _tcscoll strcoll
#define _tcschr strchr
#define _tcsrchr strrchr
#define _tcsstr strstr
#define _tcsspn strspn
#define _tcscspn strcspn
#define _tcspbrk strpbrk
#define _tcstok strtok
#define _tcsdup _strdup
#define _tcslwr _strlwr
#define _tcsupr _strupr
#define _tcsrev _strrev
#define _tcsftime strftime

#define _tcstol strtol
#define _tcstoul strtoul
#define _tcstod strtod
#define _tcstoi64 _strtoi64
#define _tcstoui64 _strtoui64
#define _ttoi atoi
#define _ttol atol
#define _ttoi64 _atoi64
#define _tstoi atoi
#define _tstol atol
#define _tstof atof
#define _ttof atof
#define _itot _itoa
#define _ltot _ltoa
#define _ultot _ultoa
#define _i64tot _i64toa
#define _ui64tot _ui64toa

#define _tprintf printf
#define _ftprintf fprintf
#define _stprintf sprintf
#define _sntprintf _snprintf
#define _vtprintf vprintf
#define _vftprintf vfprintf
#define _vstprintf vsprintf
#define _vsntprintf _vsnprintf
#define _sctprintf _scprintf
#define _vsctprintf _vscprintf
#define _tscanf scanf
#define _ftscanf fscanf
#define _stscanf sscanf
#define _fgetts fgets
#define _fputts fputs
#define _putts puts
#define _puttchar putchar
#define _gettc getc
#define _puttc putc

#define _istalpha isalpha
#define _istupper isupper
#define _istlower islower
#define _istdigit isdigit
#define _istxdigit isxdigit
#define _istspace isspace
#define _istpunct ispunct
#define _istalnum isalnum
#define _istprint isprint
#define _istgraph isgraph
#define _istcntrl iscntrl
#define _totupper toupper
#define _totlower tolower
#endif

/* A program begins with main, which makes wide arguments. This is for the definition of wmain, not for a declaration. */
#include "winnls.h"

typedef int (*sslsock_wce_program)(int count, WCHAR **arguments, WCHAR **environment);

static __inline__ int sslsock_wce_run(sslsock_wce_program program, int count, char **arguments)
{
    WCHAR **wide = (WCHAR **)calloc((size_t)count + 1, sizeof(WCHAR *));
    int result = -1;
    int i;

    for (i = 0; wide != NULL && i < count; i++) {
        int length = MultiByteToWideChar(CP_UTF8, 0, arguments[i], -1, NULL, 0);

        wide[i] = (WCHAR *)calloc((size_t)length, sizeof(WCHAR));
        if (wide[i] == NULL) {
            break;
        }
        MultiByteToWideChar(CP_UTF8, 0, arguments[i], -1, wide[i], length);
    }
    if (wide != NULL && i == count) {
        result = program(count, wide, NULL);
    }
    while (wide != NULL && i > 0) {
        free(wide[--i]);
    }
    free(wide);
    return result;
}

#define wmain(...)                                                                                       \
    sslsock_wce_has_main;                                                                                \
    static int sslsock_wce_main(__VA_ARGS__);                                                            \
    int main(int count, char **arguments)                                                                \
    {                                                                                                    \
        return sslsock_wce_run((sslsock_wce_program)(void (*)(void))sslsock_wce_main, count, arguments); \
    }                                                                                                    \
    static int sslsock_wce_main(__VA_ARGS__)
#ifdef _UNICODE
#define _tmain wmain
#else
#define _tmain main
#endif

#endif
