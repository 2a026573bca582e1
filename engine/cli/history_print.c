#include "engine/cli/history.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "config/printable.h"
#include "engine/cli/progress.h"
#include "engine/cli/when.h"

/* -- any bytes ----------------------------------------------------------------------------------------------------- */

static void put_text(FILE *out, const char *bytes, size_t length)
{
    const char *at = bytes;

    while (length) {
        uint32_t point = 0;
        size_t taken = printable_decode(at, length, &point);
        bool shown = taken && !printable_deceives(point) && point != '\\';
        if (shown)
            fwrite(at, 1, taken, out);
        for (size_t i = 0; !shown && i < (taken ? taken : 1); i++)
            fprintf(out, "\\x%02x", (unsigned char)at[i]);
        at += taken ? taken : 1;
        length -= taken ? taken : 1;
    }
}

static void put_string(FILE *out, const char *text)
{
    put_text(out, text, strlen(text));
}

/* False: some bytes were no UTF-8, and stand there as U+FFFD. */
static bool put_json(FILE *out, const char *bytes, size_t length)
{
    const char *at = bytes;
    bool whole = true;

    fputc('"', out);
    while (length) {
        uint32_t point = 0;
        size_t taken = printable_decode(at, length, &point);
        if (taken == 0)
            fputs("\\ufffd", out);
        else if (point == '"' || point == '\\')
            fprintf(out, "\\%c", (char)point);
        else if (printable_deceives(point))
            fprintf(out, "\\u%04x", (unsigned)point);
        else
            fwrite(at, 1, taken, out);
        whole = whole && taken;
        at += taken ? taken : 1;
        length -= taken ? taken : 1;
    }
    fputc('"', out);
    return whole;
}

/* -- for people ---------------------------------------------------------------------------------------------------- */

static const char *or_dash(const char *text)
{
    return text && text[0] ? text : "-";
}

static const char *size_text(uint64_t bytes, char *text, size_t size)
{
    return bytes == CATALOG_UNKNOWN ? "?" : bytes_text(bytes, text, size);
}

void history_head(FILE *out)
{
    fprintf(out, "%-13s  %-12s  %-3s  %-25s  %9s  %-16s  %s\n", "ID", "STATE", "DIR", "WHEN", "SIZE", "WITH", "NAME");
}

/* Whether the queue has noted how far it has come. */
static bool is_told(const struct catalog_record *record)
{
    return record->state == CATALOG_RUNNING && record->rate != CATALOG_UNKNOWN;
}

/* "running 42%", where that is known. */
static const char *state_text(const struct catalog_record *record, char text[32])
{
    snprintf(text, 32, "%s", catalog_state_word(record->state));
    if (is_told(record) && record->size != CATALOG_UNKNOWN && record->size > 0 && record->bytes <= record->size)
        snprintf(text, 32, "%s %.0f%%", catalog_state_word(record->state),
                 100.0 * (double)record->bytes / (double)record->size);
    return text;
}

void history_line(FILE *out, const struct catalog_record *record)
{
    char state[32], id[CATALOG_ID_SIZE], when[WHEN_SIZE], size[32];
    const char *with = record->partner ? record->partner : record->user ? record->user : record->peer;

    catalog_id_print(record->id, id);
    fprintf(out, "%-13s  %-12s  %-3s  %-25s  %9s  ", id, state_text(record, state),
            catalog_direction_word(record->direction), when_text(record->queued, when),
            size_text(record->state == CATALOG_DONE || record->size == CATALOG_UNKNOWN ? record->bytes : record->size,
                      size, sizeof size));
    put_string(out, or_dash(with));
    for (size_t i = strlen(or_dash(with)); i < 16; i++)
        fputc(' ', out);
    fputs("  ", out);
    put_string(out, or_dash(record->remote));
    fputc('\n', out);
}

static void line(FILE *out, const char *name, const char *text)
{
    if (!text || !text[0])
        return;
    fprintf(out, "%-15s ", name);
    put_string(out, text);
    fputc('\n', out);
}

static void line_bytes(FILE *out, const char *name, uint64_t bytes)
{
    char size[32];

    fprintf(out, "%-15s %" PRIu64 " bytes (%s)\n", name, bytes, size_text(bytes, size, sizeof size));
}

static void line_when(FILE *out, const char *name, uint64_t when)
{
    char text[WHEN_SIZE];

    line(out, name, when_text(when, text));
}

static void show_times(FILE *out, const struct catalog_record *record)
{
    char rate[32];

    line_when(out, "queued", record->queued);
    line_when(out, "begun", record->begun);
    line_when(out, "ended", record->ended);
    if (!record->begun || record->ended <= record->begun)
        return;
    double seconds = (double)(record->ended - record->begun) / 1e6;
    fprintf(out, "%-15s %.3f s (%s)\n", "took", seconds, rate_text((double)record->bytes / seconds, rate, sizeof rate));
}

