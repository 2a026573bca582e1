/* Two models, section by section, as they are written. */
#include <string.h>

#include "config/internal.h"

static const struct config_section *find(const struct config *config, const struct config_section *like)
{
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = &config->sections[i];
        if (strcmp(section->kind, like->kind) == 0 && strcmp(section->name, like->name) == 0)
            return section;
    }
    return NULL;
}

static bool same(const struct config_section *a, const struct config_section *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct config_entry *there = config_entry_find(b, a->entries[i].key);
        if (!there || strcmp(there->value, a->entries[i].value) != 0)
            return false;
    }
    return true;
}

void config_compare(const struct config *before, const struct config *after, struct config_difference *difference)
{
    *difference = (struct config_difference){ 0 };
    for (size_t i = 0; i < after->section_count; i++) {
        const struct config_section *old = find(before, &after->sections[i]);
        if (!old)
            difference->added++;
        else if (!same(old, &after->sections[i]))
            difference->changed++;
    }
    for (size_t i = 0; i < before->section_count; i++) {
        if (!find(after, &before->sections[i]))
            difference->removed++;
    }
}
