/* What must be so when a connection is over: see the README's table of how connections end. */
#include "connection.h"

#include <errno.h>

#define HAS_TO_BE(condition)                          \
    do {                                              \
        if (!(condition)) {                           \
            soak_failed(c, "not so: %s", #condition); \
            return;                                   \
        }                                             \
    } while (0)

static bool whole_up(const struct connection *c)
{
    return c->sent == c->plan.up && c->theirs.got == c->plan.up && c->theirs.end == CLOSE_NOTIFY;
}

static bool whole_down(const struct connection *c)
{
    return c->got == c->plan.down && c->theirs.sent == c->plan.down;
}

/*
 * The kernel tells of a reset once, and a send may have heard of it. On an AF_UNIX pair it cannot tell at all where our
 * direction has ended.
 */
static bool end_may_look_clean(const struct connection *c)
{
    return c->send_errno != 0 || (c->plan.path == UNIX_PAIR && c->has_shut_down);
}

/* A handle that is alive knows why it ended. */
static bool reason_is(const struct connection *c, int32_t code)
{
    return c->code == -1 || c->code == code;
}

static void judge_handshake(const struct connection *c)
{
    HAS_TO_BE(c->got == 0 && c->theirs.got == 0);
    if (c->plan.ending == PEER_DIES_IN_HANDSHAKE) {
        /* What the peer had said may have been enough for us to be through. */
        HAS_TO_BE(c->code != SSL_ERR_OKAY || (c->handshake_made && c->plan.allow_truncation));
    }
}

static void judge_ending(const struct connection *c)
{
    const struct outcome *theirs = &c->theirs;

    switch (c->plan.ending) {
    case BOTH_HALF_CLOSE:
    case OURS_ENDS_FIRST:
    case PEER_ENDS_FIRST:
        HAS_TO_BE(whole_up(c));
        HAS_TO_BE(whole_down(c));
        HAS_TO_BE(c->end == CLOSE_NOTIFY && reason_is(c, SSL_ERR_OKAY));
        break;
    case OURS_CLOSES:
        HAS_TO_BE(whole_up(c));
        HAS_TO_BE(whole_down(c));
        HAS_TO_BE(reason_is(c, SSL_ERR_OKAY));
        break;
    case OURS_CLOSES_UNREAD:
        HAS_TO_BE(c->plan.talks_first || c->sent == c->plan.up);
        if (c->plan.path == EXPLICIT) {
            HAS_TO_BE(theirs->got == c->sent && theirs->end == CLOSE_NOTIFY);
        }
        break;
    case OURS_RESETS:
        HAS_TO_BE(c->sent == c->plan.up_cut);
        if (c->plan.path == TCP_PAIR) {
            HAS_TO_BE(theirs->end != CLOSE_NOTIFY);
        }
        break;
    case PEER_CLOSES:
        HAS_TO_BE(c->end == CLOSE_NOTIFY || c->end == RESET);
        break;
    case PEER_RESETS:
        HAS_TO_BE(c->end == RESET || (c->end == CLOSE_NOTIFY && end_may_look_clean(c)));
        HAS_TO_BE(reason_is(c, SSL_ERR_RESET));
        break;
    case PEER_TRUNCATES:
        HAS_TO_BE(c->got == theirs->sent && c->got == c->plan.down_cut);
        if (c->plan.allow_truncation) {
            HAS_TO_BE(c->end == CLOSE_NOTIFY && reason_is(c, SSL_ERR_OKAY));
            HAS_TO_BE(whole_up(c));
        } else {
            HAS_TO_BE(c->end == RESET || (c->end == CLOSE_NOTIFY && end_may_look_clean(c)));
            HAS_TO_BE(reason_is(c, SSL_ERR_TRUNCATED));
        }
        break;
    default:
        break;
    }
}

void judge(const struct connection *c)
{
    const struct outcome *theirs = &c->theirs;

    HAS_TO_BE(!theirs->wrong);
    HAS_TO_BE(!theirs->hangs);
    if (c->plan.ending == PEER_DIES_IN_HANDSHAKE || c->plan.ending == OURS_DIES_IN_HANDSHAKE) {
        judge_handshake(c);
        return;
    }
    HAS_TO_BE(theirs->open);
    if (!c->handshake_made && (c->plan.ending == PEER_RESETS || c->plan.ending == PEER_CLOSES)) {
        /* The peer was through with the handshake, and gone before we were. */
        HAS_TO_BE(c->code == SSL_ERR_RESET && c->sent == 0 && c->got == 0);
        return;
    }
    HAS_TO_BE(c->handshake_made);
    HAS_TO_BE(theirs->got <= c->sent);
    HAS_TO_BE(c->got <= theirs->sent);
    /* close_notify says that nothing is missing, whoever gets it. */
    HAS_TO_BE(theirs->end != CLOSE_NOTIFY || theirs->got == c->sent);
    HAS_TO_BE(c->end != TLS_ERROR && theirs->end != TLS_ERROR);
    if (c->end == CLOSE_NOTIFY && !end_may_look_clean(c) && !c->plan.allow_truncation) {
        HAS_TO_BE(theirs->notified && c->got == theirs->sent);
        /* What we go on sending can be answered with a reset after that. */
        HAS_TO_BE(reason_is(c, SSL_ERR_OKAY) || (c->plan.ending == PEER_CLOSES && c->code == SSL_ERR_RESET));
    }
    HAS_TO_BE(c->send_errno == 0 || c->send_errno == EPIPE || c->send_errno == ECONNRESET);
    judge_ending(c);
}
