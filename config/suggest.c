#include <ctype.h>
#include <string.h>

#include "config/internal.h"

#define WORD_MAX 63

/* Upper and lower case, "-" and "_" are the slips people make most: they count as no difference at all. */
static int fold(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: insertions, deletions, replacements and swaps of neighbours. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned differ = fold(a[i - 1]) != fold(b[j - 1]);
            row[j] = least(above[j - 1] + differ, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b_length];
}

static unsigned tolerance(size_t length)
{
    return length <= 3 ? 1 : length <= 7 ? 2 : 3;
}

void config_suggest(struct config_suggestion *suggestion, const char *candidate)
{
    size_t wanted = strlen(suggestion->wanted), length = strlen(candidate);
    unsigned limit = tolerance(least((unsigned)wanted, (unsigned)length));
    size_t difference = wanted > length ? wanted - length : length - wanted;
    if (wanted == 0 || length == 0 || wanted > WORD_MAX || length > WORD_MAX || difference > limit)
        return;
    unsigned steps = distance(suggestion->wanted, wanted, candidate, length);
    /* A word that shares nothing but its length is no slip. */
    if (steps > limit || steps >= wanted || (suggestion->best && steps >= suggestion->distance))
        return;
    suggestion->best = candidate;
    suggestion->distance = steps;
}
