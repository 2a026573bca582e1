// rooms: cft config
/* Extracts of Transfer CFT: what they become, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/expression.h"
#include "config/model.h"
#include "engine/cft/cft.h"

static struct config_errors errors;

/* 4865 to 4867 and the five digits are good here. */
static bool look(void *argument, const char *number, char text[CFT_SUITE_TEXT])
{
    (void)argument;
    bool good = strlen(number) == 5 || strncmp(number, "486", 3) == 0;
    snprintf(text, CFT_SUITE_TEXT, "%s", good ? "A_SUITE" : "AN_OLD_ONE is insecure: it is old; use A_SUITE");
    return good;
}

static char *convert_bytes(const char *text, size_t length)
{
    static const struct cft_suites suites = { .look = look };
    config_errors_clear(&errors);
    struct cft *cft = cft_read("old.cft", text, length, &errors);
    char *ini = cft ? cft_write(cft, &suites, &errors) : NULL;
    cft_free(cft);
    assert_int_equal(ini == NULL, errors.error_count > 0);
    return ini;
}

static char *convert(const char *text)
{
    return convert_bytes(text, strlen(text));
}

/* The configuration that comes of an extract; it has no errors. */
static struct config *model_of(const char *text)
{
    char *ini = convert(text);
    if (!ini)
        config_errors_print(&errors, stderr);
    assert_non_null(ini);
    struct config *config = config_parse("/etc/sluice/new.ini", ini, strlen(ini), &errors);
    if (!config) {
        fputs(ini, stderr);
        config_errors_print(&errors, stderr);
    }
    assert_non_null(config);
    free(ini);
    return config;
}

static int clear(void **state)
{
    (void)state;
    config_errors_clear(&errors);
    return 0;
}

#define SERVER "CFTSSL ID=S, DIRECT=SERVER, USERCID=OWN, ROOTCID=CA"
#define CLIENT "CFTSSL ID=S, DIRECT=CLIENT, ROOTCID=CA"
#define PROTOCOL "\nCFTPROT ID=P, SSL=S, SAP=1762"

