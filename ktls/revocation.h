/* Which revocation lists a profile names, told apart by what they are and not by their files. */
#ifndef SLUICE_KTLS_REVOCATION_H
#define SLUICE_KTLS_REVOCATION_H

#include <stdbool.h>

#include "config/model.h"

/*
 * Appends "ISSUER, number N" for each list (RFC 5280, 5.2.3), or "ISSUER, of DATE" for one without a number. The issuer
 * is made of the list's bytes: escape it before it is printed. False after every problem was added to `errors`.
 */
bool tls_revocation_names(const struct config_profile *profile, struct config_list *names,
                          struct config_errors *errors);

#endif
