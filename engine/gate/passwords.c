#include "engine/gate/passwords.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "engine/gate/passwords_internal.h"

/* What is spent on a name that nobody has while no entry says what it costs: yescrypt's default. No password is it. */
#define NOBODY "$y$j9T$kDt6WqGmVKSJUWyGz4q0x0$"

struct entry {
    const char *name, *hash; /* in `text` */
    unsigned line;
};

struct passwords {
    char *text;
    size_t length;
    struct entry *entries; /* by name */
    size_t count;
    uint64_t seed; /* so that nobody can tell which entry stands in for which unknown name */
};

/* Where a file is read from, for sentences. */
struct reading {
    const char *file;
    const struct config_section *section;
    const char *key;
    struct config_errors *errors;
};

#define REPORT(reading, severity, format, ...)                                                                         \
    config_errors_add_at((reading)->errors, (severity), (reading)->section, (reading)->key, "%s \"%s\"" format,        \
                         (reading)->key ? (reading)->key : "file", (reading)->file, __VA_ARGS__)

bool passwords_name_good(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+";
    size_t length = strlen(name);
    return length >= 1 && length <= 127 && strspn(name, letters) == length;
}

void passwords_wipe(char *text, size_t length)
{
    if (text)
        OPENSSL_cleanse(text, length);
    free(text);
}

int passwords_take_in(int fd, char **text, size_t *length)
{
    *length = 0;
    *text = malloc(PASSWORDS_FILE_MAX + 1);
    if (!*text)
        return -ENOMEM;
    int result = 0;
    while (result == 0) {
        ssize_t got = read(fd, *text + *length, PASSWORDS_FILE_MAX + 1 - *length);
        if (got == 0)
            break;
        if (got > 0)
            *length += (size_t)got;
        else if (errno != EINTR)
            result = -errno;
        if (*length > PASSWORDS_FILE_MAX)
            result = -EFBIG;
    }
    if (result) {
        passwords_wipe(*text, *length);
        *text = NULL;
        return result;
    }
    (*text)[*length] = 0;
    return 0;
}

static bool check_mode(const struct reading *reading, int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        REPORT(reading, CONFIG_ERROR, " is not a file; name one that `sluice passwd` has made%s", "");
        return false;
    }
    unsigned mode = status.st_mode & 07777;
    if (mode & S_IRWXO)
        REPORT(
            reading, CONFIG_ERROR,
            " is open to every user of this machine (mode %04o); chmod 600 it, and set the passwords again if others "
            "can have read it",
            mode);
    else if (mode & S_IRWXG)
        REPORT(reading, CONFIG_WARNING, " is open to its whole group (mode %04o); chmod 600 it unless that is meant",
               mode);
    return !(mode & S_IRWXO);
}

static void report_open(const struct reading *reading, int error)
{
    const char *remedy = error == ENOENT  ? "make it with `sluice passwd NAME`, or remove the key"
                         : error == EFBIG ? "4 MiB is the most that is read: name the right file"
                                          : "let the user who runs the server read it";
    REPORT(reading, CONFIG_ERROR, " cannot be read: %s; %s", strerror(error), remedy);
}

static bool take_in(const struct reading *reading, struct passwords *passwords)
{
    int fd = open(reading->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        report_open(reading, errno);
        return false;
    }
    bool good = check_mode(reading, fd);
    int result = passwords_take_in(fd, &passwords->text, &passwords->length);
    close(fd);
    if (result)
        report_open(reading, -result);
    return good && result == 0;
}

/* One line, ended by NUL. Never quotes what may be a hash. */
static const char *line_fault(char *line, size_t length, struct entry *entry)
{
    if (strlen(line) != length)
        return "holds a NUL byte: it is no text file";
    char *colon = strchr(line, ':');
    if (!colon)
        return "is not NAME:HASH; write it with `sluice passwd NAME`";
    *colon = 0;
    *entry = (struct entry){ .name = line, .hash = colon + 1 };
    if (!passwords_name_good(line))
        return "has a name that is not 1 to 127 letters, digits and . _ - @ +; remove it";
    return passwords_hash_fault(entry->hash);
}

static bool add_entry(struct passwords *passwords, const struct entry *entry)
{
    if ((passwords->count & (passwords->count - 1)) == 0) { /* full, at each power of two */
        size_t room = passwords->count ? 2 * passwords->count : 1;
        struct entry *entries = reallocarray(passwords->entries, room, sizeof(*entries));
        if (!entries)
            return false;
        passwords->entries = entries;
    }
    passwords->entries[passwords->count++] = *entry;
    return true;
}

