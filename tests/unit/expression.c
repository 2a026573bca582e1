// rooms: config
/* What a distinguished name must be: the grammar, what matches, what is said about the rest, and who can be two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/expression.h"

#define ATTRIBUTE(short_name, long_name, oid, text)                                                                    \
    {                                                                                                                  \
        .types = { short_name, long_name, oid }, .value = text, .length = sizeof(text) - 1                             \
    }
#define CN(text) ATTRIBUTE("CN", "commonName", "2.5.4.3", text)
#define O(text) ATTRIBUTE("O", "organizationName", "2.5.4.10", text)
#define OU(text) ATTRIBUTE("OU", "organizationalUnitName", "2.5.4.11", text)

static const struct config_attribute attributes[] = {
    CN("node7"),
    O("Acme, Inc. (Paris)"),
    OU("ops"),
    OU("Storage"),
    OU("a*b\\c\"d"),
    ATTRIBUTE("L", "localityName", "2.5.4.7",
              "Orl\xc3\xa9"
              "ans"),
    ATTRIBUTE(NULL, NULL, "1.2.3.4", "odd"),
    ATTRIBUTE("UID", "userId", "0.9.2342.19200300.100.1.1", "bank\0rupt"),
    ATTRIBUTE("ST", "stateOrProvinceName", "2.5.4.8", "bad\xff\xc3"),
    ATTRIBUTE("C", "countryName", "2.5.4.6", ""),
};

static const struct config_name node7 = {
    .attributes = attributes,
    .count = sizeof(attributes) / sizeof(attributes[0]),
    .text = "C=,ST=bad,UID=bank\\00rupt,1.2.3.4=#0c03,L=Orl\xc3\xa9"
            "ans,OU=a*b,OU=Storage+OU=ops,O=Acme\\, Inc. (Paris),CN=node7",
};

static const struct config_name empty = { .text = "" };

struct match {
    const char *text;
    bool holds;
};

static const struct match matches[] = {
    /* one term */
    { "CN=node7", true },
    { "CN=node", false }, /* the whole value counts */
    { "CN=node77", false },
    { "CN=ode7", false },
    { "CN=NODE7", true },
    { "cn=node7", true },
    { "commonName=node7", true },
    { "COMMONNAME=node7", true },
    { "2.5.4.3=node7", true },
    { "2.5.4.30=node7", false },
    { "1.2.3.4=odd", true },
    { "SN=node7", false },
    { "  CN  =  node7  ", true },
    { "CN\t=\tnode7\t", true },
    { "CN=\"node7\"", true },
    { "CN=\" node7\"", false },
    { "CN=\\node7", true },
    { "C=x", false },
    { "C=*", true }, /* it is there, and empty */
    { "street=*", false },

    /* stars */
    { "CN=*", true },
    { "CN=node*", true },
    { "CN=*7", true },
    { "CN=*o*e*", true },
    { "CN=n*7", true },
    { "CN=node7*", true },
    { "CN=**", true },
    { "CN=n*8", false },
    { "CN=node\\*", false },
    { "CN=node?", false }, /* a question mark is itself */
    { "CN=\"node*\"", true },
    { "OU=a\\*b\\\\c\\\"d", true },
    { "OU=\"a\\*b\\\\c\\\"d\"", true },
    { "OU=a\\*c\\\\c\\\"d", false },
    { "OU=*ora*", true },
    { "OU=*aab*", false },
    { "OU=*sto*sto*", false },

    /* several of one type */
    { "OU=ops", true },
    { "OU=storage", true },
    { "OU=ops AND OU=storage", true },
    { "OU=opsStorage", false },
    { "OU=dev", false },

    /* what separates */
    { "O=Acme", false },
    { "O=\"Acme, Inc. (Paris)\"", true },
    { "O=Acme\\, Inc. \\(Paris\\)", true },
    { "O=\"acme, inc. *\"", true },
    { "O=Acme*", true },
    { "O=*AND*", false },
    { "CN=nodeANDOR", false },
    { "CN=Rock and Roll", false },
    { "CN=\"x AND y\"", false },
    { "CN=\"x OR y\", OU=ops", true },

    /* joined */
    { "CN=x, CN=node7", true },
    { "CN=x OR CN=node7", true },
    { "CN=x, CN=y", false },
    { "CN=node7 AND OU=ops", true },
    { "CN=node7 AND OU=dev", false },
    { "NOT CN=x", true },
    { "NOT CN=node7", false },
    { "NOT NOT CN=node7", true },
    { "NOT street=x", true }, /* it is not there */
    { "(CN=node7)", true },
    { "((CN=x),(CN=node7))", true },
    { "NOT(CN=x)", true },
    { "(CN=node7)AND(OU=ops)", true },
    { "(CN=x)OR(OU=ops)", true },
    { "CN=node7,OU=x", true },

    /* NOT before AND before OR and the comma */
    { "CN=node7 OR CN=x AND CN=y", true },
    { "CN=node7, CN=x AND CN=y", true },
    { "(CN=node7 OR CN=x) AND CN=y", false },
    { "CN=x AND CN=y OR CN=node7", true },
    { "CN=x AND (CN=y OR CN=node7)", false },
    { "NOT CN=x AND CN=y", false },
    { "NOT (CN=x AND CN=y)", true },
    { "NOT CN=node7 OR CN=node7", true },
    { "NOT (CN=node7 OR CN=node7)", false },
    { "CN=x, CN=y OR OU=ops", true },

    /* UTF-8, other bytes, NUL */
    { "L=Orl\xc3\xa9"
      "ans",
      true },
    { "L=ORL\xc3\x89"
      "ANS",
      true },
    { "L=Orleans", false },
    { "L=Orl*ans", true },
    { "L=Orl\\\xc3\xa9"
      "ans",
      true },
    { "L=Orl\xc3\xa8"
      "ans",
      false },
    { "L=Orl\xc3*", false }, /* half a character is none */
    { "UID=bank", false },
    { "UID=bankrupt", false },
    { "UID=bank*", true },
    { "UID=*rupt", true },
    { "ST=bad\xff\xc3", true },
    { "ST=bad\xc3\xff", false },
    { "ST=bad*", true },
    { "ST=bad", false },

    /* contains: */
    { "contains:\"Acme\"", true },
    { "contains:\"acme\\\\, inc\"", true },
    { "contains:\"ORL\xc3\x89\"", true },
    { "contains:\"CN=node\"", true },
    { "contains:\"cn=node7\"", true },
    { "contains:\"node77\"", false },
    { "contains:\"n*7\"", false }, /* no stars */
    { "contains:\"a*b\"", true },
    { "contains: \"ops\" AND NOT contains:\"dev\"", true },
};

