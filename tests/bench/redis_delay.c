/* Row 19: how long a change takes to another handle, which a thread of its own waits on. */
#include "redis.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { KEPT = 1000 };
static const char *const key = "changes.made";

typedef struct {
    flagstore_t *store;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t seen; /* the last value that a read gave */
    double at;    /* when */
    bool stop;
} watcher;

static void *watch(void *argument) {
    watcher *it = argument;
    flagstore_error_t *error = NULL;
    uint64_t revision = flagstore_revision(it->store, &error);
    must("revision", error);
    for (bool stop = false; !stop;) {
        flagstore_wait(it->store, &revision, 100, &error);
        must("wait", error);
        int64_t value = flagstore_get_int64(it->store, key, 0, &error);
        must("get_int64", error);
        double now = now_ns();
        pthread_mutex_lock(&it->lock);
        if (value != it->seen) {
            it->seen = value;
            it->at = now;
            pthread_cond_signal(&it->changed);
        }
        stop = it->stop;
        pthread_mutex_unlock(&it->lock);
    }
    return NULL;
}

/* When the watcher saw the value. */
static double await(watcher *it, int64_t value) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENT_MS / 1000;
    pthread_mutex_lock(&it->lock);
    while (it->seen != value)
        if (pthread_cond_timedwait(&it->changed, &it->lock, &end) == ETIMEDOUT) die("a change was not seen");
    double at = it->at;
    pthread_mutex_unlock(&it->lock);
    return at;
}

/* The delays of so many changes, `gap_ms` to 10 ms more after one another; from before the call that makes one, and from
   its return. */
static void measure_delays(const redis_server *server, const dataset *data, int32_t spread_ms, double gap_ms,
                           size_t changes, double *from_call, double *from_return) {
    const char *hash = redis_hash_of(data);
    watcher it = {.store = redis_open(redis_tcp(server), hash, FLAGSTORE_READ_WATCHED, spread_ms, PATIENT_MS),
                  .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    flagstore_t *store = redis_open(redis_tcp(server), hash, FLAGSTORE_READ_FRESH, 0, PATIENT_MS);
    flagstore_error_t *error = NULL;
    pthread_t thread;
    uint32_t random = 2463534242;
    flagstore_set_int64(store, key, -1, &error);
    must("set_int64", error);
    if (pthread_create(&thread, NULL, watch, &it)) die("pthread_create failed");
    await(&it, -1);
    for (size_t i = 0; i < changes; i++) {
        pause_ms(gap_ms + (double)(next_random(&random) % 1000) / 100);
        double begin = now_ns();
        flagstore_set_int64(store, key, (int64_t)i + 1, &error);
        double returned = now_ns();
        must("set_int64", error);
        double at = await(&it, (int64_t)i + 1);
        from_call[i] = at - begin;
        from_return[i] = at > returned ? at - returned : 0;
    }
    pthread_mutex_lock(&it.lock);
    it.stop = true;
    pthread_mutex_unlock(&it.lock);
    pthread_join(thread, NULL);
    flagstore_free(it.store);
    flagstore_free(store);
}

void redis_delay_row(redis_server *server) {
    static double from_call[KEPT], from_return[KEPT];
    static const size_t sizes[] = {10, 1000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t changes = config.quick ? 30 : KEPT, flags = sizes[i];
        redis_fill(server, dataset_of(flags), redis_hash_of(dataset_of(flags)));
        measure_delays(server, dataset_of(flags), -1, 10, changes, from_call, from_return);
        double p50 = redis_quantile(from_call, changes, 0.5), p99 = redis_quantile(from_call, changes, 0.99);
        redis_against(19, "from the call of a set until another handle sees it, median / 0.5 ms", flags, p50, 0.5e6, true);
        redis_against(19, "the same, of a hundred the slowest / 5 ms", flags, p99, 5e6, true);
        redis_against(19, "from the return of the set, median / 0.5 ms", flags, redis_quantile(from_return, changes, 0.5),
                      0.5e6, false);
    }
    size_t changes = config.quick ? 10 : 300;
    /* A store rests after a change, so that many of them are one to it. */
    measure_delays(server, dataset_of(10), -1, 0, changes, from_call, from_return);
    redis_against(19, "changes 0 to 10 ms apart: from the call, median / 0.5 ms", 10, redis_quantile(from_call, changes, 0.5),
                  0.5e6, false);
    measure_delays(server, dataset_of(1000), 0, 0, changes, from_call, from_return);
    redis_against(19, "re-reads spread: from the call, of a hundred the slowest / 110 ms", 1000,
                  redis_quantile(from_call, changes, 0.99), 110e6, true);
}
