/* sluice cert: which certificates does this configuration use or trust, and for how long are they good? */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/printable.h"
#include "config/model.h"
#include "engine/cli/cli.h"
#include "engine/cli/report.h"
#include "engine/http/http.h"
#include "ktls/inventory.h"

enum { EXIT_RIGHT = 0, EXIT_MARKED = 1, EXIT_USAGE = 2, EXIT_WRONG = 3 };

static const char usage[] =
    "Usage: sluice cert list [-c FILE] [--long] [--json]\n"
    "       sluice cert check [-c FILE] [--long] [--json]\n"
    "\n"
    "Every certificate that a configuration uses or trusts, below the one that issued it: subject,\n"
    "issuer, serial, key, days left, used by. A ! stands in front where one has expired, expires\n"
    "within [server] expiry_warning_days, or where its issuer is missing. `check` prints only those.\n"
    "\n"
    "Exit code: 0; `check`: 1 where there is any with a !; 3 the configuration or a file that it\n"
    "names cannot be read; 2 wrong arguments.\n"
    "\n"
    "  -c, --config FILE  the configuration; default: $SLUICE_CONFIG, else\n"
    "                     /etc/sluice/sluice.ini\n"
    "  -l, --long         also the fingerprint (SHA-256), the dates and the file\n"
    "      --json         one JSON object\n"
    "  -h, --help         print this\n";

struct request {
    const char *file;
    bool check, in_full, json;
};

/* ---- marks ---- */

enum mark { MARK_EXPIRED = 1, MARK_EXPIRES = 2, MARK_ISSUER = 4 };

static const struct {
    enum mark mark;
    const char *text, *word;
} marks[] = {
    { MARK_EXPIRED, "has expired", "expired" },
    { MARK_EXPIRES, "expires soon", "expires-soon" },
    { MARK_ISSUER, "its issuer is missing", "issuer-missing" },
};
#define MARKS (sizeof marks / sizeof *marks)

static unsigned marks_of(const struct tls_certificate *certificate, unsigned warning_days)
{
    static const unsigned expiries[] = { [TLS_EXPIRY_SOON] = MARK_EXPIRES, [TLS_EXPIRY_PAST] = MARK_EXPIRED };
    unsigned found = expiries[tls_certificate_expiry(certificate, warning_days)];
    if (certificate->issuer_index == TLS_ISSUER_MISSING)
        found |= MARK_ISSUER;
    return found;
}

/* ---- text ---- */

/* Names come from the certificates: nothing in them may steer a terminal. */
static void print_escaped(const char *text)
{
    char *safe = printable(text);
    fputs(safe ? safe : "?", stdout);
    free(safe);
}

static void print_day(time_t when)
{
    struct tm tm;
    char text[32] = "?";
    if (gmtime_r(&when, &tm))
        strftime(text, sizeof text, "%Y-%m-%d", &tm);
    fputs(text, stdout);
}

static void print_marks(unsigned found)
{
    const char *separator = ": ";
    for (size_t i = 0; i < MARKS; i++) {
        if (!(found & marks[i].mark))
            continue;
        printf("%s%s", separator, marks[i].text);
        separator = ", ";
    }
}

static void print_line(unsigned indent, const char *label, const char *text)
{
    printf("%*s%s ", (int)indent, "", label);
    print_escaped(text);
    putchar('\n');
}

static void print_certificate(const struct tls_certificate *certificate, unsigned found, bool in_full)
{
    unsigned indent = 2 + 2 * certificate->depth;
    printf("%c%*s", found ? '!' : ' ', (int)indent - 1, "");
    print_escaped(certificate->subject[0] ? certificate->subject : "(no subject)");
    print_marks(found);
    putchar('\n');
    indent += 4;
    print_line(indent, "issuer:", certificate->issuer);
    printf("%*sserial: %s  key: ", (int)indent, "", certificate->serial);
    print_escaped(certificate->key);
    printf("  days left: %d\n", certificate->days_left);
    print_line(indent, "used by:", certificate->used_by);
    if (!in_full)
        return;
    print_line(indent, "SHA-256:", certificate->fingerprint);
    printf("%*svalid: ", (int)indent, "");
    print_day(certificate->not_before);
    fputs(" to ", stdout);
    print_day(certificate->not_after);
    putchar('\n');
    print_line(indent, "file:", certificate->file);
}

static void print_text(const struct tls_inventory *inventory, const struct request *request, unsigned warning_days)
{
    for (size_t i = 0; i < inventory->count; i++) {
        unsigned found = marks_of(&inventory->items[i], warning_days);
        if (found || !request->check)
            print_certificate(&inventory->items[i], found, request->in_full);
    }
    if (inventory->system_used_by[0] && !request->check) {
        printf("  the system's store: %zu certificate%s\n", inventory->system_count,
               inventory->system_count == 1 ? "" : "s");
        print_line(6, "used by:", inventory->system_used_by);
    }
}

/* ---- JSON ---- */

static void json_text(const char *name, const char *text)
{
    size_t capacity = strlen(text) * 6 + 3; /* quotes, and each byte as \uXXXX */
    char *bytes = malloc(capacity);
    struct http_writer writer = { .bytes = bytes, .capacity = bytes ? capacity : 0 };
    http_write_json_string(&writer, text);
    printf("\"%s\":", name);
    if (writer.overflow)
        fputs("null", stdout);
    else
        fwrite(bytes, 1, writer.length, stdout);
    free(bytes);
}

