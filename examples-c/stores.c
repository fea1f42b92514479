/* stores: one program on three kinds of store. Only the open differs.
 *
 *     cc -std=c99 stores.c -lflagstore -o stores
 *     ./stores memory
 *     ./stores flags.json
 *     ./stores redis://localhost */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <flagstore.h>

static flagstore_t *open_store(const char *where, flagstore_error_t **error) {
    if (strcmp(where, "memory") == 0)
        return flagstore_memory_open(error);
    if (strstr(where, "://") != NULL)
        return flagstore_redis_open(where, NULL, error);
    return flagstore_file_open(where, error);
}

/* Adds to a number that others may add to at the same time. What failed with FLAGSTORE_CONFLICT was not made; what failed
 * with FLAGSTORE_UNCERTAIN, which only a store elsewhere does, may have been: add it again only if twice is no harm. */
static bool add(flagstore_t *flags, const char *key, long long more, flagstore_error_t **error) {
    for (;;) {
        char sum[24], *old = flagstore_get(flags, key, error);
        if (old == NULL && *error != NULL)
            return false;
        snprintf(sum, sizeof sum, "%lld", (old != NULL ? strtoll(old, NULL, 10) : 0) + more);

        flagstore_batch_t *batch = flagstore_batch_new();
        bool done = flagstore_batch_expect(batch, key, old, error) && flagstore_batch_set(batch, key, sum, error) &&
                    flagstore_commit(flags, batch, error);
        flagstore_free(batch);
        flagstore_free(old);
        if (done || flagstore_error_code(*error) != FLAGSTORE_CONFLICT)
            return done;
        flagstore_free(*error);
    }
}

int main(int argc, char **argv) {
    flagstore_error_t *error = NULL;
    flagstore_t *flags = open_store(argc > 1 ? argv[1] : "flags.json", &error);
    char *json = NULL;

    if (flags != NULL && flagstore_set_bool(flags, "dark-mode", true, &error) && add(flags, "starts", 1, &error))
        json = flagstore_list_all(flags, &error);
    if (json != NULL)
        puts(json);
    if (error != NULL)
        fprintf(stderr, "stores: %s: %s\n", flagstore_error_name(flagstore_error_code(error)),
                flagstore_error_message(error));
    flagstore_free(json);
    flagstore_free(flags);
    flagstore_free(error);
    return json == NULL;
}