static struct config_expression *parse(const char *text)
{
    char why[256];
    size_t column = 77;
    struct config_expression *expression = config_expression_parse(text, why, sizeof(why), &column);
    if (!expression)
        print_error("%s: %s at %zu\n", text, why, column);
    assert_non_null(expression);
    assert_string_equal(config_expression_text(expression), text);
    return expression;
}

static void matches_what_is_meant_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        struct config_expression *expression = parse(matches[i].text);
        if (config_expression_match(expression, &node7) != matches[i].holds)
            fail_msg("%s: wanted %d", matches[i].text, matches[i].holds);
        config_expression_free(expression);
    }
}

static void folds_letters_of_many_alphabets(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "\xc3\x80\xc3\x9e", "\xc3\xa0\xc3\xbe" },                 /* Latin-1 */
        { "\xc5\x81\xc5\x9a\xc5\xb9", "\xc5\x82\xc5\x9b\xc5\xba" }, /* Polish */
        { "\xc4\x8c\xc5\xb8", "\xc4\x8d\xc3\xbf" },                 /* and the y that is of Latin-1 */
        { "\xce\x91\xce\xa9\xce\x86", "\xce\xb1\xcf\x89\xce\xac" }, /* Greek */
        { "\xce\xa3", "\xcf\x82" },                                 /* its sigma at the end */
        { "\xd0\x81\xd0\xaf", "\xd1\x91\xd1\x8f" },                 /* Cyrillic */
    };
    static const char *const apart[][2] = {
        { "\xc3\x97", "\xc3\xb7" }, /* times and divided */
        { "\xc4\xb0", "i" },        /* the dotted capital of Turkish */
        { "\xc3\xa9", "e" },
        { "\xc5\x82", "\xc5\x83" },
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]) + sizeof(apart) / sizeof(apart[0]); i++) {
        size_t together = sizeof(pairs) / sizeof(pairs[0]);
        const char *const *pair = i < together ? pairs[i] : apart[i - together];
        char text[64];
        snprintf(text, sizeof(text), "CN=%s", pair[0]);
        struct config_attribute cn = { .types = { "CN" }, .value = pair[1], .length = strlen(pair[1]) };
        struct config_name name = { .attributes = &cn, .count = 1, .text = "" };
        struct config_expression *expression = parse(text);
        assert_int_equal(config_expression_match(expression, &name), i < together);
        config_expression_free(expression);
    }
}

