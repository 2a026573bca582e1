#include "engine/cli/command.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "config/printable.h"
#include "engine/cli/cli.h"
#include "engine/cli/enqueue.h"
#include "engine/cli/report.h"

/* Session keys live in this process: neither a crash nor another process of the user gets at them. */
static void harden(void)
{
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* A signal that our caller told us to ignore (nohup) stays ignored. Before any thread is made, so that all inherit. */
static int open_signals(void)
{
    static const int wanted[] = { SIGINT, SIGTERM, SIGHUP };
    sigset_t signals;
    struct sigaction action;

    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (sigaction(wanted[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&signals, wanted[i]);
    }
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like any other */
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int command_begin(struct command *command, const struct arguments *arguments)
{
    *command = (struct command){ .arguments = arguments, .out = stdout, .signal_fd = -1 };
    harden();
    command->signal_fd = open_signals();
    if (command->signal_fd < 0)
        return command_fail(command, CLIENT_FAILED, "signalfd: %s", strerror(errno));
    if (arguments->verbose)
        command->log = event_log_new(stderr, arguments->json);
    command->shows_progress = progress_wanted(arguments->quiet);
    return CLIENT_OK;
}

void command_release(struct command *command)
{
    client_free(command->client);
    recording_close(&command->recording);
    remote_clear(&command->server);
}

int command_end(struct command *command)
{
    command_release(command);
    config_free(command->config);
    config_profile_free(command->profile);
    event_log_free(command->log);
    if (command->signal_fd >= 0)
        close(command->signal_fd);
    if (fflush(stdout) != 0 && command->exit_code == CLIENT_OK)
        command_fail(command, CLIENT_LOCAL, "standard output: %s", strerror(errno));
    bool partial = command->exit_code != CLIENT_OK && command->exit_code != CLIENT_INTERRUPTED;
    return partial && command->succeeded > 0 ? CLIENT_PARTIAL : command->exit_code;
}

static int note(struct command *command, int result)
{
    if (result == CLIENT_OK)
        return result;
    if (command->exit_code == CLIENT_OK)
        command->exit_code = result;
    if (result == CLIENT_CONFIG || result == CLIENT_CONNECT || result == CLIENT_TLS || result == CLIENT_INTERRUPTED)
        command->hopeless = true;
    return result;
}

__attribute__((format(printf, 3, 0))) static void let_hear(struct command *command, int result, const char *format,
                                                           va_list list)
{
    char sentence[1024];

    vsnprintf(sentence, sizeof sentence, format, list);
    command->hear(command->hear_argument, result, command->status, sentence);
    command->status = 0;
}

int command_fail(struct command *command, int result, const char *format, ...)
{
    va_list list;

    if (command->hear) {
        va_start(list, format);
        let_hear(command, result, format, list);
        va_end(list);
        return note(command, result);
    }
    command->status = 0;
    fflush(stdout); /* so that a log holds both in their order */
    fprintf(stderr, "sluice %s: ", command->arguments->subcommand);
    va_start(list, format);
    printable_line_with(stderr, format, list);
    va_end(list);
    return note(command, result);
}

static int fail_with_errors(struct command *command, int result, struct config_errors *errors)
{
    config_errors_sort(errors);
    if (command->hear)
        return command_fail(command, result, "%s", errors->count ? errors->items[0].text : "the configuration");
    config_errors_print(errors, stderr);
    return note(command, result);
}

static void warn(const struct command *command, const struct config_errors *errors)
{
    if (!command->hear)
        config_errors_print(errors, stderr);
}

const struct config *command_config(struct command *command)
{
    struct config_errors errors = { 0 };
    const char *file = command->arguments->config_file;

    if (command->lent)
        return command->lent;
    if (command->config)
        return command->config;
    command->config = config_load(file ? file : cli_config_file(), &errors);
    if (!command->config)
        fail_with_errors(command, CLIENT_CONFIG, &errors);
    else
        warn(command, &errors);
    config_errors_clear(&errors);
    return command->config;
}

static int no_profile(struct command *command, const struct config_partner *partner)
{
    const char *file = command_config(command)->file;

    event(command->log, "T47E", EVENT_T("partner", partner->name), EVENT_T("profile", partner->profile),
          EVENT_T("config", file));
    if (!partner->profile)
        return command_fail(command, CLIENT_CONFIG,
                            "%s: T47E: partner \"%s\" has no client-profile; give it a `profile`, or a `protocol` "
                            "that has one",
                            file, partner->name);
    return command_fail(command, CLIENT_CONFIG,
                        "%s: T47E: partner \"%s\" names profile \"%s\", but there is no [client-profile %s]; add it",
                        file, partner->name, partner->profile, partner->profile);
}

static int partner_options(struct command *command, const char *name, struct client_options *options)
{
    if (command->arguments->first_tls_option)
        return command_fail(command, CLIENT_USAGE,
                            "--%s is for https:// URLs; for partner \"%s\" set it in its profile",
                            command->arguments->first_tls_option, name);
    const struct config *config = command_config(command);
    if (!config)
        return CLIENT_CONFIG;
    const struct config_partner *partner = config_find_partner(config, name);
    if (!partner)
        return command_fail(command, CLIENT_CONFIG,
                            "%s has no [partner %s]; a local file of that name is written ./%s:...", config->file, name,
                            name);
    if (!partner->client_profile)
        return no_profile(command, partner);
    if (partner->host.count == 0)
        return command_fail(command, CLIENT_CONFIG, "%s: partner \"%s\" has no `host`; give it one: HOST:PORT",
                            config->file, name);
    recording_open(&command->recording, config, command->log, command->arguments->quiet);
    options->profile = partner->client_profile;
    options->addresses = &partner->host;
    options->login = partner->login;
    options->password_file = partner->login_password_file;
    options->section = partner->section;
    if (partner->limit_rate && (options->limit_rate == 0 || partner->limit_rate < options->limit_rate))
        options->limit_rate = partner->limit_rate;
    return CLIENT_OK;
}

static int url_options(struct command *command, struct client_options *options)
{
    if (!command->profile)
        command->profile = arguments_profile(command->arguments);
    if (!command->profile)
        return command_fail(command, CLIENT_FAILED, "no memory");
    command->address = (struct config_address){ .host = command->server.name, .port = command->server.port };
    command->addresses = (struct config_addresses){ .items = &command->address, .count = 1 };
    options->profile = command->profile;
    options->addresses = &command->addresses;
    return CLIENT_OK;
}

static int connect_to(struct command *command, const struct remote *remote)
{
    const struct arguments *arguments = command->arguments;
    struct client_options options = { .log = command->log,
                                      .connect_timeout = arguments->connect_timeout,
                                      .idle_timeout = arguments->idle_timeout,
                                      .interrupt_fd = command->signal_fd,
                                      .streams = arguments->streams,
                                      .retries = arguments->retries,
                                      .verify = arguments->verify,
                                      .digest = arguments->digest,
                                      .if_exists = arguments->if_exists,
                                      .limit_rate = arguments->limit_rate,
                                      .pump_path = arguments->path };
    struct config_errors errors = { 0 };

    command->server = (struct remote){ .kind = remote->kind, .name = strdup(remote->name), .port = remote->port };
    if (!command->server.name)
        return command_fail(command, CLIENT_FAILED, "no memory");
    int result =
        remote->kind == REMOTE_URL ? url_options(command, &options) : partner_options(command, remote->name, &options);
    if (result != CLIENT_OK)
        return result;
    result = client_new(&command->client, &options, &errors);
    if (result != CLIENT_OK)
        fail_with_errors(command, result, &errors);
    else
        warn(command, &errors);
    config_errors_clear(&errors);
    return result;
}

struct client *command_client(struct command *command, const struct remote *remote)
{
    if (command->client && remote_same_server(&command->server, remote))
        return command->client;
    client_free(command->client);
    command->client = NULL;
    remote_clear(&command->server);
    connect_to(command, remote);
    return command->client;
}

struct transfer_run {
    struct progress progress;
    struct recording_run recording;
    double cpu;
};

/* NULL: it has a URL, and no partner. */
static const char *partner_of(const struct command *command)
{
    return command->server.kind == REMOTE_PARTNER ? command->server.name : NULL;
}

bool command_records(const struct command *command)
{
    return partner_of(command) && command->recording.writer;
}

void command_record(struct command *command, const struct client_transfer *transfer, int result, const char *reason)
{
    if (partner_of(command))
        recording_end(&command->recording, NULL, partner_of(command), transfer, result, reason);
}

static void watch_one(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    const struct command *command = argument;

    (void)total;
    command->watch(command->hear_argument, command->watched + moved, command->watch_total, path);
}

static void run_begin(struct command *command, struct transfer_run *run, const char *name, bool put, const char *remote,
                      const char *local)
{
    if (partner_of(command))
        recording_begin(&command->recording, &run->recording, partner_of(command), put, remote, local);
    run->cpu = report_cpu_seconds();
    progress_begin(&run->progress, name);
    if (command->shows_progress)
        client_watch(command->client, progress_update, &run->progress);
    else if (command->watch)
        client_watch(command->client, watch_one, command);
}

static int run_end(struct command *command, struct transfer_run *run, int result, const char *what)
{
    const struct client_transfer *last = client_last(command->client);

    progress_end(&run->progress);
    client_watch(command->client, NULL, NULL);
    if (partner_of(command))
        recording_end(&command->recording, &run->recording, partner_of(command), last, result,
                      client_reason(command->client));
    if (command->arguments->json)
        report_json(command->out, last, result, client_reason(command->client), report_cpu_seconds() - run->cpu);
    else if (result == CLIENT_OK && !command->arguments->quiet)
        report_line(command->out, last);
    command->succeeded += result == CLIENT_OK;
    if (result != CLIENT_OK) {
        char *name = printable(what);
        command->status = last->status;
        command_fail(command, result, "%s: %s", name ? name : "?", client_reason(command->client));
        free(name);
    }
    return result;
}

int command_get(struct command *command, const struct remote *server, const char *path, const char *local)
{
    struct transfer_run run;
    if (command->arguments->queue)
        return command_enqueue(command, server, CATALOG_IN, local, path);
    struct client *client = command_client(command, server);
    if (!client)
        return command->exit_code;
    run_begin(command, &run, path, false, path, local);
    return run_end(command, &run, client_get(client, path, local), path);
}

int command_get_stdout(struct command *command, const struct remote *server, const char *path)
{
    struct transfer_run run;
    if (command->arguments->queue)
        return command_fail(command, CLIENT_USAGE, "--queue cannot fetch to standard output: name a file");
    struct client *client = command_client(command, server);
    if (!client)
        return command->exit_code;
    command->out = stderr;
    run_begin(command, &run, path, false, path, "standard output");
    return run_end(command, &run, client_get_fd(client, path, STDOUT_FILENO, "standard output"), path);
}

int command_put(struct command *command, const struct remote *server, const char *local, const char *path)
{
    struct transfer_run run;
    if (command->arguments->queue)
        return command_enqueue(command, server, CATALOG_OUT, local, path);
    struct client *client = command_client(command, server);
    if (!client)
        return command->exit_code;
    run_begin(command, &run, local, true, path, local);
    return run_end(command, &run, client_put(client, local, path), local);
}

int command_run(int argc, char **argv, const char *usage,
                void (*work)(struct command *command, const struct arguments *arguments))
{
    struct arguments arguments;
    struct command command;
    int exit_code;

    if (arguments_parse(&arguments, argc, argv, usage, &exit_code) != 0)
        return exit_code;
    if (arguments.name_count < 2)
        return arguments_wrong(&arguments, "at least one source and the destination are needed");
    if (command_begin(&command, &arguments) == CLIENT_OK)
        work(&command, &arguments);
    return command_end(&command);
}
