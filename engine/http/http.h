/*
 * HTTP/1.1 requests and responses as values (RFC 9110, RFC 9112). Nothing here does I/O.
 *
 * Reading: a reader is fed bytes until it has a whole head, which is then a checked value: request line or status line,
 * fields, framing of the body. Everything malformed or ambiguous is refused with the status a server should answer.
 * The same reader then decodes a chunked body. The parser behind it is a library's, and only parser_*.c know which.
 * A head may hold a password (Authorization): a reader overwrites its bytes before it forgets them.
 */
#ifndef SLUICE_HTTP_H
#define SLUICE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define HTTP_FIELDS_MAX 128

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_DELETE, HTTP_POST, HTTP_OTHER };
enum http_framing { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_TO_END /* responses only */ };

struct http_field {
    const char *name;  /* as sent; compare without case */
    const char *value; /* without surrounding white space; NUL-terminated, holds no control characters but tab */
};

/* A head. Strings live in the reader, until http_reader_next(). */
struct http_head {
    unsigned minor; /* HTTP/1.minor */
    bool keep_alive;
    enum http_framing framing;
    uint64_t length; /* for HTTP_BODY_LENGTH, and what the answer to a HEAD announces */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;

    /* requests */
    enum http_method method;
    const char *method_name;
    const char *target; /* as sent: origin form, or absolute form with scheme and authority cut off */
    const char *host;   /* value of Host, or the authority of an absolute form; "" for HTTP/1.0 without one */
    bool expect_continue;

    /* responses */
    unsigned status;
};

struct http_reader;

enum http_side { HTTP_REQUESTS, HTTP_RESPONSES };
enum http_progress { HTTP_MORE, HTTP_COMPLETE, HTTP_REFUSED };

/* `limit`: bytes of one head. NULL: no memory. */
struct http_reader *http_reader_new(enum http_side side, size_t limit);
void http_reader_free(struct http_reader *reader);

/* Forgets the last message and makes ready for the next. For a client: `to_head` says the request was HEAD. */
void http_reader_next(struct http_reader *reader, bool to_head);

/*
 * Feeds bytes of a head. *used: how many were taken (on HTTP_COMPLETE the body starts right after them).
 * HTTP_REFUSED: http_reader_refusal() says which status to answer and why.
 */
enum http_progress http_reader_head(struct http_reader *reader, const char *bytes, size_t length, size_t *used);
const struct http_head *http_reader_result(const struct http_reader *reader);
unsigned http_reader_refusal(const struct http_reader *reader, const char **why); /* 400, 414, 431, 501, 505; else 0 */
bool http_reader_began(const struct http_reader *reader);                         /* some bytes of a head were fed */

/*
 * Decodes bytes of a chunked body in place, as a pump's filter does: the body bytes move to the front of `bytes`.
 * Returns their number, or -EBADMSG. *end: the body, trailers included, is over; *used input bytes belonged to it.
 */
ssize_t http_reader_chunked(struct http_reader *reader, char *bytes, size_t length, size_t *used, bool *end);

/* The value of the first field of that name, or NULL. */
const char *http_field(const struct http_head *head, const char *name);
/* Overwrites the values of all fields of that name in the reader's memory; they are "" from here on. */
void http_field_wipe(const struct http_head *head, const char *name);
/* All fields of that name as one list, joined by ", " into `buffer`. NULL where there is none or it does not fit. */
const char *http_field_joined(const struct http_head *head, const char *name, char *buffer, size_t size);

/*
 * The path of a target: percent-decoded, without query, without its leading slash ("" for "/"). 0, or -EINVAL: a bad
 * escape, a NUL, no leading slash; -ENAMETOOLONG; `path` then is what stands before that. Dots are left alone: the
 * store decides what may be reached.
 */
int http_target_path(const char *target, char *path, size_t size);
/* The reverse: percent-encodes what may not stand in a path. Keeps slashes, adds none. 0 or -ENAMETOOLONG. */
int http_path_encode(const char *path, char *target, size_t size);

/*
 * In a GET: send the body no faster than so many bytes per second, as config/rate.h writes them. In the answer: what it
 * is held to, in bytes per second. A server that knows nothing of it does not answer with it.
 */
#define HTTP_LIMIT_RATE "Sluice-Limit-Rate"
/*
 * In a PUT: "rename": where the name is taken, take the first free one of NAME.1, NAME.2 and so on; the answer then
 * says which in Location (RFC 9110, 10.2.2). In a HEAD, whatever its value: an
 * orderly question whether there is such a file, to which 404 is no failure. In the answer to that: the server knows
 * "rename". In a 409, "fail": the store lets no file be replaced.
 */
#define HTTP_IF_EXISTS "Sluice-If-Exists"
#define HTTP_IF_EXISTS_RENAME "rename"

/*
 * Files with holes, which read as zeros. In a GET with a Range, Sluice-Want-Data: yes: whoever asks can leave holes
 * out. Then the answer may have Sluice-Data: all ranges of the file that are data, inclusive as those of Content-Range,
 * or "none"; and its part is the first run of data within the Range (a byte, where there is none). Sluice-Holes in a
 * PUT of an upload in parts, which has no body: "bytes 0-99,200-299/1000", which of a file of 1000 bytes are holes.
 * 204: they are there. Whoever does not know of it refuses it, and is sent the zeros.
 */
