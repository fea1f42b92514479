/* Rows 1 to 3: the memory store against a GLib hash table under a pthread rwlock, and against LMDB. */
#include "bench.h"
#include "databases.h"

#include <glib.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- ours ---- */

typedef struct {
    const dataset *data;
    flagstore_t *store;
    GHashTable *table;
    pthread_rwlock_t lock;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn;
    atomic_bool stop;
} stores;

static uint64_t read_bools(const stores *it, size_t count) {
    const char **order = it->data->order;
    uint64_t trues = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        flagstore_error_t *error = NULL;
        trues += flagstore_get_bool(it->store, order[i % ORDER], false, &error);
        if (error) must("get_bool", error);
    }
    return trues;
}

static void ours_bool(void *state, size_t count) {
    keep(read_bools(state, count));
}

static void ours_get(void *state, size_t count) {
    const stores *it = state;
    uint64_t sum = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        flagstore_error_t *error = NULL;
        char *json = flagstore_get(it->store, it->data->any[i % ORDER], &error);
        if (!json) die("a flag is missing");
        sum += (unsigned char)json[0];
        flagstore_free(json);
    }
    keep(sum);
}

/* ---- a hash table as a C program would use it ---- */

static uint64_t read_table(stores *it, size_t count) {
    const char **order = it->data->order;
    uint64_t trues = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        pthread_rwlock_rdlock(&it->lock);
        const char *json = g_hash_table_lookup(it->table, order[i % ORDER]);
        trues += json[0] == 't';
        pthread_rwlock_unlock(&it->lock);
    }
    return trues;
}

static void table_bool(void *state, size_t count) {
    keep(read_table(state, count));
}

static void table_get(void *state, size_t count) {
    stores *it = state;
    uint64_t sum = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        pthread_rwlock_rdlock(&it->lock);
        char *json = strdup(g_hash_table_lookup(it->table, it->data->any[i % ORDER]));
        pthread_rwlock_unlock(&it->lock);
        sum += (unsigned char)json[0];
        free(json);
    }
    keep(sum);
}

/* ---- LMDB, whose readers take no lock either ---- */

static void lmdb_bool(void *state, size_t count) {
    stores *it = state;
    uint64_t trues = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        const char *key = it->data->order[i % ORDER];
        MDB_val name = {strlen(key), (void *)(uintptr_t)key}, json;
        lmdb_must(mdb_txn_renew(it->txn));
        lmdb_must(mdb_get(it->txn, it->dbi, &name, &json));
        trues += *(const char *)json.mv_data == 't';
        mdb_txn_reset(it->txn);
    }
    keep(trues);
}

static void fill_lmdb(stores *it) {
    const char *path = text_of("%s/lmdb-memory-%zu", config.dir, it->data->count);
    if (mkdir(path, 0777)) die("cannot make %s", path);
    lmdb_must(mdb_env_create(&it->env));
    lmdb_must(mdb_env_set_mapsize(it->env, 256u << 20));
    lmdb_must(mdb_env_open(it->env, path, MDB_NOSYNC, 0666));
    lmdb_must(mdb_txn_begin(it->env, NULL, 0, &it->txn));
    lmdb_must(mdb_dbi_open(it->txn, NULL, 0, &it->dbi));
    for (size_t i = 0; i < it->data->count; i++) {
        MDB_val key = {strlen(it->data->keys[i]), it->data->keys[i]};
        MDB_val json = {strlen(it->data->values[i]), it->data->values[i]};
        lmdb_must(mdb_put(it->txn, it->dbi, &key, &json, 0));
    }
    lmdb_must(mdb_txn_commit(it->txn));
    lmdb_must(mdb_txn_begin(it->env, NULL, MDB_RDONLY, &it->txn));
    mdb_txn_reset(it->txn);
}

/* ---- several threads ---- */

static void ours_lane(void *state, size_t lane, size_t count) {
    (void)lane;
    keep(read_bools(state, count));
}

static void table_lane(void *state, size_t lane, size_t count) {
    (void)lane;
    keep(read_table(state, count));
}

static void ours_one(void *state, size_t count) { in_threads(1, ours_lane, state, count); }
static void ours_two(void *state, size_t count) { in_threads(2, ours_lane, state, count); }
static void table_one(void *state, size_t count) { in_threads(1, table_lane, state, count); }
static void table_two(void *state, size_t count) { in_threads(2, table_lane, state, count); }

