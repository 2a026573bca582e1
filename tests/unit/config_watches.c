// rooms: config
/* [watch]: what belongs together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/model.h"

#define SITE                                                                                                           \
    "[server]\ncatalog = c.db\n[client-profile p]\n[partner node]\nprofile = p\nhost = node:8443\n"                    \
    "[partner deaf]\nprofile = p\nmatch_san = DNS:x\n"

static void reads_a_watch(void **state)
{
    (void)state;
    static const char ini[] = SITE "[watch w]\nfolder = out\npartner = node\nto = a/b\nfiles = *.csv, x?\n"
                                   "then = move\nmove_to = /done\n";
    struct config_errors errors = { 0 };
    struct config *config = config_parse("/etc/x.ini", ini, strlen(ini), &errors);
    config_errors_print(&errors, stderr);
    assert_non_null(config);
    const struct config_watch *watch = &config->watches[0];
    assert_string_equal(watch->folder, "/etc/out");
    assert_ptr_equal(watch->partner, config_find_partner(config, "node"));
    assert_string_equal(watch->to, "a/b");
    assert_int_equal(watch->files.count, 2);
    assert_int_equal(watch->then, CONFIG_WATCH_MOVE);
    assert_string_equal(watch->move_to, "/done");
    config_free(config);
    config_errors_clear(&errors);
}

static void refuses_what_does_not_go_together(void **state)
{
    (void)state;
    static const struct {
        const char *ini, *text;
    } rows[] = {
        { SITE "[watch w]\nfolder = /o\npartner = nod\n", "partner \"nod\": there is no [partner nod]: did you mean "
                                                          "\"node\"?" },
        { SITE "[watch w]\nfolder = /o\npartner = deaf\n", "partner \"deaf\" has no host to send to" },
        { SITE "[watch w]\nfolder = /o\npartner = node\nthen = move\n", "then = move needs a folder: add move_to" },
        { SITE "[watch w]\nfolder = /o\npartner = node\nmove_to = /d\n", "move_to means nothing without then = move" },
        { SITE "[watch w]\nfolder = /o\npartner = node\nthen = move\nmove_to = /o\n",
          "move_to is the folder that is watched" },
        { "[client-profile p]\n[partner node]\nprofile = p\nhost = n:1\n[watch w]\nfolder = /o\npartner = node\n",
          "a watch needs the queue, and this a catalog" },
        { SITE "[watch w]\npartner = node\n", "folder is missing: add it" },
        { SITE "[watch w]\nfolder = /o\n", "partner is missing: add it" },
        { SITE "[watch w]\nfolder = /o\npartner = node\nto = ../x\n", "is not a folder beneath the store's root" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_errors errors = { 0 };
        assert_null(config_parse("x.ini", rows[i].ini, strlen(rows[i].ini), &errors));
        bool found = false;
        for (size_t k = 0; k < errors.count; k++)
            found = found || strstr(errors.items[k].text, rows[i].text);
        if (!found)
            fail_msg("row %zu: no \"%s\", but %s", i, rows[i].text, errors.items[0].text);
        config_errors_clear(&errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_watch),
        cmocka_unit_test(refuses_what_does_not_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
