/*
 * Certificates as Windows CE programs look at them, inside the hook of a real handshake and outside it: taken apart by
 * SslCrackCertificate, looked up in stores, verified as chains. Compiled as C and as C++.
 */
#include <windows.h>
#include <winsock2.h>
#include <sslsock.h>
#include <schnlsp.h>
#include <wincrypt.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "common/outside.h"
#include "common/test.h"
#include "common/ways.h"
#ifdef __cplusplus
}
#endif

/* The tests' own names, where a program has its user's. */
#define HOST "localhost"

static BYTE leaf[4096];
static DWORD leaf_length;
static DWORD flags_seen;
static char common_name[256];
static int date_seen;

/* Deferred, because SO_SSL_PERFORM_HANDSHAKE takes the name. The error, or 0. */
static int handshake(const char *variable, SSLVALIDATECERTFUNC hook, LPVOID argument)
{
    DWORD secure = SO_SEC_SSL, defer = SSL_FLAG_DEFER_HANDSHAKE;
    SSLVALIDATECERTHOOK setting;
    struct sockaddr_in peer;
    int error = 0;
    SOCKET s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

    setting.HookFunc = hook;
    setting.pvArg = argument;
    memset(&peer, 0, sizeof peer);
    peer.sin_family = AF_INET;
    peer.sin_port = htons((u_short)peer_port(variable));
    peer.sin_addr.s_addr = inet_addr(peer_host(variable));
    CHECK(s != INVALID_SOCKET);
    CHECK(setsockopt(s, SOL_SOCKET, SO_SECURE, (const char *)&secure, sizeof secure) == 0);
    CHECK(WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &setting, sizeof setting, NULL, 0, NULL, NULL, NULL) == 0);
    CHECK(WSAIoctl(s, SO_SSL_SET_FLAGS, &defer, sizeof defer, NULL, 0, NULL, NULL, NULL) == 0);
    CHECK(connect(s, (struct sockaddr *)&peer, sizeof peer) == 0);
    if (WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, (LPVOID)HOST, sizeof HOST, NULL, 0, NULL, NULL, NULL) != 0) {
        error = WSAGetLastError();
        CHECK(error != 0);
    }
    CHECK(closesocket(s) == 0);
    return error;
}

/* Keeps the certificate, and accepts whatever it is. */
static int CALLBACK keep(DWORD type, LPVOID argument, DWORD count, LPBLOB chain, DWORD flags)
{
    (void)argument;
    CHECK(type == SSL_CERT_X509 && count == 1 && chain->cbSize <= sizeof leaf);
    memcpy(leaf, chain->pBlobData, chain->cbSize);
    leaf_length = chain->cbSize;
    flags_seen = flags;
    return SSL_ERR_OKAY;
}

static PCCERT_CONTEXT kept(const char *variable)
{
    PCCERT_CONTEXT context;

    CHECK(handshake(variable, keep, NULL) == 0);
    context = CertCreateCertificateContext(X509_ASN_ENCODING, leaf, leaf_length);
    CHECK(context != NULL);
    return context;
}

static ULONGLONG filetime_of(FILETIME time)
{
    return (ULONGLONG)time.dwHighDateTime << 32 | time.dwLowDateTime;
}

static ULONGLONG filetime_now(void)
{
    return ((ULONGLONG)time(NULL) + 11644473600ULL) * 10000000ULL;
}

/* As programs find them, which give up where one is missing. */
static SSL_CRACK_CERTIFICATE_FN crack;
static SSL_FREE_CERTIFICATE_FN free_cracked;

static void load_functions(void)
{
    HINSTANCE library = LoadLibrary(TEXT("schannel.dll"));

    CHECK(library != NULL);
    crack = (SSL_CRACK_CERTIFICATE_FN)GetProcAddress(library, SSL_CRACK_CERTIFICATE_NAME);
    free_cracked = (SSL_FREE_CERTIFICATE_FN)GetProcAddress(library, SSL_FREE_CERTIFICATE_NAME);
    CHECK(crack != NULL && free_cracked != NULL);
}