static void takes_what_is_no_utf8_as_bytes(void **state)
{
    (void)state;
    /* Overlong, a half of a pair, beyond Unicode, cut short: each is only itself. */
    static const char *const broken[] = { "\xc1\xa1", "\xe0\x81\xa1", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                          "\xf8",     "\xe2\x82",     "\xf0\x9f\x98" };
    struct config_expression *letter = parse("CN=a"), *star = parse("CN=*");
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "CN=%s", broken[i]);
        struct config_attribute cn = { .types = { "CN" }, .value = broken[i], .length = strlen(broken[i]) };
        struct config_name name = { .attributes = &cn, .count = 1, .text = broken[i] };
        struct config_expression *same = parse(text);
        assert_true(config_expression_match(same, &name));
        assert_true(config_expression_match(star, &name));
        assert_false(config_expression_match(letter, &name));
        config_expression_free(same);
    }
    config_expression_free(letter);
    config_expression_free(star);
}

static void nothing_but_a_denial_holds_for_an_empty_name(void **state)
{
    (void)state;
    struct config_expression *term = parse("CN=*"), *contains = parse("contains:\"a\""), *denial = parse("NOT CN=*");
    assert_false(config_expression_match(term, &empty));
    assert_false(config_expression_match(contains, &empty));
    assert_true(config_expression_match(denial, &empty));
    config_expression_free(term);
    config_expression_free(contains);
    config_expression_free(denial);
    config_expression_free(NULL);
}

static void a_hostile_value_takes_no_time(void **state)
{
    (void)state;
    char value[4096];
    memset(value, 'a', sizeof(value));
    struct config_attribute cn = { .types = { "CN" }, .value = value, .length = sizeof(value) };
    struct config_name name = { .attributes = &cn, .count = 1, .text = "" };
    struct config_expression *expression = parse("CN=*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b");
    assert_false(config_expression_match(expression, &name));
    config_expression_free(expression);
}

struct refusal {
    const char *text;
    size_t column;
    const char *why;
};

static const struct refusal refusals[] = {
    { "", 1, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "   ", 4, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "CN=a,", 6, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { ",CN=a", 1, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "CN=a,,CN=b", 6, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "CN=a AND", 9, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "CN=a OR ", 9, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "NOT", 4, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "()", 2, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "=a", 1, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "\"CN=a\"", 1, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "*", 1, "has no TYPE=VALUE where one must stand: write one such as CN=node7" },
    { "node7", 1, "has \"node7\" without a = and a value: write TYPE=VALUE, such as CN=node7" },
    { "CN=a, node7", 7, "has \"node7\" without a = and a value: write TYPE=VALUE, such as CN=node7" },
    { "CN:a", 1, "has \"CN\" without a = and a value: write TYPE=VALUE, such as CN=node7" },
    { "AND CN=a", 1, "has \"AND\" without a = and a value: write TYPE=VALUE, such as CN=node7" },
    { "contains", 1, "has \"contains\" without a = and a value: write TYPE=VALUE, such as CN=node7" },
    { "CN=", 1, "has an empty value for CN: write one, or * for any" },
    { "CN=a, O= ", 7, "has an empty value for O: write one, or * for any" },
    { "CN=,O=a", 1, "has an empty value for CN: write one, or * for any" },
    { "CN=\"\"", 1, "has an empty value for CN: write one, or * for any" },
    { "CN=\"a", 4, "has a quote that is never closed: add a \" at the end of the value" },
    { "CN=\"a\\\"", 4, "has a quote that is never closed: add a \" at the end of the value" },
    { "CN=\"a\\", 4, "has a quote that is never closed: add a \" at the end of the value" },
    { "CN=a\"b\"", 5, "has a quote inside a value: put the whole value in quotes, or a backslash before it" },
    { "CN=a O=b", 7, "has a = inside a value: put the whole value in quotes, or a backslash before it" },
    { "CN=a\\", 5, "ends with a backslash: write the character that it is to take as it is" },
    { "CN=\"a\" b", 8, "goes on with \"b\" where a comma, AND or OR must stand" },
    { "CN=\"a\"b", 7, "goes on with \"b\" where a comma, AND or OR must stand" },
    { "CN=a)", 5, "goes on with \")\" where a comma, AND or OR must stand" },
    { "CN=a(b)", 5, "goes on with \"(b)\" where a comma, AND or OR must stand" },
    { "(CN=a) (CN=b)", 8, "goes on with \"(CN=b)\" where a comma, AND or OR must stand" },
    { "CN=\"a\" \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9x\xc3\xa9\xc3\xa9", 8,
      "goes on with \"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9x\" where a comma, AND "
      "or "
      "OR must stand" },
    { "(CN=a", 1, "has a parenthesis that is never closed: add a )" },
    { "CN=b, (CN=a, (O=c)", 7, "has a parenthesis that is never closed: add a )" },
    { "contains:a", 10, "has contains: without a text: write contains:\"TEXT\", in quotes" },
    { "contains:", 10, "has contains: without a text: write contains:\"TEXT\", in quotes" },
    { "contains:\"\"", 10, "has contains: with an empty text, which every name has: write what to look for" },
    { "contains:\"a", 10, "has a quote that is never closed: add a \" at the end of the value" },
};

static void expect_refusal(const char *text, size_t column, const char *why)
{
    char said[256];
    size_t at = 0;
    struct config_expression *expression = config_expression_parse(text, said, sizeof(said), &at);
    if (expression)
        fail_msg("%s: was taken", text);
    assert_string_equal(said, why);
    if (at != column)
        fail_msg("%s: at %zu, wanted %zu", text, at, column);
}

static void says_what_is_wrong_and_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        expect_refusal(refusals[i].text, refusals[i].column, refusals[i].why);
}

