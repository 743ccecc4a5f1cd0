/*
 * sscanf, swscanf and their like with Microsoft's meaning and no wrong widths: %lu with a DWORD * stores four bytes,
 * because the real size of every target is passed along, and the library rewrites the format accordingly. %s is wide
 * in a wide format.
 */
#ifndef SSLSOCK_WCE_SCAN_H
#define SSLSOCK_WCE_SCAN_H

#include "../windef.h"
#include "standard.h"

#pragma GCC system_header

SSLSOCK_WCE_BEGIN

struct sslsock_wce_target {
    void *pointer;
    size_t size;
};

/* The format for the C library; -1 if it has more conversions than there are targets, or does not fit. */
int sslsock_wce_scan_narrow(char *result, size_t capacity, const char *format, const struct sslsock_wce_target *targets,
                            size_t count) SSLSOCK_WCE(scan_narrow);
int sslsock_wce_scan_wide(wchar_t *result, size_t capacity, const wchar_t *format,
                          const struct sslsock_wce_target *targets, size_t count) SSLSOCK_WCE(scan_wide);

/* More targets than conversions do no harm. */
#define SSLSOCK_WCE_MOST_TARGETS 24
#define SSLSOCK_WCE_ALL_TARGETS \
    p[0], p[1], p[2], p[3], p[4], p[5], \
    p[6], p[7], p[8], p[9], p[10], p[11], \
    p[12], p[13], p[14], p[15], p[16], p[17], \
    p[18], p[19], p[20], p[21], p[22], p[23]

/* The format is made anew for the sizes of the targets, and given to the C library. */
#define SSLSOCK_WCE_SCAN(name, own_name, Source, Char, length, translate)                                        \
    static __inline__ int own_name(Source source, const Char *format, const struct sslsock_wce_target *targets,  \
                                   size_t count)                                                                 \
    {                                                                                                            \
        size_t capacity = (length(format) + 1) * 4;                                                              \
        Char *own = (Char *)malloc(capacity * sizeof(Char));                                                     \
        void *p[SSLSOCK_WCE_MOST_TARGETS];                                                                       \
        int result = EOF;                                                                                        \
        size_t i;                                                                                                \
                                                                                                                 \
        for (i = 0; i < SSLSOCK_WCE_MOST_TARGETS; i++) {                                                         \
            p[i] = i < count ? targets[i].pointer : NULL;                                                        \
        }                                                                                                        \
        if (own != NULL && translate(own, capacity, format, targets, count) >= 0) {                              \
            result = (name)(source, own, SSLSOCK_WCE_ALL_TARGETS);                                               \
        }                                                                                                        \
        free(own);                                                                                               \
        return result;                                                                                           \
    }
SSLSOCK_WCE_SCAN(sscanf, sslsock_wce_sscanf, const char *, char, strlen, sslsock_wce_scan_narrow)
SSLSOCK_WCE_SCAN(fscanf, sslsock_wce_fscanf, FILE *, char, strlen, sslsock_wce_scan_narrow)
SSLSOCK_WCE_SCAN(swscanf, sslsock_wce_swscanf, const wchar_t *, wchar_t, wcslen, sslsock_wce_scan_wide)
SSLSOCK_WCE_SCAN(fwscanf, sslsock_wce_fwscanf, FILE *, wchar_t, wcslen, sslsock_wce_scan_wide)
#undef SSLSOCK_WCE_SCAN

SSLSOCK_WCE_END

#ifdef __cplusplus

/* Better matches than the C library's functions, wherever there is a target. */
extern "C++" {

/* An array as a whole is passed for its first element. */
template <class T>
struct sslsock_wce_element {
    enum { size = sizeof(T) };
};
template <class T, size_t count>
struct sslsock_wce_element<T[count]> {
    enum { size = sizeof(T) };
};
template <>
struct sslsock_wce_element<void> {
    enum { size = 0 };
};

#define SSLSOCK_WCE_COMMA ,
#define SSLSOCK_WCE_SCANNER(name, parameters, underneath, source, format_type)                     \
    template <class... T>                                                                         \
    inline int name(parameters const format_type *format, T *...targets)                          \
    {                                                                                             \
        const sslsock_wce_target list[] = {{const_cast<void *>(static_cast<const volatile void *>(targets)), \
                                            sslsock_wce_element<T>::size}...};                    \
        typedef char too_many_targets[sizeof...(targets) <= SSLSOCK_WCE_MOST_TARGETS ? 1 : -1];   \
        return sslsock_wce_##underneath(source, format, list, sizeof(list) / sizeof(list[0]) +    \
                                                                  sizeof(too_many_targets) - 1);  \
    }
