/*
 * One value of the file to one field of the model, by its type in the schema. Messages say what would be right.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/rate.h"
#include "config/value.h"

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* The largest first, for config_bound(). */
static const struct unit size_units[] = {
    { "T", UINT64_C(1) << 40 },
    { "G", UINT64_C(1) << 30 },
    { "M", UINT64_C(1) << 20 },
    { "K", UINT64_C(1) << 10 },
    { "", 1 },
    { 0 },
};
static const struct unit duration_units[] = {
    { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { 0 },
};

void *value_field(const struct job *job)
{
    return (char *)job->base + job->key->offset;
}

static const struct unit *units_of(enum config_type type)
{
    static const struct unit none[] = { { "", 1 }, { 0 } };
    return type == CONFIG_TYPE_SIZE ? size_units : type == CONFIG_TYPE_DURATION ? duration_units : none;
}

const char *config_bound(enum config_type type, uint64_t number, char text[CONFIG_BOUND_SIZE])
{
    const struct unit *unit = units_of(type);
    while (number % unit->factor != 0 || (number == 0 && unit->factor != 1))
        unit++;
    snprintf(text, CONFIG_BOUND_SIZE, "%llu%s", (unsigned long long)(number / unit->factor), unit->suffix);
    return text;
}

static int refuse_bounds(const struct job *job)
{
    char low[CONFIG_BOUND_SIZE], high[CONFIG_BOUND_SIZE];
    return refuse(job, "\"%s\" is out of bounds: write one from %s to %s", job->text,
                  config_bound(job->key->type, job->key->minimum, low),
                  config_bound(job->key->type, job->key->maximum, high));
}

static bool is_bare_number(const char *text)
{
    return text[0] && text[strspn(text, "0123456789")] == 0;
}

static int refuse_number(const struct job *job)
{
    if (is_bare_number(job->text) && job->key->type != CONFIG_TYPE_DURATION)
        return refuse_bounds(job); /* more digits than 64 bits hold */
    if (job->key->type == CONFIG_TYPE_SIZE)
        return refuse(job, "\"%s\" is not a size: write a number, with K, M, G or T behind it for powers of 1024",
                      job->text);
    if (job->key->type == CONFIG_TYPE_DURATION)
        return refuse(job, "\"%s\" is not a duration: write a number and its unit (ms, s, m or h), such as 10s",
                      job->text);
    return refuse(job, "\"%s\" is not a number: write one in digits", job->text);
}

static int set_number(const struct job *job)
{
    uint64_t number;
    const char *suffix;
    if (!config_digits(job->text, &number, &suffix))
        return refuse_number(job);
    const struct unit *unit = units_of(job->key->type);
    while (unit->suffix && strcmp(unit->suffix, suffix) != 0)
        unit++;
    if (!unit->suffix)
        return refuse_number(job);
    if (__builtin_mul_overflow(number, unit->factor, &number) || number < job->key->minimum ||
        number > job->key->maximum)
        return refuse_bounds(job);
    if (job->key->type == CONFIG_TYPE_SIZE)
        *(uint64_t *)value_field(job) = number;
    else
        *(unsigned *)value_field(job) = (unsigned)number;
    return 0;
}

static const struct config_choice *find_choice(const struct config_choice *choices, const char *word)
{
    for (; choices && choices->word; choices++) {
        if (strcmp(choices->word, word) == 0)
            return choices;
    }
    return NULL;
}

/* "a, b or c" */
static char *list_choices(const struct config_choice *choices)
{
    char *list = NULL;
    for (const struct config_choice *choice = choices; choice->word; choice++) {
        char *longer = NULL;
        const char *joint = choice == choices ? "" : choice[1].word ? ", " : " or ";
        if (asprintf(&longer, "%s%s%s", list ? list : "", joint, choice->word) < 0)
            longer = NULL;
        free(list);
        list = longer;
        if (!list)
            return NULL;
    }
    return list;
}

/* Another kind of section whose key of the same name knows the word: "enforced" is for clients only. */
static const char *kind_with_choice(const struct config_key *key, const char *word)
{
    for (const struct config_kind *kind = config_kinds; kind->name; kind++) {
        const struct config_key *other = config_key_find(kind, key->name);
        if (other && other->type == CONFIG_TYPE_CHOICE && find_choice(other->choices, word))
            return kind->name;
    }
    return NULL;
}

static int refuse_choice(const struct job *job)
{
    char *list = list_choices(job->key->choices);
    if (!list)
        return -ENOMEM;
    struct config_suggestion near = { .wanted = job->text };
    for (const struct config_choice *choice = job->key->choices; choice->word; choice++)
        config_suggest(&near, choice->word);
    const char *elsewhere = kind_with_choice(job->key, job->text);
    int result = elsewhere   ? refuse(job, "\"%s\" is for a %s only: write %s", job->text, elsewhere, list)
                 : near.best ? refuse(job, "\"%s\" is not one of %s: did you mean \"%s\"?", job->text, list, near.best)
                             : refuse(job, "\"%s\" is not one of its values: write %s", job->text, list);
    free(list);
    return result;
}

static int set_choice(const struct job *job)
{
    const struct config_choice *choice = find_choice(job->key->choices, job->text);
    if (!choice)
        return refuse_choice(job);
    *(int *)value_field(job) = choice->value;
    return 0;
}

static int add_choice(const struct job *job, const char *part, size_t length)
{
    char *word = strndup(part, length);
    if (!word)
        return -ENOMEM;
    struct job one = *job;
    int value = 0;
    struct config_key key = *job->key;
    key.offset = 0;
    one.key = &key;
    one.text = word;
    one.base = &value;
    int result = set_choice(&one);
    *(unsigned *)value_field(job) |= (unsigned)value;
    free(word);
    return result;
}

static int set_choices(const struct job *job)
{
    return value_for_each_part(job, add_choice);
}

static int set_flag(const struct job *job)
{
    bool yes = strcmp(job->text, "yes") == 0;
    if (!yes && strcmp(job->text, "no") != 0)
        return refuse(job, "\"%s\" is neither yes nor no: write one of them", job->text);
    *(bool *)value_field(job) = yes;
    return 0;
}

/* Takes the text in [start, start + length) as a path. */
static int make_path(const struct job *job, const char *start, size_t length, char **path)
{
    bool absolute = length && start[0] == '/';
    const char *folder = absolute ? "" : job->scene->folder;
    if (asprintf(path, "%s%s%.*s", folder, absolute ? "" : "/", (int)length, start) >= 0)
        return 0;
    *path = NULL;
    return -ENOMEM;
}

static int set_path(const struct job *job)
{
    return make_path(job, job->text, strlen(job->text), (char **)value_field(job));
}

int value_for_each_part(const struct job *job, int (*add)(const struct job *job, const char *part, size_t length))
{
    size_t parts = 0;
    int result = 0;
    for (const char *start = job->text;; start++) {
        size_t length = strcspn(start, ",");
        const char *end = start + length;
        start += strspn(start, " \t");
        const char *stop = end;
        while (stop > start && isblank((unsigned char)stop[-1]))
            stop--;
        if (stop <= start)
            return refuse(job, "has an empty entry: remove the comma");
        if (++parts > CONFIG_LIST_MAX)
            return refuse(job, "has more than %d entries: remove some", CONFIG_LIST_MAX);
        int added = add(job, start, (size_t)(stop - start));
        if (added == -ENOMEM)
            return added;
        if (added)
            result = added; /* go on: all of them are reported */
        if (*end == 0)
            return result;
        start = end;
    }
}

int config_list_add(struct config_list *list, const char *item)
{
    char **items = reallocarray(list->items, list->count + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count] = strdup(item);
    return items[list->count] ? (list->count++, 0) : -ENOMEM;
}

int value_append(struct config_list *list, char *item)
{
    char **items = item ? reallocarray(list->items, list->count + 1, sizeof(*items)) : NULL;
    if (!items) {
        free(item);
        return -ENOMEM;
    }
    items[list->count++] = item;
    list->items = items;
    return 0;
}

static int add_path(const struct job *job, const char *part, size_t length)
{
    char *path = strndup(part, length);
    if (path && !find_choice(job->key->choices, path)) {
        free(path);
        make_path(job, part, length, &path);
    }
    return value_append(value_field(job), path);
}

static int set_paths(const struct job *job)
{
    return value_for_each_part(job, add_path);
}

static int add_name(const struct job *job, const char *part, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)part[i]) && part[i] != '_' && part[i] != '-')
            return refuse(job, "\"%.*s\" is not a name of letters, digits, - and _: separate names by commas",
                          (int)length, part);
    }
    return value_append(value_field(job), strndup(part, length));
}

