/* The journal: each field of an event as a field of its own. */
#include "engine/event/journal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define FIELDS_MAX 64     /* of one event; events have a third of that */
#define NAME_MAX_BYTES 64 /* the journal's own limit for the name of a field */

const struct event_journal event_journal_systemd = { sd_journal_sendv, "/run/systemd/journal/socket" };

struct entry {
    struct iovec items[FIELDS_MAX];
    int count;
    bool failed;
};

/* The journal has no word for fatal but "critical". */
static char priority(const char *id)
{
    size_t length = strlen(id);

    switch (length ? id[length - 1] : 0) {
    case 'F':
        return '2';
    case 'E':
        return '3';
    case 'W':
        return '4';
    default:
        return '6';
    }
}

static void put(struct entry *entry, const char *name, const char *value, size_t length)
{
    size_t head = strlen(name) + 1;
    char *bytes = entry->count < FIELDS_MAX ? malloc(head + length) : NULL;

    if (!bytes) {
        entry->failed = true;
        return;
    }
    memcpy(bytes, name, head - 1);
    bytes[head - 1] = '=';
    memcpy(bytes + head, value, length);
    entry->items[entry->count++] = (struct iovec){ bytes, head + length };
}

static void put_text(struct entry *entry, const char *name, const char *text)
{
    size_t length;
    char *escaped = event_escape(text, &length);

    if (escaped)
        put(entry, name, escaped, length);
    else
        entry->failed = true;
    free(escaped);
}

static void put_field(struct entry *entry, const struct event_field *field)
{
    char name[NAME_MAX_BYTES + 1], digits[24];
    int length = snprintf(name, sizeof name, "SLUICE_%s", field->key);

    if (length < 0 || (size_t)length >= sizeof name) {
        entry->failed = true;
        return;
    }
    for (char *at = name; *at; at++)
        *at = isalnum((unsigned char)*at) ? (char)toupper((unsigned char)*at) : '_';
    if (field->kind == EVENT_NUMBER) {
        length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)field->number);
        put(entry, name, digits, (size_t)length);
    } else if (field->text) {
        put_text(entry, name, field->text);
    }
}

int event_journal_send(const struct event_journal *journal, const char *id, const struct event_field *fields,
                       const char *message, size_t length)
{
    struct entry entry = { .count = 0 };
    char severity = priority(id);

    put(&entry, "MESSAGE", message, length);
    put(&entry, "PRIORITY", &severity, 1);
    put(&entry, "SYSLOG_IDENTIFIER", "sluice", strlen("sluice"));
    put(&entry, "SLUICE_EVENT", id, strlen(id));
    for (const struct event_field *field = fields; field->key; field++)
        put_field(&entry, field);
    int rc = entry.failed ? -ENOMEM : journal->send(entry.items, entry.count);
    for (int i = 0; i < entry.count; i++)
        free(entry.items[i].iov_base);
    return rc;
}

bool event_journal_present(const struct event_journal *journal)
{
    return access(journal->socket, W_OK) == 0;
}
