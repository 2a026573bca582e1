/* The Authorization field: RFC 7617 (Basic), its token RFC 4648, its text UTF-8 (RFC 3629). */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "engine/gate/gate.h"

#define TEXT_MAX (GATE_NAME_MAX + 1 + GATE_PASSWORD_MAX)
#define TOKEN_MAX (((TEXT_MAX + 2) / 3) * 4)

void gate_login_wipe(struct gate_login *login)
{
    OPENSSL_cleanse(login, sizeof(*login));
}

/*
 * What OpenSSL decodes is more than RFC 4648 allows: blanks around it, any bits where padding begins. Only the one
 * token that encodes the text again is taken. Returns the text's length, or -EINVAL.
 */
static int decode(const char *token, unsigned char text[TOKEN_MAX])
{
    unsigned char again[TOKEN_MAX + 1];
    size_t length = strlen(token);
    if (length == 0 || length > TOKEN_MAX || length % 4)
        return -EINVAL;
    int decoded = EVP_DecodeBlock(text, (const unsigned char *)token, (int)length);
    if (decoded < 0)
        return -EINVAL;
    for (size_t i = length; decoded > 0 && i > length - 2 && token[i - 1] == '='; i--)
        decoded--;
    EVP_EncodeBlock(again, text, decoded);
    bool same = strcmp((const char *)again, token) == 0;
    OPENSSL_cleanse(again, sizeof(again));
    return same ? decoded : -EINVAL;
}

/* Bytes of the character that begins there, or 0: it is not UTF-8. */
static size_t character(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first, last; /* of the first byte */
        unsigned char low, high;   /* of the second */
        size_t bytes;
    } forms[] = {
        { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (at[0] < forms[i].first || at[0] > forms[i].last)
            continue;
        size_t bytes = forms[i].bytes;
        if (bytes > left || (bytes > 1 && (at[1] < forms[i].low || at[1] > forms[i].high)))
            return 0;
        for (size_t j = 2; j < bytes; j++) {
            if ((at[j] & 0xc0) != 0x80)
                return 0;
        }
        return bytes;
    }
    return 0;
}

bool gate_text_good(const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        unsigned char byte = (unsigned char)text[i];
        size_t bytes = character((const unsigned char *)text + i, length - i);
        if (bytes == 0 || byte < 0x20 || byte == 0x7f)
            return false;
        i += bytes;
    }
    return true;
}

static int split(const char *text, size_t length, struct gate_login *login)
{
    const char *colon = memchr(text, ':', length);
    if (!colon || !gate_text_good(text, length))
        return -EINVAL;
    size_t name = (size_t)(colon - text), password = length - name - 1;
    if (name == 0 || name > GATE_NAME_MAX || password > GATE_PASSWORD_MAX)
        return -EINVAL;
    memcpy(login->name, text, name);
    memcpy(login->password, colon + 1, password);
    return 0;
}

int gate_login_parse(const char *authorization, struct gate_login *login)
{
    unsigned char text[TOKEN_MAX];
    *login = (struct gate_login){ 0 };
    if (!authorization)
        return -ENOENT;
    size_t scheme = strcspn(authorization, " ");
    if (scheme == 0)
        return -EINVAL;
    if (scheme != strlen("Basic") || strncasecmp(authorization, "Basic", scheme) != 0)
        return -EOPNOTSUPP;
    const char *token = authorization + scheme;
    token += strspn(token, " ");
    int length = decode(token, text);
    int result = length < 0 ? length : split((const char *)text, (size_t)length, login);
    OPENSSL_cleanse(text, sizeof(text));
    return result;
}
