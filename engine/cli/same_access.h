/* sluice check --same-access: do two configurations let in the same people, and may these do the same? */
#ifndef SLUICE_CLI_SAME_ACCESS_H
#define SLUICE_CLI_SAME_ACCESS_H

/* Prints each difference. Returns the exit code: 0 none, 1 some, 3 a file has errors, which were printed. */
int same_access(const char *file, const char *other);

#endif
