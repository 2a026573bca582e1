/* CFTSSL -> [server-profile] and [client-profile]. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/cft/internal.h"

#define DEPTH_MAX 10
#define TLS_12 0x0303
#define TLS_13 0x0304

static bool is(const char *value, const char *word)
{
    return strcasecmp(value, word) == 0;
}

/* The values of a list as one, each made by `print`, with ", " between. */
static void write_list(struct site *site, const char *key, const struct cft_parameter *list, const char *suffix)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    bool good = out != NULL;
    for (size_t i = 0; good && i < list->count; i++) {
        const char *file = site_file(site, list->values[i].text);
        good = file && fprintf(out, "%scerts/%s%s", i ? ", " : "", file, suffix) > 0;
    }
    if (out && fclose(out) == 0 && good)
        ini_key(site->out, key, text);
    else
        site->failed = true;
    free(text);
}

static void write_exports(struct site *site, const struct cft_parameter *list, const char *what, bool with_key)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *file = site_file(site, list->values[i].text);
        if (!file)
            continue;
        if (with_key)
            ini_comment(site->out,
                        "Export %s '%s' of CFT's PKI base: certs/%s.pem (its chain behind it) and its key, "
                        "certs/%s.key (mode 0600)",
                        what, list->values[i].text, file, file);
        else
            ini_comment(site->out, "Export %s '%s' of CFT's PKI base: certs/%s.pem", what, list->values[i].text, file);
    }
}

static void write_certificate(struct site *site, const struct object *object)
{
    const struct cft_command *command = object->command;
    const struct cft_parameter *own = cft_find(command, "USERCID"), *chain = cft_find(command, "INTERCID");
    if (own) {
        write_exports(site, own, "user certificate", true);
        if (chain)
            ini_comment(site->out, "line %u: INTERCID '%s' goes into the same file, behind the certificate",
                        chain->line, chain->values[0].text);
        if (cft_find(command, "PASSW"))
            ini_comment(site->out,
                        "line %u: PASSW is not repeated here; for a key that is encrypted, name a file that "
                        "holds it in key_passphrase_file",
                        cft_find(command, "PASSW")->line);
        write_list(site, "certificate", own, ".pem");
        write_list(site, "key", own, ".key");
        return;
    }
    if (object->kind == OBJECT_CLIENT)
        return;
    ini_comment(site->out, "line %u: CFTSSL names no USERCID, but a server needs a certificate: put one here",
                command->line);
    ini_key(site->out, "certificate", "certs/server.pem");
    ini_key(site->out, "key", "certs/server.key");
}

/* Without ROOTCID a client would trust the system's store, which CFT does not. */
static void write_trust(struct site *site, const struct object *object, bool needed)
{
    const struct cft_parameter *trust = cft_find(object->command, "ROOTCID");
    if (trust) {
        write_exports(site, trust, "CA certificate", false);
        write_list(site, "trust", trust, ".pem");
    } else if (needed) {
        ini_comment(site->out,
                    "line %u: CFTSSL names no ROOTCID: put the CAs here that the peers' certificates come "
                    "from",
                    object->command->line);
        ini_key(site->out, "trust", "certs/ca.pem");
    }
}

/* The words mean something else for each role: a CFT client always verifies the server. */
static const char *verify_of(struct site *site, const struct object *object)
{
    const struct cft_parameter *verify = cft_find(object->command, "VERIFY");
    const char *word = verify ? verify->values[0].text : "REQUIRED";
    if (object->kind == OBJECT_SERVER) {
        if (is(word, "NONE"))
            return "none";
        if (is(word, "OPTIONAL"))
            return "optional";
        if (!is(word, "REQUIRED"))
            ini_comment(site->out, "line %u: VERIFY = %s is unknown for a server: required stands here", verify->line,
                        word);
        return "required";
    }
    if (is(word, "ENFORCED") && cft_find(object->command, "USERCID"))
        return "enforced";
    if (is(word, "ENFORCED"))
        ini_comment(site->out,
                    "line %u: VERIFY = ENFORCED needs a certificate of ours, and USERCID names none: add "
                    "certificate and key, then write enforced",
                    verify->line);
    else if (verify && !is(word, "REQUIRED"))
        ini_comment(site->out, "line %u: VERIFY = %s of a client verifies the server all the same", verify->line, word);
    return "required";
}

