/* Stores over stores, for their tests. */
#ifndef LAYERS_H
#define LAYERS_H

#include "recorder.h"

#include <sys/syscall.h>

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

static inline uint64_t revision_of(const flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    uint64_t revision = flagstore_revision(store, &error);
    CHECK_OK(error);
    CHECK_THAT(revision != 0, "a revision is never 0");
    return revision;
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

/* ---- a thread that waits ---- */

struct waiter {
    const flagstore_t *store;
    uint64_t revision;
    pid_t thread; /* its number, once it runs */
    pthread_t handle;
};

static inline void *wait_for_ever(void *argument) {
    struct waiter *waiter = argument;
    flagstore_error_t *error = GARBAGE;
    uint64_t before = waiter->revision;
    __atomic_store_n(&waiter->thread, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    CHECK(flagstore_wait(waiter->store, &waiter->revision, -1, &error));
    CHECK_OK(error);
    CHECK_THAT(waiter->revision != before && waiter->revision != 0, "expected another revision");
    return NULL;
}

static inline bool is_asleep(pid_t *thread) {
    char path[64];
    pid_t number = __atomic_load_n(thread, __ATOMIC_ACQUIRE);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)number);
    size_t len = 0;
    char *stat = number ? read_file(path, &len) : NULL;
    bool asleep = stat && strstr(stat, ") S ");
    free(stat);
    return asleep;
}

/* Comes back when the thread sleeps, most likely in its wait. */
static inline void start_waiter(struct waiter *waiter, const flagstore_t *store) {
    *waiter = (struct waiter){.store = store, .revision = revision_of(store)};
    CHECK(pthread_create(&waiter->handle, NULL, wait_for_ever, waiter) == 0);
    CHECK_EVENTUALLY(is_asleep(&waiter->thread));
}

#endif