/* Lane 0 reads, lane 1 writes until the reader is done. */
static void ours_beside_writer(void *state, size_t lane, size_t count) {
    stores *it = state;
    if (lane == 0) {
        ours_lane(state, lane, count);
        it->stop = true;
    }
    for (size_t i = 0; !it->stop; i++)
        flagstore_set_bool(it->store, it->data->keys[it->data->bools[i % it->data->bool_count]], i % 3, NULL);
}

static void table_beside_writer(void *state, size_t lane, size_t count) {
    stores *it = state;
    if (lane == 0) {
        table_lane(state, lane, count);
        it->stop = true;
    }
    for (size_t i = 0; !it->stop; i++) {
        const char *key = it->data->keys[it->data->bools[i % it->data->bool_count]];
        pthread_rwlock_wrlock(&it->lock);
        g_hash_table_replace(it->table, g_strdup(key), g_strdup(i % 3 ? "true" : "false"));
        pthread_rwlock_unlock(&it->lock);
    }
}

static void ours_written(void *state, size_t count) {
    ((stores *)state)->stop = false;
    in_threads(2, ours_beside_writer, state, count);
}

static void table_written(void *state, size_t count) {
    ((stores *)state)->stop = false;
    in_threads(2, table_beside_writer, state, count);
}

/* ---- the rows; the goals are for a thousand flags ---- */

static stores *open_stores(size_t flags) {
    const dataset *data = dataset_of(flags);
    stores *it = allocate(sizeof *it);
    *it = (stores){.data = data, .store = memory_of(data)};
    it->table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (size_t i = 0; i < data->count; i++)
        g_hash_table_insert(it->table, g_strdup(data->keys[i]), g_strdup(data->values[i]));
    pthread_rwlock_init(&it->lock, NULL);
    return it;
}

static void close_stores(stores *it) {
    g_hash_table_destroy(it->table);
    pthread_rwlock_destroy(&it->lock);
    flagstore_free(it->store);
    free(it);
}

void memory_bool_row(void) {
    for (size_t i = 0; i < config.size_count; i++) {
        size_t flags = config.sizes[i];
        stores *it = open_stores(flags);
        fill_lmdb(it);
        contestant all[] = {{.name = "ours", .run = ours_bool, .state = it},
                            {.name = "GLib hash table + rwlock", .run = table_bool, .state = it},
                            {.name = "LMDB renew + get + reset", .run = lmdb_bool, .state = it}};
        measure(all, COUNT(all), 1);
        report(1, "memory get_bool", flags, &all[0], &all[1], flags == 1000 ? MOST(0.4) : NONE);
        report(1, "memory get_bool", flags, &all[0], &all[2], flags == 1000 ? MOST(0.13) : NONE);
        mdb_txn_abort(it->txn);
        mdb_env_close(it->env);
        close_stores(it);
    }
}

void memory_threads_row(void) {
    for (size_t i = 0; i < config.size_count; i++) {
        size_t flags = config.sizes[i];
        if (flags != 1000 && flags != 100000) continue;
        stores *it = open_stores(flags);
        /* By processor time: whether others leave both processors to the threads is not in question. */
        contestant all[] = {{.name = "one thread", .run = ours_one, .state = it, .cpu = true},
                            {.name = "two threads", .run = ours_two, .state = it, .lanes = 2, .cpu = true},
                            {.name = "one thread", .run = table_one, .state = it, .cpu = true},
                            {.name = "two threads", .run = table_two, .state = it, .lanes = 2, .cpu = true},
                            {.name = "no writer", .run = ours_written, .state = it, .cpu = true},
                            {.name = "no writer", .run = table_written, .state = it, .cpu = true}};
        measure(all, COUNT(all), 5);
        report(2, "memory get_bool, two threads", flags, &all[1], &all[0], flags == 1000 ? LEAST(1.9) : RATE);
        report(2, "(GLib hash table + rwlock, two threads)", flags, &all[3], &all[2], RATE);
        report(2, "memory get_bool while a thread sets", flags, &all[4], &all[0], flags == 1000 ? LEAST(0.8) : RATE);
        report(2, "(GLib hash table + rwlock while a thread sets)", flags, &all[5], &all[2], RATE);
        close_stores(it);
    }
}

void memory_copies_row(void) {
    for (size_t i = 0; i < config.size_count; i++) {
        size_t flags = config.sizes[i];
        stores *it = open_stores(flags);
        contestant all[] = {{.name = "ours", .run = ours_get, .state = it},
                            {.name = "hash table + rwlock + strdup + free", .run = table_get, .state = it}};
        measure(all, COUNT(all), 1);
        report(3, "memory get + free", flags, &all[0], &all[1], flags == 1000 ? MOST(0.65) : NONE);
        close_stores(it);
    }
}
