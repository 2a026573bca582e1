#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/server/uploads_internal.h"

#define KIN_MAX 64 /* leftovers of one sender and target that are removed at once */
#define SHARE_LEAST 16

/* -- the table; called with the lock held -------------------------------------------------------------------------- */

static size_t hash_of(const char *name)
{
    uint64_t hash = 14695981039346656037u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return hash % UPLOADS_BUCKETS;
}

struct upload *uploads_find(struct uploads *uploads, dev_t device, ino_t inode, const char *name)
{
    for (struct upload *upload = uploads->buckets[hash_of(name)]; upload; upload = upload->next) {
        if (upload->device == device && upload->inode == inode && strcmp(upload->name, name) == 0)
            return upload;
    }
    return NULL;
}

/* `name`: of an upload. NULL: there is none, or with `make` no memory for one. */
static struct upload_sender *sender_of(struct uploads *uploads, const char *name, bool make)
{
    char begins[STORE_PARTIAL_SENDER + 1] = "";

    memcpy(begins, name, strnlen(name, STORE_PARTIAL_SENDER));
    struct upload_sender **bucket = &uploads->senders[hash_of(begins)], *sender = *bucket;
    while (sender && strcmp(sender->name, begins) != 0)
        sender = sender->next;
    if (sender || !make || !(sender = calloc(1, sizeof *sender)))
        return sender;
    memcpy(sender->name, begins, sizeof begins);
    sender->next = *bucket;
    *bucket = sender;
    return sender;
}

static void leave_sender(struct uploads *uploads, struct upload_sender *sender)
{
    struct upload_sender **at = &uploads->senders[hash_of(sender->name)];

    if (--sender->count > 0)
        return;
    while (*at != sender)
        at = &(*at)->next;
    *at = sender->next;
    free(sender);
}

struct upload *uploads_insert(struct uploads *uploads, dev_t device, ino_t inode, const char *name)
{
    struct upload **bucket = &uploads->buckets[hash_of(name)], *upload = calloc(1, sizeof *upload);
    struct upload_sender *sender = upload ? sender_of(uploads, name, true) : NULL;

    if (!sender) {
        free(upload);
        return NULL;
    }
    upload->home = uploads;
    upload->sender = sender;
    sender->count++;
    upload->device = device;
    upload->inode = inode;
    stpncpy(upload->name, name, sizeof upload->name - 1);
    atomic_init(&upload->unwanted, false);
    upload->seen = uploads->sweep;
    upload->next = *bucket;
    *bucket = upload;
    uploads->count++;
    return upload;
}

void upload_forget(struct upload *upload)
{
    struct upload **at = &upload->home->buckets[hash_of(upload->name)];

    while (*at != upload)
        at = &(*at)->next;
    *at = upload->next;
    upload->home->count--;
    leave_sender(upload->home, upload->sender);
    upload->sender = NULL;
}

void upload_not_open(struct upload *upload)
{
    struct upload **place = &upload->home->open;

    while (*place && *place != upload)
        place = &(*place)->next_open;
    if (*place)
        *place = upload->next_open;
}

/* It has its name, or none any more; who holds it still may look at it. */
static void make_gone(struct upload *upload)
{
    upload->gone = true;
    upload_front_end(upload);
    upload_forget(upload);
    upload->next = upload->home->gone;
    upload->home->gone = upload;
}

void upload_free(struct upload *upload)
{
    digest_front_drop(upload->front);
    store_partial_close(upload->partial);
    free(upload);
}

void upload_drop(struct upload *upload)
{
    if (--upload->holders > 0)
        return;
    upload->idle_at = session_clock();
    if (!upload->gone && !upload->partial && !upload->known) {
        upload_forget(upload); /* there was nothing to be opened */
        upload_free(upload);
    }
}

void upload_settle(struct upload *upload)
{
    upload->changing = false;
    pthread_cond_broadcast(&upload->home->settled);
}

/* -- taking one ---------------------------------------------------------------------------------------------------- */

