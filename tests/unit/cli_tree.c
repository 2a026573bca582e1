// rooms: config http
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The subcommands are a program, not a room that could be linked. */
#include "engine/cli/tree.c"
#include "engine/cli/tree_filter.c"

static unsigned failures;
static char told[400];

int command_fail(struct command *command, int result, const char *format, ...)
{
    va_list list;
    (void)command;
    va_start(list, format);
    vsnprintf(told, sizeof told, format, list);
    va_end(list);
    failures++;
    return result;
}

static struct arguments arguments;
static struct command command;

static int begin(void **state)
{
    (void)state;
    arguments = (struct arguments){ .subcommand = "get" };
    command = (struct command){ .arguments = &arguments };
    failures = 0;
    told[0] = '\0';
    return 0;
}

static void rule(bool include, const char *pattern)
{
    arguments.rules[arguments.rule_count].include = include;
    arguments.rules[arguments.rule_count++].pattern = pattern;
}

static void without_rules_everything_is_taken(void **state)
{
    (void)state;
    assert_true(tree_rules_take(&arguments, "a/b", false));
    assert_true(tree_rules_take(&arguments, "a", true));
}

static void a_pattern_without_slash_is_held_against_the_last_name(void **state)
{
    (void)state;
    rule(false, "*.o");
    assert_false(tree_rules_take(&arguments, "a.o", false));
    assert_false(tree_rules_take(&arguments, "x/y/a.o", false));
    assert_true(tree_rules_take(&arguments, "x.o.c", false));
    assert_false(tree_rules_take(&arguments, "x.o/file", false)); /* in a directory that is left out */
}

static void a_pattern_with_slash_is_held_against_the_path_and_its_wildcards_cross_none(void **state)
{
    (void)state;
    rule(false, "a/*.c");
    rule(false, "/top");
    assert_false(tree_rules_take(&arguments, "a/x.c", false));
    assert_true(tree_rules_take(&arguments, "a/b/x.c", false));
    assert_true(tree_rules_take(&arguments, "b/a/x.c", false));
    assert_false(tree_rules_take(&arguments, "top", false));
    assert_true(tree_rules_take(&arguments, "a/top", false));
}

static void a_pattern_that_ends_in_a_slash_is_for_directories(void **state)
{
    (void)state;
    rule(false, "build/");
    assert_true(tree_rules_take(&arguments, "build", false));
    assert_false(tree_rules_take(&arguments, "build", true));
    assert_false(tree_rules_take(&arguments, "x/build/file", false));
}

static void the_first_that_matches_decides_and_includes_make_it_a_choice(void **state)
{
    (void)state;
    rule(true, "keep.log");
    rule(false, "*.log");
    rule(true, "*.txt");
    assert_true(tree_rules_take(&arguments, "keep.log", false));
    assert_false(tree_rules_take(&arguments, "other.log", false));
    assert_true(tree_rules_take(&arguments, "d/a.txt", false));
    assert_false(tree_rules_take(&arguments, "d/a.bin", false));
    assert_true(tree_rules_take(&arguments, "d", true)); /* something in it may be wanted */
}

static void plant(struct tree *tree, const char *const *paths)
{
    const struct tree_entry file = { .kind = TREE_FILE };
    assert_int_equal(tree_init(tree, "pre/"), 0);
    for (; *paths; paths++)
        assert_int_equal(tree_add(tree, *paths, &file, NULL), 0);
    tree_sort(tree);
}

static void a_tree_is_sorted_searched_and_holds_each_path_once(void **state)
{
    (void)state;
    struct tree tree;
    const struct tree_entry fault = { .kind = TREE_FAULT };
    plant(&tree, (const char *const[]){ "b", "a/x", "a", "b", "a\xff", NULL });
    assert_int_equal(tree.count, 4);
    assert_string_equal(tree.items[0].full, "pre/a");
    assert_string_equal(tree_path(&tree, &tree.items[1]), "a/x");
    assert_ptr_equal(tree_find(&tree, "a\xff"), &tree.items[2]);
    assert_null(tree_find(&tree, "c"));
    assert_null(tree_find(&tree, ""));
    assert_int_equal(tree_add(&tree, "a", &fault, "why"), 0);
    tree_sort(&tree);
    assert_int_equal(tree.count, 4);
    assert_int_equal(tree.items[0].kind, TREE_FAULT);
    tree_clear(&tree);
}

static void filter_by(struct tree *tree, const char *names, size_t length)
{
    char file[] = "/tmp/sluice-names-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, names, length), length);
    close(fd);
    arguments.files_from = file;
    assert_int_equal(tree_filter(&command, tree), CLIENT_OK);
    unlink(file);
}

static unsigned taken(const struct tree *tree)
{
    unsigned count = 0;
    for (size_t i = 0; i < tree->count; i++)
        count += !tree->items[i].left_out;
    return count;
}

static void a_tree_of_more_names_than_are_kept_is_refused(void **state)
{
    (void)state;
    const struct tree_entry entry = { .kind = TREE_FILE };
    struct tree tree;
    assert_int_equal(tree_init(&tree, "p/"), 0);
    tree.bytes = TREE_BYTES_MAX - 20;
    assert_int_equal(tree_add(&tree, "short", &entry, NULL), 0);
    assert_int_equal(tree_add(&tree, "this is longer", &entry, NULL), -E2BIG);
    assert_int_equal(tree.count, 1);
    tree_clear(&tree);
}

static void a_list_of_lines_takes_files_and_what_is_in_directories(void **state)
{
    (void)state;
    struct tree tree;
    plant(&tree, (const char *const[]){ "a", "b/1", "b/2", "bb", "c", NULL });
    filter_by(&tree, "./b/\n\na\na", 8);
    assert_int_equal(taken(&tree), 3);
    assert_true(tree_find(&tree, "bb")->left_out && tree_find(&tree, "c")->left_out);
    assert_int_equal(failures, 0);
    tree_clear(&tree);
}

static void a_list_with_nul_has_names_with_newlines(void **state)
{
    (void)state;
    struct tree tree;
    plant(&tree, (const char *const[]){ "a\nb", "a", "b", NULL });
    filter_by(&tree, "a\nb\0none\x1b\0", 10);
    assert_int_equal(taken(&tree), 1);
    assert_int_equal(failures, 1);
    assert_non_null(strstr(told, "names none"));
    assert_null(strchr(told, '\x1b'));
    tree_clear(&tree);
}

static void an_empty_list_takes_nothing_and_a_missing_one_is_a_failure(void **state)
{
    (void)state;
    struct tree tree;
    plant(&tree, (const char *const[]){ "a", NULL });
    filter_by(&tree, "\n\n", 2);
    assert_int_equal(taken(&tree), 0);
    arguments.files_from = "/nowhere/at/all";
    assert_int_equal(tree_filter(&command, &tree), CLIENT_LOCAL);
    assert_int_equal(failures, 1);
    tree_clear(&tree);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(without_rules_everything_is_taken),
        TEST(a_pattern_without_slash_is_held_against_the_last_name),
        TEST(a_pattern_with_slash_is_held_against_the_path_and_its_wildcards_cross_none),
        TEST(a_pattern_that_ends_in_a_slash_is_for_directories),
        TEST(the_first_that_matches_decides_and_includes_make_it_a_choice),
        TEST(a_tree_is_sorted_searched_and_holds_each_path_once),
        TEST(a_tree_of_more_names_than_are_kept_is_refused),
        TEST(a_list_of_lines_takes_files_and_what_is_in_directories),
        TEST(a_list_with_nul_has_names_with_newlines),
        TEST(an_empty_list_takes_nothing_and_a_missing_one_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
