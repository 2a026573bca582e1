/* What partial.c asks of partial_place.c. All may block, and return 0 or -errno where they return something. */
#ifndef SLUICE_STORE_PARTIAL_INTERNAL_H
#define SLUICE_STORE_PARTIAL_INTERNAL_H

#include "engine/store/partial.h"

#define STORE_SUFFIXED_SIZE (STORE_PARTIAL_NAME_SIZE + sizeof STORE_PARTIAL_MAP)

void store_place_suffix(const char *name, const char *suffix, char out[STORE_SUFFIXED_SIZE]);

/* The file at the place, locked: a descriptor. `make`: where there is none it is made, and *fresh set. -EBUSY: another
 * process has it. */
int store_place_open(const struct store_place *place, bool make, struct stat *facts, bool *fresh);

int store_place_remove_map(int directory, const char *name);
void store_place_remove(int directory, const char *name); /* the file and its map */

#endif
