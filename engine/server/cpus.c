#include "engine/server/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The main thread's, which nobody pins: whoever asks. */
static unsigned usable(cpu_set_t *set)
{
    CPU_ZERO(set);
    if (sched_getaffinity(getpid(), sizeof *set, set) < 0)
        return 0;
    return (unsigned)CPU_COUNT(set);
}

unsigned cpus_usable(void)
{
    cpu_set_t set;
    unsigned count = usable(&set);

    return count ? count : 1;
}

static int next_cpu(const cpu_set_t *set, int cpu)
{
    do
        cpu++;
    while (cpu < CPU_SETSIZE && !CPU_ISSET((size_t)cpu, set));
    return cpu;
}

bool cpus_share_out(int *cpus, unsigned workers)
{
    cpu_set_t set;
    unsigned count = usable(&set), place = 0;
    int cpu = next_cpu(&set, -1);

    for (unsigned i = 0; i < workers; i++) {
        if (workers > count) {
            cpus[i] = CPUS_NONE;
            continue;
        }
        /* Fewer workers than processors stand apart, so that each node of the machine has its part of them. */
        for (; place < i * count / workers; place++)
            cpu = next_cpu(&set, cpu);
        cpus[i] = cpu;
    }
    return workers <= count;
}

int cpus_start_thread(pthread_t *thread, int cpu, void *(*run)(void *argument), void *argument)
{
    pthread_attr_t attributes;
    cpu_set_t set;

    if (cpu == CPUS_NONE)
        return -pthread_create(thread, NULL, run, argument);
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    int rc = -pthread_attr_init(&attributes);
    if (rc < 0)
        return rc;
    rc = -pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
    if (rc == 0)
        rc = -pthread_create(thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    /* Taken away since it was looked at: anywhere is better than nowhere. */
    return rc == -EINVAL ? -pthread_create(thread, NULL, run, argument) : rc;
}

const char *cpus_text(const int *cpus, unsigned count, char text[CPUS_TEXT_SIZE])
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0, last; i < count && used < CPUS_TEXT_SIZE; i = last + 1) {
        for (last = i; last + 1 < count && cpus[last + 1] == cpus[last] + 1; last++)
            ;
        const char *comma = used ? "," : "";
        int n = last > i ? snprintf(text + used, CPUS_TEXT_SIZE - used, "%s%d-%d", comma, cpus[i], cpus[last])
                         : snprintf(text + used, CPUS_TEXT_SIZE - used, "%s%d", comma, cpus[i]);
        used += (size_t)n;
    }
    return text;
}

void cpus_findings(struct findings *findings)
{
    struct finding *finding = findings_add(findings, FINDING_OK, "processors of this process");
    unsigned count = cpus_usable();
    long all = sysconf(_SC_NPROCESSORS_ONLN);
    int *cpus = calloc(count, sizeof *cpus);
    char text[CPUS_TEXT_SIZE] = "";

    if (finding && cpus && cpus_share_out(cpus, count)) {
        snprintf(finding->value, sizeof finding->value, "%u of %ld: %.120s", count, all, cpus_text(cpus, count, text));
        snprintf(finding->meaning, sizeof finding->meaning,
                 "A server has a worker for each of them, and pins it there where pin_workers says so.");
    }
    free(cpus);
}