static void write_verify(struct site *site, const struct object *object)
{
    const char *verify = verify_of(site, object);
    ini_key(site->out, "verify", verify);
    write_trust(site, object, !is(verify, "none"));
    if (object->kind == OBJECT_SERVER)
        return;
    ini_comment(site->out, "CFT does not hold the certificate against the name that was dialled. Remove the next line "
                           "once the servers' certificates carry their names");
    ini_key(site->out, "hostname", "no");
}

static void write_rule(struct site *site, const struct object *object, const char *cft_key, const char *key)
{
    const struct cft_parameter *parameter = cft_find(object->command, cft_key);
    bool joined;
    char *rule = parameter ? rule_expression(site, parameter, &joined) : NULL;
    if (!rule)
        return;
    if (strstr(rule, "contains:"))
        ini_comment(site->out,
                    "line %u: CFT looks for a text anywhere in the name, so CN=bank lets in CN=bankrupt. "
                    "Better: a whole attribute, such as CN=bank",
                    parameter->line);
    if (joined)
        ini_comment(site->out,
                    "line %u: the list of %s has no operator: all of it must hold here; write OR where one "
                    "is enough",
                    parameter->line, cft_key);
    ini_key(site->out, key, rule);
    free(rule);
}

static void write_depth(struct site *site, const struct object *object)
{
    const struct cft_parameter *depth = cft_find(object->command, "DEPTH");
    const char *text = depth ? depth->values[0].text : "";
    size_t digits = strspn(text, "0123456789");
    if (!depth)
        return;
    if (text[digits]) {
        ini_comment(site->out, "line %u: DEPTH = %s is no number: the default, 10, holds", depth->line, text);
        return;
    }
    unsigned long number = digits <= 5 ? strtoul(text, NULL, 10) : DEPTH_MAX + 1;
    char value[32];
    if (number > DEPTH_MAX)
        ini_comment(site->out, "line %u: DEPTH = %s is more than the %d that are checked at most", depth->line, text,
                    DEPTH_MAX);
    snprintf(value, sizeof(value), "%lu", number > DEPTH_MAX ? DEPTH_MAX : number);
    ini_key(site->out, "depth", value);
}

static void write_key_usage(struct site *site, const struct object *object)
{
    const struct cft_parameter *usage = cft_find(object->command, "KEYEXT");
    if (!usage)
        return;
    bool none = is(usage->values[0].text, "NONE");
    if (!none && !is(usage->values[0].text, "VERIFY"))
        ini_comment(site->out, "line %u: KEYEXT = %s is unknown: verify stands here", usage->line,
                    usage->values[0].text);
    ini_key(site->out, "key_usage", none ? "none" : "verify");
}

struct versions {
    unsigned oldest, newest;
};

/* COMP and AUTO are CFT's words for "this one or newer", which ours are, too. */
static struct versions versions_of(struct site *site, const struct object *object)
{
    const struct cft_parameter *version = cft_find(object->command, "VERSION");
    const char *word = version ? version->values[0].text : "";
    if (is(word, "TLSV13") || is(word, "TLSV1.3"))
        return (struct versions){ TLS_13, TLS_13 };
    if (is(word, "TLSV12") || is(word, "TLSV1.2"))
        return (struct versions){ TLS_12, TLS_12 };
    bool old = strncasecmp(word, "SSL", 3) == 0 || strncasecmp(word, "TLSV1", 5) == 0;
    if (old)
        ini_comment(site->out,
                    "line %u: VERSION = %s stands for versions before TLS 1.2, which are no longer safe "
                    "(RFC 8996): raised to 1.2, and newer ones are allowed",
                    version->line, word);
    else if (version)
        ini_comment(site->out, "line %u: VERSION = %s is unknown: 1.2 and newer are allowed", version->line, word);
    return (struct versions){ TLS_12, TLS_13 };
}

static bool is_13(const char *number)
{
    return strtoul(number, NULL, 10) >> 8 == 0x13;
}

/* Whether a value of CIPHLIST may stand in `ciphers`; says why where not. */
static bool suite_good(struct site *site, const struct cft_parameter *list, size_t index, struct versions versions)
{
    const char *number = list->values[index].text;
    char text[CFT_SUITE_TEXT];
    bool digits = number[0] && strlen(number) <= 5 && !number[strspn(number, "0123456789")];
    if (!digits || !site->suites->look(site->suites->argument, number, text)) {
        ini_comment(site->out, "line %u: CIPHLIST: %s is left out: %s", list->line, number,
                    digits ? text : "it is not the number of a suite");
        return false;
    }
    unsigned version = is_13(number) ? TLS_13 : TLS_12;
    if (version < versions.oldest || version > versions.newest) {
        ini_comment(site->out, "line %u: CIPHLIST: %s is left out: VERSION excludes TLS 1.%u", list->line, number,
                    version == TLS_13 ? 3U : 2U);
        return false;
    }
    for (size_t i = 0; i < index; i++) {
        const char *other = list->values[i].text;
        if (!other[strspn(other, "0123456789")] && strtoul(other, NULL, 10) == strtoul(number, NULL, 10))
            return false;
    }
    return true;
}

