/* One use of a store, as listed_calls.py names it, between two calls of getppid that mark it in the trace. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flagstore.h>

static void seen(void *flags, const char *key, const char *old_json, const char *new_json) {
    (void)flags;
    (void)key;
    (void)old_json;
    (void)new_json;
}

int main(int argc, char **argv) {
    const char *what = argv[argc - 1];
    flagstore_file_options_t options = {0};
    options.size = sizeof options;
    options.read_mode = strcmp(what, "CHECKED") == 0 ? 1 : strcmp(what, "WATCHED") == 0 ? 2 : 0;
    getppid();
    flagstore_t *flags = flagstore_file_open_with("flags.json", &options, NULL);
    flagstore_watch_t *watch = strcmp(what, "watch") == 0 ? flagstore_watch(flags, NULL, seen, NULL, NULL) : NULL;
    uint64_t revision = strcmp(what, "wait") == 0 ? flagstore_revision(flags, NULL) : 0;
    for (int i = 0; i < 3; i++) {
        flagstore_get_bool(flags, "a", false, NULL);
        if (strcmp(what, "change") == 0)
            flagstore_set_int64(flags, "a", i, NULL);
        else if (revision != 0)
            flagstore_wait(flags, &revision, 100, NULL);
        usleep(30000);
    }
    flagstore_free(watch);
    flagstore_free(flags);
    getppid();
    return 0;
}