SSLSOCK_WCE_SCANNER(sscanf, const char *source SSLSOCK_WCE_COMMA, sscanf, source, char)
SSLSOCK_WCE_SCANNER(fscanf, FILE *source SSLSOCK_WCE_COMMA, fscanf, source, char)
SSLSOCK_WCE_SCANNER(scanf, , fscanf, stdin, char)
SSLSOCK_WCE_SCANNER(swscanf, const wchar_t *source SSLSOCK_WCE_COMMA, swscanf, source, wchar_t)
SSLSOCK_WCE_SCANNER(fwscanf, FILE *source SSLSOCK_WCE_COMMA, fwscanf, source, wchar_t)
SSLSOCK_WCE_SCANNER(wscanf, , fwscanf, stdin, wchar_t)
#undef SSLSOCK_WCE_SCANNER
#undef SSLSOCK_WCE_COMMA

}

namespace std {
using ::fscanf;
using ::fwscanf;
using ::scanf;
using ::sscanf;
using ::swscanf;
using ::wscanf;
}

#else

#define SSLSOCK_WCE_TARGET(pointer) {(void *)(pointer), sizeof *(pointer)},
#define SSLSOCK_WCE_TARGETS_0()
#define SSLSOCK_WCE_TARGETS_1(p) SSLSOCK_WCE_TARGET(p)
#define SSLSOCK_WCE_TARGETS_2(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_1(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_3(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_2(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_4(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_3(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_5(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_4(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_6(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_5(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_7(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_6(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_8(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_7(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_9(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_8(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_10(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_9(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_11(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_10(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_12(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_11(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_13(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_12(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_14(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_13(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_15(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_14(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_16(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_15(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_17(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_16(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_18(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_17(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_19(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_18(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_20(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_19(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_21(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_20(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_22(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_21(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_23(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_22(__VA_ARGS__)
#define SSLSOCK_WCE_TARGETS_24(p, ...) SSLSOCK_WCE_TARGET(p) SSLSOCK_WCE_TARGETS_23(__VA_ARGS__)

/* The list of the targets behind a format. */
#define SSLSOCK_WCE_NTH(format, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18, p19, p20, p21, p22, \
                        p23, p24, chosen, ...) \
    chosen
#define SSLSOCK_WCE_CHOOSE(...) \
    SSLSOCK_WCE_NTH(__VA_ARGS__, SSLSOCK_WCE_TARGETS_24, SSLSOCK_WCE_TARGETS_23, SSLSOCK_WCE_TARGETS_22, SSLSOCK_WCE_TARGETS_21, \
                    SSLSOCK_WCE_TARGETS_20, SSLSOCK_WCE_TARGETS_19, SSLSOCK_WCE_TARGETS_18, SSLSOCK_WCE_TARGETS_17, \
                    SSLSOCK_WCE_TARGETS_16, SSLSOCK_WCE_TARGETS_15, SSLSOCK_WCE_TARGETS_14, SSLSOCK_WCE_TARGETS_13, \
                    SSLSOCK_WCE_TARGETS_12, SSLSOCK_WCE_TARGETS_11, SSLSOCK_WCE_TARGETS_10, SSLSOCK_WCE_TARGETS_9, \
                    SSLSOCK_WCE_TARGETS_8, SSLSOCK_WCE_TARGETS_7, SSLSOCK_WCE_TARGETS_6, SSLSOCK_WCE_TARGETS_5, \
                    SSLSOCK_WCE_TARGETS_4, SSLSOCK_WCE_TARGETS_3, SSLSOCK_WCE_TARGETS_2, SSLSOCK_WCE_TARGETS_1, \
                    SSLSOCK_WCE_TARGETS_0, 0)
#define SSLSOCK_WCE_LIST(...)                                  \
    ((const struct sslsock_wce_target[]){SSLSOCK_WCE_CALL(SSLSOCK_WCE_CHOOSE(__VA_ARGS__), __VA_ARGS__){NULL, 0}})
#define SSLSOCK_WCE_CALL(chosen, format, ...) chosen(__VA_ARGS__)
#define SSLSOCK_WCE_SCAN(function, source, ...)                                                      \
    function(source, SSLSOCK_WCE_FORMAT(__VA_ARGS__, 0), SSLSOCK_WCE_LIST(__VA_ARGS__),              \
             sizeof(SSLSOCK_WCE_LIST(__VA_ARGS__)) / sizeof(struct sslsock_wce_target) - 1)
#define SSLSOCK_WCE_FORMAT(format, ...) format

#define sscanf(source, ...) SSLSOCK_WCE_SCAN(sslsock_wce_sscanf, source, __VA_ARGS__)
#define fscanf(source, ...) SSLSOCK_WCE_SCAN(sslsock_wce_fscanf, source, __VA_ARGS__)
#define scanf(...) SSLSOCK_WCE_SCAN(sslsock_wce_fscanf, stdin, __VA_ARGS__)
#define swscanf(source, ...) SSLSOCK_WCE_SCAN(sslsock_wce_swscanf, source, __VA_ARGS__)
#define fwscanf(source, ...) SSLSOCK_WCE_SCAN(sslsock_wce_fwscanf, source, __VA_ARGS__)
#define wscanf(...) SSLSOCK_WCE_SCAN(sslsock_wce_fwscanf, stdin, __VA_ARGS__)

#endif

#endif
