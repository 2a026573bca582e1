/* A line that nobody is to see: typed at a terminal without echo, or read from a pipe. */
#ifndef SLUICE_CLI_SECRET_H
#define SLUICE_CLI_SECRET_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads a line from `fd` into `secret`, without its newline, ended by NUL. Returns its length; -ENODATA: the input has
 * ended; -EMSGSIZE: the line does not fit into `size`; or -errno. Nothing behind the newline is read.
 */
ssize_t secret_from_input(int fd, char *secret, size_t size);

/*
 * The same from a terminal, after `prompt` was written to standard error. Signals that end or stop the process put the
 * terminal back first; continued, it prompts again.
 */
ssize_t secret_from_terminal(int fd, const char *prompt, char *secret, size_t size);

#endif