/* Whether there may be one more: of all, and of its sender's. */
static int admit(struct uploads *uploads, const char *name)
{
    const struct config_server *limits = &uploads->epoch->config->server;
    const struct upload_sender *sender = sender_of(uploads, name, false);
    unsigned share = limits->max_unfinished_per_sender;

    if (share == 0)
        share = limits->max_unfinished_uploads / 4 > SHARE_LEAST ? limits->max_unfinished_uploads / 4 : SHARE_LEAST;
    if (sender && sender->count >= share)
        return -ETOOMANYREFS;
    return uploads->count >= limits->max_unfinished_uploads ? -EUSERS : 0;
}

/* Whose partial it is was found; holds it, or makes room for it. */
static int enter(struct uploads *uploads, const struct store_place *place, bool make, struct upload **upload)
{
    pthread_mutex_lock(&uploads->lock);
    *upload = uploads_find(uploads, place->device, place->inode, place->name);
    int rc = *upload || !make ? 0 : admit(uploads, place->name);
    if (!*upload && rc == 0 && !(*upload = uploads_insert(uploads, place->device, place->inode, place->name)))
        rc = -ENOMEM;
    if (*upload)
        (*upload)->holders++;
    pthread_mutex_unlock(&uploads->lock);
    return rc;
}

/* With the lock held, which is let go of while the disk is asked. */
static int open_changing(struct upload *upload, const struct store_place *place, uint64_t size)
{
    struct uploads *uploads = upload->home;
    struct store_partial *partial = NULL;

    upload->changing = true;
    pthread_mutex_unlock(&uploads->lock);
    int rc = store_partial_open(place, size, &partial);
    pthread_mutex_lock(&uploads->lock);
    if (rc == 0) {
        upload->partial = partial;
        upload->known = true;
        upload->kept_at = session_clock();
        upload->fronts = 0;
        upload->next_open = uploads->open;
        uploads->open = upload;
    } else if (rc == -ENOENT) {
        upload->known = false;
    }
    upload_settle(upload);
    return rc;
}

/* Those who come at the same time wait here for the first of them: two descriptors would lock each other out. */
static int open_partial(struct upload *upload, const struct store_place *place, uint64_t size)
{
    struct uploads *uploads = upload->home;
    int rc = 0;

    pthread_mutex_lock(&uploads->lock);
    while (upload->changing)
        pthread_cond_wait(&uploads->settled, &uploads->lock);
    bool open = upload->partial;
    if (!open)
        rc = open_changing(upload, place, size);
    pthread_mutex_unlock(&uploads->lock);
    return open && size != STORE_PARTIAL_ANY ? store_partial_set_size(upload->partial, size) : rc;
}

int uploads_take(struct uploads *uploads, const struct upload_key *key, uint64_t size, struct upload **upload)
{
    struct store_place place;
    bool make = size != STORE_PARTIAL_ANY;
    int rc = store_place_find(key->store, key->path, key->who, key->token, make, &place);

    *upload = NULL;
    if (rc < 0)
        return rc;
    place.hollow = key->hollow;
    rc = enter(uploads, &place, make, upload);
    if (rc == 0)
        rc = open_partial(*upload, &place, size);
    store_place_clear(&place);
    if (rc < 0 && *upload) {
        upload_leave(*upload);
        *upload = NULL;
    }
    return rc;
}

struct store_partial *upload_partial(const struct upload *upload)
{
    return upload->partial;
}

void upload_leave(struct upload *upload)
{
    struct uploads *uploads = upload->home;

    pthread_mutex_lock(&uploads->lock);
    upload_drop(upload);
    pthread_mutex_unlock(&uploads->lock);
}

static bool is_busy(const struct upload *upload)
{
    return upload->gone || upload->finishing || atomic_load(&upload->unwanted);
}

int upload_write_begin(struct upload *upload, struct upload_writer *writer, uint64_t first, uint64_t length,
                       unsigned algorithms)
{
    *writer = (struct upload_writer){ .at = first, .end = first + length };
    pthread_mutex_lock(&upload->home->lock);
    bool busy = is_busy(upload);
    if (!busy) {
        writer->next = upload->writers;
        upload->writers = writer;
        if (length > 0)
            upload_front_begin(upload, writer, algorithms);
    }
    pthread_mutex_unlock(&upload->home->lock);
    return busy ? -EBUSY : 0;
}

