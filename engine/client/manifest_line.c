/* A manifest as bytes: lines, and what one line says. */
#include "engine/client/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/client/client_internal.h"

static int bad(struct manifest_reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int bad(struct manifest_reader *reader, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->reason, sizeof reader->reason, format, arguments);
    va_end(arguments);
    return -EBADMSG;
}

/* What becomes a local name must not lead anywhere else. */
static bool path_is_safe(const char *path)
{
    for (;;) {
        size_t length = strcspn(path, "/");
        if (length == 0 || length > NAME_MAX)
            return false;
        if (path[0] == '.' && (length == 1 || (length == 2 && path[1] == '.')))
            return false;
        if (path[length] == '\0')
            return true;
        path += length + 1;
    }
}

/* http_target_path() takes a target, which begins with a slash and may have a query; neither is in a manifest. */
static int decode(const char *encoded, char *path)
{
    char target[3 * PATH_MAX + 2];
    int length = snprintf(target, sizeof target, "/%s", encoded);
    if (length < 0 || (size_t)length >= sizeof target || strchr(encoded, '?'))
        return -EINVAL;
    return http_target_path(target, path, PATH_MAX);
}

static const char *text_of(const json_t *item, const char *key)
{
    const json_t *value = json_object_get(item, key);
    const char *text = json_string_value(value);
    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static int read_path(struct manifest_reader *reader, const json_t *item)
{
    const char *encoded = text_of(item, "path");
    char shown[200];

    if (!encoded)
        return bad(reader, "line %llu has no path", (unsigned long long)reader->entries + 1);
    if (decode(encoded, reader->path) < 0 || !path_is_safe(reader->path))
        return bad(reader, "it names \"%s\", which is no path within the directory",
                   client_escape(encoded, shown, sizeof shown));
    return 0;
}

static int read_times(struct manifest_reader *reader, const json_t *item, struct manifest_node *node)
{
    const char *modified = text_of(item, "mtime"), *mode = text_of(item, "mode");
    if (!modified || http_time_parse(modified, &node->modified) < 0 || !mode || http_mode_parse(mode, &node->mode) < 0)
        return bad(reader, "line %llu has no mtime or no mode as they must be",
                   (unsigned long long)reader->entries + 1);
    return 0;
}

static int read_size(struct manifest_reader *reader, const json_t *item, struct manifest_node *node)
{
    const json_t *size = json_object_get(item, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return bad(reader, "line %llu is a file without a size", (unsigned long long)reader->entries + 1);
    node->size = (uint64_t)json_integer_value(size);
    return 0;
}

static int read_link(struct manifest_reader *reader, const json_t *item, struct manifest_node *node)
{
    const char *target = text_of(item, "target"), *to = text_of(item, "to");
    if (!target || !target[0] || decode(target, reader->target) < 0 || !reader->target[0])
        return bad(reader, "line %llu is a link without a target", (unsigned long long)reader->entries + 1);
    node->target = reader->target;
    node->to_file = to && strcmp(to, "file") == 0;
    node->to_directory = to && strcmp(to, "directory") == 0;
    return node->to_file ? read_size(reader, item, node) : 0;
}

static int read_kind(struct manifest_reader *reader, const json_t *item, struct manifest_node *node)
{
    static const char *const kinds[] = { [MANIFEST_FILE] = "file",
                                         [MANIFEST_DIRECTORY] = "directory",
                                         [MANIFEST_LINK] = "link",
                                         [MANIFEST_FAULT] = "fault" };
    const char *type = text_of(item, "type");
    for (unsigned i = 0; type && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(type, kinds[i]) == 0) {
            node->kind = (enum manifest_kind)i;
            return 0;
        }
    }
    return bad(reader, "line %llu is of no known type", (unsigned long long)reader->entries + 1);
}

/* Strings of `node` live in `item` and the reader. */
static int read_node(struct manifest_reader *reader, const json_t *item, struct manifest_node *node)
{
    *node = (struct manifest_node){ .path = reader->path };
    int error = read_kind(reader, item, node);
    if (error < 0)
        return error;
    if (node->kind == MANIFEST_FAULT) {
        /* Of the directory itself the path is empty. */
        const char *encoded = text_of(item, "path"), *reason = text_of(item, "reason");
        reader->path[0] = '\0';
        node->reason = reason ? reason : "the server does not say why";
        return encoded && !encoded[0] ? 0 : read_path(reader, item);
    }
    error = read_path(reader, item);
    if (error == 0)
        error = read_times(reader, item, node);
    if (error == 0 && node->kind == MANIFEST_FILE)
        error = read_size(reader, item, node);
    if (error == 0 && node->kind == MANIFEST_LINK)
        error = read_link(reader, item, node);
    return error;
}

static int read_end(struct manifest_reader *reader, const json_t *item)
{
    const json_t *entries = json_object_get(item, "entries");
    if (!json_is_integer(entries) || (uint64_t)json_integer_value(entries) != reader->entries)
        return bad(reader, "its last line does not count what came before");
    reader->ended = true;
    return 0;
}

static int read_item(struct manifest_reader *reader, const json_t *item)
{
    struct manifest_node node;

    if (!json_is_object(item))
        return bad(reader, "line %llu is no object", (unsigned long long)reader->entries + 1);
    if (json_is_true(json_object_get(item, "end")))
        return read_end(reader, item);
    int error = read_node(reader, item, &node);
    if (error < 0)
        return error;
    reader->entries++;
    return reader->visit(reader->argument, &node);
}

static int read_line(struct manifest_reader *reader)
{
    json_error_t error;

    if (reader->ended)
        return bad(reader, "it goes on after its last line");
    json_t *item = json_loadb(reader->line, reader->length, JSON_REJECT_DUPLICATES, &error);
    if (!item)
        return bad(reader, "line %llu is not JSON", (unsigned long long)reader->entries + 1);
    int result = read_item(reader, item);
    json_decref(item);
    reader->length = 0;
    return result;
}

int manifest_feed(struct manifest_reader *reader, const char *bytes, size_t length)
{
    int result = 0;

    reader->bytes += length;
    if (reader->bytes > MANIFEST_BYTES_MAX)
        return bad(reader, "it is longer than %llu MiB; ask for its directories one by one",
                   (unsigned long long)(MANIFEST_BYTES_MAX >> 20));
    while (length > 0 && result == 0) {
        const char *end = memchr(bytes, '\n', length);
        size_t piece = end ? (size_t)(end - bytes) : length;
        if (piece > sizeof reader->line - reader->length)
            return bad(reader, "line %llu is too long", (unsigned long long)reader->entries + 1);
        memcpy(reader->line + reader->length, bytes, piece);
        reader->length += piece;
        piece += end != NULL;
        bytes += piece;
        length -= piece;
        if (end)
            result = read_line(reader);
    }
    return result;
}
