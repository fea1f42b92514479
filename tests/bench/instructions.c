/* How many instructions a call takes, by callgrind: instructions WHAT STORE calls the library a number of times between
   two requests to valgrind, which run.sh divides what it counted by. The store is in memory, or watches a backend. */
#include "bench.h"
#include "../c/forward.h"

#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

enum { CALLS = 20000 };

static void get_bool(const flagstore_t *store, const char *const *keys) {
    flagstore_error_t *error;
    for (size_t i = 0; i < CALLS; i++) keep(flagstore_get_bool(store, keys[i], false, &error));
}

static void get_int64(const flagstore_t *store, const char *const *keys) {
    flagstore_error_t *error;
    for (size_t i = 0; i < CALLS; i++) keep((uint64_t)flagstore_get_int64(store, keys[i], 0, &error));
}

static void get(const flagstore_t *store, const char *const *keys) {
    flagstore_error_t *error;
    for (size_t i = 0; i < CALLS; i++) flagstore_free(flagstore_get(store, keys[i], &error));
}

/* The keys are flags of the kind that the call asks for. */
int main(int argc, char **argv) {
    if (argc != 3) return 2;
    const dataset *data = dataset_of(1000);
    flagstore_t *store = memory_of(data);
    if (!strcmp(argv[1], "get_int64"))
        for (size_t i = 0; i < data->count; i++) flagstore_set_int64(store, data->keys[i], (int64_t)(i * 37), NULL);
    if (!strcmp(argv[2], "watched")) store = open_forwarding_all(store, FLAGSTORE_READ_WATCHED, NULL);
    void (*run)(const flagstore_t *, const char *const *) = !strcmp(argv[1], "get_bool")    ? get_bool
                                                            : !strcmp(argv[1], "get_int64") ? get_int64
                                                                                            : get;
    run(store, (const char *const *)data->order); /* whatever is done once */
    CALLGRIND_TOGGLE_COLLECT;
    run(store, (const char *const *)data->order);
    CALLGRIND_TOGGLE_COLLECT;
    printf("%d\n", CALLS);
    return 0;
}