/* An extract, a line that comes of it, and one that does not. */
static const struct row {
    const char *extract, *wanted, *unwanted;
} rows[] = {
    /* profiles */
    { SERVER, "[server-profile S]\n", "[client-profile" },
    { CLIENT, "[client-profile S]\n", "[server-profile" },
    { "CFTSSL ID=S", "[client-profile S]\n", NULL },
    { SERVER, "certificate = certs/OWN.pem\nkey = certs/OWN.key\n", NULL },
    { SERVER, "# Export user certificate 'OWN' of CFT's PKI base: certs/OWN.pem (its chain behind it) and its key",
      NULL },
    { "CFTSSL ID=S, DIRECT=SERVER, USERCID=(A,B), ROOTCID=CA", "certificate = certs/A.pem, certs/B.pem\n", NULL },
    { "CFTSSL ID=S, DIRECT=SERVER, ROOTCID=CA", "certificate = certs/server.pem\n", NULL },
    { CLIENT, "verify = required\n", "certificate = " },
    { SERVER ", INTERCID=MID", "INTERCID 'MID' goes into the same file", "INTERCID = MID has no" },
    { SERVER ", PASSW=geheim", "PASSW is not repeated here", "geheim" },
    { SERVER, "trust = certs/CA.pem\n", NULL },
    { "CFTSSL ID=S, ROOTCID=('a','b')", "trust = certs/a.pem, certs/b.pem\n", NULL },
    { "CFTSSL ID=S", "trust = certs/ca.pem\n", NULL },
    { "CFTSSL ID=S, DIRECT=SERVER, USERCID=A, VERIFY=NONE", "verify = none\n", "trust = " },
    { SERVER ", VERIFY=OPTIONAL", "verify = optional\n", NULL },
    { SERVER ", VERIFY=REQUIRED", "verify = required\n", NULL },
    { SERVER, "verify = required\n", NULL },
    { SERVER ", VERIFY=SOMEHOW", "verify = required\n", NULL },
    { SERVER ", VERIFY=ENFORCED", "VERIFY = ENFORCED is unknown for a server", NULL },
    { CLIENT ", VERIFY=NONE", "verify = required\n", "verify = none" },
    { CLIENT ", VERIFY=NONE", "VERIFY = NONE of a client verifies the server all the same", NULL },
    { CLIENT ", VERIFY=OPTIONAL", "verify = required\n", NULL },
    { CLIENT ", VERIFY=ENFORCED, USERCID=OWN", "verify = enforced\n", NULL },
    { CLIENT ", VERIFY=ENFORCED", "verify = required\n", "verify = enforced" },
    { CLIENT, "hostname = no\n", NULL },
    { SERVER, "verify = required\n", "hostname" },
    { SERVER ", DEPTH=3", "depth = 3\n", NULL },
    { SERVER ", DEPTH=0", "depth = 0\n", NULL },
    { SERVER ", DEPTH=11", "depth = 10\n", NULL },
    { SERVER ", DEPTH=99999999999999999999", "depth = 10\n", NULL },
    { SERVER ", DEPTH=few", "DEPTH = few is no number", "depth = " },
    { SERVER ", KEYEXT=NONE", "key_usage = none\n", NULL },
    { SERVER ", KEYEXT=VERIFY", "key_usage = verify\n", NULL },
    { SERVER ", KEYEXT=MAYBE", "key_usage = verify\n", NULL },
    { SERVER ", PARM='ask Ann'", "note = ask Ann\n", NULL },
    { SERVER ", CERFNAME='keep/these/&IDTU..pem'", "save_chain = keep/these\n", NULL },
    { SERVER ", CERFNAME='&PART./x.pem'", "save_chain = chains\n", NULL },
    { SERVER ", CERFNAME=x.pem", "save_chain = chains\n", NULL },
    { SERVER ", TRACE=255", "TRACE = 255 has no equivalent\n", NULL },
    { SERVER ", COMMENT=''", "verify = required\n", "COMMENT" },
    /* suites and versions */
    { SERVER ", CIPHLIST=(49199,49200)", "ciphers = 49199, 49200\nmax_version = 1.2\n", NULL },
    { SERVER ", CIPHLIST=(49200,4865,49199)", "ciphers = 49200, 4865, 49199\n", "_version = " },
    { SERVER ", CIPHLIST=(4865)", "ciphers = 4865\nmin_version = 1.3\n", "max_version = " },
    { SERVER ", CIPHLIST=(47,49199)", "ciphers = 49199\n", NULL },
    { SERVER ", CIPHLIST=(47,49199)", "CIPHLIST: 47 is left out: AN_OLD_ONE is insecure: it is old; use A_SUITE\n",
      NULL },
    { SERVER ", CIPHLIST=(49199,49199,049199)", "ciphers = 49199\n", NULL },
    { SERVER ", CIPHLIST=(47,53)", "nothing of CIPHLIST is left: the default list holds\n", "ciphers = " },
    { SERVER ", CIPHLIST=(AES)", "AES is left out: it is not the number of a suite\n", "ciphers = " },
    { SERVER ", VERSION=TLSV12", "max_version = 1.2\n", "min_version = " },
    { SERVER ", VERSION=TLSV13", "min_version = 1.3\n", "max_version = " },
    { SERVER ", VERSION=TLSV12, CIPHLIST=(4865,49199)", "CIPHLIST: 4865 is left out: VERSION excludes TLS 1.3\n",
      NULL },
    { SERVER ", VERSION=TLSV13, CIPHLIST=(4865,49199)", "ciphers = 4865\nmin_version = 1.3\n", NULL },
    { SERVER ", VERSION=SSLV3", "VERSION = SSLV3 stands for versions before TLS 1.2", "_version = " },
    { SERVER ", VERSION=TLSV1COMP", "VERSION = TLSV1COMP stands for versions before", "_version = " },
    { SERVER ", VERSION=QUIC", "VERSION = QUIC is unknown", "_version = " },
    /* protocols */
    { SERVER PROTOCOL, "[protocol P]\nlisten = 0.0.0.0:1762\nprofile = S\nstore = main\n", NULL },
    { SERVER PROTOCOL, "[store main]\nroot = /srv/sluice\n", NULL },
    { SERVER "\nCFTPROT ID=P, SSL=S, SAP=cft-7", "listen = 0.0.0.0:1768\n", NULL },
    { SERVER "\nCFTPROT ID=P, SSL=S, SAP=cft-8", "SAP = cft-8 is no port number", "listen = 0.0.0.0:1" },
    { SERVER "\nCFTPROT ID=P, SSL=S, SAP=65536", "SAP = 65536 is no port number", "[store" },
    { CLIENT PROTOCOL, "# line 2: P20F: SAP = 1762 needs a CFTSSL with DIRECT = SERVER and ID = S", "\nlisten" },
    { CLIENT PROTOCOL, "[protocol P]\n# line 2", "[store" },
    { CLIENT "\nCFTPROT ID=P, SSL=S", "[protocol P]\nprofile = S\n", "listen" },
    { SERVER "\nCFTPROT ID=P, SSL=S", "no CFTSSL of that ID and DIRECT = CLIENT", "\nprofile = " },
    { SERVER PROTOCOL "\nCFTPROT ID=Q, SSL=S, SAP=1762", "SAP = 1762 is taken by a protocol above", NULL },
    { SERVER "\nCFTPROT ID=P, SAP=1761", "a plain protocol, which does not exist here, is left out", "[protocol" },
    { SERVER PROTOCOL ", NET=NET0", "NET = NET0: where its CFTNET has a HOST, listen must name that address\n",
      "NET = NET0 has no" },
    { CLIENT "\nCFTPROT ID=P, SSL=S, NET=NET0", "NET = NET0 has no equivalent\n", NULL },
    { SERVER PROTOCOL ", EXITA=(a,b,c,d,e,f,g,h,i)", "EXITA = (a, b, c, d, e, f, g, h, ...) has no equivalent\n",
      NULL },
    { "CFTSSL ID=s, DIRECT=SERVER, USERCID=A, ROOTCID=B" PROTOCOL, "profile = s\n", NULL },
    /* partners */
    { CLIENT "\nCFTPART ID=X, SSL=S, SAP=1\nCFTTCP ID=X, HOST=h", "[partner X]\nprofile = S\nhost = h:1\n", NULL },
    { CLIENT "\nCFTPART ID=X, SSL=S, SAP=1\nCFTTCP ID=X, HOST=(h,'1.2.3.4','::1')", "host = h:1, 1.2.3.4:1, [::1]:1\n",
      NULL },
    { CLIENT "\nCFTPART ID=X, SSL=S, SAP=1\nCFTTCP ID=X, HOST=('a b','1.2.3','-x')", "HOST = 1.2.3 is neither",
      "\nhost = " },
    { CLIENT "\nCFTPART ID=X, SSL=S, SAP=1", "No CFTTCP with a HOST", "\nhost = " },
    { CLIENT "\nCFTPART ID=X, SSL=S\nCFTTCP ID=X, HOST=h", "No port in SAP", "\nhost = " },
    { CLIENT "\nCFTPROT ID=P, SSL=S\nCFTPART ID=X, PROT=P, SAP=7\nCFTTCP ID=X, HOST=h", "protocol = P\nhost = h:7\n",
      NULL },
    { CLIENT "\nCFTPROT ID=A\nCFTPROT ID=P, SSL=S\nCFTPART ID=X, PROT=(A,P), SAP=(7,8)\nCFTTCP ID=X, HOST=h",
      "host = h:8\n", NULL },
    { CLIENT "\nCFTPROT ID=P, SSL=S\nCFTPART ID=X, PROT=(N,P), SAP=7\nCFTTCP ID=X, HOST=h", "host = h:7\n", NULL },
    { SERVER PROTOCOL "\nCFTPART ID=X, PROT=P, SAP=7\nCFTTCP ID=X, HOST=h", "No client profile rules sessions",
      "\nhost = " },
    { SERVER PROTOCOL "\nCFTPART ID=X, PROT=P, SSL=S", "[partner X]\nprotocol = P\nprofile = S\n", NULL },
    { SERVER "\nCFTPART ID=X, SSL=GONE", "SSL = GONE: no CFTSSL of that ID is in the extract", "\nprofile" },
    { SERVER "\nCFTPART ID=X, PROT=NONE", "PROT = NONE is no protocol with SSL of this extract", "\nprotocol" },
    { SERVER "\nCFTPART ID=X, NRPART=THEM", "by the name THEM (NRPART)", NULL },
    { SERVER "\nCFTPART ID=X, NRPASSW=geheim, NSPASSW=secret", "NRPASSW is a secret and is not repeated here",
      "geheim" },
    { SERVER "\nCFTPART ID=X, NRPASSW=geheim, NSPASSW=secret", "NSPASSW is a secret and is not repeated here",
      "= secret" },
    /* what counts in the end */
    { SERVER "\n" SERVER ", DEPTH=2", "# line 1: CFTSSL S is replaced by line 2\n", NULL },
    { SERVER "\n" CLIENT, "[server-profile S]\n", "replaced" },
    { SERVER "\nCFTSSL ID=S, DIRECT=SERVER, MODE=DELETE", "CFTSSL S is deleted by line 2\n", "[server" },
    { SERVER "\nCFTPART ID=X, MODE=DELETE", "CFTPART X is deleted, and was not there\n", "[partner" },
    { SERVER ", MODE=CREATE", "[server-profile S]\n", "MODE" },
    { SERVER "\nCFTPART SSL=S", "CFTPART has no ID and is left out\n", "[partner" },
    { SERVER "\nCFTPARM ID=Z, X=1", "# line 2: CFTPARM ID = Z has no equivalent\n", "X = 1" },
    { SERVER "\nCFTTCP ID=X, HOST=h", "# line 2: CFTTCP ID = X has no equivalent\n", NULL },
    { SERVER "\n/END", "# line 2: /END has no equivalent\n", NULL },
    /* names */
    { "CFTSSL ID='A/B]'", "[client-profile A_B_]\n", NULL },
    { "CFTSSL ID='A/B'\nCFTSSL ID='A_B'\nCFTSSL ID='A:B'", "[client-profile A_B-3]\n", NULL },
    { "CFTSSL ID='A_B', DIRECT=SERVER, USERCID=x, ROOTCID=y\nCFTSSL ID='A/B'", "[client-profile A_B-2]\n", NULL },
    { "CFTSSL ID='A/B', DIRECT=SERVER, USERCID=x, ROOTCID=y\nCFTSSL ID='A/B'", "[client-profile A_B]\n", NULL },
    { "CFTSSL ID='A/B'", "its name has signs that cannot stand here\n", NULL },
    { "CFTSSL ID='..', ROOTCID='../../etc/passwd'", "trust = certs/_._.._etc_passwd.pem\n", "[client-profile ..]" },
    { "CFTSSL ID=S, ROOTCID=('a/b','a_b','A:B')", "trust = certs/a_b.pem, certs/a_b-2.pem, certs/A_B-3.pem\n", NULL },
    { "CFTSSL ID='0123456789012345678901234567890123456789'", "[client-profile 0123456789012345678901234567]\n", NULL },
    /* syntax */
    { "cftssl Id = s , direct = server,\n usercid=a\nrootcid = ( b\n, 'c' )", "trust = certs/b.pem, certs/c.pem\n",
      NULL },
    { "CFTSSL\nID = S\nROOTCID = A", "trust = certs/A.pem\n", NULL },
    { "/* CFTSSL ID=N\n*/ CFTSSL /* of */ ID = /* is */ S /**/, ROOTCID=(A /* not B, */)", "trust = certs/A.pem\n",
      NULL },
    { "CFTSSL ID = S,\r\n   PARM = 'it''s'\r\n", "note = it's\n", NULL },
    { "CFTSSL ID = S, PARM = \"say \"\"x\"\"\"", "note = say \"x\"\n", NULL },
    { "CFTSSL ID = S, PARM = ''\nCFTPART ID = X", "[partner X]\n", "note" },
    { "CFTSSL ID = S, PARM =\nCFTPART ID = X", "[partner X]\n", "note" },
    { "CFTSSL ID = S, PARM =\n  ROOTCID = A", "trust = certs/A.pem\n", "note" },
    { "CFTSSL ID = S, PARM =\n  'later'", "note = later\n", NULL },
    { "CFTSSL ID = S, PARM =\n  later", "note = later\n", NULL },
    { "CFTSSL ID = S, PARM = a, PARM = b", "note = b\n", "note = a" },
    { "CFTSSL ID = S, ROOTCID = ((A, (B)), C)", "trust = certs/A.pem, certs/B.pem, certs/C.pem\n", NULL },
    /* nothing breaks out */
    { "CFTSSL ID=S, PARM='a ;b'", "note = a ,b\n", NULL },
    { "CFTSSL ID=S, PARM=';'", "note = ,\n", NULL },
    { "CFTSSL ID=S, PARM='path\\'", "note = path\n", "path\\" },
    { "CFTSSL ID=S, PARM='\\ \\'", "verify = required\n", "note" },
    { "CFTSSL ID=S, PARM=' # [server]'", "note = # [server]\n", NULL },
    { "CFTSSL ID=S, CERFNAME='a ;b/c'", "save_chain = a ,b\n", NULL },
    { "CFTSSL ID=S, COMMENT='\xc2\x85[server]'", "COMMENT = \xc2\x85[server] has no equivalent\n", NULL },
};

