// rooms: http
// Range, Content-Range, dates, entity tags: the values that are read out of fields. The first 8 bytes are a size.
#include "engine/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static void fuzz_range(const char *value, uint64_t size)
{
    struct http_range range = { 0 }, back;
    char text[100];
    uint64_t complete;

    if (http_range(value, size, &range) != HTTP_RANGE_ONE)
        return;
    REQUIRE(range.length > 0 && range.first < size && range.length <= size - range.first);
    REQUIRE(strchr(value, '-') && strchr(value, '='));
    if (size == UINT64_MAX)
        return; /* there it stands for "not known" */
    snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
             (unsigned long long)(range.first + range.length - 1), (unsigned long long)size);
    REQUIRE(http_content_range(text, &back, &complete) == 0);
    REQUIRE(back.first == range.first && back.length == range.length && complete == size);
}

static void fuzz_date(const char *value)
{
    char text[HTTP_DATE_SIZE];
    time_t when, back;

    if (http_date_parse(value, &when) < 0)
        return;
    http_date(when, text);
    REQUIRE(strlen(text) == HTTP_DATE_SIZE - 1);
    REQUIRE(http_date_parse(text, &back) == 0 && back == when);
}

static void fuzz_conditions(const char *value)
{
    static const char *const names[] = { "If-Match", "If-None-Match", "If-Range", "If-Modified-Since" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct http_head head = { .method = HTTP_GET, .field_count = 1, .fields = { { names[i], value } } };
        bool holds;
        unsigned status = http_preconditions(&head, "\"a\"", 784111777, &holds);
        REQUIRE(status == 0 || status == 304 || status == 412);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_range range;
    uint64_t length, complete;

    if (size < sizeof length)
        return 0;
    memcpy(&length, data, sizeof length);
    char *value = malloc(size - sizeof length + 1);
    REQUIRE(value);
    memcpy(value, data + sizeof length, size - sizeof length);
    value[size - sizeof length] = '\0';
    fuzz_range(value, length);
    fuzz_date(value);
    fuzz_conditions(value);
    if (http_content_range(value, &range, &complete) == 0)
        REQUIRE(range.length > 0 && range.first + (range.length - 1) < complete);
    free(value);
    return 0;
}
