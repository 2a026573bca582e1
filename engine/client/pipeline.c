#include "engine/client/pipeline.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/client/pipeline_internal.h"
#include "engine/client/verify.h"

#define SOON_MS 20

/* -- requests ------------------------------------------------------------------------------------------------------ */

static struct pipeline_slot *slot_at(struct pipeline *pipeline, unsigned index)
{
    return &pipeline->slots[(pipeline->first + index) % PIPELINE_WINDOW_MAX];
}

/* The slot's item is over, and with it the slot, which is the first or the last one. */
static void drop_first(struct pipeline *pipeline)
{
    pipeline->first = (pipeline->first + 1) % PIPELINE_WINDOW_MAX;
    pipeline->count--;
    pipeline->asked -= pipeline->asked > 0;
}

static void say_done(struct pipeline *pipeline, const struct pipeline_slot *slot, int result, const char *reason,
                     enum pipeline_alone alone)
{
    const struct pipeline_lane *lane = pipeline->lane;
    struct client_transfer transfer = pipeline->client->last;

    transfer.seconds = (double)(client_now() - slot->since) / 1000;
    lane->done(lane->argument, &slot->item, result, reason, alone, &transfer);
}

static void fail_first(struct pipeline *pipeline, int result, enum pipeline_alone alone)
{
    say_done(pipeline, slot_at(pipeline, 0), result, pipeline->client->reason, alone);
    drop_first(pipeline);
}

static int write_head(struct pipeline *pipeline, const struct pipeline_slot *slot, const char *fields, uint64_t length)
{
    const struct client_request request = { .method = pipeline->lane->put ? "PUT" : "GET",
                                            .remote = slot->item.remote,
                                            .fields = fields,
                                            .has_body = pipeline->lane->put,
                                            .length = length };
    struct http_writer writer = { .bytes = pipeline->out + pipeline->filled, .capacity = PIPELINE_HEAD_MAX };
    int error = client_write_head(pipeline->client, &request, false, &writer);
    if (error == 0)
        pipeline->filled += writer.length;
    return error;
}

static void refuse(struct pipeline *pipeline, const struct pipeline_slot *slot, int result)
{
    say_done(pipeline, slot, result, pipeline->client->reason, PIPELINE_DONE);
}

/* The fields and the body of a slot's request. False: its item is over without one. */
static bool load_slot(struct pipeline *pipeline, struct pipeline_slot *slot, struct pipeline_load *load)
{
    const struct pipeline_lane *lane = pipeline->lane;

    if (!lane->put) {
        const bool demanded = pipeline->client->options.verify == CLIENT_VERIFY_ALWAYS;
        snprintf(load->fields, PIPELINE_FIELDS_SIZE, "%s", verify_want(pipeline->client, demanded));
        return true;
    }
    if (lane->load(lane->argument, &slot->item, load) != 0)
        return false;
    int error = pipeline_promise(pipeline, slot, load);
    if (error < 0) {
        client_fail(pipeline->client, CLIENT_FAILED, "computing its digest: %s", strerror(-error));
        refuse(pipeline, slot, CLIENT_FAILED);
    }
    return error == 0;
}

/* Puts a slot's request behind what is to be sent. False: its item is over without one. */
static bool ask_for(struct pipeline *pipeline, struct pipeline_slot *slot)
{
    char fields[PIPELINE_FIELDS_SIZE] = "";
    struct pipeline_load load = { .bytes = pipeline->body, .fields = fields };

    slot->since = client_now();
    if (!load_slot(pipeline, slot, &load))
        return false;
    if (write_head(pipeline, slot, fields, load.length) < 0) {
        client_fail(pipeline->client, CLIENT_USAGE, "the remote path is too long");
        refuse(pipeline, slot, CLIENT_USAGE);
        return false;
    }
    memcpy(pipeline->out + pipeline->filled, load.bytes, load.length);
    pipeline->filled += load.length;
    slot->length = load.length;
    return true;
}

/* Takes the slot at `index` out, which was never asked for; those behind it move up. */
static void remove_slot(struct pipeline *pipeline, unsigned index)
{
    for (unsigned i = index; i + 1 < pipeline->count; i++)
        *slot_at(pipeline, i) = *slot_at(pipeline, i + 1);
    pipeline->count--;
}