/* The parser of a typical program: lower case in place, then a NUL at the end of the name and the old letter back. */
static int CALLBACK crack_and_compare(DWORD type, LPVOID argument, DWORD count, LPBLOB chain, DWORD flags)
{
    PX509Certificate certificate = NULL;
    ULONGLONG now = filetime_now();
    char *name, *end, letter;
    int verdict;

    CHECK(type == SSL_CERT_X509 && count == 1);
    flags_seen = flags;
    if (!crack(chain->pBlobData, chain->cbSize, TRUE, &certificate)) {
        return SSL_ERR_BAD_DATA;
    }
    date_seen = now < filetime_of(certificate->ValidFrom) ? -1 : now > filetime_of(certificate->ValidUntil);
    for (name = certificate->pszSubject; *name != '\0'; name++) {
        *name = (char)tolower((unsigned char)*name);
    }
    name = strstr(certificate->pszSubject, "cn=");
    CHECK(name == certificate->pszSubject);
    name += 3;
    end = name + strcspn(name, ",' \t");
    letter = *end;
    *end = '\0';
    strcpy(common_name, name);
    verdict = strcmp(name, (const char *)argument) == 0 && date_seen == 0 ? SSL_ERR_OKAY : SSL_ERR_CERT_UNKNOWN;
    *end = letter;
    free_cracked(certificate);
    return verdict;
}

static void a_program_compares_the_common_name(const struct way *way)
{
    static const struct {
        const char *peer, *expected, *name;
        int error, date;
        DWORD flags;
    } cases[] = {
        {"SSLSOCK_PEER", "mail.test", "mail.test", 0, 0, 0},
        /* It is for localhost too, but programs do not see that. */
        {"SSLSOCK_PEER", HOST, "mail.test", SSL_ERR_CERT_UNKNOWN, 0, 0},
        /* Without a common name, the one that has been verified. */
        {"SSLSOCK_PEER_NAMELESS", HOST, HOST, 0, 0, 0},
        {"SSLSOCK_PEER_NAMELESS", "first.test", HOST, SSL_ERR_CERT_UNKNOWN, 0, 0},
        {"SSLSOCK_PEER_EXPIRED", "mail.test", "mail.test", SSL_ERR_CERT_UNKNOWN, 1, SSL_CERT_FLAG_ISSUER_UNKNOWN},
    };
    PX509Certificate certificate;
    size_t i;

    (void)way;
    load_functions();
    trust_the_tests();
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        int error = handshake(cases[i].peer, crack_and_compare, (LPVOID)cases[i].expected);
        if (error != cases[i].error || strcmp(common_name, cases[i].name) != 0 || date_seen != cases[i].date ||
            flags_seen != cases[i].flags) {
            FAIL("case %u: error %d, name \"%s\", date %d, flags %u", (unsigned)i, error, common_name, date_seen,
                 (unsigned)flags_seen);
        }
    }
    /* Outside the hook nobody knows which name was meant. */
    CHECK(handshake("SSLSOCK_PEER_NAMELESS", keep, NULL) == 0);
    CHECK(SslCrackCertificate(leaf, leaf_length, 0, &certificate));
    CHECK(strcmp(certificate->pszSubject, "CN=first.test") == 0);
    CHECK(strcmp(certificate->pszIssuer, "CN=sslsock test root") == 0);
    CHECK(certificate->Version == CERT_V3 && certificate->SignatureAlgorithm == CALG_SHA_256);
    CHECK(certificate->pPublicKey->Type == CALG_ECDSA && certificate->pPublicKey->cbKey == 65);
    CHECK(certificate->pPublicKey->pKey[0] == 4);
    /* tests/servers/pki.py: the most significant of 16 bytes is 4. */
    CHECK(certificate->SerialNumber[3] >> 24 == 4);
    SslFreeCertificate(certificate);
}

