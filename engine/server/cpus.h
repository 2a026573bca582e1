/* The processors that this process may use (sched_setaffinity(2), a control group), and which worker gets which. */
#ifndef SLUICE_SERVER_CPUS_H
#define SLUICE_SERVER_CPUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "ktls/probe.h"

#define CPUS_NONE -1
#define CPUS_TEXT_SIZE 160

unsigned cpus_usable(void); /* at least 1 */

/*
 * The processor of each of `workers` workers, who share them out evenly; CPUS_NONE for all where they are more than
 * there are processors, since two on one would wait for each other beside one that is idle. True: they have one each.
 */
bool cpus_share_out(int *cpus, unsigned workers);

/* As pthread_create(), with the thread on that processor from its first instruction; CPUS_NONE: anywhere. -errno. */
int cpus_start_thread(pthread_t *thread, int cpu, void *(*run)(void *argument), void *argument);

const char *cpus_text(const int *cpus, unsigned count, char text[CPUS_TEXT_SIZE]); /* "0-3,8" */

void cpus_findings(struct findings *findings); /* for `sluice doctor` */

#endif
