/* batch: raises the percentage of a rollout, unless somebody changed it in the meantime.
 *
 *     cc -std=c99 batch.c -lflagstore -o batch
 *     batch flags.json rollout 25 50          from 25 % to 50 %, and note that it was us
 */
#include <stdio.h>
#include <string.h>

#include <flagstore.h>

enum { DONE = 0, NOT_AS_EXPECTED = 1, FAILED = 2 };

/* "KEY.percent" goes from one value to the other and "KEY.raised" becomes true: both in one write, or none. */
static bool raise(flagstore_t *flags, const char *key, const char *from, const char *to,
                  flagstore_error_t **error) {
    char percent[256], raised[256];
    snprintf(percent, sizeof percent, "%s.percent", key);
    snprintf(raised, sizeof raised, "%s.raised", key);

    flagstore_batch_t *batch = flagstore_batch_new();
    bool done = flagstore_batch_expect(batch, percent, from, error)
                && flagstore_batch_set(batch, percent, to, error)
                && flagstore_batch_set(batch, raised, "true", error)
                && flagstore_commit(flags, batch, error);
    flagstore_free(batch);
    return done;
}

int main(int argc, char **argv) {
    if (argc != 5 || strlen(argv[2]) > 200) {
        fputs("usage: batch FILE KEY FROM TO\n", stderr);
        return FAILED;
    }
    flagstore_error_t *error = NULL;
    flagstore_t *flags = flagstore_file_open(argv[1], &error);
    bool done = flags != NULL && raise(flags, argv[2], argv[3], argv[4], &error);
    int status = done ? DONE : flagstore_error_code(error) == FLAGSTORE_CONFLICT ? NOT_AS_EXPECTED : FAILED;
    if (!done)
        fprintf(stderr, "batch: %s\n", flagstore_error_message(error));
    flagstore_free(error);
    flagstore_free(flags);
    return status;
}
