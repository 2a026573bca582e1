#include "engine/event/event.h"

const struct event_description event_descriptions[] = {
    /* S: the server as a whole */
    { "S01I", "the server has started: version, workers, who can encrypt bodies" },
    { "S02I", "the server has stopped" },
    { "S03I", "a protocol listens: its address and the port it got" },
    { "S04W", "a connection was closed at once: a limit on connections is reached" },
    { "S06W", "a listener cannot accept for the moment (descriptors, memory): it pauses and goes on" },
    { "S07F", "a worker has ended because of an error: its connections are gone" },
    { "S10I", "the configuration was read again: new sessions follow it, running ones keep theirs" },
    { "S10E", "the configuration was not taken over: what is wrong with it; the old one stays" },
    { "S11W", "the configuration was read again, but for settings that take a restart" },
    { "S12W", "there is no journal, which events_to names: events go to standard error" },
    { "S79W", "a certificate that is used or trusted expires soon: subject, days left, who uses it" },
    { "S79E", "a certificate that is used or trusted has expired" },
    { "P20F", "a server-profile is missing or unusable: the server does not start" },
    /* Y: sessions */
    { "Y13E", "a handshake failed on this side: the reason, and the alert that was sent" },
    { "Y14I",
      "a session is open: version, suite, group, authentication, resumed or not, who encrypts each direction and "
      "why" },
    { "Y21I", "the peer's certificate was accepted: subject, issuer, serial, days left" },
    { "Y23I", "our certificate was sent: subject, issuer, serial, days left" },
    { "Y24W", "the peer's chain could not be saved in save_chain" },
    { "Y30E", "a handshake failed at the peer: the alert it sent" },
    { "Y31W", "the peer ended its stream without close_notify: what it sent last may be cut short" },
    { "Y32W", "a plain connection was refused: this protocol speaks TLS only" },
    { "Y33E", "a session was ended: what the peer sent, or how it went on, is against the protocol" },
    /* G: the gate: who is it, and may they */
    { "G01I", "a session is somebody's: user or partner, class, and what authenticated them" },
    { "G02W", "a login failed: the password does not hold, or there is no such user" },
    { "G03W", "a visitor was refused: no class matches, or the class demands what was not shown" },
    { "G04W", "an address is refused unheard for a while: too many failed logins came from it" },
    { "G05E", "a certificate was refused: it belongs to two users or partners" },
    { "G06W", "a user who is disabled was refused" },
    { "G07W", "a plain connection was refused before any password: TLS is required" },
    { "T47W", "a partner's server-profile is missing: its additional checks are not run" },
    { "T47E", "a partner's client-profile is missing: the transfer was not tried" },
    { "T48E", "a partner's additional check failed: which, what was wanted and what was found" },
    /* K: the kernel path */
    { "K01W", "this kernel cannot encrypt: what is missing and how to get it; OpenSSL does it" },
    { "K02W", "a session was ended: the peer changed its keys (KeyUpdate), and this kernel cannot follow" },
    { "K03W", "a session was ended: its key protected as many records as it may, and this kernel cannot renew it" },
    /* T: transfers */
    { "T01I", "a transfer is done: direction, path, bytes, time, who encrypted and why" },
    { "T01E", "a transfer failed: how far it came and why" },
    { "T15W", "a limit on the rate could not be set: what is sent goes without it" },
    { "T02W", "a request was refused: its status and the reason" },
    { "T14I", "a part of an upload has come; T01I follows when the whole has its name" },
    { "T14W", "a part of an upload ended early: how far it came, which counts, and why" },
    { "T15W", "an upload's map could not be written: after a crash, what came since is sent again" },
    { 0 },
};