static void writes_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *ini = convert(rows[i].extract);
        if (!ini)
            config_errors_print(&errors, stderr);
        assert_non_null(ini);
        bool good = strstr(ini, rows[i].wanted) && !(rows[i].unwanted && strstr(ini, rows[i].unwanted));
        if (!good)
            fail_msg("row %zu: %s\n%s", i, rows[i].extract, ini);
        free(ini);
    }
}

static void every_row_is_a_configuration_without_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        config_free(model_of(rows[i].extract));
}

/* DNUSER, the expression, and names that it must match and must not. */
static const struct {
    const char *value, *wanted;
} rules[] = {
    { "'CN=bank'", "contains:\"CN=bank\"" },
    { "bank", "contains:\"bank\"" },
    { "('CN=a', 'CN=b')", "contains:\"CN=a\" AND contains:\"CN=b\"" },
    { "(\"a\" OR \"b\")", "contains:\"a\" OR contains:\"b\"" },
    { "(\"a\" ou \"b\" OU \"c\")", "contains:\"a\" OR contains:\"b\" OR contains:\"c\"" },
    { "(\"a\" ET \"b\")", "contains:\"a\" AND contains:\"b\"" },
    { "('a', AND, 'b')", "contains:\"a\" AND contains:\"b\"" },
    { "'(\"a\" AND ! \"b\")'", "contains:\"a\" AND NOT (contains:\"b\")" },
    { "(\"a\" OR !\"b\")", "contains:\"a\" OR NOT (contains:\"b\")" },
    { "(!\"OR\")", "NOT (contains:\"OR\")" },
    { "'( \"a\" )'", "contains:\"a\"" },
    { "'/C=FR/O=Acme/CN=node'", "(C=\"FR\" AND O=\"Acme\" AND CN=\"node*\")" },
    { "'O=A*me/CN=http/x'", "(O=\"A\\*me\" AND CN=\"http/x*\")" },
    { "'/CN=node'", "contains:\"CN=node\"" },
    { "'/x.y=1/CN=node'", "(contains:\"x.y=1\" AND CN=\"node*\")" },
    { "'O=Acme, Inc'", "contains:\"O=Acme\\\\, Inc\"" },
    { "'a\"b ;c\\d'", "contains:\"a\\\\\\\"b \\\\\\;c\\\\\\\\d\"" },
    { "'/O=a;b/CN=\"'", "(O=\"a\\;b\" AND CN=\"\\\"*\")" },
};

