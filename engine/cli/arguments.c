#include "engine/cli/arguments.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/path.h"
#include "config/printable.h"
#include "config/rate.h"
#include "engine/client/client.h"

enum option_id {
    CACERT = 256,
    CERT,
    KEY,
    INSECURE,
    TLS_MIN,
    TLS_MAX,
    CIPHERS,
    OFFLOAD,
    CONNECT_TIMEOUT,
    IDLE_TIMEOUT,
    LIMIT_RATE,
    IF_EXISTS,
    VERIFY,
    NO_VERIFY,
    DIGEST,
    JSON,
    LINKS,
    CHECKSUM,
    INCLUDE,
    EXCLUDE,
    FILES_FROM,
    DRY_RUN,
    EXACT_MODES,
    STREAMS,
    RETRIES,
    QUEUE,
    PATH
};

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },
    { "cacert", required_argument, NULL, CACERT },
    { "cert", required_argument, NULL, CERT },
    { "key", required_argument, NULL, KEY },
    { "insecure", no_argument, NULL, INSECURE },
    { "tls-min", required_argument, NULL, TLS_MIN },
    { "tls-max", required_argument, NULL, TLS_MAX },
    { "ciphers", required_argument, NULL, CIPHERS },
    { "offload", required_argument, NULL, OFFLOAD },
    { "connect-timeout", required_argument, NULL, CONNECT_TIMEOUT },
    { "idle-timeout", required_argument, NULL, IDLE_TIMEOUT },
    { "limit-rate", required_argument, NULL, LIMIT_RATE },
    { "path", required_argument, NULL, PATH },
    { "if-exists", required_argument, NULL, IF_EXISTS },
    { "verify", no_argument, NULL, VERIFY },
    { "no-verify", no_argument, NULL, NO_VERIFY },
    { "digest", required_argument, NULL, DIGEST },
    { "streams", required_argument, NULL, STREAMS },
    { "retries", required_argument, NULL, RETRIES },
    { "json", no_argument, NULL, JSON },
    { "recursive", no_argument, NULL, 'r' },
    { "links", required_argument, NULL, LINKS },
    { "checksum", no_argument, NULL, CHECKSUM },
    { "include", required_argument, NULL, INCLUDE },
    { "exclude", required_argument, NULL, EXCLUDE },
    { "files-from", required_argument, NULL, FILES_FROM },
    { "dry-run", no_argument, NULL, DRY_RUN },
    { "exact-modes", no_argument, NULL, EXACT_MODES },
    { "queue", no_argument, NULL, QUEUE },
    { "quiet", no_argument, NULL, 'q' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};

