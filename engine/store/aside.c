/* What arrived and is not what was promised: kept under a private name, for somebody to look at. */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/digest/digest.h"

#define HASH_DIGITS 32

/* One place for each path, so that a sender who fails again and again does not fill the disk. */
int store_bad_name(const char *path, char name[STORE_BAD_NAME_SIZE])
{
    struct digest_run *run;
    struct digest_set set;
    char hex[DIGEST_HEX_SIZE];
    int error = digest_run_new(&run, 1u << DIGEST_SHA_256);

    if (error == 0)
        error = digest_run_add(run, path, strlen(path));
    if (error == 0)
        error = digest_run_end(run, &set);
    digest_run_free(run);
    if (error < 0)
        return error;
    digest_hex(&set.items[DIGEST_SHA_256], hex);
    snprintf(name, STORE_BAD_NAME_SIZE, "%s%.*s", STORE_BAD_PREFIX, HASH_DIGITS, hex);
    return 0;
}

int store_upload_set_aside(struct store_upload *upload, char name[STORE_BAD_NAME_SIZE])
{
    int error = store_bad_name(upload->name, name);

    if (error == 0 && !upload->temporary)
        error = store_link_temporary(upload);
    if (error == 0 && renameat(upload->directory, upload->temporary, upload->directory, name) < 0)
        error = -errno;
    if (error == 0)
        store_forget_temporary(upload);
    store_upload_abandon(upload);
    return error;
}

int store_upload_rename(struct store_upload *upload, const char *path)
{
    int error = store_check_file(path);
    char *name = error == 0 ? strdup(path) : NULL;

    if (error == 0 && !name)
        error = -ENOMEM;
    if (error < 0)
        return error;
    free(upload->name);
    upload->name = name;
    upload->numbered = NULL;
    return 0;
}