static int set_names(const struct job *job)
{
    return value_for_each_part(job, add_name);
}

static int add_address(const struct job *job, const char *part, size_t length)
{
    struct config_addresses *list = value_field(job);
    char *text = strndup(part, length), *host = NULL;
    if (!text)
        return -ENOMEM;
    uint16_t port = 0;
    const char *problem = config_address_split(text, job->key->minimum, &host, &port);
    if (problem) {
        free(text);
        return refuse(job, "\"%.*s\" %s", (int)length, part, problem);
    }
    struct config_address *items = reallocarray(list->items, list->count + 1, sizeof(*items));
    if (items) {
        list->items = items;
        items[list->count] = (struct config_address){ .host = strdup(host), .port = port };
    }
    free(text);
    if (!items || !items[list->count].host)
        return -ENOMEM;
    list->count++;
    return 0;
}

static int set_addresses(const struct job *job)
{
    return value_for_each_part(job, add_address);
}

/* Resolved when all sections are known, in rules.c. */
static int set_reference(const struct job *job)
{
    (void)job;
    return 0;
}

static bool is_broken_version(const char *digits)
{
    static const char *const broken[] = { "1", "1.0", "1.1", "2", "2.0", "3", "3.0" };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        if (strcmp(broken[i], digits) == 0)
            return true;
    }
    return false;
}

