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

size_t queue_request_print(const struct queue_request *request, char text[QUEUE_REQUEST_SIZE])
{
    return (size_t)snprintf(text, QUEUE_REQUEST_SIZE, "verify=%s\ndigest=%s\nlimit_rate=%" PRIu64 "\n",
                            verify_words[request->verify], digest_name(request->digest), request->limit_rate);
}

static bool read_verify(const char *value, struct queue_request *request)
{
    for (unsigned i = 0; i < sizeof verify_words / sizeof *verify_words; i++) {
        if (strcmp(verify_words[i], value) == 0) {
            request->verify = (enum client_verify)i;
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

    if (!value)
        return false;
    *value++ = '\0';
    if (strcmp(line, "verify") == 0)
        return read_verify(value, request);
    if (strcmp(line, "limit_rate") == 0)
        return read_number(value, INT64_MAX, &request->limit_rate);
    return strcmp(line, "digest") == 0 && digest_by_name(value, strlen(value), &request->digest);
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