/* Every version that a profile allows needs a suite: the bounds follow the list. */
static void narrow(struct site *site, struct versions *versions, bool has_12, bool has_13)
{
    if (versions->newest == TLS_13 && !has_13 && has_12) {
        ini_comment(site->out, "CIPHLIST has no suite of TLS 1.3. To allow it, remove max_version and add 4865, 4866");
        versions->newest = TLS_12;
    }
    if (versions->oldest == TLS_12 && !has_12 && has_13)
        versions->oldest = TLS_13;
}

static void write_suites(struct site *site, const struct object *object, struct versions *versions)
{
    const struct cft_parameter *list = cft_find(object->command, "CIPHLIST");
    char *text = NULL;
    size_t length = 0;
    bool has_12 = false, has_13 = false;
    FILE *out = list ? open_memstream(&text, &length) : NULL;
    site->failed = site->failed || (list && !out);
    if (!out)
        return;
    for (size_t i = 0; i < list->count; i++) {
        if (!suite_good(site, list, i, *versions))
            continue;
        fprintf(out, "%s%s", has_12 || has_13 ? ", " : "", list->values[i].text);
        *(is_13(list->values[i].text) ? &has_13 : &has_12) = true;
    }
    if (fclose(out) != 0) {
        site->failed = true;
    } else if (has_12 || has_13) {
        narrow(site, versions, has_12, has_13);
        ini_key(site->out, "ciphers", text);
    } else {
        ini_comment(site->out, "line %u: nothing of CIPHLIST is left: the default list holds", list->line);
    }
    free(text);
}

static void write_security(struct site *site, const struct object *object)
{
    struct versions versions = versions_of(site, object);
    write_suites(site, object, &versions);
    if (versions.oldest == TLS_13)
        ini_key(site->out, "min_version", "1.3");
    if (versions.newest == TLS_12)
        ini_key(site->out, "max_version", "1.2");
}

static void write_save_chain(struct site *site, const struct object *object)
{
    const struct cft_parameter *name = cft_find(object->command, "CERFNAME");
    if (!name)
        return;
    const char *file = name->values[0].text, *slash = strrchr(file, '/');
    char folder[CFT_VALUE_MAX + 1];
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - file) : 0, file);
    bool plain = folder[0] && !strchr(folder, '&') && !strchr(folder, '$');
    ini_comment(site->out,
                "line %u: CERFNAME = %s: a folder here; the files in it are named by the certificates' "
                "SHA-256",
                name->line, file);
    ini_key(site->out, "save_chain", plain ? folder : "chains");
}

void profile_write(struct site *site, const struct object *object)
{
    static const char *const known[] = { "ID",      "DIRECT",   "MODE",  "USERCID",  "INTERCID", "PASSW",
                                         "ROOTCID", "VERIFY",   "DEPTH", "DNUSER",   "DNISSUER", "KEYEXT",
                                         "VERSION", "CIPHLIST", "PARM",  "CERFNAME", NULL };
    const struct cft_command *command = object->command;
    const struct cft_parameter *note = cft_find(command, "PARM");
    fputc('\n', site->out);
    ini_comment(site->out, "line %u: CFTSSL ID = %s, DIRECT = %s%s", command->line, object->id,
                object->kind == OBJECT_SERVER ? "SERVER" : "CLIENT",
                strcmp(object->id, object->name) == 0 ? "" : "; its name has signs that cannot stand here");
    ini_section(site->out, object->kind == OBJECT_SERVER ? "server-profile" : "client-profile", object->name);
    write_certificate(site, object);
    write_verify(site, object);
    write_rule(site, object, "DNUSER", "subject");
    write_rule(site, object, "DNISSUER", "issuer");
    write_depth(site, object);
    write_key_usage(site, object);
    write_security(site, object);
    write_save_chain(site, object);
    if (note)
        ini_key(site->out, "note", note->values[0].text);
    site_write_rest(site, command, known);
}