static void what_is_no_certificate_is_refused(const struct way *way)
{
    PX509Certificate certificate = (PX509Certificate)leaf, again;
    BYTE junk[] = "\x30\x03junk";
    PCCERT_CONTEXT context;

    (void)way;
    CHECK(!SslCrackCertificate(junk, sizeof junk, TRUE, &certificate));
    CHECK(certificate == NULL && GetLastError() == (DWORD)CRYPT_E_ASN1_BADTAG);
    certificate = (PX509Certificate)leaf;
    CHECK(!SslCrackCertificate(NULL, 5, TRUE, &certificate) && certificate == NULL);
    CHECK(!SslCrackCertificate(junk, 0, TRUE, &certificate));
    CHECK(!SslCrackCertificate(junk, sizeof junk, TRUE, NULL));
    CHECK(CertCreateCertificateContext(X509_ASN_ENCODING, junk, sizeof junk) == NULL);
    CHECK(GetLastError() == (DWORD)CRYPT_E_ASN1_BADTAG);
    CHECK(CertCreateCertificateContext(PKCS_7_ASN_ENCODING, junk, sizeof junk) == NULL);

    /* What is freed that is not there does no harm. */
    SslFreeCertificate(NULL);
    SslFreeCertificate((PX509Certificate)(void *)junk);
    context = kept("SSLSOCK_PEER");
    CHECK(SslCrackCertificate(leaf, leaf_length, TRUE, &certificate));
    CHECK(SslCrackCertificate(leaf, leaf_length, TRUE, &again) && again != certificate);
    SslFreeCertificate((PX509Certificate)(void *)certificate->pszSubject);
    SslFreeCertificate(certificate);
    SslFreeCertificate(certificate);
    CHECK(strcmp(again->pszSubject, "CN=mail.test") == 0);
    SslFreeCertificate(again);
    CHECK(CertFreeCertificateContext(NULL) && CertFreeCertificateContext((PCCERT_CONTEXT)(void *)junk));
    CHECK(CertDuplicateCertificateContext(context) == context);
    CHECK(CertFreeCertificateContext(context) && context->cbCertEncoded == leaf_length);
    CHECK(CertFreeCertificateContext(context) && CertFreeCertificateContext(context));
    CHECK(CertDuplicateCertificateContext(context) == NULL);
    CertFreeCertificateChain(NULL);
    CertFreeCertificateChain((PCCERT_CHAIN_CONTEXT)(void *)junk);
    CHECK(CertCloseStore(NULL, 0) && !CertCloseStore((HCERTSTORE)junk, 0));
    CHECK(GetLastError() == 6);
}

/* How a program of long ago searched the stores: the same certificate, or any of the same issuer. */
static int CALLBACK search(DWORD type, LPVOID argument, DWORD count, LPBLOB chain, DWORD flags)
{
    static const TCHAR *const names[] = {TEXT("CA"), TEXT("ROOT"), TEXT("MY")};
    int any_of_the_issuer = argument != NULL, found = SSL_ERR_NO_CERT;
    PCCERT_CONTEXT mine, theirs = NULL;
    HCERTSTORE store;
    size_t i;

    (void)flags;
    CHECK(type == SSL_CERT_X509 && count == 1);
    mine = CertCreateCertificateContext(X509_ASN_ENCODING, chain->pBlobData, chain->cbSize);
    CHECK(mine != NULL);
    for (i = 0; i < 3 && found != SSL_ERR_OKAY; i++) {
        store = CertOpenSystemStore((HCRYPTPROV)NULL, names[i]);
        CHECK(store != NULL);
        while ((theirs = CertFindCertificateInStore(store, X509_ASN_ENCODING, 0, CERT_FIND_ISSUER_NAME,
                                                    &mine->pCertInfo->Issuer, theirs)) != NULL) {
            if (any_of_the_issuer || CertCompareCertificate(X509_ASN_ENCODING, theirs->pCertInfo, mine->pCertInfo)) {
                found = SSL_ERR_OKAY;
                break;
            }
        }
        CHECK(CertCloseStore(store, 0));
    }
    /* After its store. */
    if (theirs != NULL) {
        CHECK(theirs->cbCertEncoded > 100 && CertFreeCertificateContext(theirs));
    }
    CHECK(CertFreeCertificateContext(mine));
    return found;
}