/* Fills the window, as far as there are files and room. True: something was added. */
static bool fill(struct pipeline *pipeline)
{
    const struct pipeline_lane *lane = pipeline->lane;
    bool added = false;

    while (pipeline->asked < pipeline->window && pipeline->filled < PIPELINE_OUT_ENOUGH && !pipeline->closing) {
        if (pipeline->asked == pipeline->count) {
            struct pipeline_slot *fresh = slot_at(pipeline, pipeline->count);
            *fresh = (struct pipeline_slot){ 0 };
            if (pipeline->no_more || !lane->next(lane->argument, &fresh->item)) {
                pipeline->no_more = true;
                break;
            }
            pipeline->count++;
        }
        if (ask_for(pipeline, slot_at(pipeline, pipeline->asked)))
            pipeline->asked++;
        else
            remove_slot(pipeline, pipeline->asked);
        added = true;
    }
    return added;
}

/* Sends what can be sent without waiting. 0 or -errno; *moved: something went. */
static int send_some(struct pipeline *pipeline, bool *moved)
{
    struct channel *channel = pipeline->client->channel;

    while (pipeline->sent < pipeline->filled) {
        ssize_t taken = channel_write(channel, pipeline->out + pipeline->sent, pipeline->filled - pipeline->sent);
        if (taken == -EAGAIN)
            return 0;
        if (taken < 0)
            return (int)taken;
        pipeline->sent += (size_t)taken;
        pipeline->unflushed = *moved = true;
    }
    explicit_bzero(pipeline->out, pipeline->filled); /* a password may be in it */
    pipeline->sent = pipeline->filled = 0;
    int error = pipeline->unflushed ? channel_flush(channel) : 0;
    pipeline->unflushed = error == -EAGAIN;
    return error == -EAGAIN ? 0 : error;
}

/* -- answers ------------------------------------------------------------------------------------------------------- */

static void expect_answer(struct pipeline *pipeline)
{
    struct client *client = pipeline->client;

    http_reader_next(client->reader, false);
    client->began = client->answered = client->continued = client->to_head = false;
    client->interim = 0;
    client->last.status = 0;
    client->last.bytes = 0;
    client->last.verified = false;
    client->digest[0] = '\0';
    pipeline->in_body = false;
    pipeline->whole = NULL;
    pipeline->got = 0;
}

static void body_begin(struct pipeline *pipeline)
{
    const struct http_head *head = http_reader_result(pipeline->client->reader);

    pipeline->in_body = true;
    pipeline->whole = NULL;
    pipeline->got = 0;
    pipeline->left = head->framing == HTTP_BODY_LENGTH ? head->length : UINT64_MAX;
    pipeline->body_ended = head->framing == HTTP_BODY_NONE || pipeline->left == 0;
    pipeline->client->keep = head->keep_alive && head->framing != HTTP_BODY_TO_END;
    pipeline->too_large = head->framing == HTTP_BODY_LENGTH && head->length > PIPELINE_BODY_MAX;
}

static void body_keep(struct pipeline *pipeline, const char *bytes, size_t length)
{
    if (length > PIPELINE_BODY_MAX - pipeline->got)
        pipeline->too_large = true;
    if (pipeline->too_large)
        return;
    memcpy(pipeline->answer + pipeline->got, bytes, length);
    pipeline->got += length;
}

/* What stands in the inbox of the body. 0 or -EBADMSG. */
static int body_take(struct pipeline *pipeline)
{
    struct client *client = pipeline->client;
    char *bytes = client->inbox + client->taken;
    size_t length = client->filled - client->taken, used = length;
    enum http_framing framing = http_reader_result(client->reader)->framing;

    if (framing == HTTP_BODY_CHUNKED) {
        ssize_t plain = http_reader_chunked(client->reader, bytes, length, &used, &pipeline->body_ended);
        if (plain < 0)
            return -EBADMSG;
        body_keep(pipeline, bytes, (size_t)plain);
    } else {
        used = length < pipeline->left ? length : (size_t)pipeline->left;
        if (pipeline->got == 0 && used == pipeline->left && used <= PIPELINE_BODY_MAX)
            pipeline->whole = bytes; /* nothing is read into the inbox before it is taken */
        else
            body_keep(pipeline, bytes, used);
        pipeline->got = pipeline->whole ? used : pipeline->got;
        pipeline->left -= framing == HTTP_BODY_LENGTH ? used : 0;
        pipeline->body_ended = pipeline->left == 0;
    }
    client->taken += used;
    return 0;
}

