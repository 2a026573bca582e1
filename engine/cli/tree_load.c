/* What a lane sends: a small file as it is now, a directory, a link. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cli/tree.h"
#include "engine/http/http.h"

#define READ_TRIES 3 /* of a file that is written to meanwhile */

bool tree_sends_link(const struct tree_run *run, const struct tree_entry *entry)
{
    return entry->kind == TREE_LINK && run->command->arguments->links == LINKS_KEEP;
}

static int read_all(int fd, char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(fd, bytes + done, length - done, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -ENODATA;
        done += (size_t)got;
    }
    return 0;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* One state of it, not a mixture of two. 0, -ESTALE, -errno. */
static int read_whole(int fd, const struct stat *facts, char *bytes)
{
    struct stat after;
    int error = S_ISREG(facts->st_mode) ? 0 : -EISDIR;

    if (error == 0 && (uint64_t)facts->st_size > PIPELINE_BODY_MAX)
        error = -EFBIG;
    if (error == 0)
        error = read_all(fd, bytes, (size_t)facts->st_size);
    if (error == 0 && fstat(fd, &after) < 0)
        error = -errno;
    return error == 0 && !same_state(facts, &after) ? -ESTALE : error;
}

/* The file as it is now, not as it was found. 0 or -errno. */
static int load_file(struct tree_run *run, const struct tree_entry *entry, struct pipeline_load *load,
                     struct http_writer *fields)
{
    struct stat facts;
    char modified[HTTP_TIME_SIZE];
    int error = -ESTALE;

    for (unsigned tries = 0; error == -ESTALE && tries < READ_TRIES; tries++) {
        int fd = store_open_read(run->store, tree_path(run->tree, entry), &facts);
        if (fd < 0)
            return fd;
        error = read_whole(fd, &facts, load->bytes);
        close(fd);
    }
    load->length = (size_t)facts.st_size;
    http_time(&facts.st_mtim, modified);
    http_write(fields, HTTP_MODIFIED ": %s\r\n" HTTP_MODE ": %04o\r\n", modified, facts.st_mode & 0777);
    return error;
}

static void load_folder(const struct tree_entry *entry, struct http_writer *fields)
{
    char modified[HTTP_TIME_SIZE];

    http_time(&entry->modified, modified);
    http_write(fields, HTTP_TYPE ": " HTTP_TYPE_DIRECTORY "\r\n" HTTP_MODIFIED ": %s\r\n" HTTP_MODE ": %04o\r\n",
               modified, entry->mode);
}

static int load_link(const struct tree_run *run, const struct tree_entry *entry, struct pipeline_load *load,
                     struct http_writer *fields)
{
    enum client_if_exists if_exists = run->command->arguments->if_exists;

    load->length = strlen(entry->words);
    if (load->length > HTTP_LINK_MAX)
        return -ENAMETOOLONG;
    memcpy(load->bytes, entry->words, load->length);
    http_write(fields, HTTP_TYPE ": " HTTP_TYPE_LINK "\r\n");
    if (if_exists == CLIENT_IF_EXISTS_RENAME)
        http_write(fields, HTTP_IF_EXISTS ": " HTTP_IF_EXISTS_RENAME "\r\n");
    else if (if_exists != CLIENT_IF_EXISTS_REPLACE)
        http_write(fields, "If-None-Match: *\r\n");
    return 0;
}

int tree_load(struct tree_run *run, const struct tree_entry *entry, struct pipeline_load *load)
{
    struct http_writer fields = { .bytes = load->fields, .capacity = PIPELINE_FIELDS_SIZE - 1 };
    int error = 0;

    load->no_file = entry->kind == TREE_DIRECTORY || tree_sends_link(run, entry);
    if (entry->kind == TREE_DIRECTORY)
        load_folder(entry, &fields);
    else if (load->no_file)
        error = load_link(run, entry, load, &fields);
    else
        error = load_file(run, entry, load, &fields);
    load->fields[fields.length] = '\0';
    return error;
}
