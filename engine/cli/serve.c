#include "engine/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "config/printable.h"
#include "config/model.h"
#include "engine/cli/tree_job.h"
#include "engine/queue/queue.h"
#include "engine/queue/watch.h"
#include "engine/server/server.h"

#define GRACE_MS 30000

static void usage(FILE *out)
{
    fputs(
        "Usage: sluice serve [-c FILE]\n"
        "Serves the stores of the configuration until SIGTERM or SIGINT; transfers that run may end within 30 s, a\n"
        "second signal ends them at once. SIGHUP reads the configuration again, with its certificates and passwords:\n"
        "new sessions follow it, and where something is wrong the old one stays.\n"
        "Events go to standard error, or to the journal. Tells systemd how it is (Type=notify, or notify-reload).\n"
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

/* -- what is asked of the process, by signals: heard by a thread that does nothing else ---------------------------- */

struct wishes {
    const sigset_t *signals;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct server *server;
    struct queue *queue;     /* NULL: the configuration names no catalog */
    struct watches *watches; /* the same */
    unsigned stops;          /* SIGTERM and SIGINT so far */
    bool reload;
    bool stopping; /* server_stop() is waited for, and may be hurried */
    bool over;     /* it has stopped: nothing is heard any more */
};

/* False where that was the last one. */
static bool hear_one(struct wishes *wishes, int number)
{
    pthread_mutex_lock(&wishes->lock);
    bool over = wishes->over;
    if (number == SIGHUP)
        wishes->reload = true; /* and forgotten, where a stop was asked for */
    else
        wishes->stops++;
    if (number != SIGHUP && wishes->stops == 2 && wishes->stopping)
        server_hurry(wishes->server);
    pthread_cond_signal(&wishes->changed);
    pthread_mutex_unlock(&wishes->lock);
    return !over;
}

static void *hear(void *argument)
{
    struct wishes *wishes = argument;
    int number = 0;

    do {
        while (sigwait(wishes->signals, &number) != 0)
            ;
    } while (hear_one(wishes, number));
    return NULL;
}

/* Waits for the next wish. True: to read the configuration again; false: to stop. */
static bool wait_for_wish(struct wishes *wishes)
{
    pthread_mutex_lock(&wishes->lock);
    while (!wishes->stops && !wishes->reload)
        pthread_cond_wait(&wishes->changed, &wishes->lock);
    bool reload = !wishes->stops;
    wishes->reload = false;
    pthread_mutex_unlock(&wishes->lock);
    return reload;
}

/* -- from start to end --------------------------------------------------------------------------------------------- */

static void print_warnings(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        if (errors->items[i].severity == CONFIG_WARNING)
            printable_line(stderr, "warning: %s", errors->items[i].text);
    }
}

static void reload(struct server *server, const char *file)
{
    struct config_errors errors = { 0 };
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reading the configuration again",
               (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    int rc = server_reload(server, config_load(file, &errors), &errors);
    config_errors_sort(&errors);
    print_warnings(&errors);
    config_errors_clear(&errors);
    sd_notifyf(0, "READY=1\nSTATUS=%s",
               rc == 0 ? "Serving" : "Serving the configuration from before: the new one is wrong, see the events");
}

static struct queue_model current_model(struct server *server)
{
    struct queue_model model = { .drop = server_let_go };

    model.config = server_model(server, &model.holder);
    return model;
}

/* Without it the server serves; only what is queued does not begin. */
static struct queue *open_queue(struct server *server, struct event_log *log)
{
    struct queue_model model = current_model(server);
    struct queue_options options = {
        .catalog = model.config->server.catalog, .log = log, .hooks = server_hooks(server), .move_tree = tree_job
    };
    struct queue *queue = NULL;

    if (!options.catalog) {
        server_let_go(model.holder);
        return NULL;
    }
    int rc = queue_new(&queue, &options, &model);
    if (rc < 0)
        event(log, "Q03W", EVENT_T("reason", strerror(-rc)));
    return rc < 0 ? NULL : queue;
}

static struct watches *open_watches(struct server *server, struct event_log *log)
{
    struct queue_model model = current_model(server);
    struct watches *watches = NULL;

    int rc = watches_new(&watches, model.config->server.catalog, log, &model);
    if (rc < 0)
        event(log, "W02W", EVENT_T("reason", strerror(-rc)));
    return rc < 0 ? NULL : watches;
}

static void follow(struct wishes *wishes)
{
    if (!wishes->queue)
        return;
    struct queue_model model = current_model(wishes->server);
    queue_follow(wishes->queue, &model);
    if (!wishes->watches)
        return;
    model = current_model(wishes->server);
    watches_follow(wishes->watches, &model);
}

static void stop(struct wishes *wishes)
{
    pthread_mutex_lock(&wishes->lock);
    wishes->stopping = true;
    unsigned grace = wishes->stops > 1 ? 0 : GRACE_MS;
    pthread_mutex_unlock(&wishes->lock);
    sd_notify(0, "STOPPING=1\nSTATUS=Waiting for transfers that run");
    watches_free(wishes->watches);
    queue_free(wishes->queue);
    wishes->watches = NULL;
    wishes->queue = NULL;
    server_stop(wishes->server, grace);
}

static int run(struct server *server, struct event_log *log, const char *file, const sigset_t *signals)
{
    struct wishes wishes = {
        .signals = signals, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .server = server
    };
    pthread_t thread;

    int rc = pthread_create(&thread, NULL, hear, &wishes);
    if (rc != 0) {
        printable_line(stderr, "sluice serve: no thread to wait for signals: %s", strerror(rc));
        server_stop(server, 0);
        return 1;
    }
    wishes.queue = open_queue(server, log);
    wishes.watches = wishes.queue ? open_watches(server, log) : NULL;
    sd_notify(0, "READY=1\nSTATUS=Serving");
    while (wait_for_wish(&wishes)) {
        reload(server, file);
        follow(&wishes);
    }
    stop(&wishes);
    pthread_mutex_lock(&wishes.lock);
    wishes.over = true;
    wishes.stopping = false;
    pthread_mutex_unlock(&wishes.lock);
    pthread_kill(thread, SIGHUP); /* so that it looks */
    pthread_join(thread, NULL);
    return 0;
}

static struct event_log *open_log(const struct config *config)
{
    bool json = config->server.events == CONFIG_EVENTS_JSON;

    return config->server.events_to == CONFIG_EVENTS_JOURNAL ? event_log_new_journal(stderr, json)
                                                             : event_log_new(stderr, json);
}

static int serve(struct config *config, const char *file, struct config_errors *errors, const sigset_t *signals)
{
    struct event_log *log = open_log(config);
    struct server_options options = { .config = config, .log = log };
    struct server *server = NULL;

    int rc = server_new(&server, &options, errors);
    config_errors_sort(errors);
    config_errors_print(errors, stderr);
    if (rc < 0)
        rc = 3;
    else
        rc = server_start(server) < 0 ? 1 : run(server, log, file, signals);
    server_free(server);
    event_log_free(log);
    return rc;
}

/* A profile that is missing leaves no model, and so nobody who knows where events are wanted. */
static void say_missing_profile(const struct config_errors *errors)
{
    struct event_log *log = event_log_new(stderr, false);

    for (size_t i = 0; i < errors->count; i++) {
        if (strstr(errors->items[i].text, ": P20F: "))
            event(log, "P20F", EVENT_T("reason", errors->items[i].text));
    }
    event_log_free(log);
}

static int load_and_serve(const char *file, const sigset_t *signals)
{
    struct config_errors errors = { 0 };
    struct config *config = config_load(file, &errors);
    int rc = 3;

    if (config) {
        rc = serve(config, file, &errors, signals);
    } else {
        config_errors_print(&errors, stderr);
        say_missing_profile(&errors);
    }
    config_errors_clear(&errors);
    return rc;
}

int cli_serve(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    const char *file = cli_config_file();
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
    signal(SIGXFSZ, SIG_IGN); /* LimitFSIZE= is one file's error, not everybody's end */
    raise_limits();
    return load_and_serve(file, &signals);
}
