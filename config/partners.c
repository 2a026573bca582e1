/*
 * Partners and users: which profiles a partner's sessions have, whose sessions a user's are, and who can never be used.
 */
#include <string.h>

#include "config/internal.h"

#define REPORT(severity, section, key, ...) config_errors_add_at(errors, (severity), (section), (key), __VA_ARGS__)

static bool has_match(const struct config_match *match)
{
    return match->fingerprints.count || match->subject || match->sans.count;
}

/* Whether a session that comes in can turn out to be this partner's. */
static bool can_come_in(const struct config *config, const struct config_partner *partner)
{
    for (size_t i = 0; i < config->user_count; i++) {
        if (config->users[i].partner == partner)
            return true;
    }
    return has_match(&partner->match);
}

static void report_no_profile(const struct config *config, const struct config_partner *partner,
                              struct config_errors *errors)
{
    const char *near = config_nearest(config, "client-profile", partner->profile);
    near = near ? near : config_nearest(config, "server-profile", partner->profile);
    if (near)
        REPORT(CONFIG_ERROR, partner->section, "profile",
               "profile \"%s\": there is neither a client-profile nor a server-profile of that name: did you mean "
               "\"%s\"?",
               partner->profile, near);
    else
        REPORT(CONFIG_ERROR, partner->section, "profile",
               "profile \"%s\": there is neither a client-profile nor a server-profile of that name: add one, or name "
               "another",
               partner->profile);
}

static void report_missing_checks(const struct config *config, const struct config_partner *partner,
                                  struct config_errors *errors)
{
    REPORT(CONFIG_WARNING, partner->section, "profile",
           "T47W: profile \"%s\": there is no [server-profile %s]: %s; add that section, or name another",
           partner->profile, partner->profile,
           config->server.strict_partner_profiles
               ? "strict_partner_profiles = yes, so this partner's sessions will be refused"
               : "this partner's sessions will go on without additional checks");
}

static void join_profile(const struct config *config, struct config_partner *partner, struct config_errors *errors)
{
    const char *name = partner->profile;
    partner->client_profile = config_find_profile(config, CONFIG_CLIENT, name);
    partner->server_profile = config_find_profile(config, CONFIG_SERVER, name);
    if (!partner->client_profile && !partner->server_profile)
        report_no_profile(config, partner, errors);
    else if (!partner->client_profile && config_given(partner->section, "host"))
        REPORT(CONFIG_WARNING, partner->section, "profile",
               "T47E: profile \"%s\": there is no [client-profile %s]: transfers to this partner will fail; add that "
               "section, or name another",
               name, name);
    else if (!partner->server_profile && can_come_in(config, partner))
        report_missing_checks(config, partner, errors);
}

static void join_partner(const struct config *config, struct config_partner *partner, struct config_errors *errors)
{
    const char *protocol = config_reference(partner->section, "protocol");
    partner->profile = config_reference(partner->section, "profile");
    partner->protocol = protocol ? config_find_protocol(config, protocol) : NULL;
    if (protocol && !partner->protocol)
        config_report_dangling(config, partner->section, "protocol", "protocol", "", errors);
    if (partner->profile)
        return join_profile(config, partner, errors);
    if (partner->protocol)
        partner->client_profile = partner->protocol->client_profile;
    bool excused = config_given(partner->section, "profile") || (protocol && !partner->protocol); /* reported already */
    if (config_given(partner->section, "host") && !partner->client_profile && !excused)
        REPORT(CONFIG_ERROR, partner->section, "host",
               partner->protocol ? "profile is missing, and so is a client-profile in its protocol: add one"
                                 : "profile is missing: name a client-profile, or a protocol that has one");
}

static void check_login(const struct config_partner *partner, struct config_errors *errors)
{
    bool name = config_given(partner->section, "login"), file = config_given(partner->section, "login_password_file");
    if (name && !file)
        REPORT(CONFIG_ERROR, partner->section, "login",
               "login has no password: add login_password_file, or remove login");
    if (file && !name)
        REPORT(CONFIG_ERROR, partner->section, "login_password_file",
               "login_password_file has no name to log in with: add login, or remove login_password_file");
}

/* Its checks demand what no session can have. */
static void check_additional(const struct config *config, const struct config_partner *partner,
                             struct config_errors *errors)
{
    if (partner->server_profile && partner->server_profile->verify == CONFIG_VERIFY_REQUIRED &&
        can_come_in(config, partner) && config_listeners_all(config, CONFIG_VERIFY_NONE))
        REPORT(CONFIG_WARNING, partner->section, "profile",
               "profile \"%s\" demands a verified certificate (verify = required), but no protocol asks for one: every "
               "session of this partner will be refused (T48E); write verify = optional in the protocol's "
               "server-profile",
               partner->profile);
}

static void check_match(const struct config *config, const struct config_section *section,
                        const struct config_match *match, struct config_errors *errors)
{
    static const char *const keys[] = { "match_fingerprint", "match_subject", "match_san" };
    if (!has_match(match) || !config_listeners_all(config, CONFIG_VERIFY_NONE))
        return;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (config_given(section, keys[i]))
            REPORT(CONFIG_WARNING, section, keys[i],
                   "%s is never looked at: no protocol asks for a certificate; write verify = optional or required in "
                   "its server-profile",
                   keys[i]);
    }
}

static void join_user(const struct config *config, struct config_user *user, struct config_errors *errors)
{
    const char *partner = config_reference(user->section, "partner");
    user->partner = partner ? config_find_partner(config, partner) : NULL;
    if (partner && !user->partner)
        config_report_dangling(config, user->section, "partner", "partner", "", errors);
}

static bool is_shut_out(const struct config *config, const struct config_user *user)
{
    bool tries = config_given(user->section, "match_fingerprint") || config_given(user->section, "match_subject") ||
                 config_given(user->section, "match_san");
    return !tries && !user->disabled && !config_given(config->server.section, "password_file");
}

void config_partner_rules(struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->user_count; i++) {
        const struct config_user *user = &config->users[i];
        join_user(config, &config->users[i], errors);
        check_match(config, user->section, &user->match, errors);
        if (is_shut_out(config, user))
            REPORT(CONFIG_WARNING, user->section, NULL,
                   "this user can never log in: add a match_ key for its certificate, or a password_file to [server]");
    }
    for (size_t i = 0; i < config->partner_count; i++) {
        const struct config_partner *partner = &config->partners[i];
        join_partner(config, &config->partners[i], errors);
        check_login(partner, errors);
        check_additional(config, partner, errors);
        check_match(config, partner->section, &partner->match, errors);
    }
}
