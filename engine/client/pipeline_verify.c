/*
 * What is sent in a lane is verified as any PUT is (RFC 9530): its digest goes with it, for the server to compare with
 * what it got, and the answer's digest is compared with ours. What is fetched with --verify is asked for together with
 * its digest, and compared with that. Ours are computed from what is in memory anyway.
 *
 * What does not agree or cannot be compared here is moved once more, by itself, as a file that was never in a lane
 * (verify.c): whether that is verified decides.
 */
#include <stdio.h>
#include <string.h>

#include "engine/client/pipeline_internal.h"
#include "engine/http/digest.h"

static int compute(const char *bytes, size_t length, enum digest_algorithm algorithm, struct digest_set *set)
{
    struct digest_run *run;
    int error = digest_run_new(&run, 1u << algorithm);
    if (error < 0)
        return error;
    error = digest_run_add(run, bytes, length);
    if (error == 0)
        error = digest_run_end(run, set);
    digest_run_free(run);
    return error;
}

int pipeline_promise(struct pipeline *pipeline, struct pipeline_slot *slot, struct pipeline_load *load)
{
    const struct client_options *options = &pipeline->client->options;
    size_t used = strlen(load->fields);
    struct http_writer writer = { .bytes = load->fields + used, .capacity = PIPELINE_FIELDS_SIZE - 1 - used };

    slot->promised = (struct digest_set){ 0 };
    if (options->verify == CLIENT_VERIFY_NEVER || load->no_file)
        return 0;
    int error = compute(load->bytes, load->length, options->digest, &slot->promised);
    if (error < 0)
        return error;
    http_write_digests(&writer, "Repr-Digest", &slot->promised);
    load->fields[used + writer.length] = '\0';
    return 0;
}

static int mismatch(struct client *client, const struct pipeline_slot *slot)
{
    char reason[sizeof client->reason];

    event(client->options.log, "T11E", EVENT_T("direction", client->last.direction), EVENT_T("path", slot->item.remote),
          EVENT_T("peer", client->peer), EVENT_T("digest", client->digest),
          EVENT_T("reason", client_escape(client->reason, reason, sizeof reason)));
    return CLIENT_DIGEST;
}

static void note_ours(struct client *client, const struct digest *ours)
{
    char hex[DIGEST_HEX_SIZE];

    digest_hex(ours, hex);
    snprintf(client->digest, sizeof client->digest, "%s:%s", digest_name(ours->algorithm), hex);
}

int pipeline_check(struct pipeline *pipeline, const struct pipeline_slot *slot)
{
    struct client *client = pipeline->client;
    const struct http_head *head = http_reader_result(client->reader);
    const struct digest *ours = digest_set_strongest(&slot->promised);
    struct digest_set theirs = { 0 };

    snprintf(client->unverified, sizeof client->unverified, "it was not asked for");
    if (!ours)
        return CLIENT_OK;
    note_ours(client, ours);
    snprintf(client->unverified, sizeof client->unverified, "the server gives no digest");
    if (head->status == 422) {
        client_fail(client, CLIENT_DIGEST,
                    "%s has got other bytes than were sent: the digests differ, and the file did not get its name; "
                    "send it again",
                    client->peer);
        return mismatch(client, slot);
    }
    if (head->status >= 300 || http_digests(head, "Repr-Digest", &theirs) < 0)
        return CLIENT_OK;
    client->last.verified = digest_set_agree(&slot->promised, &theirs);
    if (client->last.verified) {
        client->unverified[0] = '\0';
        return CLIENT_OK;
    }
    if (!(theirs.known & slot->promised.known))
        return CLIENT_OK;
    client_fail(client, CLIENT_DIGEST, "%s: the file there is not the one here: their digests differ; send it again",
                client->peer);
    return mismatch(client, slot);
}

static enum pipeline_alone compare_fetched(struct pipeline *pipeline, const struct pipeline_slot *slot,
                                           const char *bytes, size_t length)
{
    struct client *client = pipeline->client;
    struct digest_set ours = { 0 }, theirs = { 0 };

    (void)!http_digests(http_reader_result(client->reader), "Repr-Digest", &theirs);
    if (!(theirs.known & 1u << client->options.digest) || compute(bytes, length, client->options.digest, &ours) < 0)
        return PIPELINE_NO_DIGEST;
    note_ours(client, &ours.items[client->options.digest]);
    client->last.verified = digest_set_agree(&ours, &theirs);
    if (client->last.verified)
        return PIPELINE_DONE;
    client_fail(client, CLIENT_DIGEST, "%s: what came is not what the server says that it has; it is fetched once more",
                client->peer);
    mismatch(client, slot);
    return PIPELINE_OTHER_DIGEST;
}

enum pipeline_alone pipeline_demand(struct pipeline *pipeline, const struct pipeline_slot *slot, const char *bytes,
                                    size_t length)
{
    struct client *client = pipeline->client;
    enum pipeline_alone alone = PIPELINE_DONE;

    if (client->options.verify != CLIENT_VERIFY_ALWAYS)
        return PIPELINE_DONE;
    if (!pipeline->lane->put)
        alone = compare_fetched(pipeline, slot, bytes, length);
    else if (slot->promised.known && !client->last.verified)
        alone = PIPELINE_NO_DIGEST;
    if (client->last.verified)
        client->unverified[0] = '\0';
    else if (alone)
        snprintf(client->unverified, sizeof client->unverified, "%s",
                 alone == PIPELINE_NO_DIGEST ? "the server gives no digest" : "the digests differ");
    if (alone == PIPELINE_NO_DIGEST)
        client_fail(client, CLIENT_SERVER, "%s: not verified: the server gives no digest", client->peer);
    return alone;
}
