#include "config/path.h"

#include <string.h>

#include "config/schema.h"

const char *config_path_word(enum config_path path)
{
    return path == CONFIG_PATH_AUTO ? NULL : config_path_choices[path].word;
}

int config_path_parse(const char *text, enum config_path *path)
{
    for (const struct config_choice *choice = config_path_choices; choice->word; choice++) {
        if (strcmp(choice->word, text) == 0) {
            *path = (enum config_path)choice->value;
            return 0;
        }
    }
    return -1;
}