static void cuts_a_sentence_that_does_not_fit(void **state)
{
    (void)state;
    char why[12];
    size_t column;
    assert_null(config_expression_parse("CN=", why, sizeof(why), &column));
    assert_string_equal(why, "has an empt");
    assert_int_equal(column, 1);
}

/* "(((CN=a)))" or "NOT NOT CN=a" */
static char *nested(const char *open, const char *close, size_t depth)
{
    char *text = calloc(depth * 5 + 8, 1), *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, "CN=node7");
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, close);
    return text;
}

static void nests_as_deep_as_it_says_and_no_deeper(void **state)
{
    (void)state;
    static const char *const ways[][2] = { { "(", ")" }, { "NOT ", "" } };
    for (size_t i = 0; i < 2; i++) {
        char *text = nested(ways[i][0], ways[i][1], CONFIG_EXPRESSION_DEPTH - 1);
        struct config_expression *expression = parse(text);
        assert_int_equal(config_expression_match(expression, &node7), i == 0);
        config_expression_free(expression);
        free(text);
        text = nested(ways[i][0], ways[i][1], CONFIG_EXPRESSION_DEPTH);
        expect_refusal(text, strlen(ways[i][0]) * CONFIG_EXPRESSION_DEPTH + 1,
                       "is nested deeper than 32: write it with fewer parentheses");
        free(text);
    }
}

static void is_as_long_as_it_says_and_no_longer(void **state)
{
    (void)state;
    char text[CONFIG_EXPRESSION_MAX + 2] = "CN=";
    memset(text + 3, 'a', CONFIG_EXPRESSION_MAX - 3);
    config_expression_free(parse(text));
    text[CONFIG_EXPRESSION_MAX] = 'a';
    expect_refusal(text, 1, "is longer than 4096 bytes: shorten it");
}

/* Long chains are no depth: nothing runs out of stack. */
static void joins_as_many_as_fit(void **state)
{
    (void)state;
    static const char *const joints[] = { ",", " AND " };
    for (size_t i = 0; i < 2; i++) {
        char text[CONFIG_EXPRESSION_MAX + 1] = "O=x", *at = text + 3;
        while ((size_t)(at - text) + strlen(joints[i]) + 3 <= CONFIG_EXPRESSION_MAX)
            at = stpcpy(stpcpy(at, joints[i]), "O=x");
        struct config_expression *expression = parse(text);
        assert_false(config_expression_match(expression, &node7));
        assert_true(config_expression_overlap(expression, expression));
        config_expression_free(expression);
    }
}

static bool not_o(void *argument, const char *type)
{
    *(size_t *)argument += 1;
    return strcmp(type, "O") != 0;
}

