/*
 * An event loop whose certificates are decided on by other threads: each handshake ends as its own verdict says,
 * whenever that comes, and nothing is left behind.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/dead.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define HANDSHAKES 100
#define DECIDERS 4
/* Of those whose verdict is to come too late. */
#define LIMIT_MS 1500
/* Values of a hook's own: everybody refuses with another one. */
#define REFUSAL(number) (-1000 - (number))

/* What becomes of a handshake. */
enum fate {
    ACCEPTED,
    REFUSED,
    /* The verdict comes while the hook is running. */
    ACCEPTED_EARLY,
    REFUSED_EARLY,
    /* A second verdict comes. */
    ACCEPTED_TWICE,
    REFUSED_TWICE,
    LATE,
    CANCELLED,
    CANCELLED_IN_HOOK,
    FREED,
};

static const struct {
    enum fate fate;
    int count;
} shares[] = {
    {LATE, 8},
    {ACCEPTED, 34},
    {REFUSED, 16},
    {ACCEPTED_EARLY, 6},
    {REFUSED_EARLY, 6},
    {ACCEPTED_TWICE, 8},
    {REFUSED_TWICE, 6},
    {CANCELLED, 6},
    {CANCELLED_IN_HOOK, 4},
    {FREED, 6},
};

struct handshake {
    int number;
    enum fate fate;
    ssl_socket *s;
    int fd;
    /* A duplicate of the real connection, for poll; -1 as long as there is none. */
    int transport;
    long began;
    /* For poll; 0: it waits for a verdict, or is over. */
    short events;
    int is_over;
    int32_t outcome;
    int hook_calls;
    /* The verdict has been given, or whatever else was done. */
    int is_decided;
};

static struct handshake handshakes[HANDSHAKES];

/* Those that have been asked about and not been decided on, in no order. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct handshake *asked[HANDSHAKES];
    int count;
    int is_closed;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The event loop reads from it whom it concerns. */
static int wake_up[2];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int happens_in_hook(enum fate fate)
{
    return fate == ACCEPTED_EARLY || fate == REFUSED_EARLY || fate == CANCELLED_IN_HOOK;
}

static int32_t ask_later(uint32_t type, void *argument, uint32_t chain_len, const ssl_blob *chain, uint32_t flags)
{
    struct handshake *handshake = argument;

    (void)flags;
    CHECK(type == SSL_CERT_X509 && chain_len == 1 && chain->cbSize > 0);
    pthread_mutex_lock(&queue.lock);
    handshake->hook_calls++;
    queue.asked[queue.count++] = handshake;
    pthread_cond_broadcast(&queue.changed);
    while (happens_in_hook(handshake->fate) && !handshake->is_decided) {
        pthread_cond_wait(&queue.changed, &queue.lock);
    }
    pthread_mutex_unlock(&queue.lock);
    return SSL_ERR_WANT_VALIDATION;
}

static void give(const struct handshake *handshake, int32_t verdict, int32_t wanted)
{
    int32_t answer = ssl_complete_validation(handshake->s, verdict);

    if (answer != wanted) {
        FAIL("handshake %d: the verdict %d is answered by %s and not by %s", handshake->number, verdict,
             ssl_error_name(answer), ssl_error_name(wanted));
    }
}

