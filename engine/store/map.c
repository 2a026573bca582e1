#include "engine/store/map.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/store/store.h"

#define HEADER "sluice-map 1\n"
#define RANGE_DIGITS 42 /* of one range with its comma */
#define CHECK_LENGTH (sizeof "check 0123456789abcdef\n" - 1)
#define MODE 0600

void store_map_clear(struct store_map *map)
{
    free(map->source);
    free(map->name);
    extents_clear(&map->have);
    *map = (struct store_map){ 0 };
}

static uint64_t check_of(const char *bytes, size_t length)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return hash;
}

static bool stands_as_it_is(unsigned char byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '%';
}

static void print_escaped(FILE *out, const char *key, const char *text)
{
    fprintf(out, "%s ", key);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (stands_as_it_is(byte))
            putc(byte, out);
        else
            fprintf(out, "%%%02X", byte);
    }
    putc('\n', out);
}

static int print_lines(const struct store_map *map, FILE *out)
{
    size_t size = map->have.count * RANGE_DIGITS + sizeof EXTENTS_NONE;
    char *ranges = malloc(size);

    if (!ranges)
        return -ENOMEM;
    extents_print(&map->have, ranges, size);
    fprintf(out, HEADER "size %llu\n", (unsigned long long)map->size);
    print_escaped(out, "source", map->source);
    print_escaped(out, "name", map->name);
    fprintf(out, "have %s\n", ranges);
    free(ranges);
    return 0;
}

int store_map_print(const struct store_map *map, char **text, size_t *length)
{
    FILE *out = open_memstream(text, length);
    if (!out)
        return -ENOMEM;
    int rc = print_lines(map, out);
    if (fflush(out) != 0)
        rc = -ENOMEM;
    if (rc == 0)
        fprintf(out, "check %016llx\n", (unsigned long long)check_of(*text, *length));
    if (fclose(out) != 0)
        rc = -ENOMEM;
    if (rc == 0 && *length > STORE_MAP_SIZE)
        rc = -E2BIG;
    if (rc < 0)
        free(*text);
    return rc;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place; only what print_escaped() writes. */
static bool unescape(char *text)
{
    char *to = text;

    for (; *text; text++) {
        int byte = (unsigned char)*text;
        if (byte == '%') {
            int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
            byte = low < 0 ? 0 : high * 16 + low;
            if (byte == 0 || stands_as_it_is((unsigned char)byte))
                return false;
            text += 2;
        } else if (!stands_as_it_is((unsigned char)byte)) {
            return false;
        }
        *to++ = (char)byte;
    }
    *to = '\0';
    return true;
}

/* The value of the next line, which must begin with `key` and a blank; cut off there. NULL: another line. */
static char *take_line(char **text, const char *key)
{
    size_t length = strlen(key);
    char *line = *text, *end = strchr(line, '\n');

    if (!end || strncmp(line, key, length) != 0 || line[length] != ' ')
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line + length + 1;
}

static bool read_size(const char *text, uint64_t *size)
{
    char *end;

    if (*text < '1' || *text > '9')
        return false;
    errno = 0;
    *size = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *size <= INT64_MAX;
}

static int read_lines(struct store_map *map, char *text)
{
    char *size = take_line(&text, "size");
    char *source = size ? take_line(&text, "source") : NULL;
    char *name = source ? take_line(&text, "name") : NULL;
    char *have = name ? take_line(&text, "have") : NULL;

    if (!have || *text || !read_size(size, &map->size) || !unescape(source) || !*source || !unescape(name))
        return -EINVAL;
    int rc = extents_parse(&map->have, have);
    if (rc < 0)
        return rc;
    if (map->have.count > 0 && map->have.items[map->have.count - 1].end > map->size)
        return -EINVAL;
    map->source = strdup(source);
    map->name = strdup(name);
    return map->source && map->name ? 0 : -ENOMEM;
}

int store_map_parse(struct store_map *map, const char *text, size_t length)
{
    struct store_map read = { 0 };
    char check[CHECK_LENGTH + 1];

    if (length > STORE_MAP_SIZE)
        return -E2BIG;
    if (length < sizeof HEADER - 1 + CHECK_LENGTH || memcmp(text, HEADER, sizeof HEADER - 1) != 0)
        return -EINVAL;
    size_t checked = length - CHECK_LENGTH;
    snprintf(check, sizeof check, "check %016llx\n", (unsigned long long)check_of(text, checked));
    if (memcmp(text + checked, check, CHECK_LENGTH) != 0 || memchr(text, '\0', checked))
        return -EINVAL;
    char *lines = strndup(text + sizeof HEADER - 1, checked - (sizeof HEADER - 1));
    if (!lines)
        return -ENOMEM;
    int rc = read_lines(&read, lines);
    free(lines);
    if (rc < 0)
        store_map_clear(&read);
    else
        *map = read;
    return rc;
}

static int write_file(int directory, const char *name, const char *bytes, size_t length, bool durable)
{
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, MODE);
    if (fd < 0)
        return -errno;
    int rc = store_write_all(fd, bytes, length);
    if (rc == 0 && durable && fsync(fd) < 0)
        rc = -errno;
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

static int temporary_name(const char *name, char temporary[NAME_MAX + 1])
{
    int length = snprintf(temporary, NAME_MAX + 1, "%s" STORE_MAP_SUFFIX, name);

    return length > NAME_MAX ? -ENAMETOOLONG : 0;
}

int store_map_save(const struct store_map *map, int directory, const char *name, bool durable)
{
    char temporary[NAME_MAX + 1], *text;
    size_t length;
    int rc = temporary_name(name, temporary);

    if (rc == 0)
        rc = store_map_print(map, &text, &length);
    if (rc < 0)
        return rc;
    rc = write_file(directory, temporary, text, length, durable);
    free(text);
    if (rc == 0 && renameat(directory, temporary, directory, name) < 0)
        rc = -errno;
    if (rc < 0)
        unlinkat(directory, temporary, 0);
    return rc;
}

static int read_all(int fd, char *bytes, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = read(fd, bytes + got, size - got);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EINVAL;
        if (n > 0)
            got += (size_t)n;
    }
    return 0;
}

static int load(struct store_map *map, int fd)
{
    struct stat facts;

    if (fstat(fd, &facts) < 0)
        return -errno;
    if (!S_ISREG(facts.st_mode) || facts.st_size > (off_t)STORE_MAP_SIZE)
        return -EINVAL;
    size_t size = (size_t)facts.st_size;
    char *text = malloc(size + 1);
    if (!text)
        return -ENOMEM;
    int rc = read_all(fd, text, size);
    if (rc == 0)
        rc = store_map_parse(map, text, size);
    free(text);
    return rc;
}

int store_map_load(struct store_map *map, int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP ? -EINVAL : -errno;
    int rc = load(map, fd);
    close(fd);
    return rc;
}

int store_map_remove(int directory, const char *name)
{
    char temporary[NAME_MAX + 1];
    int rc = temporary_name(name, temporary);

    if (rc == 0 && unlinkat(directory, temporary, 0) < 0 && errno != ENOENT)
        rc = -errno;
    if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
        rc = -errno;
    return rc;
}
