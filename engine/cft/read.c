/* Text to commands and parameters. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cft/internal.h"

struct reader {
    struct cft *cft;
    struct config_errors *errors;
    const char *at, *end;
    unsigned line;
    bool first;        /* nothing but blanks stood before on this line */
    bool indented;     /* and there were some */
    bool after_comma;  /* the last thing but blanks and comments */
    unsigned comments; /* the line of the comment that is never closed; 0: none */
    bool failed;
};

__attribute__((format(printf, 3, 4))) static bool refuse(struct reader *reader, unsigned line, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    config_errors_add(reader->errors, CONFIG_ERROR, reader->cft->file, line, "%s",
                      length < 0 ? strerror(ENOMEM) : text);
    if (length >= 0)
        free(text);
    reader->failed = true;
    return false;
}

static bool no_memory(struct reader *reader)
{
    return refuse(reader, 0, "the file cannot be taken in: %s", strerror(ENOMEM));
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '/' || c == '.' || c == '-' || c == '@';
}

static bool at_comment(const struct reader *reader)
{
    return reader->end - reader->at >= 2 && reader->at[0] == '/' && reader->at[1] == '*';
}

static void skip_comment(struct reader *reader)
{
    unsigned began = reader->line;
    reader->at += 2;
    while (reader->end - reader->at >= 2 && !(reader->at[0] == '*' && reader->at[1] == '/'))
        reader->line += *reader->at++ == '\n';
    if (reader->end - reader->at < 2) {
        reader->at = reader->end;
        refuse(reader, began, "the comment that begins here is never closed: add */ at its end");
        return;
    }
    reader->at += 2;
}

/* Over blanks, ends of lines and comments. */
static void skip(struct reader *reader)
{
    while (reader->at < reader->end) {
        if (at_comment(reader)) {
            skip_comment(reader);
        } else if (*reader->at == '\n') {
            reader->line++;
            reader->first = true;
            reader->indented = false;
            reader->at++;
        } else if (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\r') {
            reader->indented = reader->indented || (reader->first && *reader->at != '\r');
            reader->at++;
        } else {
            return;
        }
    }
}

/* Takes `text`, wiping it where it does not fit. */
static bool add_value(struct reader *reader, struct cft_parameter *parameter, char *text, bool quoted)
{
    if (!text)
        return no_memory(reader);
    struct cft_value *values = NULL;
    bool full = parameter->count == CFT_VALUES_MAX;
    if (!full)
        values = reallocarray(parameter->values, parameter->count + 1, sizeof(*values));
    if (!values) {
        explicit_bzero(text, strlen(text));
        free(text);
        return full ? refuse(reader, reader->line, "%s has more than %d values: split it", parameter->key,
                             CFT_VALUES_MAX)
                    : no_memory(reader);
    }
    parameter->values = values;
    values[parameter->count++] = (struct cft_value){ .text = text, .quoted = quoted };
    return true;
}

static bool too_long(struct reader *reader, const struct cft_parameter *parameter)
{
    return refuse(reader, reader->line, "the value of %s has more than %d bytes: shorten it", parameter->key,
                  CFT_VALUE_MAX);
}

static bool read_quoted(struct reader *reader, struct cft_parameter *parameter)
{
    const char quote = *reader->at++;
    char text[CFT_VALUE_MAX + 1];
    size_t length = 0;
    for (;; reader->at++) {
        if (reader->at == reader->end || *reader->at == '\n')
            return refuse(reader, reader->line,
                          "the value of %s has a quote that is not closed on its line: add %c, or double the %c that "
                          "belongs to the text",
                          parameter->key, quote, quote);
        if (*reader->at == quote) {
            if (reader->end - reader->at < 2 || reader->at[1] != quote)
                break;
            reader->at++;
        }
        if (length == CFT_VALUE_MAX)
            return too_long(reader, parameter);
        text[length++] = *reader->at;
    }
    reader->at++;
    char *copy = strndup(text, length);
    explicit_bzero(text, sizeof(text));
    return add_value(reader, parameter, copy, true);
}

/* In a list quotes end a word, so that !"text" are two. */
static bool ends_word(const struct reader *reader, bool in_list)
{
    char c = *reader->at;
    return isspace((unsigned char)c) || c == ',' || c == '(' || c == ')' || (in_list && (c == '"' || c == '\''));
}

