/*
 * Text to sections and entries, by inih.
 *
 * inih is fed line by line, because left alone it would cut a line after 199 bytes and take the rest for a new one, cut
 * a section's name after 49, take an indented key for more of the value above, and say nothing of where a line stood or
 * of a section without keys. So each line is looked at first, refused with its number where inih would get it wrong,
 * and handed over without blanks, comments, BOM and CR. After a section's header comes a line "=", an empty key, by
 * which the handler learns of the section. A value goes on in the next line where its line ends with a backslash; inih
 * gets the next line indented, which it knows as a continuation, and calls the handler again.
 */
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

#define SECTION_MAX 49 /* inih keeps 50 bytes, NUL included */
#define LINE_EXTRA 4   /* the blank, LF and NUL we add, and one that inih wants in reserve */

struct line {
    const char *text; /* without blanks at its ends and without its comment */
    size_t length;
    bool goes_on; /* ended with a backslash, which is cut off */
    bool blank;   /* a blank stood before the backslash */
};

struct reader {
    struct config *config;
    struct config_errors *errors;
    const char *next, *end;
    unsigned line;     /* the number of the line that inih has */
    bool marker_due;   /* it is a header: the empty key comes next */
    bool continues;    /* it goes on from the one before */
    bool expects_more; /* it ended with a backslash */
    bool joint;        /* where it goes on, a blank stands between */
    bool next_joint;   /* the same for the line to come */
    bool skips_value;  /* it was refused, and so is what continues it */
    bool skips_keys;   /* the header was refused: what follows belongs nowhere */
    int failure;       /* 0 or -ENOMEM */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_comment(char c)
{
    return c == ';' || c == '#';
}

static void trim(const char **text, size_t *length)
{
    while (*length && is_blank(**text)) {
        ++*text;
        --*length;
    }
    while (*length && is_blank((*text)[*length - 1]))
        --*length;
}

/* inih's rule: a semicolon after a blank begins a comment. */
static size_t length_without_comment(const char *text, size_t length)
{
    for (size_t i = 1; i < length; i++) {
        if (text[i] == ';' && is_blank(text[i - 1]))
            return i;
    }
    return length;
}

static bool next_line(struct reader *reader, struct line *line)
{
    if (reader->next == reader->end)
        return false;
    const char *text = reader->next;
    size_t left = (size_t)(reader->end - text);
    const char *stop = memchr(text, '\n', left);
    size_t length = stop ? (size_t)(stop - text) : left;
    reader->next = stop ? stop + 1 : reader->end;
    reader->line++;

    if (length && text[length - 1] == '\r')
        length--;
    length = length_without_comment(text, length);
    trim(&text, &length);
    *line = (struct line){ .text = text, .length = length };
    if (length && text[length - 1] == '\\' && !is_comment(text[0])) {
        line->goes_on = true;
        line->blank = length > 1 && is_blank(text[length - 2]);
        line->length--;
        trim(&line->text, &line->length);
    }
    return true;
}

#define report(reader, ...)                                                                                            \
    config_errors_add((reader)->errors, CONFIG_ERROR, (reader)->config->file, (reader)->line, __VA_ARGS__)
#define refuse(reader, ...) (report(reader, __VA_ARGS__), false)

static bool check_bytes(struct reader *reader, const struct line *line, size_t limit)
{
    for (size_t i = 0; i < line->length; i++) {
        unsigned char c = (unsigned char)line->text[i];
        if (c == 0)
            return refuse(reader,
                          "the line holds a NUL byte: this is not a text file, or it was damaged; write it anew");
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return refuse(reader, "the line holds the control byte 0x%02x: remove it", c);
    }
    if (line->length > limit)
        return refuse(
            reader,
            "the line has %zu bytes, more than the %zu that are read: end it with a backslash and go on in the "
            "next line",
            line->length, limit);
    return true;
}

static bool check_header(struct reader *reader, const struct line *line)
{
    const char *close = memchr(line->text, ']', line->length);
    if (!close)
        return refuse(reader, "the section header has no ] at its end: add it");
    if (close != line->text + line->length - 1 || line->goes_on)
        return refuse(reader, "something follows the ] of the section header: put it on a line of its own");
    if (line->length - 2 > SECTION_MAX)
        return refuse(reader,
                      "the section header has %zu bytes between [ and ], more than the %d that are read: choose a "
                      "shorter name",
                      line->length - 2, SECTION_MAX);
    return true;
}

static bool check_key(struct reader *reader, const struct line *line)
{
    size_t key = 0;
    while (key < line->length && line->text[key] != '=' && line->text[key] != ':')
        key++;
    if (key == line->length)
        return refuse(reader,
                      "\"%.*s\" is neither [SECTION] nor KEY = VALUE; to go on with a value, end the line above "
                      "with a backslash",
                      (int)line->length, line->text);
    if (key == 0)
        return refuse(reader, "no key stands before the %c: write KEY = VALUE", line->text[0]);
    if (reader->config->section_count == 0)
        return refuse(reader, "a key stands before the first [SECTION]: move it into one");
    return true;
}

static bool check_continuation(struct reader *reader, const struct line *line)
{
    if (line->length == 0)
        return refuse(reader, "the line above ends with a backslash, but nothing follows: remove the backslash");
    if (is_comment(line->text[0]))
        return refuse(reader, "a comment stands where the value of the line above goes on: move it");
    return true;
}

/* Decides what becomes of a line: true to hand it to inih. */
static bool accept(struct reader *reader, const struct line *line, size_t limit)
{
    reader->continues = reader->expects_more;
    reader->expects_more = line->goes_on;
    bool header = !reader->continues && line->length && line->text[0] == '[';
    bool idle = !reader->continues && (line->length == 0 || is_comment(line->text[0])) && !line->goes_on;
    if (idle)
        return false;
    if (header)
        reader->skips_keys = false;
    if (reader->continues ? reader->skips_value : reader->skips_keys) {
        reader->skips_value = true;
        return false;
    }

    bool good = check_bytes(reader, line, limit);
    if (good)
        good = header              ? check_header(reader, line)
               : reader->continues ? check_continuation(reader, line)
                                   : check_key(reader, line);
    reader->marker_due = header && good;
    reader->skips_keys = header && !good;
    reader->skips_value = !good;
    return good;
}

/* What inih calls for a line: fgets() in its manners. */
static char *hand_over(char *buffer, int size, void *argument)
{
    struct reader *reader = argument;
    if (reader->failure)
        return NULL;
    if (reader->marker_due) {
        reader->marker_due = false;
        return strcpy(buffer, "=\n");
    }
    struct line line;
    while (next_line(reader, &line)) {
        reader->joint = reader->next_joint;
        reader->next_joint = line.blank;
        if (!accept(reader, &line, (size_t)(size - LINE_EXTRA)))
            continue;
        char *end = buffer;
        if (reader->continues)
            *end++ = ' ';
        end = mempcpy(end, line.text, line.length);
        strcpy(end, "\n");
        return buffer;
    }
    if (reader->expects_more) {
        reader->expects_more = false;
        report(reader, "the last line ends with a backslash, but nothing follows: remove the backslash");
    }
    return NULL;
}

static int begin_section(struct reader *reader, const char *header)
{
    struct config *config = reader->config;
    if (config->section_count == CONFIG_SECTIONS_MAX) {
        reader->skips_keys = true;
        report(reader, "the file has more than %d sections: split it", CONFIG_SECTIONS_MAX);
        return 0;
    }
    struct config_section *sections = reallocarray(config->sections, config->section_count + 1, sizeof(*sections));
    if (!sections)
        return -ENOMEM;
    config->sections = sections;
    struct config_section *section = &sections[config->section_count++];
    *section = (struct config_section){ .file = config->file, .line = reader->line };

    size_t length = strlen(header);
    trim(&header, &length);
    size_t kind = 0;
    while (kind < length && !is_blank(header[kind]))
        kind++;
    const char *name = header + kind;
    size_t name_length = length - kind;
    trim(&name, &name_length);
    section->kind = strndup(header, kind);
    section->name = strndup(name, name_length);
    return section->kind && section->name ? 0 : -ENOMEM;
}

static int add_entry(struct reader *reader, const char *key, const char *value)
{
    struct config_section *section = &reader->config->sections[reader->config->section_count - 1];
    if (section->count == CONFIG_ENTRIES_MAX) {
        reader->skips_keys = reader->skips_value = true;
        report(reader, "the section has more than %d keys: remove some", CONFIG_ENTRIES_MAX);
        return 0;
    }
    struct config_entry *entries = reallocarray(section->entries, section->count + 1, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    section->entries = entries;
    struct config_entry *entry = &entries[section->count++];
    *entry = (struct config_entry){ .key = strdup(key), .value = strdup(value), .line = reader->line };
    return entry->key && entry->value ? 0 : -ENOMEM;
}

static int extend_entry(struct reader *reader, const char *more)
{
    struct config_section *section = &reader->config->sections[reader->config->section_count - 1];
    struct config_entry *entry = &section->entries[section->count - 1];
    if (strlen(entry->value) + strlen(more) > CONFIG_VALUE_MAX) {
        reader->skips_value = true;
        report(reader, "the value has more than %d bytes: shorten it", CONFIG_VALUE_MAX);
        return 0;
    }
    char *value = NULL;
    if (asprintf(&value, "%s%s%s", entry->value, entry->value[0] && reader->joint ? " " : "", more) < 0)
        return -ENOMEM;
    free(entry->value);
    entry->value = value;
    return 0;
}

static int take(void *argument, const char *section, const char *key, const char *value)
{
    struct reader *reader = argument;
    if (reader->failure)
        return 1;
    reader->failure = reader->continues ? extend_entry(reader, value)
                      : key[0] == 0     ? begin_section(reader, section)
                                        : add_entry(reader, key, value);
    return 1;
}

/* UTF-16 is what some editors save as "Unicode"; every second byte of it is NUL. */
static bool is_utf16(const char *text, size_t length)
{
    return length >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

int config_read(struct config *config, const char *text, size_t length, struct config_errors *errors)
{
    if (length > CONFIG_FILE_MAX) {
        config_errors_add(errors, CONFIG_ERROR, config->file, 0,
                          "the file is larger than %zu KiB: this is no configuration of sluice, name the right file",
                          CONFIG_FILE_MAX / 1024);
        return 0;
    }
    if (is_utf16(text, length)) {
        config_errors_add(errors, CONFIG_ERROR, config->file, 1, "the file is UTF-16: save it as UTF-8");
        return 0;
    }
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        length -= 3;
    }
    struct reader reader = { .config = config, .errors = errors, .next = text, .end = text + length };
    int result = ini_parse_stream(hand_over, &reader, take, &reader);
    if (reader.failure || result == -2)
        return -ENOMEM;
    /* What inih refuses was refused before it got there; should the two ever differ, no line may vanish silently. */
    if (result != 0)
        config_errors_add(errors, CONFIG_ERROR, config->file, 0, "the file cannot be parsed");
    return 0;
}

void config_sections_free(struct config_section *sections, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sections[i].count; j++) {
            free(sections[i].entries[j].key);
            free(sections[i].entries[j].value);
        }
        free(sections[i].entries);
        free(sections[i].kind);
        free(sections[i].name);
    }
    free(sections);
}

const struct config_entry *config_entry_find(const struct config_section *section, const char *key)
{
    for (size_t i = 0; section && i < section->count; i++) {
        if (strcmp(section->entries[i].key, key) == 0)
            return &section->entries[i];
    }
    return NULL;
}
