// rooms: gate config
/* Any Authorization field: a login that says the same when it is written again, or none and nothing left behind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "engine/gate/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static void require_printable(const char *text)
{
    REQUIRE(gate_text_good(text, strlen(text)));
    for (; *text; text++)
        REQUIRE((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void require_same_again(const char *field, const struct gate_login *login)
{
    char text[GATE_NAME_MAX + GATE_PASSWORD_MAX + 2], token[sizeof(text) * 2];
    int length = snprintf(text, sizeof(text), "%s:%s", login->name, login->password);
    EVP_EncodeBlock((unsigned char *)token, (const unsigned char *)text, length);
    const char *blank = strrchr(field, ' ');
    REQUIRE(blank && strcmp(blank + 1, token) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gate_login nothing;
    struct gate_login login;
    char *field = malloc(size + 1);
    REQUIRE(field);
    memcpy(field, data, size);
    field[size] = 0;
    memset(&login, 'x', sizeof(login));
    int result = gate_login_parse(field, &login);
    REQUIRE(result == 0 || result == -EINVAL || result == -EOPNOTSUPP);
    if (result == 0) {
        REQUIRE(login.name[0] && !strchr(login.name, ':'));
        require_printable(login.name);
        require_printable(login.password);
        require_same_again(field, &login);
    } else {
        REQUIRE(memcmp(&login, &nothing, sizeof(login)) == 0);
    }
    free(field);
    return 0;
}
