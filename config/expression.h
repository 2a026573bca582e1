/*
 * What a distinguished name must be: the values of `subject`, `issuer` and `match_subject`.
 *
 *     expression  = alternative *( ( "," / "OR" ) alternative )
 *     alternative = factor *( "AND" factor )
 *     factor      = "NOT" factor / "(" expression ")" / TYPE "=" VALUE / contains:"TEXT"
 *
 * A term TYPE=VALUE holds where the name has an attribute of that type whose whole value is VALUE: `*` stands for any
 * run of characters, `?` is itself, letters match without regard to case. Multi-valued and repeated RDNs are each
 * tried. So `CN=bank` is never `CN=bankrupt`. TYPE is a short or long name or a dotted OID (RFC 4514, 2.3): CN,
 * commonName, 2.5.4.3. VALUE goes to the next comma, parenthesis or word AND / OR, blanks at its ends removed; in
 * double quotes it may hold those, too; a backslash takes the next character as it is (`\*` is a star).
 * AND, OR and NOT are written in capitals.
 * contains:"TEXT" holds where the name's text has TEXT anywhere, without regard to case. It is there for rules that
 * come from systems that compare like this; do not write new ones.
 *
 * A certificate without the attribute does not satisfy a term, so NOT CN=x holds for a name without a CN.
 */
#ifndef SLUICE_CONFIG_EXPRESSION_H
#define SLUICE_CONFIG_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>

/* Bounds: bytes of an expression, depth of parentheses and NOTs. */
#define CONFIG_EXPRESSION_MAX 4096
#define CONFIG_EXPRESSION_DEPTH 32

struct config_expression;

/* One attribute of a name, decoded: no escapes, UTF-8, may hold any byte. */
struct config_attribute {
    const char *types[3]; /* what its type is called: short name, long name, dotted OID; NULL where there is none */
    const char *value;
    size_t length;
};

struct config_name {
    const struct config_attribute *attributes;
    size_t count;
    const char *text; /* the whole name as RFC 4514 writes it, for contains: */
};

/*
 * NULL after a sentence was written to `why`, which quotes what it is about and says what to write: at `*column`
 * (1: the first byte) of the text. -ENOMEM is told apart by *column 0.
 */
struct config_expression *config_expression_parse(const char *text, char *why, size_t size, size_t *column);
void config_expression_free(struct config_expression *expression); /* NULL is allowed */

const char *config_expression_text(const struct config_expression *expression); /* as it was written */

/*
 * The same text for expressions that differ only in blanks, quotes, letters' case, the order of alternatives or of what
 * AND joins, and repeated terms; not for every two that match the same names. For free(). NULL: no memory.
 */
char *config_expression_canonical(const struct config_expression *expression);

bool config_expression_match(const struct config_expression *expression, const struct config_name *name);

/* Calls `visit` with every TYPE, until one returns false; then that type is returned, else NULL. */
const char *config_expression_each_type(const struct config_expression *expression,
                                        bool (*visit)(void *argument, const char *type), void *argument);

/*
 * Whether some name with one attribute of each type satisfies both. Errs towards true where telling would take too long
 * or depends on contains:.
 */
bool config_expression_overlap(const struct config_expression *a, const struct config_expression *b);

#endif
