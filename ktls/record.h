/*
 * Follows the framing of TLS records in a stream of bytes, without decrypting anything (RFC 8446, 5.1).
 *
 * It answers the two questions that make the switch safe: does the stream stand between two records, and which explicit
 * nonce did the last TLS 1.2 record carry, so that the kernel goes on after it and no nonce is used twice.
 */
#ifndef SLUICE_KTLS_RECORD_H
#define SLUICE_KTLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_HEADER 5
#define TLS_RECORD_PLAINTEXT_MAX 16384

struct record_tracker {
    uint8_t header[TLS_RECORD_HEADER];
    uint8_t header_have;   /* bytes of the current header seen */
    uint8_t nonce[8];      /* the first bytes of the latest record that had at least 8 */
    uint32_t body_seen;    /* bytes of the current record's body seen */
    uint32_t body_left;
    uint64_t records;      /* whole records seen */
};

void record_tracker_feed(struct record_tracker *tracker, const uint8_t *bytes, size_t length);

/* True where everything fed so far ends exactly at the end of a record. */
bool record_tracker_at_boundary(const struct record_tracker *tracker);

#endif
