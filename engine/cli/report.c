#include "engine/cli/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "config/printable.h"
#include "config/rate.h"
#include "engine/cli/progress.h"
#include "engine/http/http.h"

#define JSON_SIZE 65536 /* two paths of 4 KiB, each byte escaped, and the rest */

static const struct {
    int result;
    const char *word;
} result_words[] = {
    { CLIENT_OK, "ok" },           { CLIENT_FAILED, "failed" },           { CLIENT_USAGE, "usage" },
    { CLIENT_CONFIG, "config" },   { CLIENT_CONNECT, "connect" },         { CLIENT_TLS, "tls" },
    { CLIENT_REFUSED, "refused" }, { CLIENT_SERVER, "server" },           { CLIENT_CUT, "cut" },
    { CLIENT_LOCAL, "local" },     { CLIENT_DIGEST, "digest" },           { CLIENT_EXISTS, "exists" },
    { CLIENT_PARTIAL, "partial" }, { CLIENT_INTERRUPTED, "interrupted" },
};

static const char *result_word(int result)
{
    for (size_t i = 0; i < sizeof result_words / sizeof *result_words; i++) {
        if (result_words[i].result == result)
            return result_words[i].word;
    }
    return "failed";
}

double report_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report_skipped(FILE *out, const struct client_transfer *transfer)
{
    bool put = strcmp(transfer->direction, "put") == 0;
    printable_line(out, "kept %s: %s", put ? transfer->remote : transfer->local, transfer->skipped);
}

/* What of it was here before, how many streams moved the rest, and what is not as one would expect. */
static void report_parts(FILE *out, const struct client_transfer *transfer)
{
    if (transfer->resumed_bytes)
        fprintf(out, "; gone on with: %" PRIu64 " bytes were there", transfer->resumed_bytes);
    if (transfer->hole_bytes)
        fprintf(out, "; holes: %" PRIu64 " bytes were not moved", transfer->hole_bytes);
    if (transfer->streams > 1)
        fprintf(out, "; %u streams", transfer->streams);
    if (transfer->retries)
        fprintf(out, "; %u retries", transfer->retries);
    if (transfer->note && transfer->note[0])
        fprintf(out, "; %s", transfer->note);
}

static void report_moved(FILE *out, const struct client_transfer *transfer)
{
    bool put = strcmp(transfer->direction, "put") == 0;
    const char *from = put ? transfer->local : transfer->remote, *to = put ? transfer->remote : transfer->local;
    char rate[24];
    char limit[CONFIG_RATE_SIZE];
    double seconds = transfer->seconds > 0 ? transfer->seconds : 1e-9;

    fprintf(out, "%s %s -> %s  %" PRIu64 " bytes in %.2f s, %s, %s %s%s, path %s; tx %s; rx %s", put ? "sent" : "got ",
            from, to, transfer->bytes, transfer->seconds,
            rate_text((double)transfer->bytes / seconds, rate, sizeof rate), transfer->version, transfer->suite,
            transfer->resumed ? " (resumed)" : "", transfer->path, transfer->tx, transfer->rx);
    report_parts(out, transfer);
    if (transfer->verified)
        fprintf(out, "; verified %.*s", (int)strcspn(transfer->digest, ":"), transfer->digest);
    else if (transfer->unverified && transfer->unverified[0])
        fprintf(out, "; not verified: %s", transfer->unverified);
    if (transfer->limit)
        fprintf(out, "; held to %s/s by %s", config_rate_text(transfer->limit, limit), transfer->limited_by);
}

void report_line(FILE *out, const struct client_transfer *transfer)
{
    char *text = NULL;
    size_t size = 0;

    if (transfer->skipped && transfer->skipped[0]) {
        report_skipped(out, transfer);
        return;
    }
    FILE *line = open_memstream(&text, &size);
    if (line) {
        report_moved(line, transfer);
        fclose(line);
    }
    printable_line(out, "%s", text ? text : "no memory");
    free(text);
}

static void field(struct http_writer *writer, const char *name, const char *text)
{
    http_write_text(writer, ",\"");
    http_write_text(writer, name);
    http_write_text(writer, "\":");
    http_write_json_string(writer, text);
}

/* Without printf, which took half of what a line takes: of a tree of small files each has one. */
static void number(struct http_writer *writer, const char *name, uint64_t value)
{
    http_write_text(writer, ",\"");
    http_write_text(writer, name);
    http_write_text(writer, "\":");
    http_write_number(writer, value);
}

static void truth(struct http_writer *writer, const char *name, bool value)
{
    http_write_text(writer, ",\"");
    http_write_text(writer, name);
    http_write_text(writer, value ? "\":true" : "\":false");
}

/* With six decimals. */
static void duration(struct http_writer *writer, const char *name, double seconds)
{
    uint64_t microseconds = seconds > 0 ? (uint64_t)(seconds * 1e6 + 0.5) : 0, left = microseconds % 1000000;
    char decimals[] = ".000000";

    number(writer, name, microseconds / 1000000);
    for (size_t i = 6; i > 0; i--, left /= 10)
        decimals[i] = (char)('0' + left % 10);
    http_write_text(writer, decimals);
}

/* Of this program: ru_maxrss would count what stood in the process before exec(2), too, which may be a large parent. */
long report_resident_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    }
    if (status)
        fclose(status);
    return kib;
}

