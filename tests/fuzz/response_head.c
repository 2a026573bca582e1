// rooms: http
#include "tests/fuzz/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_valid_response(const struct http_head *head)
{
    struct http_range range;
    uint64_t complete;

    REQUIRE(head->status >= 100 && head->status <= 599 && head->status != 101);
    if (head->status < 200 || head->status == 204 || head->status == 304)
        REQUIRE(head->framing == HTTP_BODY_NONE);
    if (head->framing == HTTP_BODY_TO_END)
        REQUIRE(!head->keep_alive);
    const char *value = http_field(head, "Content-Range");
    if (value && http_content_range(value, &range, &complete) == 0)
        REQUIRE(range.length > 0 && range.first + (range.length - 1) < complete);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    struct reading reading = fuzz_head(HTTP_RESPONSES, data, size);
    if (reading.progress == HTTP_COMPLETE)
        require_valid_response(http_reader_result(reading.reader));
    free_reading(&reading);
    return 0;
}
