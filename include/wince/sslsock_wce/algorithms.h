/* ALG_ID, which wincrypt.h, sslsock.h and schnlsp.h share: class << 13 | type << 9 | number. */
#ifndef SSLSOCK_WCE_ALGORITHMS_H
#define SSLSOCK_WCE_ALGORITHMS_H

#include "../windef.h"

#ifndef ALGIDDEF
#define ALGIDDEF
typedef unsigned int ALG_ID;

#define CALG_MD2 0x8001
#define CALG_MD4 0x8002
#define CALG_MD5 0x8003
#define CALG_SHA 0x8004
#define CALG_SHA1 0x8004
#define CALG_MAC 0x8005
#define CALG_SSL3_SHAMD5 0x8008
#define CALG_HMAC 0x8009
#define CALG_SHA_256 0x800c
#define CALG_SHA_384 0x800d
#define CALG_SHA_512 0x800e

#define CALG_DES 0x6601
#define CALG_RC2 0x6602
#define CALG_3DES 0x6603
#define CALG_3DES_112 0x6609
#define CALG_SKIPJACK 0x660a
#define CALG_TEK 0x660b
#define CALG_CYLINK_MEK 0x660c
#define CALG_AES_128 0x660e
#define CALG_AES_192 0x660f
#define CALG_AES_256 0x6610
#define CALG_RC4 0x6801
#define CALG_SEAL 0x6802

#define CALG_DSS_SIGN 0x2200
#define CALG_ECDSA 0x2203
#define CALG_RSA_SIGN 0x2400

#define CALG_RSA_KEYX 0xa400
#define CALG_DH_SF 0xaa01
#define CALG_DH_EPHEM 0xaa02
#define CALG_AGREEDKEY_ANY 0xaa03
#define CALG_KEA_KEYX 0xaa04
#define CALG_ECDH 0xaa05
#define CALG_ECDH_EPHEM 0xae06
#endif

SSLSOCK_WCE_ASSERT(sizeof(ALG_ID) == 4, "ALG_ID");

#endif
