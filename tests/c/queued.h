/* Calls that are all inside the library, waiting for the file's lock, before it is free: the order in which they came is
   the order in which they were queued. */
#ifndef QUEUED_H
#define QUEUED_H

#include "check.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/syscall.h>

struct queued {
    flagstore_t *store;
    bool (*call)(flagstore_t *store, flagstore_error_t **error);
    pthread_t thread;
    pid_t tid; /* 0: not there yet */
    bool done, has_ended;
    int32_t code;
    char message[300];
};

static inline void *make_queued_call(void *argument) {
    struct queued *queued = argument;
    flagstore_error_t *error = GARBAGE;
    __atomic_store_n(&queued->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    queued->done = queued->call(queued->store, &error);
    queued->code = flagstore_error_code(error);
    snprintf(queued->message, sizeof queued->message, "%s", flagstore_error_message(error));
    flagstore_free(error);
    __atomic_store_n(&queued->has_ended, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Whether the thread sleeps, which inside the call nothing but the lock makes it do. */
static inline bool sleeps(const pid_t *thread) {
    char path[64], state = '?';
    pid_t tid = __atomic_load_n(thread, __ATOMIC_SEQ_CST);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    FILE *file = tid ? fopen(path, "r") : NULL;
    if (!file) return false;
    bool asleep = fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'S';
    fclose(file);
    return asleep;
}

static inline int hold_the_lock(void) {
    int fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    return fd;
}

/* Each is queued before the next one starts; then the lock is free. */
static inline void call_in_order(struct queued *calls, int count) {
    int lock = hold_the_lock();
    for (int i = 0; i < count; i++) {
        CHECK(pthread_create(&calls[i].thread, NULL, make_queued_call, &calls[i]) == 0);
        CHECK_EVENTUALLY(sleeps(&calls[i].tid));
    }
    close(lock);
    for (int i = 0; i < count; i++) CHECK(pthread_join(calls[i].thread, NULL) == 0);
}

static inline flagstore_t *open_durable(int32_t durability) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(FLAGS_FILE, FLAGSTORE_READ_FRESH, durability, &error);
    CHECK_OK(error);
    return store;
}

#endif
