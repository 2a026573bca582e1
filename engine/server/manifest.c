/*
 * GET of a directory as a manifest: all beneath it, as the walk finds it. A job fills one chunk at a time, which is
 * sent before the next one is begun, so a tree of any size takes one buffer, and a peer that reads slowly holds up
 * itself alone.
 */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/store/folder.h"
#include "engine/store/walk.h"

#define CHUNK_HEAD 8  /* six digits and the end of the line */
#define CHUNK_TAIL 16 /* the end of the line, and of the body */
#define ENCODED_MAX (3 * PATH_MAX + 1)
#define LINE_MAX_BYTES (2 * ENCODED_MAX + 512) /* a link's path and target, and the rest of its line */
#define CHUNK_FULL 65536
#define BUFFER_SIZE (CHUNK_FULL + LINE_MAX_BYTES + CHUNK_HEAD + CHUNK_TAIL)

struct manifest {
    struct walk *walk;
    struct http_writer out; /* a chunk, its head and tail included */
    unsigned long long entries;
    uint64_t sent;
    bool over;
    char encoded[ENCODED_MAX];
    char bytes[BUFFER_SIZE];
};

static enum flow step_begun(struct session *session);
static enum flow step_head_sent(struct session *session);
static enum flow step_filled(struct session *session);

void manifest_free(struct manifest *manifest)
{
    if (manifest)
        walk_end(manifest->walk);
    free(manifest);
}

/* -- its lines ----------------------------------------------------------------------------------------------------- */

static void write_path(struct manifest *manifest, const char *key, const char *path)
{
    if (http_path_encode(path, manifest->encoded, sizeof manifest->encoded) < 0)
        manifest->out.overflow = true; /* cannot be: both are shorter than PATH_MAX */
    http_write(&manifest->out, "\"%s\":\"%s\"", key, manifest->encoded);
}

static void write_times(struct manifest *manifest, const struct stat *facts)
{
    char modified[HTTP_TIME_SIZE];

    http_time(&facts->st_mtim, modified);
    http_write(&manifest->out, ",\"mtime\":\"%s\",\"mode\":\"%04o\"", modified, facts->st_mode & 0777);
}

static void write_file(struct manifest *manifest, const struct stat *facts)
{
    char etag[STORE_ETAG_SIZE];

    http_write(&manifest->out, ",\"size\":%llu", (unsigned long long)facts->st_size);
    write_times(manifest, facts);
    store_etag(facts, etag);
    http_write(&manifest->out, ",\"etag\":");
    http_write_json_string(&manifest->out, etag);
}

/* Where a link leads that nobody may follow out of the store is the server's own affair: of it only that is told. */
static const char *told_target(const struct walk_entry *entry)
{
    return entry->leads || store_link_stays(entry->path, entry->target) ? entry->target : "/";
}

static void write_link(struct manifest *manifest, const struct walk_entry *entry)
{
    http_write(&manifest->out, ",\"type\":\"link\",");
    write_path(manifest, "target", told_target(entry));
    if (!entry->leads) {
        write_times(manifest, &entry->facts);
    } else if (S_ISREG(entry->beyond.st_mode)) {
        http_write(&manifest->out, ",\"to\":\"file\"");
        write_file(manifest, &entry->beyond);
    } else {
        http_write(&manifest->out, ",\"to\":\"directory\"");
        write_times(manifest, &entry->beyond);
    }
}

static const char *fault_words(int error)
{
    if (error == -ELOOP)
        return "more directories deep than a manifest goes";
    if (error == -EMFILE)
        return "too many files open, or too many directories side by side";
    return error == -ENAMETOOLONG ? "a path in it is too long" : strerror(-error);
}

static void write_entry(struct manifest *manifest, const struct walk_entry *entry)
{
    struct http_writer *out = &manifest->out;

    if (entry->kind == WALK_OTHER) /* not served, so not told of */
        return;
    http_write(out, "{");
    write_path(manifest, "path", entry->path);
    if (entry->kind == WALK_FILE) {
        http_write(out, ",\"type\":\"file\"");
        write_file(manifest, &entry->facts);
    } else if (entry->kind == WALK_DIRECTORY) {
        http_write(out, ",\"type\":\"directory\"");
        write_times(manifest, &entry->facts);
    } else if (entry->kind == WALK_LINK) {
        write_link(manifest, entry);
    } else {
        http_write(out, ",\"type\":\"fault\",\"reason\":");
        http_write_json_string(out, fault_words(entry->error));
    }
    http_write(out, "}\n");
    manifest->entries++;
}

