/* What the queue calls for a tree (move_tree in engine/queue/queue.h). */
#ifndef SLUICE_CLI_TREE_JOB_H
#define SLUICE_CLI_TREE_JOB_H

#include "engine/queue/queue.h"

void tree_job(const struct queue_tree *tree, struct queue_tree_end *end);

#endif
