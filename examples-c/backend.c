/* backend: a store of one's own. Environment variables stand above a file of flags: FLAG_DARK_MODE=true overrides
 * the flag dark-mode in this process, and nothing is written to the file.
 *
 *     cc -std=c99 backend.c -lflagstore -o backend
 *     FLAG_DARK_MODE=true backend flags.json [KEY [JSON]]
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flagstore.h>

/* What the environment says about the flag, or NULL. */
static const char *from_environment(const char *key, size_t key_len) {
    char name[256] = "FLAG_";
    if (key_len >= sizeof name - 5)
        return NULL;
    for (size_t i = 0; i < key_len; i++)
        name[5 + i] = isalnum((unsigned char)key[i]) ? (char)toupper((unsigned char)key[i]) : '_';
    name[5 + key_len] = '\0';
    return getenv(name);
}

/* ---- the backend: `context` is the store below. The library checks every reply: a variable that is not JSON is
 * FLAGSTORE_BACKEND. ---- */

static bool get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply,
                flagstore_error_t **error) {
    const char *json = from_environment(key, key_len);
    if (json != NULL) {
        flagstore_reply(reply, key, key_len, json, strlen(json));
        return true;
    }
    size_t len;
    char *below = flagstore_get_n(context, key, key_len, &len, error);
    if (below != NULL)
        flagstore_reply(reply, key, key_len, below, len);
    flagstore_free(below);
    return *error == NULL; /* no reply, no error: there is no such flag */
}

static bool set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                flagstore_error_t **error) {
    if (from_environment(key, key_len) == NULL)
        return flagstore_set_n(context, key, key_len, json, json_len, error);
    *error = flagstore_error_new(FLAGSTORE_READ_ONLY, "the environment says what this flag is");
    return false;
}

/* The flags of the file, each as the environment has it. What is only in the environment has no key to be listed by. */
static bool list_all(void *context, flagstore_reply_t *reply, flagstore_error_t **error) {
    flagstore_snapshot_t *below = flagstore_snapshot(context, error);
    for (size_t i = 0; i < flagstore_snapshot_count(below); i++) {
        size_t key_len, json_len;
        const char *key = flagstore_snapshot_key(below, i, &key_len);
        const char *json = flagstore_snapshot_value(below, i, &json_len);
        const char *above = from_environment(key, key_len);
        flagstore_reply(reply, key, key_len, above != NULL ? above : json, above != NULL ? strlen(above) : json_len);
    }
    flagstore_free(below);
    return *error == NULL;
}

static void close_below(void *context) {
    flagstore_free(context);
}

/* `remove` stays NULL: deleting is FLAGSTORE_NOT_IMPLEMENTED. */
static flagstore_t *open_overlay(const char *path, flagstore_error_t **error) {
    flagstore_backend_t backend = {0};
    backend.size = sizeof backend;
    backend.context = flagstore_file_open(path, error);
    backend.get = get;
    backend.set = set;
    backend.list_all = list_all;
    backend.close = close_below;
    if (backend.context == NULL)
        return NULL;
    flagstore_t *overlay = flagstore_backend_open(&backend, error);
    if (overlay == NULL)
        flagstore_free(backend.context);
    return overlay;
}

/* ---- its user does not see a difference ---- */

int main(int argc, char **argv) {
    if (argc < 2 || argc > 4) {
        fputs("usage: backend FILE [KEY [JSON]]\n", stderr);
        return 2;
    }
    flagstore_error_t *error = NULL;
    flagstore_t *flags = open_overlay(argv[1], &error);
    char *json = NULL;
    if (flags != NULL && argc == 2)
        json = flagstore_list_all(flags, &error);
    if (flags != NULL && argc == 3)
        json = flagstore_get(flags, argv[2], &error);
    if (flags != NULL && argc == 4)
        flagstore_set(flags, argv[2], argv[3], &error);
    if (json != NULL)
        puts(json);
    int status = error != NULL ? 2 : argc == 3 && json == NULL;
    if (error != NULL)
        fprintf(stderr, "backend: %s\n", flagstore_error_message(error));
    flagstore_free(json);
    flagstore_free(flags);
    flagstore_free(error);
    return status;
}
