#include "engine/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "config/model.h"
#include "engine/server/server.h"

#define GRACE_MS 30000

static void usage(FILE *out)
{
    fputs("Usage: sluice serve [-c FILE]\n"
          "Serves the stores of the configuration until SIGTERM or SIGINT; transfers that run may end within 30 s, a\n"
          "second signal ends them at once. Events go to standard error.\n"
          "Exit codes: 0 stopped in good order, 1 could not go on, 2 usage, 3 configuration.\n",
          out);
}

/* Each session costs a descriptor or a few: ask for all we may have. */
static void raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

struct impatience {
    struct server *server;
    const sigset_t *signals;
};

static void *wait_for_second_signal(void *argument)
{
    struct impatience *impatience = argument;
    int signal_number;

    sigwait(impatience->signals, &signal_number);
    server_hurry(impatience->server);
    return NULL;
}

static void stop(struct server *server, const sigset_t *signals)
{
    struct impatience impatience = { server, signals };
    pthread_t thread;
    bool listening = pthread_create(&thread, NULL, wait_for_second_signal, &impatience) == 0;

    server_stop(server, GRACE_MS);
    if (listening) {
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
}

static int serve(struct config *config, struct config_errors *errors, const sigset_t *signals)
{
    struct event_log *log = event_log_new(stderr, config->server.events == CONFIG_EVENTS_JSON);
    struct server_options options = { .config = config, .log = log };
    struct server *server = NULL;
    int signal_number = 0;

    int rc = server_new(&server, &options, errors);
    config_errors_sort(errors);
    config_errors_print(errors, stderr);
    if (rc == 0)
        rc = server_start(server) < 0 ? 1 : 0;
    else
        rc = 3;
    if (rc == 0) {
        sigwait(signals, &signal_number);
        stop(server, signals);
    }
    server_free(server);
    event_log_free(log);
    return rc;
}

int cli_serve(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    const char *file = NULL;
    sigset_t signals;
    int option;

    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h')
            usage(stdout);
        else if (option != 'c')
            usage(stderr);
        if (option != 'c')
            return option == 'h' ? 0 : 2;
        file = optarg;
    }
    if (optind < argc) {
        usage(stderr);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    /* Before any thread is made, so that all inherit it and only sigwait() hears them. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_limits();

    struct config_errors errors = { 0 };
    struct config *config = config_load(file ? file : cli_config_file(), &errors);
    int rc = 3;
    if (config)
        rc = serve(config, &errors, &signals);
    else
        config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    return rc;
}