#define HTTP_WANT_DATA "Sluice-Want-Data"
#define HTTP_DATA "Sluice-Data"
#define HTTP_HOLES "Sluice-Holes"
#define HTTP_YES "yes"

struct http_range {
    uint64_t first, length;
};
enum http_range_verdict { HTTP_RANGE_IGNORED, HTTP_RANGE_ONE, HTTP_RANGE_UNSATISFIABLE };
/*
 * A Range field against a representation of `size` bytes (RFC 9110, 14). Several ranges are ignored: the whole is sent.
 */
enum http_range_verdict http_range(const char *value, uint64_t size, struct http_range *range);
/* Content-Range of a 206: first, length and complete size. 0 or -EINVAL. `complete` UINT64_MAX for "*". */
int http_content_range(const char *value, struct http_range *range, uint64_t *complete);

#define HTTP_DATE_SIZE 30
void http_date(time_t when, char text[HTTP_DATE_SIZE]);
int http_date_parse(const char *text, time_t *when); /* the three forms of RFC 9110, 5.6.7; 0 or -EINVAL */

/*
 * Messages (RFC 8615): POST to the path leaves one, the answer to which has its id; GET PATH/ID tells its sender what
 * became of it.
 */
#define HTTP_MESSAGES_PATH ".well-known/sluice/messages"
#define HTTP_MESSAGE "Sluice-Message"
#define HTTP_MESSAGE_ID "Sluice-Message-Id" /* what the sender calls it, so that it can be sent again */
#define HTTP_MESSAGE_STATE "Sluice-Message-State"
#define HTTP_MESSAGE_STORED "stored"
#define HTTP_MESSAGE_ACKNOWLEDGED "acknowledged"

/*
 * Our own fields for what a file has beside its bytes: in answers to GET and HEAD, and in a PUT.
 * Modified: seconds since 1970 and nine digits of nanoseconds, "1700000000.123456789"; the nanoseconds count forward,
 * also from a negative number. Mode: the permission bits, "0644".
 */
#define HTTP_MODIFIED "Sluice-Modified"
#define HTTP_MODE "Sluice-Mode"
#define HTTP_TIME_SIZE 32
void http_time(const struct timespec *when, char text[HTTP_TIME_SIZE]);
int http_time_parse(const char *text, struct timespec *when); /* 0 or -EINVAL */
int http_mode_parse(const char *text, unsigned *mode); /* 0 or -EINVAL: not three or four octal digits, above 0777 */

/*
 * In a PUT: what is to be made is no file. "directory": without a body, with Modified and Mode as above, also where it
 * is there already; "link": a symbolic link, whose target is the body, 1 to HTTP_LINK_MAX bytes, not encoded. In an
 * OPTIONS that has it: the answer has it too, with those of both that the server takes. A server that knows nothing of
 * it would store the target as a file: who has not asked must not send it.
 */
#define HTTP_TYPE "Sluice-Type"
#define HTTP_TYPE_DIRECTORY "directory"
#define HTTP_TYPE_LINK "link"
#define HTTP_LINK_MAX 4095

/*
 * The media type of a manifest: a directory and all beneath it, one JSON object per line (NDJSON):
 *
 *     {"path":"a%20b/c","type":"file","size":5,"mtime":"1700000000.000000000","mode":"0644","etag":"\"..\""}
 *     {"path":"a%20b","type":"directory","mtime":..,"mode":..}
 *     {"path":"l","type":"link","target":"a%20b/c","to":"file","size":5,"mtime":..,"mode":..,"etag":..}
 *     {"path":"locked","type":"fault","reason":"Permission denied"}
 *     {"end":true,"entries":4}
 *
 * Paths are relative to the directory; they and targets are percent-encoded as http_path_encode() does, for they are
 * any bytes. A directory comes before what is in it. A link has "to" ("file" or "directory", with the facts of what it
 * leads to) only where it leads to something that is served; of one that leads out of the store no more is told than
 * the target "/". Without the last line it is not whole.
 */
#define HTTP_MANIFEST "application/x-sluice-manifest"

/*
 * The preconditions of a request against a representation, in the order of RFC 9110, 13.2.2. `etag` NULL: nothing
 * exists there. Returns 0 (go on), 304 or 412. *range_holds: If-Range allows the Range.
 */
unsigned http_preconditions(const struct http_head *request, const char *etag, time_t modified, bool *range_holds);

const char *http_reason(unsigned status);

/* Appends text to a head being built. Once it did not fit, `overflow` stays set. */
struct http_writer {
    char *bytes;
    size_t capacity, length;
    bool overflow;
};
void http_write(struct http_writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void http_write_text(struct http_writer *writer, const char *text); /* as it is */
void http_write_number(struct http_writer *writer, uint64_t number);
void http_write_field(struct http_writer *writer, const char *name, const char *value);
void http_write_status(struct http_writer *writer, unsigned status); /* status line and Date */
void http_write_end(struct http_writer *writer);

/* JSON (quotes included) and HTML text: escapes into the writer. Bytes that are not UTF-8 become U+FFFD. */
void http_write_json_string(struct http_writer *writer, const char *text);
void http_write_html(struct http_writer *writer, const char *text);

#endif