static const char *body_of(const struct pipeline *pipeline)
{
    return pipeline->whole ? pipeline->whole : pipeline->answer;
}

static void take_file(struct pipeline *pipeline)
{
    const struct http_head *head = http_reader_result(pipeline->client->reader);
    const char *modified = http_field(head, HTTP_MODIFIED), *mode = http_field(head, HTTP_MODE);
    const struct pipeline_slot *slot = slot_at(pipeline, 0);
    struct pipeline_answer answer = { .bytes = body_of(pipeline), .length = pipeline->got };
    struct client_transfer transfer = pipeline->client->last;

    answer.has_modified = modified && http_time_parse(modified, &answer.modified) == 0;
    answer.has_mode = mode && http_mode_parse(mode, &answer.mode) == 0;
    transfer.bytes = pipeline->got;
    transfer.seconds = (double)(client_now() - slot->since) / 1000;
    pipeline->lane->land(pipeline->lane->argument, &slot->item, &answer, &transfer);
    drop_first(pipeline);
}

static bool is_coded(const struct http_head *head)
{
    const char *coding = http_field(head, "Content-Encoding");
    return coding && strcasecmp(coding, "identity") != 0;
}

static void take_good(struct pipeline *pipeline)
{
    struct pipeline_slot *slot = slot_at(pipeline, 0);
    enum pipeline_alone alone = pipeline_demand(pipeline, slot, body_of(pipeline), pipeline->got);

    if (alone) {
        fail_first(pipeline, CLIENT_DIGEST, alone);
    } else if (pipeline->lane->put) {
        pipeline->client->last.bytes = slot->length;
        say_done(pipeline, slot, CLIENT_OK, "", PIPELINE_DONE);
        drop_first(pipeline);
    } else {
        take_file(pipeline);
    }
}

/* The first slot's answer is whole. */
static void answered(struct pipeline *pipeline)
{
    struct client *client = pipeline->client;
    const struct http_head *head = http_reader_result(client->reader);
    unsigned status = head->status;
    bool good = pipeline->lane->put ? status == 200 || status == 201 || status == 204 : status == 200;

    pipeline->answers++;
    if (pipeline->answers > 2 * pipeline->window && pipeline->window < pipeline->window_limit)
        pipeline->window *= 2;
    if (!pipeline->noted)
        client_note_session(client);
    pipeline->noted = pipeline->settled;
    int checked = pipeline->lane->put ? pipeline_check(pipeline, slot_at(pipeline, 0)) : CLIENT_OK;
    if (checked != CLIENT_OK) {
        fail_first(pipeline, checked, PIPELINE_DONE);
    } else if (!good && status >= 300) {
        fail_first(pipeline, client_judge(client), PIPELINE_DONE);
    } else if (!good || (!pipeline->lane->put && is_coded(head))) {
        client_fail(client, CLIENT_SERVER, "%s answers a %s with %u %s%s", client->peer,
                    pipeline->lane->put ? "PUT" : "GET", status, http_reason(status), good ? ", compressed" : "");
        fail_first(pipeline, CLIENT_SERVER, PIPELINE_DONE);
    } else if (!pipeline->lane->put && pipeline->too_large) {
        client_fail(client, CLIENT_SERVER, "%s sends more than it announced", client->peer);
        fail_first(pipeline, CLIENT_SERVER, PIPELINE_TOO_LARGE);
    } else {
        take_good(pipeline);
    }
}

