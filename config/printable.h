/*
 * Text of others (names of files, what a peer says) made fit for a terminal, a log and a reader. A room of its own:
 * whatever prints may use it.
 */
#ifndef SLUICE_CONFIG_PRINTABLE_H
#define SLUICE_CONFIG_PRINTABLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The length of the character at `text`, of which `left` (at least one) bytes are there, and its code point. 0: these
 * bytes are no UTF-8 (RFC 3629: nothing longer than need be, no surrogates).
 */
size_t printable_decode(const char *text, size_t left, uint32_t *point);

/*
 * Whether it would do something instead of being seen: the controls of ASCII and C1, which terminals obey; what breaks
 * a line or turns the direction of writing (Unicode, UAX #9); what cannot be seen at all (its category Cf).
 */
bool printable_deceives(uint32_t point);

/*
 * Every byte of what deceives and of what is no UTF-8 as \xNN; other text as it is, a backslash too, so that doing it
 * twice is as good as once. For free(); NULL: no memory.
 */
char *printable(const char *text);

/* As printf(3) and a newline, but what comes out is one line that deceives nobody, whatever the arguments hold. */
void printable_line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void printable_line_with(FILE *out, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

#endif
