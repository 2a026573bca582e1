/* Characters without regard to case, the same in every locale. */
#include "config/expression_tree.h"

#define NOT_UTF8 0x110000u /* behind the last character of Unicode */

/* What leads a sequence: bits of it that count, bytes that follow, the least character that needs so many. */
struct lead {
    uint8_t mask, mark;
    unsigned more;
    uint32_t least;
};

static const struct lead leads[] = {
    { 0x80, 0x00, 0, 0 },
    { 0xe0, 0xc0, 1, 0x80 },
    { 0xf0, 0xe0, 2, 0x800 },
    { 0xf8, 0xf0, 3, 0x10000 },
};

/*
 * RFC 3629; nothing overlong, no half of a surrogate pair. Returns the bytes of the character, 0 where there is none.
 */
static size_t decode(const uint8_t *bytes, size_t length, uint32_t *character)
{
    const struct lead *lead = leads;
    while ((bytes[0] & lead->mask) != lead->mark) {
        if (++lead == leads + sizeof(leads) / sizeof(leads[0]))
            return 0;
    }
    if (lead->more >= length)
        return 0;
    *character = bytes[0] & (uint8_t)~lead->mask;
    for (unsigned i = 1; i <= lead->more; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        *character = *character << 6 | (bytes[i] & 0x3fu);
    }
    bool surrogate = *character >= 0xd800 && *character <= 0xdfff;
    return *character < lead->least || *character >= NOT_UTF8 || surrogate ? 0 : lead->more + 1;
}

/* Capitals from first to last become what stands `distance` behind them; with 1, every second one is a capital. */
struct capitals {
    uint32_t first, last, distance;
};

static const struct capitals capitals[] = {
    { 'A', 'Z', 32 },       { 0xc0, 0xd6, 32 },     { 0xd8, 0xde, 32 },     { 0x100, 0x12e, 1 },
    { 0x132, 0x136, 1 },    { 0x139, 0x147, 1 },    { 0x14a, 0x176, 1 },    { 0x179, 0x17d, 1 },
    { 0x386, 0x386, 0x26 }, { 0x388, 0x38a, 0x25 }, { 0x38c, 0x38c, 0x40 }, { 0x38e, 0x38f, 0x3f },
    { 0x391, 0x3a1, 32 },   { 0x3a3, 0x3ab, 32 },   { 0x400, 0x40f, 80 },   { 0x410, 0x42f, 32 },
};

static uint32_t lower(uint32_t character)
{
    for (size_t i = 0; i < sizeof(capitals) / sizeof(capitals[0]); i++) {
        const struct capitals *range = &capitals[i];
        if (character < range->first || character > range->last)
            continue;
        bool capital = range->distance != 1 || (character - range->first) % 2 == 0;
        return capital ? character + range->distance : character;
    }
    if (character == 0x178) /* the capital of a letter of Latin-1 */
        return 0xff;
    return character == 0x3c2 ? 0x3c3 : character; /* the sigma at the end of a word */
}

uint32_t config_fold(const char **at, const char *end)
{
    const uint8_t *bytes = (const uint8_t *)*at;
    uint32_t character;
    size_t used = decode(bytes, (size_t)(end - *at), &character);
    *at += used ? used : 1;
    return used ? lower(character) : NOT_UTF8 + bytes[0];
}