int upload_fill_begin(struct upload *upload, struct upload_writer *writer, uint64_t first, uint64_t end)
{
    *writer = (struct upload_writer){ .at = first, .end = end };
    pthread_mutex_lock(&upload->home->lock);
    bool busy = is_busy(upload);
    if (!busy) {
        /* All before what the digest was told of is there: that is not filled. */
        if (writer->at < upload->told)
            writer->at = upload->told;
        writer->next = upload->writers;
        upload->writers = writer;
    }
    pthread_mutex_unlock(&upload->home->lock);
    return busy ? -EBUSY : 0;
}

int upload_wrote(struct upload *upload, struct upload_writer *writer, uint64_t end)
{
    if (end == writer->at)
        return 0;
    int rc = store_partial_add(upload->partial, writer->at, end);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&upload->home->lock);
    writer->at = end;
    upload_front_move(upload);
    pthread_mutex_unlock(&upload->home->lock);
    return 0;
}

void upload_write_end(struct upload *upload, struct upload_writer *writer)
{
    struct upload_writer **at = &upload->writers;

    pthread_mutex_lock(&upload->home->lock);
    while (*at != writer)
        at = &(*at)->next;
    *at = writer->next;
    upload_front_move(upload);
    pthread_mutex_unlock(&upload->home->lock);
}

bool upload_unwanted(const struct upload *upload)
{
    return atomic_load(&upload->unwanted);
}

void upload_carried(struct upload *upload, const struct pump_choice *choice, uint64_t began)
{
    pthread_mutex_lock(&upload->home->lock);
    if (!upload->choice.path || began < upload->began)
        upload->began = began;
    upload->choice = *choice;
    pthread_mutex_unlock(&upload->home->lock);
}

void upload_carriage(const struct upload *upload, struct pump_choice *choice, uint64_t *began)
{
    pthread_mutex_lock(&upload->home->lock);
    if (upload->choice.path) {
        *choice = upload->choice;
        *began = upload->began;
    }
    pthread_mutex_unlock(&upload->home->lock);
}

/* -- finishing one ------------------------------------------------------------------------------------------------- */

int upload_finish_begin(struct upload *upload, bool again)
{
    int rc = 0;

    pthread_mutex_lock(&upload->home->lock);
    if (upload->gone || upload->finishing || (atomic_load(&upload->unwanted) && !again))
        rc = -EBUSY;
    else if (upload->writers)
        rc = -EAGAIN;
    else
        upload->finishing = true;
    if (rc != -EBUSY)
        atomic_store(&upload->unwanted, rc == -EAGAIN);
    pthread_mutex_unlock(&upload->home->lock);
    return rc;
}

void upload_finish_give_up(struct upload *upload)
{
    atomic_store(&upload->unwanted, false);
}

/* Leftovers of the same sender and target, whatever their token. */
static unsigned take_kin(const struct upload *upload, struct upload *kin[KIN_MAX])
{
    struct uploads *uploads = upload->home;
    unsigned count = 0;

    for (unsigned i = 0; i < UPLOADS_BUCKETS; i++) {
        for (struct upload *other = uploads->buckets[i], *next; other; other = next) {
            next = other->next;
            if (count == KIN_MAX || other->holders > 0 || other->device != upload->device ||
                other->inode != upload->inode || strncmp(other->name, upload->name, STORE_PARTIAL_KIN) != 0)
                continue;
            make_gone(other);
            other->holders++;
            kin[count++] = other;
        }
    }
    return count;
}

void upload_finish_end(struct upload *upload, bool gone)
{
    struct uploads *uploads = upload->home;
    struct upload *kin[KIN_MAX];
    unsigned count = 0;

    pthread_mutex_lock(&uploads->lock);
    upload->finishing = false;
    if (gone) {
        make_gone(upload);
        count = take_kin(upload, kin);
    }
    pthread_mutex_unlock(&uploads->lock);
    for (unsigned i = 0; i < count; i++) {
        if (kin[i]->partial)
            store_partial_drop(kin[i]->partial);
        else
            store_partial_drop_beside(upload->partial, kin[i]->name);
        upload_leave(kin[i]);
    }
}