static void read_line(const struct reading *reading, struct passwords *passwords, char *line, size_t length,
                      unsigned number)
{
    if (length == 0 || line[0] == '#')
        return;
    struct entry entry = { 0 };
    const char *fault = line_fault(line, length, &entry);
    entry.line = number;
    bool named = fault && entry.name && passwords_name_good(entry.name);
    if (fault)
        REPORT(reading, CONFIG_ERROR, ": line %u%s%s%s %s", number, named ? " (" : "", named ? entry.name : "",
               named ? ")" : "", fault);
    else if (!add_entry(passwords, &entry))
        REPORT(reading, CONFIG_ERROR, " does not fit in memory%s", "");
}

static void read_lines(const struct reading *reading, struct passwords *passwords)
{
    char *line = passwords->text, *end = passwords->text + passwords->length;
    for (unsigned number = 1; line < end; number++) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop)
            stop = end;
        *stop = 0;
        size_t length = (size_t)(stop - line);
        if (length && line[length - 1] == '\r')
            line[--length] = 0;
        read_line(reading, passwords, line, length, number);
        line = stop + 1;
    }
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->line < y->line ? -1 : 1;
}

static void check_twice(const struct reading *reading, const struct passwords *passwords)
{
    for (size_t i = 1; i < passwords->count; i++) {
        const struct entry *entry = &passwords->entries[i], *before = entry - 1;
        if (strcmp(entry->name, before->name) == 0)
            REPORT(reading, CONFIG_ERROR, ": line %u (%s) is there already, in line %u: remove one of them",
                   entry->line, entry->name, before->line);
    }
}

struct passwords *passwords_read(const char *file, const struct config_section *section, const char *key,
                                 struct config_errors *errors)
{
    const struct reading reading = { file, section, key, errors };
    size_t errors_before = errors->error_count;
    struct passwords *passwords = calloc(1, sizeof(*passwords));
    if (!passwords) {
        REPORT(&reading, CONFIG_ERROR, " does not fit in memory%s", "");
        return NULL;
    }
    if (getrandom(&passwords->seed, sizeof(passwords->seed), 0) != sizeof(passwords->seed))
        REPORT(&reading, CONFIG_ERROR, " cannot be used: the kernel gives no random numbers: %s", strerror(errno));
    if (take_in(&reading, passwords)) {
        read_lines(&reading, passwords);
        if (passwords->count)
            qsort(passwords->entries, passwords->count, sizeof(*passwords->entries), compare_entries);
        check_twice(&reading, passwords);
    }
    if (errors->error_count == errors_before)
        return passwords;
    passwords_free(passwords);
    return NULL;
}

void passwords_free(struct passwords *passwords)
{
    if (!passwords)
        return;
    passwords_wipe(passwords->text, passwords->length);
    free(passwords->entries);
    free(passwords);
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct entry *)entry)->name);
}

static const struct entry *find(const struct passwords *passwords, const char *name)
{
    if (!passwords || passwords->count == 0)
        return NULL;
    return bsearch(name, passwords->entries, passwords->count, sizeof(*passwords->entries), compare_name);
}

bool passwords_know(const struct passwords *passwords, const char *name)
{
    return find(passwords, name) != NULL;
}

const char *passwords_name(const struct passwords *passwords, size_t index)
{
    return index < passwords->count ? passwords->entries[index].name : NULL;
}

/* The hash that a name nobody has is held against: always the same entry's, so that it costs what a known one costs. */
static const char *stand_in(const struct passwords *passwords, const char *name)
{
    if (!passwords || passwords->count == 0)
        return NOBODY;
    uint64_t mixed = passwords->seed ^ UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *name; name++)
        mixed = (mixed ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return passwords->entries[(mixed >> 32) % passwords->count].hash;
}

bool passwords_crypt(const char *password, const char *setting, char *output)
{
    struct crypt_data *data = calloc(1, sizeof(*data));
    if (!data)
        return false;
    const char *made = crypt_rn(password, setting, data, (int)sizeof(*data));
    int error = errno;
    if (made)
        strcpy(output, made);
    OPENSSL_cleanse(data, sizeof(*data));
    free(data);
    errno = error;
    return made != NULL;
}

bool passwords_hold(const struct passwords *passwords, const char *name, const char *password)
{
    const struct entry *entry = find(passwords, name);
    const char *hash = entry ? entry->hash : stand_in(passwords, name);
    char made[CRYPT_OUTPUT_SIZE];
    if (!passwords_crypt(password, hash, made))
        return false;
    size_t length = strlen(hash);
    bool same = strlen(made) == length && CRYPTO_memcmp(made, hash, length) == 0;
    OPENSSL_cleanse(made, sizeof(made));
    return same && entry;
}

bool passwords_same(const struct passwords *a, const struct passwords *b, const char *name)
{
    const struct entry *in_a = find(a, name), *in_b = find(b, name);
    return in_a && in_b && strcmp(in_a->hash, in_b->hash) == 0;
}
