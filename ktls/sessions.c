#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ktls/context_internal.h"
#include "ktls/verify_internal.h"

#define SESSIONS_MAX 64

struct entry {
    char *key;
    SSL_SESSION *session;
    time_t came; /* by a clock that nobody sets */
};

struct sessions {
    pthread_mutex_t mutex;
    struct entry entries[SESSIONS_MAX]; /* oldest first */
    size_t count;
};

struct sessions *sessions_new(void)
{
    struct sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions && pthread_mutex_init(&sessions->mutex, NULL)) {
        free(sessions);
        return NULL;
    }
    return sessions;
}

static void remove_at(struct sessions *sessions, size_t index)
{
    free(sessions->entries[index].key);
    SSL_SESSION_free(sessions->entries[index].session);
    sessions->count--;
    memmove(&sessions->entries[index], &sessions->entries[index + 1],
            (sessions->count - index) * sizeof sessions->entries[0]);
}

void sessions_free(struct sessions *sessions)
{
    if (!sessions)
        return;
    while (sessions->count)
        remove_at(sessions, sessions->count - 1);
    pthread_mutex_destroy(&sessions->mutex);
    free(sessions);
}

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec;
}

bool sessions_put(struct sessions *sessions, const char *key, SSL_SESSION *session)
{
    char *copy = strdup(key);
    if (!copy)
        return false;

    pthread_mutex_lock(&sessions->mutex);
    if (sessions->count == SESSIONS_MAX)
        remove_at(sessions, 0);
    sessions->entries[sessions->count++] = (struct entry){ copy, session, now() };
    pthread_mutex_unlock(&sessions->mutex);
    return true;
}

static bool usable(const struct entry *entry)
{
    return SSL_SESSION_is_resumable(entry->session) && tickets_hold(entry->session) &&
           now() - entry->came < SSL_SESSION_get_timeout(entry->session);
}

/* The newest first: its ticket lives longest. */
static SSL_SESSION *take_locked(struct sessions *sessions, const char *key)
{
    for (size_t i = sessions->count; i-- > 0;) {
        SSL_SESSION *session = sessions->entries[i].session;
        if (strcmp(sessions->entries[i].key, key) != 0)
            continue;
        if (!usable(&sessions->entries[i])) {
            remove_at(sessions, i);
            continue;
        }
        SSL_SESSION_up_ref(session);
        /* A TLS 1.2 server sends no new ticket when it resumes, so that one stays. */
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            remove_at(sessions, i);
        return session;
    }
    return NULL;
}

SSL_SESSION *sessions_take(struct sessions *sessions, const char *key)
{
    pthread_mutex_lock(&sessions->mutex);
    SSL_SESSION *session = take_locked(sessions, key);
    pthread_mutex_unlock(&sessions->mutex);
    return session;
}
