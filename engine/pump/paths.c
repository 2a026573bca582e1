#include "engine/pump/pump_internal.h"

const struct pump_path *const pump_paths[] = {
    &pump_path_splice, &pump_path_copy, &pump_path_recv, &pump_path_user_send, &pump_path_user_receive, NULL,
};

const struct pump_path *pump_path_for(enum pump_way way, enum channel_mode mode)
{
    for (size_t i = 0; pump_paths[i]; i++) {
        if (pump_paths[i]->way == way && pump_paths[i]->modes & 1u << mode)
            return pump_paths[i];
    }
    return NULL;
}

const char *pump_path_name(const struct pump *pump)
{
    return pump->path ? pump->path->name : "none";
}
