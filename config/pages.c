/* What an operator reads about a kind of section before its keys. */
#include <string.h>

#include "config/schema.h"

static const struct config_page pages[] = {
    { "server",
      "`workers`, `pin_workers`, `handshake_threads`, `file_threads`, `user`, `group`, `events` and `events_to` are taken when the "
      "process "
      "starts: a reload says which of them have changed (S11W) and goes on without. Everything else follows a reload.\n"
      "\n"
      "With `user`, the process takes its ports first and becomes that user then. It reads certificates, keys and the "
      "password file again at every reload, so that user must be able to read them: `chown sluice: server.key && chmod "
      "600 server.key`.\n"
      "\n"
      "A password file is made and changed with `sluice passwd`; nobody but its owner may read it.\n",
      "[server]\n"
      "user = sluice\n"
      "password_file = users\n"
      "max_connections = 2000\n"
      "catalog = /var/lib/sluice/catalog.db\n"
      "events_to = journal\n" },
    { "store",
      "Whoever is authenticated may read, list and write, and nobody may delete, until one of `read`, `write`, `list` "
      "and `delete` is given: from then on exactly what is granted may be done. A grant to `class:NAME` goes to "
      "whoever "
      "came in by that class, `group:NAME` to the users of a group, `partner:NAME` to a partner and to the users whose "
      "`partner` it is.\n"
      "\n"
      "A user's or partner's `home` narrows the store to one folder. It is the store's root for that visitor: paths "
      "begin there, and nothing leads out of it.\n",
      "[store main]\n"
      "root = /srv/sluice\n"
      "read = authenticated\n"
      "write = partner:node7, group:staff\n"
      "delete = user:alice\n" },
    { "server-profile",
      "The server-profile of a protocol rules every session that comes in there, before anyone is identified. The "
      "server-profile that a partner names is held against that partner's sessions as additional checks: `verify`, "
      "`ciphers`, `subject`, `issuer`, the versions, `key_usage` and `crl`, not `trust` and `depth`. A list in its "
      "`crl` counts "
      "where a certificate in its `trust` signed it.\n"
      "\n"
      "With `verify = optional` a client without a certificate, or with one that does not verify, is let into the "
      "handshake, but nothing it showed counts: it must log in with a password, or is anonymous.\n"
      "\n"
      "`offload` never weakens anything: the same suites and checks hold whoever encrypts.\n",
      "[server-profile standard]\n"
      "certificate = certs/server-ecdsa.pem, certs/server-rsa.pem\n"
      "key = certs/server-ecdsa.key, certs/server-rsa.key\n"
      "trust = certs/partners-ca.pem\n"
      "verify = optional\n"
      "crl = certs/partners.crl\n" },
    { "client-profile",
      "A client-profile rules sessions that begin here: to partners, and to the server of a protocol that has no "
      "profile "
      "of the partner's own. Without `certificate` only the server shows who it is.\n"
      "\n"
      "`hostname`, `subject` and `issuer` must all hold. `verify = none` encrypts, but to nobody knows whom; it needs "
      "`insecure = yes` and is warned about.\n",
      "[client-profile standard]\n"
      "certificate = certs/client.p12\n"
      "key_passphrase_file = certs/client.pass\n"
      "trust = certs/partners-ca.pem\n"
      "subject = O=Acme AND NOT OU=test\n" },
    { "protocol",
      "A protocol with `listen` needs a `store` and a server-profile (else `serve` does not start: P20F). Plain HTTP "
      "and "
      "TLS come in on the same port; whether plain HTTP is served is for the classes to say, and never where the "
      "profile has `verify = required`.\n",
      "[protocol files]\n"
      "listen = 0.0.0.0:8443, [::]:8443\n"
      "profile = standard\n"
      "store = main\n" },
    { "partner",
      "`host` says where it is, for transfers that begin here; the `match_` keys say which certificates are its own, "
      "for sessions that come in. Any one that fits is enough. A certificate that fits two users or partners is "
      "refused "
      "(G05E), and `sluice check` names two that can have one in common.\n"
      "\n"
      "`profile` names a client-profile for sessions to this partner, a server-profile with additional checks for its "
      "sessions to us, or both, where both have the name. Where the one that is needed is missing, `sluice check` "
      "warns: "
      "without the client-profile transfers to the partner fail (T47E), without the server-profile its sessions go on "
      "unchecked (T47W), or are refused with `strict_partner_profiles = yes`.\n",
      "[partner node7]\n"
      "host = node7.example.com:8443\n"
      "profile = standard\n"
      "match_san = DNS:node7.example.com\n" },
    { "class",
      "Classes are tried by `order`, then as they stand in the file; the first that matches decides alone. A visitor "
      "matches where one of `users`, `groups` and `partners` has its name, and `from` has its address. A class without "
      "names matches everyone, also those who have not said who they are.\n"
      "\n"
      "A visitor without a name is admitted only by a class that has `password = disabled` and does not demand a "
      "certificate; elsewhere a password is asked for (401) where one may be sent, and refused (403) where not.\n",
      "[class nodes]\n"
      "partners = *\n"
      "certificate = required\n"
      "password = disabled\n"
      "\n"
      "[class staff]\n"
      "groups = staff\n"
      "from = 10.0.0.0/8, 2001:db8::/32\n" },
    { "user",
      "A user logs in with a name and password of the password file, with a certificate that one of the `match_` keys "
      "fits, or with both where the class demands it. A name that only the password file has needs no section; it has "
      "no groups, no partner and no home. Names are letters, digits and `. _ - @ +`.\n",
      "[user alice]\n"
      "groups = staff\n"
      "match_subject = CN=alice AND O=Acme\n"
      "home = people/alice\n" },
    { "hook",
      "The program runs as the server's user, in a session of its own, with nothing of the server's but its rights: "
      "standard input is empty, the environment has `PATH`, `LANG` and the facts below, the folder is `/`. What it "
      "prints (the last 1024 bytes) and how it ended stand in an event: H01I, or H01W where it failed. Neither its "
      "failure nor its time has any effect on the transfer, which is over by then. At most 1000 runs wait, and those "
      "of "
      "each partner and user take turns; where there is no more room, one is left out of whom the most wait, which "
      "H02W tells. When the server stops, hooks have 10 s to end.\n"
      "\n"
      "`sent` means that the end of a file went out. Who fetches a file in parts, over several streams or because some "
      "of it was there already, has one run, for the part that reaches the end: `SLUICE_RANGE` says which bytes that "
      "are. Parts are requests of their own, so that others of the same file may still be under way then; that all of "
      "it has arrived only the side that fetches can tell, by its own hook for `received`. Of a directory that the "
      "queue "
      "moves there is one run, at its end, not one for each file: the paths are those of the directory.\n"
      "\n"
      "| variable | what it is; a fact that is not known has no variable |\n"
      "|---|---|\n"
      "| `SLUICE_HOOK`, `SLUICE_EVENT` | the name of the hook; `received`, `sent`, `failed` or `message` |\n"
      "| `SLUICE_ID` | the transfer in the catalog (`sluice show ID`), where there is one |\n"
      "| `SLUICE_DIRECTION` | `in`, `out` or `delete`: what a failed transfer was |\n"
      "| `SLUICE_PATH` | the path on the wire, decoded: beneath the store, or beneath the visitor's home |\n"
      "| `SLUICE_LOCAL` | the file here: an absolute path |\n"
      "| `SLUICE_PARTNER`, `SLUICE_USER` | who the other side is |\n"
      "| `SLUICE_PEER` | its address and port |\n"
      "| `SLUICE_PROTOCOL`, `SLUICE_STORE` | where it came in, and the store |\n"
      "| `SLUICE_BYTES`, `SLUICE_OFFSET` | how many were moved, and where in the file they begin |\n"
      "| `SLUICE_RANGE` | `FIRST-LAST/SIZE`, where only these bytes of the file were asked for |\n"
      "| `SLUICE_MESSAGE` | the text of a message |\n"
      "| `SLUICE_STATUS`, `SLUICE_REASON` | the status of HTTP; why it failed |\n"
      "\n"
      "`SLUICE_PATH` and `SLUICE_LOCAL` are named by whoever sent the file and may hold any byte: in a shell script "
      "write `\"$SLUICE_LOCAL\"`, in quotes, and never `eval` it.\n",
      "[hook unpack]\n"
      "on = received\n"
      "partners = node*\n"
      "command = /usr/local/bin/unpack --into \"/srv/unpacked files\"\n"
      "timeout = 10m\n" },
    { "watch",
      "`sluice serve` queues each file of the folder once it is finished: when whoever writes it closes it, or renames "
      "it into the folder. What is there when the server starts is queued, too, once it has not changed for 5 s. A "
      "writer that opens and closes a file several times should write it under a name that begins with a dot, and "
      "rename it then.\n"
      "\n"
      "What was queued stands in the catalog with its size, time and inode, so that a restart sends nothing twice; a "
      "file that changes is queued again. How often and when a transfer that failed is tried again is the partner's "
      "`retry_fast`, `retry_wait` and `retry_max`; one that has failed for good is told by Q02E, its file stays, and "
      "`sluice retry` tries it again. The server's user must be able to read the files, and to write the folders for "
      "`move` and `delete`. No symbolic link is followed.\n",
      "[watch results]\n"
      "folder = /srv/outgoing\n"
      "partner = node7\n"
      "files = *.csv, *.parquet\n"
      "to = incoming/results\n"
      "then = move\n"
      "move_to = /srv/sent\n" },
};

const struct config_page *config_page_find(const char *kind)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(pages[i].kind, kind) == 0)
            return &pages[i];
    }
    return NULL;
}
