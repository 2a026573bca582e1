/* Who spaces the packets of what is held to a rate (SO_MAX_PACING_RATE, socket(7); tc-fq(8)). */
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ktls/probe_internal.h"

#define QDISCS_MAX 1024
#define REPLY_SIZE 32768
#define PATIENCE_MS 500

struct qdiscs {
    struct pacing_qdisc items[QDISCS_MAX];
    size_t count;
};

static bool is_child(const struct pacing_qdisc *child, const struct pacing_qdisc *root)
{
    return child->interface == root->interface && child != root && child->parent < TC_H_INGRESS &&
           TC_H_MAJ(child->parent) == TC_H_MAJ(root->handle);
}

bool pacing_describe(const struct pacing_qdisc *qdiscs, size_t count, int interface, char *text, size_t size)
{
    const struct pacing_qdisc *root = NULL, *child = NULL;
    bool mixed = false;

    for (size_t i = 0; i < count; i++) {
        if (qdiscs[i].interface == interface && qdiscs[i].parent == TC_H_ROOT)
            root = &qdiscs[i];
    }
    for (size_t i = 0; root && i < count; i++) {
        if (!is_child(&qdiscs[i], root))
            continue;
        mixed = mixed || (child && strcmp(child->kind, qdiscs[i].kind) != 0);
        child = &qdiscs[i];
    }
    if (!root)
        snprintf(text, size, "no queue");
    else if (child)
        snprintf(text, size, "%s of %s%s", root->kind, child->kind, mixed ? " and others" : "");
    else
        snprintf(text, size, "%s", root->kind);
    return root && !mixed && strcmp(child ? child->kind : root->kind, "fq") == 0;
}

static void take(struct qdiscs *qdiscs, const struct nlmsghdr *message)
{
    const struct tcmsg *about = NLMSG_DATA(message);
    size_t left = message->nlmsg_len - NLMSG_LENGTH(sizeof *about);
    struct pacing_qdisc qdisc = { .interface = about->tcm_ifindex,
                                  .handle = about->tcm_handle,
                                  .parent = about->tcm_parent };

    for (const struct rtattr *fact = TCA_RTA(about); RTA_OK(fact, left); fact = RTA_NEXT(fact, left)) {
        if (fact->rta_type == TCA_KIND && RTA_PAYLOAD(fact) > 0)
            snprintf(qdisc.kind, sizeof qdisc.kind, "%.*s", (int)RTA_PAYLOAD(fact), (const char *)RTA_DATA(fact));
    }
    if (qdisc.kind[0] && qdiscs->count < QDISCS_MAX)
        qdiscs->items[qdiscs->count++] = qdisc;
}

/* One datagram of the answer. True: the last; *error is set where it says one. */
static bool take_all(struct qdiscs *qdiscs, const char *bytes, size_t length, int *error)
{
    for (const struct nlmsghdr *message = (const void *)bytes; NLMSG_OK(message, length);
         message = NLMSG_NEXT(message, length)) {
        if (message->nlmsg_type == NLMSG_DONE)
            return true;
        if (message->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *said = NLMSG_DATA(message);
            *error = message->nlmsg_len >= NLMSG_LENGTH(sizeof *said) ? said->error : -EPROTO;
            return true;
        }
        if (message->nlmsg_type == RTM_NEWQDISC && message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct tcmsg)))
            take(qdiscs, message);
    }
    return false;
}

/* rtnetlink(7). 0 or -errno. */
static int ask(struct qdiscs *qdiscs)
{
    struct {
        struct nlmsghdr head;
        struct tcmsg about;
    } question = {
        .head = { .nlmsg_len = sizeof question, .nlmsg_type = RTM_GETQDISC, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP }
    };
    const struct timeval patience = { .tv_usec = PATIENCE_MS * 1000 };
    _Alignas(struct nlmsghdr) char reply[REPLY_SIZE];
    int error = 0, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        send(fd, &question, sizeof question, 0) < 0)
        error = -errno;
    while (error == 0) {
        ssize_t length = recv(fd, reply, sizeof reply, 0);
        if (length < 0)
            error = errno == EINTR ? 0 : -errno;
        else if (length == 0 || take_all(qdiscs, reply, (size_t)length, &error))
            break;
    }
    close(fd);
    return error;
}

static void add_try(struct findings *findings)
{
    unsigned long rate = 1000000;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate) == 0;
    finding_say(findings_add(findings, works ? FINDING_OK : FINDING_WARN, "pacing"),
                works ? "What --limit-rate and limit_rate hold back is held back by the kernel."
                      : "--limit-rate and limit_rate do not hold what is sent: the kernel takes no SO_MAX_PACING_RATE.",
                works ? "" : "use Linux 6.1 or later", "%s", works ? "works" : strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* Where somebody has chosen a qdisc that shapes, ours is not the advice to take it away. */
static bool is_default(const char *text)
{
    static const char *const kinds[] = { "pfifo_fast", "fq_codel", "pfifo", "mq of pfifo_fast", "mq of fq_codel" };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(text, kinds[i]) == 0)
            return true;
    }
    return false;
}

static void add_interface(struct findings *findings, const struct qdiscs *qdiscs, const struct if_nameindex *interface)
{
    char what[48], text[64], remedy[160] = "";
    bool fq = pacing_describe(qdiscs->items, qdiscs->count, (int)interface->if_index, text, sizeof text);

    snprintf(what, sizeof what, "pacing on %s", interface->if_name);
    if (is_default(text))
        snprintf(remedy, sizeof remedy, "for hundreds of limited transfers at once: %stc qdisc replace dev %s root %s",
                 strncmp(text, "mq", 2) == 0 ? "sysctl net.core.default_qdisc=fq; " : "", interface->if_name,
                 strncmp(text, "mq", 2) == 0 ? "mq" : "fq");
    finding_say(findings_add(findings, fq || !remedy[0] ? FINDING_OK : FINDING_NOTE, what),
                fq ? "fq spaces the packets of each connection that is held to a rate."
                   : "TCP spaces the packets of a connection that is held to a rate with a timer of its own: the rate "
                     "holds, at more cost in the processor than with fq.",
                remedy, "%s", text);
}

void findings_add_pacing(struct findings *findings)
{
    struct qdiscs qdiscs = { .count = 0 };

    add_try(findings);
    int error = ask(&qdiscs);
    if (error < 0) {
        finding_say(findings_add(findings, FINDING_NOTE, "queueing disciplines"),
                    "The kernel does not tell what an interface's packets wait in (fq, or another).", "", "%s",
                    strerror(-error));
        return;
    }
    struct if_nameindex *interfaces = if_nameindex();
    for (size_t i = 0; interfaces && i < INTERFACES_MAX && interfaces[i].if_index; i++) {
        if (strcmp(interfaces[i].if_name, "lo") != 0)
            add_interface(findings, &qdiscs, &interfaces[i]);
    }
    if (interfaces)
        if_freenameindex(interfaces);
}
