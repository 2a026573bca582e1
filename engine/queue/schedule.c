/* Whether and when to try again. */
#include "engine/queue/queue.h"

bool queue_may_heal(int result, unsigned status)
{
    switch (result) {
    case CLIENT_CONNECT:
    case CLIENT_CUT:
    case CLIENT_FAILED:
        return true;
    case CLIENT_SERVER:
        return status != 501 && status != 505; /* what it does not know it will not learn */
    case CLIENT_REFUSED:
        return status == 408 || status == 425 || status == 429; /* "later" (RFC 9110, RFC 6585) */
    default:
        return false;
    }
}

bool queue_retry(const struct config_partner *partner, unsigned retries, uint64_t *wait)
{
    if (retries >= partner->retry_max)
        return false;
    *wait = QUEUE_FAST_MS;
    if (retries < partner->retry_fast)
        return true;
    *wait = partner->retry_wait;
    for (unsigned i = partner->retry_fast; i < retries && *wait < QUEUE_WAIT_MAX; i++)
        *wait *= 2;
    if (*wait > QUEUE_WAIT_MAX)
        *wait = QUEUE_WAIT_MAX;
    return true;
}