static void json_time(const char *name, time_t when)
{
    struct tm tm;
    char text[32] = "";
    if (gmtime_r(&when, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_text(name, text);
}

static void json_marks(unsigned found)
{
    const char *separator = "";
    fputs(",\"problems\":[", stdout);
    for (size_t i = 0; i < MARKS; i++) {
        if (!(found & marks[i].mark))
            continue;
        printf("%s\"%s\"", separator, marks[i].word);
        separator = ",";
    }
    putchar(']');
}

static void json_uses(unsigned uses)
{
    static const char *const names[] = { "own", "chain", "trust" };
    const char *separator = "";
    fputs(",\"uses\":[", stdout);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(uses >> i & 1))
            continue;
        printf("%s\"%s\"", separator, names[i]);
        separator = ",";
    }
    putchar(']');
}

/* Where the issuer is: its fingerprint, "system", or null where it is missing. */
static void json_parent(const struct tls_inventory *inventory, const struct tls_certificate *certificate)
{
    putchar(',');
    if (certificate->issuer_index >= 0)
        json_text("issued_by", inventory->items[certificate->issuer_index].fingerprint);
    else if (certificate->issuer_index == TLS_ISSUER_SYSTEM)
        json_text("issued_by", "system");
    else
        fputs("\"issued_by\":null", stdout);
}

static void json_certificate(const struct tls_inventory *inventory, const struct tls_certificate *certificate,
                             unsigned found)
{
    const struct {
        const char *name, *text;
    } texts[] = {
        { "subject", certificate->subject }, { "issuer", certificate->issuer },
        { "serial", certificate->serial },   { "fingerprint", certificate->fingerprint },
        { "key", certificate->key },         { "file", certificate->file },
        { "used_by", certificate->used_by },
    };
    putchar('{');
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_text(texts[i].name, texts[i].text);
        putchar(',');
    }
    json_time("not_before", certificate->not_before);
    putchar(',');
    json_time("not_after", certificate->not_after);
    printf(",\"days_left\":%d,\"depth\":%u", certificate->days_left, certificate->depth);
    json_parent(inventory, certificate);
    json_uses(certificate->uses);
    json_marks(found);
    putchar('}');
}

static void print_json(const struct tls_inventory *inventory, const struct request *request, unsigned warning_days)
{
    const char *separator = "";
    fputs("{\"certificates\":[", stdout);
    for (size_t i = 0; i < inventory->count; i++) {
        unsigned found = marks_of(&inventory->items[i], warning_days);
        if (!found && request->check)
            continue;
        fputs(separator, stdout);
        separator = ",";
        json_certificate(inventory, &inventory->items[i], found);
    }
    printf("],\"system\":{\"count\":%zu,", inventory->system_count);
    json_text("used_by", inventory->system_used_by);
    puts("}}");
}

/* ---- the subcommand ---- */

static int judge(const struct tls_inventory *inventory, const struct request *request, unsigned warning_days)
{
    (request->json ? print_json : print_text)(inventory, request, warning_days);
    config_errors_print(&inventory->problems, stderr);
    if (inventory->problems.error_count)
        return EXIT_WRONG;
    for (size_t i = 0; request->check && i < inventory->count; i++)
        if (marks_of(&inventory->items[i], warning_days))
            return EXIT_MARKED;
    return EXIT_RIGHT;
}

static int run(const struct request *request)
{
    struct config_errors errors = { 0 };
    struct config *config = config_load(request->file, &errors);
    if (!config) {
        config_errors_print(&errors, stderr);
        config_errors_clear(&errors);
        return EXIT_WRONG;
    }
    config_errors_clear(&errors);
    struct tls_inventory *inventory = tls_inventory_new(config);
    int code = EXIT_WRONG;
    if (inventory)
        code = judge(inventory, request, config->server.expiry_warning_days);
    else
        fputs("sluice cert: out of memory\n", stderr);
    if (fflush(stdout) != 0) {
        perror("sluice cert");
        code = EXIT_WRONG;
    }
    tls_inventory_free(inventory);
    config_free(config);
    return code;
}

static int wrong(const char *sentence, const char *word)
{
    if (word)
        printable_line(stderr, "sluice cert: \"%s\" %s", word, sentence);
    else
        printable_line(stderr, "sluice cert: %s", sentence);
    fputs(usage, stderr);
    return EXIT_USAGE;
}

/* The word after `cert` and its options; -1: go on, else the exit code. */
static int parse(struct request *request, int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "long", no_argument, NULL, 'l' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "c:lh", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            request->file = optarg;
            break;
        case 'l':
            request->in_full = true;
            break;
        case 'j':
            request->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_RIGHT;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return wrong("say what to do: write list or check", NULL);
    request->check = strcmp(argv[optind], "check") == 0;
    if (!request->check && strcmp(argv[optind], "list") != 0)
        return wrong("is not something it can do; write list or check", argv[optind]);
    return optind + 1 < argc ? wrong("is one argument too many; write -c FILE", argv[optind + 1]) : -1;
}

int cli_cert(int argc, char **argv)
{
    struct request request = { .file = cli_config_file() };
    int code = parse(&request, argc, argv);
    return code >= 0 ? code : run(&request);
}
