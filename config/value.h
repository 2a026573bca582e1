/*
 * Private to config/: what the readers of values share. value.c has the plain ones, who.c those that say who somebody
 * is.
 */
#ifndef SLUICE_CONFIG_VALUE_H
#define SLUICE_CONFIG_VALUE_H

#include "config/internal.h"

struct job {
    const struct config_scene *scene;
    const struct config_key *key;
    const char *text;
    void *base;
};

#define refuse(job, format, ...)                                                                                       \
    (config_errors_add_at((job)->scene->errors, CONFIG_ERROR, (job)->scene->section, (job)->key->name, "%s " format,   \
                          (job)->key->name, ##__VA_ARGS__),                                                            \
     -EINVAL)

void *value_field(const struct job *job); /* where the value goes */

/* Calls `add` for each part between commas, blanks around it left out. 0, -EINVAL (reported) or -ENOMEM. */
int value_for_each_part(const struct job *job, int (*add)(const struct job *job, const char *part, size_t length));

/* Takes `item`; NULL is -ENOMEM. */
int value_append(struct config_list *list, char *item);

int value_set_text(const struct job *job);
int value_set_folder(const struct job *job);
int value_set_patterns(const struct job *job);
int value_set_networks(const struct job *job);
int value_set_expression(const struct job *job);
int value_set_fingerprints(const struct job *job);
int value_set_sans(const struct job *job);
int value_set_grants(const struct job *job);
int value_set_command(const struct job *job);

#endif
