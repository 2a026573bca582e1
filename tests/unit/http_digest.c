// rooms: http
#include "engine/http/digest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* RFC 9530, appendix B: {"hello": "world"} with a line end. */
#define HELLO_256 "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="
#define HELLO_512 "YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg=="

static struct http_head head_of(const char *name, const char *value)
{
    return (struct http_head){ .field_count = 1, .fields = { { name, value } } };
}

static int read_one(const char *value, struct digest_set *set)
{
    struct http_head head = head_of("repr-DIGEST", value);
    *set = (struct digest_set){ 0 };
    return http_digests(&head, "Repr-Digest", set);
}

static void reads_what_the_standard_shows(void **state)
{
    struct digest_set set;
    char hex[DIGEST_HEX_SIZE];
    (void)state;

    assert_int_equal(read_one("sha-256=:" HELLO_256 ":", &set), 0);
    assert_int_equal(set.known, 1u << DIGEST_SHA_256);
    digest_hex(&set.items[DIGEST_SHA_256], hex);
    assert_string_equal(hex, "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38");
}

static void reads_several_and_passes_over_what_it_does_not_know(void **state)
{
    static const char *const around[] = {
        "sha-512=:%s:, md5=:1B2M2Y8AsgTpgAmY7PhCfg==:",
        "a, b;c=1, *x=?1;y=\"s\\\"\\\\\", sha-512=:%s:",
        "  a=(1 \"b\" tok;p=1 );q,\t b=-1.5 , sha-512=:%s:;x;y=a/b:c",
        "unixsum=30637, sha-512=:%s:",
        ("sha-512=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==:, "
         "sha-512=:%s:"),
    };
    (void)state;

    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        struct digest_set set;
        char value[600], hex[DIGEST_HEX_SIZE];
        int length = 0;
        for (const char *at = around[i]; *at; at++) {
            if (at[0] == '%') {
                length += snprintf(value + length, sizeof value - (size_t)length, "%s", HELLO_512);
                at++;
            } else {
                value[length++] = *at;
            }
        }
        value[length] = '\0';
        assert_int_equal(read_one(value, &set), 0);
        assert_int_equal(set.known, 1u << DIGEST_SHA_512);
        digest_hex(&set.items[DIGEST_SHA_512], hex);
        assert_int_equal(strncmp(hex, "60c01a9b9d49cff8ce0134faff3bc7ac", 32), 0);
    }
}

static void joins_fields_of_the_same_name(void **state)
{
    struct http_head head = { .field_count = 2,
                              .fields = { { "Repr-Digest", "sha-256=:" HELLO_256 ":" },
                                          { "repr-digest", "sha-512=:" HELLO_512 ":" } } };
    struct digest_set set = { 0 };
    (void)state;

    assert_int_equal(http_digests(&head, "Repr-Digest", &set), 0);
    assert_int_equal(set.known, 1u << DIGEST_SHA_256 | 1u << DIGEST_SHA_512);
}

static void what_is_not_there_is_not_malformed(void **state)
{
    struct http_head none = { 0 };
    struct digest_set set = { 0 };
    (void)state;

    assert_int_equal(http_digests(&none, "Repr-Digest", &set), -ENOENT);
    assert_int_equal(read_one("md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", &set), -ENOENT);
    assert_int_equal(read_one("", &set), -ENOENT);
    assert_int_equal(set.known, 0);
}