static bool read_bare(struct reader *reader, struct cft_parameter *parameter, bool in_list)
{
    const char *start = reader->at;
    while (reader->at < reader->end && !ends_word(reader, in_list))
        reader->at++;
    size_t length = (size_t)(reader->at - start);
    if (length > CFT_VALUE_MAX)
        return too_long(reader, parameter);
    return add_value(reader, parameter, strndup(start, length), false);
}

static bool read_list(struct reader *reader, struct cft_parameter *parameter)
{
    unsigned depth = 0, began = reader->line;
    do {
        skip(reader);
        if (reader->at == reader->end)
            return refuse(reader, began, "the list of %s is never closed: add ) at its end", parameter->key);
        reader->first = false;
        bool good = true;
        if (*reader->at == '(') {
            reader->at++;
            if (++depth > CFT_DEPTH_MAX)
                good = refuse(reader, reader->line, "the list of %s has more than %d lists in one another: write one",
                              parameter->key, CFT_DEPTH_MAX);
        } else if (*reader->at == ')') {
            reader->at++;
            depth--;
        } else if (*reader->at == ',') {
            reader->at++;
        } else if (*reader->at == '\'' || *reader->at == '"') {
            good = read_quoted(reader, parameter);
        } else {
            good = read_bare(reader, parameter, true);
        }
        if (!good)
            return false;
    } while (depth);
    return true;
}

/* A word with an = behind it: what stands here is the next parameter, so the value before it is empty. */
static bool at_parameter(const struct reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && is_word(*at))
        at++;
    if (at == reader->at)
        return false;
    while (at < reader->end && (*at == ' ' || *at == '\t'))
        at++;
    return at < reader->end && *at == '=';
}

static bool read_value(struct reader *reader, struct cft_parameter *parameter)
{
    skip(reader);
    parameter->line = reader->line;
    /* On a later line a bare word is the value only where the line cannot be the next command or parameter. */
    bool later = reader->first && reader->at < reader->end && is_word(*reader->at);
    if (reader->at == reader->end || *reader->at == ',' || (later && (!reader->indented || at_parameter(reader))))
        return true;
    reader->first = false;
    if (*reader->at == '(')
        return read_list(reader, parameter);
    if (*reader->at == ')')
        return refuse(reader, reader->line, "%s has a ) without a ( before it: remove it", parameter->key);
    if (*reader->at == '\'' || *reader->at == '"')
        return read_quoted(reader, parameter);
    return read_bare(reader, parameter, false);
}

