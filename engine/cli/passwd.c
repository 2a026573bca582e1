/* sluice passwd: who has a password, and which. */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/printable.h"

#include <openssl/crypto.h>

#include "config/model.h"
#include "engine/cli/cli.h"
#include "engine/cli/secret.h"
#include "engine/gate/gate.h"
#include "engine/gate/passwords.h"

enum { PASSWD_DONE = 0, PASSWD_NOT_DONE = 1, PASSWD_USAGE = 2, PASSWD_CONFIG = 3, PASSWD_FILE = 9 };

static const char usage[] =
    "Usage: sluice passwd [-c FILE | -f PASSWORD_FILE] NAME\n"
    "       sluice passwd [-c FILE | -f PASSWORD_FILE] --delete NAME\n"
    "       sluice passwd [-c FILE | -f PASSWORD_FILE] --list\n"
    "\n"
    "Sets the password with which NAME logs in. It is asked for at the terminal, or read as one line from\n"
    "standard input where that is none; it is never an argument. A server that runs takes it at its next\n"
    "reload (`systemctl reload sluice`, or SIGHUP).\n"
    "\n"
    "  -c, --config FILE         the configuration, whose password_file in [server] is changed;\n"
    "                            default: $SLUICE_CONFIG, else /etc/sluice/sluice.ini\n"
    "  -f, --file PASSWORD_FILE  the file itself; it is made where there is none\n"
    "      --delete              NAME has no password any more\n"
    "      --list                print the names, one a line\n"
    "  -h, --help                print this\n"
    "\n"
    "Exit codes: 0 done, 1 not done, 2 wrong arguments, 3 configuration, 9 the file cannot be read or written.\n";

struct request {
    const char *config_file, *name;
    char *file; /* of passwords */
    char *user; /* as whom the server reads it, or NULL */
    bool remove, list;
};

static int wrong(const char *sentence)
{
    fprintf(stderr, "sluice passwd: %s\n`sluice passwd --help` says more.\n", sentence);
    return PASSWD_USAGE;
}

/* -- the file ------------------------------------------------------------------------------------------------------ */

static int find_file(struct request *request)
{
    struct config_errors errors = { 0 };
    struct config *config = config_load(request->config_file, &errors);
    if (!config)
        config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    if (!config)
        return PASSWD_CONFIG;
    if (config->server.password_file)
        request->file = strdup(config->server.password_file);
    if (config->server.user)
        request->user = strdup(config->server.user);
    if (!config->server.password_file)
        printable_line(
            stderr, "sluice passwd: %s: server: password_file is missing: add it to [server], or name the file with -f",
            request->config_file);
    config_free(config);
    return request->file ? PASSWD_DONE : PASSWD_CONFIG;
}

static int change(const struct request *request, const char *hash)
{
    int result = passwords_change(request->file, request->name, hash);
    if (result == 0)
        return PASSWD_DONE;
    if (result == -ENOENT && !hash) {
        printable_line(stderr, "sluice passwd: there is no %s in %s", request->name, request->file);
        return PASSWD_NOT_DONE;
    }
    printable_line(stderr, "sluice passwd: %s cannot be changed: %s; nothing was changed", request->file,
                   strerror(-result));
    return PASSWD_FILE;
}

/* At a reload the server is no longer root. */
static void warn_of_owner(const struct request *request)
{
    struct stat status;
    const struct passwd *account = request->user ? getpwnam(request->user) : NULL;
    if (!account || stat(request->file, &status) != 0 || status.st_uid == account->pw_uid || status.st_mode & 0040)
        return;
    printable_line(stderr, "warning: the server reads %s as user \"%s\" at a reload, and cannot: chown %s %s",
                   request->file, request->user, request->user, request->file);
}

static int list(const struct request *request)
{
    struct config_errors errors = { 0 };
    struct passwords *passwords = passwords_read(request->file, NULL, NULL, &errors);
    config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    if (!passwords)
        return PASSWD_FILE;
    const char *name;
    for (size_t i = 0; (name = passwords_name(passwords, i)); i++)
        puts(name);
    passwords_free(passwords);
    return PASSWD_DONE;
}

static int delete (const struct request *request)
{
    int code = change(request, NULL);
    if (code == PASSWD_DONE)
        printable_line(stdout, "%s has no password any more in %s; a server that runs takes it at its next reload",
                       request->name, request->file);
    return code;
}

/* -- the password -------------------------------------------------------------------------------------------------- */