static void a_rule_about_names_becomes_an_expression(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        char extract[512];
        snprintf(extract, sizeof(extract), SERVER ", DNUSER=%s, DNISSUER=%s", rules[i].value, rules[i].value);
        struct config *config = model_of(extract);
        assert_string_equal(config_expression_text(config->profiles[0].subject), rules[i].wanted);
        assert_string_equal(config_expression_text(config->profiles[0].issuer), rules[i].wanted);
        config_free(config);
    }
}

static bool matches(const char *value, const struct config_attribute *attributes, size_t count, const char *text)
{
    char extract[512];
    snprintf(extract, sizeof(extract), SERVER ", DNUSER=%s", value);
    struct config *config = model_of(extract);
    const struct config_name name = { .attributes = attributes, .count = count, .text = text };
    bool match = config_expression_match(config->profiles[0].subject, &name);
    config_free(config);
    return match;
}

static void the_expression_lets_in_whom_cft_lets_in(void **state)
{
    (void)state;
    static const struct config_attribute name[] = {
        { .types = { "CN" }, .value = "node7", .length = 5 },
        { .types = { "O" }, .value = "Acme, \"x\" Inc", .length = 13 },
    };
    static const char text[] = "CN=node7,O=Acme\\, \\\"x\\\" Inc";
    static const struct {
        const char *value;
        bool match;
    } cases[] = {
        { "'CN=node7'", true },
        { "'CN=node'", true },
        { "'CN=node8'", false },
        { "'Acme, \"x\"'", true },
        { "'/O=Acme, \"x\" Inc/CN=node'", true },
        { "'/O=Acme/CN=node7'", false },
        { "('node' AND 'Acme')", true },
        { "('node' AND ! 'Acme')", false },
        { "('nobody' OR ! 'Acme')", false },
        { "('nobody' OR 'Acme')", true },
        { "('nobody', 'Acme')", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(matches(cases[i].value, name, 2, text), cases[i].match);
}

static const struct {
    const char *extract, *said;
} mistakes[] = {
    { "", "old.cft: the file has no command: make it with CFTUTIL CFTEXT TYPE=ALL" },
    { "/* only this */", "old.cft: the file has no command" },
    { "/* never\nclosed", "old.cft:1: the comment that begins here is never closed: add */ at its end" },
    { "ID = X", "old.cft:1: ID = stands before any command" },
    { "CFTSSL ID = 'X\n", "old.cft:1: the value of ID has a quote that is not closed on its line: add '" },
    { "CFTSSL ID = \"X", "old.cft:1: the value of ID has a quote that is not closed on its line: add \"" },
    { "CFTSSL\nROOTCID = (A,\nB", "old.cft:2: the list of ROOTCID is never closed: add ) at its end" },
    { "CFTSSL ID = )", "old.cft:1: ID has a ) without a ( before it: remove it" },
    { "CFTSSL ID = X, VERIFY REQUIRED", "old.cft:1: \"VERIFY\" has no = behind it: write KEY = VALUE" },
    { "CFTSSL ID = X,\n  VERIFY", "old.cft:2: \"VERIFY\" has no = behind it" },
    { "CFTSSL ID = X\n* a comment?", "old.cft:2: \"*\" stands where a command or KEY = VALUE must: remove it" },
    { "CFTSSL = X", "old.cft:1: CFTSSL = stands before any command" },
    { "CFTSSL ID = X\n\n\x1b[2J", "old.cft:3: the line holds the control byte 0x1b" },
    { "CFTSSL ID = X\rCFTSSL ID = Y", "old.cft:1: the line holds the control byte 0x0d" },
    { "CFTSSL ID = ((((((((((X))))))))))", "old.cft:1: the list of ID has more than 8 lists in one another" },
    { "CFTSSL ID=X, DNUSER='(\"a\" OR \"b\" AND \"c\")'", "old.cft:1: DNUSER has both AND and OR" },
    { "CFTSSL ID=X,\nDNUSER=('a' OR 'b', 'c')", "old.cft:2: DNUSER has an operator between some of its texts only" },
    { "CFTSSL ID=X, DNUSER=('a', 'b' OR 'c')", "old.cft:1: DNUSER has an operator" },
    { "CFTSSL ID=X, DNUSER=(OR 'c')", "old.cft:1: DNUSER has an operator without a text before it" },
    { "CFTSSL ID=X, DNUSER=('c' OR)", "old.cft:1: DNUSER ends with an operator" },
    { "CFTSSL ID=X, DNUSER=('c' OR !)", "old.cft:1: DNUSER has a ! without a text behind it" },
    { "CFTSSL ID=X, DNUSER=('c', '')", "old.cft:1: DNUSER has an empty text" },
    { "CFTSSL ID=X, DNISSUER='(\"a\"'", "old.cft:1: the list of DNISSUER is never closed" },
    { "CFTSSL ID=X, DNISSUER='(\"a\") x'", "old.cft:1: DNISSUER goes on with \"x\" behind its list" },
    { "CFTSSL ID=X, DNISSUER='()'", "old.cft:1: DNISSUER ends with an operator" },
};

static void says_what_is_wrong_and_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        char *ini = convert(mistakes[i].extract);
        bool good =
            !ini && errors.count && strncmp(errors.items[0].text, mistakes[i].said, strlen(mistakes[i].said)) == 0;
        if (!good)
            fail_msg("%s: %s", mistakes[i].extract, errors.count ? errors.items[0].text : "no error");
        free(ini);
    }
}