static void refuses_what_is_malformed(void **state)
{
    static const char *const bad[] = {
        "sha-256",                                                /* true, not bytes */
        "sha-256=1",                                              /* a number */
        "sha-256=\"" HELLO_256 "\"",                              /* a string */
        "sha-256=" HELLO_256,                                     /* no colons */
        "sha-256=:" HELLO_256,                                    /* one */
        "sha-256=::",                                             /* nothing */
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg:",  /* no padding */
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDh=:", /* bits behind the last byte */
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8Fab=g=:", /* padding within */
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDgA:", /* a byte more */
        "sha-256=:" HELLO_512 ":",                                /* of another */
        "sha-512=:" HELLO_256 ":",
        "sha-256=:" HELLO_256 ":,", /* a comma at the end */
        ",sha-256=:" HELLO_256 ":",
        "sha-256=:" HELLO_256 ": x",
        "SHA-256=:" HELLO_256 ":", /* keys are in lower case */
        "sha-256 =:" HELLO_256 ":",
        "a=1234567890123456, sha-256=:" HELLO_256 ":", /* more than 15 digits */
        "a=1., sha-256=:" HELLO_256 ":",
        "a=\"x, sha-256=:" HELLO_256 ":",
        "a=(1, sha-256=:" HELLO_256 ":",
        "a=?2, sha-256=:" HELLO_256 ":",
        "a;=1, sha-256=:" HELLO_256 ":",
        "=1",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct digest_set set;
        if (read_one(bad[i], &set) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(set.known, 0);
    }
}

static void refuses_lists_without_end(void **state)
{
    char value[2000] = "a";
    struct digest_set set;
    (void)state;

    for (int i = 0; i < 64; i++)
        strcat(value, ",a");
    assert_int_equal(read_one(value, &set), -EINVAL);
    char *huge = malloc(10000);
    assert_non_null(huge);
    memset(huge, 'a', 9999);
    huge[9999] = '\0';
    assert_int_equal(read_one(huge, &set), -EINVAL);
    free(huge);
}

static int wanted(const char *value, enum digest_algorithm *algorithm)
{
    struct http_head head = head_of("Want-Repr-Digest", value);
    return http_digest_wanted(&head, "want-repr-digest", algorithm);
}

static void what_is_wanted_most_is_taken(void **state)
{
    static const struct {
        const char *value;
        int result;
        enum digest_algorithm algorithm;
    } cases[] = {
        { "sha-256=1", 0, DIGEST_SHA_256 },
        { "sha-512=1", 0, DIGEST_SHA_512 },
        { "sha-512=3, sha-256=10, unixsum=0", 0, DIGEST_SHA_256 },
        { "sha-512=10, sha-256=3, md5=10", 0, DIGEST_SHA_512 },
        { "sha-256=0, sha-512=1", 0, DIGEST_SHA_512 },
        { "sha-256=10, sha-256=0", -ENOENT, 0 },
        { "sha-256=0", -ENOENT, 0 },
        { "md5=1", -ENOENT, 0 },
        { "sha-256=11", -EINVAL, 0 },
        { "sha-256=-1", -EINVAL, 0 },
        { "sha-256=1.0", -EINVAL, 0 },
        { "sha-256", -EINVAL, 0 },
        { "sha-256=10,,", -EINVAL, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum digest_algorithm algorithm = DIGEST_SHA_256;
        int result = wanted(cases[i].value, &algorithm);
        if (result != cases[i].result || (result == 0 && algorithm != cases[i].algorithm))
            fail_msg("%s: %d", cases[i].value, result);
    }
}

static void writes_what_it_reads(void **state)
{
    char bytes[400];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes - 1 };
    struct digest_set set;
    (void)state;

    assert_int_equal(read_one("sha-512=:" HELLO_512 ":, sha-256=:" HELLO_256 ":", &set), 0);
    http_write_digests(&writer, "Content-Digest", &set);
    assert_false(writer.overflow);
    bytes[writer.length] = '\0';
    assert_string_equal(bytes, "Content-Digest: sha-256=:" HELLO_256 ":, sha-512=:" HELLO_512 ":\r\n");
}

static void writes_nothing_of_nothing(void **state)
{
    char bytes[10];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes };
    struct digest_set set = { 0 };
    (void)state;

    http_write_digests(&writer, "Repr-Digest", &set);
    assert_int_equal(writer.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_standard_shows),
        cmocka_unit_test(reads_several_and_passes_over_what_it_does_not_know),
        cmocka_unit_test(joins_fields_of_the_same_name),
        cmocka_unit_test(what_is_not_there_is_not_malformed),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(refuses_lists_without_end),
        cmocka_unit_test(what_is_wanted_most_is_taken),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(writes_nothing_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
