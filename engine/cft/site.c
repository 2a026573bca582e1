/* CFTPROT, CFTPART and CFTTCP -> [protocol] and [partner]. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/cft/internal.h"

#define HOSTS_MAX 32

static bool is_secret(const char *key)
{
    return strstr(key, "PASSW") || strstr(key, "PWD") || strstr(key, "SECRET");
}

static bool is_listed(const char *const *words, const char *word)
{
    for (; *words; words++) {
        if (strcmp(*words, word) == 0)
            return true;
    }
    return false;
}

/* The value as an extract has it, short. */
static void print_value(FILE *out, const struct cft_parameter *parameter)
{
    fputs(parameter->count > 1 ? "(" : "", out);
    for (size_t i = 0; i < parameter->count && i < 8; i++)
        fprintf(out, "%s%.80s", i ? ", " : "", parameter->values[i].text);
    fputs(parameter->count > 8 ? ", ...)" : parameter->count > 1 ? ")" : "", out);
}

static void write_no_equivalent(FILE *out, const struct cft_parameter *parameter)
{
    char *text = NULL;
    size_t length = 0;
    FILE *value = open_memstream(&text, &length);
    if (!value)
        return;
    print_value(value, parameter);
    if (fclose(value) == 0)
        ini_comment(out, "line %u: %s = %s has no equivalent", parameter->line, parameter->key, text);
    free(text);
}

void site_write_rest(struct site *site, const struct cft_command *command, const char *const *known)
{
    for (size_t i = 0; i < command->count; i++) {
        const struct cft_parameter *parameter = &command->parameters[i];
        bool empty = parameter->count == 0 || !parameter->values[0].text[0];
        if (is_listed(known, parameter->key) || strcmp(parameter->key, "MODE") == 0 || empty)
            continue;
        if (is_secret(parameter->key))
            ini_comment(site->out, "line %u: %s is a secret and is not repeated here; it has no equivalent",
                        parameter->line, parameter->key);
        else
            write_no_equivalent(site->out, parameter);
    }
}

/* A port, or one of the names that are registered for CFT with IANA. 0: neither. */
static unsigned port_of(const char *sap)
{
    if (strncasecmp(sap, "cft-", 4) == 0 && sap[4] >= '0' && sap[4] <= '7' && !sap[5])
        return 1761 + (unsigned)(sap[4] - '0');
    if (!sap[0] || strlen(sap) > 5 || sap[strspn(sap, "0123456789")])
        return 0;
    unsigned long port = strtoul(sap, NULL, 10);
    return port <= UINT16_MAX ? (unsigned)port : 0;
}

static void write_begin(struct site *site, const struct object *object)
{
    fputc('\n', site->out);
    ini_comment(site->out, "line %u: %s ID = %s%s", object->command->line, object->command->verb, object->id,
                strcmp(object->id, object->name) == 0 ? "" : "; its name has signs that cannot stand here");
}

/* The port to listen on, or 0 after a comment where there is one but it cannot be had. */
static unsigned listen_port(struct site *site, const struct object *object, const struct object *server)
{
    const struct cft_parameter *sap = cft_find(object->command, "SAP");
    if (!sap)
        return 0;
    const char *text = sap->values[0].text;
    unsigned port = port_of(text);
    if (!port)
        ini_comment(site->out, "line %u: SAP = %s is no port number: write listen = 0.0.0.0:PORT and store = main",
                    sap->line, text);
    else if (!server)
        ini_comment(site->out,
                    "line %u: P20F: SAP = %s needs a CFTSSL with DIRECT = SERVER and ID = %s, which is not "
                    "in the extract: add it, then listen = 0.0.0.0:%u and store = main",
                    sap->line, text, cft_text(object->command, "SSL", ""), port);
    else if (site->ports[port / 8] & 1U << port % 8)
        ini_comment(site->out,
                    "line %u: SAP = %s is taken by a protocol above: choose another port, then write listen "
                    "= 0.0.0.0:PORT and store = main",
                    sap->line, text);
    else
        return port;
    return 0;
}

/* Wider than CFT's where CFTNET names an address: said, not guessed. */
static void write_listen(struct site *site, const struct object *object, unsigned port)
{
    const struct cft_parameter *net = cft_find(object->command, "NET");
    char address[32];
    site->ports[port / 8] = (uint8_t)(site->ports[port / 8] | 1U << port % 8);
    snprintf(address, sizeof(address), "0.0.0.0:%u", port);
    if (net)
        ini_comment(site->out, "line %u: NET = %s: where its CFTNET has a HOST, listen must name that address",
                    net->line, net->values[0].text);
    ini_key(site->out, "listen", address);
}

