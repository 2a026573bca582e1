/*
 * Users and partners that one certificate can belong to: such a certificate would be refused, so check names them.
 *
 * Like is compared with like: fingerprints, subjects and alternative names. That a fingerprint's certificate has a
 * subject that someone else claims is not seen before it is shown.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

/* In characters compared: enough for a thousand users, and an end to what a file can ask for. */
#define WORK_MAX (UINT64_C(1) << 31)

struct claim {
    const struct config_section *section;
    const struct config_match *match;
};

struct comparison {
    const struct claim *claims;
    size_t count;
    uint64_t work;
};

/* Counts, and says whether there is room for so much. */
static bool work(struct comparison *comparison, uint64_t amount)
{
    comparison->work += amount;
    return comparison->work <= WORK_MAX;
}

static char lower(char c, bool fold)
{
    return fold ? (char)tolower((unsigned char)c) : c;
}

/* Some text that both patterns match. */
static bool globs_meet(const char *a, const char *b, bool fold)
{
    for (; *a && *b && *a != '*' && *b != '*'; a++, b++) {
        if (*a != '?' && *b != '?' && lower(*a, fold) != lower(*b, fold))
            return false;
    }
    if (*a != '*' && *b != '*')
        return !*a && !*b;
    /* A row of a table: which places of b can be reached with what was read of a. */
    size_t columns = strlen(b) + 1;
    bool *row = calloc(columns, sizeof(*row));
    if (!row)
        return true;
    row[0] = true;
    for (size_t j = 0; j + 1 < columns && b[j] == '*'; j++)
        row[j + 1] = true;
    for (; *a; a++) {
        bool before = row[0]; /* of the row above, one place to the left */
        row[0] = *a == '*' && before;
        for (size_t j = 1; j < columns; j++) {
            bool above = row[j], both = *a == '?' || b[j - 1] == '?' || lower(*a, fold) == lower(b[j - 1], fold);
            if (*a == '*')
                row[j] = above || row[j - 1];
            else if (b[j - 1] == '*')
                row[j] = row[j - 1] || above;
            else
                row[j] = before && both;
            before = above;
        }
    }
    bool met = row[columns - 1];
    free(row);
    return met;
}

static bool sans_meet(const char *a, const char *b)
{
    size_t kind = strcspn(a, ":") + 1;
    bool fold = strncmp(a, "URI:", kind) != 0; /* paths of a URI are told apart by case */
    return strncmp(a, b, kind) == 0 && globs_meet(a + kind, b + kind, fold);
}

static bool fingerprints_meet(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool lists_meet(struct comparison *comparison, const struct config_list *a, const struct config_list *b,
                       bool (*meet)(const char *a, const char *b))
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count && work(comparison, strlen(a->items[i]) * strlen(b->items[j])); j++) {
            if (meet(a->items[i], b->items[j]))
                return true;
        }
    }
    return false;
}

static bool subjects_meet(struct comparison *comparison, const struct config_expression *a,
                          const struct config_expression *b)
{
    if (!a || !b)
        return false;
    uint64_t length = strlen(config_expression_text(a)) + strlen(config_expression_text(b));
    return work(comparison, length * length) && config_expression_overlap(a, b);
}

/* The key by which one certificate can be both one's, or NULL. */
static const char *common_key(struct comparison *comparison, const struct config_match *a, const struct config_match *b)
{
    if (lists_meet(comparison, &a->fingerprints, &b->fingerprints, fingerprints_meet))
        return "match_fingerprint";
    if (subjects_meet(comparison, a->subject, b->subject))
        return "match_subject";
    if (lists_meet(comparison, &a->sans, &b->sans, sans_meet))
        return "match_san";
    return NULL;
}

/* With the first of those before it, which is enough to begin with. */
static void check_claim(struct comparison *comparison, size_t index, struct config_errors *errors)
{
    const struct claim *claim = &comparison->claims[index];
    for (size_t i = 0; i < index; i++) {
        const struct config_section *other = comparison->claims[i].section;
        const char *key = common_key(comparison, claim->match, comparison->claims[i].match);
        const struct config_entry *entry = key ? config_entry_find(other, key) : NULL;
        if (!entry)
            continue;
        config_errors_add_at(errors, CONFIG_WARNING, claim->section, key,
                             "%s: a certificate that it matches can also be that of %s \"%s\" in line %u, and is then "
                             "refused: make them exclude each other",
                             key, other->schema->name, other->name, entry->line);
        return;
    }
}

void config_claim_rules(const struct config *config, struct config_errors *errors)
{
    struct claim *claims = calloc(config->user_count + config->partner_count + 1, sizeof(*claims));
    struct comparison comparison = { .claims = claims };
    if (!claims)
        return config_errors_add(errors, CONFIG_ERROR, config->file, 0, "the file does not fit in memory");
    for (size_t i = 0; i < config->partner_count; i++)
        claims[comparison.count++] = (struct claim){ config->partners[i].section, &config->partners[i].match };
    for (size_t i = 0; i < config->user_count; i++)
        claims[comparison.count++] = (struct claim){ config->users[i].section, &config->users[i].match };
    for (size_t i = 0; i < comparison.count && comparison.work <= WORK_MAX; i++)
        check_claim(&comparison, i, errors);
    if (comparison.work > WORK_MAX)
        config_errors_add(errors, CONFIG_WARNING, config->file, 0,
                          "there are too many long match_ keys to compare each with each: whether one certificate can "
                          "belong to two was not checked for all");
    free(claims);
}
