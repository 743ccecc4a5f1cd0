/* SHA-256, so that what arrives can be compared with what somebody else sent. */
#ifndef SSLSOCK_TESTS_SHA256_H
#define SSLSOCK_TESTS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_TEXT 65

struct sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
};

void sha256_begin(struct sha256 *hash);

void sha256_add(struct sha256 *hash, const void *data, size_t length);

/* Writes the hash as hexadecimal digits and a NUL. */
void sha256_end(struct sha256 *hash, char text[SHA256_TEXT]);

#endif
