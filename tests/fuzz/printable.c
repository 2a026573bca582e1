// rooms: printable http
// Arbitrary bytes as a name: what is shown of it is one line of UTF-8 that deceives nobody, the same when shown again,
// and as JSON a string in which nothing is obeyed either.
#include "config/printable.h"
#include "engine/http/http.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static void require_readable(const char *text, size_t length)
{
    while (length > 0) {
        uint32_t point = 0;
        size_t taken = printable_decode(text, length, &point);
        REQUIRE(taken > 0 && taken <= length && !printable_deceives(point));
        text += taken;
        length -= taken;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *json = malloc(6 * size + 2);

    REQUIRE(text && json);
    memcpy(text, data, size);
    text[size] = '\0';
    char *shown = printable(text), *again = printable(shown);
    REQUIRE(shown && again && strcmp(shown, again) == 0 && strlen(shown) <= 4 * size);
    require_readable(shown, strlen(shown));

    struct http_writer writer = { .bytes = json, .capacity = 6 * size + 2 };
    http_write_json_string(&writer, text);
    REQUIRE(writer.overflow || (json[0] == '"' && json[writer.length - 1] == '"'));
    require_readable(json, writer.length);
    free(again);
    free(shown);
    free(json);
    free(text);
    return 0;
}