static void a_program_searches_the_stores(const struct way *way)
{
    static char issuer[] = "issuer";

    (void)way;
    trust_the_tests();
    CHECK(handshake("SSLSOCK_PEER_NAMELESS", search, NULL) == SSL_ERR_NO_CERT);
    CHECK(handshake("SSLSOCK_PEER_NAMELESS", search, issuer) == 0);
    /* Its issuer is an intermediate, which no store has. */
    CHECK(handshake("SSLSOCK_PEER", search, issuer) == SSL_ERR_NO_CERT);
    trust_certificate("nameless.pem");
    CHECK(handshake("SSLSOCK_PEER_NAMELESS", search, NULL) == 0);
    CHECK(handshake("SSLSOCK_PEER_EXPIRED", search, NULL) == SSL_ERR_NO_CERT);
}

static DWORD status_of(PCCERT_CONTEXT context, LPFILETIME time, HCERTSTORE additional, const char *usage)
{
    PCCERT_CHAIN_CONTEXT chain = NULL;
    CERT_CHAIN_PARA parameters;
    LPSTR usages[1];
    DWORD status;

    memset(&parameters, 0, sizeof parameters);
    parameters.cbSize = sizeof parameters;
    parameters.RequestedUsage.dwType = USAGE_MATCH_TYPE_AND;
    if (usage != NULL) {
        usages[0] = (LPSTR)usage;
        parameters.RequestedUsage.Usage.cUsageIdentifier = 1;
        parameters.RequestedUsage.Usage.rgpszUsageIdentifier = usages;
    }
    CHECK(CertGetCertificateChain(NULL, context, time, additional, &parameters, 0, NULL, &chain) && chain != NULL);
    status = chain->TrustStatus.dwErrorStatus;
    CHECK(chain->cChain == 1 && chain->rgpChain[0]->TrustStatus.dwErrorStatus == status);
    CHECK(chain->rgpChain[0]->rgpElement[0]->pCertContext->cbCertEncoded == context->cbCertEncoded);
    CertFreeCertificateChain(chain);
    return status;
}

/* How a program of long ago asked for the chain. */
static int CALLBACK ask_for_the_chain(DWORD type, LPVOID argument, DWORD count, LPBLOB chain, DWORD flags)
{
    PCCERT_CONTEXT context = CertCreateCertificateContext(X509_ASN_ENCODING, chain->pBlobData, chain->cbSize);
    DWORD status;

    (void)type;
    (void)argument;
    (void)flags;
    CHECK(count == 1 && context != NULL);
    status = status_of(context, NULL, NULL, NULL);
    CHECK(CertFreeCertificateContext(context));
    switch (status) {
        case CERT_TRUST_NO_ERROR:
            return SSL_ERR_OKAY;
        case CERT_TRUST_CTL_IS_NOT_TIME_VALID:
        case CERT_TRUST_IS_NOT_TIME_NESTED:
        case CERT_TRUST_IS_NOT_TIME_VALID:
            return SSL_ERR_CERT_EXPIRED;
        default:
            return SSL_ERR_FAILED;
    }
}

static void a_program_asks_for_the_chain(const struct way *way)
{
    (void)way;
    CHECK(handshake("SSLSOCK_PEER", ask_for_the_chain, NULL) == SSL_ERR_FAILED);
    trust_the_tests();
    CHECK(handshake("SSLSOCK_PEER", ask_for_the_chain, NULL) == 0);
    CHECK(handshake("SSLSOCK_PEER_NAMELESS", ask_for_the_chain, NULL) == 0);
    CHECK(handshake("SSLSOCK_PEER_EXPIRED", ask_for_the_chain, NULL) == SSL_ERR_CERT_EXPIRED);
}

