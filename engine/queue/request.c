/* What to do, as it stands in a job. */
#include "engine/queue/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verify_words[] = {
    [CLIENT_VERIFY_USUAL] = "usual",
    [CLIENT_VERIFY_ALWAYS] = "always",
    [CLIENT_VERIFY_NEVER] = "never",
};

static const char *const exists_words[] = {
    [CLIENT_IF_EXISTS_REPLACE] = "replace",
    [CLIENT_IF_EXISTS_FAIL] = "fail",
    [CLIENT_IF_EXISTS_SKIP] = "skip",
    [CLIENT_IF_EXISTS_RENAME] = "rename",
};

static const char *const link_words[] = { "follow", "refuse" };

static const char *const tree_link_words[] = {
    [QUEUE_LINKS_FOLLOW] = "follow",
    [QUEUE_LINKS_SKIP] = "skip",
    [QUEUE_LINKS_KEEP] = "keep",
};

#define COUNT(words) (sizeof(words) / sizeof *(words))

struct text {
    char *bytes;
    size_t length;
    bool overflow;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int length = vsnprintf(text->bytes + text->length, QUEUE_REQUEST_SIZE - text->length, format, list);
    va_end(list);
    if (length < 0 || (size_t)length >= QUEUE_REQUEST_SIZE - text->length)
        text->overflow = true;
    else
        text->length += (size_t)length;
}

/* A glob is any bytes; those that would break the line are written as %XX. */
static void add_rules(struct text *text, const struct queue_request *request)
{
    for (size_t at = 0; at < request->rules_length && !text->overflow; at++) {
        add(text, request->rules[at] == '+' ? "include=" : "exclude=");
        while (++at < request->rules_length && request->rules[at]) {
            unsigned char byte = (unsigned char)request->rules[at];
            add(text, byte == '%' || byte < ' ' || byte == 0x7f ? "%%%02X" : "%c", byte);
        }
        add(text, "\n");
    }
}

size_t queue_request_print(const struct queue_request *request, char bytes[QUEUE_REQUEST_SIZE])
{
    struct text text = { .bytes = bytes };

    add(&text, "verify=%s\ndigest=%s\nif_exists=%s\nstreams=%u\nlimit_rate=%" PRIu64 "\nlinks=%s\n",
        verify_words[request->verify], digest_name(request->digest), exists_words[request->if_exists], request->streams,
        request->limit_rate, link_words[request->no_links]);
    if (request->is_tree)
        add(&text, "tree_links=%s\nchecksum=%u\nexact_modes=%u\nor_file=%u\n", tree_link_words[request->tree_links],
            request->checksum, request->exact_modes, request->or_file);
    if (request->is_tree)
        add_rules(&text, request);
    return text.overflow ? 0 : text.length;
}

static bool read_word(const char *value, const char *const *words, size_t count, unsigned *number)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(words[i], value) == 0) {
            *number = i;
            return true;
        }
    }
    return false;
}

static bool read_number(const char *value, uint64_t maximum, uint64_t *number)
{
    char *end;

    if (*value < '0' || *value > '9')
        return false;
    errno = 0;
    *number = strtoull(value, &end, 10);
    return errno == 0 && *end == '\0' && *number <= maximum;
}

static bool read_flag(const char *value, bool *flag)
{
    uint64_t number = 0;
    bool good = read_number(value, 1, &number);

    *flag = number == 1;
    return good;
}

static int hex(char digit)
{
    return digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static bool read_rule(const char *value, char sign, struct queue_request *request)
{
    size_t at = request->rules_length;

    if (!*value)
        return false;
    for (request->rules[at++] = sign; *value; value++) {
        int byte = (unsigned char)*value;
        if (byte == '%') {
            int high = hex(value[1]), low = high < 0 ? -1 : hex(value[2]);
            byte = low < 0 ? 0 : high * 16 + low;
            value += 2;
        }
        if (byte == 0 || at + 1 >= sizeof request->rules)
            return false;
        request->rules[at++] = (char)byte;
    }
    request->rules[at++] = '\0';
    request->rules_length = at;
    return true;
}

/* Of a tree alone. */
static bool read_tree_line(const char *key, const char *value, struct queue_request *request)
{
    unsigned word = 0;
    bool good = false;

    if (strcmp(key, "tree_links") == 0) {
        good = read_word(value, tree_link_words, COUNT(tree_link_words), &word);
        request->tree_links = (enum queue_links)word;
    } else if (strcmp(key, "checksum") == 0) {
        good = read_flag(value, &request->checksum);
    } else if (strcmp(key, "exact_modes") == 0) {
        good = read_flag(value, &request->exact_modes);
    } else if (strcmp(key, "or_file") == 0) {
        good = read_flag(value, &request->or_file);
    } else if (strcmp(key, "include") == 0 || strcmp(key, "exclude") == 0) {
        good = request->rules_length < sizeof request->rules - 2 && read_rule(value, *key == 'i' ? '+' : '-', request);
    }
    request->is_tree |= good;
    return good;
}

static bool read_line(char *line, struct queue_request *request)
{
    char *value = strchr(line, '=');
    uint64_t number = 0;
    unsigned word = 0;
    bool good = false;

    if (!value)
        return false;
    *value++ = '\0';
    if (strcmp(line, "verify") == 0) {
        good = read_word(value, verify_words, COUNT(verify_words), &word);
        request->verify = (enum client_verify)word;
    } else if (strcmp(line, "if_exists") == 0) {
        good = read_word(value, exists_words, COUNT(exists_words), &word);
        request->if_exists = (enum client_if_exists)word;
    } else if (strcmp(line, "links") == 0) {
        good = read_word(value, link_words, COUNT(link_words), &word);
        request->no_links = word == 1;
    } else if (strcmp(line, "streams") == 0) {
        good = read_number(value, 64, &number);
        request->streams = (unsigned)number;
    } else if (strcmp(line, "limit_rate") == 0) {
        good = read_number(value, INT64_MAX, &request->limit_rate);
    } else if (strcmp(line, "digest") == 0) {
        good = digest_by_name(value, strlen(value), &request->digest);
    } else {
        good = read_tree_line(line, value, request);
    }
    return good;
}

int queue_request_parse(const char *text, size_t length, struct queue_request *request)
{
    char copy[QUEUE_REQUEST_SIZE], *rest = copy;

    *request = (struct queue_request){ 0 };
    if (length >= sizeof copy || memchr(text, '\0', length))
        return -EINVAL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (*line && !read_line(line, request))
            return -EINVAL;
    }
    return 0;
}
