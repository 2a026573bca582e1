// rooms: http store
// Digest fields of requests and answers, and the attribute that a file carries with it.
#include "engine/http/digest.h"
#include "engine/store/digest.h"
#include "engine/store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static void require_same(const struct digest_set *a, const struct digest_set *b)
{
    REQUIRE(a->known == b->known && digest_set_agree(a, b));
}

/* What was understood is understood again when it is written as we write it. */
static void fuzz_field(const char *value)
{
    struct http_head head = { .field_count = 1, .fields = { { "Repr-Digest", value } } };
    struct digest_set set = { 0 }, back = { 0 };
    char text[400];
    struct http_writer writer = { .bytes = text, .capacity = sizeof text - 1 };
    enum digest_algorithm algorithm;

    if (http_digest_wanted(&head, "repr-digest", &algorithm) == 0)
        REQUIRE(algorithm < DIGEST_ALGORITHMS && http_digests(&head, "repr-digest", &set) < 0);
    if (http_digests(&head, "repr-digest", &set) < 0) {
        REQUIRE(set.known == 0);
        return;
    }
    REQUIRE(set.known);
    http_write_digests(&writer, "Repr-Digest", &set);
    REQUIRE(!writer.overflow && writer.length > 15);
    text[writer.length - 2] = '\0'; /* its line end */
    head.fields[0].value = text + strlen("Repr-Digest: ");
    REQUIRE(http_digests(&head, "repr-digest", &back) == 0);
    require_same(&set, &back);
}

static void fuzz_attribute(char *text)
{
    const struct stat facts = { .st_size = 4, .st_mtim = { 1000000000, 5 }, .st_ino = 12 };
    struct digest_set set = { 0 };
    char hex[DIGEST_HEX_SIZE];

    if (store_digest_read(text, &facts, &set) < 0)
        return;
    REQUIRE(set.known);
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (!(set.known & 1u << i))
            continue;
        struct digest back;
        digest_hex(&set.items[i], hex);
        REQUIRE(digest_from_hex((enum digest_algorithm)i, hex, &back) == 0 && digest_equal(&back, &set.items[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *value = malloc(size + 1);

    REQUIRE(value);
    memcpy(value, data, size);
    value[size] = '\0';
    fuzz_field(value);
    fuzz_attribute(value);
    free(value);
    return 0;
}
