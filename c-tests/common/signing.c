#define _GNU_SOURCE

#include "signing.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

/* How openssl dgst is told the scheme; NULL for one that it does not know. */
static const char *options_of(unsigned scheme)
{
    switch (scheme) {
    case 0x0403:
    case 0x0401:
        return "-sha256";
    case 0x0503:
    case 0x0501:
        return "-sha384";
    case 0x0603:
    case 0x0601:
        return "-sha512";
    case 0x0804:
        return "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    case 0x0805:
        return "-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    case 0x0806:
        return "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    default:
        return NULL;
    }
}

size_t sign_with_openssl(unsigned scheme, const char *key_file, const unsigned char *message, size_t length,
                         unsigned char *signature, size_t capacity)
{
    char name[] = "/tmp/sslsock-message-XXXXXX";
    const char *options = options_of(scheme);
    unsigned char room[4096];
    size_t signed_length;
    char *command;
    FILE *output;
    int fd;

    if (options == NULL) {
        return 0;
    }
    fd = mkstemp(name);
    CHECK(fd >= 0 && write(fd, message, length) == (ssize_t)length && close(fd) == 0);
    CHECK(asprintf(&command, "openssl dgst %s -sign '%s' %s", options, key_file, name) > 0);
    output = popen(command, "r");
    CHECK(output != NULL);
    signed_length = fread(room, 1, sizeof room, output);
    CHECK(pclose(output) == 0 && unlink(name) == 0);
    free(command);
    if (signed_length > capacity) {
        return 0;
    }
    for (size_t i = 0; i < signed_length; i++) {
        signature[i] = room[i];
    }
    return signed_length;
}