void protocol_write(struct site *site, struct object *object)
{
    static const char *const known[] = { "ID", "SSL", "SAP", NULL };
    static const char *const known_to_listen[] = { "ID", "SSL", "SAP", "NET", NULL };
    const char *ssl = cft_text(object->command, "SSL", NULL);
    const struct object *server = site_object(site, OBJECT_SERVER, ssl),
                        *client = site_object(site, OBJECT_CLIENT, ssl);
    write_begin(site, object);
    if (!ssl) {
        ini_comment(site->out, "It has no SSL: a plain protocol, which does not exist here, is left out. For plain "
                               "connections on a TLS port see tls = optional of [class NAME]");
        site_write_rest(site, object->command, known);
        return;
    }
    object->written = true;
    ini_section(site->out, "protocol", object->name);
    unsigned port = listen_port(site, object, server);
    const struct object *profile = port ? server : client;
    object->calls = client && profile && strcmp(client->name, profile->name) == 0;
    if (port)
        write_listen(site, object, port);
    if (profile)
        ini_key(site->out, "profile", profile->name);
    else
        ini_comment(site->out, "SSL = %s: no CFTSSL of that ID and DIRECT = CLIENT is in the extract", ssl);
    if (port)
        ini_key(site->out, "store", "main");
    site_write_rest(site, object->command, port ? known_to_listen : known);
}

static bool host_good(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    size_t length = strlen(host);
    if (inet_pton(AF_INET, host, address) == 1)
        return true;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)host[i]) && host[i] != '.' && host[i] != '-' && host[i] != '_')
            return false;
    }
    return length && length <= 253 && isalnum((unsigned char)host[0]) && host[strspn(host, "0123456789.")];
}

static bool ipv6_good(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET6, host, address) == 1;
}

static size_t print_hosts(struct site *site, const struct cft_parameter *hosts, unsigned port, FILE *out)
{
    size_t count = 0;
    for (size_t i = 0; i < hosts->count && count < HOSTS_MAX; i++) {
        const char *host = hosts->values[i].text;
        bool bracket = ipv6_good(host);
        if (!bracket && !host_good(host)) {
            ini_comment(site->out, "line %u: HOST = %s is neither a host name nor an address", hosts->line, host);
            continue;
        }
        fprintf(out, "%s%s%s%s:%u", count++ ? ", " : "", bracket ? "[" : "", host, bracket ? "]" : "", port);
    }
    return count;
}

static void write_host(struct site *site, const struct object *partner, unsigned port)
{
    const struct object *tcp = site_object(site, OBJECT_TCP, partner->id);
    const struct cft_parameter *hosts = tcp ? cft_find(tcp->command, "HOST") : NULL;
    if (!hosts || !port) {
        ini_comment(site->out, hosts ? "No port in SAP: sessions come from this partner, none go to it. Else add host"
                                     : "No CFTTCP with a HOST: sessions come from this partner, none go to it. Else "
                                       "add host");
        return;
    }
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    size_t count = out ? print_hosts(site, hosts, port, out) : 0;
    if (!out || fclose(out) != 0)
        site->failed = true;
    else if (count)
        ini_key(site->out, "host", text);
    free(text);
}

/* The first of PROT that became a section here, and the SAP that stands at its place. */
static struct object *choose_protocol(struct site *site, const struct cft_command *command, unsigned *port)
{
    const struct cft_parameter *protocols = cft_find(command, "PROT"), *saps = cft_find(command, "SAP");
    *port = saps ? port_of(saps->values[0].text) : 0;
    for (size_t i = 0; protocols && i < protocols->count; i++) {
        struct object *protocol = site_object(site, OBJECT_PROTOCOL, protocols->values[i].text);
        if (!protocol || !protocol->written)
            continue;
        if (protocols->count > 1)
            ini_comment(site->out, "line %u: of several protocols the first with SSL is taken", protocols->line);
        if (saps)
            *port = port_of(saps->values[i < saps->count ? i : saps->count - 1].text);
        return protocol;
    }
    if (protocols)
        ini_comment(site->out, "line %u: PROT = %s is no protocol with SSL of this extract", protocols->line,
                    protocols->values[0].text);
    return NULL;
}

/* CFT identifies a partner by the name that it gives in the protocol; there is no such name here. */
static void write_identity(struct site *site, const struct object *partner)
{
    const char *name = cft_text(partner->command, "NRPART", partner->id);
    ini_comment(site->out,
                "CFT knows this partner by the name %s (NRPART) that it gives. Here its certificate says who "
                "it is: add match_subject, match_san or match_fingerprint, such as match_subject = CN=%s",
                name, partner->name);
}

void partner_write(struct site *site, struct object *object)
{
    static const char *const known[] = { "ID", "PROT", "SAP", "SSL", "NRPART", NULL };
    const struct cft_command *command = object->command;
    const struct cft_parameter *ssl = cft_find(command, "SSL");
    const char *id = ssl ? ssl->values[0].text : NULL;
    const struct object *client = site_object(site, OBJECT_CLIENT, id), *server = site_object(site, OBJECT_SERVER, id);
    const struct object *profile = client ? client : server;
    unsigned port;

    write_begin(site, object);
    ini_section(site->out, "partner", object->name);
    const struct object *protocol = choose_protocol(site, command, &port);
    if (protocol)
        ini_key(site->out, "protocol", protocol->name);
    if (profile)
        ini_key(site->out, "profile", profile->name);
    else if (ssl)
        ini_comment(site->out,
                    "line %u: SSL = %s: no CFTSSL of that ID is in the extract (T47W, T47E): add the profile "
                    "here, and a host",
                    ssl->line, id);
    if (profile || (!ssl && protocol && protocol->calls))
        write_host(site, object, port);
    else if (!ssl)
        ini_comment(site->out, "No client profile rules sessions to this partner: add profile and host");
    write_identity(site, object);
    site_write_rest(site, command, known);
}
