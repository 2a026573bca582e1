/*
 * What waits to be run, in a lane for each partner or user: they take turns, and where there is no more room, who has
 * the most waiting gives way. So whoever sends much delays and loses its own runs, and nobody else's.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/hook/hook_internal.h"

struct hook_lane {
    struct hook_lane *next;
    struct hook_task *first, **end;
    size_t count;
};

static const char *sender_of(const struct hook_task *task)
{
    return task->partner ? task->partner : task->user ? task->user : "";
}

static struct hook_lane **find_lane(struct hook_lanes *lanes, const char *sender)
{
    struct hook_lane **at = &lanes->first;

    while (*at && strcmp(sender_of((*at)->first), sender) != 0)
        at = &(*at)->next;
    return at;
}

static struct hook_lane **longest_lane(struct hook_lanes *lanes)
{
    struct hook_lane **longest = &lanes->first;

    for (struct hook_lane **at = &lanes->first; *at; at = &(*at)->next) {
        if ((*at)->count > (*longest)->count)
            longest = at;
    }
    return longest;
}

/* Takes one out; a lane without any goes. */
static struct hook_task *take(struct hook_lanes *lanes, struct hook_lane **lane, struct hook_task **at)
{
    struct hook_lane *from = *lane;
    struct hook_task *task = *at;

    *at = task->next;
    task->next = NULL;
    if (!*at)
        from->end = at;
    from->count--;
    lanes->count--;
    if (!from->first) {
        *lane = from->next;
        free(from);
    }
    return task;
}

static struct hook_task *take_newest(struct hook_lanes *lanes, struct hook_lane **lane)
{
    struct hook_task **at = &(*lane)->first;

    while ((*at)->next)
        at = &(*at)->next;
    return take(lanes, lane, at);
}

struct hook_task *hook_lanes_add(struct hook_lanes *lanes, struct hook_task *task)
{
    struct hook_lane **own = find_lane(lanes, sender_of(task)), **longest = longest_lane(lanes);
    struct hook_task *dropped = NULL;
    bool full = lanes->count >= HOOKS_WAITING_MAX;

    if (full && (*own ? (*own)->count : 0) + 1 >= (*longest)->count)
        return task;
    if (!*own) {
        *own = calloc(1, sizeof **own);
        if (!*own)
            return task;
        (*own)->end = &(*own)->first;
    }
    struct hook_lane *lane = *own;
    task->next = NULL;
    *lane->end = task;
    lane->end = &task->next;
    lane->count++;
    lanes->count++;
    if (full)
        dropped = take_newest(lanes, longest);
    return dropped;
}

/* To the end of the line. */
static void had_its_turn(struct hook_lane **lane)
{
    struct hook_lane *moved = *lane, **end = lane;

    *lane = moved->next;
    while (*end)
        end = &(*end)->next;
    moved->next = NULL;
    *end = moved;
}

struct hook_task *hook_lanes_take(struct hook_lanes *lanes, hook_may_run *may_run, const void *argument)
{
    for (struct hook_lane **lane = &lanes->first; *lane; lane = &(*lane)->next) {
        for (struct hook_task **at = &(*lane)->first; *at; at = &(*at)->next) {
            if (!may_run(argument, *at))
                continue;
            bool last = (*lane)->count == 1;
            struct hook_task *task = take(lanes, lane, at);
            if (!last)
                had_its_turn(lane);
            return task;
        }
    }
    return NULL;
}
