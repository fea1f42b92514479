/* flagctl apply and import: many changes in one write. */
#define _POSIX_C_SOURCE 200809L /* fileno */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flagctl.h"

/* ---- JSON objects are taken apart by the library: a file that holds one is a store ---- */

static flagstore_snapshot_t *no_room(flagstore_error_t **error) {
    char message[256];
    snprintf(message, sizeof message, "cannot make a temporary file: %s", strerror(errno));
    *error = flagstore_error_new(FLAGSTORE_IO, message);
    return NULL;
}

/* The members of an object in compact JSON. */
static flagstore_snapshot_t *members_of(const char *json, flagstore_error_t **error) {
    FILE *file = tmpfile();
    if (file == NULL)
        return no_room(error);
    flagstore_snapshot_t *members = NULL;
    if (fputs(json, file) >= 0 && fflush(file) == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
        flagstore_t *store = open_file(path, READING, error);
        if (store != NULL)
            members = flagstore_snapshot(store, error);
        flagstore_free(store);
    } else {
        no_room(error);
    }
    fclose(file);
    return members;
}

/* The same of any text, which stands under `name` in error messages. */
static flagstore_snapshot_t *parse_object(const char *text, size_t len, const char *name,
                                          flagstore_error_t **error) {
    flagstore_snapshot_t *members = NULL;
    char *json = NULL;
    flagstore_t *scratch = flagstore_memory_open(error);
    if (scratch != NULL && flagstore_set_n(scratch, name, strlen(name), text, len, error))
        json = flagstore_get(scratch, name, error);
    if (json != NULL && *json == '{')
        members = members_of(json, error);
    else if (json != NULL)
        *error = flagstore_error_new(FLAGSTORE_INVALID_JSON, "expected a JSON object");
    flagstore_free(json);
    flagstore_free(scratch);
    return members;
}

/* ---- batches ---- */

typedef bool add_t(flagstore_batch_t *batch, const char *key, const char *json,
                   flagstore_error_t **error);

static bool is_true(const char *json, flagstore_error_t **error) {
    if (strcmp(json, "true") != 0)
        *error = flagstore_error_new(FLAGSTORE_INVALID_ARGUMENT,
                                     "each of clear, delete and absent takes nothing but true");
    return *error == NULL;
}

static bool add_delete(flagstore_batch_t *batch, const char *key, const char *json,
                       flagstore_error_t **error) {
    return is_true(json, error) && flagstore_batch_delete(batch, key, error);
}

static bool add_absent(flagstore_batch_t *batch, const char *key, const char *json,
                       flagstore_error_t **error) {
    return is_true(json, error) && flagstore_batch_expect(batch, key, NULL, error);
}

/* Calls `add` for each member. Batches take no key with U+0000 in it. */
static bool add_members(flagstore_batch_t *batch, const flagstore_snapshot_t *members, add_t *add,
                        flagstore_error_t **error) {
    for (size_t i = 0; i < flagstore_snapshot_count(members); i++) {
        size_t len;
        const char *key = flagstore_snapshot_key(members, i, &len);
        if (strlen(key) != len) {
            *error = flagstore_error_new(FLAGSTORE_INVALID_ARGUMENT, "a key contains U+0000");
            return false;
        }
        if (!add(batch, key, flagstore_snapshot_value(members, i, NULL), error))
            return false;
    }
    return true;
}

static bool add_part(flagstore_batch_t *batch, const char *part, const char *json,
                     flagstore_error_t **error) {
    static const struct {
        const char *name;
        add_t *add;
    } parts[] = {{"expect", flagstore_batch_expect},
                 {"absent", add_absent},
                 {"set", flagstore_batch_set},
                 {"delete", add_delete}};

    if (strcmp(part, "clear") == 0)
        return is_true(json, error) && flagstore_batch_clear(batch, error);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(part, parts[i].name) != 0)
            continue;
        flagstore_snapshot_t *members = parse_object(json, strlen(json), part, error);
        bool added = members != NULL && add_members(batch, members, parts[i].add, error);
        flagstore_free(members);
        return added;
    }
    char message[128];
    snprintf(message, sizeof message, "a batch has no \"%.60s\"; see flagctl --help", part);
    *error = flagstore_error_new(FLAGSTORE_INVALID_ARGUMENT, message);
    return false;
}

/* Reads an object, has `add` put each member into a batch, and commits that. */
static int commit_object(flagstore_t *flags, flagstore_batch_t *batch, FILE *input, const char *name,
                         add_t *add) {
    size_t len;
    char *text = read_all(input, name, &len);
    if (text == NULL)
        return FAILED;
    flagstore_error_t *error = NULL;
    flagstore_snapshot_t *members = parse_object(text, len, name, &error);
    bool done = members != NULL && add_members(batch, members, add, &error)
                && flagstore_commit(flags, batch, &error);
    flagstore_free(members);
    free(text);
    if (done)
        return DONE;
    bool conflict = flagstore_error_code(error) == FLAGSTORE_CONFLICT;
    fail(error);
    return conflict ? CONFLICT : FAILED;
}

int apply_batch(flagstore_t *flags, char **words) {
    bool is_stdin = strcmp(words[0], "-") == 0;
    FILE *input = is_stdin ? stdin : fopen(words[0], "rb");
    if (input == NULL) {
        fprintf(stderr, "flagctl: cannot read %s: %s\n", words[0], strerror(errno));
        return FAILED;
    }
    flagstore_batch_t *batch = flagstore_batch_new();
    int status = commit_object(flags, batch, input, is_stdin ? "standard input" : words[0], add_part);
    flagstore_free(batch);
    if (!is_stdin)
        fclose(input);
    return status;
}

int import_all(flagstore_t *flags, char **words) {
    (void)words;
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_batch_clear(batch, NULL);
    int status = commit_object(flags, batch, stdin, "standard input", flagstore_batch_set);
    flagstore_free(batch);
    return status;
}