/* Puts the intermediate that the peer has sent into the store. */
static int CALLBACK keep_the_intermediate(DWORD type, LPVOID argument, DWORD count, LPBLOB chain, DWORD flags)
{
    PCCERT_CONTEXT context = CertCreateCertificateContext(X509_ASN_ENCODING, chain->pBlobData, chain->cbSize), stored;
    PCCERT_CHAIN_CONTEXT whole;
    PCERT_SIMPLE_CHAIN simple;

    CHECK(keep(type, NULL, count, chain, flags) == SSL_ERR_OKAY);
    CHECK(CertGetCertificateChain(NULL, context, NULL, NULL, NULL, 0, NULL, &whole));
    simple = whole->rgpChain[0];
    CHECK(simple->cElement == 3 && simple->rgpElement[2]->TrustStatus.dwInfoStatus == CERT_TRUST_IS_SELF_SIGNED);
    CHECK(CertAddCertificateContextToStore((HCERTSTORE)argument, simple->rgpElement[1]->pCertContext,
                                           CERT_STORE_ADD_NEW, &stored));
    CHECK(!CertAddCertificateContextToStore((HCERTSTORE)argument, stored, CERT_STORE_ADD_NEW, NULL));
    CHECK(GetLastError() == (DWORD)CRYPT_E_EXISTS);
    CertFreeCertificateChain(whole);
    CHECK(stored->hCertStore == argument && CertFreeCertificateContext(stored) && CertFreeCertificateContext(context));
    return SSL_ERR_OKAY;
}

static void a_chain_depends_on_time_store_and_usage(const struct way *way)
{
    HCERTSTORE store = CertOpenStore(CERT_STORE_PROV_MEMORY, 0, 0, 0, NULL);
    PCCERT_CONTEXT context;
    PCCERT_CHAIN_CONTEXT chain;
    CERT_CHAIN_POLICY_PARA policy;
    CERT_CHAIN_POLICY_STATUS status;
    SSL_EXTRA_CERT_CHAIN_POLICY_PARA server;
    FILETIME past = {0, 0x01000000}, future = {0, 0x03000000};
    WCHAR host[] = L"mail.test", other[] = L"other.test";

    (void)way;
    trust_the_tests();
    CHECK(store != NULL && handshake("SSLSOCK_PEER", keep_the_intermediate, store) == 0);
    context = CertCreateCertificateContext(X509_ASN_ENCODING, leaf, leaf_length);
    CHECK(status_of(context, NULL, NULL, NULL) == CERT_TRUST_IS_PARTIAL_CHAIN);
    CHECK(status_of(context, NULL, store, NULL) == CERT_TRUST_NO_ERROR);
    CHECK(status_of(context, &past, store, NULL) == CERT_TRUST_IS_NOT_TIME_VALID);
    CHECK(status_of(context, &future, store, NULL) == CERT_TRUST_IS_NOT_TIME_VALID);
    CHECK(status_of(context, NULL, store, szOID_PKIX_KP_SERVER_AUTH) == CERT_TRUST_NO_ERROR);
    CHECK(status_of(context, NULL, store, szOID_PKIX_KP_CLIENT_AUTH) == CERT_TRUST_IS_NOT_VALID_FOR_USAGE);
    CHECK(CertVerifyTimeValidity(NULL, context->pCertInfo) == 0);
    CHECK(CertVerifyTimeValidity(&past, context->pCertInfo) == -1);
    CHECK(CertVerifyTimeValidity(&future, context->pCertInfo) == 1);

    memset(&policy, 0, sizeof policy);
    memset(&server, 0, sizeof server);
    policy.cbSize = sizeof policy;
    policy.pvExtraPolicyPara = &server;
    server.cbSize = sizeof server;
    server.dwAuthType = AUTHTYPE_SERVER;
    status.cbSize = sizeof status;
    CHECK(CertGetCertificateChain(NULL, context, NULL, store, NULL, 0, NULL, &chain));
    server.pwszServerName = host;
    CHECK(CertVerifyCertificateChainPolicy(CERT_CHAIN_POLICY_SSL, chain, &policy, &status) && status.dwError == 0);
    server.pwszServerName = other;
    CHECK(CertVerifyCertificateChainPolicy(CERT_CHAIN_POLICY_SSL, chain, &policy, &status));
    CHECK(status.dwError == (DWORD)CERT_E_CN_NO_MATCH);
    CHECK(CertVerifyCertificateChainPolicy(CERT_CHAIN_POLICY_BASE, chain, &policy, &status) && status.dwError == 0);
    CertFreeCertificateChain(chain);
    CHECK(!CertVerifyCertificateChainPolicy(CERT_CHAIN_POLICY_SSL, chain, &policy, &status));
    CHECK(CertFreeCertificateContext(context) && CertCloseStore(store, CERT_CLOSE_STORE_FORCE_FLAG));
}

