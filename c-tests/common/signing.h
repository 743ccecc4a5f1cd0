/* A private key outside the library: the openssl command has it. */
#ifndef SSLSOCK_TESTS_SIGNING_H
#define SSLSOCK_TESTS_SIGNING_H

#include <stddef.h>

/*
 * Signs a message by a signature scheme of TLS with the key in a file. Answers the signature's length, 0 if that cannot
 * be done or is longer than the capacity.
 */
size_t sign_with_openssl(unsigned scheme, const char *key_file, const unsigned char *message, size_t length,
                         unsigned char *signature, size_t capacity);

#endif
