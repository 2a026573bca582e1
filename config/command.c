/* A program and its arguments: words between blanks. Quotes and backslashes hold blanks, as in a shell; nothing else
 * that a shell does is done. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Copies what stands in quotes, *at on the first of them. False: there is no second. */
static bool take_quoted(const char **at, char **out)
{
    char quote = *(*at)++;
    for (; **at && **at != quote; (*at)++) {
        bool escape = quote == '"' && **at == '\\' && ((*at)[1] == '"' || (*at)[1] == '\\');
        *at += escape;
        *(*out)++ = **at;
    }
    if (!**at)
        return false;
    (*at)++;
    return true;
}

/* Copies one word, *at on its first byte. NULL, or what is wrong with it. */
static const char *take_word(const char **at, char *out)
{
    while (**at && !is_blank(**at)) {
        if (**at == '"' || **at == '\'') {
            if (!take_quoted(at, &out))
                return "has a quote without its second: add it, or write \\ before the first";
            continue;
        }
        *at += **at == '\\' && (*at)[1];
        *out++ = *(*at)++;
    }
    *out = 0;
    return NULL;
}

static int add_words(const struct job *job, char *word)
{
    struct config_list *list = value_field(job);
    for (const char *at = job->text; *at;) {
        if (is_blank(*at)) {
            at++;
            continue;
        }
        const char *problem = take_word(&at, word);
        if (problem)
            return refuse(job, "%s", problem);
        if (list->count == CONFIG_LIST_MAX)
            return refuse(job, "has more than %d words: put them into a script", CONFIG_LIST_MAX);
        int result = config_list_add(list, word);
        if (result)
            return result;
    }
    return 0;
}

int value_set_command(const struct job *job)
{
    const struct config_list *list = value_field(job);
    char *word = malloc(strlen(job->text) + 1);
    if (!word)
        return -ENOMEM;
    int result = add_words(job, word);
    free(word);
    if (result)
        return result;
    const char *program = list->items[0];
    if (program[0] != '/')
        return refuse(job, "\"%s\" is not an absolute path: write where the program is, such as /usr/local/bin/%s",
                      program, program[0] ? program : "unpack");
    return 0;
}