static void stores_are_searched_in_every_way(const struct way *way)
{
    HCERTSTORE root, store = CertOpenStore(CERT_STORE_PROV_MEMORY, 0, 0, 0, NULL);
    PCCERT_CONTEXT context, authority, found;
    CERT_INFO identity;
    BYTE hash[20];
    DWORD length = sizeof hash, checks = CERT_STORE_SIGNATURE_FLAG | CERT_STORE_TIME_VALIDITY_FLAG;
    CRYPT_HASH_BLOB wanted;
    struct {
        DWORD kind;
        const void *what;
        int count;
    } ways[8];
    size_t i;

    (void)way;
    trust_the_tests();
    root = CertOpenSystemStoreW(0, L"root");
    authority = CertEnumCertificatesInStore(root, NULL);
    CHECK(authority != NULL && CertDuplicateCertificateContext(authority) == authority);
    CHECK(CertEnumCertificatesInStore(root, authority) == NULL && GetLastError() == (DWORD)CRYPT_E_NOT_FOUND);
    context = kept("SSLSOCK_PEER_EXPIRED");
    CHECK(!CertAddEncodedCertificateToStore(root, X509_ASN_ENCODING, leaf, leaf_length, CERT_STORE_ADD_ALWAYS, NULL));
    CHECK(GetLastError() == 5);
    CHECK(CertAddEncodedCertificateToStore(store, X509_ASN_ENCODING | PKCS_7_ASN_ENCODING, leaf, leaf_length,
                                           CERT_STORE_ADD_ALWAYS, NULL));
    CHECK(CertAddCertificateContextToStore(store, authority, CERT_STORE_ADD_USE_EXISTING, NULL));

    CHECK(CertGetCertificateContextProperty(context, CERT_SHA1_HASH_PROP_ID, NULL, &length) && length == 20);
    CHECK(CertGetCertificateContextProperty(context, CERT_HASH_PROP_ID, hash, &length));
    wanted.cbData = length;
    wanted.pbData = hash;
    memset(&identity, 0, sizeof identity);
    identity.Issuer = context->pCertInfo->Issuer;
    identity.SerialNumber = context->pCertInfo->SerialNumber;
    CHECK(CertCompareCertificate(X509_ASN_ENCODING, &identity, context->pCertInfo));
    CHECK(!CertCompareCertificate(X509_ASN_ENCODING, &identity, authority->pCertInfo));
    CHECK(CertCompareCertificateName(X509_ASN_ENCODING, &identity.Issuer, &authority->pCertInfo->Subject));
    CHECK(!CertCompareCertificateName(X509_ASN_ENCODING, &identity.Issuer, &context->pCertInfo->Subject));

    ways[0].kind = CERT_FIND_ANY, ways[0].what = NULL, ways[0].count = 2;
    ways[1].kind = CERT_FIND_SHA1_HASH, ways[1].what = &wanted, ways[1].count = 1;
    ways[2].kind = CERT_FIND_ISSUER_NAME, ways[2].what = &identity.Issuer, ways[2].count = 2;
    ways[3].kind = CERT_FIND_SUBJECT_STR, ways[3].what = L"MAIL", ways[3].count = 1;
    ways[4].kind = CERT_FIND_ISSUER_STR_A, ways[4].what = "Test Root", ways[4].count = 2;
    ways[5].kind = CERT_FIND_SUBJECT_CERT, ways[5].what = &identity, ways[5].count = 1;
    ways[6].kind = CERT_FIND_ISSUER_OF, ways[6].what = context, ways[6].count = 1;
    ways[7].kind = CERT_FIND_EXISTING, ways[7].what = context, ways[7].count = 1;
    for (i = 0; i < 8; i++) {
        int count = 0;
        found = NULL;
        while ((found = CertFindCertificateInStore(store, X509_ASN_ENCODING, 0, ways[i].kind, ways[i].what, found)) !=
               NULL) {
            count++;
        }
        if (count != ways[i].count || GetLastError() != (DWORD)CRYPT_E_NOT_FOUND) {
            FAIL("%#x: %d found, error %#x", (unsigned)ways[i].kind, count, (unsigned)GetLastError());
        }
    }
    CHECK(CertFindCertificateInStore(store, X509_ASN_ENCODING, 0, 0x12345678, NULL, NULL) == NULL);

    found = CertGetIssuerCertificateFromStore(store, context, NULL, &checks);
    CHECK(found != NULL && checks == CERT_STORE_TIME_VALIDITY_FLAG && CertFreeCertificateContext(found));
    CHECK(CertGetIssuerCertificateFromStore(store, authority, NULL, &checks) == NULL && checks == 0);
    CHECK(GetLastError() == (DWORD)CRYPT_E_SELF_SIGNED);
    found = CertFindCertificateInStore(store, X509_ASN_ENCODING, 0, CERT_FIND_EXISTING, context, NULL);
    CHECK(CertDeleteCertificateFromStore(found));
    CHECK(CertFindCertificateInStore(store, X509_ASN_ENCODING, 0, CERT_FIND_EXISTING, context, NULL) == NULL);
    CHECK(CertFreeCertificateContext(context) && CertFreeCertificateContext(authority));
    CHECK(CertCloseStore(store, 0) && CertCloseStore(root, 0) && !CertCloseStore(root, 0));
}