static void decide(struct handshake *handshake)
{
    ssl_socket *s = handshake->s;
    int32_t refusal = REFUSAL(handshake->number);

    switch (handshake->fate) {
    case ACCEPTED:
    case ACCEPTED_EARLY:
        give(handshake, SSL_ERR_OKAY, SSL_ERR_OKAY);
        break;
    case REFUSED:
    case REFUSED_EARLY:
        give(handshake, refusal, SSL_ERR_OKAY);
        break;
    case ACCEPTED_TWICE:
        give(handshake, SSL_ERR_OKAY, SSL_ERR_OKAY);
        give(handshake, refusal, SSL_ERR_STATE);
        break;
    case REFUSED_TWICE:
        give(handshake, refusal, SSL_ERR_OKAY);
        give(handshake, SSL_ERR_OKAY, SSL_ERR_STATE);
        break;
    case LATE:
        give(handshake, SSL_ERR_OKAY, SSL_ERR_STATE);
        break;
    case CANCELLED:
    case CANCELLED_IN_HOOK:
        CHECK(ssl_cancel_handshake(s) == SSL_ERR_OKAY);
        CHECK(ssl_cancel_handshake(s) == SSL_ERR_STATE);
        give(handshake, SSL_ERR_OKAY, SSL_ERR_STATE);
        break;
    case FREED:
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
        give(handshake, SSL_ERR_OKAY, SSL_ERR_BAD_HANDLE);
        CHECK(ssl_cancel_handshake(s) == SSL_ERR_BAD_HANDLE);
        break;
    }
}

/* One of those that wait, by chance, but none before its time; NULL if there is none. */
static struct handshake *choose(uint64_t *state)
{
    int start = queue.count > 0 ? (int)(next_random(state) % (uint64_t)queue.count) : 0;

    for (int i = 0; i < queue.count; i++) {
        int place = (start + i) % queue.count;
        struct handshake *handshake = queue.asked[place];
        if (handshake->fate != LATE || milliseconds() > handshake->began + LIMIT_MS + 500) {
            queue.asked[place] = queue.asked[--queue.count];
            return handshake;
        }
    }
    return NULL;
}

/* Tells the event loop of each that it has decided on. */
static void *decide_by_chance(void *seed)
{
    uint64_t state = *(uint64_t *)seed;

    pthread_mutex_lock(&queue.lock);
    for (;;) {
        struct handshake *chosen = choose(&state);

        if (chosen == NULL && queue.is_closed) {
            break;
        }
        if (chosen == NULL) {
            struct timespec soon;
            CHECK(clock_gettime(CLOCK_REALTIME, &soon) == 0);
            soon.tv_sec += (soon.tv_nsec + 10000000) / 1000000000;
            soon.tv_nsec = (soon.tv_nsec + 10000000) % 1000000000;
            pthread_cond_timedwait(&queue.changed, &queue.lock, &soon);
            continue;
        }
        pthread_mutex_unlock(&queue.lock);

        /* Sometimes as soon as the hook has been called, sometimes when it has returned for long. */
        for (uint64_t pauses = next_random(&state) % 8; pauses > 0 && !happens_in_hook(chosen->fate); pauses--) {
            sleep_ms(1);
        }
        decide(chosen);

        pthread_mutex_lock(&queue.lock);
        chosen->is_decided = 1;
        pthread_cond_broadcast(&queue.changed);
        CHECK(write(wake_up[1], &chosen->number, sizeof chosen->number) == sizeof chosen->number);
    }
    pthread_mutex_unlock(&queue.lock);
    return NULL;
}

