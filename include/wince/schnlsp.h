/* Windows CE: taking X.509 certificates apart, by schannel.dll. */
#ifndef SSLSOCK_WCE_SCHNLSP_H
#define SSLSOCK_WCE_SCHNLSP_H

#include "sslsock_wce/algorithms.h"
#include "wincrypt.h"
#include "windef.h"

SSLSOCK_WCE_BEGIN

#define UNISP_NAME_A "Microsoft Unified Security Protocol Provider"
#define UNISP_NAME_W L"Microsoft Unified Security Protocol Provider"
#define SSL3SP_NAME_A "Microsoft SSL 3.0"
#define SSL3SP_NAME_W L"Microsoft SSL 3.0"
#define TLS1SP_NAME_A "Microsoft TLS 1.0"
#define TLS1SP_NAME_W L"Microsoft TLS 1.0"
#ifdef UNICODE
#define UNISP_NAME UNISP_NAME_W
#define SSL3SP_NAME SSL3SP_NAME_W
#define TLS1SP_NAME TLS1SP_NAME_W
#else
#define UNISP_NAME UNISP_NAME_A
#define SSL3SP_NAME SSL3SP_NAME_A
#define TLS1SP_NAME TLS1SP_NAME_A
#endif

/* dwFlags of SslCrackCertificate; without effect. */
#define CF_VERIFY_SIG 1
#define CF_CERT_FROM_FILE 2

/* For GetProcAddress. */
#define SSL_CRACK_CERTIFICATE_NAME TEXT("SslCrackCertificate")
#define SSL_FREE_CERTIFICATE_NAME TEXT("SslFreeCertificate")

/* cbKey bytes of key: for RSA its RSAPublicKey in DER, else what the certificate's bit string holds. */
typedef struct _PctPublicKey {
    DWORD Type;
    DWORD cbKey;
    UCHAR pKey[1];
} PctPublicKey;

/*
 * The names look like "CN=host, O=Example, C=DE": CN first, and only one. The texts can be written to. Version is as
 * encoded, 2 for X.509 version 3; SerialNumber has the last 16 bytes, least significant first; SignatureAlgorithm is
 * that of the hash; the dates are UTC.
 */
typedef struct _X509Certificate {
    DWORD Version;
    DWORD SerialNumber[4];
    ALG_ID SignatureAlgorithm;
    FILETIME ValidFrom;
    FILETIME ValidUntil;
    PSTR pszIssuer;
    PSTR pszSubject;
    PctPublicKey *pPublicKey;
} X509Certificate, *PX509Certificate;

/*
 * FALSE, with *ppCertificate NULL, if it is no X.509 certificate in DER. SslFreeCertificate frees everything.
 *
 * The value of the subject's CN has no space, comma, semicolon, apostrophe, quotation mark, "=" or backslash, and no
 * value has "=": they stand there as \xNN, as do characters outside ASCII, so that neither can be taken for another
 * name. If there is no CN, the name that was verified takes its place (inside the hook that is being asked about this
 * certificate), else the first DNS name of the certificate.
 */
BOOL WINAPI SslCrackCertificate(PUCHAR pbCertificate, DWORD cbCertificate, DWORD dwFlags,
                                PX509Certificate *ppCertificate) SSLSOCK_WCE(crack_certificate);
VOID WINAPI SslFreeCertificate(PX509Certificate pCertificate) SSLSOCK_WCE(free_certificate);

typedef BOOL(WINAPI *SSL_CRACK_CERTIFICATE_FN)(PUCHAR pbCertificate, DWORD cbCertificate, BOOL VerifySignature,
                                               PX509Certificate *ppCertificate);
typedef VOID(WINAPI *SSL_FREE_CERTIFICATE_FN)(PX509Certificate pCertificate);

SSLSOCK_WCE_END

SSLSOCK_WCE_ASSERT(sizeof(PctPublicKey) == 12 && offsetof(PctPublicKey, Type) == 0, "PctPublicKey");
SSLSOCK_WCE_ASSERT(offsetof(PctPublicKey, cbKey) == 4 && offsetof(PctPublicKey, pKey) == 8, "PctPublicKey");

SSLSOCK_WCE_ASSERT(sizeof(X509Certificate) == (sizeof(void *) == 8 ? 64 : 52), "X509Certificate");
SSLSOCK_WCE_ASSERT(offsetof(X509Certificate, Version) == 0, "X509Certificate");
SSLSOCK_WCE_ASSERT(offsetof(X509Certificate, SerialNumber) == 4, "X509Certificate");
SSLSOCK_WCE_ASSERT(offsetof(X509Certificate, SignatureAlgorithm) == 20, "X509Certificate");
SSLSOCK_WCE_ASSERT(offsetof(X509Certificate, ValidFrom) == 24, "X509Certificate");
SSLSOCK_WCE_ASSERT(offsetof(X509Certificate, ValidUntil) == 32, "X509Certificate");
SSLSOCK_WCE_ASSERT(offsetof(X509Certificate, pszIssuer) == 40, "X509Certificate");
SSLSOCK_WCE_ASSERT(offsetof(X509Certificate, pszSubject) == (sizeof(void *) == 8 ? 48 : 44), "X509Certificate");
SSLSOCK_WCE_ASSERT(offsetof(X509Certificate, pPublicKey) == (sizeof(void *) == 8 ? 56 : 48), "X509Certificate");

#endif