static void names_are_shown(const struct way *way)
{
    PCCERT_CONTEXT context = kept("SSLSOCK_PEER");
    PCERT_INFO info = context->pCertInfo;
    WCHAR wide[64];
    char narrow[64], small[5] = "....";
    DWORD i, count = 0;

    (void)way;
    CHECK(CertGetNameString(context, CERT_NAME_SIMPLE_DISPLAY_TYPE, 0, NULL, wide, 64) == 10);
    CHECK(wcscmp(wide, L"mail.test") == 0);
    CHECK(CertGetNameStringA(context, CERT_NAME_SIMPLE_DISPLAY_TYPE, CERT_NAME_ISSUER_FLAG, NULL, narrow, 64) == 26);
    CHECK(strcmp(narrow, "sslsock test intermediate") == 0);
    CHECK(CertGetNameStringA(context, CERT_NAME_ATTR_TYPE, 0, (void *)szOID_COMMON_NAME, NULL, 0) == 10);
    CHECK(CertGetNameStringA(context, CERT_NAME_ATTR_TYPE, 0, (void *)szOID_COUNTRY_NAME, narrow, 64) == 1);
    CHECK(narrow[0] == '\0');
    CHECK(CertGetNameStringA(context, CERT_NAME_DNS_TYPE, 0, NULL, small, sizeof small) == 5);
    CHECK(strcmp(small, "mail") == 0);
    CHECK(CertNameToStr(X509_ASN_ENCODING, &info->Subject, CERT_X500_NAME_STR, wide, 64) == 13);
    CHECK(wcscmp(wide, L"CN=mail.test") == 0);
    CHECK(CertNameToStrA(X509_ASN_ENCODING, &info->Subject, CERT_OID_NAME_STR, narrow, 64) == 18);
    CHECK(strcmp(narrow, "2.5.4.3=mail.test") == 0);

    CHECK(context->dwCertEncodingType == X509_ASN_ENCODING && context->cbCertEncoded == leaf_length);
    CHECK(memcmp(context->pbCertEncoded, leaf, leaf_length) == 0 && info->dwVersion == CERT_V3);
    CHECK(info->SerialNumber.cbData == 16 && info->SerialNumber.pbData[15] == 4);
    CHECK(strcmp(info->SignatureAlgorithm.pszObjId, szOID_ECDSA_SHA256) == 0);
    CHECK(strcmp(info->SubjectPublicKeyInfo.Algorithm.pszObjId, szOID_ECC_PUBLIC_KEY) == 0);
    CHECK(info->SubjectPublicKeyInfo.PublicKey.cbData == 65 && info->SubjectPublicKeyInfo.PublicKey.pbData[0] == 4);
    CHECK(filetime_of(info->NotBefore) <= filetime_now() && filetime_of(info->NotAfter) > filetime_now());
    for (i = 0; i < info->cExtension; i++) {
        if (strcmp(info->rgExtension[i].pszObjId, szOID_BASIC_CONSTRAINTS2) == 0) {
            count += info->rgExtension[i].fCritical && info->rgExtension[i].Value.pbData[0] == 0x30;
        }
    }
    CHECK(count == 1 && CertFreeCertificateContext(context));
    CHECK(CertGetNameString(context, CERT_NAME_SIMPLE_DISPLAY_TYPE, 0, NULL, wide, 64) == 1 && wide[0] == 0);
}

