// rooms: gate config
/* Any file: passwords or errors, never both or neither; names that are good and in order; no message that quotes it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/gate/passwords.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static void require_names(const struct passwords *passwords)
{
    const char *before = "", *name;
    for (size_t i = 0; (name = passwords_name(passwords, i)); i++) {
        REQUIRE(passwords_name_good(name) && passwords_know(passwords, name));
        REQUIRE(strcmp(before, name) < 0);
        before = name;
    }
}

static void require_messages(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        for (const char *at = errors->items[i].text; *at; at++)
            REQUIRE((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors errors = { 0 };
    char path[32];
    int fd = memfd_create("passwords", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && fchmod(fd, 0600) == 0);
    REQUIRE(size == 0 || write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct passwords *passwords = passwords_read(path, NULL, "password_file", &errors);
    REQUIRE((passwords == NULL) == (errors.error_count > 0));
    if (passwords)
        require_names(passwords);
    require_messages(&errors);
    passwords_free(passwords);
    config_errors_clear(&errors);
    close(fd);
    return 0;
}
