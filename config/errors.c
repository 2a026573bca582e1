#include "config/errors.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"
#include "config/printable.h"

void config_errors_clear(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        free(errors->items[i].text);
    free(errors->items);
    *errors = (struct config_errors){ 0 };
}

/* Takes `text`. An entry that memory has no room for is lost, but not that there was an error. */
static void append(struct config_errors *errors, enum config_severity severity, unsigned line, char *text)
{
    errors->error_count += severity == CONFIG_ERROR;
    struct config_error *items = NULL;
    if (text && errors->count <= CONFIG_ERRORS_MAX)
        items = reallocarray(errors->items, errors->count + 1, sizeof(*items));
    if (!items) {
        free(text);
        return;
    }
    items[errors->count++] = (struct config_error){ .severity = severity, .line = line, .text = text };
    errors->items = items;
}

__attribute__((format(printf, 5, 0))) static void add(struct config_errors *errors, enum config_severity severity,
                                                      unsigned line, const char *place, const char *format,
                                                      va_list arguments)
{
    char *sentence = NULL, *text = NULL;
    if (errors->count == CONFIG_ERRORS_MAX)
        return append(errors, severity, UINT32_MAX, strdup("there are more problems than can be listed: mend these"));
    if (errors->count > CONFIG_ERRORS_MAX)
        return append(errors, severity, line, NULL);
    if (vasprintf(&sentence, format, arguments) < 0)
        return append(errors, severity, line, NULL);
    if (asprintf(&text, "%s%s", place, sentence) < 0)
        text = NULL;
    free(sentence);
    /* Sentences quote what stands in files: none of it may steer a terminal, or look like a sentence of its own. */
    append(errors, severity, line, text ? printable(text) : NULL);
    free(text);
}

void config_errors_add(struct config_errors *errors, enum config_severity severity, const char *file, unsigned line,
                       const char *format, ...)
{
    char *place = NULL;
    int length = !file ? 0 : line ? asprintf(&place, "%s:%u: ", file, line) : asprintf(&place, "%s: ", file);
    if (length < 0)
        place = NULL;
    va_list arguments;
    va_start(arguments, format);
    add(errors, severity, line, place ? place : "", format, arguments);
    va_end(arguments);
    free(place);
}

void config_errors_add_at(struct config_errors *errors, enum config_severity severity,
                          const struct config_section *section, const char *key, const char *format, ...)
{
    const struct config_entry *entry = key ? config_entry_find(section, key) : NULL;
    unsigned line = entry ? entry->line : section ? section->line : 0;
    char *place = NULL;
    int length = 0;
    if (section && section->name[0])
        length = asprintf(&place, "%s:%u: %s \"%s\": ", section->file, line, section->kind, section->name);
    else if (section)
        length = asprintf(&place, "%s:%u: %s: ", section->file, line, section->kind);
    if (length < 0)
        place = NULL;
    va_list arguments;
    va_start(arguments, format);
    add(errors, severity, line, place ? place : "", format, arguments);
    va_end(arguments);
    free(place);
}

/* By insertion: equal lines keep their order, and the list is short. */
void config_errors_sort(struct config_errors *errors)
{
    for (size_t i = 1; i < errors->count; i++) {
        struct config_error moving = errors->items[i];
        size_t j = i;
        for (; j > 0 && errors->items[j - 1].line > moving.line; j--)
            errors->items[j] = errors->items[j - 1];
        errors->items[j] = moving;
    }
}

void config_errors_print(const struct config_errors *errors, FILE *out)
{
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *error = &errors->items[i];
        fprintf(out, "%s%s\n", error->severity == CONFIG_WARNING ? "warning: " : "", error->text);
    }
}
