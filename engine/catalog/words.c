#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#define TAG_BITS 11
#define DIGITS (CATALOG_ID_SIZE - 1)

static const char *const states[CATALOG_STATES] = {
    [CATALOG_WAITING] = "waiting",
    [CATALOG_RUNNING] = "running",
    [CATALOG_HELD] = "held",
    [CATALOG_DONE] = "done",
    [CATALOG_FAILED] = "failed",
    [CATALOG_CANCELLED] = "cancelled",
    [CATALOG_ACKNOWLEDGED] = "acknowledged",
};
static const char *const directions[CATALOG_DIRECTIONS] = { [CATALOG_IN] = "in", [CATALOG_OUT] = "out" };
static const char *const kinds[CATALOG_KINDS] = {
    [CATALOG_FILE] = "file", [CATALOG_MESSAGE] = "message", [CATALOG_TREE] = "tree"
};
static const char *const roles[CATALOG_ROLES] = { [CATALOG_SERVER] = "server", [CATALOG_CLIENT] = "client" };

static const char *word(const char *const *words, size_t count, size_t n)
{
    return n < count ? words[n] : "?";
}

const char *catalog_state_word(enum catalog_state state)
{
    return word(states, CATALOG_STATES, state);
}

const char *catalog_direction_word(enum catalog_direction direction)
{
    return word(directions, CATALOG_DIRECTIONS, direction);
}

const char *catalog_kind_word(enum catalog_kind kind)
{
    return word(kinds, CATALOG_KINDS, kind);
}

const char *catalog_role_word(enum catalog_role role)
{
    return word(roles, CATALOG_ROLES, role);
}

int catalog_state_parse(const char *text, enum catalog_state *state)
{
    for (unsigned i = 0; i < CATALOG_STATES; i++) {
        if (strcmp(states[i], text) == 0) {
            *state = (enum catalog_state)i;
            return 0;
        }
    }
    return -EINVAL;
}

int catalog_direction_parse(const char *text, enum catalog_direction *direction)
{
    for (unsigned i = 0; i < CATALOG_DIRECTIONS; i++) {
        if (strcmp(directions[i], text) == 0) {
            *direction = (enum catalog_direction)i;
            return 0;
        }
    }
    return -EINVAL;
}

static const size_t strings[CATALOG_STRINGS] = {
    offsetof(struct catalog_record, partner),
    offsetof(struct catalog_record, remote),
    offsetof(struct catalog_record, local),
    offsetof(struct catalog_record, digest),
    offsetof(struct catalog_record, event),
    offsetof(struct catalog_record, reason),
    offsetof(struct catalog_record, user),
    offsetof(struct catalog_record, peer),
    offsetof(struct catalog_record, protocol),
    offsetof(struct catalog_record, pump),
    offsetof(struct catalog_record, tx),
    offsetof(struct catalog_record, rx),
    offsetof(struct catalog_record, version),
    offsetof(struct catalog_record, suite),
    offsetof(struct catalog_record, authentication),
    offsetof(struct catalog_record, subject),
};

const char **catalog_string(struct catalog_record *record, size_t i)
{
    return (const char **)(void *)((char *)record + strings[i]);
}

/* -- ids ----------------------------------------------------------------------------------------------------------- */

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

void catalog_id_print(uint64_t id, char text[CATALOG_ID_SIZE])
{
    text[DIGITS] = '\0';
    for (int i = DIGITS - 1; i >= 0; i--) {
        text[i] = alphabet[id & 31];
        id >>= 5;
    }
}

/* What is read aloud may come back with I and L for 1, and O for 0. */
static int digit(char c)
{
    const char *at;

    if (c == 'i' || c == 'I' || c == 'l' || c == 'L')
        return 1;
    if (c == 'o' || c == 'O')
        return 0;
    if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

int catalog_id_parse(const char *text, uint64_t *id)
{
    uint64_t value = 0;

    if (strlen(text) != DIGITS)
        return -EINVAL;
    for (size_t i = 0; i < DIGITS; i++) {
        int n = digit(text[i]);
        if (n < 0 || (i == 0 && n > 7)) /* 63 bits: SQLite's integers have a sign */
            return -EINVAL;
        value = value << 5 | (unsigned)n;
    }
    *id = value;
    return value ? 0 : -EINVAL;
}

uint64_t catalog_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t catalog_id_at(uint64_t time)
{
    return time > CATALOG_TIME_MAX ? (uint64_t)INT64_MAX : time << TAG_BITS;
}

uint64_t catalog_id_time(uint64_t id)
{
    return id >> TAG_BITS;
}

/* Where two are made in one microsecond, or the clock was set back: the next one. */
uint64_t catalog_id_after(uint64_t last, unsigned tag)
{
    uint64_t now = catalog_now(), before = last >> TAG_BITS;

    return (now > before ? now : before + 1) << TAG_BITS | tag;
}

unsigned catalog_id_tag(void)
{
    unsigned tag = 0;

    if (getrandom(&tag, sizeof tag, 0) != sizeof tag)
        tag = (unsigned)catalog_now();
    return tag & ((1u << TAG_BITS) - 1);
}
