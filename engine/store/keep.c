#include "engine/store/store_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int keep(const struct store *store, const char *name, const char *text)
{
    struct store_upload upload;
    struct stat facts;
    bool created;

    if (store_look(store, name, &facts) == 0)
        return 0;
    int rc = store_upload_begin(store, name, strlen(text), &upload);
    if (rc < 0)
        return rc;
    rc = store_write_all(upload.fd, text, strlen(text));
    if (rc < 0) {
        store_upload_abandon(&upload);
        return rc;
    }
    rc = store_upload_commit(&upload, "", &created, &facts);
    return rc == -EEXIST ? 0 : rc; /* somebody else has just kept it */
}

int store_keep(const char *directory, const char *name, const char *text)
{
    struct store *store;
    int rc = store_open(&store, directory);

    if (rc < 0)
        return rc;
    rc = keep(store, name, text);
    store_close(store);
    return rc;
}
