// rooms: client
// Arbitrary bytes as a manifest, in pieces: whatever is told of lies beneath the directory.
#include "engine/client/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static int look(void *argument, const struct manifest_node *node)
{
    (void)argument;
    size_t length = strlen(node->path);

    REQUIRE(length < PATH_MAX && node->mode <= 0777);
    REQUIRE(node->modified.tv_nsec >= 0 && node->modified.tv_nsec < 1000000000);
    REQUIRE((node->kind == MANIFEST_LINK) == (node->target != NULL));
    if (node->kind == MANIFEST_FAULT && length == 0)
        return 0;
    REQUIRE(length > 0 && node->path[0] != '/' && node->path[length - 1] != '/' && !strstr(node->path, "//"));
    REQUIRE(strncmp(node->path, "../", 3) != 0 && !strstr(node->path, "/../") && strcmp(node->path, "..") != 0);
    REQUIRE(length < 3 || strcmp(node->path + length - 3, "/..") != 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct manifest_reader reader;
    size_t piece = size > 0 ? data[0] % 64 + 1u : 1;
    int result = 0;

    reader = (struct manifest_reader){ .visit = look };
    for (size_t i = 1; i < size && result == 0; i += piece) {
        size_t length = i + piece < size ? piece : size - i;
        result = manifest_feed(&reader, (const char *)data + i, length);
    }
    REQUIRE(result <= 0);
    return 0;
}