static int set_version(const struct job *job)
{
    const char *digits = job->text + strcspn(job->text, "0123456789");
    unsigned version = strcmp(digits, "1.2") == 0 ? 0x0303 : strcmp(digits, "1.3") == 0 ? 0x0304 : 0;
    if (version && digits == job->text) {
        *(unsigned *)value_field(job) = version;
        return 0;
    }
    if (version)
        return refuse(job, "\"%s\" is not written like this: write %s", job->text, digits);
    if (is_broken_version(digits))
        return refuse(job,
                      "\"%s\" is older than TLS 1.2 and no longer safe (RFC 8996): the oldest that may be used is 1.2; "
                      "a partner that has nothing newer must be brought up to date",
                      job->text);
    return refuse(job, "\"%s\" is no version of TLS that can be used: write 1.2 or 1.3", job->text);
}

static int set_hostname(const struct job *job)
{
    static const char *const flags[] = { "true", "false", "on", "off", "none", "0", "1" };
    struct config_profile *profile = job->base;
    const struct config_choice *choice = find_choice(job->key->choices, job->text);
    if (choice) {
        profile->hostname = (enum config_hostname)choice->value;
        return 0;
    }
    bool flag = false;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        flag = flag || strcasecmp(flags[i], job->text) == 0;
    if (flag || !(config_is_host(job->text) || config_is_ipv6(job->text)))
        return refuse(job, "\"%s\" is neither yes, no, nor the name of a host: write one of them", job->text);
    profile->hostname = CONFIG_HOSTNAME_NAMED;
    profile->hostname_value = strdup(job->text);
    return profile->hostname_value ? 0 : -ENOMEM;
}

int value_set_text(const struct job *job)
{
    char **text = value_field(job);
    *text = strdup(job->text);
    return *text ? 0 : -ENOMEM;
}

static int set_word(const struct job *job)
{
    if (strpbrk(job->text, " \t\"',:/"))
        return refuse(job, "\"%s\" is not one word: write it without blanks, quotes, commas, colons and slashes",
                      job->text);
    return value_set_text(job);
}

static int set_rate(const struct job *job)
{
    int rc = config_rate_parse(job->text, value_field(job));
    if (rc == -EINVAL)
        return refuse(job, "\"%s\" is not a rate: write bytes per second, such as 800K, 100M or 1.5G", job->text);
    if (rc == -ERANGE)
        return refuse(job, "\"%s\" is out of bounds: write 1K or more; for no limit leave the key out", job->text);
    return 0;
}

