/* A model from text, a password file beside it, certificates as values: what the tests of the gate stand on. */
#ifndef SLUICE_TESTS_GATE_RIG_H
#define SLUICE_TESTS_GATE_RIG_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/gate/gate.h"
#include "engine/gate/passwords.h"

#define FINGERPRINT(digit) digit digit digit digit digit digit digit digit
#define PRINT_A FINGERPRINT("aaaaaaaa")
#define PRINT_B FINGERPRINT("bbbbbbbb")
#define PRINT_0 FINGERPRINT("00000000")

/* alice and bob have certificates of their own; bob and erin are disabled; carol is of node7, dora of node8. */
#define RIG_PEOPLE                                                                                                     \
    "[user alice]\nmatch_fingerprint = " PRINT_A "\ngroups = staff, wheel\nhome = people/alice\n"                      \
    "[user bob]\nmatch_fingerprint = " PRINT_B "\ndisabled = yes\ngroups = staff\n"                                    \
    "[user carol]\npartner = node7\n"                                                                                  \
    "[user dora]\npartner = node8\nhome = people/dora\n"                                                               \
    "[user erin]\ndisabled = yes\ngroups = staff\n"                                                                    \
    "[partner node7]\nmatch_subject = CN=node7\nhome = node7\n"                                                        \
    "[partner node8]\nmatch_san = DNS:node8.example.com\n"

struct rig_certificate {
    struct tls_peer peer;
    struct config_attribute attribute;
    struct tls_san san;
};

/* NULL: it has none of that. */
static inline struct tls_peer *rig_certificate(struct rig_certificate *made, const char *fingerprint,
                                               const char *common_name, const char *kind, const char *value)
{
    *made = (struct rig_certificate){ .peer = { .fingerprint = fingerprint ? fingerprint : PRINT_0 } };
    if (common_name) {
        made->attribute =
            (struct config_attribute){ { "CN", "commonName", "2.5.4.3" }, common_name, strlen(common_name) };
        made->peer.subject_name = (struct config_name){ &made->attribute, 1, common_name };
    }
    if (kind) {
        made->san = (struct tls_san){ kind, value };
        made->peer.sans = &made->san;
        made->peer.san_count = 1;
    }
    return &made->peer;
}

static char rig_folder[] = "/tmp/sluice-gate-XXXXXX";
static char rig_hash[400]; /* of "right" */

static inline const char *rig_passwords(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "%s/passwords", rig_folder);
    return path;
}

/* Everybody's password is "right"; zoe is in this file only. */
static inline int rig_set_up(void **state)
{
    (void)state;
    static const char *const names[] = { "alice", "bob", "carol", "dora", "erin", "zoe" };
    if (!mkdtemp(rig_folder))
        return -1;
    char *hash = passwords_hash("right");
    if (!hash)
        return -1;
    snprintf(rig_hash, sizeof(rig_hash), "%s", hash);
    free(hash);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (passwords_change(rig_passwords(), names[i], rig_hash) != 0)
            return -1;
    }
    return 0;
}

static inline int rig_tear_down(void **state)
{
    (void)state;
    unlink(rig_passwords());
    return rmdir(rig_folder);
}

struct rig {
    struct config *config;
    struct gate *gate;
};

static inline void rig_open(struct rig *rig, bool passwords, const char *verify, const char *store, const char *rest)
{
    struct config_errors errors = { 0 };
    char *text = NULL;
    *rig = (struct rig){ 0 };
    int length = asprintf(&text,
                          "[server]\n%s%s\n"
                          "[server-profile in]\ncertificate = c.pem\nkey = c.key\ntrust = ca.pem\nverify = %s\n"
                          "[store main]\nroot = /srv\n%s\n"
                          "[protocol bulk]\nlisten = 127.0.0.1:0\nprofile = in\nstore = main\n" RIG_PEOPLE "%s",
                          passwords ? "password_file = " : "", passwords ? rig_passwords() : "", verify, store, rest);
    if (length > 0)
        rig->config = config_parse("/etc/sluice/rig.ini", text, (size_t)length, &errors);
    rig->gate = rig->config ? gate_new(rig->config, &errors) : NULL;
    if (!rig->gate) {
        config_errors_print(&errors, stderr);
        fprintf(stderr, "%s\n", text);
    }
    config_errors_clear(&errors);
    free(text);
    assert_non_null(rig->gate);
}

static inline void rig_close(struct rig *rig)
{
    gate_free(rig->gate);
    config_free(rig->config);
}

static inline struct gate_visit rig_visit(const struct rig *rig, const char *address, bool tls,
                                          const struct tls_peer *peer)
{
    struct gate_visit visit = { .protocol = &rig->config->protocols[0], .tls = tls, .peer = peer, .verified = peer };
    if (inet_pton(AF_INET, address, visit.address + 12) == 1)
        memset(visit.address + 10, 0xff, 2);
    else
        assert_int_equal(inet_pton(AF_INET6, address, visit.address), 1);
    return visit;
}

static inline const struct gate_login *rig_login(struct gate_login *login, const char *name)
{
    if (!name)
        return NULL;
    *login = (struct gate_login){ .password = "right" };
    snprintf(login->name, sizeof(login->name), "%s", name);
    return login;
}

#endif