static void tells_of_every_mistake_in_one_run(void **state)
{
    (void)state;
    assert_null(convert("CFTSSL ID = 'X\nCFTPART ID = )\nID\nCFTPROT ID = Y Z\n"));
    assert_int_equal(errors.count, 3);
    assert_non_null(strstr(errors.items[2].text, "old.cft:4: "));
}

static void a_nul_byte_is_no_end(void **state)
{
    (void)state;
    static const char text[] = "CFTSSL ID=X\0CFTSSL ID=Y";
    assert_null(convert_bytes(text, sizeof(text) - 1));
    assert_non_null(strstr(errors.items[0].text, "control byte 0x00"));
}

/* `count` times `piece`, between a head and a tail; for free(). */
static char *repeat(const char *head, const char *piece, size_t count, const char *tail)
{
    size_t length = strlen(head) + count * strlen(piece) + strlen(tail);
    char *text = malloc(length + 1), *end = text;
    assert_non_null(text);
    end = stpcpy(end, head);
    for (size_t i = 0; i < count; i++)
        end = stpcpy(end, piece);
    strcpy(end, tail);
    return text;
}

static void refused(char *extract, const char *said)
{
    assert_null(convert(extract));
    if (!strstr(errors.items[0].text, said))
        fail_msg("%s", errors.items[0].text);
    free(extract);
}

