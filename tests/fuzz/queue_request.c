// rooms: queue
/* What stands in a job, which anybody who may write the catalog can have changed: what is taken says the same again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/queue/queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct queue_request request, again;
    char text[QUEUE_REQUEST_SIZE];
    int rc = queue_request_parse((const char *)data, size, &request);

    REQUIRE(rc == 0 || rc == -EINVAL);
    if (rc < 0)
        return 0;
    size_t length = queue_request_print(&request, text);
    REQUIRE(length > 0 || request.rules_length > 0);
    if (length == 0)
        return 0;
    REQUIRE(length < sizeof text && queue_request_parse(text, length, &again) == 0);
    REQUIRE(again.verify == request.verify && again.digest == request.digest && again.if_exists == request.if_exists &&
            again.streams == request.streams && again.limit_rate == request.limit_rate &&
            again.is_tree == request.is_tree && again.tree_links == request.tree_links &&
            again.rules_length == request.rules_length &&
            memcmp(again.rules, request.rules, request.rules_length) == 0);
    return 0;
}
