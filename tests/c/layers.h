/* Stores over stores, for their tests. */
#ifndef LAYERS_H
#define LAYERS_H

#include "recorder.h"
#include "waiter.h"

#define LAYERED(write_to, ...) \
    open_layered(__FILE__, __LINE__, (write_to), (flagstore_t *[]){__VA_ARGS__}, \
                 COUNT(((flagstore_t *[]){__VA_ARGS__})))

/* A store over these, whose handles stay the caller's. */
static inline flagstore_t *open_layered(const char *file, int line, size_t write_to, flagstore_t *const *layers,
                                        size_t count) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_layered_open(layers, count, write_to, &error);
    check_error(file, line, FLAGSTORE_OK, NULL, &error);
    check_that(store != NULL, file, line, "expected a store");
    return store;
}

static inline flagstore_t *new_memory(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_memory_open(&error);
    CHECK_OK(error);
    return store;
}

static inline flagstore_t *new_file(const char *path) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_unsynced(path, &error);
    CHECK_OK(error);
    return store;
}

static inline flagstore_t *open_watched_file(const char *path) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(path, FLAGSTORE_READ_WATCHED, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    return store;
}

static inline flagstore_status_t status_of_store(const flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    flagstore_status_t status = {.size = sizeof status};
    CHECK(flagstore_status(store, &status, &error));
    CHECK_OK(error);
    return status;
}

/* The threads that follow the layers; those that ended may stay listed for a moment. */
static inline int count_followers(void) { return count_threads_named("flagstore-layer"); }

#endif
