// rooms: config
/* The documents that must say what the schema says, and the schema itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/internal.h"

static char *read_file(const char *name)
{
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    assert_true(length > 0);
    rewind(file);
    char *text = calloc(1, (size_t)length + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    return text;
}

static char *reference(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    config_schema_document(out);
    fclose(out);
    return text;
}

/* To mend it: the command that README.md names. */
static void readme_ends_with_the_reference(void **state)
{
    (void)state;
    static const char mark[] = "<!-- reference: written by `sluice check --reference`; a test compares -->\n";
    char *readme = read_file(SLUICE_CONFIG_FOLDER "/README.md"), *wanted = reference();
    char *start = strstr(readme, mark);
    assert_non_null(start);
    assert_string_equal(start + strlen(mark), wanted);
    free(readme);
    free(wanted);
}

static void the_example_is_right(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    struct config *config = config_load(SLUICE_CONFIG_FOLDER "/sluice.ini", &errors);
    config_errors_print(&errors, stderr);
    assert_non_null(config);
    assert_int_equal(errors.count, 0);
    config_free(config);
    config_errors_clear(&errors);
}

/* Lines such as "# workers = 0" claim to be defaults; once they count they must change nothing, and be right. */
static void the_example_names_true_defaults(void **state)
{
    (void)state;
    char *example = read_file(SLUICE_CONFIG_FOLDER "/sluice.ini");
    char *server = strstr(example, "[server]\n"), *end = strstr(server, "\n\n");
    *end = 0;
    for (char *hash = server; (hash = strstr(hash, "\n# "));)
        memset(hash + 1, ' ', 2);
    struct config_errors errors = { 0 };
    struct config *uncommented = config_parse("x.ini", server, strlen(server), &errors);
    struct config *empty = config_parse("x.ini", "", 0, &errors);
    assert_non_null(uncommented);
    assert_true(uncommented->sections[0].count >= 3);
    uncommented->server.section = NULL;
    assert_memory_equal(&uncommented->server, &empty->server, sizeof(empty->server));
    config_free(uncommented);
    config_free(empty);
    config_errors_clear(&errors);
    free(example);
}

static void expect_right(const char *what, const char *text, size_t length)
{
    struct config_errors errors = { 0 };
    struct config *config = config_parse(what, text, length, &errors);
    config_errors_print(&errors, stderr);
    assert_non_null(config);
    assert_int_equal(errors.count, 0);
    config_free(config);
    config_errors_clear(&errors);
}

/* Complete ones, for operators to begin with; what they name in files is not looked at here. */
static void every_example_file_is_right(void **state)
{
    (void)state;
    static const char *const names[] = { "minimal", "mutual", "classes" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s/examples/%s.ini", SLUICE_CONFIG_FOLDER, names[i]);
        char *text = read_file(file);
        expect_right(file, text, strlen(text));
        free(text);
    }
}

static void the_examples_of_the_reference_are_right_together(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (const struct config_kind *kind = config_kinds; kind->name; kind++) {
        const struct config_page *page = config_page_find(kind->name);
        assert_non_null(page);
        assert_non_null(strstr(page->example, kind->name));
        assert_int_equal(page->notes[strlen(page->notes) - 1], '\n');
        fputs(page->example, out);
    }
    fclose(out);
    expect_right("reference", text, size);
    free(text);
}

static size_t struct_size(const struct config_kind *kind)
{
    static const struct {
        const char *kind;
        size_t size;
    } sizes[] = {
        { "server", sizeof(struct config_server) },
        { "store", sizeof(struct config_store) },
        { "server-profile", sizeof(struct config_profile) },
        { "client-profile", sizeof(struct config_profile) },
        { "protocol", sizeof(struct config_protocol) },
        { "partner", sizeof(struct config_partner) },
        { "class", sizeof(struct config_class) },
        { "user", sizeof(struct config_user) },
        { "hook", sizeof(struct config_hook) },
        { "watch", sizeof(struct config_watch) },
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcmp(sizes[i].kind, kind->name) == 0)
            return sizes[i].size;
    }
    fail_msg("[%s] has no struct", kind->name);
    return 0;
}

static void every_default_is_a_value_of_its_key(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    struct config_scene scene = { .folder = "", .errors = &errors };
    for (const struct config_kind *kind = config_kinds; kind->name; kind++) {
        for (const struct config_key *key = kind->keys; key->name; key++) {
            void *base = calloc(1, struct_size(kind));
            assert_non_null(base);
            if (key->fallback && config_value_set(&scene, key, key->fallback, base))
                fail_msg("[%s] %s", kind->name, errors.items[0].text);
            config_value_free(key, base);
            free(base);
        }
    }
}

static void every_key_has_help_and_one_way_to_be_absent(void **state)
{
    (void)state;
    for (const struct config_kind *kind = config_kinds; kind->name; kind++) {
        assert_non_null(kind->help);
        for (const struct config_key *key = kind->keys; key->name; key++) {
            assert_non_null(key->help);
            assert_null(strpbrk(key->help, "|\n")); /* either would break the table */
            assert_false(key->mandatory && key->fallback);
            assert_int_equal(key->type == CONFIG_TYPE_REFERENCE, key->refers_to != NULL);
            assert_ptr_equal(config_key_find(kind, key->name), key); /* no name twice */
            assert_true(key->offset < struct_size(kind));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readme_ends_with_the_reference),
        cmocka_unit_test(the_example_is_right),
        cmocka_unit_test(the_example_names_true_defaults),
        cmocka_unit_test(every_example_file_is_right),
        cmocka_unit_test(the_examples_of_the_reference_are_right_together),
        cmocka_unit_test(every_default_is_a_value_of_its_key),
        cmocka_unit_test(every_key_has_help_and_one_way_to_be_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
