/* Which path a body takes. */
#include "engine/pump/pump_internal.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/disk/cache.h"

struct rule {
    enum pump_way way;
    unsigned modes;
    bool (*holds)(const struct pump_facts *facts); /* NULL: always */
    const struct pump_path *path;
    const char *why;
};

static bool has_no_offsets(const struct pump_facts *facts)
{
    return !facts->positioned;
}

static bool is_in_memory(const struct pump_facts *facts)
{
    const struct pump *pump = facts->pump;
    return cache_is_home(pump->file) || cache_holds_most(pump->file, pump->offset, pump->length) == CACHED_YES;
}

/* It would push everything else out of memory, and gain nothing from being there. */
static bool is_giant(const struct pump_facts *facts)
{
    struct sysinfo memory;
    uint64_t length = facts->pump->length;
    return facts->on_a_device && length != PUMP_TO_END && sysinfo(&memory) == 0 &&
           length > (uint64_t)memory.totalram * memory.mem_unit / 2;
}

static bool is_cold_giant(const struct pump_facts *facts)
{
    return is_giant(facts) && !is_in_memory(facts) && !pump_path_direct_send.lacks(facts);
}

static bool is_giant_to_come(const struct pump_facts *facts)
{
    return is_giant(facts) && !pump_path_direct_receive.lacks(facts);
}

#define OPENSSL (1u << CHANNEL_USER)
#define SOCKET (1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL)

/*
 * The first that holds. Why these: instructions per byte of the server, GET of 64 MiB from tmpfs by kTLS, Debian 12's
 * kernel (counted as bench/instructions does, by curl, with `path` in the store), 2026-11-21: splice 2.90,
 * sendfile 2.92, fixed 3.34. sendfile is taken for what is within half a percent of the best: it needs no pipe and no
 * turn of a kernel thread for each MiB. PUT into a new file: recv 3.63, into one that is there 4.07. Of 16 MiB, which
 * set a connection's beginning against fewer bytes (bench/instructions --short, 2026-11-22): splice 2.95,
 * splice-hybrid 2.94; PUT by recv 4.01, by splice, a record for each call, 5.26. Of 16 MiB from a disk, not in the page
 * cache (--only get-cold): direct 3.16, splice 3.65, sendfile 3.61. Still direct is only for what is larger than half
 * the memory: whoever asks for anything smaller again finds it in the page cache.
 */
static const struct rule rules[] = {
    { PUMP_SEND, OPENSSL, NULL, &pump_path_user_send, "OpenSSL encrypts" },
    { PUMP_RECEIVE, OPENSSL, NULL, &pump_path_user_receive, "OpenSSL decrypts" },
    { PUMP_SEND, SOCKET, has_no_offsets, &pump_path_splice, "the source has no offsets" },
    { PUMP_SEND, SOCKET, is_cold_giant, &pump_path_direct_send, "larger than half the memory" },
    { PUMP_SEND, SOCKET, is_in_memory, &pump_path_sendfile, "in the page cache" },
    { PUMP_SEND, SOCKET, NULL, &pump_path_sendfile, "not in the page cache, so with threads" },
    { PUMP_RECEIVE, SOCKET, is_giant_to_come, &pump_path_direct_receive, "larger than half the memory" },
    { PUMP_RECEIVE, SOCKET, NULL, &pump_path_recv, "many records at once" },
};

const char *pump_needs_offsets(const struct pump_facts *facts)
{
    return facts->positioned ? NULL : "the source has no offsets";
}

static void look(struct pump_facts *facts)
{
    const struct pump *pump = facts->pump;
    struct stat about;
    facts->positioned = lseek(pump->file, 0, SEEK_CUR) >= 0;
    facts->regular = fstat(pump->file, &about) == 0 && S_ISREG(about.st_mode);
    facts->on_a_device = facts->regular && major(about.st_dev) != 0;
}

/* The row that was asked for, where it serves; NULL with the reason in *why, and none where it is of no way of ours. */
static const struct pump_path *find_asked(const struct pump_facts *facts, const char **why)
{
    const struct pump *pump = facts->pump;
    *why = NULL;
    for (size_t i = 0; pump_paths[i]; i++) {
        const struct pump_path *path = pump_paths[i];
        if (path->way != pump->way || strcmp(path->name, pump->asked) != 0)
            continue;
        if (!(path->modes & 1u << facts->mode))
            *why = "OpenSSL does the cryptography";
        else if (path->lacks)
            *why = path->lacks(facts);
        if (!*why)
            return path;
    }
    return NULL;
}

void pump_choose(struct pump *pump, enum channel_mode mode)
{
    struct pump_facts facts = { .pump = pump, .mode = mode };
    const char *lacks = NULL;
    look(&facts);
    const struct pump_path *asked = pump->asked ? find_asked(&facts, &lacks) : NULL;
    if (asked) {
        pump->choice = (struct pump_choice){ .path = asked, .why = "asked for" };
        return;
    }
    const struct rule *rule = rules;
    while (rule->way != pump->way || !(rule->modes & 1u << mode) || (rule->holds && !rule->holds(&facts)))
        rule++;
    pump->choice = (struct pump_choice){ .path = rule->path,
                                         .why = lacks ? lacks : rule->why,
                                         .refused = lacks ? pump->asked : NULL };
}

bool pump_spares_cache(const struct pump *pump)
{
    return pump->choice.path == &pump_path_direct_send || pump->choice.path == &pump_path_direct_receive;
}

bool pump_would_spare_cache(int file, uint64_t length, const char *asked)
{
    struct pump pump = { .way = PUMP_SEND, .file = file, .length = length, .asked = asked };
    struct pump_facts facts = { .pump = &pump, .mode = CHANNEL_KERNEL };
    const char *lacks;
    look(&facts);
    const struct pump_path *path = asked ? find_asked(&facts, &lacks) : NULL;
    return path ? path == &pump_path_direct_send : is_giant(&facts) && !pump_path_direct_send.lacks(&facts);
}
