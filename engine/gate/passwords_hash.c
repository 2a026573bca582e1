/* Hashes as crypt(3) writes them: which are taken, and a new one. */
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "engine/gate/passwords_internal.h"

#define DIGITS "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define ROUNDS_MAX 5000000 /* seconds of a core, as are the other bounds */
#define COST_MIN 4         /* of crypt(3) itself */
#define COST_MAX 16

static bool digit_up_to(char digit, char limit)
{
    const char *place = digit ? strchr(DIGITS, digit) : NULL;
    return place && place <= strchr(DIGITS, limit);
}

/*
 * The parameters of a hash begin behind its prefix. False: a login would take more time or memory than one may. What
 * is malformed is crypt_checksalt()'s to say.
 */
static bool yescrypt_bearable(const char *parameters)
{
    /* Flags, N and r, one digit each; N doubles with each step: D takes 256 MiB with r = 32, which is T. */
    return parameters[0] == 'j' && digit_up_to(parameters[1], 'D') && digit_up_to(parameters[2], 'T') &&
           parameters[3] == '$';
}

static bool bcrypt_bearable(const char *parameters)
{
    unsigned long cost = strtoul(parameters, NULL, 10);
    return cost >= COST_MIN && cost <= COST_MAX && parameters[2] == '$';
}

static bool sha512_bearable(const char *parameters)
{
    static const char rounds[] = "rounds=";
    return strncmp(parameters, rounds, strlen(rounds)) != 0 ||
           strtoul(parameters + strlen(rounds), NULL, 10) <= ROUNDS_MAX;
}

static const struct method {
    const char *prefix;
    size_t last; /* characters behind the last $ */
    bool (*bearable)(const char *parameters);
} methods[] = {
    { "$y$", 43, yescrypt_bearable }, { "$2b$", 53, bcrypt_bearable }, { "$2y$", 53, bcrypt_bearable },
    { "$2a$", 53, bcrypt_bearable },  { "$6$", 86, sha512_bearable },
};

/* Those that htpasswd and older systems write, by name, because operators will meet them. */
static const struct {
    const char *prefix, *fault;
} refused[] = {
    { "$apr1$", "is MD5 ($apr1$), which is too weak; set it again with `sluice passwd NAME`" },
    { "$1$", "is MD5 ($1$), which is too weak; set it again with `sluice passwd NAME`" },
    { "{SHA}", "is SHA-1 without salt ({SHA}), which is too weak; set it again with `sluice passwd NAME`" },
    { "$5$", "is SHA-256 ($5$), which is not taken; set it again with `sluice passwd NAME`" },
    { "$7$", "is scrypt ($7$), which is not taken; set it again with `sluice passwd NAME`" },
};

const char *passwords_hash_fault(const char *hash)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (strncmp(hash, refused[i].prefix, strlen(refused[i].prefix)) == 0)
            return refused[i].fault;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const struct method *method = &methods[i];
        size_t prefix = strlen(method->prefix);
        if (strncmp(hash, method->prefix, prefix) != 0)
            continue;
        const char *last = strrchr(hash, '$') + 1;
        if (strlen(last) != method->last || strspn(last, DIGITS) != method->last || strlen(hash) >= CRYPT_OUTPUT_SIZE ||
            hash[strspn(hash, DIGITS "$=")] || crypt_checksalt(hash) == CRYPT_SALT_INVALID)
            return "has a hash that is malformed or cut short; set it again with `sluice passwd NAME`";
        if (method->bearable(hash + prefix))
            return NULL;
        return "has a hash whose cost is out of bounds: a login may not take so long; set it again with `sluice passwd "
               "NAME`";
    }
    return "has no hash that is taken (yescrypt, bcrypt, SHA-512: $y$, $2b$, $6$); set it with `sluice passwd NAME`";
}

char *passwords_hash(const char *password)
{
    char output[CRYPT_OUTPUT_SIZE];
    char *setting = crypt_gensalt_ra("$y$", 0, NULL, 0);
    char *hash = NULL;
    if (setting && passwords_crypt(password, setting, output))
        hash = strdup(output);
    free(setting);
    OPENSSL_cleanse(output, sizeof(output));
    return hash;
}
