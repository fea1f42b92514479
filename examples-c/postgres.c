/* postgres: flags in a PostgreSQL database, from a shell. The store is postgres_backend.c: copy that and its header.
 *
 *     cc -std=c99 postgres.c postgres_backend.c -I"$(pg_config --includedir)" -lpq -lflagstore -o postgres
 *     postgres "host=/run/postgresql dbname=shop" set dark-mode true
 *
 * The tables are created when they are missing; `psql shop -c 'TABLE flagstore_flags'` shows the flags. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_backend.h"

static const char USAGE[] =
    "usage: postgres CONNINFO COMMAND\n"
    "  get KEY         print the value; exit status 1 if there is none\n"
    "  set KEY JSON    store a value\n"
    "  delete KEY      exit status 1 if there was none\n"
    "  list            print every flag\n"
    "  add KEY NUMBER  add to a number, whatever others do meanwhile, and print the sum\n"
    "  watch           print changes until interrupted\n"
    "  status          whether the database is reached, and how many flags it has\n";

static int fail(flagstore_error_t *error) {
    const char *name = flagstore_error_name(flagstore_error_code(error));
    fprintf(stderr, "postgres: %s: %s\n", name, flagstore_error_message(error));
    flagstore_free(error);
    return 2;
}

static int list(const flagstore_t *flags) {
    flagstore_error_t *error;
    flagstore_snapshot_t *all = flagstore_snapshot(flags, &error);
    if (all == NULL)
        return fail(error);
    for (size_t i = 0; i < flagstore_snapshot_count(all); i++)
        printf("%s: %s\n", flagstore_snapshot_key(all, i, NULL), flagstore_snapshot_value(all, i, NULL));
    flagstore_free(all);
    return 0;
}

/* Reads, decides, writes unless somebody else has written meanwhile, and then begins again. This is also what to do
 * after FLAGSTORE_UNCERTAIN where doing it twice would be wrong: read what is there. */
static int add(flagstore_t *flags, const char *key, long long number) {
    flagstore_error_t *error = NULL;
    int32_t code;
    do {
        char sum[24];
        char *old = flagstore_sync(flags, -1, &error) ? flagstore_get(flags, key, &error) : NULL;
        if (error != NULL)
            return fail(error);
        snprintf(sum, sizeof sum, "%lld", (old != NULL ? strtoll(old, NULL, 10) : 0) + number);
        flagstore_batch_t *batch = flagstore_batch_new();
        if (flagstore_batch_expect(batch, key, old, &error) && flagstore_batch_set(batch, key, sum, &error) &&
            flagstore_commit(flags, batch, &error))
            puts(sum);
        flagstore_free(batch);
        flagstore_free(old);
        code = flagstore_error_code(error);
        if (code != FLAGSTORE_CONFLICT && code != FLAGSTORE_OK)
            return fail(error);
        flagstore_free(error);
    } while (code == FLAGSTORE_CONFLICT);
    return 0;
}

static void print(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata;
    printf("%s: %s -> %s\n", key, old_json != NULL ? old_json : "(new)", new_json != NULL ? new_json : "(deleted)");
    fflush(stdout);
}

static int watch(flagstore_t *flags) {
    sigset_t signals;
    int got;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before the watch has a thread */
    flagstore_error_t *error;
    flagstore_watch_t *watching = flagstore_watch(flags, NULL, print, NULL, &error);
    if (watching == NULL)
        return fail(error);
    fputs("watching\n", stderr);
    sigwait(&signals, &got);
    flagstore_free(watching);
    return 0;
}

static int status(const flagstore_t *flags) {
    static const char *const states[] = {"?", "live", "stale", "fallback", "lost"};
    flagstore_status_t now = {.size = sizeof now};
    flagstore_error_t *error;
    if (!flagstore_status(flags, &now, &error))
        return fail(error);
    printf("%s, %lld flags\n", states[now.state >= 1 && now.state <= 4 ? now.state : 0],
           (long long)flagstore_len(flags, NULL));
    return 0;
}

static int run(flagstore_t *flags, const char *command, char **words, int count) {
    flagstore_error_t *error = NULL;
    if (strcmp(command, "get") == 0 && count == 1) {
        char *json = flagstore_get(flags, words[0], &error);
        if (json != NULL)
            puts(json);
        flagstore_free(json);
        return error != NULL ? fail(error) : json == NULL;
    }
    if (strcmp(command, "set") == 0 && count == 2)
        return flagstore_set(flags, words[0], words[1], &error) ? 0 : fail(error);
    if (strcmp(command, "delete") == 0 && count == 1) {
        bool existed = flagstore_delete(flags, words[0], &error);
        return error != NULL ? fail(error) : !existed;
    }
    if (strcmp(command, "list") == 0 && count == 0)
        return list(flags);
    if (strcmp(command, "add") == 0 && count == 2)
        return add(flags, words[0], strtoll(words[1], NULL, 10));
    if (strcmp(command, "watch") == 0 && count == 0)
        return watch(flags);
    if (strcmp(command, "status") == 0 && count == 0)
        return status(flags);
    fputs(USAGE, stderr);
    return 2;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs(USAGE, stderr);
        return 2;
    }
    /* Reads come from memory, and a thread keeps that up to date. The time for a call is long enough to find out
     * what became of a change when its connection is lost. */
    flagstore_remote_options_t options = {
        .size = sizeof options, .read_mode = FLAGSTORE_READ_WATCHED, .open_timeout_ms = 5000, .call_timeout_ms = 5000};
    flagstore_error_t *error;
    flagstore_t *flags = postgres_open(argv[1], &options, &error);
    if (flags == NULL)
        return fail(error);
    int result = run(flags, argv[2], argv + 3, argc - 3);
    flagstore_free(flags);
    return result;
}
