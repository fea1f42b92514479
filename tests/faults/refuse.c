/* Runs a command whose system calls with these numbers are refused.

     refuse ERRNO NUMBER... -- COMMAND... */
#include "refused_calls.h"

int main(int count, char **arguments) {
    struct filter filter = {.error = count > 1 ? atoi(arguments[1]) : 0};
    int at = 2;
    for (; at < count && !is(arguments[at], "--") && filter.count < MAX_CALLS; at++)
        filter.numbers[filter.count++] = atoi(arguments[at]);
    if (at + 1 >= count) die("see the top of refuse.c");
    install(&filter);
    execv(arguments[at + 1], arguments + at + 1);
    die("%s: %s", arguments[at + 1], strerror(errno));
}
