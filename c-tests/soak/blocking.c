/* Connections whose calls wait: one thread makes the handshake and sends, another one receives. */
#define _GNU_SOURCE

#include "connection.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../common/check.h"
#include "net.h"

#define PAIRS 24
#define STACK 262144

struct pair {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct connection *receiving;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* A ring; there are never more than there are connections. */
static struct connection *waiting[4096];
static unsigned first, behind_last;

void blocking_hand_over(struct connection *c)
{
    pthread_mutex_lock(&lock);
    CHECK(behind_last - first < 4096);
    waiting[behind_last++ % 4096] = c;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static struct connection *next(void)
{
    struct connection *c;

    pthread_mutex_lock(&lock);
    while (first == behind_last) {
        pthread_cond_wait(&changed, &lock);
    }
    c = waiting[first++ % 4096];
    pthread_mutex_unlock(&lock);
    return c;
}

static void receive_all(struct connection *c, unsigned char *buffer)
{
    while (is_to_receive(c) && receive_piece(c, buffer) != OVER) {
    }
}

static void *receive(void *argument)
{
    struct pair *pair = argument;
    unsigned char *buffer = malloc(MAX_PIECE);

    CHECK(buffer != NULL);
    for (;;) {
        pthread_mutex_lock(&pair->lock);
        while (pair->receiving == NULL) {
            pthread_cond_wait(&pair->changed, &pair->lock);
        }
        pthread_mutex_unlock(&pair->lock);
        receive_all(pair->receiving, buffer);
        pthread_mutex_lock(&pair->lock);
        pair->receiving = NULL;
        pthread_cond_broadcast(&pair->changed);
        pthread_mutex_unlock(&pair->lock);
    }
    return NULL;
}

static void begin_receiving(struct pair *pair, struct connection *c)
{
    pthread_mutex_lock(&pair->lock);
    pair->receiving = c;
    pthread_cond_broadcast(&pair->changed);
    pthread_mutex_unlock(&pair->lock);
}

static void await_received(struct pair *pair)
{
    pthread_mutex_lock(&pair->lock);
    while (pair->receiving != NULL) {
        pthread_cond_wait(&pair->changed, &pair->lock);
    }
    pthread_mutex_unlock(&pair->lock);
}

static void whole_connection(struct pair *pair, struct connection *c, unsigned char *buffer)
{
    enum progress progress;
    bool receives = c->plan.ending != OURS_RESETS;
    bool one_after_the_other = c->plan.ending == PEER_ENDS_FIRST;

    connection_secure(c);
    if (ssl_perform_handshake(c->s, c->plan.server ? NULL : "localhost") != SSL_ERR_OKAY) {
        expect_dead(c);
        connection_close(c);
        return;
    }
    c->handshake_made = true;
    if (c->plan.freed_early) {
        CHECK(ssl_socket_free(c->s) == SSL_ERR_OKAY);
        c->s = NULL;
    }
    if (receives) {
        begin_receiving(pair, c);
    }
    if (receives && one_after_the_other) {
        await_received(pair);
    }
    do {
        progress = send_piece(c, buffer);
    } while (progress != OVER);
    if (receives) {
        await_received(pair);
    }
    connection_close(c);
}

static void *work(void *argument)
{
    unsigned char *buffer = malloc(MAX_PIECE);

    CHECK(buffer != NULL);
    for (;;) {
        struct connection *c = next();

        whole_connection(argument, c, buffer);
        atomic_store(&c->over, true);
    }
    return NULL;
}

void blocking_begin(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, STACK) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    for (int i = 0; i < PAIRS; i++) {
        struct pair *pair = calloc(1, sizeof *pair);

        CHECK(pair != NULL);
        pthread_mutex_init(&pair->lock, NULL);
        pthread_cond_init(&pair->changed, NULL);
        CHECK(pthread_create(&thread, &attributes, work, pair) == 0);
        CHECK(pthread_create(&thread, &attributes, receive, pair) == 0);
    }
}
