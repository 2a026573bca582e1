// rooms: ktls
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ktls/record.h"

/* A ChangeCipherSpec, a record of 10 bytes, an empty one, one of 4, one of 300. */
static size_t write_stream(uint8_t *stream)
{
    static const uint16_t sizes[] = { 1, 10, 0, 4, 300 };
    uint8_t *at = stream;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint8_t header[] = { 23, 3, 3, (uint8_t)(sizes[i] >> 8), (uint8_t)sizes[i] };
        memcpy(at, header, sizeof(header));
        at += sizeof(header);
        for (size_t j = 0; j < sizes[i]; j++)
            *at++ = (uint8_t)(16 * i + j);
    }
    return (size_t)(at - stream);
}

static void starts_at_a_boundary(void **state)
{
    (void)state;
    struct record_tracker tracker = { 0 };
    assert_true(record_tracker_at_boundary(&tracker));
    record_tracker_feed(&tracker, (const uint8_t *)"", 0);
    assert_true(record_tracker_at_boundary(&tracker));
}

static void counts_records_however_the_stream_is_cut(void **state)
{
    (void)state;
    uint8_t stream[512];
    static const uint8_t nonce[] = { 64, 65, 66, 67, 68, 69, 70, 71 };
    size_t length = write_stream(stream);

    for (size_t step = 1; step <= length; step++) {
        struct record_tracker tracker = { 0 };
        for (size_t at = 0; at < length; at += step)
            record_tracker_feed(&tracker, stream + at, length - at < step ? length - at : step);
        assert_int_equal(tracker.records, 5);
        assert_true(record_tracker_at_boundary(&tracker));
        assert_memory_equal(tracker.nonce, nonce, sizeof(nonce));
    }
}

static void knows_the_boundaries_and_nothing_else_as_boundary(void **state)
{
    (void)state;
    static const size_t ends[] = { 0, 6, 21, 26, 35, 340 };
    uint8_t stream[512];
    size_t length = write_stream(stream), next = 1;
    struct record_tracker tracker = { 0 };

    assert_int_equal(length, ends[5]);
    for (size_t at = 1; at <= length; at++) {
        record_tracker_feed(&tracker, stream + at - 1, 1);
        assert_int_equal(record_tracker_at_boundary(&tracker), at == ends[next]);
        next += at == ends[next];
    }
}

static void a_header_without_its_body_is_no_boundary(void **state)
{
    (void)state;
    struct record_tracker tracker = { 0 };
    record_tracker_feed(&tracker, (const uint8_t[]){ 23, 3, 3, 0, 1 }, 5);
    assert_false(record_tracker_at_boundary(&tracker));
    assert_int_equal(tracker.records, 0);
}

static void keeps_the_nonce_of_the_last_record_that_had_one(void **state)
{
    (void)state;
    uint8_t stream[512];
    static const uint8_t nonce[] = { 16, 17, 18, 19, 20, 21, 22, 23 };
    struct record_tracker tracker = { 0 };

    write_stream(stream);
    record_tracker_feed(&tracker, stream, 35); /* up to the end of the record of 4 bytes */
    assert_memory_equal(tracker.nonce, nonce, sizeof(nonce));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_at_a_boundary),
        cmocka_unit_test(counts_records_however_the_stream_is_cut),
        cmocka_unit_test(knows_the_boundaries_and_nothing_else_as_boundary),
        cmocka_unit_test(a_header_without_its_body_is_no_boundary),
        cmocka_unit_test(keeps_the_nonce_of_the_last_record_that_had_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
