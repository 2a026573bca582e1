/*
 * How the files behind line_findings() share the work. Private to ktls/.
 *
 * Everything is read from files beneath a root and through one function for SIOCETHTOOL, so that a test can lay out a
 * machine of its own.
 */
#ifndef SLUICE_KTLS_LINE_INTERNAL_H
#define SLUICE_KTLS_LINE_INTERNAL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "ktls/probe.h"

#define LINE_GBITS 100    /* the link that the findings are about */
#define LINE_RTT_MS 1     /* there and back between two machines of one data centre */
#define LINE_BYTES (LINE_GBITS * 1000000L / 8 * LINE_RTT_MS) /* under way at once: Gbit/s times ms is Mbit */
#define LINE_FAST_MBITS 25000 /* from here on a setting that is too small is a warning, below it a note */
#define LINE_NICS_MAX 32

struct line_view {
    const char *root; /* "" is this machine's */
    int (*ethtool)(const struct line_view *, const char *interface, void *command); /* 0 or -errno */
};

struct line_nic {
    char name[IF_NAMESIZE];
    long speed; /* Mbit/s; -1: not known */
};

/* Ethernet interfaces with a device behind them that are not down. Returns how many. */
size_t line_find_nics(const struct line_view *view, struct line_nic *nics, size_t capacity);
void line_add_nic(struct findings *findings, const struct line_view *view, const struct line_nic *nic);

/* Buffers, congestion control and what else is set for the whole machine; `fast`: it has an interface to hold back. */
void line_add_system(struct findings *findings, const struct line_view *view, bool fast);

/* All of it. */
void line_add(struct findings *findings, const struct line_view *view);

/* The first line of a file, without its end. False where it cannot be read. `path` is a format. */
bool line_read(const struct line_view *view, char *text, size_t size, const char *path, ...)
    __attribute__((format(printf, 4, 5)));
/* The number in a file; -1 where it cannot be read or holds none. */
long line_read_number(const struct line_view *view, const char *path, ...) __attribute__((format(printf, 2, 3)));

#define LINE_PROCESSORS_MAX 4096
struct line_processors {
    unsigned char is[LINE_PROCESSORS_MAX / 8];
};
/* Adds what a list like "0-3,8" names. Returns how many there were not yet; -1: it is no such list. */
int line_add_processors(struct line_processors *processors, const char *list);
bool line_has_processor(const struct line_processors *processors, unsigned processor);

#endif
