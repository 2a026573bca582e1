#include "engine/cli/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/http/http.h"

#define HTTPS "https://"
#define HTTPS_PORT 443
#define PATH_SIZE 8192

static int refuse(char *why, size_t size, const char *text, const char *what)
{
    snprintf(why, size, "\"%s\": %s", text, what);
    return -EINVAL;
}

static int parse_port(const char *text, size_t length, uint16_t *port)
{
    unsigned long value = 0;
    if (length == 0 || length > 5)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        value = value * 10 + (unsigned long)(text[i] - '0');
    }
    if (value == 0 || value > UINT16_MAX)
        return -EINVAL;
    *port = (uint16_t)value;
    return 0;
}

/* "." and ".." would be resolved differently by every server; what is meant can be written without them. */
static bool has_dot_segment(const char *path)
{
    while (*path) {
        size_t length = strcspn(path, "/");
        if ((length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
            return true;
        path += length;
        path += *path == '/';
    }
    return false;
}

static int set_path(struct remote *remote, const char *path, const char *text, char *why, size_t size)
{
    path += strspn(path, "/");
    if (has_dot_segment(path))
        return refuse(why, size, text, "a remote path has no \".\" or \"..\" in it; write where it leads");
    if (strlen(path) >= PATH_SIZE)
        return refuse(why, size, text, "the path is too long");
    remote->path = strdup(path);
    return remote->path ? 0 : -ENOMEM;
}

/* host, host:port, [address] or [address]:port */
static int parse_authority(struct remote *remote, const char *authority, size_t length, const char *text, char *why,
                           size_t size)
{
    const char *end = authority + length, *host = authority, *rest;

    if (memchr(authority, '@', length))
        return refuse(why, size, text, "a user name in the URL is not supported; use --cert and --key");
    if (length > 0 && authority[0] == '[') {
        host++;
        rest = memchr(host, ']', (size_t)(end - host));
        if (!rest)
            return refuse(why, size, text, "the IPv6 address has no closing bracket");
        remote->name = strndup(host, (size_t)(rest - host));
        rest++;
    } else {
        rest = memchr(host, ':', length);
        rest = rest ? rest : end;
        remote->name = strndup(host, (size_t)(rest - host));
    }
    if (!remote->name)
        return -ENOMEM;
    if (!remote->name[0])
        return refuse(why, size, text, "the URL has no host");
    remote->port = HTTPS_PORT;
    if (rest < end && (*rest != ':' || parse_port(rest + 1, (size_t)(end - rest - 1), &remote->port) < 0))
        return refuse(why, size, text, "the port is not a number from 1 to 65535");
    return 0;
}

static int parse_url(struct remote *remote, const char *text, char *why, size_t size)
{
    const char *authority = text + strlen(HTTPS);
    size_t length = strcspn(authority, "/?#");
    const char *target = authority + length;
    char path[PATH_SIZE];

    remote->kind = REMOTE_URL;
    int result = parse_authority(remote, authority, length, text, why, size);
    if (result < 0)
        return result;
    if (strpbrk(target, "?#"))
        return refuse(why, size, text, "a query or fragment means nothing for a file; write ? as %3F and # as %23");
    if (*target && http_target_path(target, path, sizeof path) < 0)
        return refuse(why, size, text, "the path is too long, or has a % without two hexadecimal digits");
    return set_path(remote, *target ? path : "", text, why, size);
}

static int parse_partner(struct remote *remote, const char *text, const char *colon, char *why, size_t size)
{
    remote->kind = REMOTE_PARTNER;
    remote->name = strndup(text, (size_t)(colon - text));
    if (!remote->name)
        return -ENOMEM;
    if (!remote->name[0])
        return refuse(why, size, text, "a partner's name stands before the colon; a local file is written ./:name");
    return set_path(remote, colon + 1, text, why, size);
}

int remote_parse(struct remote *remote, const char *text, char *why, size_t size)
{
    *remote = (struct remote){ .kind = REMOTE_LOCAL };
    snprintf(why, size, "no memory");
    if (strncasecmp(text, HTTPS, strlen(HTTPS)) == 0)
        return parse_url(remote, text, why, size);
    if (strstr(text, "://"))
        return refuse(why, size, text, "only https:// URLs are known");
    const char *colon = strchr(text, ':');
    if (colon && colon < text + strcspn(text, "/"))
        return parse_partner(remote, text, colon, why, size);
    if (!text[0])
        return refuse(why, size, text, "an empty name");
    remote->path = strdup(text);
    return remote->path ? 0 : -ENOMEM;
}

void remote_clear(struct remote *remote)
{
    free(remote->name);
    free(remote->path);
    *remote = (struct remote){ 0 };
}

bool remote_same_server(const struct remote *a, const struct remote *b)
{
    if (a->kind != b->kind || a->port != b->port || !a->name || !b->name)
        return false;
    return a->kind == REMOTE_URL ? strcasecmp(a->name, b->name) == 0 : strcmp(a->name, b->name) == 0;
}

bool path_is_directory(const char *path)
{
    size_t length = strlen(path);
    return length == 0 || path[length - 1] == '/';
}

const char *path_name(const char *path, size_t *length)
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *length = end - begin;
    if (has_dot_segment(path + begin))
        *length = 0;
    return path + begin;
}

char *path_join(const char *directory, const char *name, size_t length)
{
    char *joined;
    const char *slash = path_is_directory(directory) ? "" : "/";
    return asprintf(&joined, "%s%s%.*s", directory, slash, (int)length, name) < 0 ? NULL : joined;
}