static void random_numbers_come_from_a_provider(const struct way *way)
{
    HCRYPTPROV provider = 0;
    BYTE a[32], b[32];

    (void)way;
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    CHECK(CryptAcquireContext(&provider, NULL, MS_DEF_PROV, PROV_RSA_FULL, CRYPT_VERIFYCONTEXT) && provider != 0);
    CHECK(CryptGenRandom(provider, sizeof a, a) && CryptGenRandom(provider, sizeof b, b));
    CHECK(memcmp(a, b, sizeof a) != 0 && CryptGenRandom(provider, 0, NULL));
    CHECK(!CryptGenRandom(provider, 1, NULL) && CryptReleaseContext(provider, 0));
    CHECK(!CryptReleaseContext(provider, 0) && !CryptGenRandom(provider, sizeof a, a));
    CHECK(GetLastError() == (DWORD)NTE_BAD_UID);
    CHECK(!CryptAcquireContext(&provider, NULL, NULL, PROV_RSA_FULL, 0x10) && GetLastError() == (DWORD)NTE_BAD_FLAGS);
}

#ifndef __cplusplus
/* A narrow name where the wide function is meant compiles in C, and gets what it says. */
static void a_narrow_name_of_a_store_will_do(const struct way *way)
{
    HCERTSTORE store = CertOpenSystemStore(0, "ROOT");
    PCCERT_CONTEXT first;

    (void)way;
    first = CertEnumCertificatesInStore(store, NULL);
    CHECK(first != NULL && CertFreeCertificateContext(first) && CertCloseStore(store, 0));
}
#endif

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a_program_compares_the_common_name", a_program_compares_the_common_name, NULL, 0},
        {"what_is_no_certificate_is_refused", what_is_no_certificate_is_refused, NULL, 0},
        {"a_program_searches_the_stores", a_program_searches_the_stores, NULL, 0},
        {"a_program_asks_for_the_chain", a_program_asks_for_the_chain, NULL, 0},
        {"a_chain_depends_on_time_store_and_usage", a_chain_depends_on_time_store_and_usage, NULL, 0},
        {"stores_are_searched_in_every_way", stores_are_searched_in_every_way, NULL, 0},
        {"names_are_shown", names_are_shown, NULL, 0},
        {"random_numbers_come_from_a_provider", random_numbers_come_from_a_provider, NULL, 0},
#ifndef __cplusplus
        {"a_narrow_name_of_a_store_will_do", a_narrow_name_of_a_store_will_do, NULL, 0},
#endif
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
