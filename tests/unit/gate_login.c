// rooms: gate config
/* The Authorization field: what is a login, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "engine/gate/gate.h"

struct row {
    const char *field;
    int result;
    const char *name, *password;
};

static const struct row rows[] = {
    { NULL, -ENOENT, NULL, NULL },
    { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 0, "Aladdin", "open sesame" }, /* RFC 7617, 2 */
    { "Basic dGVzdDoxMjPCow==", 0, "test", "123\xc2\xa3" },                /* RFC 7617, 2.1 */
    { "bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 0, "Aladdin", "open sesame" },
    { "Basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 0, "Aladdin", "open sesame" },
    { "Basic YTo=", 0, "a", "" },
    { "Basic YTo6Yjo=", 0, "a", ":b:" },
    { "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", -EOPNOTSUPP, NULL, NULL },
    { "Digest username=\"a\"", -EOPNOTSUPP, NULL, NULL },
    { "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==", -EOPNOTSUPP, NULL, NULL },
    { "Basi QWxh", -EOPNOTSUPP, NULL, NULL },
    { "", -EINVAL, NULL, NULL },
    { " Basic YTpi", -EINVAL, NULL, NULL },
    { "Basic", -EINVAL, NULL, NULL },
    { "Basic ", -EINVAL, NULL, NULL },
    { "Basic Og==", -EINVAL, NULL, NULL },                       /* no name */
    { "Basic OnB3", -EINVAL, NULL, NULL },                       /* no name, a password */
    { "Basic YWJj", -EINVAL, NULL, NULL },                       /* no colon */
    { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", -EINVAL, NULL, NULL }, /* padding is missing */
    { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=", -EINVAL, NULL, NULL },
    { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ===", -EINVAL, NULL, NULL },
    { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==", -EINVAL, NULL, NULL }, /* bits behind the end */
    { "Basic YTpi====", -EINVAL, NULL, NULL },
    { "Basic ====", -EINVAL, NULL, NULL },
    { "Basic YT==pi==", -EINVAL, NULL, NULL },
    { "Basic YTpi YTpi", -EINVAL, NULL, NULL },
    { "Basic YTpi\t", -EINVAL, NULL, NULL },
    { "Basic \tYTpi", -EINVAL, NULL, NULL },
    { "Basic YTpi ", -EINVAL, NULL, NULL },
    { "Basic YTp_", -EINVAL, NULL, NULL }, /* of base64url */
    { "Basic YTpi\n", -EINVAL, NULL, NULL },
    { "Basic YTpiAA==", -EINVAL, NULL, NULL }, /* a:b and NUL */
    { "Basic AGE6Yg==", -EINVAL, NULL, NULL }, /* NUL and a:b */
    { "Basic YQo6Yg==", -EINVAL, NULL, NULL }, /* a newline in the name */
    { "Basic YTpiCg==", -EINVAL, NULL, NULL }, /* and in the password */
    { "Basic YTpifw==", -EINVAL, NULL, NULL }, /* DEL */
    { "Basic YTqA", -EINVAL, NULL, NULL },     /* what goes on, without a beginning */
    { "Basic YTrDKA==", -EINVAL, NULL, NULL }, /* a beginning, but what follows does not go on */
    { "Basic YTrA", -EINVAL, NULL, NULL },     /* never in UTF-8 */
    { "Basic YTrAgA==", -EINVAL, NULL, NULL }, /* NUL in two bytes */
    { "Basic YTrtoIA=", -EINVAL, NULL, NULL }, /* half a surrogate pair */
    { "Basic YTr0kICA", -EINVAL, NULL, NULL }, /* behind U+10FFFF */
    { "Basic YTrigg==", -EINVAL, NULL, NULL }, /* cut short */
    { "Basic YTrwnZCA", 0, "a", "\xf0\x9d\x90\x80" },
};

static void a_field_is_a_login_or_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct gate_login login;
        memset(&login, 'x', sizeof(login));
        int result = gate_login_parse(row->field, &login);
        if (result != row->result)
            fail_msg("\"%s\" gives %d, not %d", row->field, result, row->result);
        assert_string_equal(login.name, row->name ? row->name : "");
        assert_string_equal(login.password, row->password ? row->password : "");
    }
}

/* A field of a name and a password of so many bytes. */
static int parse(size_t name, size_t password, struct gate_login *login)
{
    size_t length = name + 1 + password;
    char *text = malloc(length), *field = calloc(1, 6 + (length + 2) / 3 * 4 + 1);
    assert_true(text && field);
    memset(text, 'n', length);
    text[name] = ':';
    memcpy(field, "Basic ", 6);
    EVP_EncodeBlock((unsigned char *)field + 6, (unsigned char *)text, (int)length);
    int result = gate_login_parse(field, login);
    free(text);
    free(field);
    return result;
}

static void names_and_passwords_have_bounds(void **state)
{
    (void)state;
    struct gate_login login;
    assert_int_equal(parse(GATE_NAME_MAX, GATE_PASSWORD_MAX, &login), 0);
    assert_int_equal(strlen(login.name), GATE_NAME_MAX);
    assert_int_equal(strlen(login.password), GATE_PASSWORD_MAX);
    assert_int_equal(parse(GATE_NAME_MAX + 1, 1, &login), -EINVAL);
    assert_int_equal(parse(1, GATE_PASSWORD_MAX + 1, &login), -EINVAL);
    assert_int_equal(parse(GATE_NAME_MAX + 1, GATE_PASSWORD_MAX + 1, &login), -EINVAL);
    assert_int_equal(parse(100000, 100000, &login), -EINVAL);
    assert_string_equal(login.name, "");
}

static void a_login_is_wiped(void **state)
{
    (void)state;
    static const struct gate_login nothing;
    struct gate_login login;
    assert_int_equal(parse(3, 3, &login), 0);
    gate_login_wipe(&login);
    assert_memory_equal(&login, &nothing, sizeof(login));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_is_a_login_or_is_not),
        cmocka_unit_test(names_and_passwords_have_bounds),
        cmocka_unit_test(a_login_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
