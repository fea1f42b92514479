/* watch: prints the changes of a file of flags as they happen, whoever makes them.
 *
 *     cc -std=c99 watch.c -lflagstore -o watch
 *     watch flags.json 3 checkout.express     the next three changes of one flag
 */
#include <stdio.h>
#include <stdlib.h>

#include <flagstore.h>

typedef struct {
    long left; /* only the watch's thread touches it while the watch lives */
    flagstore_t *done;
} count_t;

/* Runs in a thread of the library. It tells main, which sleeps in flagstore_wait, by a flag. */
static void print_change(void *userdata, const char *key, const char *old_json, const char *new_json) {
    count_t *count = userdata;
    if (count->left <= 0)
        return;
    printf("%s: %s -> %s\n", key, old_json != NULL ? old_json : "(absent)",
           new_json != NULL ? new_json : "(absent)");
    fflush(stdout);
    if (--count->left == 0)
        flagstore_set_bool(count->done, "done", true, NULL);
}

int main(int argc, char **argv) {
    count_t count = {argc > 2 ? strtol(argv[2], NULL, 10) : 0, NULL};
    if (count.left < 1 || argc > 4) {
        fputs("usage: watch FILE COUNT [KEY]\n", stderr);
        return 2;
    }

    flagstore_error_t *error = NULL;
    flagstore_watch_t *watch = NULL;
    flagstore_t *flags = flagstore_file_open(argv[1], &error);
    if (flags != NULL)
        count.done = flagstore_memory_open(&error);
    if (count.done != NULL)
        watch = flagstore_watch(flags, argv[3], print_change, &count, &error);
    if (watch != NULL) {
        fputs("watching\n", stderr);
        uint64_t revision = flagstore_revision(count.done, NULL);
        while (!flagstore_get_bool(count.done, "done", false, NULL))
            flagstore_wait(count.done, &revision, -1, NULL);
    }
    int status = error != NULL;
    if (error != NULL)
        fprintf(stderr, "watch: %s\n", flagstore_error_message(error));

    flagstore_free(watch); /* from here on nothing is printed */
    flagstore_free(count.done);
    flagstore_free(flags);
    flagstore_free(error);
    return status;
}
