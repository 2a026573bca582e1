/* NAME.1, NAME.2 and so on: which of them is free. */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define NEAR 16 /* that are looked at one by one */

/* A name that cannot be is free, too: whoever takes it is told why not. */
static bool is_taken(int directory, const char *name, unsigned number)
{
    char numbered[NAME_MAX + 1];
    struct stat facts;

    if (store_number_name(numbered, name, number) < 0)
        return false;
    return fstatat(directory, numbered, &facts, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static unsigned first_free(int directory, const char *name, unsigned from, unsigned to)
{
    for (unsigned number = from; number <= to; number++) {
        if (!is_taken(directory, name, number))
            return number;
    }
    return 0;
}

/* `taken` is, `free` is not: a number between that is free, and whose predecessor is taken. */
static unsigned edge(int directory, const char *name, unsigned taken, unsigned free)
{
    while (free - taken > 1) {
        unsigned middle = taken + (free - taken) / 2;
        if (is_taken(directory, name, middle))
            taken = middle;
        else
            free = middle;
    }
    return free;
}

int store_number_name(char numbered[NAME_MAX + 1], const char *name, unsigned number)
{
    int length =
        number ? snprintf(numbered, NAME_MAX + 1, "%s.%u", name, number) : snprintf(numbered, NAME_MAX + 1, "%s", name);

    return length > NAME_MAX ? -ENAMETOOLONG : 0;
}

unsigned store_free_number(int directory, const char *name, unsigned most)
{
    unsigned found = first_free(directory, name, 1, most < NEAR ? most : NEAR), taken = NEAR;

    if (found || most <= NEAR)
        return found;
    for (unsigned step = 1; taken + step <= most; step *= 2) {
        if (!is_taken(directory, name, taken + step))
            return edge(directory, name, taken, taken + step);
        taken += step;
    }
    found = edge(directory, name, taken, most + 1);
    /* All that was looked at was taken: then one that somebody has removed is looked for. */
    return found <= most ? found : first_free(directory, name, NEAR + 1, most);
}
