#include <stdlib.h>

#include "engine/cli/cli.h"

const char *cli_config_file(void)
{
    const char *file = getenv("SLUICE_CONFIG");
    return file && file[0] ? file : "/etc/sluice/sluice.ini";
}
