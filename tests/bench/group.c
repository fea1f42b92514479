/* Row 9: SYNC_FULL sets from several threads at once, which one write and one fsync may serve together. */
#include "bench.h"
#include "databases.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, SQLITE_LANES = 8 };

typedef struct group group;
struct group {
    const dataset *data;
    size_t lanes;
    void (*set)(group *it, size_t lane, const char *key, bool value);
    flagstore_t *store;
    sqlite_flags *sqlite;
    lmdb_flags *lmdb;
    int fd;
    bool *flags;
    atomic_size_t taken;
    size_t total;
};

static void ours_set(group *it, size_t lane, const char *key, bool value) {
    (void)lane;
    flagstore_error_t *error = NULL;
    flagstore_set_bool(it->store, key, value, &error);
    if (error) must(key, error);
}

static void in_sqlite(group *it, size_t lane, const char *key, bool value) {
    sqlite_set(it->sqlite, lane, key, value);
}

/* SQLite's own way to wait for another writer is to sleep, longer each time; taking turns here is the better way. */
static void in_sqlite_in_turn(group *it, size_t lane, const char *key, bool value) {
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&turn);
    sqlite_set(it->sqlite, lane, key, value);
    pthread_mutex_unlock(&turn);
}

static void in_lmdb(group *it, size_t lane, const char *key, bool value) {
    (void)lane;
    lmdb_set(it->lmdb, key, value);
}

static void raw_sync(group *it, size_t lane, const char *key, bool value) {
    char block[BLOCK];
    (void)lane;
    memset(block, value, sizeof block);
    memcpy(block, key, strlen(key));
    if (pwrite(it->fd, block, sizeof block, 0) != sizeof block || fdatasync(it->fd)) die("cannot sync a block");
}

/* Each lane flips flags of its own. The lanes share the work, so that all are busy until the end. */
static void flip(void *state, size_t lane, size_t count) {
    group *it = state;
    (void)count;
    for (size_t turn = lane; atomic_fetch_add(&it->taken, 1) < it->total; turn += it->lanes) {
        if (turn >= it->data->bool_count) turn = lane;
        size_t flag = it->data->bools[turn];
        it->flags[flag] = !it->flags[flag];
        it->set(it, lane, it->data->keys[flag], it->flags[flag]);
    }
}

static void run_group(void *state, size_t count) {
    group *it = state;
    it->taken = 0;
    it->total = count * it->lanes;
    in_threads(it->lanes, flip, it, count);
}

static contestant group_of(const char *name, group *it, size_t lanes) {
    it->lanes = lanes;
    it->flags = allocate(it->data->count * sizeof *it->flags);
    for (size_t i = 0; i < it->data->count; i++) it->flags[i] = it->data->values[i][0] == 't';
    return (contestant){.name = name, .run = run_group, .state = it, .lanes = lanes, .writes = true};
}

void group_row(void) {
    enum { ONE, EIGHT, THIRTY_TWO, SQLITE, SQLITE_IN_TURN, SQLITE_ONE, LMDB, RAW, ALL };
    const dataset *data = dataset_of(100);
    group groups[ALL];
    for (size_t i = 0; i < ALL; i++) groups[i] = (group){.data = data, .set = ours_set};
    static const char *const names[] = {"group-1", "group-8", "group-32"};
    for (size_t i = ONE; i <= THIRTY_TWO; i++)
        groups[i].store = open_file(file_of(data, names[i]), FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_FULL);
    groups[SQLITE].set = groups[SQLITE_ONE].set = in_sqlite;
    groups[SQLITE_IN_TURN].set = in_sqlite_in_turn;
    sqlite_flags *sqlite = sqlite_open(data, SQLITE_LANES);
    for (size_t i = SQLITE; i <= SQLITE_ONE; i++) groups[i].sqlite = sqlite;
    groups[LMDB].set = in_lmdb;
    groups[LMDB].lmdb = lmdb_open(data);
    groups[RAW].set = raw_sync;
    groups[RAW].fd = open(text_of("%s/block", config.dir), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    contestant all[ALL] = {
        [ONE] = group_of("its own rate from 1 thread", &groups[ONE], 1),
        [EIGHT] = group_of("its own rate from 8 threads", &groups[EIGHT], 8),
        [THIRTY_TWO] = group_of("its own rate from 32 threads", &groups[THIRTY_TWO], 32),
        [SQLITE] = group_of("SQLite WAL FULL, 8 threads", &groups[SQLITE], SQLITE_LANES),
        [SQLITE_IN_TURN] = group_of("SQLite WAL FULL, 8 threads, a mutex", &groups[SQLITE_IN_TURN], SQLITE_LANES),
        [SQLITE_ONE] = group_of("SQLite WAL FULL, 1 thread", &groups[SQLITE_ONE], 1),
        [LMDB] = group_of("LMDB, 8 threads", &groups[LMDB], 8),
        [RAW] = group_of("raw fdatasync of a block", &groups[RAW], 1)};
    measure(all, ALL, 10);
    report(9, "SYNC_FULL set, 8 threads", 100, &all[EIGHT], &all[ONE], LEAST(5.5));
    report(9, "SYNC_FULL set, 8 threads", 100, &all[EIGHT], &all[SQLITE], LEAST(1.5));
    report(9, "SYNC_FULL set, 8 threads", 100, &all[EIGHT], &all[SQLITE_IN_TURN], LEAST(1.5));
    report(9, "SYNC_FULL set, 8 threads", 100, &all[EIGHT], &all[LMDB], LEAST(1.5));
    report(9, "SYNC_FULL set, 8 threads", 100, &all[EIGHT], &all[RAW], RATE);
    report(9, "SYNC_FULL set, 32 threads", 100, &all[THIRTY_TWO], &all[ONE], RATE);
    report(9, "SYNC_FULL set, 32 threads", 100, &all[THIRTY_TWO], &all[RAW], RATE);
    report(9, "SYNC_FULL set, 1 thread", 100, &all[ONE], &all[SQLITE_ONE], RATE);
    report(9, "SYNC_FULL set, 1 thread", 100, &all[ONE], &all[RAW], RATE);
    for (size_t i = 0; i < ALL; i++) {
        flagstore_free(groups[i].store);
        free(groups[i].flags);
    }
    sqlite_close_all(sqlite);
    lmdb_close(groups[LMDB].lmdb);
    close(groups[RAW].fd);
}
