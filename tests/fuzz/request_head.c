// rooms: http
#include "tests/fuzz/head.h"

#include <errno.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_valid_request(const struct http_head *head)
{
    char path[FUZZ_LIMIT + 1];
    struct http_range range;
    bool range_holds;

    REQUIRE(head->framing != HTTP_BODY_TO_END && *head->method_name);
    REQUIRE(*head->target == '/' || strcmp(head->target, "*") == 0);
    REQUIRE(!strpbrk(head->target, " #\t") && !strpbrk(head->host, " /?#@"));
    if (head->minor == 1)
        REQUIRE(http_field(head, "Host"));
    size_t logins = 0;
    for (size_t i = 0; i < head->field_count; i++)
        logins += strcasecmp(head->fields[i].name, "Authorization") == 0;
    REQUIRE(logins <= 1);
    int rc = http_target_path(head->target, path, sizeof path);
    REQUIRE(rc != -ENAMETOOLONG /* a path is no longer than its target */);
    unsigned status = http_preconditions(head, "\"a\"", 784111777, &range_holds);
    REQUIRE(status == 0 || status == 304 || status == 412);
    if (http_field(head, "Range"))
        http_range(http_field(head, "Range"), 1000, &range);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    struct reading reading = fuzz_head(HTTP_REQUESTS, data, size);
    if (reading.progress == HTTP_COMPLETE)
        require_valid_request(http_reader_result(reading.reader));
    free_reading(&reading);
    return 0;
}
