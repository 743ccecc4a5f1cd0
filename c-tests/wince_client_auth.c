/*
 * A client certificate as Windows CE programs have it: one hook brings the certificate, another signs with its key,
 * which only the program has. Compiled as C and as C++.
 *
 * wince_client_auth VARIABLE LEAF.der KEY    the variable holds the server's host:port; prints the server's answer
 */
#include <winsock2.h>
#include <sslsock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "common/check.h"
#include "common/outside.h"
#include "common/signing.h"
#ifdef __cplusplus
}
#endif

/* What the program keeps of itself, and of how it was asked. */
struct identity {
    BYTE certificate[4096];
    BLOB blob;
    const char *key_file;
    DWORD issuers;
    DWORD scheme;
};

static int CALLBACK bring_certificate(DWORD type, LPVOID argument, DWORD issuer_count, LPBLOB issuers, DWORD flags,
                                      LPDWORD chain_length, LPBLOB *chain)
{
    struct identity *identity = (struct identity *)argument;

    CHECK(type == SSL_CERT_X509 && flags == 0 && issuer_count > 0 && issuers[0].cbSize > 0);
    identity->issuers = issuer_count;
    *chain = &identity->blob;
    *chain_length = 1;
    return SSL_ERR_OKAY;
}

static int CALLBACK sign(DWORD type, LPVOID argument, LPBYTE source, DWORD source_length, DWORD flags, LPBYTE dest,
                         LPDWORD dest_length)
{
    struct identity *identity = (struct identity *)argument;

    CHECK(flags == SSL_SIGN_PERFORM_HASH && *dest_length >= 1024);
    identity->scheme = type;
    *dest_length = (DWORD)sign_with_openssl(type, identity->key_file, source, source_length, dest, *dest_length);
    return *dest_length > 0 ? SSL_ERR_OKAY : SSL_ERR_FAILED;
}

static void set(SOCKET s, DWORD code, const void *in, DWORD length)
{
    if (WSAIoctl(s, code, (LPVOID)in, length, NULL, 0, NULL, NULL, NULL) != 0) {
        FAIL("code %#x: error %d", (unsigned)code, WSAGetLastError());
    }
}

int main(int argc, char **argv)
{
    static const char request[] = "GET / HTTP/1.0\r\nHost: mail.test\r\n\r\n";
    static struct identity identity;
    DWORD secure = SO_SEC_SSL, defer = SSL_FLAG_DEFER_HANDSHAKE, returned = 0;
    SSLAUTHREQUESTHOOK choice = {bring_certificate, &identity}, choice_found;
    SSLSIGNATUREHOOK signature = {sign, &identity}, signature_found;
    struct sockaddr_in server;
    char answer[4096];
    FILE *file;
    SOCKET s;
    int count;

    CHECK(argc == 4);
    file = fopen(argv[2], "rb");
    CHECK(file != NULL);
    identity.blob.cbSize = (ULONG)fread(identity.certificate, 1, sizeof identity.certificate, file);
    identity.blob.pBlobData = identity.certificate;
    identity.key_file = argv[3];
    CHECK(fclose(file) == 0);

    trust_the_tests();
    s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    CHECK(s != INVALID_SOCKET);
    CHECK(setsockopt(s, SOL_SOCKET, SO_SECURE, (const char *)&secure, sizeof secure) == 0);
    set(s, SO_SSL_SET_FLAGS, &defer, sizeof defer);
    set(s, SO_SSL_SET_AUTH_REQUEST_HOOK, &choice, sizeof choice);
    set(s, SO_SSL_SET_SIGNATURE_HOOK, &signature, sizeof signature);
    CHECK(WSAIoctl(s, SO_SSL_GET_AUTH_REQUEST_HOOK, NULL, 0, &choice_found, sizeof choice_found, &returned, NULL,
                   NULL) == 0);
    CHECK(returned == sizeof choice && choice_found.HookFunc == bring_certificate && choice_found.pvArg == &identity);
    CHECK(WSAIoctl(s, SO_SSL_GET_SIGNATURE_HOOK, NULL, 0, &signature_found, sizeof signature_found, &returned, NULL,
                   NULL) == 0);
    CHECK(returned == sizeof signature && signature_found.HookFunc == sign && signature_found.pvArg == &identity);

    memset(&server, 0, sizeof server);
    server.sin_family = AF_INET;
    server.sin_port = htons((u_short)peer_port(argv[1]));
    server.sin_addr.s_addr = inet_addr(peer_host(argv[1]));
    CHECK(connect(s, (struct sockaddr *)&server, sizeof server) == 0);
    set(s, SO_SSL_PERFORM_HANDSHAKE, "mail.test", 10);
    printf("issuers=%u scheme=%#06x\n", (unsigned)identity.issuers, (unsigned)identity.scheme);
    CHECK(send(s, request, (int)sizeof request - 1, 0) == (int)sizeof request - 1);
    while ((count = recv(s, answer, sizeof answer, 0)) > 0) {
        CHECK(fwrite(answer, 1, (size_t)count, stdout) == (size_t)count);
    }
    CHECK(count == 0 && closesocket(s) == 0);
    return 0;
}
