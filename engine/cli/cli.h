/* One file per subcommand; main.c only dispatches. Each gets its own argv (argv[0] is the subcommand) and returns the
 * exit code. */
#ifndef SLUICE_CLI_H
#define SLUICE_CLI_H

int cli_serve(int argc, char **argv);
int cli_get(int argc, char **argv);
int cli_put(int argc, char **argv);
int cli_ls(int argc, char **argv);
int cli_history(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_cert(int argc, char **argv);
int cli_passwd(int argc, char **argv);
int cli_order(int argc, char **argv); /* retry, hold, release, cancel */
int cli_message(int argc, char **argv);
int cli_messages(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_import_cft(int argc, char **argv);

/* The configuration file where -c is not given: $SLUICE_CONFIG, else /etc/sluice/sluice.ini. */
const char *cli_config_file(void);

#endif
