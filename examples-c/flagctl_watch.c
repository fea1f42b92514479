/* flagctl watch: prints changes as they happen. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flagctl.h"

/* The callback runs in a thread of the library, one call at a time. When it has seen enough it tells the main thread,
 * which waits for that, by changing a store in memory. */
typedef struct {
    flagstore_t *over;
    long left; /* how many changes are still to be printed; -1: any number */
} watch_t;

static void print_key(const char *key) {
    if (*key != '\0' && key[strcspn(key, "\\: \"\n\r\t")] == '\0') {
        fputs(key, stdout);
        return;
    }
    /* As a JSON string, which the library spells. */
    flagstore_t *scratch = flagstore_memory_open(NULL);
    flagstore_set_string(scratch, "key", key, NULL);
    char *json = flagstore_get(scratch, "key", NULL);
    fputs(json != NULL ? json : key, stdout);
    flagstore_free(json);
    flagstore_free(scratch);
}

static void print_change(void *userdata, const char *key, const char *old_json, const char *new_json) {
    watch_t *watch = userdata;
    (void)old_json;
    if (watch->left == 0)
        return;
    print_key(key);
    printf(new_json != NULL ? ": %s\n" : ":%s\n", new_json != NULL ? new_json : "");
    if (watch->left > 0)
        watch->left--;
    if (fflush(stdout) != 0)
        watch->left = 0;
    if (watch->left == 0)
        flagstore_set_bool(watch->over, "over", true, NULL);
}

/* False if the words are not [KEY] [--count N]. */
static bool understand(char **words, const char **key, long *count) {
    for (; *words != NULL; words++) {
        if (strcmp(*words, "--count") == 0) {
            char *end, *number = words[1] != NULL ? *++words : "";
            *count = strtol(number, &end, 10);
            if (*count < 1 || *end != '\0')
                return false;
        } else if (*key == NULL) {
            *key = *words;
        } else {
            return false;
        }
    }
    return true;
}

int watch_changes(flagstore_t *flags, char **words) {
    const char *key = NULL;
    watch_t watch = {NULL, -1};
    if (!understand(words, &key, &watch.left)) {
        fputs("flagctl: usage: flagctl [FILE] watch [KEY] [--count N]\n", stderr);
        return FAILED;
    }
    flagstore_error_t *error = NULL;
    flagstore_watch_t *handle = NULL;
    watch.over = flagstore_memory_open(&error);
    if (watch.over != NULL)
        handle = flagstore_watch(flags, key, print_change, &watch, &error);
    if (handle != NULL) {
        fputs("flagctl: watching\n", stderr);
        uint64_t revision = flagstore_revision(watch.over, NULL);
        while (!flagstore_get_bool(watch.over, "over", false, NULL))
            flagstore_wait(watch.over, &revision, -1, NULL);
    }
    flagstore_free(handle); /* before what its callback uses */
    flagstore_free(watch.over);
    return error != NULL ? fail(error) : DONE;
}