static void taken(char *extract)
{
    config_free(model_of(extract));
    free(extract);
}

static void every_bound_holds(void **state)
{
    (void)state;
    taken(repeat("CFTSSL ID=S,PARM='", "x", CFT_VALUE_MAX, "'"));
    refused(repeat("CFTSSL ID=S,PARM='", "x", CFT_VALUE_MAX + 1, "'"), "PARM has more than 4096 bytes");
    refused(repeat("CFTSSL ID=S,PARM=", "x", CFT_VALUE_MAX + 1, ""), "PARM has more than 4096 bytes");
    taken(repeat("CFTSSL ID=S,ROOTCID=(", "x,", CFT_VALUES_MAX, ")"));
    refused(repeat("CFTSSL ID=S,ROOTCID=(", "x,", CFT_VALUES_MAX + 1, ")"), "ROOTCID has more than 100 values");
    taken(repeat("CFTSSL ID=S", ",A=1", CFT_PARAMETERS_MAX - 1, ""));
    refused(repeat("CFTSSL ID=S", ",A=1", CFT_PARAMETERS_MAX, ""), "CFTSSL has more than 256 parameters");
    taken(repeat("", "X\n", CFT_COMMANDS_MAX, ""));
    refused(repeat("", "X\n", CFT_COMMANDS_MAX + 1, ""), "more than 20000 commands");
    taken(repeat("X /*", "x", CFT_FILE_MAX - 6, "*/"));
    refused(repeat("X /*", "x", CFT_FILE_MAX - 5, "*/"), "larger than 1024 KiB");
    refused(repeat("CFTSSL ID=S,DNUSER='", "x", 4096, "'"), "DNUSER is longer than 4096 bytes");
}