static const char common_help[] =
    "\n"
    "A remote name is PARTNER:PATH, with the partner from the configuration, or https://HOST[:PORT]/PATH.\n"
    "\n"
    "  -c, --config FILE         the configuration (else $SLUICE_CONFIG, else /etc/sluice/sluice.ini)\n"
    "  -q, --quiet               no progress, no line at the end; errors are still told\n"
    "  -v, --verbose             events on standard error\n"
    "      --json                one JSON object per line on standard output instead of text\n"
    "      --connect-timeout S   seconds for each address and for the handshake (10)\n"
    "      --idle-timeout S      seconds without progress (60)\n"
    "      --if-exists HOW       where the target is there: replace (default: unless it is the same), skip, fail "
    "(exit\n"
    "                            code 11), or rename: the file becomes NAME.1, NAME.2 and so on\n"
    "      --limit-rate RATE     bytes per second of a transfer, with K, M, G or T behind it: 800K, 100M, 1.5G; a\n"
    "                            partner's limit_rate holds, too\n"
    "      --path NAME           how bodies move between file and socket: auto (default) or\n"
    "                            a name of those in the README: what cannot be had is said, and another taken\n"
    "      --streams N           connections for one large file, 1 to 64 (else by its size, our cores and the "
    "partner's\n"
    "                            hosts: one below 128 MiB); or for many small files (8), 16 at most\n"
    "      --retries N           new connections in a row for a large file whose own broke (5); what came until then "
    "is\n"
    "                            kept, and the same command goes on from there\n"
    "      --verify              compare digests with the server, and fail where that cannot be done; without it put "
    "does\n"
    "                            where it can be done, and get where it goes on with an earlier part\n"
    "      --no-verify           compare no digests\n"
    "      --digest ALGORITHM    sha-256 (default) or sha-512\n"
    "Of get and put, for directories (in which files that have the same size and time on both sides are skipped):\n"
    "  -r, --recursive           a SOURCE that is a directory is moved with all in it, also without '/' at its end\n"
    "      --links HOW           symbolic links: follow (default: the file they lead to, within the directory), skip,\n"
    "                            keep (as links, if they stay within the directory)\n"
    "      --exact-modes         get: permissions as they are there, also those that our umask takes away\n"
    "      --checksum            a file is the same if its digest is, whatever its time\n"
    "      --include, --exclude GLOB  which files; the first that matches decides. With a '/' it is held against the\n"
    "                            path within the directory, else against the name; with '/' at its end, directories\n"
    "      --files-from FILE     only what FILE names, one a line or each ended by NUL; - is standard input\n"
    "      --dry-run             tells what would be moved\n"
    "      --queue               leave it to the running `sluice serve`, which tries again where that helps;\n"
    "                            prints the id, for `sluice show`, `hold`, `release`, `cancel` and `retry`\n"
    "For https:// URLs only; a partner's profile is in the configuration:\n"
    "      --cacert FILE         whom to trust (else the system's store)\n"
    "      --cert FILE --key FILE  our certificate and key, PEM\n"
    "      --insecure            encrypt, but do not ask who the server is\n"
    "      --tls-min, --tls-max  1.2 or 1.3\n"
    "      --ciphers LIST        suites, separated by commas\n"
    "      --offload HOW         auto (default), required, off: who encrypts, the kernel or OpenSSL\n"
    "\n"
    "Exit codes: 0 all is done; 12 some of several files failed and some did not; else that of the failure:\n"
    "1 something else, 2 arguments, 3 configuration or offload = required without kTLS, 4 no address answered, 5 TLS\n"
    "handshake, 6 refused by the server (3xx, 4xx), 7 the server failed (5xx, not HTTP), 8 the connection broke or "
    "the\n"
    "body was cut short, 9 a local file, 10 the digests differ, 11 the target is there (--if-exists fail), 130\n"
    "interrupted. Whatever it is, no incomplete file has taken its name.\n";

int arguments_wrong(const struct arguments *arguments, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "sluice %s: ", arguments->subcommand);
    va_start(list, format);
    printable_line_with(stderr, format, list);
    va_end(list);
    fprintf(stderr, "`sluice %s --help` says more.\n", arguments->subcommand);
    return CLIENT_USAGE;
}

static int parse_version(const char *text, unsigned *version)
{
    if (strcmp(text, "1.2") == 0)
        *version = 0x0303;
    else if (strcmp(text, "1.3") == 0)
        *version = 0x0304;
    else
        return -1;
    return 0;
}

static int parse_offload(const char *text, enum config_offload *offload)
{
    static const char *const words[] = {
        [CONFIG_OFFLOAD_AUTO] = "auto", [CONFIG_OFFLOAD_REQUIRED] = "required", [CONFIG_OFFLOAD_OFF] = "off"
    };
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *offload = (enum config_offload)i;
            return 0;
        }
    }
    return -1;
}

static const char *take_path(struct arguments *arguments, const char *value)
{
    enum config_path path;
    if (config_path_parse(value, &path) < 0)
        return CONFIG_PATH_WORDS;
    arguments->path = config_path_word(path);
    return NULL;
}

static int parse_if_exists(const char *text, enum client_if_exists *if_exists)
{
    static const char *const words[] = { [CLIENT_IF_EXISTS_REPLACE] = "replace",
                                         [CLIENT_IF_EXISTS_FAIL] = "fail",
                                         [CLIENT_IF_EXISTS_SKIP] = "skip",
                                         [CLIENT_IF_EXISTS_RENAME] = "rename" };
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *if_exists = (enum client_if_exists)i;
            return 0;
        }
    }
    return -1;
}

static int parse_seconds(const char *text, unsigned *milliseconds)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds >= 0.001 && seconds <= 86400))
        return -1;
    *milliseconds = (unsigned)(seconds * 1000);
    return 0;
}

static int parse_links(const char *text, enum arguments_links *links)
{
    static const char *const words[] = { [LINKS_FOLLOW] = "follow", [LINKS_SKIP] = "skip", [LINKS_KEEP] = "keep" };
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *links = (enum arguments_links)i;
            return 0;
        }
    }
    return -1;
}

static const char *add_rule(struct arguments *arguments, bool include, const char *pattern)
{
    if (!pattern[0])
        return "a pattern";
    if (arguments->rule_count == ARGUMENTS_RULES_MAX)
        return "one of at most 256 patterns";
    arguments->rules[arguments->rule_count].include = include;
    arguments->rules[arguments->rule_count++].pattern = pattern;
    return NULL;
}