/* A file that turns out to be large is not read to its end: it comes by itself, and the others again. */
static int give_up_large(struct pipeline *pipeline)
{
    pipeline->answers++;
    client_fail(pipeline->client, CLIENT_SERVER, "%s sends more than it announced", pipeline->client->peer);
    fail_first(pipeline, CLIENT_SERVER, PIPELINE_TOO_LARGE);
    return -ECONNABORTED;
}

/* Reads answers as far as they have come. 0: no more for now; -errno: the connection is over. *moved: some came. */
static int hear_some(struct pipeline *pipeline, bool *moved)
{
    struct client *client = pipeline->client;
    int error = 0;

    while (error == 0 && pipeline->asked > 0) {
        if (!pipeline->in_body) {
            if (client->taken == client->filled && channel_drained(client->channel))
                break; /* the last read found less than it had room for */
            error = pipeline_prepare_reading(pipeline);
            if (error == 0)
                error = client_hear(client);
            if (error < 0)
                break;
            if (!client->answered)
                continue;
            body_begin(pipeline);
            *moved = true;
        }
        if (!pipeline->body_ended)
            error = pipeline_read_body(pipeline, moved, body_take);
        if (error < 0)
            break;
        if (pipeline->too_large && !pipeline->body_ended)
            return give_up_large(pipeline);
        if (!pipeline->body_ended)
            continue;
        bool keep = client->keep;
        answered(pipeline);
        expect_answer(pipeline);
        if (!keep)
            return -ECONNABORTED; /* in good order, as it said */
    }
    return error == -EAGAIN ? 0 : error;
}

/* -- a connection -------------------------------------------------------------------------------------------------- */

/* While answers come they come soon: one system call, without the ring, hears of them, or that all is to end. */
static bool comes_soon(const struct client *client, short events)
{
    struct pollfd ready[] = {
        { .fd = channel_fd(client->channel), .events = events },
        { .fd = client->options.interrupt_fd > 0 ? client->options.interrupt_fd : -1, .events = POLLIN },
        { .fd = client->stop_fd > 0 ? client->stop_fd : -1, .events = POLLIN },
    };

    return poll(ready, sizeof ready / sizeof *ready, SOON_MS) > 0 && ready[0].revents && !ready[1].revents &&
           !ready[2].revents;
}

static int wait_for_peer(struct pipeline *pipeline)
{
    struct client *client = pipeline->client;
    short events = POLLIN;

    if (pipeline->sent < pipeline->filled || pipeline->unflushed)
        events |= channel_events(client->channel);
    if (comes_soon(client, events))
        return 0;
    if (pipeline->lane->pause)
        pipeline->lane->pause(pipeline->lane->argument, false);
    return client_wait(client, channel_fd(client->channel), events, client->options.idle_timeout);
}

/* Nothing is due: what has come all the same must not be taken for the answer to what is asked next. */
static bool is_quiet(struct pipeline *pipeline)
{
    struct client *client = pipeline->client;
    struct pollfd ready = { .fd = channel_fd(client->channel), .events = POLLIN };
    char byte;

    if (pipeline->asked > 0)
        return true;
    if (client->taken < client->filled)
        return false;
    if (poll(&ready, 1, 0) == 0 && !channel_pending(client->channel))
        return true;
    return channel_read(client->channel, &byte, 1) <= 0; /* an end or an error is met again */
}

/* Until all is answered (0) or the connection is over (-errno, or a result with its sentence). */
static int work_connection(struct pipeline *pipeline)
{
    for (;;) {
        if (!is_quiet(pipeline))
            return client_fail(pipeline->client, CLIENT_SERVER,
                               "%s sends answers that nobody asked for, so none of them is sure; compare the files "
                               "with --checksum",
                               pipeline->client->peer);
        bool moved = fill(pipeline);
        if (pipeline->count == 0)
            return 0;
        int error = send_some(pipeline, &moved);
        int heard = hear_some(pipeline, &moved);
        if (heard != 0 || error != 0)
            return heard != 0 ? heard : error;
        if (pipeline->client->interrupted)
            return -EINTR;
        if (channel_worn(pipeline->client->channel) && !pipeline->closing)
            pipeline->closing = true;
        if (pipeline->closing && pipeline->asked == 0)
            return -ECONNABORTED;
        if (!moved)
            error = wait_for_peer(pipeline);
        if (error < 0)
            return error;
    }
}

