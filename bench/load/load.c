/*
 * The client of the instruction counts: asks one server over TLS 1.3, AES-128-GCM, and compares every byte.
 *
 *     load get PORT PATH BYTES COUNT CONNECTIONS    COUNT requests for a body of BYTES, one under way on each
 * connection load put PORT PATH BYTES COUNT 1              COUNT bodies load full|resumed PORT - 0 COUNT 1 COUNT
 * handshakes one after the other, each with its own connection
 *
 * It first does a COUNT of its own (the warm-up: get and put once on each connection, ten handshakes), says "ready" and
 * waits for a line; then does the work, says "done", waits for a line again, with its connections still open, and ends.
 * So whoever started it can read the server's clocks while the server has nothing to do. 1: something was not as it
 * should be.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define CONNECTIONS_MAX 64
#define PERIOD 65521 /* of the pattern that all bodies have: no multiple of anything that a path might mix up */
#define ROOM 65536
#define WARM_HANDSHAKES 10

struct connection {
    SSL *ssl;
    size_t got, head; /* bytes of the answer's body; of its head, while that is not complete */
    char text[1024];
    bool busy, in_body;
};

static struct connection connections[CONNECTIONS_MAX];
static unsigned char pattern[PERIOD + ROOM];
static char room[ROOM];
static SSL_CTX *context;
static SSL_SESSION *session;
static int port;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int keep_session(SSL *ssl, SSL_SESSION *fresh)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = fresh;
    return 1;
}

static SSL *connect_to(bool resume)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (void *)&address, sizeof address) != 0)
        fail("nobody listens");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL *ssl = SSL_new(context);
    if (!ssl || !SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, "localhost"))
        fail("no memory");
    if (resume && !SSL_set_session(ssl, session))
        fail("the server gave no ticket");
    if (SSL_connect(ssl) != 1)
        fail("the handshake failed");
    if (SSL_session_reused(ssl) != resume)
        fail(resume ? "the session was not resumed" : "a session was resumed");
    return ssl;
}

static void close_down(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
}

static void send_all(SSL *ssl, const void *bytes, size_t length)
{
    size_t sent;
    if (SSL_write_ex(ssl, bytes, length, &sent) != 1 || sent != length)
        fail("cannot send");
}

/* ---- handshakes ---- */

static void handshakes(long count, bool resume)
{
    while (count-- > 0) {
        SSL *ssl = connect_to(resume);
        SSL_shutdown(ssl);
        while (SSL_read(ssl, room, ROOM) > 0) /* the tickets come in here, and then the server's close_notify */
            fail("the server speaks unasked");
        close_down(ssl);
    }
}

/* ---- put ---- */

static void read_head(SSL *ssl)
{
    size_t length = 0;
    while (!memmem(room, length, "\r\n\r\n", 4)) {
        int got = SSL_read(ssl, room + length, (int)(ROOM - length));
        if (got <= 0)
            fail("the server hung up");
        length += (size_t)got;
    }
    if (memcmp(room, "HTTP/1.1 20", 11) != 0)
        fail("the server refused");
}

