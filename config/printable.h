#ifndef SLUICE_CONFIG_PRINTABLE_H
#define SLUICE_CONFIG_PRINTABLE_H

/* Text fit for a terminal: control bytes as \xNN. UTF-8 stays as it is. For free(); NULL: no memory. */
char *printable(const char *text);

#endif