static int parse_count(const char *text, unsigned long least, unsigned long most, unsigned *count)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value < least || value > most)
        return -1;
    *count = (unsigned)value;
    return 0;
}

static const char *take_retries(struct arguments *arguments, const char *value)
{
    unsigned count;
    if (parse_count(value, 0, 1000, &count) < 0)
        return "a number from 0 to 1000";
    arguments->retries = count == 0 ? -1 : (int)count;
    return NULL;
}

/* 0, or what was expected. */
static const char *take_tree_option(struct arguments *arguments, int option, const char *value)
{
    switch (option) {
    case 'r':
        arguments->recursive = true;
        return NULL;
    case LINKS:
        return parse_links(value, &arguments->links) < 0 ? "skip, follow or keep" : NULL;
    case CHECKSUM:
        arguments->checksum = true;
        return NULL;
    case INCLUDE:
    case EXCLUDE:
        return add_rule(arguments, option == INCLUDE, value);
    case FILES_FROM:
        arguments->files_from = value;
        return NULL;
    case EXACT_MODES:
        arguments->exact_modes = true;
        return NULL;
    case DRY_RUN:
        arguments->dry_run = true;
        return NULL;
    default:
        return "an option of the list";
    }
}

/* 0, or what was expected. */
static const char *take_option(struct arguments *arguments, int option, const char *value)
{
    switch (option) {
    case 'c':
        arguments->config_file = value;
        return NULL;
    case 'q':
        arguments->quiet = true;
        return NULL;
    case 'v':
        arguments->verbose = true;
        return NULL;
    case QUEUE:
        arguments->queue = true;
        return NULL;
    case JSON:
        arguments->json = true;
        return NULL;
    case CACERT:
        arguments->cacert = value;
        return NULL;
    case CERT:
        arguments->cert = value;
        return NULL;
    case KEY:
        arguments->key = value;
        return NULL;
    case CIPHERS:
        arguments->ciphers = value;
        return NULL;
    case INSECURE:
        arguments->insecure = true;
        return NULL;
    case TLS_MIN:
        return parse_version(value, &arguments->min_version) < 0 ? "1.2 or 1.3" : NULL;
    case TLS_MAX:
        return parse_version(value, &arguments->max_version) < 0 ? "1.2 or 1.3" : NULL;
    case OFFLOAD:
        return parse_offload(value, &arguments->offload) < 0 ? "auto, required or off" : NULL;
    case CONNECT_TIMEOUT:
        return parse_seconds(value, &arguments->connect_timeout) < 0 ? "seconds" : NULL;
    case IDLE_TIMEOUT:
        return parse_seconds(value, &arguments->idle_timeout) < 0 ? "seconds" : NULL;
    case VERIFY:
    case NO_VERIFY:
        arguments->verify = option == VERIFY ? CLIENT_VERIFY_ALWAYS : CLIENT_VERIFY_NEVER;
        return NULL;
    case STREAMS:
        return parse_count(value, 1, 64, &arguments->streams) < 0 ? "a number from 1 to 64" : NULL;
    case RETRIES:
        return take_retries(arguments, value);
    case DIGEST:
        return digest_by_name(value, strlen(value), &arguments->digest) ? NULL : "sha-256 or sha-512";
    case PATH:
        return take_path(arguments, value);
    case IF_EXISTS:
        arguments->says_if_exists = true;
        return parse_if_exists(value, &arguments->if_exists) < 0 ? "replace, skip, fail or rename" : NULL;
    case LIMIT_RATE:
        return config_rate_parse(value, &arguments->limit_rate) < 0 ? "bytes per second: 1K or more, such as 100M"
                                                                    : NULL;
    default:
        return take_tree_option(arguments, option, value);
    }
}

static bool has_tree_options(const struct arguments *arguments)
{
    return arguments->recursive || arguments->links != LINKS_FOLLOW || arguments->checksum ||
           arguments->rule_count > 0 || arguments->files_from || arguments->dry_run;
}