static void more_sections_than_a_configuration_has_are_refused(void **state)
{
    (void)state;
    for (unsigned count = 1000; count <= 1001; count++) {
        char *extract = NULL;
        size_t length;
        FILE *out = open_memstream(&extract, &length);
        for (unsigned i = 0; i < count; i++)
            fprintf(out, "CFTPART ID=P%u\n", i);
        fclose(out);
        count == 1000 ? taken(extract) : refused(extract, "more than 1000 profiles, protocols and partners");
    }
}

static void a_configuration_that_would_be_too_large_is_refused(void **state)
{
    (void)state;
    refused(repeat("", "CFTPART A=1,B=1,C=1,D=1,E=1,F=1,ID=X,MODE=DELETE\n", 19999, ""), "larger than a configuration");
}

static void a_long_value_is_the_same_behind_its_lines(void **state)
{
    (void)state;
    static const char *const notes[] = {
        "x", "word ", "a#", "a;", "two  blanks  ", "\\", "\\ ", "x# ", "; ", "\xc3\xa9 ", "[x] = ",
    };
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        char *note = repeat("b", notes[i], 300, "e"), *extract = NULL;
        assert_true(asprintf(&extract, "CFTSSL ID=S, PARM='%s'", note) > 0);
        struct config *config = model_of(extract);
        for (char *mark = strstr(note, " ;"); mark; mark = strstr(note, " ;"))
            mark[1] = ',';
        assert_string_equal(config->profiles[0].note, note);
        config_free(config);
        free(extract);
        free(note);
    }
}

