// rooms: config
/*
 * Any text as an expression, and any bytes as a name: the first byte says how long the expression is, what follows it
 * are the values of a name. A refusal has a place and a sentence of one line; an expression says the same when its own
 * text is read again; one that holds for a name with one attribute of each type can hold together with itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/expression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

#define ATTRIBUTES 3
#define NAMES 4

static struct config_expression *parse(const char *text)
{
    char why[256] = "";
    size_t column = 0;
    struct config_expression *expression = config_expression_parse(text, why, sizeof(why), &column);
    REQUIRE((expression == NULL) == (column > 0));
    REQUIRE(expression || (why[0] && column <= strlen(text) + 1));
    return expression;
}

/* Copies of exactly that size: the sanitizer sees a byte too far. */
static char *copy(const uint8_t *bytes, size_t length, bool text)
{
    char *result = malloc(length + text + !length);
    REQUIRE(result);
    memcpy(result, bytes, length);
    if (text)
        result[length] = 0;
    return result;
}

/* The values in thirds, of types that first inputs use. */
static size_t make_name(const uint8_t *bytes, size_t size, struct config_attribute attributes[ATTRIBUTES])
{
    static const char *const types[ATTRIBUTES][3] = {
        { "CN", "commonName", "2.5.4.3" },
        { "O", "organizationName", "2.5.4.10" },
        { NULL, NULL, "1.2.3" },
    };
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        size_t length = size / ATTRIBUTES;
        attributes[i] = (struct config_attribute){
            .types = { types[i][0], types[i][1], types[i][2] },
            .value = copy(bytes + i * length, length, false),
            .length = length,
        };
    }
    return ATTRIBUTES;
}

static bool count_types(void *argument, const char *type)
{
    REQUIRE(*type);
    ++*(size_t *)argument;
    return true;
}

static void hold_against(const struct config_expression *expression, const struct config_expression *again,
                         const struct config_attribute *attributes, const char *text)
{
    const struct config_name names[NAMES] = {
        { .text = "" },
        { .attributes = attributes, .count = 1, .text = text },
        { .attributes = attributes + 1, .count = 2, .text = "CN=a" },
        { .attributes = attributes, .count = ATTRIBUTES, .text = text },
    };
    bool held = false;
    for (size_t i = 0; i < NAMES; i++) {
        bool holds = config_expression_match(expression, &names[i]);
        REQUIRE(holds == config_expression_match(again, &names[i]));
        held = held || holds;
    }
    bool overlap = config_expression_overlap(expression, again);
    REQUIRE(overlap == config_expression_overlap(again, expression));
    REQUIRE(overlap || !held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t length = data[0] * size / 256;
    char *text = copy(data + 1, length < size - 1 ? length : size - 1, true);
    struct config_expression *expression = parse(text);
    if (expression) {
        struct config_attribute attributes[ATTRIBUTES];
        const uint8_t *rest = data + 1 + length;
        size_t left = size > length + 1 ? size - length - 1 : 0;
        size_t count = make_name(left ? rest : data, left, attributes), types = 0;
        char *name = copy(left ? rest : data, left, true);
        struct config_expression *again = parse(config_expression_text(expression));
        REQUIRE(strcmp(config_expression_text(expression), text) == 0 && again);
        REQUIRE(!config_expression_each_type(expression, count_types, &types));
        hold_against(expression, again, attributes, name);
        for (size_t i = 0; i < count; i++)
            free((void *)(uintptr_t)attributes[i].value);
        free(name);
        config_expression_free(again);
    }
    config_expression_free(expression);
    free(text);
    return 0;
}
