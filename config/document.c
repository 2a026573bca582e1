/* The schema as Markdown. */
#include "config/internal.h"

static void print_choices(const struct config_choice *choices, FILE *out)
{
    for (const struct config_choice *choice = choices; choice->word; choice++)
        fprintf(out, "%s`%s`", choice == choices ? "" : choice[1].word ? ", " : " or ", choice->word);
}

static void print_choice_set(const struct config_choice *choices, FILE *out)
{
    print_choices(choices, out);
    fprintf(out, ", or several, separated by commas");
}

static void print_bounds(const struct config_key *key, const char *what, FILE *out)
{
    char low[CONFIG_BOUND_SIZE], high[CONFIG_BOUND_SIZE];
    fprintf(out, "%s, %s to %s", what, config_bound(key->type, key->minimum, low),
            key->maximum == INT64_MAX ? "what the disk holds" : config_bound(key->type, key->maximum, high));
}

static void print_values(const struct config_key *key, FILE *out)
{
    static const char *const words[] = {
        [CONFIG_TYPE_NUMBER] = "number",
        [CONFIG_TYPE_SIZE] = "bytes (K, M, G, T)",
        [CONFIG_TYPE_DURATION] = "time (ms, s, m, h)",
        [CONFIG_TYPE_FLAG] = "`yes` or `no`",
        [CONFIG_TYPE_PATH] = "path",
        [CONFIG_TYPE_PATHS] = "paths, separated by commas",
        [CONFIG_TYPE_NAMES] = "names, separated by commas",
        [CONFIG_TYPE_ADDRESSES] = "HOST:PORT or [IPV6]:PORT, separated by commas",
        [CONFIG_TYPE_REFERENCE] = "name of a ",
        [CONFIG_TYPE_VERSION] = "`1.2` or `1.3`",
        [CONFIG_TYPE_HOSTNAME] = "`yes`, `no` or a name",
        [CONFIG_TYPE_TEXT] = "text",
        [CONFIG_TYPE_WORD] = "word",
        [CONFIG_TYPE_FOLDER] = "folder of the store",
        [CONFIG_TYPE_PATTERNS] = "words with * and ?, separated by commas",
        [CONFIG_TYPE_NETWORKS] = "addresses, blocks and patterns, separated by commas",
        [CONFIG_TYPE_EXPRESSION] = "expression of names",
        [CONFIG_TYPE_FINGERPRINTS] = "SHA-256 sums, separated by commas",
        [CONFIG_TYPE_SANS] = "KIND:PATTERN, separated by commas",
        [CONFIG_TYPE_COMMAND] = "program and arguments",
        [CONFIG_TYPE_GRANTS] = "who, separated by commas",
        [CONFIG_TYPE_RATE] = "bytes per second (K, M, G, T; 1.5G)",
    };
    if (key->type == CONFIG_TYPE_CHOICE)
        print_choices(key->choices, out);
    else if (key->type == CONFIG_TYPE_CHOICES)
        print_choice_set(key->choices, out);
    else if (key->type <= CONFIG_TYPE_DURATION)
        print_bounds(key, words[key->type], out);
    else
        fprintf(out, "%s%s", words[key->type], key->refers_to ? key->refers_to : "");
}

static void document_kind(const struct config_kind *kind, FILE *out)
{
    fprintf(out, "\n### [%s%s]\n\n%s\n\n", kind->name, kind->named ? " NAME" : "", kind->help);
    const struct config_page *page = config_page_find(kind->name);
    if (page)
        fprintf(out, "%s\n```ini\n%s```\n\n", page->notes, page->example);
    fprintf(out, "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (const struct config_key *key = kind->keys; key->name; key++) {
        const char *quote = key->fallback ? "`" : "";
        const char *fallback = key->fallback ? key->fallback : key->mandatory ? "must be given" : "none";
        fprintf(out, "| `%s` | ", key->name);
        print_values(key, out);
        fprintf(out, " | %s%s%s | %s |\n", quote, fallback, quote, key->help);
    }
}

void config_schema_document(FILE *out)
{
    fprintf(out, "## Sections and keys\n\n");
    for (const struct config_kind *kind = config_kinds; kind->name; kind++) {
        const char *name = kind->named ? "-name" : "";
        fprintf(out, "%s[`[%s%s]`](#%s%s)", kind == config_kinds ? "" : " · ", kind->name, kind->named ? " NAME" : "",
                kind->name, name);
    }
    fprintf(out, "\n");
    for (const struct config_kind *kind = config_kinds; kind->name; kind++)
        document_kind(kind, out);
}
