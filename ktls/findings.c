#include "ktls/probe.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ktls/probe_internal.h"

#define WIDTH 100 /* columns of text output */

static const char *const marks[] = { "ok", "note", "WARN", "FAIL" };
static const char *const words[] = { "ok", "note", "warn", "fail" };

struct finding *findings_add(struct findings *findings, enum finding_status status, const char *what)
{
    if (findings->count == findings->capacity) {
        size_t capacity = findings->capacity ? findings->capacity * 2 : 16;
        struct finding *items = reallocarray(findings->items, capacity, sizeof *items);
        if (!items)
            return NULL;
        findings->items = items;
        findings->capacity = capacity;
    }
    struct finding *finding = &findings->items[findings->count++];
    *finding = (struct finding){ .status = status };
    snprintf(finding->what, sizeof finding->what, "%s", what);
    return finding;
}

void finding_say(struct finding *finding, const char *meaning, const char *remedy, const char *value, ...)
{
    if (!finding)
        return;
    va_list arguments;
    va_start(arguments, value);
    vsnprintf(finding->value, sizeof finding->value, value, arguments);
    va_end(arguments);
    snprintf(finding->meaning, sizeof finding->meaning, "%s", meaning);
    snprintf(finding->remedy, sizeof finding->remedy, "%s", remedy);
}

void findings_clear(struct findings *findings)
{
    free(findings->items);
    *findings = (struct findings){ 0 };
}

static const struct finding *first_obstacle(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].status == FINDING_FAIL && findings->items[i].kernel_path)
            return &findings->items[i];
    return NULL;
}

bool findings_kernel_path_works(const struct findings *findings)
{
    return findings->count && !first_obstacle(findings);
}

static const struct finding *first_with_remedy(const struct findings *findings, enum finding_status status)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].status == status && findings->items[i].remedy[0])
            return &findings->items[i];
    return NULL;
}

/* What will happen to a body, and the one thing most worth doing about it. */
static void summarize(const struct findings *findings, char *out, size_t size)
{
    const struct finding *obstacle = first_obstacle(findings);
    if (obstacle) {
        snprintf(out, size, "The kernel path does not work, because of \"%s\". %s%s%s%s", obstacle->what,
                 obstacle->meaning, obstacle->remedy[0] ? " First remedy: " : "", obstacle->remedy,
                 obstacle->remedy[0] ? "." : "");
        return;
    }
    if (!findings->count) {
        snprintf(out, size, "Nothing could be found out: no memory.");
        return;
    }
    const struct finding *next = first_with_remedy(findings, FINDING_FAIL);
    if (!next)
        next = first_with_remedy(findings, FINDING_WARN);
    size_t used = (size_t)snprintf(out, size, "The kernel path works: bodies are encrypted and decrypted by kTLS.");
    if (next)
        snprintf(out + used, size - used, " Most worth doing, for \"%s\": %s.", next->what, next->remedy);
}

/* Names of interfaces and drivers come from outside: nothing of them may act on a terminal. */
static char printable(char c)
{
    return c >= ' ' && c <= '~' ? c : '?';
}

/* Words of `text`, broken into lines that begin at column `indent`; the cursor stands there already. */
static void print_wrapped(const char *text, size_t indent, FILE *out)
{
    size_t column = indent;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t length = strcspn(text, " ");
        if (column > indent && column + 1 + length > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        for (size_t i = 0; i < length; i++)
            fputc(printable(text[i]), out);
        column += length;
        text += length;
    }
    fputc('\n', out);
}

static void print_labelled(const char *label, const char *text, size_t indent, FILE *out)
{
    if (!text[0])
        return;
    fprintf(out, "%*s%s", (int)indent, "", label);
    print_wrapped(text, indent + strlen(label), out);
}

void findings_print(const struct findings *findings, FILE *out)
{
    size_t widest = 0;
    for (size_t i = 0; i < findings->count; i++)
        if (strlen(findings->items[i].what) > widest)
            widest = strlen(findings->items[i].what);

    size_t indent = strlen("FAIL  ") + widest + 2;
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        fprintf(out, "%-4s  ", marks[finding->status]);
        for (const char *c = finding->what; *c; c++)
            fputc(printable(*c), out);
        fprintf(out, "%*s", (int)(widest + 2 - strlen(finding->what)), "");
        print_wrapped(finding->value, indent, out);
        print_labelled("", finding->meaning, indent, out);
        print_labelled("-> ", finding->remedy, indent, out);
    }
    char summary[1024];
    summarize(findings, summary, sizeof summary);
    fputc('\n', out);
    print_wrapped(summary, 0, out);
}

/* Bytes that are not ASCII are taken as Latin-1, so that the output is JSON whatever they were. */
static void print_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < ' ' || *c > '~')
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static void print_field(const char *name, const char *text, FILE *out)
{
    fprintf(out, ",\"%s\":", name);
    print_string(text, out);
}

void findings_print_json(const struct findings *findings, FILE *out)
{
    char summary[1024];
    summarize(findings, summary, sizeof summary);
    fprintf(out, "{\"kernel_path\":%s", findings_kernel_path_works(findings) ? "true" : "false");
    print_field("summary", summary, out);
    fputs(",\"findings\":[", out);
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        fprintf(out, "%s\n{\"status\":\"%s\"", i ? "," : "", words[finding->status]);
        print_field("what", finding->what, out);
        print_field("value", finding->value, out);
        print_field("meaning", finding->meaning, out);
        print_field("remedy", finding->remedy, out);
        fprintf(out, ",\"breaks_kernel_path\":%s}",
                finding->status == FINDING_FAIL && finding->kernel_path ? "true" : "false");
    }
    fputs("\n]}\n", out);
}
