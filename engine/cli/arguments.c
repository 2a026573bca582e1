#include "engine/cli/arguments.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    JSON
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
    { "json", no_argument, NULL, JSON },
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
    "      --limit-rate RATE     bytes per second of a transfer, with K, M, G or T behind it: 800K, 100M, 1.5G; a\n"
    "                            partner's limit_rate holds, too\n"
    "For https:// URLs only; a partner's profile is in the configuration:\n"
    "      --cacert FILE         whom to trust (else the system's store)\n"
    "      --cert FILE --key FILE  our certificate and key, PEM\n"
    "      --insecure            encrypt, but do not ask who the server is\n"
    "      --tls-min, --tls-max  1.2 or 1.3\n"
    "      --ciphers LIST        suites, separated by commas\n"
    "      --offload HOW         auto (default), required, off: who encrypts, the kernel or OpenSSL\n"
    "\n"
    "Exit codes: 0 all is done; else that of the first failure: 1 something else, 2 arguments, 3 configuration or\n"
    "offload = required without kTLS, 4 no address answered, 5 TLS handshake, 6 refused by the server (3xx, 4xx),\n"
    "7 the server failed (5xx, not HTTP), 8 the connection broke or the body was cut short, 9 a local file,\n"
    "130 interrupted. Whatever it is, no incomplete file has taken its name.\n";

int arguments_wrong(const struct arguments *arguments, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "sluice %s: ", arguments->subcommand);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n`sluice %s --help` says more.\n", arguments->subcommand);
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

static int parse_seconds(const char *text, unsigned *milliseconds)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds >= 0.001 && seconds <= 86400))
        return -1;
    *milliseconds = (unsigned)(seconds * 1000);
    return 0;
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
    case LIMIT_RATE:
        return config_rate_parse(value, &arguments->limit_rate) < 0 ? "bytes per second: 1K or more, such as 100M" : NULL;
    default:
        return "an option of the list";
    }
}

static int check(const struct arguments *arguments)
{
    if (arguments->limit_rate && strcmp(arguments->subcommand, "ls") == 0)
        return arguments_wrong(arguments, "--limit-rate is for get and put");
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
    while ((option = getopt_long(argc, argv, ":c:qvh", options, &index)) != -1) {
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
