/* Who the server is, once it has what only root gets. */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct who {
    uid_t user;
    gid_t group;
};

static int find_user(const struct config_server *settings, struct who *who, struct config_errors *errors)
{
    char buffer[16384];
    struct passwd entry, *found = NULL;

    if (getpwnam_r(settings->user, &entry, buffer, sizeof buffer, &found) == 0 && found) {
        *who = (struct who){ found->pw_uid, found->pw_gid };
        return 0;
    }
    config_errors_add_at(errors, CONFIG_ERROR, settings->section, "user",
                         "user \"%s\": this system has no such user; make it (useradd --system %s), or name another",
                         settings->user, settings->user);
    return -ENOENT;
}

static int find_group(const struct config_server *settings, struct who *who, struct config_errors *errors)
{
    char buffer[65536];
    struct group entry, *found = NULL;

    if (!settings->group)
        return 0;
    if (getgrnam_r(settings->group, &entry, buffer, sizeof buffer, &found) == 0 && found) {
        who->group = found->gr_gid;
        return 0;
    }
    config_errors_add_at(errors, CONFIG_ERROR, settings->section, "group",
                         "group \"%s\": this system has no such group; make it (groupadd --system %s), or name another",
                         settings->group, settings->group);
    return -ENOENT;
}

static int find_who(const struct config_server *settings, struct who *who, struct config_errors *errors)
{
    if (!settings->user) {
        config_errors_add_at(errors, CONFIG_ERROR, settings->section, "group",
                             "group stands without user: a process that stays root keeps every right; add user");
        return -EINVAL;
    }
    int user = find_user(settings, who, errors), group = find_group(settings, who, errors);
    return user < 0 ? user : group;
}

static bool is_already(const struct who *who)
{
    uid_t user, effective, saved;
    gid_t group, effective_group, saved_group;

    return getresuid(&user, &effective, &saved) == 0 && getresgid(&group, &effective_group, &saved_group) == 0 &&
           user == who->user && effective == who->user && saved == who->user && group == who->group &&
           effective_group == who->group && saved_group == who->group;
}

/* The supplementary groups first: they take root, too. libc does each on all threads. */
static int become(const char *name, const struct who *who)
{
    if (initgroups(name, who->group) < 0 || setresgid(who->group, who->group, who->group) < 0 ||
        setresuid(who->user, who->user, who->user) < 0)
        return -errno;
    if (who->user != 0 && (setuid(0) == 0 || seteuid(0) == 0))
        return -ENOTRECOVERABLE;
    return is_already(who) ? 0 : -ENOTRECOVERABLE;
}

void privileges_whom(const struct config_server *settings, uid_t *user, gid_t *group)
{
    struct who who = { (uid_t)-1, (gid_t)-1 };
    struct config_errors errors = { 0 };

    *user = (uid_t)-1;
    *group = (gid_t)-1;
    if ((settings->user || settings->group) && find_who(settings, &who, &errors) == 0) {
        *user = who.user;
        *group = who.group;
    }
    config_errors_clear(&errors);
}

int privileges_check(const struct config_server *settings, struct config_errors *errors)
{
    struct who who;

    return settings->user || settings->group ? find_who(settings, &who, errors) : 0;
}

int privileges_drop(const struct config_server *settings, struct config_errors *errors)
{
    struct who who;
    int rc = 0;

    if (!settings->user && !settings->group)
        return 0;
    if (find_who(settings, &who, errors) < 0)
        return -EINVAL;
    if (geteuid() != 0 && !is_already(&who)) {
        config_errors_add_at(errors, CONFIG_ERROR, settings->section, "user",
                             "user \"%s\": only root can become another user, and this process is user id %u; start "
                             "it as root or as that user, or remove user",
                             settings->user, geteuid());
        return -EPERM;
    }
    if (geteuid() == 0)
        rc = become(settings->user, &who);
    if (rc == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        rc = -errno;
    if (rc < 0)
        config_errors_add_at(errors, CONFIG_ERROR, settings->section, "user", "user \"%s\" could not be become: %s",
                             settings->user,
                             rc == -ENOTRECOVERABLE ? "this process could become root again" : strerror(-rc));
    return rc;
}
