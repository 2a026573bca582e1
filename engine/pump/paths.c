#include "engine/pump/pump_internal.h"

#include <stdio.h>
#include <string.h>

const struct pump_path *const pump_paths[] = {
    &pump_path_splice,
    &pump_path_splice_hybrid,
    &pump_path_sendfile,
    &pump_path_fixed,
    &pump_path_direct_send,
    &pump_path_recv,
    &pump_path_direct_receive,
    &pump_path_splice_receive,
    &pump_path_user_send,
    &pump_path_user_receive,
    NULL,
};

/* No rows of the table: nobody can ask for them, and no pump takes them. */
const struct pump_path pump_path_head = { .name = "head", .way = PUMP_SEND };
const struct pump_path pump_path_whole = { .name = "whole", .way = PUMP_RECEIVE };

const char *pump_path_name(const struct pump *pump)
{
    return pump->choice.path ? pump->choice.path->name : "none";
}

/* With each small request: without printf(3), which costs more than the rest of its event. */
static void tell(char text[PUMP_TOLD_SIZE], const char *name, const char *why)
{
    size_t length = strnlen(name, PUMP_TOLD_SIZE / 2), left = PUMP_TOLD_SIZE - length - sizeof ": ";
    size_t reason = strnlen(why, left);

    memcpy(text, name, length);
    memcpy(text + length, ": ", 2);
    memcpy(text + length + 2, why, reason);
    text[length + 2 + reason] = '\0';
}

const char *pump_told(const struct pump_choice *choice, char text[PUMP_TOLD_SIZE])
{
    if (!choice->path)
        snprintf(text, PUMP_TOLD_SIZE, "none");
    else if (choice->refused)
        snprintf(text, PUMP_TOLD_SIZE, "%s: not %s as asked for: %s", choice->path->name, choice->refused, choice->why);
    else
        tell(text, choice->path->name, choice->why);
    return text;
}
