/*
 * What a client of one TLS library has to bring to be measured. Each is a shared object that exports `bench_client`;
 * harness.c loads it, does the same work with each, and measures.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench_options {
    const char *mode;  /* a way to use the library, "" for the only one */
    const char *ca;    /* a PEM file: whom to trust */
    const char *name;  /* whom the certificate has to be for */
    const char *group; /* x25519, or x25519mlkem768 where there is one */
    int tls;           /* the only version: 12 or 13 */
    int resume;        /* keep and offer sessions; otherwise never */
};

struct bench_client {
    const char *(*version)(void);
    /* What a program does once: its contexts, its trust. Verification of chain and name is on. */
    void (*setup)(const struct bench_options *options);
    /* The handshake on a connected, blocking socket, with the offer of the newest session when resuming. */
    void *(*open)(int fd);
    /* All of the bytes. */
    void (*send)(void *connection, const void *bytes, size_t length);
    /* At least one byte, as few calls of the library as there can be; 0 at the end. */
    size_t (*receive)(void *connection, void *bytes, size_t capacity);
    /* close_notify, the end of this direction, the peer's close_notify; then the connection's memory and the
     * descriptor. */
    void (*close)(void *connection);
    /* NULL but in that of bare rustls: seals (1) or opens (0) records of 16 KiB, this many bytes. */
    void (*records)(int seal, size_t bytes);
    /* NULL but in that of bare rustls: serves forever what server.c does. */
    void (*serve)(int listener, const char *certificate, const char *key, int tickets);
};

__attribute__((unused, noreturn)) static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

#endif