static void show_bytes(FILE *out, const struct catalog_record *record)
{
    char rate[32];

    if (record->size != CATALOG_UNKNOWN)
        line_bytes(out, "size", record->size);
    if (record->offset)
        line_bytes(out, "from byte", record->offset);
    line_bytes(out, "moved", record->bytes);
    if (is_told(record))
        line(out, "rate now", rate_text((double)record->rate, rate, sizeof rate));
    for (size_t i = 0; i < record->stream_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "stream %zu", i + 1);
        line_bytes(out, name, record->streams[i]);
    }
}

static void show_session(FILE *out, const struct catalog_record *record)
{
    line(out, "user", record->user);
    line(out, "peer", record->peer);
    line(out, "protocol", record->protocol);
    line(out, "path", record->pump);
    line(out, "tx", record->tx);
    line(out, "rx", record->rx);
    line(out, "TLS", record->version);
    line(out, "suite", record->suite);
    line(out, "authentication", record->authentication);
    line(out, "peer's subject", record->subject);
    if (record->version && record->version[0])
        line(out, "session", record->resumed ? "resumed" : "new");
}

void history_show(FILE *out, const struct catalog_record *record)
{
    char id[CATALOG_ID_SIZE];

    catalog_id_print(record->id, id);
    line(out, "id", id);
    line(out, "state", catalog_state_word(record->state));
    line(out, "direction", catalog_direction_word(record->direction));
    line(out, "kind", catalog_kind_word(record->kind));
    line(out, "recorded by", catalog_role_word(record->role));
    line(out, "partner", record->partner);
    line(out, record->kind == CATALOG_MESSAGE ? "first line" : "remote", record->remote);
    line(out, "local", record->local);
    show_bytes(out, record);
    line(out, "digest", record->digest);
    show_times(out, record);
    fprintf(out, "%-15s %u\n", "retries", record->retries);
    if (record->status)
        fprintf(out, "%-15s %u\n", "status", record->status);
    if (record->code)
        fprintf(out, "%-15s %d\n", "exit code", record->code);
    show_session(out, record);
    line(out, "last event", record->event);
    line(out, "reason", record->reason);
    if (record->message) {
        fprintf(out, "%-15s ", "message");
        put_text(out, record->message, record->message_length);
        fputc('\n', out);
    }
}

/* -- for programs -------------------------------------------------------------------------------------------------- */

static void field(FILE *out, const char *name, const char *bytes, size_t length)
{
    fprintf(out, ",\"%s\":", name);
    if (!bytes) {
        fputs("null", out);
        return;
    }
    if (put_json(out, bytes, length))
        return;
    fprintf(out, ",\"%s_hex\":\"", name);
    for (size_t i = 0; i < length; i++)
        fprintf(out, "%02x", (unsigned char)bytes[i]);
    fputc('"', out);
}

static void text(FILE *out, const char *name, const char *value)
{
    field(out, name, value, value ? strlen(value) : 0);
}

static void number(FILE *out, const char *name, uint64_t value)
{
    if (value == CATALOG_UNKNOWN)
        fprintf(out, ",\"%s\":null", name);
    else
        fprintf(out, ",\"%s\":%" PRIu64, name, value);
}

static void moment(FILE *out, const char *name, uint64_t when)
{
    char utc[WHEN_SIZE];

    text(out, name, when ? when_utc(when, utc) : NULL);
}

static void json_numbers(FILE *out, const struct catalog_record *record)
{
    number(out, "size", record->size);
    number(out, "offset", record->offset);
    number(out, "bytes", record->bytes);
    number(out, "rate", is_told(record) ? record->rate : CATALOG_UNKNOWN);
    fputs(",\"streams\":[", out);
    for (size_t i = 0; i < record->stream_count; i++)
        fprintf(out, "%s%" PRIu64, i ? "," : "", record->streams[i]);
    fputc(']', out);
    number(out, "retries", record->retries);
    number(out, "status", record->status);
    fprintf(out, ",\"code\":%d", record->code);
}

void history_json(FILE *out, const struct catalog_record *record)
{
    char id[CATALOG_ID_SIZE];

    catalog_id_print(record->id, id);
    fprintf(out, "{\"id\":\"%s\"", id);
    text(out, "state", catalog_state_word(record->state));
    text(out, "direction", catalog_direction_word(record->direction));
    text(out, "kind", catalog_kind_word(record->kind));
    text(out, "role", catalog_role_word(record->role));
    text(out, "partner", record->partner);
    text(out, "remote", record->remote);
    text(out, "local", record->local);
    json_numbers(out, record);
    text(out, "digest", record->digest);
    moment(out, "queued", record->queued);
    moment(out, "begun", record->begun);
    moment(out, "ended", record->ended);
    text(out, "user", record->user);
    text(out, "peer", record->peer);
    text(out, "protocol", record->protocol);
    text(out, "path", record->pump);
    text(out, "tx", record->tx);
    text(out, "rx", record->rx);
    text(out, "version", record->version);
    text(out, "suite", record->suite);
    text(out, "authentication", record->authentication);
    text(out, "subject", record->subject);
    fprintf(out, ",\"resumed\":%s", record->resumed ? "true" : "false");
    text(out, "event", record->event);
    text(out, "reason", record->reason);
    if (record->message)
        field(out, "message", record->message, record->message_length);
    fputs("}\n", out);
}
