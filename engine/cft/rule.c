/*
 * DNUSER and DNISSUER: a text that the name must contain, or several with an operator between them.
 *
 * CFT looks for the text in the name as "/C=FR/O=Acme/CN=node", so a text with slashes names whole attributes, of which
 * only the last may go on. Here those are terms of their own; a text of one piece becomes contains:.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/expression.h"
#include "engine/cft/internal.h"

struct rule {
    struct site *site;
    const struct cft_parameter *parameter;
    FILE *out;
    const char *operator; /* "AND" or "OR"; NULL: none was there yet */
    bool listed;          /* two stand side by side without one */
    size_t terms;
};

static bool refuse(const struct rule *rule, const char *what)
{
    config_errors_add(rule->site->errors, CONFIG_ERROR, rule->site->cft->file, rule->parameter->line, "%s %s",
                      rule->parameter->key, what);
    return false;
}

/* Types that every OpenSSL knows by this name. */
static bool known_type(const char *text, size_t length)
{
    static const char *const types[] = { "C", "O", "OU", "CN", "L", "ST", "DC", "emailAddress", "serialNumber" };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strlen(types[i]) == length && strncasecmp(types[i], text, length) == 0)
            return true;
    }
    return false;
}

/* The length of TYPE where `text` begins with TYPE=, else 0. */
static size_t type_length(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.");
    return text[length] == '=' ? length : 0;
}

/* In quotes. What would keep a line from being broken is escaped, too: a #, and each of several blanks. */
static void print_character(FILE *out, const char *text, size_t at, const char *special)
{
    bool blanks = isblank((unsigned char)text[at]) && at && isblank((unsigned char)text[at - 1]);
    if (blanks || strchr(special, text[at]))
        fputc('\\', out);
    fputc(text[at] == '\t' ? ' ' : text[at], out);
}

/* As one attribute's whole value, or its beginning. */
static void print_term(FILE *out, const char *text, size_t type, const char *value, size_t length, bool goes_on)
{
    fprintf(out, "%.*s=\"", (int)type, text);
    for (size_t i = 0; i < length; i++)
        print_character(out, value, i, "\"\\*;#");
    fprintf(out, "%s\"", goes_on ? "*" : "");
}

/* What RFC 4514 escapes in the name's text is escaped in what is looked for there, and that again for the quotes. */
static void print_contains(FILE *out, const char *text, size_t length)
{
    fputs("contains:\"", out);
    for (size_t i = 0; i < length; i++) {
        if (strchr(",+\"\\<>;", text[i]))
            fputs("\\\\", out);
        print_character(out, text, i, "\"\\;#");
    }
    fputc('"', out);
}

static void print_piece(struct rule *rule, const char *text, size_t length, bool only, bool last)
{
    while (length && isblank((unsigned char)*text)) {
        text++;
        length--;
    }
    while (length && isblank((unsigned char)text[length - 1]))
        length--;
    if (!length)
        return;
    if (rule->terms++)
        fputs(" AND ", rule->out);
    size_t type = type_length(text);
    if (!only && known_type(text, type) && type + 1 < length)
        print_term(rule->out, text, type, text + type + 1, length - type - 1, last);
    else
        print_contains(rule->out, text, length);
}

/* The start of the next attribute: a slash before TYPE=. */
static const char *next_piece(const char *text)
{
    for (const char *slash = strchr(text, '/'); slash; slash = strchr(slash + 1, '/')) {
        if (type_length(slash + 1))
            return slash;
    }
    return text + strlen(text);
}

static bool print_operand(struct rule *rule, const char *text, bool denied)
{
    if (*text == '/' && type_length(text + 1))
        text++;
    const char *end = next_piece(text);
    bool only = !*end;
    size_t before = rule->terms;
    rule->terms = 0;
    fputs(denied ? "NOT (" : only ? "" : "(", rule->out);
    for (;;) {
        print_piece(rule, text, (size_t)(end - text), only, !*end);
        if (!*end)
            break;
        text = end + 1;
        end = next_piece(text);
    }
    fputs(denied || !only ? ")" : "", rule->out);
    if (!rule->terms)
        return refuse(rule, "has an empty text, which every name contains: write what must be there");
    rule->terms += before;
    return true;
}

static const char *operator_of(const struct cft_value *value)
{
    static const char *const words[][2] = { { "OR", "OR" }, { "OU", "OR" }, { "AND", "AND" }, { "ET", "AND" } };
    for (size_t i = 0; !value->quoted && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(words[i][0], value->text) == 0)
            return words[i][1];
    }
    return NULL;
}

static bool print_operator(struct rule *rule, const char *word)
{
    if (rule->operator&& word && strcmp(rule->operator, word) != 0)
        return refuse(rule, "has both AND and OR, and CFT knows only one operator: write the rule anew");
    if (rule->operator&& !word)
        return refuse(rule, "has an operator between some of its texts only: write it between all of them");
    fprintf(rule->out, " %s ", word ? word : "AND");
    rule->listed = rule->listed || !word;
    rule->operator= word;
    return true;
}

static bool print_values(struct rule *rule, const struct cft_parameter *list)
{
    bool due = true; /* a text is to come */
    for (size_t i = 0; i < list->count; i++) {
        const struct cft_value *value = &list->values[i];
        const char *word = operator_of(value), *text = value->text;
        bool denied = !value->quoted && text[0] == '!';
        if (word && (due || rule->listed))
            return refuse(rule, "has an operator without a text before it: write (\"TEXT\" OR \"TEXT\")");
        if (word && !print_operator(rule, word))
            return false;
        if (word) {
            due = true;
            continue;
        }
        if (!due && !print_operator(rule, NULL))
            return false;
        if (denied && !*++text) {
            if (++i == list->count)
                return refuse(rule, "has a ! without a text behind it: write one");
            text = list->values[i].text;
        }
        if (!print_operand(rule, text, denied))
            return false;
        due = false;
    }
    return !due || refuse(rule, "ends with an operator: write the text behind it");
}

static bool print_rule(struct rule *rule)
{
    const struct cft_parameter *parameter = rule->parameter;
    const struct cft_value *first = &parameter->values[0];
    const char *text = first->text + strspn(first->text, " \t");
    if (parameter->count > 1 || !first->quoted || *text != '(')
        return print_values(rule, parameter);
    struct cft_parameter inner = { .key = parameter->key, .line = parameter->line };
    bool good = cft_read_list(rule->site->cft, text, &inner, rule->site->errors) && print_values(rule, &inner);
    inner.key = NULL;
    cft_parameter_clear(&inner);
    return good;
}

/* What we wrote is read back: a rule must not be lost because the two ends disagree. */
static bool check(const struct rule *rule, const char *text)
{
    char why[256];
    size_t column;
    struct config_expression *expression = config_expression_parse(text, why, sizeof(why), &column);
    config_expression_free(expression);
    return expression || refuse(rule, column ? why : "does not fit in memory");
}

char *rule_expression(struct site *site, const struct cft_parameter *parameter, bool *joined)
{
    char *text = NULL;
    size_t length = 0;
    struct rule rule = { .site = site, .parameter = parameter, .out = open_memstream(&text, &length) };
    bool good = rule.out ? print_rule(&rule) : refuse(&rule, "does not fit in memory");
    if (rule.out && fclose(rule.out) != 0)
        good = refuse(&rule, "does not fit in memory");
    *joined = rule.listed;
    if (good && check(&rule, text))
        return text;
    site->failed = true;
    free(text);
    return NULL;
}
