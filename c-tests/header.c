/* The header by itself: built as C99, C11, C17 and C++17, with nothing included before it, and with it included twice. */
#include <sslsock.h>
#include <sslsock.h>

#include <stdio.h>
#include <string.h>

#if defined(__cplusplus)
#define ASSERT(condition) static_assert(condition, #condition)
#elif __STDC_VERSION__ >= 201112L
#define ASSERT(condition) _Static_assert(condition, #condition)
#else
#define ASSERT(condition) extern int assertions[(condition) ? 1 : -1]
#endif

/* Where long and pointers have 64 bits. */
ASSERT(sizeof(void *) == 8 && sizeof(size_t) == 8 && sizeof(ptrdiff_t) == 8);

ASSERT(sizeof(ssl_blob) == 16);
ASSERT(offsetof(ssl_blob, cbSize) == 0);
ASSERT(offsetof(ssl_blob, pBlobData) == 8);

ASSERT(sizeof(ssl_session_info) == 384);
ASSERT(offsetof(ssl_session_info, size) == 0);
ASSERT(offsetof(ssl_session_info, datapath) == 4);
ASSERT(offsetof(ssl_session_info, protocol) == 8);
ASSERT(offsetof(ssl_session_info, suite) == 10);
ASSERT(offsetof(ssl_session_info, group) == 12);
ASSERT(offsetof(ssl_session_info, resumed) == 14);
ASSERT(offsetof(ssl_session_info, alpn_len) == 15);
ASSERT(offsetof(ssl_session_info, alpn) == 16);
ASSERT(offsetof(ssl_session_info, protocol_name) == 272);
ASSERT(offsetof(ssl_session_info, suite_name) == 288);
ASSERT(offsetof(ssl_session_info, group_name) == 352);

ASSERT(sizeof(ssl_verify_report) == 64);
ASSERT(offsetof(ssl_verify_report, size) == 0);
ASSERT(offsetof(ssl_verify_report, verdict) == 4);
ASSERT(offsetof(ssl_verify_report, causes) == 8);
ASSERT(offsetof(ssl_verify_report, chain_len) == 12);
ASSERT(offsetof(ssl_verify_report, not_before) == 16);
ASSERT(offsetof(ssl_verify_report, not_after) == 24);
ASSERT(offsetof(ssl_verify_report, spki_sha256) == 32);

ASSERT(sizeof(ssl_error_info) == 24);
ASSERT(offsetof(ssl_error_info, size) == 0);
ASSERT(offsetof(ssl_error_info, code) == 4);
ASSERT(offsetof(ssl_error_info, category) == 8);
ASSERT(offsetof(ssl_error_info, sys_errno) == 12);
ASSERT(offsetof(ssl_error_info, tls_alert) == 16);
ASSERT(offsetof(ssl_error_info, from_hook) == 20);

/* Windows CE's numbers. */
ASSERT(SSL_ERR_OKAY == 0 && SSL_ERR_FAILED == 2 && SSL_ERR_BAD_LEN == 3 && SSL_ERR_BAD_TYPE == 4);
ASSERT(SSL_ERR_BAD_DATA == 5 && SSL_ERR_NO_CERT == 6 && SSL_ERR_BAD_SIG == 7 && SSL_ERR_CERT_EXPIRED == 8);
ASSERT(SSL_ERR_CERT_REVOKED == 9 && SSL_ERR_CERT_UNKNOWN == 10 && SSL_ERR_SIGNATURE == 11);
ASSERT(SSL_FLAG_SERVER == 0x2 && SSL_FLAG_AUTH_CLIENT == 0x4 && SSL_FLAG_DEFER_HANDSHAKE == 0x8);
ASSERT(SSL_CERT_X509 == 1 && SSL_CERT_FLAG_ISSUER_UNKNOWN == 1);

/* The prototypes are what a program takes them for. */
static int32_t hook(uint32_t type, void *arg, uint32_t chain_len, const ssl_blob *chain, uint32_t flags)
{
    return type == SSL_CERT_X509 && arg != NULL && chain_len == 1 && chain != NULL && flags == 0 ? SSL_ERR_OKAY : -1;
}

int main(void)
{
    ssl_validate_cert_fn function = hook;
    ssl_error_info info;
    ptrdiff_t sent;

    memset(&info, 0, sizeof info);
    info.size = (uint32_t)sizeof info;
    sent = ssl_send(NULL, "x", 1, 0);
    if (sent != -1 || ssl_get_error_info(NULL, &info) != SSL_ERR_OKAY || info.code != SSL_ERR_BAD_HANDLE) {
        puts("not ok the_header: ssl_send(NULL) leaves another error");
        return 1;
    }
    if (ssl_abi_version() != SSL_ABI_VERSION || ssl_set_validate_cert_hook(NULL, function, NULL) != SSL_ERR_BAD_HANDLE) {
        puts("not ok the_header: it is not the library's");
        return 1;
    }
#ifdef __cplusplus
    printf("ok the_header (C++ %ld)\n", (long)__cplusplus);
#else
    printf("ok the_header (C %ld)\n", (long)__STDC_VERSION__);
#endif
    puts("1 passed, 0 failed, 0 skipped");
    return 0;
}
