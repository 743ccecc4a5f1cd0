/*
 * Asks a server that may want a client certificate for a page, and prints what it answers.
 *
 * client_certificate VARIABLE WAY [FILE...]    the variable holds the server's host:port
 *
 * none                         without a certificate
 * file CHAIN KEY               by their names
 * memory CHAIN KEY             by their contents
 * add CHAIN KEY CHAIN KEY ...  several of them
 * signer CHAIN KEY             the openssl command has the key
 * hook LEAF.der CHAIN KEY ...  the same as add, and a hook that prints the issuers and chooses the one with this leaf
 * decline CHAIN KEY            the hook says that there is none
 * fork CHAIN KEY               as signer, with a hook that chooses: both fork, and return in the child, too
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/conversation.h"
#include "common/peer.h"
#include "common/signing.h"
#include "common/upgrade.h"

struct file {
    unsigned char bytes[32768];
    size_t length;
};

static struct file read_file(const char *name)
{
    struct file file;
    FILE *stream = fopen(name, "rb");

    CHECK(stream != NULL);
    file.length = fread(file.bytes, 1, sizeof file.bytes, stream);
    CHECK(file.length < sizeof file.bytes && fclose(stream) == 0);
    return file;
}

static int forks, is_child;

/* Goes on in the child alone, and in the parent when the child has seen that the connection is not its own. */
static void fork_if_asked(void)
{
    int status = 0;
    pid_t child;

    if (!forks) {
        return;
    }
    child = fork();
    CHECK(child >= 0);
    is_child = child == 0;
    if (!is_child) {
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static int32_t sign(uint32_t type, void *key_file, const uint8_t *source, uint32_t source_len, uint32_t flags,
                    uint8_t *dest, uint32_t *dest_len)
{
    CHECK(flags == SSL_SIGN_PERFORM_HASH && *dest_len >= 1024);
    fork_if_asked();
    *dest_len = (uint32_t)sign_with_openssl(type, key_file, source, source_len, dest, *dest_len);
    return *dest_len > 0 ? SSL_ERR_OKAY : SSL_ERR_FAILED;
}

static int32_t choose(uint32_t type, void *leaf, uint32_t issuer_count, const ssl_blob *issuers, uint32_t flags,
                      uint32_t *chain_len, ssl_blob **chain)
{
    static struct file file;
    static ssl_blob blob;

    CHECK(type == SSL_CERT_X509 && flags == 0 && *chain_len == 0 && *chain == NULL);
    for (uint32_t i = 0; i < issuer_count; i++) {
        printf("issuer=");
        for (uint32_t at = 0; at < issuers[i].cbSize; at++) {
            printf("%02x", issuers[i].pBlobData[at]);
        }
        printf("\n");
    }
    if (forks) {
        fork_if_asked();
        return SSL_ERR_OKAY;
    }
    if (leaf == NULL) {
        return SSL_ERR_NO_CERT;
    }
    file = read_file(leaf);
    blob.cbSize = (uint32_t)file.length;
    blob.pBlobData = file.bytes;
    *chain = &blob;
    *chain_len = 1;
    return SSL_ERR_OKAY;
}

#define NEEDED(call)                        \
    do {                                    \
        if ((call) != SSL_ERR_OKAY) {       \
            upgrade_failed(#call, NULL);    \
        }                                   \
    } while (0)

static void identify(ssl_socket *s, const char *way, char **files, int count)
{
    if (strcmp(way, "none") == 0) {
        return;
    }
    if (strcmp(way, "hook") == 0) {
        NEEDED(ssl_set_auth_request_hook(s, choose, files[0]));
        files++, count--;
    } else if (strcmp(way, "decline") == 0 || strcmp(way, "fork") == 0) {
        forks = strcmp(way, "fork") == 0;
        NEEDED(ssl_set_auth_request_hook(s, choose, NULL));
    }
    CHECK(count >= 2 && count % 2 == 0);
    if (strcmp(way, "file") == 0) {
        NEEDED(ssl_set_identity_file(s, files[0], files[1]));
    } else if (strcmp(way, "memory") == 0) {
        struct file chain = read_file(files[0]), key = read_file(files[1]);
        NEEDED(ssl_set_identity_pem(s, chain.bytes, chain.length, key.bytes, key.length));
    } else if (strcmp(way, "signer") == 0 || forks) {
        struct file chain = read_file(files[0]);
        NEEDED(ssl_set_identity_signer(s, chain.bytes, chain.length, sign, files[1]));
    } else {
        for (int at = 0; at < count; at += 2) {
            NEEDED(ssl_add_identity_file(s, files[at], files[at + 1]));
        }
    }
}

int main(int argc, char **argv)
{
    static const char request[] = "GET / HTTP/1.0\r\nHost: mail.test\r\n\r\n";
    char answer[4096];
    ssize_t count;
    int32_t outcome;
    ssl_socket *s;
    int fd;

    CHECK(argc >= 3);
    fd = talk_connect(argv[1]);
    s = ssl_socket_new(fd);
    CHECK(s != NULL && ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    identify(s, argv[2], argv + 3, argc - 3);
    outcome = ssl_perform_handshake(s, "mail.test");
    if (is_child) {
        CHECK(outcome == SSL_ERR_FORKED);
        _exit(0);
    }
    NEEDED(outcome);
    CHECK(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1);
    while ((count = recv(fd, answer, sizeof answer, 0)) > 0) {
        CHECK(fwrite(answer, 1, (size_t)count, stdout) == (size_t)count);
    }
    if (count < 0) {
        upgrade_failed("recv", s);
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    return 0;
}
