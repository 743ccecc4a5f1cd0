#include "sha256.h"

#include <stdio.h>
#include <string.h>

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t right(uint32_t value, int count)
{
    return value >> count | value << (32 - count);
}

static inline void step(uint32_t s[8], int k, uint32_t word)
{
    uint32_t a = s[(8 - k) % 8];
    uint32_t b = s[(9 - k) % 8];
    uint32_t c = s[(10 - k) % 8];
    uint32_t e = s[(12 - k) % 8];
    uint32_t f = s[(13 - k) % 8];
    uint32_t g = s[(14 - k) % 8];
    uint32_t *h = &s[(15 - k) % 8];
    uint32_t first = *h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + word;

    s[(11 - k) % 8] += first;
    *h = first + (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
}

static void compress(uint32_t state[8], const unsigned char *block)
{
    uint32_t words[64];
    uint32_t s[8];

    for (int i = 0; i < 16; i++) {
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
                   block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t a = words[i - 15];
        uint32_t b = words[i - 2];
        words[i] = words[i - 16] + (right(a, 7) ^ right(a, 18) ^ a >> 3) + words[i - 7] +
                   (right(b, 17) ^ right(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i += 8) {
        /* The eight words change places in every step; after eight each is where it was. */
        for (int k = 0; k < 8; k++) {
            step(s, k, constants[i + k] + words[i + k]);
        }
    }
    for (int i = 0; i < 8; i++) {
        state[i] += s[i];
    }
}

void sha256_begin(struct sha256 *hash)
{
    static const uint32_t initial[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    };

    memcpy(hash->state, initial, sizeof initial);
    hash->bytes = 0;
}

void sha256_add(struct sha256 *hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    size_t held = hash->bytes % 64;

    hash->bytes += length;
    if (held > 0) {
        size_t piece = length < 64 - held ? length : 64 - held;
        memcpy(hash->block + held, bytes, piece);
        bytes += piece;
        length -= piece;
        if (held + piece < 64) {
            return;
        }
        compress(hash->state, hash->block);
    }
    for (; length >= 64; bytes += 64, length -= 64) {
        compress(hash->state, bytes);
    }
    memcpy(hash->block, bytes, length);
}

void sha256_end(struct sha256 *hash, char text[SHA256_TEXT])
{
    static const unsigned char padding[64] = {0x80};
    unsigned char length[8];
    uint64_t bits = hash->bytes * 8;

    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    }
    sha256_add(hash, padding, 1 + (119 - hash->bytes % 64) % 64);
    sha256_add(hash, length, sizeof length);
    for (int i = 0; i < 8; i++) {
        snprintf(text + 8 * i, 9, "%08x", hash->state[i]);
    }
}
