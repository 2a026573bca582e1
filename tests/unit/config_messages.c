// rooms: config
/*
 * Every message that a wrong configuration can get: one row each, with the whole list of what is said about its text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/model.h"

#define SAID_MAX 10

struct row {
    const char *name;
    const char *text;
    const char *said[SAID_MAX]; /* all of it, in order, without "site.ini:" */
};

#define SERVER_PROFILE "[server-profile in]\ncertificate = c.pem\nkey = c.key\ntrust = ca.pem\n"
#define CLIENT_PROFILE "[client-profile out]\n"
#define STORE "[store main]\nroot = data\n"
#define PARTNER CLIENT_PROFILE "[partner p]\nprofile = out\nhost = h:1\n"
#define ADDRESS(value)                                                                                                 \
    "[store s]\nroot = /d\n" SERVER_PROFILE "[protocol p]\nstore = s\nprofile = in\nlisten = " value "\n"
#define NONE "[server-profile none]\ncertificate = c.pem\nkey = c.key\nverify = none\n"
#define LISTEN(profile) "[store s]\nroot = /d\n[protocol q]\nlisten = h:1\nstore = s\nprofile = " #profile "\n"
#define USERS "[server]\npassword_file = users\n"
#define SERVER SERVER_PROFILE LISTEN(in) /* 10 lines */
#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDE"
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct row rows[] = {
    /* the text */
    { "refuses_a_key_before_the_first_section",
      "workers = 1\n",
      { "1: a key stands before the first [SECTION]: move it into one" } },
    { "refuses_a_header_without_its_bracket",
      "[server\nworkers = 1\nworkers = 2\n",
      { "1: the section header has no ] at its end: add it" } },
    { "refuses_text_behind_a_header",
      "[server] workers = 1\n",
      { "1: something follows the ] of the section header: put it on a line of its own" } },
    { "refuses_a_header_that_goes_on",
      "[server] \\\nworkers = 1\n",
      { "1: something follows the ] of the section header: put it on a line of its own" } },
    { "refuses_a_name_that_inih_would_cut",
      "[store " X50 "]\nroot = /\n",
      { "1: the section header has 56 bytes between [ and ], more than the 49 that are read: choose a shorter name" } },
    { "refuses_a_line_that_is_no_key",
      "[server]\nworkers\n",
      { "2: \"workers\" is neither [SECTION] nor KEY = VALUE; to go on with a value, end the line above with a "
        "backslash" } },
    { "refuses_a_line_without_a_key", "[server]\n= 1\n", { "2: no key stands before the =: write KEY = VALUE" } },
    { "refuses_an_indented_continuation",
      "[store s]\nroot = /d\n  e\n",
      { "3: \"e\" is neither [SECTION] nor KEY = VALUE; to go on with a value, end the line above with a backslash" } },
    { "refuses_a_backslash_before_an_empty_line",
      "[store s]\nroot = /d\\\n\n",
      { "3: the line above ends with a backslash, but nothing follows: remove the backslash" } },
    { "refuses_a_backslash_at_the_end",
      "[store s]\nroot = /d\\",
      { "2: the last line ends with a backslash, but nothing follows: remove the backslash" } },
    { "refuses_a_comment_within_a_value",
      "[store s]\nroot = /d\\\n# e\n",
      { "3: a comment stands where the value of the line above goes on: move it" } },
    { "refuses_a_control_byte",
      "[store s]\nroot = /d\x1b[1m\n",
      { "1: store \"s\": root is missing: add it (the directory that is served; nothing outside it can be reached)",
        "2: the line holds the control byte 0x1b: remove it" } },
    { "refuses_utf_16", "\xff\xfe[", { "1: the file is UTF-16: save it as UTF-8" } },
    { "skips_what_continues_a_refused_line",
      "[server]\n= 1 \\\nworkers \\\n4\nworkers = x\n",
      { "2: no key stands before the =: write KEY = VALUE",
        "5: server: workers \"x\" is not a number: write one in digits" } },
    { "skips_what_stands_under_a_refused_header",
      "[server]\nworkers = 1\n[broken\nworkers = 1 \\\n2\n[server]\n",
      { "3: the section header has no ] at its end: add it",
        "6: server: the section is there already, in line 1: give one of them another name, or join them" } },

    /* sections */
    { "suggests_a_kind_of_section",
      "[sevrer]\nworkers = 1\n",
      { "1: [sevrer] is no kind of section: did you mean \"server\"?" } },
    { "suggests_a_kind_written_with_an_underscore",
      "[Client_Profile x]\n",
      { "1: [Client_Profile] is no kind of section: did you mean \"client-profile\"?" } },
    { "lists_the_kinds_of_sections",
      "[cake]\nflour = 1\n",
      { "1: [cake] is no kind of section: the kinds are server, store, server-profile, client-profile, protocol, "
        "partner, class, user, hook and watch" } },
    { "checks_the_keys_of_a_misspelt_section",
      "[sevrer]\nworkers = x\n",
      { "1: [sevrer] is no kind of section: did you mean \"server\"?",
        "2: sevrer: workers \"x\" is not a number: write one in digits" } },
    { "refuses_an_empty_header",
      "[]\n",
      { "1: [] is no kind of section: the kinds are server, store, server-profile, client-profile, protocol, "
        "partner, class, user, hook and watch" } },
    { "refuses_a_section_without_a_name",
      CLIENT_PROFILE "[store]\nroot = /d\n",
      { "2: store: the section has no name: write [store NAME]" } },
    { "refuses_a_server_with_a_name",
      "[server x]\n",
      { "1: server \"x\": this kind of section has no name: write [server]" } },
    { "refuses_a_name_of_two_words",
      "[store a b]\nroot = /d\n",
      { "1: store \"a b\": the name holds a blank: choose one of letters, digits, -, _ and ." } },
    { "refuses_a_name_in_quotes",
      "[store \"a\"]\nroot = /d\n",
      { "1: store \"\"a\"\": the name holds \"\"\": choose one of letters, digits, -, _ and ." } },
    { "refuses_a_partner_with_a_colon",
      "[partner a:b]\n",
      { "1: partner \"a:b\": the name holds \":\": choose one of letters, digits, -, _ and ." } },
    { "refuses_a_partner_with_a_slash",
      "[partner a/b]\n",
      { "1: partner \"a/b\": the name holds \"/\": choose one of letters, digits, -, _ and ." } },
    { "refuses_a_repeated_section",
      STORE "\n" STORE,
      { "4: store \"main\": the section is there already, in line 1: give one of them another name, or join them" } },
    { "refuses_a_repeated_server",
      "[server]\n[server]\n",
      { "2: server: the section is there already, in line 1: give one of them another name, or join them" } },

    /* keys */
    { "suggests_a_key",
      "[server]\nworkerz = 1\n",
      { "2: server: there is no key workerz: did you mean \"workers\"?" } },
    { "suggests_a_key_written_with_a_dash",
      "[server]\nmax-requests = 1\n",
      { "2: server: there is no key max-requests: did you mean \"max_requests\"?" } },
    { "refuses_a_key_like_no_other",
      "[server]\nflour = 1\n",
      { "2: server: there is no key flour: remove it; `sluice check --reference` lists those there are" } },
    { "says_where_a_key_belongs",
      STORE "listen = a:1\n",
      { "3: store \"main\": listen is a key of a protocol, not of a store: move or remove it" } },
    { "refuses_a_repeated_key",
      "[server]\nworkers = 1\n\nworkers = 2\n",
      { "4: server: workers is there already, in line 2: remove one of them" } },
    { "refuses_a_repeated_key_of_a_named_section",
      STORE "root = /e\n",
      { "3: store \"main\": root is there already, in line 2: remove one of them" } },
    { "refuses_a_missing_key",
      "[store main]\n",
      { "1: store \"main\": root is missing: add it (the directory that is served; nothing outside it can be "
        "reached)" } },
    { "refuses_an_empty_value",
      "[store main]\nroot =\n",
      { "2: store \"main\": root has no value: write one, or remove the line" } },
    { "refuses_a_value_that_is_a_comment",
      "[store main]\nroot = ; later\n",
      { "2: store \"main\": root has no value: write one, or remove the line" } },

    /* types */
    { "refuses_a_word_for_a_number",
      "[server]\nworkers = many\n",
      { "2: server: workers \"many\" is not a number: write one in digits" } },
    { "refuses_a_negative_number",
      "[server]\nworkers = -1\n",
      { "2: server: workers \"-1\" is not a number: write one in digits" } },
    { "refuses_a_number_with_a_unit",
      "[server]\nworkers = 1K\n",
      { "2: server: workers \"1K\" is not a number: write one in digits" } },
    { "refuses_a_number_below_its_bound",
      "[server]\nfile_threads = 0\n",
      { "2: server: file_threads \"0\" is out of bounds: write one from 1 to 1024" } },
    { "refuses_a_number_above_its_bound",
      "[server]\nfile_threads = 1025\n",
      { "2: server: file_threads \"1025\" is out of bounds: write one from 1 to 1024" } },
    { "refuses_a_number_of_more_than_64_bits",
      "[server]\nworkers = 18446744073709551617\n",
      { "2: server: workers \"18446744073709551617\" is out of bounds: write one from 0 to 1024" } },
    { "refuses_a_size_in_unknown_units",
      "[server]\nheader_limit = 16kB\n",
      { "2: server: header_limit \"16kB\" is not a size: write a number, with K, M, G or T behind it for powers of "
        "1024" } },
    { "refuses_a_size_out_of_bounds",
      "[server]\nheader_limit = 2M\n",
      { "2: server: header_limit \"2M\" is out of bounds: write one from 1K to 1M" } },
    { "refuses_a_size_that_overflows",
      "[server]\nheader_limit = 99999999999T\n",
      { "2: server: header_limit \"99999999999T\" is out of bounds: write one from 1K to 1M" } },
    { "refuses_a_time_without_unit",
      "[server]\nidle_timeout = 10\n",
      { "2: server: idle_timeout \"10\" is not a duration: write a number and its unit (ms, s, m or h), such as "
        "10s" } },
    { "refuses_a_time_out_of_bounds",
      "[server]\nidle_timeout = 25h\n",
      { "2: server: idle_timeout \"25h\" is out of bounds: write one from 100ms to 24h" } },
    { "suggests_a_choice",
      STORE "anonymous = reed\n",
      { "3: store \"main\": anonymous \"reed\" is not one of none, read or write: did you mean \"read\"?" } },
    { "lists_choices",
      STORE "anonymous = everything\n",
      { "3: store \"main\": anonymous \"everything\" is not one of its values: write none, read or write" } },
    { "refuses_a_flag_that_is_neither_yes_nor_no",
      CLIENT_PROFILE "insecure = true\n",
      { "2: client-profile \"out\": insecure \"true\" is neither yes nor no: write one of them" } },
    { "refuses_an_empty_entry",
      SERVER_PROFILE "ciphers = A,,B\n",
      { "5: server-profile \"in\": ciphers has an empty entry: remove the comma" } },
    { "refuses_a_comma_at_the_end",
      SERVER_PROFILE "ciphers = A,\n",
      { "5: server-profile \"in\": ciphers has an empty entry: remove the comma" } },
    { "refuses_ciphers_joined_by_colons",
      SERVER_PROFILE "ciphers = A:B\n",
      { "5: server-profile \"in\": ciphers \"A:B\" is not a name of letters, digits, - and _: separate names by "
        "commas" } },
    { "refuses_every_bad_entry_of_a_list",
      SERVER_PROFILE "ciphers = A B, C, !D\n",
      { "5: server-profile \"in\": ciphers \"A B\" is not a name of letters, digits, - and _: separate names by commas",
        "5: server-profile \"in\": ciphers \"!D\" is not a name of letters, digits, - and _: separate names by "
        "commas" } },
    { "refuses_an_old_version",
      CLIENT_PROFILE "min_version = 1.1\n",
      { "2: client-profile \"out\": min_version \"1.1\" is older than TLS 1.2 and no longer safe (RFC 8996): the "
        "oldest "
        "that may be used is 1.2; a partner that has nothing newer must be brought up to date" } },
    { "refuses_ssl",
      CLIENT_PROFILE "min_version = SSLv3\n",
      { "2: client-profile \"out\": min_version \"SSLv3\" is older than TLS 1.2 and no longer safe (RFC 8996): the "
        "oldest that may be used is 1.2; a partner that has nothing newer must be brought up to date" } },
    { "says_how_to_write_a_version",
      CLIENT_PROFILE "max_version = TLSv1.3\n",
      { "2: client-profile \"out\": max_version \"TLSv1.3\" is not written like this: write 1.3" } },
    { "refuses_an_unknown_version",
      CLIENT_PROFILE "max_version = 1.4\n",
      { "2: client-profile \"out\": max_version \"1.4\" is no version of TLS that can be used: write 1.2 or 1.3" } },
    { "refuses_a_flag_of_another_language_as_hostname",
      CLIENT_PROFILE "hostname = False\n",
      { "2: client-profile \"out\": hostname \"False\" is neither yes, no, nor the name of a host: write one of "
        "them" } },
    { "refuses_a_hostname_with_a_port",
      CLIENT_PROFILE "hostname = node7:8443\n",
      { "2: client-profile \"out\": hostname \"node7:8443\" is neither yes, no, nor the name of a host: write one of "
        "them" } },

    /* addresses */
    { "refuses_an_address_without_port",
      ADDRESS("127.0.0.1"),
      { "10: protocol \"p\": listen \"127.0.0.1\" has no port: write HOST:PORT" } },
    { "refuses_a_bracket_without_port",
      ADDRESS("[::1]"),
      { "10: protocol \"p\": listen \"[::1]\" has no port behind the bracket: write [ADDRESS]:PORT" } },
    { "refuses_ipv6_without_brackets",
      ADDRESS("::1:8443"),
      { "10: protocol \"p\": listen \"::1:8443\" looks like an IPv6 address without brackets: write [ADDRESS]:PORT" } },
    { "refuses_brackets_around_something_else",
      ADDRESS("[node7]:8443"),
      { "10: protocol \"p\": listen \"[node7]:8443\" has no IPv6 address between its brackets" } },
    { "refuses_a_scope_without_name",
      ADDRESS("[fe80::1%]:8443"),
      { "10: protocol \"p\": listen \"[fe80::1%]:8443\" has no IPv6 address between its brackets" } },
    { "refuses_a_url",
      ADDRESS("https://node7:8443"),
      { "10: protocol \"p\": listen \"https://node7:8443\" is a URL: write HOST:PORT" } },
    { "refuses_a_star",
      ADDRESS("*:8443"),
      { "10: protocol \"p\": listen \"*:8443\" names no address: write 0.0.0.0:PORT or [::]:PORT for every one" } },
    { "refuses_a_port_above_its_bound",
      ADDRESS("127.0.0.1:65536"),
      { "10: protocol \"p\": listen \"127.0.0.1:65536\" has a port out of bounds: write one from 0 to 65535" } },
    { "refuses_a_port_that_is_no_number",
      ADDRESS("127.0.0.1:https"),
      { "10: protocol \"p\": listen \"127.0.0.1:https\" has no port number behind the colon: write HOST:PORT" } },
    { "refuses_numbers_that_are_no_address",
      ADDRESS("127.0.0.300:1"),
      { "10: protocol \"p\": listen \"127.0.0.300:1\" is neither an address nor a host name followed by :PORT" } },
    { "refuses_a_host_with_a_blank",
      ADDRESS("a b:1"),
      { "10: protocol \"p\": listen \"a b:1\" is neither an address nor a host name followed by :PORT" } },
    { "refuses_port_0_of_a_partner",
      CLIENT_PROFILE "[partner p]\nprofile = out\nhost = h:0\n",
      { "4: partner \"p\": host \"h:0\" has a port out of bounds: write one from 1 to 65535" } },
    { "refuses_a_partner_without_a_host_name",
      CLIENT_PROFILE "[partner p]\nprofile = out\nhost = :1\n",
      { "4: partner \"p\": host \":1\" names no host: write HOST:PORT" } },
    { "refuses_an_address_listened_on_twice",
      ADDRESS("[::1]:8443, 127.0.0.1:8443, [0:0::1]:8443"),
      { "10: protocol \"p\": listen [0:0::1]:8443 is taken by protocol \"p\" in line 10: choose another port, or "
        "remove "
        "one" } },
    { "refuses_an_address_listened_on_by_two_protocols",
      ADDRESS("localhost:8443") "[protocol q]\nstore = s\nprofile = in\nlisten = LOCALHOST:8443\n",
      { "14: protocol \"q\": listen LOCALHOST:8443 is taken by protocol \"p\" in line 10: choose another port, or "
        "remove one" } },

    /* profiles */
    { "demands_a_certificate_of_a_server",
      "[server-profile in]\nverify = none\n",
      { "1: server-profile \"in\": certificate is missing: add it (our certificate, the leaf first, then the "
        "intermediate ones: PEM, DER or PKCS#12; several, separated by commas, for clients that take different types "
        "of "
        "key (RSA beside ECDSA))" } },
    { "demands_trust_of_a_server_that_verifies",
      "[server-profile in]\ncertificate = c\nkey = k\n",
      { "1: server-profile \"in\": trust is missing: name the CA certificates that client certificates must come from, "
        "or write verify = none" } },
    { "demands_trust_of_a_server_that_asks",
      "[server-profile in]\ncertificate = c\nkey = k\nverify = optional\n",
      { "4: server-profile \"in\": trust is missing: name the CA certificates that client certificates must come from, "
        "or write verify = none" } },
    { "refuses_enforced_for_a_server",
      SERVER_PROFILE "verify = enforced\n",
      { "5: server-profile \"in\": verify \"enforced\" is for a client-profile only: write required, optional or "
        "none" } },
    { "refuses_optional_for_a_client",
      CLIENT_PROFILE "verify = optional\n",
      { "2: client-profile \"out\": verify \"optional\" is for a server-profile only: write required, enforced or "
        "none" } },
    { "refuses_hostname_for_a_server",
      SERVER_PROFILE "hostname = yes\n",
      { "5: server-profile \"in\": hostname is a key of a client-profile, not of a server-profile: move or remove "
        "it" } },
    { "refuses_a_key_without_certificate",
      CLIENT_PROFILE "key = c.key\n",
      { "2: client-profile \"out\": key has no certificate: add certificate, or remove key" } },
    { "refuses_enforced_without_certificate",
      CLIENT_PROFILE "verify = enforced\n",
      { "2: client-profile \"out\": verify = enforced needs our certificate: add certificate and key, or write verify "
        "= "
        "required" } },
    { "refuses_versions_that_cross",
      CLIENT_PROFILE "max_version = 1.2\nmin_version = 1.3\n",
      { "3: client-profile \"out\": min_version is newer than max_version: lower the one or raise the other" } },
    { "refuses_a_client_that_verifies_nobody",
      CLIENT_PROFILE "verify = none\n",
      { "2: client-profile \"out\": verify = none authenticates nothing, anyone in between can read and change "
        "everything: write verify = required, or insecure = yes if that is what you want" } },
    { "warns_of_a_client_that_verifies_nobody",
      PARTNER "[client-profile x]\nverify = none\ninsecure = yes\n",
      { "warning: 6: client-profile \"x\": verify = none authenticates nothing, anyone in between can read and change "
        "everything: use it for tests only" } },
    { "refuses_system_beside_other_trust",
      CLIENT_PROFILE "trust = ca.pem, system\n",
      { "2: client-profile \"out\": trust has \"system\" beside other entries: it stands alone, remove it or the "
        "others" } },
    { "warns_of_a_server_that_trusts_every_public_ca",
      PARTNER "[server-profile in]\ncertificate = c\nkey = k\ntrust = system\n",
      { "warning: 8: server-profile \"in\": trust = system lets in every client with a certificate of any public CA, "
        "to "
        "read and write the store: name your own CA" } },

    /* protocols and partners */
    { "demands_profile_and_store_of_a_protocol_that_listens",
      "[protocol p]\nlisten = h:1\n",
      { "2: protocol \"p\": store is missing: a protocol that listens serves one, add it",
        "2: protocol \"p\": P20F: profile is missing: a protocol that listens needs a server-profile, add it" } },
    { "refuses_a_server_profile_that_is_not_there",
      STORE "[protocol p]\nlisten = h:1\nstore = main\nprofile = zebra\n",
      { "6: protocol \"p\": P20F: profile \"zebra\": there is no [server-profile zebra]: add that section, or name "
        "another" } },
    { "suggests_a_server_profile",
      STORE SERVER_PROFILE "[protocol p]\nlisten = h:1\nstore = main\nprofile = inn\n",
      { "10: protocol \"p\": P20F: profile \"inn\": there is no [server-profile inn]: did you mean \"in\"?" } },
    { "refuses_a_client_profile_where_a_server_profile_must_be",
      STORE CLIENT_PROFILE "[protocol p]\nlisten = h:1\nstore = main\nprofile = out\n",
      { "7: protocol \"p\": P20F: profile \"out\": there is no [server-profile out]: add that section, or name "
        "another" } },
    { "suggests_a_store",
      STORE SERVER_PROFILE "[protocol p]\nlisten = h:1\nstore = mian\nprofile = in\n",
      { "9: protocol \"p\": store \"mian\": there is no [store mian]: did you mean \"main\"?" } },
    { "refuses_a_server_profile_without_listen",
      SERVER_PROFILE "[protocol p]\nprofile = in\n",
      { "6: protocol \"p\": profile \"in\" is a server-profile, but a protocol without listen is for outgoing "
        "sessions: "
        "add listen, or name a client-profile" } },
    { "refuses_a_client_profile_that_is_not_there",
      "[protocol p]\nprofile = zebra\n",
      { "2: protocol \"p\": profile \"zebra\": there is no [client-profile zebra]: add that section, or name "
        "another" } },
    { "demands_a_profile_of_a_partner_with_a_host",
      "[partner p]\nhost = h:1\n",
      { "2: partner \"p\": profile is missing: name a client-profile, or a protocol that has one" } },
    { "demands_a_profile_of_a_partner_whose_protocol_has_none",
      STORE SERVER_PROFILE
      "[protocol q]\nlisten = h:1\nstore = main\nprofile = in\n[partner p]\nhost = h:1\nprotocol = q\n",
      { "12: partner \"p\": profile is missing, and so is a client-profile in its protocol: add one" } },
    { "suggests_a_profile_of_a_partner",
      CLIENT_PROFILE "[partner p]\nhost = h:1\nprofile = uot\n",
      { "4: partner \"p\": profile \"uot\": there is neither a client-profile nor a server-profile of that name: did "
        "you mean \"out\"?" } },
    { "suggests_a_server_profile_of_a_partner",
      SERVER_PROFILE "[partner p]\nprofile = ni\n",
      { "6: partner \"p\": profile \"ni\": there is neither a client-profile nor a server-profile of that name: did "
        "you mean \"in\"?" } },
    { "refuses_a_profile_of_a_partner_that_is_nowhere",
      CLIENT_PROFILE "[partner p]\nhost = h:1\nprofile = zebra\n",
      { "4: partner \"p\": profile \"zebra\": there is neither a client-profile nor a server-profile of that name: add "
        "one, or name another" } },
    { "warns_of_a_partner_that_no_transfer_will_reach",
      SERVER_PROFILE "[partner p]\nhost = h:1\nprofile = in\n",
      { "warning: 7: partner \"p\": T47E: profile \"in\": there is no [client-profile in]: transfers to this partner "
        "will fail; add that section, or name another" } },
    { "warns_of_a_partner_without_additional_checks",
      PARTNER "match_san = DNS:p\n",
      { "warning: 3: partner \"p\": T47W: profile \"out\": there is no [server-profile out]: this partner's sessions "
        "will go on without additional checks; add that section, or name another" } },
    { "warns_of_a_users_partner_without_additional_checks",
      PARTNER "[user u]\npartner = p\nmatch_san = DNS:u\n",
      { "warning: 3: partner \"p\": T47W: profile \"out\": there is no [server-profile out]: this partner's sessions "
        "will go on without additional checks; add that section, or name another" } },
    { "warns_of_a_partner_that_strictness_refuses",
      PARTNER "match_san = DNS:p\n[server]\nstrict_partner_profiles = yes\n",
      { "warning: 3: partner \"p\": T47W: profile \"out\": there is no [server-profile out]: "
        "strict_partner_profiles = yes, so this partner's sessions will be refused; add that section, or name "
        "another" } },
    { "warns_of_additional_checks_that_nobody_passes",
      NONE LISTEN(none) "[client-profile in]\n" SERVER_PROFILE
                        "[partner p]\nprofile = in\n[user u]\npartner = p\n" USERS,
      { "warning: 17: partner \"p\": profile \"in\" demands a verified certificate (verify = required), but no "
        "protocol "
        "asks for one: every session of this partner will be refused (T48E); write verify = optional in the protocol's "
        "server-profile" } },
    { "refuses_a_login_without_password",
      PARTNER "login = me\n",
      { "5: partner \"p\": login has no password: add login_password_file, or remove login" } },
    { "refuses_a_password_without_login",
      PARTNER "login_password_file = pw\n",
      { "5: partner \"p\": login_password_file has no name to log in with: add login, or remove "
        "login_password_file" } },
    { "suggests_a_protocol",
      "[protocol bulk]\n[partner p]\nhost = h:1\nprotocol = bluk\n",
      { "4: partner \"p\": protocol \"bluk\": there is no [protocol bluk]: did you mean \"bulk\"?" } },
    { "warns_of_a_file_that_does_nothing",
      "[server]\n",
      { "warning: no protocol listens and no partner has a host: there is nothing to do; add a [protocol NAME] or a "
        "[partner NAME]" } },

    /* who may hold what name */
    { "refuses_a_user_with_a_colon",
      "[user a:b]\n",
      { "1: user \"a:b\": the name holds \":\": choose one of letters, digits, -, _ and .",
        "warning: 1: user \"a:b\": this user can never log in: add a match_ key for its certificate, or a "
        "password_file "
        "to [server]" } },
    { "refuses_a_user_with_a_letter_that_is_not_ascii",
      USERS "[user ren\xc3\xa9]\n",
      { "3: user \"ren\xc3\xa9\": the name holds \"\xc3\xa9\": choose one of letters, digits, -, _ and ." } },
    { "refuses_a_class_of_a_pattern",
      USERS "[class *]\n",
      { "3: class \"*\": the name holds \"*\": choose one of letters, digits, -, _ and ." } },

    /* values that say who */
    { "refuses_a_system_user_of_two_words",
      "[server]\nuser = a b\n",
      { "2: server: user \"a b\" is not one word: write it without blanks, quotes, commas, colons and slashes" } },
    { "refuses_a_group_without_user",
      PARTNER "[server]\ngroup = g\n",
      { "6: server: group has no user: add user, or remove group" } },
    { "refuses_a_home_that_leaves_the_store",
      USERS "[user a]\nhome = ../b\n",
      { "4: user \"a\": home \"../b\" is not a folder beneath the store's root: write a path such as alice or a/b, "
        "without . and .., and without slashes at its ends" } },
    { "refuses_an_absolute_home",
      USERS "[user a]\nhome = /b\n",
      { "4: user \"a\": home \"/b\" is not a folder beneath the store's root: write a path such as alice or a/b, "
        "without . and .., and without slashes at its ends" } },
    { "refuses_a_home_with_a_dot",
      USERS "[user a]\nhome = b/./c\n",
      { "4: user \"a\": home \"b/./c\" is not a folder beneath the store's root: write a path such as alice or a/b, "
        "without . and .., and without slashes at its ends" } },
    { "refuses_a_home_with_a_slash_at_its_end",
      USERS "[user a]\nhome = b/\n",
      { "4: user \"a\": home \"b/\" is not a folder beneath the store's root: write a path such as alice or a/b, "
        "without . and .., and without slashes at its ends" } },
    { "refuses_a_home_that_no_file_system_takes",
      USERS "[user a]\nhome = " X50 X50 X50 "\\\n" X50 X50 X50 "\n",
      { "4: user \"a\": home \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" has a part of more than 255 bytes: shorten it" } },
    { "refuses_patterns_with_blanks",
      USERS "[class a]\nusers = a b, c\n",
      { "4: class \"a\": users \"a b\" is not one word: separate words by commas" } },
    { "refuses_a_network_that_is_none",
      USERS "[class a]\nfrom = intranet\n",
      { "4: class \"a\": from \"intranet\" is neither an address, a block such as 10.0.0.0/8, nor a pattern such as "
        "10.1.*" } },
    { "refuses_every_bad_network",
      USERS "[class a]\nfrom = 10.0.0.0/33, 10.0.0.1/8, ::1/129, 10.1, 10.0.0.0/, ::ffff:10.*, 010.*, intra*\n",
      { "4: class \"a\": from \"10.0.0.0/33\" has no prefix of 0 to 32 bits behind the slash",
        "4: class \"a\": from \"10.0.0.1/8\" has bits set behind its prefix: write the block's first address",
        "4: class \"a\": from \"::1/129\" has no prefix of 0 to 128 bits behind the slash",
        "4: class \"a\": from \"10.1\" is neither an address, a block such as 10.0.0.0/8, nor a pattern such as 10.1.*",
        "4: class \"a\": from \"10.0.0.0/\" has no prefix of 0 to 32 bits behind the slash",
        "4: class \"a\": from \"::ffff:10.*\" is a pattern of IPv4 addresses, which are written without ::ffff: here",
        "4: class \"a\": from \"010.*\" has a number with a leading zero, which no address is written with: leave the "
        "zero out",
        "4: class \"a\": from \"intra*\" is neither an address, a block such as 10.0.0.0/8, nor a pattern such as "
        "10.1.*" } },
    { "refuses_text_longer_than_an_address",
      USERS "[class a]\nfrom = " X50 "\n",
      { "4: class \"a\": from \"" X50 "\" is not an address" } },
    { "refuses_an_expression_with_its_place",
      CLIENT_PROFILE "subject = CN=node7 O=Acme\n",
      { "2: client-profile \"out\": subject has a = inside a value: put the whole value in quotes, or a backslash "
        "before "
        "it (at character 11)" } },
    { "counts_characters_not_bytes",
      CLIENT_PROFILE "issuer = O=Soci\xc3\xa9t\xc3\xa9, CN\n",
      { "2: client-profile \"out\": issuer has \"CN\" without a = and a value: write TYPE=VALUE, such as CN=node7 (at "
        "character 12)" } },
    { "refuses_fingerprints_that_are_none",
      PARTNER "match_fingerprint = " SUM ", " SUM "g, \\\n " SUM "ff, sha1\n",
      { "5: partner \"p\": match_fingerprint \"" SUM "\" is not the SHA-256 of a certificate: write its 64 hexadecimal "
        "digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints them",
        "5: partner \"p\": match_fingerprint \"" SUM
        "g\" is not the SHA-256 of a certificate: write its 64 hexadecimal "
        "digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints them",
        "5: partner \"p\": match_fingerprint \"" SUM "ff\" is not the SHA-256 of a certificate: write its 64 "
        "hexadecimal digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints them",
        "5: partner \"p\": match_fingerprint \"sha1\" is not the SHA-256 of a certificate: write its 64 hexadecimal "
        "digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints them" } },
    { "refuses_names_of_no_kind",
      PARTNER "match_san = node7, dns:node7, DNS:\n",
      { "5: partner \"p\": match_san \"node7\" does not say what kind of name it is: write DNS:, email:, URI: or IP: "
        "and "
        "the name",
        "5: partner \"p\": match_san \"dns:node7\" does not say what kind of name it is: write DNS:, email:, URI: or "
        "IP: "
        "and the name",
        "5: partner \"p\": match_san \"DNS:\" does not say what kind of name it is: write DNS:, email:, URI: or IP: "
        "and "
        "the name" } },
    { "refuses_an_address_as_a_name_that_is_none",
      PARTNER "match_san = IP:node7, IP:10.0.0.0/8\n",
      { "5: partner \"p\": match_san \"IP:node7\" is neither an address, a block such as 10.0.0.0/8, nor a pattern "
        "such "
        "as 10.1.*",
        "5: partner \"p\": match_san \"IP:10.0.0.0/8\" is a block: a certificate has addresses, write one, or a "
        "pattern "
        "such as IP:10.1.*" } },
    { "refuses_grants_to_nobody",
      STORE "read = alice, user:, everyone\n",
      { "3: store \"main\": read \"alice\" is nobody: write user:NAME, partner:NAME, class:NAME, group:NAME, "
        "authenticated or anyone",
        "3: store \"main\": read \"user:\" is nobody: write user:NAME, partner:NAME, class:NAME, group:NAME, "
        "authenticated or anyone",
        "3: store \"main\": read \"everyone\" is nobody: write user:NAME, partner:NAME, class:NAME, group:NAME, "
        "authenticated or anyone" } },

    /* users, classes and grants */
    { "suggests_a_partner_of_a_user",
      USERS "[partner node7]\n[user a]\npartner = noed7\n",
      { "5: user \"a\": partner \"noed7\": there is no [partner noed7]: did you mean \"node7\"?" } },
    { "warns_of_a_user_who_can_never_log_in",
      PARTNER "[user a]\n[user b]\ndisabled = yes\n",
      { "warning: 5: user \"a\": this user can never log in: add a match_ key for its certificate, or a password_file "
        "to "
        "[server]" } },
    { "warns_of_matches_that_are_never_looked_at",
      NONE LISTEN(none) "[user u]\nmatch_subject = CN=u\n[partner p]\nmatch_san = DNS:p\nmatch_fingerprint = " SUM
                        "F\n",
      { "warning: 12: user \"u\": match_subject is never looked at: no protocol asks for a certificate; write verify = "
        "optional or required in its server-profile",
        "warning: 14: partner \"p\": match_san is never looked at: no protocol asks for a certificate; write verify = "
        "optional or required in its server-profile",
        "warning: 15: partner \"p\": match_fingerprint is never looked at: no protocol asks for a certificate; write "
        "verify = optional or required in its server-profile" } },
    { "suggests_whom_a_store_grants_to",
      PARTNER "[user alice]\ngroups = staff\nmatch_san = DNS:a\n[class night]\n[store s]\nroot = /d\n"
              "read = user:alcie\nwrite = partner:pp\nlist = class:nihgt\ndelete = group:stuff\n",
      { "11: store \"s\": read \"user:alcie\": there is no user \"alcie\": did you mean \"alice\"?",
        "12: store \"s\": write \"partner:pp\": there is no partner \"pp\": did you mean \"p\"?",
        "13: store \"s\": list \"class:nihgt\": there is no class \"nihgt\": did you mean \"night\"?",
        "14: store \"s\": delete \"group:stuff\": there is no group \"stuff\": did you mean \"staff\"?" } },
    { "refuses_grants_to_those_who_are_not_there",
      STORE "read = user:alice, group:staff, class:night, partner:node7, anyone, authenticated\n",
      { "3: store \"main\": read \"user:alice\": there is no user \"alice\": add that section, or name another",
        "3: store \"main\": read \"group:staff\": there is no group \"staff\": add it to the groups of a [user], or "
        "name "
        "another",
        "3: store \"main\": read \"class:night\": there is no class \"night\": add that section, or name another",
        "3: store \"main\": read \"partner:node7\": there is no partner \"node7\": add that section, or name "
        "another" } },
    { "takes_users_whom_the_password_file_may_have",
      PARTNER USERS "[store s]\nroot = /d\nread = user:alice\n[class c]\nusers = bob\n",
      { NULL } },
    { "warns_of_anonymous_beside_grants",
      PARTNER STORE "anonymous = read\nread = authenticated\n",
      { "warning: 7: store \"main\": anonymous has no effect beside read, write, list or delete: remove it, and grant "
        "what `anyone` may do" } },
    { "refuses_a_class_of_names_that_are_not_there",
      PARTNER "[user alice]\ngroups = staff\nmatch_san = DNS:a\n[class c]\nusers = alcie, b*\ngroups = zebra, s?\n"
              "partners = q\n",
      { "9: class \"c\": users \"alcie\": there is no user \"alcie\": did you mean \"alice\"?",
        "10: class \"c\": groups \"zebra\": there is no group \"zebra\": add it to the groups of a [user], or name "
        "another",
        "11: class \"c\": partners \"q\": there is no partner \"q\": add that section, or name another" } },
    { "refuses_passwords_that_nobody_has",
      PARTNER "[class c]\npassword = required\n",
      { "6: class \"c\": password = required, but nobody has one: add password_file to [server], or write password = "
        "disabled" } },
    { "warns_of_a_class_that_takes_nothing",
      PARTNER "[class c]\npartners = p\ncertificate = disabled\npassword = disabled\n",
      { "warning: 5: class \"c\": nobody can enter this class: it takes no certificate, and no password either; write "
        "certificate = optional, or allow passwords (password = optional, and password_file in [server])" } },
    { "warns_of_a_class_whose_passwords_nobody_has",
      PARTNER "[class c]\ncertificate = disabled\n",
      { "warning: 5: class \"c\": nobody can enter this class: it takes no certificate, and no password either; write "
        "certificate = optional, or allow passwords (password = optional, and password_file in [server])" } },
    { "takes_a_class_of_nameless_visitors",
      PARTNER "[class c]\ncertificate = disabled\npassword = disabled\n",
      { NULL } },
    { "warns_of_certificates_that_nobody_is_asked_for",
      NONE LISTEN(none) "[class c]\ncertificate = required\n",
      { "warning: 12: class \"c\": nobody can enter this class: it takes a certificate only, but no protocol asks for "
        "one; write verify = optional or required in its server-profile" } },
    { "warns_of_certificates_that_are_all_a_class_takes",
      NONE LISTEN(none) "[class c]\nusers = *\n",
      { "warning: 11: class \"c\": nobody can enter this class: it takes a certificate only, but no protocol asks for "
        "one; write verify = optional or required in its server-profile" } },
    { "takes_certificates_where_one_protocol_asks",
      NONE LISTEN(none) SERVER_PROFILE "[protocol r]\nlisten = h:2\nstore = s\nprofile = in\n[class c]\ncertificate = "
                                       "required\n",
      { NULL } },
    { "warns_of_plain_passwords_over_tls_only",
      PARTNER USERS "[class c]\nplain_password = yes\n",
      { "warning: 8: class \"c\": plain_password = yes has no effect where tls = required: remove it, or write tls = "
        "optional" } },
    { "warns_of_plain_passwords_that_are_not_taken",
      PARTNER "[class c]\ntls = optional\npassword = disabled\nplain_password = yes\n",
      { "warning: 8: class \"c\": plain_password = yes has no effect where no password is taken: remove it, or allow "
        "passwords (password = optional, and password_file in [server])" } },
    { "warns_of_passwords_in_the_clear",
      PARTNER USERS "[class c]\ntls = optional\nplain_password = yes\n",
      { "warning: 9: class \"c\": plain_password = yes: over plain connections everyone on the way can read passwords; "
        "remove it unless that is what you want" } },
    { "warns_of_optional_tls_where_certificates_are_demanded_by_the_profile",
      SERVER "[class c]\ntls = optional\npassword = disabled\n",
      { "warning: 12: class \"c\": tls = optional has no effect: every protocol's server-profile has verify = "
        "required, "
        "which no plain connection satisfies; remove it, or write verify = optional there" } },
    { "warns_of_optional_tls_where_certificates_are_demanded_by_the_class",
      PARTNER "[class c]\ntls = optional\ncertificate = required\n",
      { "warning: 6: class \"c\": tls = optional has no effect where certificate = required: a plain connection shows "
        "none; remove one of them" } },
    { "warns_of_optional_tls_for_those_who_cannot_say_who_they_are",
      PARTNER USERS "[class c]\ntls = optional\nusers = a*\n",
      { "warning: 8: class \"c\": tls = optional has no effect: over a plain connection nobody can say who they are "
        "without plain_password = yes; add that, or remove tls; for visitors without a name, make a class without "
        "users, groups and partners that has password = disabled" } },

    /* classes that are never tried */
    { "warns_of_a_class_behind_one_for_everyone",
      PARTNER USERS "[class a]\n[class b]\nusers = u\n",
      { "warning: 8: class \"b\": this class is never tried: class \"a\" in line 7 comes first and takes everyone that "
        "it would; give it a lower order, or remove it" } },
    { "warns_of_a_class_that_order_puts_behind",
      PARTNER USERS "[class b]\nusers = u\norder = 7\n[class a]\norder = 5\n",
      { "warning: 9: class \"b\": this class is never tried: class \"a\" in line 10 comes first and takes everyone "
        "that "
        "it would; give it a lower order, or remove it" } },
    { "warns_of_a_class_whose_members_an_earlier_one_has",
      PARTNER USERS "[class a]\nusers = x, a*\nfrom = 10.0.0.0/8, 192.168.*\n"
                    "[class b]\nusers = adam, a*, x\nfrom = 10.1.0.0/16, 192.168.*\n",
      { "warning: 10: class \"b\": this class is never tried: class \"a\" in line 7 comes first and takes everyone "
        "that "
        "it would; give it a lower order, or remove it" } },
    { "warns_of_a_class_behind_one_for_every_address",
      PARTNER USERS "[class a]\nfrom = 0.0.0.0/0, ::/0\n[class b]\n",
      { "warning: 9: class \"b\": this class is never tried: class \"a\" in line 7 comes first and takes everyone that "
        "it would; give it a lower order, or remove it" } },
    { "says_nothing_of_classes_that_differ",
      PARTNER USERS
      "[class a]\nusers = a*\n[class b]\nusers = b*\n[class c]\nusers = *\nfrom = ::/0\n"
      "[class d]\nusers = c\nfrom = 10.0.0.0/8\n[class e]\npartners = p\n[class f]\nfrom = ::1, 10.*\n[class g]\n",
      { NULL } },

    /* one certificate, two owners */
    { "warns_of_two_who_have_one_fingerprint",
      PARTNER "[user a]\nmatch_fingerprint = " SUM "F\n[user b]\nmatch_fingerprint = \\\n" SUM "0, " SUM "f\n",
      { "warning: 8: user \"b\": match_fingerprint: a certificate that it matches can also be that of user \"a\" in "
        "line "
        "6, and is then refused: make them exclude each other" } },
    { "warns_of_two_whose_subjects_overlap",
      PARTNER "match_subject = CN=node* AND NOT CN=node8\n[user b]\nmatch_subject = commonName=NODE7, CN=x\n",
      { "warning: 3: partner \"p\": T47W: profile \"out\": there is no [server-profile out]: this partner's sessions "
        "will go on without additional checks; add that section, or name another",
        "warning: 7: user \"b\": match_subject: a certificate that it matches can also be that of partner \"p\" in "
        "line "
        "5, and is then refused: make them exclude each other" } },
    { "warns_of_two_whose_names_overlap",
      PARTNER "[user a]\nmatch_san = DNS:*.example.com\n[user b]\nmatch_san = DNS:Node7.*\n",
      { "warning: 8: user \"b\": match_san: a certificate that it matches can also be that of user \"a\" in line 6, "
        "and "
        "is then refused: make them exclude each other" } },
    { "warns_of_two_addresses_that_are_one",
      PARTNER "[user a]\nmatch_san = IP:2001:DB8:0::7\n[user b]\nmatch_san = IP:2001:db8::?\n",
      { "warning: 8: user \"b\": match_san: a certificate that it matches can also be that of user \"a\" in line 6, "
        "and "
        "is then refused: make them exclude each other" } },
    { "says_nothing_of_two_that_exclude_each_other",
      PARTNER
      "[user a]\nmatch_san = DNS:a.*, email:x@y, URI:s://H/, DNS:z??b\nmatch_subject = CN=a*\n"
      "match_fingerprint = " SUM "0\n"
      "[user b]\nmatch_san = DNS:b.*, DNS:x@y, URI:s://h/, DNS:z?b, IP:10.0.0.1\nmatch_subject = CN=b* OR NOT CN=*\n"
      "match_fingerprint = " SUM "1\n",
      { NULL } },

    /* keys of a profile that have no effect */
    { "refuses_a_passphrase_without_certificate",
      CLIENT_PROFILE "key_passphrase_file = pw\n",
      { "2: client-profile \"out\": key_passphrase_file has no certificate: add certificate, or remove "
        "key_passphrase_file" } },
    { "warns_of_checks_of_certificates_that_are_not_asked_for",
      PARTNER NONE "subject = CN=a\nissuer = CN=b\ncrl = a.crl\n",
      { "warning: 9: server-profile \"none\": subject is never looked at: verify = none asks for no certificate; "
        "remove "
        "it, or write verify = required or optional",
        "warning: 10: server-profile \"none\": issuer is never looked at: verify = none asks for no certificate; "
        "remove "
        "it, or write verify = required or optional",
        "warning: 11: server-profile \"none\": crl is never looked at: verify = none asks for no certificate; remove "
        "it, "
        "or write verify = required or optional" } },
    { "says_nothing_of_checks_that_a_partner_adds",
      NONE "subject = CN=a\n[client-profile none]\n[partner p]\nhost = h:1\nprofile = none\n",
      { NULL } },
    { "warns_of_checks_of_certificates_of_which_any_will_do",
      PARTNER "[client-profile x]\nverify = none\ninsecure = yes\nsubject = CN=a\nocsp = staple\n",
      { "warning: 6: client-profile \"x\": verify = none authenticates nothing, anyone in between can read and change "
        "everything: use it for tests only",
        "warning: 8: client-profile \"x\": subject is never looked at: verify = none takes any certificate; remove it, "
        "or "
        "write verify = required",
        "warning: 9: client-profile \"x\": ocsp = staple is never looked at: verify = none takes any certificate; "
        "remove "
        "it, or write verify = required" } },

    /* several at once */
    { "reports_everything_in_one_run_in_the_order_of_lines",
      "[server]\nworkers = x\nfoo = 1\n[store s]\nanonymous = raed\n[protocol p]\nlisten = h\nstore = t\nprofile = q\n",
      { "2: server: workers \"x\" is not a number: write one in digits",
        "3: server: there is no key foo: remove it; `sluice check --reference` lists those there are",
        "4: store \"s\": root is missing: add it (the directory that is served; nothing outside it can be reached)",
        "5: store \"s\": anonymous \"raed\" is not one of none, read or write: did you mean \"read\"?",
        "7: protocol \"p\": listen \"h\" has no port: write HOST:PORT",
        "8: protocol \"p\": store \"t\": there is no [store t]: add that section, or name another",
        "9: protocol \"p\": P20F: profile \"q\": there is no [server-profile q]: add that section, or name another" } },
};

static char *print(const struct config_errors *errors)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    config_errors_print(errors, out);
    fclose(out);
    return text;
}

/* "warning: 6: ..." to "warning: site.ini:6: ...", as config_errors_print() prints it. */
static void expect_line(FILE *out, const char *said)
{
    static const char warning[] = "warning: ";
    size_t mark = strncmp(said, warning, sizeof(warning) - 1) == 0 ? sizeof(warning) - 1 : 0;
    bool has_line = said[mark] >= '0' && said[mark] <= '9';
    fprintf(out, "%.*ssite.ini:%s%s\n", (int)mark, said, has_line ? "" : " ", said + mark);
}

static char *expected(const struct row *row, size_t *errors)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    *errors = 0;
    for (size_t i = 0; i < SAID_MAX && row->said[i]; i++) {
        expect_line(out, row->said[i]);
        *errors += strncmp(row->said[i], "warning: ", 9) != 0;
    }
    fclose(out);
    return text;
}

static void says_what_is_wrong(void **state)
{
    const struct row *row = *state;
    struct config_errors errors = { 0 };
    size_t error_count;
    struct config *config = config_parse("site.ini", row->text, strlen(row->text), &errors);
    char *said = print(&errors), *wanted = expected(row, &error_count);
    assert_string_equal(said, wanted);
    assert_int_equal(errors.error_count, error_count);
    assert_int_equal(config == NULL, error_count > 0);
    config_free(config);
    config_errors_clear(&errors);
    free(said);
    free(wanted);
}

int main(void)
{
    struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0])];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        tests[i] = (struct CMUnitTest){ rows[i].name, says_what_is_wrong, NULL, NULL, (void *)(uintptr_t)&rows[i] };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
