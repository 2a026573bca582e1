#include "ktls/record.h"

#include <string.h>

#define LENGTH_AT 3 /* in a record's header: type, version, then the body's length in two bytes */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t take_header(struct record_tracker *tracker, const uint8_t *bytes, size_t length)
{
    size_t taken = smaller(length, (size_t)TLS_RECORD_HEADER - tracker->header_have);
    memcpy(tracker->header + tracker->header_have, bytes, taken);
    tracker->header_have = (uint8_t)(tracker->header_have + taken);
    if (tracker->header_have == TLS_RECORD_HEADER) {
        tracker->body_left = (uint32_t)tracker->header[LENGTH_AT] << 8 | tracker->header[LENGTH_AT + 1];
        tracker->body_seen = 0;
    }
    return taken;
}

static size_t take_body(struct record_tracker *tracker, const uint8_t *bytes, size_t length)
{
    size_t taken = smaller(length, tracker->body_left);
    uint32_t whole = tracker->body_seen + tracker->body_left;

    /* Too short for an explicit nonce (a ChangeCipherSpec, an alert in clear): the last one stays. */
    if (whole >= sizeof(tracker->nonce) && tracker->body_seen < sizeof(tracker->nonce))
        memcpy(tracker->nonce + tracker->body_seen, bytes, smaller(taken, sizeof(tracker->nonce) - tracker->body_seen));
    tracker->body_seen += (uint32_t)taken;
    tracker->body_left -= (uint32_t)taken;
    return taken;
}

void record_tracker_feed(struct record_tracker *tracker, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        bool in_header = tracker->header_have < TLS_RECORD_HEADER;
        size_t taken = in_header ? take_header(tracker, bytes, length) : take_body(tracker, bytes, length);
        bytes += taken;
        length -= taken;
        if (tracker->header_have == TLS_RECORD_HEADER && tracker->body_left == 0) {
            tracker->header_have = 0;
            tracker->records++;
        }
    }
}

bool record_tracker_at_boundary(const struct record_tracker *tracker)
{
    return tracker->header_have == 0;
}
