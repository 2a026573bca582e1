/*
 * Values that say who somebody is and what is theirs: folders, patterns, networks, names, fingerprints, grants.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"

int value_set_folder(const struct job *job)
{
    for (const char *part = job->text;; part++) {
        size_t length = strcspn(part, "/");
        bool dots = (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
        if (length > NAME_MAX)
            return refuse(job, "\"%.32s...\" has a part of more than %d bytes: shorten it", job->text, NAME_MAX);
        if (length == 0 || dots)
            return refuse(job,
                          "\"%s\" is not a folder beneath the store's root: write a path such as alice or a/b, "
                          "without . and .., and without slashes at its ends",
                          job->text);
        part += length;
        if (!*part)
            return value_set_text(job);
    }
}

static int add_pattern(const struct job *job, const char *part, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (isspace((unsigned char)part[i]) || strchr("\"'[]", part[i]))
            return refuse(job, "\"%.*s\" is not one word: separate words by commas", (int)length, part);
    }
    return value_append(value_field(job), strndup(part, length));
}

int value_set_patterns(const struct job *job)
{
    return value_for_each_part(job, add_pattern);
}

static int add_network(const struct job *job, const char *part, size_t length)
{
    struct config_networks *list = value_field(job);
    struct config_network network;
    char *text = strndup(part, length);
    const char *problem = text ? config_network_read(text, &network) : NULL;
    free(text);
    if (!text)
        return -ENOMEM;
    if (problem)
        return refuse(job, "\"%.*s\" %s", (int)length, part, problem);
    struct config_network *items = reallocarray(list->items, list->count + 1, sizeof(*items));
    if (!items) {
        free(network.pattern);
        return -ENOMEM;
    }
    items[list->count++] = network;
    list->items = items;
    return 0;
}

int value_set_networks(const struct job *job)
{
    return value_for_each_part(job, add_network);
}

/* What an editor counts: of UTF-8, not the bytes that go on with a character. */
static size_t characters(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

int value_set_expression(const struct job *job)
{
    char why[256];
    size_t column = 0;
    struct config_expression *expression = config_expression_parse(job->text, why, sizeof(why), &column);
    if (!expression && column == 0)
        return -ENOMEM;
    if (!expression)
        return refuse(job, "%s (at character %zu)", why, characters(job->text, column - 1) + 1);
    *(struct config_expression **)value_field(job) = expression;
    return 0;
}

static int add_fingerprint(const struct job *job, const char *part, size_t length)
{
    char digits[64 + 1];
    size_t count = 0;
    bool good = true;
    for (size_t i = 0; i < length && good; i++) {
        if (part[i] == ':')
            continue;
        good = isxdigit((unsigned char)part[i]) && count < 64;
        if (good)
            digits[count++] = (char)tolower((unsigned char)part[i]);
    }
    if (!good || count != 64)
        return refuse(job,
                      "\"%.*s\" is not the SHA-256 of a certificate: write its 64 hexadecimal digits, with or "
                      "without colons, as `openssl x509 -fingerprint -sha256` prints them",
                      (int)length, part);
    digits[64] = 0;
    return value_append(value_field(job), strdup(digits));
}

int value_set_fingerprints(const struct job *job)
{
    return value_for_each_part(job, add_fingerprint);
}

/* As certificates have it once it is printed: an address may be written in several ways, a pattern only in one. */
static char *san_of_address(const char *text)
{
    char *san = NULL, plain[INET6_ADDRSTRLEN];
    struct in6_addr address;
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, &address) == 1)
        text = inet_ntop(family, &address, plain, sizeof(plain));
    return asprintf(&san, "IP:%s", text) < 0 ? NULL : san;
}

static int add_ip_san(const struct job *job, const char *part, size_t length)
{
    char *san = strndup(part, length), *text = san ? san + strlen("IP:") : NULL;
    struct config_network network = { 0 };
    const char *problem = san ? config_network_read(text, &network) : NULL;
    if (san && !problem && strchr(text, '/'))
        problem = "is a block: a certificate has addresses, write one, or a pattern such as IP:10.1.*";
    char *whole = san && !problem ? san_of_address(network.pattern ? network.pattern : text) : NULL;
    free(network.pattern);
    free(san);
    if (problem)
        return refuse(job, "\"%.*s\" %s", (int)length, part, problem);
    return value_append(value_field(job), whole);
}

static int add_san(const struct job *job, const char *part, size_t length)
{
    static const char *const kinds[] = { "DNS:", "email:", "URI:" };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t kind = strlen(kinds[i]);
        if (length > kind && strncmp(part, kinds[i], kind) == 0)
            return value_append(value_field(job), strndup(part, length));
    }
    if (length > 3 && strncmp(part, "IP:", 3) == 0)
        return add_ip_san(job, part, length);
    return refuse(job, "\"%.*s\" does not say what kind of name it is: write DNS:, email:, URI: or IP: and the name",
                  (int)length, part);
}

int value_set_sans(const struct job *job)
{
    return value_for_each_part(job, add_san);
}

static int add_grant(const struct job *job, const char *part, size_t length)
{
    static const char *const kinds[] = { "user:", "partner:", "class:", "group:" };
    bool good =
        (length == 6 && strncmp(part, "anyone", 6) == 0) || (length == 13 && strncmp(part, "authenticated", 13) == 0);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t kind = strlen(kinds[i]);
        good = good || (length > kind && strncmp(part, kinds[i], kind) == 0);
    }
    if (!good)
        return refuse(job,
                      "\"%.*s\" is nobody: write user:NAME, partner:NAME, class:NAME, group:NAME, authenticated or "
                      "anyone",
                      (int)length, part);
    return value_append(value_field(job), strndup(part, length));
}

int value_set_grants(const struct job *job)
{
    return value_for_each_part(job, add_grant);
}
