// rooms: http store
// Arbitrary bytes as a path, against a real tree: whatever opens must be one of the tree's own files.
#include "engine/http/http.h"
#include "engine/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static char base[] = "/tmp/sluice-fuzz-XXXXXX";
static struct store *store;

static struct {
    dev_t device;
    ino_t inode;
} inside[64];
static size_t inside_count;

static void make_file(int directory, const char *name)
{
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    REQUIRE(fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name));
    close(fd);
}

static void make_tree(int directory)
{
    static const char *const links[][2] = {
        { "a/b", "l" },       { "../..", "a/u" }, { "../x", "a/x" },          { "/etc", "e" },
        { "../o", "o" },      { "../o/s", "s" },  { "../r/x", "again" },      { "loop", "loop" },
        { "../../o", "a/o" }, { ".", "here" },    { "/proc/self/root", "p" }, { "nowhere", "n" },
    };

    REQUIRE(mkdirat(directory, "o", 0755) == 0 && mkdirat(directory, "r", 0755) == 0);
    make_file(directory, "o/s");
    make_file(directory, "o/x");
    int root = openat(directory, "r", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(mkdirat(root, "a", 0755) == 0 && mkdirat(root, "a/b", 0755) == 0);
    make_file(root, "x");
    make_file(root, "a/y");
    make_file(root, "a/b/z");
    make_file(root, ".sluice-t");
    REQUIRE(mkfifoat(root, "f", 0644) == 0);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        REQUIRE(symlinkat(links[i][0], root, links[i][1]) == 0);
    close(root);
}

static int note(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)walk;
    if ((type == FTW_F || type == FTW_D) && !strstr(path, STORE_PRIVATE)) {
        REQUIRE(inside_count < sizeof inside / sizeof *inside);
        inside[inside_count].device = facts->st_dev;
        inside[inside_count++].inode = facts->st_ino;
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

static void clean_up(void)
{
    store_close(store);
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char root[sizeof base + 2];

    (void)argc, (void)argv;
    REQUIRE(mkdtemp(base));
    int directory = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_tree(directory);
    close(directory);
    strcpy(stpcpy(root, base), "/r");
    REQUIRE(store_open(&store, root) == 0);
    REQUIRE(nftw(root, note, 16, FTW_PHYS) == 0);
    atexit(clean_up);
    return 0;
}

static bool is_inside(const struct stat *facts)
{
    for (size_t i = 0; i < inside_count; i++) {
        if (inside[i].device == facts->st_dev && inside[i].inode == facts->st_ino)
            return true;
    }
    return false;
}

static void fuzz_read(const char *path)
{
    struct stat facts;
    int fd = store_open_read(store, path, &facts);

    REQUIRE(store_path_check(path) == 0 || fd == store_path_check(path));
    if (fd < 0)
        return;
    REQUIRE(is_inside(&facts) && (S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode)));
    REQUIRE(!strstr(path, "/../") && strncmp(path, "../", 3) != 0);
    close(fd);
}

/* An upload that begins has its file in a directory of the tree; abandoned, it leaves the tree as it was. */
static void fuzz_write(const char *path)
{
    struct store_upload upload;
    struct stat facts;
    int rc = store_upload_begin(store, path, 1, &upload);

    REQUIRE(store_path_check(path) == 0 || rc < 0);
    if (rc < 0)
        return;
    REQUIRE(fstat(upload.directory, &facts) == 0 && is_inside(&facts));
    store_upload_abandon(&upload);
}

static void fuzz_path(const char *path)
{
    fuzz_read(path);
    fuzz_write(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[PATH_MAX], encoded[3 * PATH_MAX + 1], back[PATH_MAX];
    char *target = malloc(size + 2);

    REQUIRE(target);
    target[0] = '/';
    memcpy(target + 1, data, size);
    target[size + 1] = '\0';
    fuzz_path(target);
    fuzz_path(target + 1);
    if (http_target_path(target, path, sizeof path) == 0) {
        fuzz_path(path);
        REQUIRE(http_path_encode(path, encoded + 1, sizeof encoded - 1) == 0);
        encoded[0] = '/';
        REQUIRE(http_target_path(encoded, back, sizeof back) == 0 && strcmp(path, back) == 0);
    }
    free(target);
    return 0;
}
