/* A name and password as HTTP carries them (RFC 7617), made once from the file that holds the password. */
#include "engine/client/client_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 127
#define PASSWORD_MAX_BYTES 255

struct login {
    const struct client_options *options;
    struct config_errors *errors;
    char pair[NAME_MAX_BYTES + 1 + PASSWORD_MAX_BYTES + 1]; /* name:password */
};

#define KEY_FILE "login_password_file"
#define REPORT(login, severity, key, ...)                                                                              \
    config_errors_add_at((login)->errors, (severity), (login)->options->section, (key), __VA_ARGS__)

static bool check_mode(const struct login *login, const struct stat *facts)
{
    unsigned mode = (unsigned)(facts->st_mode & 07777);

    if (facts->st_mode & S_IRWXO) {
        REPORT(login, CONFIG_ERROR, KEY_FILE,
               "password file \"%s\" is open to every user of this machine (mode %04o); chmod 600 it, and change the "
               "password if others can have read it",
               login->options->password_file, mode);
        return false;
    }
    if (facts->st_mode & S_IRWXG)
        REPORT(login, CONFIG_WARNING, KEY_FILE,
               "password file \"%s\" is open to its whole group (mode %04o); chmod 600 it unless that is meant",
               login->options->password_file, mode);
    return true;
}

/* Control bytes are no part of a password (RFC 7617, 2), and a line that goes on behind the limit is not cut. */
static const char *fault_in(const char *line, size_t length)
{
    if (length == 0)
        return "has no password in its first line; write it there";
    if (length > PASSWORD_MAX_BYTES)
        return "has a first line of more than 255 bytes, which is no password; write only the password there";
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            return "has a control character in its first line; a password has none";
    }
    return NULL;
}

/* Appends the first line of the file to login->pair. */
static bool read_password(struct login *login, int fd)
{
    char bytes[PASSWORD_MAX_BYTES + 3]; /* one byte more than a password with its CR LF */
    size_t length = 0;
    ssize_t got;

    while (length < sizeof bytes && (got = read(fd, bytes + length, sizeof bytes - length)) > 0)
        length += (size_t)got;
    const char *end = memchr(bytes, '\n', length);
    size_t line = end ? (size_t)(end - bytes) : length;
    if (line > 0 && bytes[line - 1] == '\r')
        line--;
    const char *fault = fault_in(bytes, line);
    if (fault) {
        REPORT(login, CONFIG_ERROR, KEY_FILE, "password file \"%s\" %s", login->options->password_file, fault);
    } else {
        char *to = login->pair + strlen(login->pair);
        memcpy(to, bytes, line);
        to[line] = '\0';
    }
    explicit_bzero(bytes, sizeof bytes);
    return !fault;
}

static bool load_password(struct login *login)
{
    const char *file = login->options->password_file;
    struct stat facts;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is not waited for */

    if (fd < 0 || fstat(fd, &facts) < 0) {
        REPORT(login, CONFIG_ERROR, KEY_FILE, "password file \"%s\": %s; make it, mode 600, with the password in it",
               file, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool good = S_ISREG(facts.st_mode);
    if (!good)
        REPORT(login, CONFIG_ERROR, KEY_FILE, "password file \"%s\" is not a regular file; name one", file);
    good = good && check_mode(login, &facts) && read_password(login, fd);
    close(fd);
    return good;
}

static void encode(const char *bytes, size_t length, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < length; i += 3) {
        unsigned group = (unsigned)(unsigned char)bytes[i] << 16;
        if (i + 1 < length)
            group |= (unsigned)(unsigned char)bytes[i + 1] << 8;
        if (i + 2 < length)
            group |= (unsigned char)bytes[i + 2];
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = i + 1 < length ? digits[group >> 6 & 63] : '=';
        *out++ = i + 2 < length ? digits[group & 63] : '=';
    }
    *out = '\0';
}

/* 0, or CLIENT_CONFIG after a reason was added. */
static int check_keys(const struct login *login)
{
    const struct client_options *options = login->options;

    if (!options->login && options->password_file) {
        REPORT(login, CONFIG_ERROR, KEY_FILE, "login is missing: the name that the password belongs to");
        return CLIENT_CONFIG;
    }
    if (options->login && !options->password_file) {
        REPORT(login, CONFIG_ERROR, "login", KEY_FILE " is missing: a file with the password in its first line");
        return CLIENT_CONFIG;
    }
    if (options->login && (strlen(options->login) > NAME_MAX_BYTES || strchr(options->login, ':'))) {
        REPORT(login, CONFIG_ERROR, "login", "\"%s\" is no name to log in with: at most 127 bytes, without a colon",
               options->login);
        return CLIENT_CONFIG;
    }
    return 0;
}

int client_login_load(struct client *client, struct config_errors *errors)
{
    struct login login = { .options = &client->options, .errors = errors };
    int rc = check_keys(&login);

    if (rc != 0 || !client->options.login)
        return rc;
    if (client->options.profile->verify == CONFIG_VERIFY_NONE) {
        REPORT(&login, CONFIG_WARNING, "login",
               "the login is not sent: profile \"%s\" has verify = none, so anybody could be at the other end; use "
               "verify = required",
               client->options.profile->name ? client->options.profile->name : "");
        return 0;
    }
    snprintf(login.pair, sizeof login.pair, "%s:", client->options.login);
    if (load_password(&login))
        encode(login.pair, strlen(login.pair), client->login);
    else
        rc = CLIENT_CONFIG;
    explicit_bzero(&login, sizeof login);
    return rc;
}

const char *client_login(const struct client *client)
{
    bool encrypted = channel_mode(client->channel, CHANNEL_TX) != CHANNEL_PLAIN;

    return client->login[0] && encrypted && channel_facts(client->channel)->peer_verified ? client->login : NULL;
}

const char *client_login_remedy(const struct client *client)
{
    if (client->login[0])
        return "it does not take this login: look at `login` and at the first line of `login_password_file`";
    if (client->options.login)
        return "it wants a login, which is not sent to a server that is not verified: set verify = required in the "
               "profile";
    return "it wants a login: give the partner `login` and `login_password_file`, or its profile a certificate that "
           "the server trusts";
}

void client_login_wipe(struct client *client)
{
    explicit_bzero(client->login, sizeof client->login);
}
