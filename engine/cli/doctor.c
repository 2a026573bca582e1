#include "engine/cli/cli.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "config/printable.h"
#include "engine/ring/ring.h"
#include "engine/server/cpus.h"
#include "ktls/probe.h"

static void usage(FILE *out)
{
    fputs("Usage: sluice doctor [--json]\n\n"
          "Says what this machine can do for Sluice, and what to do where it could do more: kTLS and its suites, the\n"
          "crypto driver, io_uring, limits, network interfaces and what paces their packets, OpenSSL; and which\n"
          "settings would hold a link of 100 Gbit/s back. Nothing is changed.\n\n"
          "Exit status: 0 the kernel path works, 1 it does not, 2 wrong usage.\n",
          out);
}

int cli_doctor(int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            return 0;
        }
        if (option != 'j') {
            usage(stderr);
            return 2;
        }
        json = true;
    }
    if (optind < argc) {
        printable_line(stderr, "sluice doctor: there is nothing to do with \"%s\"", argv[optind]);
        return 2;
    }

    struct findings findings = { 0 };
    ktls_findings(&ktls_sys_linux, &findings);
    ring_findings(&findings);
    line_findings(&findings);
    cpus_findings(&findings);
    bool works = findings_kernel_path_works(&findings);
    (json ? findings_print_json : findings_print)(&findings, stdout);
    findings_clear(&findings);
    if (fflush(stdout) != 0) {
        perror("sluice doctor");
        return 2;
    }
    return works ? 0 : 1;
}
