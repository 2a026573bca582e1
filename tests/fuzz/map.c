// rooms: store
// The map of an unfinished file: what is read prints as it was, and never claims what the file cannot have. The first
// byte chooses between the input as it is and the input with the right check line put behind it.
#include "engine/store/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

/* What is missing is all that is not there; joined, all is still there, in no more ranges than asked for. */
static void fuzz_sets(struct extents *extents)
{
    struct extents gaps = { 0 };
    uint64_t size = extents->count ? extents->items[extents->count - 1].end : 0, total = extents_total(extents);
    size_t limit = extents->count / 2 + 1;

    REQUIRE(extents_add_missing(extents, 0, size, &gaps) == 0);
    REQUIRE(total + extents_total(&gaps) == size);
    REQUIRE(extents_join(extents, limit) == 0 && extents->count <= limit && extents_total(extents) >= total);
    REQUIRE(extents_add_all(extents, &gaps) == 0 && extents_hold(extents, 0, size));
    extents_clear(&gaps);
}

static void fuzz_extents(const char *bytes, size_t length)
{
    struct extents extents = { 0 };
    char *text = strndup(bytes, length);

    REQUIRE(text);
    if (extents_parse(&extents, text) == 0) {
        for (size_t i = 0; i < extents.count; i++) {
            REQUIRE(extents.items[i].first < extents.items[i].end);
            REQUIRE(i == 0 || extents.items[i - 1].end < extents.items[i].first);
        }
        fuzz_sets(&extents);
    } else {
        REQUIRE(extents.count == 0);
    }
    extents_clear(&extents);
    free(text);
}

static void fuzz_map(const char *bytes, size_t length)
{
    struct store_map map, again;
    char *text;
    size_t printed;

    if (store_map_parse(&map, bytes, length) < 0)
        return;
    REQUIRE(map.size > 0 && map.source[0]);
    REQUIRE(map.have.count == 0 || map.have.items[map.have.count - 1].end <= map.size);
    REQUIRE(store_map_print(&map, &text, &printed) == 0);
    REQUIRE(store_map_parse(&again, text, printed) == 0);
    REQUIRE(again.size == map.size && strcmp(again.source, map.source) == 0 && strcmp(again.name, map.name) == 0);
    REQUIRE(extents_total(&again.have) == extents_total(&map.have));
    free(text);
    store_map_clear(&map);
    store_map_clear(&again);
}

static uint64_t check_of(const char *bytes, size_t length)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const char *bytes = (const char *)data + 1;
    size_t length = size - 1;
    char *text = malloc(length + 32);

    REQUIRE(text);
    memcpy(text, bytes, length);
    fuzz_extents(bytes, length);
    if (data[0] & 1)
        length += (size_t)sprintf(text + length, "check %016llx\n", (unsigned long long)check_of(bytes, length));
    fuzz_map(text, length);
    free(text);
    return 0;
}