static void put(const char *path, size_t bytes, long count)
{
    SSL *ssl = connections[0].ssl;
    while (count-- > 0) {
        char head[256];
        int length = snprintf(head, sizeof head, "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                              path, bytes);
        send_all(ssl, head, (size_t)length);
        for (size_t at = 0; at < bytes;) {
            size_t step = bytes - at < ROOM ? bytes - at : ROOM;
            send_all(ssl, pattern + at % PERIOD, step);
            at += step;
        }
        read_head(ssl);
    }
}

/* ---- get ---- */

static void ask(struct connection *connection, const char *path)
{
    char head[256];
    int length = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    send_all(connection->ssl, head, (size_t)length);
    connection->got = connection->head = 0;
    connection->busy = true;
    connection->in_body = false;
}

static void take_body(struct connection *connection, const char *bytes, size_t length, size_t whole)
{
    if (connection->got + length > whole || memcmp(bytes, pattern + connection->got % PERIOD, length) != 0)
        fail("other bytes came than were asked for");
    connection->got += length;
    connection->busy = connection->got < whole;
}

static void take(struct connection *connection, char *bytes, size_t length, size_t whole)
{
    if (connection->in_body) {
        take_body(connection, bytes, length, whole);
        return;
    }
    size_t before = connection->head;
    if (before + length > ROOM)
        fail("the head of the answer is too long");
    size_t part = sizeof connection->text - before < length ? sizeof connection->text - before : length;
    memcpy(connection->text + before, bytes, part);
    connection->head += part;
    char *end = memmem(connection->text, connection->head, "\r\n\r\n", 4);
    if (!end && connection->head == sizeof connection->text)
        fail("the head of the answer is too long");
    if (!end)
        return;
    if (memcmp(connection->text, "HTTP/1.1 200", 12) != 0)
        fail("the server refused");
    size_t head = (size_t)(end + 4 - connection->text) - before;
    connection->in_body = true;
    if (head < length || whole == 0)
        take_body(connection, bytes + head, length - head, whole);
}

/* Reads what there is; the socket is in blocking mode, so no more than poll() has promised is asked for. */
static void read_some(struct connection *connection, size_t whole)
{
    do {
        int got = SSL_read(connection->ssl, room, ROOM);
        if (got <= 0)
            fail("the server hung up");
        take(connection, room, (size_t)got, whole);
    } while (SSL_has_pending(connection->ssl) && connection->busy);
}

static void get(const char *path, size_t bytes, long count, int width)
{
    struct pollfd ready[CONNECTIONS_MAX];
    long asked = 0, answered = 0;
    for (int i = 0; i < width; i++) {
        ready[i] = (struct pollfd){ .fd = SSL_get_fd(connections[i].ssl), .events = POLLIN };
        if (asked++ < count)
            ask(&connections[i], path);
    }
    while (answered < count) {
        if (poll(ready, (nfds_t)width, -1) <= 0)
            fail("cannot wait");
        for (int i = 0; i < width; i++) {
            if (!ready[i].revents || !connections[i].busy)
                continue;
            read_some(&connections[i], bytes);
            if (connections[i].busy)
                continue;
            answered++;
            if (asked++ < count)
                ask(&connections[i], path);
        }
    }
}

/* ---- */

static void tell(const char *word)
{
    char line[16];
    puts(word);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(1);
}

static void prepare(void)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (unsigned char)(i % PERIOD * 131 + i % PERIOD / 256 + 7);
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set1_groups_list(context, "X25519"))
        fail("OpenSSL cannot be set up");
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 4 * ROOM);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fputs("usage: load get|put|full|resumed PORT PATH BYTES COUNT CONNECTIONS\n", stderr);
        return 2;
    }
    const char *what = argv[1], *path = argv[3];
    size_t bytes = strtoul(argv[4], NULL, 10);
    long count = atol(argv[5]);
    int width = atoi(argv[6]);
    if (width < 1 || width > CONNECTIONS_MAX)
        fail("1 to 64 connections");
    port = atoi(argv[2]);
    prepare();
    bool getting = strcmp(what, "get") == 0, putting = strcmp(what, "put") == 0, resume = strcmp(what, "resumed") == 0;
    if (getting || putting) {
        for (int i = 0; i < width; i++)
            connections[i].ssl = connect_to(false);
        getting ? get(path, bytes, width, width) : put(path, bytes, 1);
    } else {
        handshakes(1, false);
        handshakes(WARM_HANDSHAKES, resume);
    }
    tell("ready");
    if (getting)
        get(path, bytes, count, width);
    else if (putting)
        put(path, bytes, count);
    else
        handshakes(count, resume);
    tell("done");
    return 0;
}