static void begin_connection(struct pipeline *pipeline)
{
    explicit_bzero(pipeline->out, pipeline->filled);
    pipeline->asked = pipeline->answers = 0;
    pipeline->sent = pipeline->filled = 0;
    pipeline->unflushed = pipeline->closing = pipeline->settled = pipeline->noted = false;
    expect_answer(pipeline);
}

/* The connection is over. 0: try again on another; a result: give up. */
static int judge_cut(struct pipeline *pipeline, int error)
{
    struct client *client = pipeline->client;
    const char *why = "";
    int result = CLIENT_SERVER;

    if (error > 0) {
        client_break(client);
        return error; /* with its sentence: what came over this connection cannot be told apart */
    }
    if (error == -EBADMSG)
        client_fail(client, CLIENT_SERVER, "%s does not answer as HTTP demands: %s", client->peer,
                    http_reader_refusal(client->reader, &why) ? why : "the chunked body is malformed");
    else if (error != -ECONNABORTED)
        result = client_fail_channel(client, error, "in the middle of many files");
    client_break(client);
    if (result == CLIENT_INTERRUPTED || result == CLIENT_TLS || result == CLIENT_CONFIG)
        return result;
    if (pipeline->answers > 0) {
        /* Who closes after so many answers gets no more at once; what was sent beyond was sent in vain. */
        pipeline->fruitless = 0;
        pipeline->window = pipeline->answers < pipeline->window ? pipeline->answers : pipeline->window;
        return 0;
    }
    pipeline->window = 1;
    if (++pipeline->fruitless < FRUITLESS_MAX || pipeline->count == 0)
        return 0;
    if (error == -ECONNABORTED)
        result = client_fail(client, CLIENT_CUT, "%s ends each connection without an answer", client->peer);
    if (++pipeline->given_up > GIVEN_UP_MAX)
        return result;
    pipeline->fruitless = 0;
    fail_first(pipeline, result, PIPELINE_DONE);
    return 0;
}

static int run(struct pipeline *pipeline)
{
    struct client *client = pipeline->client;

    for (;;) {
        /* What there is to do is known before a connection is made for it. */
        if (pipeline->count == 0 && !pipeline->no_more) {
            struct pipeline_slot *fresh = slot_at(pipeline, 0);
            *fresh = (struct pipeline_slot){ 0 };
            pipeline->no_more = !pipeline->lane->next(pipeline->lane->argument, &fresh->item);
            pipeline->count = pipeline->no_more ? 0 : 1;
        }
        if (pipeline->count == 0)
            return CLIENT_OK;
        int result = client_open(client);
        if (result != CLIENT_OK)
            return result;
        begin_connection(pipeline);
        if (pipeline->lane->put)
            channel_expect_head(client->channel);
        int error = pipeline_prepare_sending(pipeline);
        if (error == 0)
            error = work_connection(pipeline);
        if (error == 0) {
            client->used = client->keep = client->taken == client->filled;
            return CLIENT_OK;
        }
        result = judge_cut(pipeline, error);
        if (result != CLIENT_OK)
            return result;
    }
}

int pipeline_run(struct client *client, const struct pipeline_lane *lane)
{
    unsigned window = lane->window ? lane->window : PIPELINE_WINDOW_MAX;
    int result = client_begin(client, lane->put ? "put" : "get", "", "");
    if (result != CLIENT_OK)
        return result;
    struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline)
        return client_fail(client, CLIENT_FAILED, "no memory");
    pipeline->client = client;
    pipeline->lane = lane;
    pipeline->window_limit = window < PIPELINE_WINDOW_MAX ? window : PIPELINE_WINDOW_MAX;
    pipeline->window = pipeline->window_limit;
    result = run(pipeline);
    while (result != CLIENT_OK && pipeline->count > 0)
        fail_first(pipeline, result, PIPELINE_DONE);
    if (lane->pause)
        lane->pause(lane->argument, true);
    explicit_bzero(pipeline->out, pipeline->filled);
    free(pipeline);
    return client_finish(client, result);
}
