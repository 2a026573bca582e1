#include "engine/store/extents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16

void extents_clear(struct extents *extents)
{
    free(extents->items);
    *extents = (struct extents){ 0 };
}

/* The first range that ends at or behind `position`. */
static size_t find(const struct extents *extents, uint64_t position)
{
    size_t low = 0, high = extents->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (extents->items[middle].end < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int make_room(struct extents *extents)
{
    if (extents->count == EXTENTS_MAX)
        return -E2BIG;
    if (extents->count < extents->capacity)
        return 0;
    size_t capacity = extents->capacity ? extents->capacity * 2 : FIRST_CAPACITY;
    void *grown = realloc(extents->items, capacity * sizeof *extents->items);
    if (!grown)
        return -ENOMEM;
    extents->items = grown;
    extents->capacity = capacity;
    return 0;
}

static int insert(struct extents *extents, size_t at, uint64_t first, uint64_t end)
{
    int rc = make_room(extents);
    if (rc < 0)
        return rc;
    struct extent *here = extents->items + at;
    memmove(here + 1, here, (extents->count - at) * sizeof *here);
    *here = (struct extent){ first, end };
    extents->count++;
    return 0;
}

int extents_add(struct extents *extents, uint64_t first, uint64_t end)
{
    if (end < first)
        return -EINVAL;
    if (end == first)
        return 0;

    size_t at = find(extents, first), behind = at;
    while (behind < extents->count && extents->items[behind].first <= end)
        behind++;
    if (behind == at)
        return insert(extents, at, first, end);

    struct extent *here = extents->items + at;
    uint64_t last = extents->items[behind - 1].end;
    if (first < here->first)
        here->first = first;
    here->end = end > last ? end : last;
    memmove(here + 1, extents->items + behind, (extents->count - behind) * sizeof *here);
    extents->count -= behind - at - 1;
    return 0;
}

bool extents_hold(const struct extents *extents, uint64_t first, uint64_t end)
{
    if (end <= first)
        return true;
    size_t at = find(extents, end);
    return at < extents->count && extents->items[at].first <= first;
}

bool extents_next_missing(const struct extents *extents, uint64_t size, uint64_t from, uint64_t *first, uint64_t *end)
{
    size_t at = find(extents, from);

    if (at < extents->count && extents->items[at].first <= from)
        from = extents->items[at++].end;
    if (from >= size)
        return false;
    *first = from;
    *end = at < extents->count && extents->items[at].first < size ? extents->items[at].first : size;
    return true;
}

uint64_t extents_total(const struct extents *extents)
{
    uint64_t total = 0;

    for (size_t i = 0; i < extents->count; i++)
        total += extents->items[i].end - extents->items[i].first;
    return total;
}

int extents_add_all(struct extents *extents, const struct extents *more)
{
    int rc = 0;

    for (size_t i = 0; i < more->count && rc == 0; i++)
        rc = extents_add(extents, more->items[i].first, more->items[i].end);
    return rc;
}

int extents_add_missing(const struct extents *extents, uint64_t first, uint64_t end, struct extents *gaps)
{
    uint64_t from, to;
    int rc = 0;

    for (; rc == 0 && first < end && extents_next_missing(extents, end, first, &from, &to); first = to)
        rc = extents_add(gaps, from, to);
    return rc;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return *one < *other ? -1 : *one > *other;
}

static uint64_t gap_behind(const struct extents *extents, size_t i)
{
    return extents->items[i + 1].first - extents->items[i].end;
}

/* Gaps smaller than `size` are closed, and `equal` of those of just that size. */
static void close_gaps(struct extents *extents, uint64_t size, size_t equal)
{
    size_t kept = 0;

    for (size_t i = 1; i < extents->count; i++) {
        struct extent *last = extents->items + kept, next = extents->items[i];
        uint64_t gap = next.first - last->end;
        if (gap < size || (gap == size && equal > 0)) {
            equal -= gap == size;
            last->end = next.end;
        } else {
            extents->items[++kept] = next;
        }
    }
    extents->count = kept + 1;
}

int extents_join(struct extents *extents, size_t limit)
{
    if (extents->count <= limit)
        return 0;
    size_t count = extents->count - 1, closed = extents->count - limit, smaller = 0;
    uint64_t *gaps = malloc(count * sizeof *gaps);
    if (!gaps)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        gaps[i] = gap_behind(extents, i);
    qsort(gaps, count, sizeof *gaps, compare);
    uint64_t size = gaps[closed - 1];
    while (smaller < closed && gaps[smaller] < size)
        smaller++;
    free(gaps);
    close_gaps(extents, size, closed - smaller);
    return 0;
}

/* Digits alone: neither sign nor blank, as strtoull() would take. */
static bool read_number(const char **text, uint64_t *number)
{
    const char *at = *text;
    uint64_t value = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (at == *text)
        return false;
    *text = at;
    *number = value;
    return true;
}

static int read_range(struct extents *extents, const char **text)
{
    uint64_t first, last;

    *text += strspn(*text, " \t");
    if (!read_number(text, &first) || *(*text)++ != '-' || !read_number(text, &last))
        return -EINVAL;
    if (last < first || last == UINT64_MAX)
        return -EINVAL;
    *text += strspn(*text, " \t");
    return extents_add(extents, first, last + 1);
}

int extents_parse(struct extents *extents, const char *text)
{
    int rc;

    if (strcmp(text, EXTENTS_NONE) == 0)
        return 0;
    while ((rc = read_range(extents, &text)) == 0 && *text == ',')
        text++;
    if (rc == 0 && *text)
        rc = -EINVAL;
    if (rc < 0)
        extents_clear(extents);
    return rc;
}

int extents_print(const struct extents *extents, char *out, size_t size)
{
    size_t length = 0;

    snprintf(out, size, "%s", EXTENTS_NONE);
    for (size_t i = 0; i < extents->count; i++) {
        char range[48];
        int written =
            snprintf(range, sizeof range, "%s%llu-%llu", i ? "," : "", (unsigned long long)extents->items[i].first,
                     (unsigned long long)(extents->items[i].end - 1));
        if (length + (size_t)written >= size)
            return -ENOSPC;
        memcpy(out + length, range, (size_t)written + 1);
        length += (size_t)written;
    }
    return 0;
}
