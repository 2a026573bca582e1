/* What of a session goes into the catalog. */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/catalog/writer.h"

#define RUNNING_AFTER_US 250000 /* a shorter transfer is recorded when it has ended, once */
#define END_PATIENCE_MS 5000    /* that the end of the server waits for a file that cannot be written */

/* -- the file ------------------------------------------------------------------------------------------------------ */

int record_check(const struct config_server *settings, struct config_errors *errors)
{
    char folder[PATH_MAX];
    struct stat facts;
    const char *slash = settings->catalog ? strrchr(settings->catalog, '/') : NULL;

    if (!slash)
        return 0;
    snprintf(folder, sizeof folder, "%.*s", slash == settings->catalog ? 1 : (int)(slash - settings->catalog),
             settings->catalog);
    if (stat(folder, &facts) == 0 && S_ISDIR(facts.st_mode))
        return 0;
    config_errors_add_at(errors, CONFIG_ERROR, settings->section, "catalog",
                         "catalog: the directory \"%s\" does not exist; make it, or name another", folder);
    return -ENOENT;
}

/* As whoever may do most: the file becomes the server's user's. */
static int open_once(const struct config_server *settings, struct catalog **catalog, char why[CATALOG_WHY_SIZE])
{
    uid_t user;
    gid_t group;

    privileges_whom(settings, &user, &group);
    int rc = catalog_prepare(settings->catalog, user, group, why);
    return rc < 0 ? rc : catalog_open(catalog, settings->catalog, CATALOG_WRITE, why);
}

static int open_after_damage(struct server *server, const struct config_server *settings, struct catalog **catalog,
                             char why[CATALOG_WHY_SIZE])
{
    char aside[PATH_MAX], text[CATALOG_WHY_SIZE + PATH_MAX + 128];
    struct stat facts;
    int rc = stat(settings->catalog, &facts) < 0 ? -errno : 0;

    if (rc == 0)
        rc = catalog_set_aside(settings->catalog, facts.st_ino, aside, sizeof aside);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof text, "%s; what was recorded until now stands in %s, and a new file is begun", why, aside);
    event(server->log, "C02W", EVENT_T("file", settings->catalog), EVENT_T("reason", text), EVENT_T("aside", aside));
    return open_once(settings, catalog, why);
}

/* What an operator must mend first; anything else may pass, and transfers go on meanwhile. */
static bool is_lasting(int rc)
{
    return rc == -ENOENT || rc == -EACCES || rc == -EROFS || rc == -EMEDIUMTYPE || rc == -ENAMETOOLONG ||
           rc == -EMLINK || rc == -ELOOP || rc == -ENOTDIR;
}

int record_open(struct server *server, struct catalog **catalog, struct config_errors *errors)
{
    const struct config_server *settings = &server->epoch->config->server;
    char why[CATALOG_WHY_SIZE] = "";

    *catalog = NULL;
    if (!settings->catalog)
        return 0;
    if (record_check(settings, errors) < 0)
        return -EINVAL;
    int rc = open_once(settings, catalog, why);
    if (rc == -EUCLEAN)
        rc = open_after_damage(server, settings, catalog, why);
    if (!is_lasting(rc))
        return 0;
    config_errors_add_at(errors, CONFIG_ERROR, settings->section, "catalog", "catalog: %s", why);
    return -EINVAL;
}

static uint64_t keep_of(const struct config_server *settings)
{
    return (uint64_t)settings->catalog_keep_days * 24 * 3600 * 1000000;
}

void record_follow(struct server *server)
{
    if (server->catalog)
        catalog_writer_keep(server->catalog, keep_of(&server->epoch->config->server));
}

int record_start(struct server *server, struct catalog *catalog)
{
    const struct catalog_writer_options options = { .file = server->lasting.catalog,
                                                    .catalog = catalog,
                                                    .log = server->log,
                                                    .keep = keep_of(&server->epoch->config->server) };

    return server->lasting.catalog ? catalog_writer_new(&server->catalog, &options) : 0;
}

void record_stop(struct server *server)
{
    catalog_writer_free(server->catalog, END_PATIENCE_MS);
    server->catalog = NULL;
}

/* -- a transfer ---------------------------------------------------------------------------------------------------- */

/* A question, a deletion and a path that made no sense are none. */
static bool is_transfer(const struct session *session, bool out)
{
    const struct http_head *request = session->request;

    return session->worker->server->catalog && request && session->path && session->path[0] &&
           request->method == (out ? HTTP_GET : HTTP_PUT);
}

/* A listing is none, and neither is to hear that nothing has changed. */
static bool is_of_a_file(const struct session *session, bool out)
{
    return !out || (S_ISREG(session->facts.st_mode) && session->status != 304);
}

