/* What to do, as it stands in a job. */
#include "engine/queue/queue.h"

#include <errno.h>
#include <inttypes.h>
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

#define COUNT(words) (sizeof(words) / sizeof *(words))

size_t queue_request_print(const struct queue_request *request, char text[QUEUE_REQUEST_SIZE])
{
    return (size_t)snprintf(
        text, QUEUE_REQUEST_SIZE, "verify=%s\ndigest=%s\nif_exists=%s\nstreams=%u\nlimit_rate=%" PRIu64 "\nlinks=%s\n",
        verify_words[request->verify], digest_name(request->digest), exists_words[request->if_exists], request->streams,
        request->limit_rate, link_words[request->no_links]);
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