static void a_value_that_no_line_holds_is_left_out(void **state)
{
    (void)state;
    taken(repeat("CFTSSL ID=S,PARM='x", "#", 400, "'"));
    char *extract = repeat("CFTSSL ID=S,PARM='x", " ", 400, "x'"), *ini = convert(extract);
    assert_non_null(strstr(ini, "# note is left out"));
    free(extract);
    free(ini);
}

static void a_rule_about_names_is_never_left_out(void **state)
{
    (void)state;
    static const char *const runs[] = { "#", " ", ";", " ;", "\\", "\"\"", "/", "\t", "*" };
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        char *extract = repeat("CFTSSL ID=S,DNUSER=\"a", runs[i], 400, "b\"");
        struct config *config = model_of(extract);
        assert_non_null(config->profiles[0].subject);
        config_free(config);
        free(extract);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_the_table_says),
        cmocka_unit_test(every_row_is_a_configuration_without_errors),
        cmocka_unit_test(a_rule_about_names_becomes_an_expression),
        cmocka_unit_test(the_expression_lets_in_whom_cft_lets_in),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(tells_of_every_mistake_in_one_run),
        cmocka_unit_test(a_nul_byte_is_no_end),
        cmocka_unit_test(every_bound_holds),
        cmocka_unit_test(more_sections_than_a_configuration_has_are_refused),
        cmocka_unit_test(a_configuration_that_would_be_too_large_is_refused),
        cmocka_unit_test(a_long_value_is_the_same_behind_its_lines),
        cmocka_unit_test(a_value_that_no_line_holds_is_left_out),
        cmocka_unit_test(a_rule_about_names_is_never_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, clear);
}