static const char *authentication(const struct session *session, const struct channel_facts *facts)
{
    enum gate_means means = session->identified ? session->identity.means : GATE_NOTHING;
    bool password = means == GATE_PASSWORD || means == GATE_BOTH;

    if (!facts->version[0])
        return password ? "none+password" : "none";
    if (facts->peer_verified)
        return password ? "mutual+password" : "mutual";
    return password ? "server+password" : "server";
}

static void fill_who(const struct session *session, struct catalog_record *record)
{
    const struct gate_identity *identity = &session->identity;

    if (!session->identified || !identity->name[0])
        return;
    if (identity->partner)
        record->partner = identity->partner->name;
    if (identity->user || !identity->partner)
        record->user = identity->name;
}

static uint64_t size_of(const struct session *session, bool out)
{
    const struct http_head *request = session->request;

    if (out || session->status == 201 || session->status == 204)
        return (uint64_t)session->facts.st_size;
    return request && request->framing == HTTP_BODY_LENGTH ? request->length : CATALOG_UNKNOWN;
}

static void push(struct session *session, struct catalog_record *record)
{
    const struct channel_facts *facts = channel_facts(session->channel);
    const struct digest *digest = digest_set_strongest(&session->digests);
    char digest_text[32 + DIGEST_HEX_SIZE], hex[DIGEST_HEX_SIZE], told[PUMP_TOLD_SIZE];

    if (digest && record->state == CATALOG_DONE) {
        digest_hex(digest, hex);
        snprintf(digest_text, sizeof digest_text, "%s:%s", digest_name(digest->algorithm), hex);
        record->digest = digest_text;
    }
    fill_who(session, record);
    record->id = session->transfer;
    record->role = CATALOG_SERVER;
    record->remote = session->path;
    record->begun = catalog_now() - (request_clock() - session->began);
    record->queued = record->begun; /* the id is of the moment in which it was first recorded */
    record->status = session->status;
    record->peer = session->peer;
    record->protocol = session->service->protocol->name;
    record->pump = pump_told(&session->pump.choice, told);
    record->tx = channel_why(session->channel, CHANNEL_TX);
    record->rx = channel_why(session->channel, CHANNEL_RX);
    record->version = facts->version;
    record->suite = facts->suite;
    record->authentication = authentication(session, facts);
    record->subject = facts->peer_subject;
    record->resumed = facts->resumed;
    session->transfer = catalog_writer_push(session->worker->server->catalog, record);
}

void record_ended(struct session *session, const char *direction, uint64_t bytes, const char *event, const char *why)
{
    bool out = strcmp(direction, "out") == 0;
    struct catalog_record record = {
        .state = why ? CATALOG_FAILED : CATALOG_DONE,
        .direction = out ? CATALOG_OUT : CATALOG_IN,
        .offset = out ? session->range.first : 0,
        .bytes = bytes,
        .event = event,
        .reason = why,
    };

    if (session->recorded || !is_transfer(session, out) || !is_of_a_file(session, out))
        return;
    record.ended = catalog_now();
    record.size = size_of(session, out);
    session->recorded = true;
    push(session, &record);
}

/*
 * A stranger can be refused as often as it likes: before a body has come, that is an event, and fills no file. A part
 * that is refused may be sent again; only the whole, when it is not what was promised, has failed.
 */
void record_refused(struct session *session, unsigned status, const char *why)
{
    bool out = session->request && session->request->method == HTTP_GET;
    bool known = session->identified && session->identity.name[0];
    struct catalog_record record = {
        .state = CATALOG_FAILED,
        .direction = out ? CATALOG_OUT : CATALOG_IN,
        .size = CATALOG_UNKNOWN,
        .bytes = session->stored,
        .event = "T02W",
        .reason = why,
        .ended = catalog_now(),
    };

    if (session->recorded || !is_transfer(session, out) || (!known && session->stored == 0) ||
        (session->part && status != 422))
        return;
    session->recorded = true;
    session->status = status;
    push(session, &record);
}

void record_tick(struct session *session)
{
    struct catalog_record record = { .state = CATALOG_RUNNING };

    bool out = session->pump.way == PUMP_SEND;

    if (session->transfer || session->part || session->waiting != WAIT_PUMP || !is_transfer(session, out) ||
        !is_of_a_file(session, out) || request_clock() - session->began < RUNNING_AFTER_US)
        return;
    record.direction = out ? CATALOG_OUT : CATALOG_IN;
    record.offset = out ? session->range.first : 0;
    record.bytes = session->stored + session->pump.moved;
    record.size = size_of(session, out);
    push(session, &record);
}

void record_begin(struct session *session)
{
    session->transfer = 0;
    session->recorded = false;
}

/* One that was said to run, and of whose end nobody spoke. */
void record_release(struct session *session)
{
    if (session->transfer && !session->recorded)
        record_ended(session, session->pump.way == PUMP_SEND ? "out" : "in", session->stored + session->pump.moved,
                     "T01E", "the connection ended");
}