/* -- one chunk ----------------------------------------------------------------------------------------------------- */

static void chunk_close(struct manifest *manifest)
{
    struct http_writer *out = &manifest->out;
    char head[CHUNK_HEAD + 1];
    size_t body = out->length - CHUNK_HEAD;

    snprintf(head, sizeof head, "%06zx\r\n", body & 0xffffff);
    memcpy(out->bytes, head, CHUNK_HEAD);
    http_write(out, "\r\n%s", manifest->over ? "0\r\n\r\n" : "");
    manifest->sent += body;
}

static int fill(struct manifest *manifest)
{
    struct walk_entry entry;
    int more = 1;

    manifest->out =
        (struct http_writer){ .bytes = manifest->bytes, .capacity = sizeof manifest->bytes, .length = CHUNK_HEAD };
    while (manifest->out.length < CHUNK_FULL && (more = walk_next(manifest->walk, &entry)) == 1)
        write_entry(manifest, &entry);
    if (more < 0)
        return more;
    manifest->over = more == 0;
    if (manifest->over)
        http_write(&manifest->out, "{\"end\":true,\"entries\":%llu}\n", manifest->entries);
    chunk_close(manifest);
    return manifest->out.overflow ? -EOVERFLOW : 0;
}

static void fill_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = fill(session->manifest);
}

static void begin_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result =
        walk_begin(&session->manifest->walk, store_directory(session_store(session)), session->path, false);
    if (session->result == 0)
        session->result = fill(session->manifest);
}

/* -- the answer ---------------------------------------------------------------------------------------------------- */

enum flow manifest_begin(struct session *session)
{
    session->manifest = calloc(1, sizeof *session->manifest);
    if (!session->manifest)
        return request_refuse(session, 503, "no memory");
    session_set_deadline(session, 0, NULL);
    session->step = step_begun;
    return session_wait_job(session, session->worker->server->files, begin_run);
}

static enum flow overdue(struct session *session)
{
    request_failed(session, "out", session->manifest->sent, "no progress for longer than idle_timeout");
    return FLOW_GONE;
}

static enum flow step_begun(struct session *session)
{
    struct http_writer *out = &session->out;

    session_set_deadline(session, session->epoch->config->server.idle_timeout, overdue);
    if (session->result == -EACCES || session->result == -EPERM)
        return request_refuse(session, 403, "the server may not read this directory");
    if (session->result == -EMFILE || session->result == -ENFILE || session->result == -ENOMEM)
        return request_refuse(session, 503, "the server has too many files open");
    if (session->result < 0)
        return request_refuse(session, 404, "no such directory");
    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    session->status = 200;
    http_write_status(out, 200);
    http_write(out, "Content-Type: " HTTP_MANIFEST "\r\nTransfer-Encoding: chunked\r\n%s",
               session->close_after ? "Connection: close\r\n" : "");
    http_write_end(out);
    return session_send(session, session->request->method == HTTP_HEAD ? session_next : step_head_sent);
}

static enum flow send_chunk(struct session *session)
{
    session->out = session->manifest->out;
    session->out_sent = 0;
    session_set_deadline(session, session->epoch->config->server.idle_timeout, overdue);
    return session_send(session, step_filled);
}

static enum flow step_head_sent(struct session *session)
{
    int rc = channel_switch(session->channel, CHANNEL_TX, UINT64_MAX);

    if (rc == -EAGAIN) {
        session->step = step_head_sent;
        return session_wait_socket(session);
    }
    if (rc < 0) {
        request_failed(session, "out", 0, channel_reason(session->channel));
        return session_abort(session);
    }
    return send_chunk(session);
}

static enum flow step_next_chunk(struct session *session)
{
    if (session->result == 0)
        return send_chunk(session);
    request_failed(session, "out", session->manifest->sent, strerror(-session->result));
    return session_abort(session);
}

/* A chunk is out: the next one, or the end. */
static enum flow step_filled(struct session *session)
{
    if (session->manifest->over) {
        request_transferred(session, "out", session->manifest->sent);
        return session_next(session);
    }
    session_set_deadline(session, 0, NULL);
    session->step = step_next_chunk;
    return session_wait_job(session, session->worker->server->files, fill_run);
}
