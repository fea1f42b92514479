/* Row 13: a process that reads one flag of a file, as a script would start it. */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Runs the program to its end, `count` times. */
static void run(void *state, size_t count) {
    char *const *arguments = state;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    for (size_t i = 0; i < count; i++) {
        pid_t child;
        int status = -1;
        if (posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ)) die("cannot run %s", arguments[0]);
        if (waitpid(child, &status, 0) != child || status) die("%s ended with status %#x", arguments[0], (unsigned)status);
    }
    posix_spawn_file_actions_destroy(&actions);
}

void process_row(void) {
    const dataset *data = dataset_of(1000);
    char *path = file_of(data, "process"), *key = data->keys[data->bools[0]];
    char *ours[] = {text_of("%s/flagctl", config.programs), path, "get", key, NULL};
    char *cjson[] = {text_of("%s/cjson_get", config.programs), path, key, NULL};
    char *jq[] = {"jq", text_of(".\"%s\"", key), path, NULL};
    bool have_jq = system("command -v jq >/dev/null") == 0;
    contestant all[] = {{.name = "ours", .run = run, .state = ours},
                        {.name = "a C program with cJSON", .run = run, .state = cjson},
                        {.name = "jq", .run = run, .state = jq}};
    measure(all, have_jq ? 3 : 2, 3);
    report(13, "the process flagctl get", data->count, &all[0], &all[1], MOST(1.2));
    if (have_jq) report(13, "the process flagctl get", data->count, &all[0], &all[2], LEAST(10));
    else report_missing(13, "the process flagctl get / jq", data->count, LEAST(10), "jq is not installed");
}
