// rooms: config http
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* The subcommands are a program, not a room that could be linked. */
#include "engine/cli/progress.c"
#include "engine/cli/report.c"

static void rates_have_three_digits(void **state)
{
    (void)state;
    static const struct {
        double rate;
        const char *text;
    } cases[] = { { 0, "0.00 B/s" },       { 999, "999 B/s" },    { 999.6, "1.00 kB/s" },   { 12345, "12.3 kB/s" },
                  { 1.15e9, "1.15 GB/s" }, { 229e6, "229 MB/s" }, { 9.996e6, "10.0 MB/s" }, { 25e12, "25000 GB/s" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        assert_string_equal(rate_text(cases[i].rate, text, sizeof text), cases[i].text);
    }
}

static void the_bar_fits_its_line(void **state)
{
    (void)state;
    char line[401];
    progress_line(line, sizeof line, 79, "run.tar", 500000000, 1000000000, 1e9, "recv");
    assert_non_null(strstr(line, "run.tar  ["));
    assert_non_null(strstr(line, "500 MB of 1.00 GB  1.00 GB/s  0:00 left  recv"));
    for (unsigned width = 0; width < 200; width++) {
        progress_line(line, sizeof line, width, "a-name-that-is-longer-than-anybody-wants-to-read", 3, 7, 1, "user");
        assert_true(strlen(line) <= width);
    }
}

static void the_bar_grows_from_empty_to_full(void **state)
{
    (void)state;
    char line[401];
    assert_non_null(strstr(progress_line(line, sizeof line, 150, "x", 0, 100, 0, "user"), "[      "));
    assert_non_null(strstr(line, "--:-- left"));
    assert_non_null(strstr(progress_line(line, sizeof line, 150, "x", 50, 100, 1, "user"), "=>  "));
    assert_non_null(strstr(line, "0:50 left"));
    assert_non_null(strstr(progress_line(line, sizeof line, 150, "x", 100, 100, 1, "user"), "==]"));
    assert_non_null(strstr(progress_line(line, sizeof line, 150, "x", 0, 7200, 1, "user"), "2:00:00 left"));
}

static void a_name_of_a_peer_is_no_command_in_the_bar_either(void **state)
{
    (void)state;
    char line[401];
    assert_string_equal(progress_line(line, sizeof line, 150, "\x1b]0;x\a", 1500, UINT64_MAX, 2000, "user"),
                        "\\x1b]0;x\\x07  1.50 kB  2.00 kB/s  user");
    progress_line(line, sizeof line, 150, "a-name-that-is-longer-than-anybody-wants-to-read\r\n", 3, 7, 1, "user");
    assert_non_null(strstr(line, "wants-to-read\\x0d\\x0a  ["));
}

/* Half a character of UTF-8 may be a control of C1. */
static void a_name_is_not_cut_through_a_character(void **state)
{
    (void)state;
    char line[401];
    for (size_t before = 0; before < 4; before++) {
        char name[100] = "";
        memset(name, 'a', before);
        for (int i = 0; i < 12; i++)
            strcat(name, "\xe4\xbd\x9b");
        for (unsigned width = 10; width < 60; width++) {
            uint32_t point;
            const char *at = progress_line(line, sizeof line, width, name, 1, 100, 5, "splice");
            for (size_t length; *at; at += length)
                assert_true((length = printable_decode(at, strlen(at), &point)) > 0);
        }
    }
}

static void without_a_total_there_is_no_bar(void **state)
{
    (void)state;
    char line[401];
    assert_string_equal(progress_line(line, sizeof line, 150, "x", 1500, UINT64_MAX, 2000, "user"),
                        "x  1.50 kB  2.00 kB/s  user");
}

static void nothing_of_a_peer_reaches_the_terminal_as_a_command(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = { { "plain", "plain" },
                  { "\x1b[2Jx", "\\x1b[2Jx" },
                  { "a\nb\x7f", "a\\x0ab\\x7f" },
                  { "\xc3\xa9", "\xc3\xa9" },
                  { "\xc2\x9b", "\\xc2\\x9b" },
                  { "\xc2\x9b\n\xc2\xa0", "\\xc2\\x9b\\x0a\xc2\xa0" },
                  { "\xc2", "\\xc2" },
                  { "", "" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *shown = printable(cases[i].text);
        assert_string_equal(shown, cases[i].shown);
        free(shown);
    }
}

static const struct client_transfer a_transfer = { .direction = "get",
                                                   .remote = "data/\nrun.tar",
                                                   .local = "./run.tar",
                                                   .bytes = 1000000000,
                                                   .seconds = 0.5,
                                                   .status = 200,
                                                   .path = "user",
                                                   .tx = "user: no body yet",
                                                   .rx = "user: this kernel has no kTLS (modprobe tls)",
                                                   .version = "TLSv1.3",
                                                   .suite = "TLS_AES_128_GCM_SHA256",
                                                   .resumed = true };

static void the_line_says_who_encrypted_in_each_direction_and_why(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    report_line(out, &a_transfer);
    fclose(out);
    assert_string_equal(text, "got  data/\\x0arun.tar -> ./run.tar  1000000000 bytes in 0.50 s, 2.00 GB/s, TLSv1.3 "
                              "TLS_AES_128_GCM_SHA256 (resumed), path user; tx user: no body yet; rx user: this kernel "
                              "has no kTLS (modprobe tls)\n");
    free(text);
}

static void json_is_one_line_with_everything(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    report_json(out, &a_transfer, CLIENT_CUT, "it \"broke\"", 0.25);
    fclose(out);
    assert_non_null(strstr(text, "{\"result\":\"cut\",\"code\":8,\"error\":\"it \\\"broke\\\"\",\"direction\":\"get\","
                                 "\"remote\":\"data/\\u000arun.tar\",\"local\":\"./run.tar\",\"bytes\":1000000000,"
                                 "\"seconds\":0.500000,\"status\":200,\"path\":\"user\","));
    assert_non_null(strstr(text, "\"resumed\":true,\"cpu_seconds\":0.250000,\"max_resident_kib\":"));
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    free(text);
}

static void of_many_files_each_has_a_line_that_need_not_be_out_at_once(void **state)
{
    (void)state;
    char text[8192] = "", buffer[8192];
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    setvbuf(out, buffer, _IOFBF, sizeof buffer);
    report_json_of_many(out, &a_transfer, CLIENT_OK, "", 4711);
    report_json_of_many(out, &a_transfer, CLIENT_CUT, "why", 4711);
    assert_string_equal(text, "");
    fclose(out);
    char *second = strchr(text, '\n');
    assert_non_null(second);
    assert_non_null(strstr(text, "{\"result\":\"ok\",\"code\":0,"));
    assert_non_null(strstr(second, "{\"result\":\"cut\",\"code\":8,\"error\":\"why\","));
    assert_non_null(strstr(second, ",\"cpu_seconds\":0.000000,\"max_resident_kib\":4711}\n"));
}

static void every_result_has_a_word(void **state)
{
    (void)state;
    for (int result = CLIENT_OK; result <= CLIENT_LOCAL; result++)
        assert_true(result == CLIENT_FAILED || strcmp(result_word(result), "failed") != 0);
    assert_string_equal(result_word(CLIENT_INTERRUPTED), "interrupted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_have_three_digits),
        cmocka_unit_test(the_bar_fits_its_line),
        cmocka_unit_test(the_bar_grows_from_empty_to_full),
        cmocka_unit_test(a_name_of_a_peer_is_no_command_in_the_bar_either),
        cmocka_unit_test(a_name_is_not_cut_through_a_character),
        cmocka_unit_test(without_a_total_there_is_no_bar),
        cmocka_unit_test(nothing_of_a_peer_reaches_the_terminal_as_a_command),
        cmocka_unit_test(the_line_says_who_encrypted_in_each_direction_and_why),
        cmocka_unit_test(json_is_one_line_with_everything),
        cmocka_unit_test(of_many_files_each_has_a_line_that_need_not_be_out_at_once),
        cmocka_unit_test(every_result_has_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