static void prepare(struct handshake *handshake, const struct way *way, int number, enum fate fate)
{
    static const uint32_t modes[] = {0, SSL_FLAG_UNIX_PAIR, SSL_FLAG_EXPLICIT_IO};
    uint32_t flags = SSL_FLAG_NONBLOCKING | modes[number % 3];

    memset(handshake, 0, sizeof *handshake);
    handshake->number = number;
    handshake->fate = fate;
    handshake->transport = -1;
    handshake->fd = peer_connect(way->peer);
    handshake->s = ssl_socket_new(handshake->fd);
    CHECK(handshake->s != NULL && ssl_set_flags(handshake->s, flags) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(handshake->s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    CHECK(ssl_set_validate_cert_hook(handshake->s, ask_later, handshake) == SSL_ERR_OKAY);
    CHECK(ssl_set_timeout(handshake->s, SSL_TIMEOUT_HANDSHAKE, fate == LATE ? LIMIT_MS : 120000) == SSL_ERR_OKAY);
}

/* The next step. */
static void perform(struct handshake *handshake)
{
    int32_t answer;

    if (handshake->is_over) {
        return;
    }
    answer = ssl_perform_handshake(handshake->s, "localhost");
    handshake->events = 0;
    switch (answer) {
    case SSL_ERR_WANT_READ:
        handshake->events = POLLIN;
        break;
    case SSL_ERR_WANT_WRITE:
        handshake->events = POLLOUT;
        break;
    case SSL_ERR_WANT_VALIDATION:
        CHECK(handshake->hook_calls == 1);
        return;
    default:
        handshake->is_over = 1;
        handshake->outcome = answer;
        return;
    }
    if (handshake->transport < 0) {
        /* Not of one that has been freed or cancelled meanwhile. */
        CHECK(ssl_get_transport_fd(handshake->s, &handshake->transport) == SSL_ERR_OKAY);
    }
}

/* Whether the hook has been called for each of the first so many. */
static int asked_about(int count)
{
    for (int i = 0; i < count; i++) {
        if (handshakes[i].hook_calls == 0) {
            return 0;
        }
    }
    return 1;
}

static void run_event_loop(void)
{
    struct pollfd entries[HANDSHAKES + 1];
    struct handshake *whose[HANDSHAKES + 1];
    int left = HANDSHAKES;
    int begun = 0;

    for (;;) {
        int count = 1;

        /* The others only when those have been asked about whose time is short. */
        while (begun < HANDSHAKES && (begun < shares[0].count || asked_about(shares[0].count))) {
            handshakes[begun].began = milliseconds();
            perform(&handshakes[begun++]);
        }
        left = 0;
        for (int i = 0; i < HANDSHAKES; i++) {
            left += !handshakes[i].is_over;
            if (!handshakes[i].is_over && handshakes[i].events != 0) {
                entries[count] = (struct pollfd){.fd = handshakes[i].transport, .events = handshakes[i].events};
                whose[count++] = &handshakes[i];
            }
        }
        if (left == 0) {
            return;
        }
        entries[0] = (struct pollfd){.fd = wake_up[0], .events = POLLIN};
        if (poll(entries, (nfds_t)count, 60000) <= 0) {
            FAIL("%d handshakes are not over, and nothing happens", left);
        }
        for (int i = 1; i < count; i++) {
            if (entries[i].revents != 0) {
                perform(whose[i]);
            }
        }
        if (entries[0].revents != 0) {
            int number;
            CHECK(read(wake_up[0], &number, sizeof number) == sizeof number);
            CHECK(number >= 0 && number < HANDSHAKES);
            perform(&handshakes[number]);
        }
    }
}

static void converse(const struct handshake *handshake, const struct way *way)
{
    struct way mode = {.peer = way->peer, .flags = handshake->number % 3 == 2 ? SSL_FLAG_EXPLICIT_IO : 0};
    unsigned char bytes[1000];
    size_t length = sizeof bytes;

    pattern_fill(bytes, length, 0);
    send_through(handshake->s, handshake->fd, &mode, "echo\n", 5);
    send_through(handshake->s, handshake->fd, &mode, bytes, length);
    for (size_t received = 0; received < length;) {
        ssize_t count;
        if (mode.flags == 0) {
            receive_pattern(handshake->fd, length, 0);
            break;
        }
        count = (ssize_t)ssl_recv(handshake->s, bytes, length - received, 0);
        if (count < 0 && errno == EAGAIN) {
            await_events(handshake->fd, POLLIN);
            continue;
        }
        CHECK(count > 0 && pattern_matches(bytes, (size_t)count, received));
        received += (size_t)count;
    }
}

static void check_outcome(const struct handshake *handshake, const struct way *way)
{
    int32_t wanted = SSL_ERR_OKAY;

    switch (handshake->fate) {
    case ACCEPTED:
    case ACCEPTED_EARLY:
    case ACCEPTED_TWICE:
        break;
    case REFUSED:
    case REFUSED_EARLY:
    case REFUSED_TWICE:
        wanted = REFUSAL(handshake->number);
        break;
    case LATE:
        wanted = SSL_ERR_TIMEOUT;
        break;
    case CANCELLED:
    case CANCELLED_IN_HOOK:
        wanted = SSL_ERR_CANCELLED;
        break;
    case FREED:
        /* The call was inside when that happened, or came later. */
        wanted = handshake->outcome == SSL_ERR_STATE ? SSL_ERR_STATE : SSL_ERR_BAD_HANDLE;
        break;
    }
    if (handshake->outcome != wanted) {
        FAIL("handshake %d of fate %d: %d (%s) and not %d", handshake->number, (int)handshake->fate,
             handshake->outcome, ssl_error_name(handshake->outcome), wanted);
    }
    CHECK(handshake->hook_calls == 1);
    if (handshake->fate == FREED) {
        CHECK(ssl_get_error(handshake->s) == SSL_ERR_BAD_HANDLE);
        expect_dead(handshake->fd);
        return;
    }
    CHECK(ssl_get_error(handshake->s) == wanted || wanted == SSL_ERR_OKAY);
    CHECK(ssl_complete_validation(handshake->s, SSL_ERR_OKAY) == SSL_ERR_STATE);
    CHECK(ssl_cancel_handshake(handshake->s) == SSL_ERR_STATE);
    if (wanted == SSL_ERR_OKAY) {
        converse(handshake, way);
        return;
    }
    expect_dead(handshake->fd);
    if (handshake->fate == LATE) {
        expect_error_text(handshake->s, "waited for the program's decision on the certificate");
    }
}

static int threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    int count = 0;

    CHECK(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

/* The fates in random order, but for the first of `shares`, which come first. */
static void deal(enum fate *fates, uint64_t *state)
{
    int count = 0;

    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        for (int j = 0; j < shares[i].count; j++) {
            fates[count++] = shares[i].fate;
        }
    }
    CHECK(count == HANDSHAKES);
    for (int i = HANDSHAKES - 1; i > shares[0].count; i--) {
        int span = i + 1 - shares[0].count;
        int other = shares[0].count + (int)(next_random(state) % (uint64_t)span);
        enum fate fate = fates[i];
        fates[i] = fates[other];
        fates[other] = fate;
    }
}

static void a_hundred_handshakes_in_an_event_loop(const struct way *way)
{
    const char *given = getenv("SSLSOCK_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    uint64_t state = seed | 1;
    uint64_t seeds[DECIDERS];
    pthread_t deciders[DECIDERS];
    enum fate fates[HANDSHAKES];
    int descriptors;
    int running;

    note("seed %llu", (unsigned long long)seed);
    /* What stays: the library's own threads and descriptors. */
    echo_with_peer(way, 1000);
    CHECK(pipe(wake_up) == 0);
    sleep_ms(50);
    descriptors = open_descriptors();
    running = threads();

    deal(fates, &state);
    for (int i = 0; i < DECIDERS; i++) {
        seeds[i] = next_random(&state);
        CHECK(pthread_create(&deciders[i], NULL, decide_by_chance, &seeds[i]) == 0);
    }
    for (int i = 0; i < HANDSHAKES; i++) {
        prepare(&handshakes[i], way, i, fates[i]);
    }
    run_event_loop();
    pthread_mutex_lock(&queue.lock);
    queue.is_closed = 1;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    for (int i = 0; i < DECIDERS; i++) {
        CHECK(pthread_join(deciders[i], NULL) == 0);
    }
    for (int i = 0; i < HANDSHAKES; i++) {
        check_outcome(&handshakes[i], way);
    }
    for (int i = 0; i < HANDSHAKES; i++) {
        int32_t freed = ssl_socket_free(handshakes[i].s);
        CHECK(freed == (handshakes[i].fate == FREED ? SSL_ERR_BAD_HANDLE : SSL_ERR_OKAY));
        CHECK(close(handshakes[i].fd) == 0);
        CHECK(handshakes[i].transport < 0 || close(handshakes[i].transport) == 0);
    }
    await_descriptors(descriptors);
    for (long limit = milliseconds() + 20000; threads() > running;) {
        CHECK(milliseconds() < limit);
        sleep_ms(1);
    }
}

/* Threads that complete, cancel and free at once, while the handshake goes on. */

struct rival {
    pthread_t thread;
    ssl_socket *s;
    atomic_int *go;
    long delay;
    int32_t (*call)(ssl_socket *s);
    int32_t answer;
};

static int32_t accept_it(ssl_socket *s)
{
    return ssl_complete_validation(s, SSL_ERR_OKAY);
}

static int32_t refuse_it(ssl_socket *s)
{
    return ssl_complete_validation(s, SSL_ERR_CERT_REVOKED);
}

static int32_t cancel_it(ssl_socket *s)
{
    return ssl_cancel_handshake(s);
}

static int32_t free_it(ssl_socket *s)
{
    return ssl_socket_free(s);
}

static void *compete(void *argument)
{
    struct rival *rival = argument;

    while (atomic_load(rival->go) == 0) {
    }
    for (volatile long i = 0; i < rival->delay; i++) {
    }
    rival->answer = rival->call(rival->s);
    return NULL;
}

static int32_t leave_open(uint32_t type, void *argument, uint32_t chain_len, const ssl_blob *chain, uint32_t flags)
{
    (void)type, (void)chain_len, (void)chain, (void)flags;
    atomic_store((atomic_int *)argument, 1);
    return SSL_ERR_WANT_VALIDATION;
}

static void one_of_those_who_come_at_once_wins(const struct way *way)
{
    static int32_t (*const calls[])(ssl_socket *) = {accept_it, refuse_it, cancel_it, free_it};
    enum { ACCEPT, REFUSE, CANCEL, FREE, RIVALS };
    static const int32_t ends[] = {SSL_ERR_OKAY, SSL_ERR_CERT_REVOKED, SSL_ERR_CANCELLED, SSL_ERR_INTERNAL};
    uint64_t state = (uint64_t)time(NULL) | 1;
    int wins[RIVALS] = {0};

    note("seed %llu", (unsigned long long)state);
    for (int round = 0; round < rounds(60, 2000); round++) {
        struct rival rivals[RIVALS];
        atomic_int go = 0;
        int fd = peer_connect(way->peer);
        ssl_socket *s = ssl_socket_new(fd);
        int transport = -1;
        /* Every other time without the last, who frees. */
        int count = round % 2 ? RIVALS : RIVALS - 1;
        int came[RIVALS] = {0};
        int winner;
        int32_t answer;

        CHECK(s != NULL && ssl_set_flags(s, SSL_FLAG_NONBLOCKING | way->flags) == SSL_ERR_OKAY);
        CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
        CHECK(ssl_set_validate_cert_hook(s, leave_open, &go) == SSL_ERR_OKAY);
        for (int i = 0; i < count; i++) {
            rivals[i] = (struct rival){.s = s, .go = &go, .call = calls[i], .answer = -1};
            rivals[i].delay = (long)(next_random(&state) % (1 << (next_random(&state) % 20)));
            CHECK(pthread_create(&rivals[i].thread, NULL, compete, &rivals[i]) == 0);
        }
        do {
            answer = ssl_perform_handshake(s, "localhost");
            if (answer == SSL_ERR_WANT_READ && transport < 0) {
                CHECK(ssl_get_transport_fd(s, &transport) == SSL_ERR_OKAY);
            }
            if (answer == SSL_ERR_WANT_READ && atomic_load(&go) == 0) {
                await_events(transport, POLLIN);
            }
        } while (answer == SSL_ERR_WANT_READ || answer == SSL_ERR_WANT_VALIDATION);
        for (int i = 0; i < count; i++) {
            CHECK(pthread_join(rivals[i].thread, NULL) == 0);
        }
        /* The end is that of whoever was in time. */
        for (int i = 0; i < FREE; i++) {
            came[i] = rivals[i].answer == SSL_ERR_OKAY;
        }
        CHECK(!came[ACCEPT] || !came[REFUSE]);
        winner = came[CANCEL] ? CANCEL : came[REFUSE] ? REFUSE : came[ACCEPT] ? ACCEPT : FREE;
        if (count == RIVALS && (answer == SSL_ERR_STATE || answer == SSL_ERR_BAD_HANDLE)) {
            winner = FREE;
        } else {
            CHECK(answer == ends[winner]);
        }
        wins[winner]++;
        if (answer != SSL_ERR_OKAY) {
            expect_dead(fd);
        }
        CHECK(ssl_socket_free(s) == (count == RIVALS ? SSL_ERR_BAD_HANDLE : SSL_ERR_OKAY));
        CHECK(close(fd) == 0 && (transport < 0 || close(transport) == 0));
    }
    note("accepted %d, refused %d, cancelled %d, freed first %d", wins[ACCEPT], wins[REFUSE], wins[CANCEL], wins[FREE]);
}

/* Drives it by its code until it is over or waits for the program. */
static int32_t perform_by_code(ssl_socket *s)
{
    for (;;) {
        int32_t answer = set_code(s, PERFORM_HANDSHAKE, "localhost", 10);
        int transport;

        if (answer != SSL_ERR_WANT_READ) {
            return answer;
        }
        CHECK(ssl_get_transport_fd(s, &transport) == SSL_ERR_OKAY);
        await_events(transport, POLLIN);
        CHECK(close(transport) == 0);
    }
}

static void a_handshake_by_its_code_waits_too(const struct way *way)
{
    for (int round = 0; round < 3; round++) {
        struct hook_calls calls = {.answer = SSL_ERR_WANT_VALIDATION};
        int fd = peer_connect(way->peer);
        ssl_socket *s = ssl_socket_new(fd);

        CHECK(s != NULL && ssl_set_flags(s, SSL_FLAG_NONBLOCKING | way->flags) == SSL_ERR_OKAY);
        CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
        set_counting_hook(s, &calls);
        CHECK(perform_by_code(s) == SSL_ERR_WANT_VALIDATION && ssl_get_error(s) == SSL_ERR_WANT_VALIDATION);
        CHECK(perform_by_code(s) == SSL_ERR_WANT_VALIDATION);
        switch (round) {
        case 0:
            CHECK(ssl_complete_validation(s, SSL_ERR_OKAY) == SSL_ERR_OKAY);
            CHECK(perform_by_code(s) == SSL_ERR_OKAY);
            echo_on(fd);
            break;
        case 1:
            CHECK(ssl_complete_validation(s, SSL_ERR_CERT_EXPIRED) == SSL_ERR_OKAY);
            CHECK(perform_by_code(s) == SSL_ERR_CERT_EXPIRED);
            expect_dead(fd);
            break;
        default:
            CHECK(ssl_cancel_handshake(s) == SSL_ERR_OKAY);
            CHECK(perform_by_code(s) == SSL_ERR_CANCELLED);
            expect_dead(fd);
        }
        CHECK(calls.times == 1);
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    }
}

static const struct way versions[] = {
    {"TLS 1.3", "SSLSOCK_PEER", 0},
    {"TLS 1.2", "SSLSOCK_PEER_TLS12", 0},
    {NULL, NULL, 0},
};

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a_hundred_handshakes_in_an_event_loop", a_hundred_handshakes_in_an_event_loop, versions, 240},
        {"a_handshake_by_its_code_waits_too", a_handshake_by_its_code_waits_too, transparent_ways_and_versions, 0},
        {"one_of_those_who_come_at_once_wins", one_of_those_who_come_at_once_wins, each_mode, 240},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