static void put_line_by_and_by(FILE *out, const struct http_writer *writer)
{
    if (writer->overflow) {
        fputs("{\"error\":\"too long to be told\"}\n", out);
    } else {
        fwrite(writer->bytes, 1, writer->length, out);
        fputc('\n', out);
    }
}

static void put_line(FILE *out, const struct http_writer *writer)
{
    put_line_by_and_by(out, writer);
    fflush(out);
}

static void json_parts(struct http_writer *writer, const struct client_transfer *transfer)
{
    number(writer, "resumed_bytes", transfer->resumed_bytes);
    number(writer, "hole_bytes", transfer->hole_bytes);
    number(writer, "retries", transfer->retries);
    field(writer, "note", transfer->note ? transfer->note : "");
    http_write_text(writer, ",\"streams\":[");
    for (unsigned i = 0; i < transfer->streams; i++) {
        const struct client_stream *stream = &transfer->stream_list[i];
        http_write_text(writer, i ? ",{\"bytes\":" : "{\"bytes\":");
        http_write_number(writer, stream->bytes);
        number(writer, "retries", stream->retries);
        field(writer, "peer", stream->peer);
        field(writer, "path", stream->path);
        http_write_text(writer, "}");
    }
    http_write_text(writer, "]");
}

static void write_json(struct http_writer *writer, const struct client_transfer *transfer, int result,
                       const char *reason, double cpu_seconds, long resident_kib)
{
    http_write_text(writer, "{\"result\":\"");
    http_write_text(writer, result_word(result));
    http_write_text(writer, "\"");
    number(writer, "code", (uint64_t)result);
    field(writer, "error", reason);
    field(writer, "direction", transfer->direction);
    field(writer, "remote", transfer->remote);
    field(writer, "local", transfer->local);
    number(writer, "bytes", transfer->bytes);
    duration(writer, "seconds", transfer->seconds);
    number(writer, "status", transfer->status);
    field(writer, "path", transfer->path);
    field(writer, "tx", transfer->tx);
    field(writer, "rx", transfer->rx);
    field(writer, "version", transfer->version);
    field(writer, "suite", transfer->suite);
    truth(writer, "verified", transfer->verified);
    field(writer, "digest", transfer->digest ? transfer->digest : "");
    field(writer, "unverified", transfer->unverified ? transfer->unverified : "");
    json_parts(writer, transfer);
    field(writer, "skipped", transfer->skipped ? transfer->skipped : "");
    number(writer, "limit", transfer->limit);
    field(writer, "limited_by", transfer->limited_by ? transfer->limited_by : "");
    truth(writer, "resumed", transfer->resumed);
    duration(writer, "cpu_seconds", cpu_seconds);
    number(writer, "max_resident_kib", resident_kib > 0 ? (uint64_t)resident_kib : 0);
    http_write_text(writer, "}");
}

void report_json(FILE *out, const struct client_transfer *transfer, int result, const char *reason, double cpu_seconds)
{
    char bytes[JSON_SIZE];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes };

    write_json(&writer, transfer, result, reason, cpu_seconds, report_resident_kib());
    put_line(out, &writer);
}

void report_json_of_many(FILE *out, const struct client_transfer *transfer, int result, const char *reason,
                         long resident_kib)
{
    char bytes[JSON_SIZE];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes };

    write_json(&writer, transfer, result, reason, 0, resident_kib);
    put_line_by_and_by(out, &writer);
}

void report_plan(FILE *out, const char *direction, const char *remote, uint64_t bytes)
{
    char text[JSON_SIZE];
    struct http_writer writer = { .bytes = text, .capacity = sizeof text };

    http_write(&writer, "{\"would\":\"%s\"", direction);
    field(&writer, "remote", remote);
    if (bytes != UINT64_MAX)
        http_write(&writer, ",\"bytes\":%" PRIu64, bytes);
    http_write(&writer, "}");
    put_line(out, &writer);
}

void report_summary(FILE *out, const struct report_summary *summary)
{
    char bytes[JSON_SIZE];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes };

    http_write(&writer, "{\"summary\":\"%s\"", summary->direction);
    field(&writer, "remote", summary->remote);
    field(&writer, "local", summary->local);
    http_write(&writer,
               ",\"dry_run\":%s,\"files\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"max_resident_kib\":%ld}",
               summary->dry_run ? "true" : "false", summary->moved, summary->skipped, summary->failed, summary->bytes,
               summary->seconds, report_cpu_seconds(), report_resident_kib());
    if (summary->untaken) {
        writer.length--; /* the brace */
        field(&writer, "not_taken", summary->untaken);
        http_write(&writer, "}");
    }
    put_line(out, &writer);
}

void report_entry(FILE *out, const struct client_entry *entry, int json)
{
    char bytes[JSON_SIZE];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes };

    if (!json) {
        char *name = printable(entry->name), *modified = printable(entry->modified);
        fprintf(out, "%14" PRIu64 "  %-29s  %s%s\n", entry->size, modified ? modified : "?", name ? name : "?",
                entry->directory ? "/" : "");
        free(name);
        free(modified);
        return;
    }
    http_write(&writer, "{\"name\":");
    http_write_json_string(&writer, entry->name);
    field(&writer, "type", entry->directory ? "directory" : "file");
    field(&writer, "mtime", entry->modified);
    if (!entry->directory)
        http_write(&writer, ",\"size\":%" PRIu64, entry->size);
    http_write(&writer, "}");
    put_line(out, &writer);
}
