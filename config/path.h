/* The names of the data paths, as the configuration and the command line take them. */
#ifndef SLUICE_CONFIG_PATH_H
#define SLUICE_CONFIG_PATH_H

#include "config/model.h"

#define CONFIG_PATH_WORDS "auto, sendfile, splice, splice-hybrid, fixed, direct or recv" /* all of them, for messages */

/* NULL for CONFIG_PATH_AUTO. */
const char *config_path_word(enum config_path path);

/* 0, or -1 where there is no such path. */
int config_path_parse(const char *text, enum config_path *path);

#endif
