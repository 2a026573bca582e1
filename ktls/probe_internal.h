/*
 * How the files behind probe.h share the work. Private to ktls/.
 *
 * What is read from files takes the root they are under as a parameter ("" is this machine's), so that a test can lay
 * out a machine of its own.
 */
#ifndef SLUICE_KTLS_PROBE_INTERNAL_H
#define SLUICE_KTLS_PROBE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ktls/probe.h"

/*
 * Why TCP_ULP "tls" failed with `error` (an errno; 0: no loopback connection could be made) on a kernel of that
 * release, as one sentence with the remedy behind the colon.
 */
void missing_explain(const char *root, const char *release, int error, char *sentence, size_t size);

/* True where `release` ("6.12.57+deb13-amd64") is `wanted` ("6.14") or later. */
bool kernel_at_least(const char *release, const char *wanted);

/* What ktls_findings() is made of. */
void findings_add_abilities(struct findings *findings, const struct ktls_abilities *abilities, const char *release);
void findings_add_driver(struct findings *findings, const char *root);
void findings_add_limits(struct findings *findings, const char *root);
void findings_add_interfaces(struct findings *findings);
void findings_add_pacing(struct findings *findings);

#define INTERFACES_MAX 32 /* that findings are about */

/* A queueing discipline as rtnetlink(7) tells of it: handle and parent as in struct tcmsg. */
struct pacing_qdisc {
    int interface;
    uint32_t handle, parent;
    char kind[17];
};
/* What the packets of an interface wait in: "fq", "mq of fq_codel". True: in fq, all of them. */
bool pacing_describe(const struct pacing_qdisc *qdiscs, size_t count, int interface, char *text, size_t size);

/* Sets the sentences of a finding; `value` is a format. A NULL finding (no memory) is ignored. */
void finding_say(struct finding *finding, const char *meaning, const char *remedy, const char *value, ...)
    __attribute__((format(printf, 4, 5)));

#endif
