/* Private to engine/gate: what reading and changing a file of passwords share. */
#ifndef SLUICE_GATE_PASSWORDS_INTERNAL_H
#define SLUICE_GATE_PASSWORDS_INTERNAL_H

#include <stddef.h>

#include "engine/gate/passwords.h"

#define PASSWORDS_FILE_MAX (4u << 20) /* bytes: room for some 60,000 entries */

/* The whole file, with a NUL behind it, for passwords_wipe(). 0, -EFBIG or -errno. */
int passwords_take_in(int fd, char **text, size_t *length);
void passwords_wipe(char *text, size_t length); /* and frees */

/* Why a hash is not taken, or NULL. */
const char *passwords_hash_fault(const char *hash);

/* crypt(3) into `output`, which has CRYPT_OUTPUT_SIZE bytes. False: errno says why. */
bool passwords_crypt(const char *password, const char *setting, char *output);

#endif
