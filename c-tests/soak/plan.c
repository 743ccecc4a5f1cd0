#include "plan.h"

#include <stdio.h>
#include <string.h>

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t roll(struct dice *dice)
{
    return mix(dice->state += 0x9e3779b97f4a7c15u);
}

uint64_t roll_below(struct dice *dice, uint64_t below)
{
    return roll(dice) % below;
}

uint64_t roll_size(struct dice *dice, uint64_t most)
{
    unsigned magnitudes = 1;

    while (most >> magnitudes) {
        magnitudes++;
    }
    return 1 + roll(dice) % (((uint64_t)2 << roll_below(dice, magnitudes)) - 1) % most;
}

static bool roll_percent(struct dice *dice, unsigned percent)
{
    return roll_below(dice, 100) < percent;
}

static uint64_t roll_amount(struct dice *dice)
{
    if (roll_percent(dice, 10)) {
        return 0;
    }
    return roll_percent(dice, 5) ? roll_size(dice, 4 * 1024 * 1024) : roll_size(dice, 256 * 1024);
}

static enum ending roll_ending(struct dice *dice)
{
    static const unsigned char often[ENDINGS] = {
        [BOTH_HALF_CLOSE] = 16, [OURS_ENDS_FIRST] = 10, [PEER_ENDS_FIRST] = 10, [OURS_CLOSES] = 16,
        [OURS_CLOSES_UNREAD] = 8, [OURS_RESETS] = 8, [PEER_CLOSES] = 8, [PEER_RESETS] = 8,
        [PEER_TRUNCATES] = 10, [PEER_DIES_IN_HANDSHAKE] = 3, [OURS_DIES_IN_HANDSHAKE] = 3,
    };
    uint64_t left = roll_below(dice, 100);
    enum ending ending = 0;

    while (left >= often[ending]) {
        left -= often[ending++];
    }
    return ending;
}

void plan_make(struct plan *plan, uint64_t seed, uint64_t number)
{
    struct dice dice = {mix(seed) ^ mix(number + 1)};
    uint32_t least;

    memset(plan, 0, sizeof *plan);
    plan->number = number;
    plan->server = roll_percent(&dice, 40);
    plan->ipv6 = roll_percent(&dice, 10);
    plan->tls13 = roll_percent(&dice, 60);
    plan->path = (enum path)roll_below(&dice, PATHS);
    if (plan->server && plan->path == TCP_PAIR) {
        plan->path = UNIX_PAIR;
    }
    plan->ending = roll_ending(&dice);
    plan->blocking = roll_percent(&dice, 15);
    plan->allow_truncation = roll_percent(&dice, 25);
    plan->handle_calls = roll_percent(&dice, 30);
    plan->freed_early = plan->path != EXPLICIT && !plan->handle_calls && roll_percent(&dice, 20);
    plan->freed_first = roll_percent(&dice, 50);
    plan->watched_before = roll_percent(&dice, 50);
    plan->ends = roll_percent(&dice, 50);
    plan->talks_first = roll_percent(&dice, 20) && (plan->ending == BOTH_HALF_CLOSE || plan->ending == OURS_CLOSES ||
                                                    plan->ending == OURS_CLOSES_UNREAD);
    plan->ours_stalls = roll_percent(&dice, 15);
    plan->peer_stalls = roll_percent(&dice, 15);
    plan->up = roll_amount(&dice);
    plan->down = roll_amount(&dice);
    if (plan->ours_stalls || plan->peer_stalls) {
        plan->up += roll_size(&dice, 1024 * 1024);
        plan->down += roll_size(&dice, 1024 * 1024);
    }
    plan->up_cut = roll_below(&dice, plan->up + 1);
    plan->down_cut = roll_below(&dice, plan->down + 1);
    /* Thousands of calls of a few bytes have had their say after a while. */
    plan->ours_piece = (uint32_t)roll_size(&dice, MAX_PIECE);
    plan->peer_piece = (uint32_t)roll_size(&dice, MAX_PIECE);
    if (plan->blocking && (plan->ending == OURS_CLOSES_UNREAD || plan->ending == OURS_DIES_IN_HANDSHAKE)) {
        plan->blocking = false;
    }
    if (plan->talks_first && plan->ending == OURS_CLOSES_UNREAD) {
        /* More than the kernel takes, so that each waits for the other until ours closes. */
        plan->up += 6 * 1024 * 1024;
        plan->down += 6 * 1024 * 1024;
    }
    least = (uint32_t)((plan->up > plan->down ? plan->up : plan->down) / 512);
    least = least < MAX_PIECE ? least : MAX_PIECE;
    plan->ours_piece = plan->ours_piece < least ? least : plan->ours_piece;
    plan->peer_piece = plan->peer_piece < least ? least : plan->peer_piece;
    if (plan->blocking && plan->ending == OURS_RESETS) {
        plan->down = plan->down_cut = 0;
    }
}