static int (*const setters[])(const struct job *job) = {
    [CONFIG_TYPE_NUMBER] = set_number,
    [CONFIG_TYPE_SIZE] = set_number,
    [CONFIG_TYPE_DURATION] = set_number,
    [CONFIG_TYPE_CHOICE] = set_choice,
    [CONFIG_TYPE_FLAG] = set_flag,
    [CONFIG_TYPE_PATH] = set_path,
    [CONFIG_TYPE_PATHS] = set_paths,
    [CONFIG_TYPE_NAMES] = set_names,
    [CONFIG_TYPE_ADDRESSES] = set_addresses,
    [CONFIG_TYPE_REFERENCE] = set_reference,
    [CONFIG_TYPE_VERSION] = set_version,
    [CONFIG_TYPE_HOSTNAME] = set_hostname,
    [CONFIG_TYPE_TEXT] = value_set_text,
    [CONFIG_TYPE_WORD] = set_word,
    [CONFIG_TYPE_FOLDER] = value_set_folder,
    [CONFIG_TYPE_PATTERNS] = value_set_patterns,
    [CONFIG_TYPE_NETWORKS] = value_set_networks,
    [CONFIG_TYPE_EXPRESSION] = value_set_expression,
    [CONFIG_TYPE_FINGERPRINTS] = value_set_fingerprints,
    [CONFIG_TYPE_SANS] = value_set_sans,
    [CONFIG_TYPE_GRANTS] = value_set_grants,
    [CONFIG_TYPE_CHOICES] = set_choices,
    [CONFIG_TYPE_COMMAND] = value_set_command,
    [CONFIG_TYPE_RATE] = set_rate,
};

int config_value_set(const struct config_scene *scene, const struct config_key *key, const char *text, void *base)
{
    struct job job = { .scene = scene, .key = key, .text = text, .base = base };
    if (text[0] == 0)
        return refuse(&job, "has no value: write one, or remove the line");
    return setters[key->type](&job);
}

void config_list_clear(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){ 0 };
}

static void addresses_free(struct config_addresses *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].host);
    free(list->items);
    *list = (struct config_addresses){ 0 };
}

static void networks_free(struct config_networks *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].pattern);
    free(list->items);
    *list = (struct config_networks){ 0 };
}

static void string_free(char **string)
{
    free(*string);
    *string = NULL;
}

static void expression_free(struct config_expression **expression)
{
    config_expression_free(*expression);
    *expression = NULL;
}

void config_value_free(const struct config_key *key, void *base)
{
    void *at = (char *)base + key->offset;
    switch (key->type) {
    case CONFIG_TYPE_PATH:
    case CONFIG_TYPE_TEXT:
    case CONFIG_TYPE_WORD:
    case CONFIG_TYPE_FOLDER:
        string_free(at);
        break;
    case CONFIG_TYPE_PATHS:
    case CONFIG_TYPE_NAMES:
    case CONFIG_TYPE_PATTERNS:
    case CONFIG_TYPE_FINGERPRINTS:
    case CONFIG_TYPE_SANS:
    case CONFIG_TYPE_GRANTS:
    case CONFIG_TYPE_COMMAND:
        config_list_clear(at);
        break;
    case CONFIG_TYPE_ADDRESSES:
        addresses_free(at);
        break;
    case CONFIG_TYPE_NETWORKS:
        networks_free(at);
        break;
    case CONFIG_TYPE_EXPRESSION:
        expression_free(at);
        break;
    case CONFIG_TYPE_HOSTNAME:
        string_free(&((struct config_profile *)base)->hostname_value);
        break;
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_SIZE:
    case CONFIG_TYPE_DURATION:
    case CONFIG_TYPE_CHOICE:
    case CONFIG_TYPE_CHOICES:
    case CONFIG_TYPE_FLAG:
    case CONFIG_TYPE_REFERENCE:
    case CONFIG_TYPE_VERSION:
    case CONFIG_TYPE_RATE:
        break;
    }
}
