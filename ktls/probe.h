/*
 * What this machine can do for us, found out by trying.
 *
 * ktls_probe() answers the one question the engine asks at start (can a direction be given to the kernel, and if not,
 * what is missing and how to get it). The doctor asks for everything and gets a list of findings to print.
 */
#ifndef SLUICE_KTLS_PROBE_H
#define SLUICE_KTLS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ktls/sys.h"

struct ktls_abilities {
    bool ulp;                /* TCP_ULP "tls" works on this kernel, in this namespace */
    bool tx12[8], rx12[8];   /* by index into ktls_suites[] */
    bool tx13[8], rx13[8];
    bool rekey;              /* a second TLS_TX is taken (Linux 6.14) */
    char missing[256];       /* where ulp is false: what is missing and how to get it, as one sentence; else "" */
};

/* Tries on a loopback socket pair that it makes and closes. Never fails: what could not be tried counts as absent. */
void ktls_probe(const struct ktls_sys *sys, struct ktls_abilities *abilities);

enum finding_status { FINDING_OK, FINDING_NOTE, FINDING_WARN, FINDING_FAIL };

struct finding {
    enum finding_status status;
    bool kernel_path;   /* a FAIL here means that the kernel path does not work */
    char what[48];      /* "kTLS AES-128-GCM" */
    char value[160];    /* "TLS 1.2 tx rx, TLS 1.3 tx rx" */
    char meaning[256];
    char remedy[256];   /* "" where there is nothing to do */
};

struct findings {
    struct finding *items;
    size_t count, capacity;
};

struct finding *findings_add(struct findings *findings, enum finding_status status, const char *what);
void findings_clear(struct findings *findings);
bool findings_kernel_path_works(const struct findings *findings);
void findings_print(const struct findings *findings, FILE *out);
void findings_print_json(const struct findings *findings, FILE *out);

/*
 * Kernel version, the tls ULP, each suite, the crypto driver behind AES-GCM, rekey, NIC offload flags and queueing discipline
 * of each interface, OpenSSL's version, limits. What io_uring offers is added by engine/ring/ring.h: this folder does not know it.
 */
void ktls_findings(const struct ktls_sys *sys, struct findings *findings);

/*
 * What would hold a link of 100 Gbit/s back: TCP's buffers against what such a link has under way in 1 ms, congestion control,
 * the processors' clock; and of each physical interface MTU, interrupts, offloads, rings, PCIe and NUMA node. A setting that
 * is too small is a warning where an interface of 25 Gbit/s or more is there, and a note where none is.
 */
void line_findings(struct findings *findings);

#endif
