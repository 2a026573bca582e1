#include "tests/support/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_S 10

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "scripted_server.c:%d: %s\n", __LINE__, #condition);                                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct scripted_server {
    const struct script_step *steps;
    SSL_CTX *context;
    int listener;
    uint16_t port;
    int end[2]; /* a pipe: closed when nobody will come any more */
    int word;   /* an eventfd: said by scripted_server_go_on() */
    pthread_t thread;
    struct script_notes notes;
    SSL *ssl; /* the connection; NULL: none */
    int fd;
};

uint8_t script_pattern(size_t position)
{
    return (uint8_t)(position * 31 + position / 251);
}

static void hang_up(struct scripted_server *server)
{
    if (!server->ssl)
        return;
    SSL_free(server->ssl);
    close(server->fd);
    server->ssl = NULL;
}

static void take_connection(struct scripted_server *server)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    const int on = 1;
    struct pollfd events[] = { { .fd = server->listener, .events = POLLIN }, { .fd = server->end[0] } };

    if (poll(events, 2, PATIENCE_S * 1000) <= 0 || !(events[0].revents & POLLIN))
        return;
    server->fd = accept(server->listener, NULL, NULL);
    MUST(server->fd >= 0);
    setsockopt(server->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(server->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    server->ssl = SSL_new(server->context);
    MUST(server->ssl && SSL_set_fd(server->ssl, server->fd));
    server->notes.connections++;
    if (SSL_accept(server->ssl) != 1)
        hang_up(server);
    else
        server->notes.resumed += SSL_session_reused(server->ssl) != 0;
}

static void hear_head(struct scripted_server *server)
{
    if (!server->ssl)
        take_connection(server);
    if (!server->ssl || server->notes.head_count == SCRIPT_HEADS)
        return;
    char *head = server->notes.heads[server->notes.head_count];
    size_t length = 0;
    while (length + 1 < sizeof server->notes.heads[0] && !strstr(head, "\r\n\r\n")) {
        if (SSL_read(server->ssl, head + length, 1) != 1)
            return;
        head[++length] = '\0';
    }
    server->notes.head_count++;
}

static void hear_body(struct scripted_server *server, size_t amount)
{
    uint8_t bytes[16384];
    struct script_notes *notes = &server->notes;
    while (server->ssl && amount > 0) {
        int got = SSL_read(server->ssl, bytes, (int)(amount < sizeof bytes ? amount : sizeof bytes));
        if (got <= 0)
            return;
        for (int i = 0; i < got; i++)
            notes->body_matches &= bytes[i] == script_pattern(notes->body_heard + (size_t)i);
        notes->body_heard += (size_t)got;
        amount -= (size_t)got;
    }
}

static void say_body(struct scripted_server *server, size_t amount)
{
    uint8_t bytes[16384];
    for (size_t at = 0; server->ssl && at < amount;) {
        size_t size = amount - at < sizeof bytes ? amount - at : sizeof bytes;
        for (size_t i = 0; i < size; i++)
            bytes[i] = script_pattern(at + i);
        if (SSL_write(server->ssl, bytes, (int)size) <= 0)
            return;
        at += size;
    }
}

static void await_end(struct scripted_server *server)
{
    uint8_t bytes[16384];
    int got = 1;
    while (server->ssl && got > 0)
        got = SSL_read(server->ssl, bytes, sizeof bytes);
    if (server->ssl && SSL_get_error(server->ssl, got) == SSL_ERROR_ZERO_RETURN)
        server->notes.heard_close_notify = true;
}

static void await_word(const struct scripted_server *server)
{
    struct pollfd word = { .fd = server->word, .events = POLLIN };
    poll(&word, 1, 10000);
}

static void say_goodbye(struct scripted_server *server)
{
    if (server->ssl)
        SSL_shutdown(server->ssl);
    hang_up(server);
}

/* What the client still sends is read away, so that the end arrives as an end and not as a reset. */
static void cut(struct scripted_server *server)
{
    if (server->ssl)
        shutdown(server->fd, SHUT_WR);
    await_end(server);
    hang_up(server);
}

static void *play(void *argument)
{
    struct scripted_server *server = argument;
    const struct script_step *step = server->steps;
    for (; step->verb != SCRIPT_END; step++) {
        if (step->verb == HEAR_HEAD)
            hear_head(server);
        else if (step->verb == HEAR_BODY)
            hear_body(server, step->amount);
        else if (step->verb == SAY && server->ssl)
            SSL_write(server->ssl, step->text, (int)strlen(step->text));
        else if (step->verb == SAY_BODY)
            say_body(server, step->amount);
        else if (step->verb == PAUSE)
            poll(NULL, 0, (int)step->amount);
        else if (step->verb == AWAIT_WORD)
            await_word(server);
        else if (step->verb == AWAIT_END)
            await_end(server);
        else if (step->verb == SCRIPT_CLOSE)
            say_goodbye(server);
        else if (step->verb == CUT)
            cut(server);
        else if (step->verb == HANG_UP)
            hang_up(server);
    }
    say_goodbye(server);
    return NULL;
}

static void listen_on_loopback(struct scripted_server *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(server->listener >= 0);
    MUST(bind(server->listener, (struct sockaddr *)&address, size) == 0);
    MUST(listen(server->listener, 8) == 0);
    MUST(getsockname(server->listener, (struct sockaddr *)&address, &size) == 0);
    server->port = ntohs(address.sin_port);
}

struct scripted_server *scripted_server_new(struct pki *pki, const struct script_step *steps, bool wants_certificate,
                                            unsigned version)
{
    struct scripted_server *server = calloc(1, sizeof *server);
    MUST(server);
    server->steps = steps;
    server->notes.body_matches = true;
    server->context = SSL_CTX_new(TLS_server_method());
    MUST(server->context);
    MUST(SSL_CTX_use_certificate_chain_file(server->context, pki_path(pki, "server.pem")) == 1);
    MUST(SSL_CTX_use_PrivateKey_file(server->context, pki_path(pki, "server.key"), SSL_FILETYPE_PEM) == 1);
    MUST(SSL_CTX_load_verify_locations(server->context, pki_path(pki, "ca.pem"), NULL) == 1);
    MUST(SSL_CTX_set_session_id_context(server->context, (const unsigned char *)"script", 6) == 1);
    if (wants_certificate)
        SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (version)
        MUST(SSL_CTX_set_min_proto_version(server->context, (int)version) &&
             SSL_CTX_set_max_proto_version(server->context, (int)version));
    listen_on_loopback(server);
    MUST(pipe(server->end) == 0);
    server->word = eventfd(0, EFD_CLOEXEC);
    MUST(server->word >= 0);
    signal(SIGPIPE, SIG_IGN);
    MUST(pthread_create(&server->thread, NULL, play, server) == 0);
    return server;
}

void scripted_server_go_on(struct scripted_server *server)
{
    MUST(eventfd_write(server->word, 1) == 0);
}

uint16_t scripted_server_port(const struct scripted_server *server)
{
    return server->port;
}

void scripted_server_end(struct scripted_server *server, struct script_notes *notes)
{
    close(server->end[1]);
    pthread_join(server->thread, NULL);
    close(server->end[0]);
    close(server->word);
    close(server->listener);
    SSL_CTX_free(server->context);
    if (notes)
        *notes = server->notes;
    free(server);
}
