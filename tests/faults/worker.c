/* One process of rows 9 and 20 in C; worker.go, worker.rb and worker.py do the same in their languages.

     worker count PATH NAME THREADS TURNS DURABILITY   sets keys of its own to growing numbers; none may be lost
     worker soak PATH NAME DURABILITY                  the same on a file that others edit, and reads it, until killed */
#include "store.h"

#include <pthread.h>

static const char *path, *name;
static int32_t durability;
static long turns;

/* ---- count ---- */

enum { OWN_KEYS = 3 };

static void *count(void *argument) {
    long thread = (long)(intptr_t)argument;
    flagstore_t *store = open_store(path, durability);
    for (long turn = 1; turn <= turns; turn++) {
        char key[128];
        snprintf(key, sizeof key, "%s.%ld.%ld", name, thread, turn % OWN_KEYS);
        int64_t last = turn > OWN_KEYS ? turn - OWN_KEYS : 0, found = get_number(store, key);
        if (found != last) die("lost update: %s is %lld, was set to %lld", key, (long long)found, (long long)last);
        set_number(store, key, turn);
    }
    flagstore_free(store);
    return NULL;
}

static int count_in_threads(int threads) {
    pthread_t started[64];
    if (threads > 64) die("too many threads");
    for (long i = 0; i < threads; i++) pthread_create(&started[i], NULL, count, (void *)(intptr_t)i);
    for (int i = 0; i < threads; i++) pthread_join(started[i], NULL);
    return 0;
}

/* ---- soak ---- */

enum { COUNTERS = 4 };

/* The document: each language's counter, and the edition of the last edit by others, which may turn counters back. */
struct document {
    long long edition, counters[COUNTERS]; /* c, go, python, ruby */
};

static void write_document(char *to, size_t room, const struct document *it) {
    char payload[2048] = "";
    for (long long i = 0, at = 0; i <= it->edition % 50; i++)
        at += snprintf(payload + at, sizeof payload - (size_t)at, "%lld.", it->edition);
    snprintf(to, room, "{\"c\":%lld,\"edition\":%lld,\"go\":%lld,\"payload\":\"%s\",\"python\":%lld,\"ruby\":%lld}",
             it->counters[0], it->edition, it->counters[1], payload, it->counters[2], it->counters[3]);
}

/* Reads everything; it must be a whole document, in which no counter has gone back since `last` but by an edit. */
static struct document next(const flagstore_t *store, const struct document *last) {
    struct document it = {0};
    char *text = list_all(store), expected[4096];
    sscanf(text, "{\"c\":%lld,\"edition\":%lld,\"go\":%lld,\"payload\":\"%*[0-9.]\",\"python\":%lld,\"ruby\":%lld",
           &it.counters[0], &it.edition, &it.counters[1], &it.counters[2], &it.counters[3]);
    write_document(expected, sizeof expected, &it);
    if (strcmp(text, expected) != 0) die("not a whole document: %s", text);
    for (int i = 0; i < COUNTERS; i++)
        if (last && last->edition == it.edition && it.counters[i] < last->counters[i])
            die("counter %d of edition %lld was %lld, now: %s", i, it.edition, last->counters[i], text);
    flagstore_free(text);
    return it;
}

static void *read_all_the_time(void *argument) {
    (void)argument;
    flagstore_t *store = open_store(path, durability);
    struct document last = next(store, NULL);
    for (;;) last = next(store, &last);
    return NULL;
}

/* Only if the edition is still the one that was read: a set in the last instant may undo an edit. */
static bool set_in(flagstore_t *store, long long edition, long long number, flagstore_error_t **error) {
    char text[24];
    flagstore_batch_t *batch = flagstore_batch_new();
    snprintf(text, sizeof text, "%lld", edition);
    flagstore_batch_expect(batch, "edition", text, NULL);
    snprintf(text, sizeof text, "%lld", number);
    flagstore_batch_set(batch, name, text, NULL);
    bool done = flagstore_commit(store, batch, error);
    flagstore_free(batch);
    return done;
}

static int soak(void) {
    pthread_t reader;
    pthread_create(&reader, NULL, read_all_the_time, NULL);
    flagstore_t *store = open_store(path, durability);
    struct document last = next(store, NULL);
    for (;;) {
        flagstore_error_t *error = NULL;
        long long number = last.counters[0] + 1;
        if (set_in(store, last.edition, number, &error)) {
            last.counters[0] = number;
            if (write(STDOUT_FILENO, ".", 1) != 1) _exit(0);
        } else if (flagstore_error_os_code(error) != ENOSPC && flagstore_error_code(error) != FLAGSTORE_CONFLICT) {
            must("commit", error);
        }
        flagstore_free(error);
        last = next(store, &last);
    }
}

int main(int count_of, char **arguments) {
    bool counts = count_of == 7 && strcmp(arguments[1], "count") == 0;
    if (!counts && !(count_of == 5 && strcmp(arguments[1], "soak") == 0)) die("see the top of worker.c");
    path = arguments[2], name = arguments[3];
    durability = atoi(arguments[counts ? 6 : 4]);
    if (!counts) return soak();
    turns = atol(arguments[5]);
    return count_in_threads(atoi(arguments[4]));
}
