/* Rows 15, 17 and 18: reads of a store on Redis. */
#include "redis.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const dataset *data;
    const char *hash;
    flagstore_t *store;
    redisContext *peer;
} reader;

static reader reader_of(const redis_server *server, const dataset *data, bool local, int32_t read_mode) {
    const char *url = local ? redis_unix(server) : redis_tcp(server), *hash = redis_hash_of(data);
    return (reader){.data = data, .hash = hash, .store = redis_open(url, hash, read_mode, 0, PATIENT_MS),
                    .peer = redis_peer(server, local)};
}

static void close_reader(reader *it) {
    flagstore_free(it->store);
    redisFree(it->peer);
}

/* ---- one flag ---- */

static void ours_get(void *state, size_t count) {
    const reader *it = state;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        flagstore_error_t *error = NULL;
        char *json = flagstore_get(it->store, it->data->any[i % ORDER], &error);
        if (!json) must("get", error);
        keep((unsigned char)json[0]);
        flagstore_free(json);
    }
}

static void peer_get(void *state, size_t count) {
    const reader *it = state;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        const char *key = it->data->any[i % ORDER], *words[] = {"HGET", it->hash, key};
        size_t lens[] = {4, strlen(it->hash), strlen(key)};
        redisReply *reply = redis_ask_argv(it->peer, 3, words, lens);
        if (reply->type != REDIS_REPLY_STRING) die("hiredis: a flag is missing");
        keep((unsigned char)reply->str[0]);
        freeReplyObject(reply);
    }
}

/* Most flags of a program are not set most of the time. */
static void ours_absent(void *state, size_t count) {
    const reader *it = state;
    for (size_t i = 0; i < count; i++) {
        flagstore_error_t *error = NULL;
        if (flagstore_get(it->store, "no such flag", &error)) die("a flag that is not there");
        must("get", error);
    }
}

void redis_get_row(redis_server *server) {
    const dataset *data = dataset_of(1000);
    redis_fill(server, data, redis_hash_of(data));
    reader tcp = reader_of(server, data, false, FLAGSTORE_READ_FRESH);
    reader local = reader_of(server, data, true, FLAGSTORE_READ_FRESH);
    contestant all[] = {{.name = "ours", .run = ours_get, .state = &tcp},
                        {.name = "hiredis HGET + free", .run = peer_get, .state = &tcp},
                        {.name = "ours", .run = ours_get, .state = &local},
                        {.name = "hiredis HGET + free", .run = peer_get, .state = &local},
                        {.name = "ours", .run = ours_absent, .state = &tcp}};
    redis_measure(all, COUNT(all), 5);
    report(15, "Redis get + free, FRESH, loopback", data->count, &all[0], &all[1], MOST(1.15));
    report(15, "Redis get + free, FRESH, unix socket", data->count, &all[2], &all[3], MOST(1.15));
    report(15, "Redis get, FRESH, of no such flag, loopback", data->count, &all[4], &all[1], NONE);
    close_reader(&tcp);
    close_reader(&local);
}

/* ---- all flags ---- */

static void ours_snapshot(void *state, size_t count) {
    const reader *it = state;
    for (size_t i = 0; i < count; i++) {
        flagstore_error_t *error = NULL;
        flagstore_snapshot_t *snapshot = flagstore_snapshot(it->store, &error);
        must("snapshot", error);
        if (flagstore_snapshot_count(snapshot) != it->data->count) die("flags are missing");
        flagstore_free(snapshot);
    }
}

static void peer_all(void *state, size_t count) {
    const reader *it = state;
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = redis_ask(it->peer, "HGETALL %s", it->hash);
        if (reply->elements != it->data->count * 2) die("hiredis: flags are missing");
        freeReplyObject(reply);
    }
}

void redis_snapshot_row(redis_server *server) {
    static const size_t sizes[] = {1000, 10000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const dataset *data = dataset_of(sizes[i]);
        redis_fill(server, data, redis_hash_of(data));
        reader it = reader_of(server, data, false, FLAGSTORE_READ_FRESH);
        contestant all[] = {{.name = "ours", .run = ours_snapshot, .state = &it},
                            {.name = "hiredis HGETALL + free", .run = peer_all, .state = &it}};
        redis_measure(all, COUNT(all), 5);
        report(17, "Redis snapshot + free, FRESH", data->count, &all[0], &all[1], MOST(2));
        close_reader(&it);
    }
}

/* ---- from memory ---- */

static void read_bools(void *state, size_t lane, size_t count) {
    const reader *it = state;
    const char **order = it->data->order;
    uint64_t trues = 0;
    size_t place = take_places(count);
    (void)lane;
    for (size_t i = place; i < place + count; i++) {
        flagstore_error_t *error = NULL;
        trues += flagstore_get_bool(it->store, order[i % ORDER], false, &error);
        if (error) must("get_bool", error);
    }
    keep(trues);
}

static void bools(void *state, size_t count) { read_bools(state, 0, count); }
static void bools_one(void *state, size_t count) { in_threads(1, read_bools, state, count); }
static void bools_two(void *state, size_t count) { in_threads(2, read_bools, state, count); }

void redis_watched_row(redis_server *server) {
    const dataset *data = dataset_of(1000);
    redis_fill(server, data, redis_hash_of(data));
    reader it = reader_of(server, data, true, FLAGSTORE_READ_WATCHED);
    reader memory = {.data = data, .store = memory_of(data)};
    contestant all[] = {{.name = "ours", .run = bools, .state = &it},
                        {.name = "memory get_bool", .run = bools, .state = &memory}};
    /* By processor time: whether others leave both processors to the threads is not in question. */
    contestant threads[] = {{.name = "one thread", .run = bools_one, .state = &it, .cpu = true},
                            {.name = "two threads", .run = bools_two, .state = &it, .lanes = 2, .cpu = true}};
    redis_measure(all, COUNT(all), 1);
    redis_measure(threads, COUNT(threads), 5);
    report(18, "Redis get_bool, WATCHED", data->count, &all[0], &all[1], MOST(1.3));
    report(18, "Redis get_bool, WATCHED, two threads", data->count, &threads[1], &threads[0], LEAST(1.9));
    close_reader(&it);
    flagstore_free(memory.store);
}
