#include "engine/server/server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A listing is made in memory; this many entries of the longest names stay below half a gigabyte. */
#define LISTING_ENTRIES 1000000
#define ENTRY_MAX 8192 /* a name of 255 bytes in its longest escaped forms, and the rest of its line */

struct listing {
    int file;
    bool json;
    bool first;
    char *buffer;
    size_t length;
    size_t total;
};

#define LISTING_BUFFER (16 * ENTRY_MAX)

static int put_out(struct listing *listing)
{
    for (size_t done = 0; done < listing->length;) {
        ssize_t n = write(listing->file, listing->buffer + done, listing->length - done);
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    listing->total += listing->length;
    listing->length = 0;
    return 0;
}

static void write_json(struct http_writer *out, const struct store_entry *entry, bool first)
{
    char modified[HTTP_DATE_SIZE];

    http_date(entry->modified.tv_sec, modified);
    http_write(out, "%s{\"name\": ", first ? "\n" : ",\n");
    http_write_json_string(out, entry->name);
    http_write(out, ", \"type\": \"%s\", \"mtime\": \"%s\"", entry->directory ? "directory" : "file", modified);
    if (!entry->directory)
        http_write(out, ", \"size\": %llu", (unsigned long long)entry->size);
    http_write(out, "}");
}

static void write_html(struct http_writer *out, const struct store_entry *entry)
{
    char modified[HTTP_DATE_SIZE], link[3 * 256];
    const char *slash = entry->directory ? "/" : "";

    if (http_path_encode(entry->name, link, sizeof link) < 0)
        return;
    http_date(entry->modified.tv_sec, modified);
    /* "./" keeps a name with a colon from being read as a scheme. */
    http_write(out, "<tr><td><a href=\"./%s%s\">", link, slash);
    http_write_html(out, entry->name);
    http_write(out, "%s</a></td><td>%s</td><td>", slash, modified);
    if (!entry->directory)
        http_write(out, "%llu", (unsigned long long)entry->size);
    http_write(out, "</td></tr>\n");
}

static int visit(void *argument, const struct store_entry *entry)
{
    struct listing *listing = argument;
    struct http_writer out = { .bytes = listing->buffer + listing->length,
                               .capacity = LISTING_BUFFER - listing->length };

    if (listing->json)
        write_json(&out, entry, listing->first);
    else
        write_html(&out, entry);
    if (out.overflow)
        return -EOVERFLOW;
    listing->first = false;
    listing->length += out.length;
    return listing->length > LISTING_BUFFER - ENTRY_MAX ? put_out(listing) : 0;
}

static int print(struct listing *listing, const char *text)
{
    size_t length = strlen(text);

    memcpy(listing->buffer + listing->length, text, length);
    listing->length += length;
    return put_out(listing);
}

static int make(struct listing *listing, int directory)
{
    int rc = print(listing, listing->json ? "["
                                          : "<!doctype html><meta charset=\"utf-8\"><title>Listing</title>\n"
                                            "<table><tr><th>Name</th><th>Modified</th><th>Bytes</th></tr>\n");
    if (rc == 0)
        rc = store_list(directory, LISTING_ENTRIES, visit, listing);
    if (rc == 0)
        rc = print(listing, listing->json ? "\n]\n" : "</table>\n");
    return rc;
}

void listing_make(struct job *job)
{
    struct session *session = session_of_job(job);
    struct listing listing = { .json = session->json, .first = true };

    listing.file = memfd_create("listing", MFD_CLOEXEC);
    listing.buffer = malloc(LISTING_BUFFER);
    int rc = listing.file < 0 ? -errno : listing.buffer ? make(&listing, session->file) : -ENOMEM;
    free(listing.buffer);
    if (rc == 0 && listing.total > INT32_MAX)
        rc = -E2BIG;
    if (rc < 0) {
        if (listing.file >= 0)
            close(listing.file);
        session->result = rc;
        return;
    }
    close(session->file);
    session->file = listing.file;
    session->result = (int)listing.total;
}
