/* A channel where OpenSSL decrypts into a file. */
#include "engine/pump/pump_internal.h"

/* The fill only ever waits. */
static void user_fill_over(struct relay *relay, int result)
{
    (void)relay;
    (void)result;
}

static const struct relay_ends user_receive_ends = {
    .fill = relay_channel_fill,
    .fill_over = user_fill_over,
    .drain = relay_file_drain,
    .drain_over = relay_file_drain_over,
    .finish = relay_nothing_to_finish,
};

const struct pump_path pump_path_user_receive = {
    .name = "user",
    .way = PUMP_RECEIVE,
    .modes = 1u << CHANNEL_USER,
    .state_size = sizeof(struct relay),
    .begin = relay_begin,
    .advance = relay_advance,
    .cancel = relay_cancel,
    .release = relay_release,
    .ends = &user_receive_ends,
};