static void tells_each_type_until_stopped(void **state)
{
    (void)state;
    size_t calls = 0;
    struct config_expression *expression = parse("(CN=a OR contains:\"x\") AND NOT 2.5.4.11=b, O=c, L=d");
    assert_string_equal(config_expression_each_type(expression, not_o, &calls), "O");
    assert_int_equal(calls, 3);
    config_expression_free(expression);
    expression = parse("CN=a, contains:\"O=x\"");
    calls = 0;
    assert_null(config_expression_each_type(expression, not_o, &calls));
    assert_int_equal(calls, 1);
    config_expression_free(expression);
}

struct overlap {
    const char *a, *b;
    bool overlaps;
};

static const struct overlap overlaps[] = {
    { "CN=a", "CN=a", true },
    { "CN=a", "CN=A", true },
    { "CN=a", "CN=b", false },
    { "CN=a", "CN=ab", false },
    { "CN=a", "O=b", true },
    { "CN=a", "commonName=b", false },
    { "2.5.4.3=a", "cn=b", false },
    { "1.2.3=a", "1.2.3=b", false },
    { "CN=node*", "CN=*7", true },
    { "CN=node*", "CN=edge*", false },
    { "CN=*.a", "CN=*.b", false },
    { "CN=a*b*c", "CN=a*c", true },
    { "CN=a*b", "CN=*ab*", true },
    { "CN=ab*ba", "CN=aba", false },
    { "CN=a\\*", "CN=a*", true },
    { "CN=a\\*", "CN=ab", false },
    { "CN=a", "NOT CN=a", false },
    { "CN=a", "NOT CN=b", true },
    { "CN=a", "NOT CN=a*", false },
    { "CN=a*", "NOT CN=ab", true },
    { "CN=a*", "NOT CN=*", false },
    { "NOT CN=a", "NOT CN=b", true },
    { "CN=a AND O=x", "CN=a AND O=y", false },
    { "CN=a, CN=b", "CN=b, CN=c", true },
    { "CN=a, CN=b", "CN=c, CN=d", false },
    { "CN=a AND (O=x, O=y)", "O=y", true },
    { "CN=a AND (O=x, O=y)", "O=z", false },
    { "CN=a AND CN=b", "CN=a", false }, /* one of each type */
    { "NOT (CN=a AND O=x)", "CN=a", true },
    { "NOT (CN=a, CN=b)", "CN=a, CN=b", false },
    { "NOT (CN=a, CN=b)", "CN=c", true },
    { "contains:\"a\"", "CN=b", true },
    { "contains:\"a\" AND CN=a", "CN=b", false },
    { "L=\xc3\x89", "L=\xc3\xa9", true },
};

static void tells_whether_two_can_hold_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
        struct config_expression *a = parse(overlaps[i].a), *b = parse(overlaps[i].b);
        if (config_expression_overlap(a, b) != overlaps[i].overlaps)
            fail_msg("%s / %s: wanted %d", overlaps[i].a, overlaps[i].b, overlaps[i].overlaps);
        if (config_expression_overlap(b, a) != overlaps[i].overlaps)
            fail_msg("%s / %s: the other way round", overlaps[i].a, overlaps[i].b);
        config_expression_free(a);
        config_expression_free(b);
    }
}

/* What would take too long to tell counts as possible. */
static void errs_towards_an_overlap(void **state)
{
    (void)state;
    char many[2048] = "CN=a0", *at = many + 5;
    for (unsigned i = 1; i < 100; i++)
        at += sprintf(at, ", CN=a%u", i);
    struct config_expression *a = parse(many), *b = parse("CN=b"), *c = parse("CN=a99");
    assert_true(config_expression_overlap(a, c));
    assert_true(config_expression_overlap(a, b));
    config_expression_free(a);
    config_expression_free(b);
    config_expression_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_what_is_meant_and_nothing_else),
        cmocka_unit_test(folds_letters_of_many_alphabets),
        cmocka_unit_test(takes_what_is_no_utf8_as_bytes),
        cmocka_unit_test(nothing_but_a_denial_holds_for_an_empty_name),
        cmocka_unit_test(a_hostile_value_takes_no_time),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(cuts_a_sentence_that_does_not_fit),
        cmocka_unit_test(nests_as_deep_as_it_says_and_no_deeper),
        cmocka_unit_test(is_as_long_as_it_says_and_no_longer),
        cmocka_unit_test(joins_as_many_as_fit),
        cmocka_unit_test(tells_each_type_until_stopped),
        cmocka_unit_test(tells_whether_two_can_hold_at_once),
        cmocka_unit_test(errs_towards_an_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
