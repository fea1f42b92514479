/* Row 19: how long a change takes to another handle, which a thread of its own waits on; beside a program with hiredis
   that subscribes to the announcements and reads all flags after each. */
#include "redis.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHANGES = 500, PHASES = 2 };
static const char *const key = "changes.made";

typedef struct {
    flagstore_t *store;                 /* the handle that waits; or */
    redisContext *subscriber, *reading; /* the connections of the peer */
    const char *hash;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t seen; /* the last value that a read gave */
    double at;    /* when */
    bool stop;
} watcher;

/* false: no more are wanted. */
static bool has_seen(watcher *it, int64_t value) {
    double now = now_ns();
    pthread_mutex_lock(&it->lock);
    if (value != it->seen) {
        it->seen = value;
        it->at = now;
        pthread_cond_signal(&it->changed);
    }
    bool stop = it->stop;
    pthread_mutex_unlock(&it->lock);
    return !stop;
}

static void *ours_watch(void *argument) {
    watcher *it = argument;
    flagstore_error_t *error = NULL;
    uint64_t revision = flagstore_revision(it->store, &error);
    int64_t value;
    must("revision", error);
    do {
        flagstore_wait(it->store, &revision, 100, &error);
        must("wait", error);
        value = flagstore_get_int64(it->store, key, 0, &error);
        must("get_int64", error);
    } while (has_seen(it, value));
    return NULL;
}

static int64_t read_all(const watcher *it) {
    redisReply *reply = redis_ask(it->reading, "HGETALL %s", it->hash);
    int64_t value = 0;
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (!strcmp(reply->element[i]->str, key)) value = strtoll(reply->element[i + 1]->str, NULL, 10);
    freeReplyObject(reply);
    return value;
}

static void *peer_watch(void *argument) {
    watcher *it = argument;
    while (has_seen(it, read_all(it))) {
        void *message;
        if (redisGetReply(it->subscriber, &message) != REDIS_OK) die("hiredis: %s", it->subscriber->errstr);
        freeReplyObject(message);
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

/* How changes are measured, and what comes of it: the times from before the call, and from its return. */
typedef struct {
    size_t flags, changes;
    double gap_ms; /* and up to 10 ms more, between changes */
    int32_t spread_ms;
    double from_call[PHASES * CHANGES], from_return[PHASES * CHANGES];
    size_t count;
} delays;

static void change(delays *it, flagstore_t *store, watcher *seer, int64_t value) {
    static uint32_t random = 2463534242;
    flagstore_error_t *error = NULL;
    pause_ms(it->gap_ms + (double)(next_random(&random) % 1000) / 100);
    double begin = now_ns();
    flagstore_set_int64(store, key, value, &error);
    double returned = now_ns();
    must("set_int64", error);
    double at = await(seer, value);
    it->from_call[it->count] = at - begin;
    it->from_return[it->count++] = at > returned ? at - returned : 0;
}

/* By our handle, or by the peer. */
static void measure_delays(const redis_server *server, delays *it, bool ours) {
    const char *hash = redis_hash_of(dataset_of(it->flags));
    watcher seer = {.hash = hash, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    flagstore_t *store = redis_open(redis_tcp(server), hash, FLAGSTORE_READ_FRESH, 0, PATIENT_MS);
    pthread_t thread;
    if (ours) {
        seer.store = redis_open(redis_tcp(server), hash, FLAGSTORE_READ_WATCHED, it->spread_ms, PATIENT_MS);
    } else {
        seer.subscriber = redis_peer(server, false);
        seer.reading = redis_peer(server, false);
        freeReplyObject(redis_ask(seer.subscriber, "SUBSCRIBE {%s}:meta", hash));
    }
    if (pthread_create(&thread, NULL, ours ? ours_watch : peer_watch, &seer)) die("pthread_create failed");
    for (size_t i = 0; i < it->changes; i++) change(it, store, &seer, (int64_t)i + 1);
    pthread_mutex_lock(&seer.lock);
    seer.stop = true;
    pthread_mutex_unlock(&seer.lock);
    flagstore_set_int64(store, key, -1, NULL); /* the peer waits for it */
    pthread_join(thread, NULL);
    flagstore_free(seer.store);
    flagstore_free(store);
    if (seer.reading) redisFree(seer.reading);
    if (seer.subscriber) redisFree(seer.subscriber);
}

static void report_size(const redis_server *server, size_t flags) {
    static delays ours, peer;
    ours = peer = (delays){.flags = flags, .changes = config.quick ? 6 : CHANGES, .gap_ms = 10, .spread_ms = -1};
    redis_fill(server, dataset_of(flags), redis_hash_of(dataset_of(flags)));
    for (int i = 0; i < PHASES; i++) {
        measure_delays(server, &ours, true);
        measure_delays(server, &peer, false);
    }
    double p50 = redis_quantile(ours.from_call, ours.count, 0.5);
    double p99 = redis_quantile(ours.from_call, ours.count, 0.99);
    double returned = redis_quantile(ours.from_return, ours.count, 0.5);
    redis_against(19, "from the call of a set until another handle sees it, median / 0.5 ms", flags, p50, 0.5e6, true);
    redis_against(19, "the same, of a hundred the slowest / 5 ms", flags, p99, 5e6, true);
    redis_against(19, "from the return of the set, median / 0.5 ms", flags, returned, 0.5e6, false);
    redis_against(19, "from the call, median / a subscriber with hiredis that reads all again", flags, p50,
                  redis_quantile(peer.from_call, peer.count, 0.5), false);
    redis_against(19, "the same, of a hundred the slowest / that of hiredis", flags, p99,
                  redis_quantile(peer.from_call, peer.count, 0.99), false);
}

void redis_delay_row(redis_server *server) {
    static delays soon, spread;
    size_t changes = config.quick ? 10 : 300;
    report_size(server, 10);
    report_size(server, 1000);
    /* A store rests for 5 ms after a change, so that many of them are one to it. */
    soon = (delays){.flags = 10, .changes = changes, .spread_ms = -1};
    measure_delays(server, &soon, true);
    redis_against(19, "changes 0 to 10 ms apart: from the call, median / 0.5 ms", 10,
                  redis_quantile(soon.from_call, soon.count, 0.5), 0.5e6, false);
    spread = (delays){.flags = 1000, .changes = changes};
    measure_delays(server, &spread, true);
    redis_against(19, "re-reads spread: from the call, of a hundred the slowest / 110 ms", 1000,
                  redis_quantile(spread.from_call, spread.count, 0.99), 110e6, true);
}
