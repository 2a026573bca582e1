/* Private to this folder and its tests: the journal of systemd, as far as a test can stand in for it. */
#ifndef SLUICE_EVENT_JOURNAL_H
#define SLUICE_EVENT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "engine/event/event.h"

struct event_journal {
    int (*send)(const struct iovec *items, int count); /* as sd_journal_sendv(3): 0 or -errno */
    const char *socket;
};

extern const struct event_journal event_journal_systemd;

/* sd_journal_sendv() says nothing where there is no journal: this does. */
bool event_journal_present(const struct event_journal *journal);

/* A value, escaped as in a line of text, but all of it; not ended by NUL. To be freed; NULL: no memory. */
char *event_escape(const char *text, size_t *length);

/*
 * 0 or -errno. `message`: the event as a line of text. Values are escaped in their fields, too: the journal would hold
 * any byte, and `journalctl -F` and `-a` would send it to a terminal.
 */
int event_journal_send(const struct event_journal *journal, const char *id, const struct event_field *fields,
                       const char *message, size_t length);

/* As event_log_new_journal(), with another journal. */
struct event_log *event_log_new_with(FILE *fallback, bool json, const struct event_journal *journal);

#endif