static int check(const struct arguments *arguments)
{
    if (has_tree_options(arguments) && strcmp(arguments->subcommand, "ls") == 0)
        return arguments_wrong(arguments,
                               "-r, --links, --checksum, --include, --exclude, --files-from and --dry-run are for get "
                               "and put");
    if (arguments->exact_modes && strcmp(arguments->subcommand, "get") != 0)
        return arguments_wrong(arguments, "--exact-modes is for get: a server holds modes to its own umask");
    if (arguments->queue && strcmp(arguments->subcommand, "ls") == 0)
        return arguments_wrong(arguments, "--queue is for get and put");
    if (arguments->queue && (arguments->files_from || arguments->dry_run))
        return arguments_wrong(arguments, "--queue goes without --files-from and --dry-run: what there is to move is "
                                          "found when its turn comes; --include and --exclude choose then");
    if (arguments->path && (arguments->queue || strcmp(arguments->subcommand, "ls") == 0))
        return arguments_wrong(arguments, "--path is for get and put, without --queue");
    if (arguments->limit_rate && strcmp(arguments->subcommand, "ls") == 0)
        return arguments_wrong(arguments, "--limit-rate is for get and put");
    if (arguments->says_if_exists && strcmp(arguments->subcommand, "ls") == 0)
        return arguments_wrong(arguments, "--if-exists is for get and put");
    if (arguments->verify != CLIENT_VERIFY_USUAL && strcmp(arguments->subcommand, "ls") == 0)
        return arguments_wrong(arguments, "--verify and --no-verify are for get and put");
    if ((arguments->cert == NULL) != (arguments->key == NULL))
        return arguments_wrong(arguments, "--cert and --key go together");
    if (arguments->insecure && arguments->cacert)
        return arguments_wrong(arguments, "--insecure asks for no trust, --cacert says whom to trust: choose one");
    if (arguments->min_version && arguments->max_version && arguments->min_version > arguments->max_version)
        return arguments_wrong(arguments, "--tls-min is above --tls-max");
    return 0;
}

int arguments_parse(struct arguments *arguments, int argc, char **argv, const char *usage, int *exit_code)
{
    int option, index = 0;

    *arguments = (struct arguments){ .subcommand = argv[0] };
    *exit_code = CLIENT_USAGE;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:rqvh", options, &index)) != -1) {
        if (option == 'h') {
            printf("%s%s", usage, common_help);
            *exit_code = CLIENT_OK;
            return -1;
        }
        if (option == '?' || option == ':') {
            arguments_wrong(arguments, "%s %s", argv[optind - 1],
                            option == ':' ? "needs a value" : "is not an option of this subcommand");
            return -1;
        }
        if (option >= CACERT && option <= OFFLOAD && !arguments->first_tls_option)
            arguments->first_tls_option = options[index].name;
        const char *expected = take_option(arguments, option, optarg);
        if (expected) {
            arguments_wrong(arguments, "--%s: \"%s\" is not %s", options[index].name, optarg, expected);
            return -1;
        }
    }
    arguments->names = argv + optind;
    arguments->name_count = argc - optind;
    return check(arguments) == 0 ? 0 : -1;
}

static bool set_one(struct config_list *list, const char *item)
{
    return !item || config_list_add(list, item) == 0;
}

static bool list_add(struct config_list *list, const char *text, size_t length)
{
    char **grown = realloc(list->items, (list->count + 1) * sizeof *grown);
    if (!grown)
        return false;
    list->items = grown;
    list->items[list->count] = strndup(text, length);
    return list->items[list->count] && ++list->count;
}

static void list_clear(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){ 0 };
}

static bool set_ciphers(struct config_list *list, const char *text)
{
    list_clear(list);
    while (*text) {
        size_t length = strcspn(text, ", :");
        if (length > 0 && !list_add(list, text, length))
            return false;
        text += length;
        text += *text != '\0';
    }
    return true;
}

struct config_profile *arguments_profile(const struct arguments *arguments)
{
    struct config_profile *profile = config_profile_default(CONFIG_CLIENT);
    if (!profile)
        return NULL;
    bool good = set_one(&profile->certificate, arguments->cert) && set_one(&profile->key, arguments->key);
    if (good && (arguments->cacert || (profile->trust.count == 0 && !arguments->insecure))) {
        const char *trust = arguments->cacert ? arguments->cacert : "system";
        list_clear(&profile->trust);
        good = list_add(&profile->trust, trust, strlen(trust));
    }
    if (good && arguments->ciphers)
        good = set_ciphers(&profile->ciphers, arguments->ciphers);
    if (!good) {
        config_profile_free(profile);
        return NULL;
    }
    if (arguments->insecure) {
        profile->verify = CONFIG_VERIFY_NONE;
        profile->insecure = true;
        profile->hostname = CONFIG_HOSTNAME_ANY;
    }
    if (arguments->min_version)
        profile->min_version = arguments->min_version;
    if (arguments->max_version)
        profile->max_version = arguments->max_version;
    profile->offload = arguments->offload;
    return profile;
}