/* NULL: it is one that a login can send. */
static const char *password_fault(const char *password, ssize_t length)
{
    if (length == 0)
        return "the password is empty";
    if (length < 0 || strlen(password) != (size_t)length || !gate_text_good(password, (size_t)length))
        return "the password holds control characters, or is not UTF-8: no client could send it";
    return NULL;
}

static int ask(const struct request *request, char *password, size_t size)
{
    char prompt[GATE_NAME_MAX + 32], again[GATE_PASSWORD_MAX + 1] = "";
    bool terminal = isatty(STDIN_FILENO);
    snprintf(prompt, sizeof(prompt), "New password for %s: ", request->name);
    ssize_t length = terminal ? secret_from_terminal(STDIN_FILENO, prompt, password, size)
                              : secret_from_input(STDIN_FILENO, password, size);
    const char *fault = NULL;
    if (length == -EMSGSIZE)
        fault = "the password is longer than 255 bytes";
    else if (length == -ENODATA)
        fault = "no password was given";
    else if (length < 0)
        fault = strerror((int)-length);
    else
        fault = password_fault(password, length);
    if (!fault && terminal &&
        (secret_from_terminal(STDIN_FILENO, "Once more: ", again, sizeof(again)) != length ||
         strcmp(password, again) != 0))
        fault = "the two are not the same";
    OPENSSL_cleanse(again, sizeof(again));
    if (fault)
        printable_line(stderr, "sluice passwd: %s; nothing was changed", fault);
    return fault ? PASSWD_NOT_DONE : PASSWD_DONE;
}

static int set(const struct request *request)
{
    char password[GATE_PASSWORD_MAX + 1] = "";
    char *hash = NULL;
    int code = ask(request, password, sizeof(password));
    if (code == PASSWD_DONE) {
        hash = passwords_hash(password);
        if (!hash)
            printable_line(stderr, "sluice passwd: the password cannot be hashed: %s; nothing was changed",
                           strerror(errno));
        code = hash ? change(request, hash) : PASSWD_NOT_DONE;
    }
    OPENSSL_cleanse(password, sizeof(password));
    free(hash);
    if (code != PASSWD_DONE)
        return code;
    printable_line(stdout, "the password of %s is set in %s; a server that runs takes it at its next reload",
                   request->name, request->file);
    warn_of_owner(request);
    return PASSWD_DONE;
}

/* -- arguments ----------------------------------------------------------------------------------------------------- */

static int check_names(struct request *request, int count, char **names)
{
    if (request->list && (request->remove || count))
        return wrong("--list stands alone: it takes no name");
    if (request->list)
        return PASSWD_DONE;
    if (count == 0)
        return wrong("whose password? NAME is missing");
    if (count > 1 && request->remove)
        return wrong("one NAME at a time");
    if (count > 1)
        return wrong("one NAME, and nothing behind it: a password is never an argument, where every user of this "
                     "machine and the shell's history see it; it is asked for");
    if (!passwords_name_good(names[0]))
        return wrong("NAME holds 1 to 127 letters, digits and . _ - @ +");
    request->name = names[0];
    return PASSWD_DONE;
}

/* PASSWD_DONE: go on; else, or with *stop, the code to end with. */
static int read_arguments(struct request *request, int argc, char **argv, bool *stop)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "file", required_argument, NULL, 'f' },
        { "delete", no_argument, NULL, 'd' },       { "list", no_argument, NULL, 'l' },
        { "help", no_argument, NULL, 'h' },         { 0 },
    };
    const char *config_file = NULL, *file = NULL;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":c:f:h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            *stop = true;
            return PASSWD_DONE;
        }
        if (option == '?' || option == ':')
            return wrong(option == ':' ? "-c and -f need a value" : "there is no such option");
        config_file = option == 'c' ? optarg : config_file;
        file = option == 'f' ? optarg : file;
        request->remove = request->remove || option == 'd';
        request->list = request->list || option == 'l';
    }
    if (config_file && file)
        return wrong("-c and -f name the file in two ways: choose one");
    request->config_file = config_file ? config_file : cli_config_file();
    int code = check_names(request, argc - optind, argv + optind);
    if (code == PASSWD_DONE && file)
        request->file = strdup(file);
    return code;
}

int cli_passwd(int argc, char **argv)
{
    struct request request = { 0 };
    bool stop = false;
    int code = read_arguments(&request, argc, argv, &stop);
    if (code != PASSWD_DONE || stop)
        return code;
    if (!request.file)
        code = find_file(&request);
    if (code == PASSWD_DONE)
        code = request.list ? list(&request) : request.remove ? delete (&request) : set(&request);
    free(request.file);
    free(request.user);
    return code;
}
