/*
 * The floor: the least that a server can do to move a file over TLS with kTLS. One connection at a time, a handshake,
 * the keys into the kernel, and then one loop of sendfile(2), or of recv(2) and write(2). Handshake and keys are
 * ktls/'s; there is no ring, no worker, no store, no limit, and it believes what it is told. Not a server for anything
 * but the bench.
 *
 *     floor SITE.ini PORT FOLDER      the first server-profile of SITE.ini; GET and PUT of FOLDER/NAME
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/errors.h"
#include "ktls/channel.h"

#define HEAD_MAX 4096
#define BUFFER ((size_t)256 << 10)

static char buffer[BUFFER] __attribute__((aligned(4096)));

/* Goes on after -EAGAIN once the socket is ready: 1; 0: it was another error. */
static int again(struct channel *channel, ssize_t result)
{
    struct pollfd ready = { .fd = channel_fd(channel), .events = channel_events(channel) };
    return result == -EAGAIN && poll(&ready, 1, -1) == 1;
}

static bool say(struct channel *channel, const char *text, size_t length)
{
    ssize_t result;
    while ((result = channel_write(channel, text, length)) > 0 || again(channel, result)) {
        text += result > 0 ? result : 0;
        length -= result > 0 ? (size_t)result : 0;
        if (length == 0)
            break;
    }
    while ((result = channel_flush(channel)) != 0 && again(channel, result))
        ;
    return result == 0;
}

static bool install(struct channel *channel, enum channel_way way, int file, size_t *left)
{
    int result;
    while ((result = channel_switch(channel, way, UINT64_MAX)) == -EAGAIN) {
        ssize_t got = way == CHANNEL_RX ? channel_read(channel, buffer, BUFFER) : channel_flush(channel);
        if (got > 0 && (size_t)got <= *left && write(file, buffer, (size_t)got) == got)
            *left -= (size_t)got;
        else if (got != 0 && !again(channel, got))
            return false;
    }
    return result == 0;
}

static bool get(struct channel *channel, int file)
{
    struct stat facts;
    char head[128];
    if (fstat(file, &facts) != 0)
        return false;
    int length =
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", (long long)facts.st_size);
    if (!say(channel, head, (size_t)length) || !install(channel, CHANNEL_TX, -1, NULL))
        return false;
    off_t at = 0;
    while (at < facts.st_size && sendfile(channel_fd(channel), file, &at, (size_t)(facts.st_size - at)) > 0)
        ;
    return at == facts.st_size;
}

static bool put(struct channel *channel, int file, size_t left, const char *early, size_t early_length)
{
    if (write(file, early, early_length) != (ssize_t)early_length)
        return false;
    left -= early_length;
    if (!install(channel, CHANNEL_RX, file, &left))
        return false;
    while (left > 0) {
        ssize_t got = recv(channel_fd(channel), buffer, left < BUFFER ? left : BUFFER, 0);
        if (got < 0 && errno == EIO && channel_control(channel) == 0)
            continue;
        if (got <= 0 || write(file, buffer, (size_t)got) != got)
            return false;
        left -= (size_t)got;
    }
    return say(channel, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 43);
}

static bool answer(struct channel *channel, int folder)
{
    char head[HEAD_MAX + 1], *end = NULL, name[64];
    size_t length = 0;
    while (!end && length < HEAD_MAX) {
        ssize_t got = channel_read(channel, head + length, HEAD_MAX - length);
        if (got <= 0 && !again(channel, got))
            return false;
        length += got > 0 ? (size_t)got : 0;
        head[length] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    const char *size = strcasestr(head, "\r\nContent-Length:");
    bool writing = strncmp(head, "PUT", 3) == 0;
    if (!end || sscanf(head, "%*3s /%63[a-z0-9.-] HTTP/1.1", name) != 1)
        return false;
    int file = openat(folder, name, writing ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY, 0644);
    if (file < 0)
        return false;
    size_t early = length - (size_t)(end + 4 - head);
    bool done =
        writing ? put(channel, file, size ? strtoul(size + 17, NULL, 10) : 0, end + 4, early) : get(channel, file);
    close(file);
    return done;
}

int main(int argc, char **argv)
{
    struct config_errors errors = { 0 };
    struct config *config = argc == 4 ? config_load(argv[1], &errors) : NULL;
    struct tls_context *context = config ? tls_context_new(&config->profiles[0], "floor", &errors) : NULL;
    int folder = context ? open(argv[3], O_PATH | O_DIRECTORY) : -1, listener = socket(AF_INET, SOCK_STREAM, 0),
        one = 1;
    config_errors_print(&errors, stderr);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    address.sin_port = htons((uint16_t)(argc == 4 ? atoi(argv[2]) : 0));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (folder < 0 || bind(listener, (void *)&address, sizeof address) != 0 || listen(listener, 64) != 0) {
        fputs("usage: floor SITE.ini PORT FOLDER\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct channel *channel = channel_accept(context, accept(listener, NULL, NULL), &ktls_sys_linux);
        int result = -ENOMEM;
        while (channel && (result = channel_handshake(channel)) != 0 && again(channel, result))
            ;
        while (result == 0 && answer(channel, folder))
            ;
        channel_free(channel);
    }
}
