/* Certificates that expire soon, or have: told at start, at each reload, and once a day. */
#include "engine/server/server_internal.h"

#include <time.h>

#include "ktls/inventory.h"

#define DAY_MS (24u * 3600 * 1000)
#define DAY 86400

static void say(struct event_log *log, const struct tls_certificate *certificate, unsigned warning_days, time_t now)
{
    time_t left = certificate->not_after - now;
    enum tls_expiry expiry = tls_certificate_expiry(certificate, warning_days);
    bool expired = expiry == TLS_EXPIRY_PAST;

    if (expiry == TLS_EXPIRY_LATER)
        return;
    event(log, expired ? "S79E" : "S79W", EVENT_T("subject", certificate->subject),
          EVENT_T("serial", certificate->serial),
          EVENT_N(expired ? "days_ago" : "days", (expired ? -left : left) / DAY), EVENT_T("file", certificate->file),
          EVENT_T("used_by", certificate->used_by), EVENT_T("issuer", certificate->issuer));
}

void expiry_say(struct event_log *log, const struct config *config)
{
    struct tls_inventory *inventory = tls_inventory_new(config);
    time_t now = time(NULL);

    for (size_t i = 0; inventory && i < inventory->count; i++)
        say(log, &inventory->items[i], config->server.expiry_warning_days, now);
    tls_inventory_free(inventory);
}

/* -- once a day: a job of worker 0, whose tick begins it ----------------------------------------------------------- */

static void look(struct job *job)
{
    struct worker *worker = (struct worker *)((char *)job - offsetof(struct worker, look));

    expiry_say(worker->server->log, worker->looked_at->config);
}

static void looked(struct job *job)
{
    struct worker *worker = (struct worker *)((char *)job - offsetof(struct worker, look));

    epoch_drop(worker->looked_at);
    worker->looked_at = NULL;
    worker_looked(worker);
}

void expiry_tick(struct worker *worker, uint64_t now)
{
    const struct server_options *options = &worker->server->options;
    unsigned interval = options->expiry_interval ? options->expiry_interval : DAY_MS;

    if (worker->number != 0 || worker->stopping || worker->looked_at)
        return;
    if (worker->look_due && now >= worker->look_due) {
        worker->looked_at = epoch_hold(worker->epoch);
        worker->look = (struct job){ .run = look, .done = looked, .home = worker->ring };
        jobs_submit(worker->server->files, &worker->look);
    }
    if (!worker->look_due || now >= worker->look_due)
        worker->look_due = now + interval;
}