static char *capitals(const char *text, size_t length)
{
    char *copy = strndup(text, length);
    for (char *c = copy; c && *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return copy;
}

static bool add_parameter(struct reader *reader, const char *word, size_t length)
{
    struct cft_command *command = reader->cft->count ? &reader->cft->commands[reader->cft->count - 1] : NULL;
    if (!command)
        return refuse(reader, reader->line,
                      "%.*s = stands before any command: put the command before it, such as "
                      "CFTSSL",
                      length < 64 ? (int)length : 64, word);
    if (command->count == CFT_PARAMETERS_MAX)
        return refuse(reader, reader->line, "%s has more than %d parameters: this is no extract of CFT", command->verb,
                      CFT_PARAMETERS_MAX);
    struct cft_parameter *parameters = reallocarray(command->parameters, command->count + 1, sizeof(*parameters));
    if (!parameters)
        return no_memory(reader);
    command->parameters = parameters;
    struct cft_parameter *parameter = &parameters[command->count++];
    *parameter = (struct cft_parameter){ .key = capitals(word, length), .line = reader->line };
    if (!parameter->key)
        return no_memory(reader);
    reader->at++;
    return read_value(reader, parameter);
}

static bool add_command(struct reader *reader, const char *word, size_t length, bool first, bool indented)
{
    int shown = length < 64 ? (int)length : 64;
    if (!first || (indented && reader->after_comma))
        return refuse(reader, reader->line,
                      "\"%.*s\" has no = behind it: write KEY = VALUE, or begin the line with "
                      "the command",
                      shown, word);
    if (reader->cft->count == CFT_COMMANDS_MAX)
        return refuse(reader, reader->line, "the file has more than %d commands: extract only SSL, PROT, PART and TCP",
                      CFT_COMMANDS_MAX);
    struct cft_command *commands = reallocarray(reader->cft->commands, reader->cft->count + 1, sizeof(*commands));
    if (!commands)
        return no_memory(reader);
    reader->cft->commands = commands;
    struct cft_command *command = &commands[reader->cft->count++];
    *command = (struct cft_command){ .verb = capitals(word, length), .line = reader->line };
    return command->verb ? true : no_memory(reader);
}

static bool read_word(struct reader *reader)
{
    const char *word = reader->at;
    bool first = reader->first, indented = reader->indented;
    while (reader->at < reader->end && is_word(*reader->at) && !(reader->at > word && at_comment(reader)))
        reader->at++;
    size_t length = (size_t)(reader->at - word);
    if (!length)
        return refuse(reader, reader->line, "\"%c\" stands where a command or KEY = VALUE must: remove it",
                      *reader->at);
    reader->first = false;
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
        reader->at++;
    if (reader->at < reader->end && *reader->at == '=')
        return add_parameter(reader, word, length);
    return add_command(reader, word, length, first, indented);
}

/* After a mistake: on to the next line, so that all of them are told. */
static void skip_line(struct reader *reader)
{
    const char *stop = reader->at < reader->end ? memchr(reader->at, '\n', (size_t)(reader->end - reader->at)) : NULL;
    reader->at = stop ? stop : reader->end;
}

static void read_commands(struct reader *reader)
{
    for (;;) {
        skip(reader);
        if (reader->at == reader->end)
            return;
        if (*reader->at == ',') {
            reader->at++;
            reader->first = false;
            reader->after_comma = true;
            continue;
        }
        if (!read_word(reader))
            skip_line(reader);
        reader->after_comma = false;
    }
}

bool cft_read_list(const struct cft *cft, const char *text, struct cft_parameter *list, struct config_errors *errors)
{
    struct reader reader = {
        .cft = (struct cft *)cft, .errors = errors, .at = text, .end = text + strlen(text), .line = list->line
    };
    if (!read_list(&reader, list))
        return false;
    skip(&reader);
    return reader.at == reader.end ||
           refuse(&reader, list->line, "%s goes on with \"%.20s\" behind its list: remove it", list->key, reader.at);
}

static bool check_bytes(struct reader *reader, const char *text, size_t length)
{
    unsigned line = 1;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        line += c == '\n';
        bool end_of_line = c == '\n' || (c == '\r' && i + 1 < length && text[i + 1] == '\n');
        if ((c < 0x20 && c != '\t' && !end_of_line) || c == 0x7f)
            return refuse(reader, line, "the line holds the control byte 0x%02x: extract the commands as plain text",
                          c);
    }
    return true;
}

struct cft *cft_read(const char *file, const char *text, size_t length, struct config_errors *errors)
{
    struct cft *cft = calloc(1, sizeof(*cft));
    if (cft)
        cft->file = strdup(file);
    if (!cft || !cft->file) {
        config_errors_add(errors, CONFIG_ERROR, file, 0, "the file cannot be taken in: %s", strerror(ENOMEM));
        cft_free(cft);
        return NULL;
    }
    struct reader reader = { .cft = cft, .errors = errors, .at = text, .end = text + length, .line = 1, .first = true };
    if (length > CFT_FILE_MAX)
        refuse(&reader, 0, "the file is larger than %zu KiB: extract only SSL, PROT, PART and TCP",
               CFT_FILE_MAX / 1024);
    else if (check_bytes(&reader, text, length))
        read_commands(&reader);
    if (!reader.failed && cft->count == 0)
        refuse(&reader, 0, "the file has no command: make it with CFTUTIL CFTEXT TYPE=ALL");
    if (!reader.failed)
        return cft;
    cft_free(cft);
    return NULL;
}

void cft_parameter_clear(struct cft_parameter *parameter)
{
    for (size_t i = 0; i < parameter->count; i++) {
        explicit_bzero(parameter->values[i].text, strlen(parameter->values[i].text));
        free(parameter->values[i].text);
    }
    free(parameter->values);
    free(parameter->key);
}

void cft_free(struct cft *cft)
{
    if (!cft)
        return;
    for (size_t i = 0; i < cft->count; i++) {
        for (size_t j = 0; j < cft->commands[i].count; j++)
            cft_parameter_clear(&cft->commands[i].parameters[j]);
        free(cft->commands[i].parameters);
        free(cft->commands[i].verb);
    }
    free(cft->commands);
    free(cft->file);
    free(cft);
}
