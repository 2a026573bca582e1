#include "engine/cli/secret.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

/* What was before the echo was switched off. */
struct silence {
    struct termios terminal;
    struct sigaction actions[SIGNALS];
    sigset_t mask;
};

static volatile sig_atomic_t caught;

static void note_signal(int number)
{
    caught = number;
}

/* With a mask: waits under it, and signals end the waiting. So none is missed between looking and reading. */
static ssize_t read_byte(int fd, const sigset_t *mask, char *byte)
{
    for (;;) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        if (mask && ppoll(&ready, 1, NULL, mask) < 0) {
            if (errno != EINTR || caught)
                return -errno;
            continue;
        }
        ssize_t got = read(fd, byte, 1);
        if (got >= 0 || errno != EINTR)
            return got < 0 ? -errno : got;
    }
}

static ssize_t read_line(int fd, const sigset_t *mask, char *secret, size_t size)
{
    for (size_t length = 0;;) {
        char byte;
        ssize_t got = read_byte(fd, mask, &byte);
        if (got < 0)
            return got;
        if (got == 0 && length == 0)
            return -ENODATA;
        if (got == 0 || byte == '\n') {
            secret[length] = 0;
            return (ssize_t)length;
        }
        if (length == size - 1)
            return -EMSGSIZE;
        secret[length++] = byte;
    }
}

ssize_t secret_from_input(int fd, char *secret, size_t size)
{
    return read_line(fd, NULL, secret, size);
}

/* `before->terminal` is given. Whatever it returns, end_silence() follows. */
static int begin_silence(int fd, struct silence *before)
{
    struct sigaction action = { .sa_handler = note_signal };
    sigset_t held;
    sigemptyset(&held);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(&held, signals[i]);
    sigprocmask(SIG_BLOCK, &held, &before->mask);
    caught = 0;
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &action, &before->actions[i]);
    struct termios silent = before->terminal;
    silent.c_lflag &= (tcflag_t)~ECHO;
    silent.c_lflag |= ECHONL;
    return tcsetattr(fd, TCSAFLUSH, &silent) == 0 ? 0 : -errno;
}

static void end_silence(int fd, const struct silence *before)
{
    tcsetattr(fd, TCSAFLUSH, &before->terminal);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before->actions[i], NULL);
    sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

ssize_t secret_from_terminal(int fd, const char *prompt, char *secret, size_t size)
{
    for (;;) {
        struct silence before;
        if (tcgetattr(fd, &before.terminal) != 0)
            return -errno;
        ssize_t result = begin_silence(fd, &before);
        if (result == 0) {
            fputs(prompt, stderr);
            result = read_line(fd, &before.mask, secret, size);
        }
        end_silence(fd, &before);
        int number = caught;
        if (!number)
            return result;
        fputc('\n', stderr);
        raise(number); /* comes back only where it was stopped and continued, or the signal is ignored */
    }
}