const char *ending_name(enum ending ending)
{
    static const char *const names[ENDINGS] = {
        "both_half_close", "ours_ends_first", "peer_ends_first", "ours_closes", "ours_closes_unread", "ours_resets",
        "peer_closes", "peer_resets", "peer_truncates", "peer_dies_in_handshake", "ours_dies_in_handshake",
    };
    return names[ending];
}

const char *path_name(enum path path)
{
    static const char *const names[PATHS] = {"explicit", "tcp_pair", "unix_pair"};
    return names[path];
}

const char *end_name(enum end end)
{
    static const char *const names[] = {"not read", "close_notify", "TCP end", "reset", "TLS error"};
    return names[end];
}

void plan_print(const struct plan *plan)
{
    fprintf(stderr,
            "connection %llu: %s, %s, %s, %s, TLS 1.%d%s%s%s%s%s%s%s%s%s%s; up %llu (cut %llu), down %llu (cut %llu), pieces %u, %u\n",
            (unsigned long long)plan->number, ending_name(plan->ending), path_name(plan->path),
            plan->server ? "server" : "client", plan->blocking ? "blocking" : "non-blocking", plan->tls13 ? 3 : 2,
            plan->ipv6 ? ", IPv6" : "", plan->allow_truncation ? ", truncation allowed" : "",
            plan->handle_calls ? ", calls of the handle" : "", plan->freed_early ? ", freed early" : "",
            plan->freed_first ? ", freed before the close" : "", plan->watched_before ? ", watched before" : "",
            plan->ends ? ", ends" : "",
            plan->talks_first ? ", peer talks first" : "",
            plan->ours_stalls ? ", ours stalls" : "", plan->peer_stalls ? ", peer stalls" : "",
            (unsigned long long)plan->up, (unsigned long long)plan->up_cut, (unsigned long long)plan->down,
            (unsigned long long)plan->down_cut, plan->ours_piece, plan->peer_piece);
}

uint64_t stream_key(uint64_t seed, uint64_t number, bool up)
{
    return mix(mix(seed + 77) ^ mix(2 * number + up));
}

void stream_fill(unsigned char *bytes, size_t count, uint64_t key, uint64_t offset)
{
    while (count > 0) {
        uint64_t block = mix(key + (offset / 8) * 0x9e3779b97f4a7c15u);
        size_t from = offset % 8;
        size_t some = 8 - from < count ? 8 - from : count;

        memcpy(bytes, (unsigned char *)&block + from, some);
        bytes += some;
        count -= some;
        offset += some;
    }
}

size_t stream_matches(const unsigned char *bytes, size_t count, uint64_t key, uint64_t offset)
{
    unsigned char expected[4096];

    for (size_t done = 0; done < count;) {
        size_t some = count - done < sizeof expected ? count - done : sizeof expected;

        stream_fill(expected, some, key, offset + done);
        if (memcmp(bytes + done, expected, some) != 0) {
            for (size_t i = 0; i < some; i++) {
                if (bytes[done + i] != expected[i]) {
                    return done + i;
                }
            }
        }
        done += some;
    }
    return count;
}

void stall_begin(struct stall *stall, bool stalls, struct dice *dice)
{
    stall->left = stalls ? 1 + (unsigned)roll_below(dice, 3) : 0;
    stall->at = roll_below(dice, 3) == 0 ? 0 : roll_size(dice, 128 * 1024);
}

bool stall_due(struct stall *stall, uint64_t got, uint64_t turn, uint64_t *until, struct dice *dice)
{
    if (stall->left == 0 || got < stall->at) {
        return false;
    }
    stall->left--;
    stall->at = got + roll_size(dice, 256 * 1024);
    *until = turn + 10 + roll_below(dice, 300);
    return true;
}
