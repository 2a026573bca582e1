/* sluice import-cft: an extract of Transfer CFT as a configuration. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/printable.h"
#include "engine/cft/cft.h"
#include "engine/cli/cli.h"
#include "ktls/ciphers.h"

enum { EXIT_DONE = 0, EXIT_USAGE = 2, EXIT_WRONG = 3, EXIT_LOCAL = 9 };

static const char usage[] =
    "Usage: sluice import-cft [-o OUT] FILE\n"
    "\n"
    "Reads the commands of an extract of Transfer CFT (CFTUTIL CFTEXT TYPE=ALL, FOUT=FILE) and writes\n"
    "the configuration of sluice that comes nearest: CFTSSL as profiles, CFTPROT as protocols, CFTPART\n"
    "with its CFTTCP as partners. A comment stands for everything that has no equivalent, and says where\n"
    "certificates and keys belong. FILE may be - for standard input.\n"
    "\n"
    "Exit codes: 0 written, 2 wrong arguments, 3 the extract has errors, 9 a file cannot be read or\n"
    "written.\n"
    "\n"
    "  -o, --output OUT  write this file, which must not be there yet, instead of standard output\n"
    "  -h, --help        print this\n";

/* One byte more than is allowed, so that cft_read() sees that it is too much. NULL: errno says why. */
static char *read_all(int fd, size_t *length)
{
    char *text = malloc(CFT_FILE_MAX + 1);
    *length = 0;
    while (text && *length <= CFT_FILE_MAX) {
        ssize_t got = read(fd, text + *length, CFT_FILE_MAX + 1 - *length);
        if (got == 0)
            return text;
        if (got > 0) {
            *length += (size_t)got;
        } else if (errno != EINTR) {
            explicit_bzero(text, *length);
            free(text);
            return NULL;
        }
    }
    return text;
}

static bool look(void *argument, const char *number, char text[CFT_SUITE_TEXT])
{
    _Static_assert(CFT_SUITE_TEXT >= TLS_CIPHER_TEXT, "a name or a reason fits");
    return tls_ciphers_look(argument, number, text);
}

static char *convert(const char *name, const char *text, size_t length, struct config_errors *errors)
{
    struct cft *cft = cft_read(name, text, length, errors);
    struct tls_ciphers *ciphers = cft ? tls_ciphers_new() : NULL;
    const struct cft_suites suites = { .look = look, .argument = ciphers };
    char *ini = ciphers ? cft_write(cft, &suites, errors) : NULL;
    if (cft && !ciphers)
        config_errors_add(errors, CONFIG_ERROR, name, 0, "OpenSSL's suites cannot be listed: %s", strerror(ENOMEM));
    tls_ciphers_free(ciphers);
    cft_free(cft);
    return ini;
}

static int fail(const char *what, const char *name, int error, const char *remedy)
{
    printable_line(stderr, "sluice import-cft: %s cannot be %s: %s%s", name, what, strerror(error), remedy);
    return EXIT_LOCAL;
}

static int print(const char *ini, const char *output)
{
    int fd = output ? open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : STDOUT_FILENO;
    if (fd < 0)
        return fail("written", output, errno,
                    errno == EEXIST ? "; remove it, or name another with -o" : "; name another with -o");
    FILE *out = output ? fdopen(fd, "w") : stdout;
    bool good = out && fputs(ini, out) >= 0;
    int error = errno;
    if (!out)
        close(fd);
    else if ((output ? fclose(out) : fflush(out)) != 0) {
        good = false;
        error = errno;
    }
    return good ? EXIT_DONE : fail("written", output ? output : "standard output", error, "");
}

static int import(const char *file, const char *output)
{
    bool standard = strcmp(file, "-") == 0;
    const char *name = standard ? "standard input" : file;
    int fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    size_t length;
    char *text = fd < 0 ? NULL : read_all(fd, &length);
    int error = errno;
    if (fd >= 0 && !standard)
        close(fd);
    if (!text)
        return fail("read", name, error, "; name an extract that CFTUTIL CFTEXT made");
    struct config_errors errors = { 0 };
    char *ini = convert(name, text, length, &errors);
    explicit_bzero(text, length); /* the passwords of partners are in it */
    free(text);
    config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    int code = ini ? print(ini, output) : EXIT_WRONG;
    free(ini);
    return code;
}

int cli_import_cft(int argc, char **argv)
{
    static const struct option options[] = { { "output", required_argument, NULL, 'o' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    const char *output = NULL;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option != 'o') {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
        output = optarg;
    }
    if (argc - optind != 1) {
        fprintf(stderr, "sluice import-cft: %s\n%s",
                argc == optind ? "the file to read is missing" : "one file is read, not several", usage);
        return EXIT_USAGE;
    }
    return import(argv[optind], output);
}
