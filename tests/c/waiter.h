/* A thread that waits for a change. */
#ifndef WAITER_H
#define WAITER_H

#include "check.h"

#include <pthread.h>
#include <sys/syscall.h>

static inline uint64_t revision_of(const flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    uint64_t revision = flagstore_revision(store, &error);
    CHECK_OK(error);
    CHECK_THAT(revision != 0, "a revision is never 0");
    return revision;
}

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
