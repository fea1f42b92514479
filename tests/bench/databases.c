#include "databases.h"

#include <lmdb.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- SQLite ---- */

enum { BUSY_MS = 60000 };

typedef struct {
    sqlite3 *database;
    sqlite3_stmt *set;
} connection;

struct sqlite_flags {
    size_t lanes;
    connection each[];
};

static void execute(sqlite3 *database, const char *sql) {
    char *message;
    if (sqlite3_exec(database, sql, NULL, NULL, &message)) die("SQLite: %s: %s", sql, message);
}

static connection connect_to(const char *path) {
    connection it;
    if (sqlite3_open(path, &it.database)) die("SQLite cannot open %s", path);
    sqlite3_busy_timeout(it.database, BUSY_MS);
    execute(it.database, "PRAGMA journal_mode=WAL");
    execute(it.database, "PRAGMA synchronous=FULL");
    execute(it.database, "CREATE TABLE IF NOT EXISTS flags(key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID");
    const char *sql = "INSERT OR REPLACE INTO flags VALUES(?1, ?2)";
    if (sqlite3_prepare_v2(it.database, sql, -1, &it.set, NULL)) die("SQLite: %s", sqlite3_errmsg(it.database));
    return it;
}

static void put(const connection *it, const char *key, const char *json) {
    sqlite3_bind_text(it->set, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(it->set, 2, json, -1, SQLITE_STATIC);
    if (sqlite3_step(it->set) != SQLITE_DONE) die("SQLite: %s", sqlite3_errmsg(it->database));
    sqlite3_reset(it->set);
}

sqlite_flags *sqlite_open(const dataset *data, size_t lanes) {
    const char *path = text_of("%s/sqlite-%zu.db", config.dir, data->count);
    sqlite_flags *it = allocate(sizeof *it + lanes * sizeof it->each[0]);
    it->lanes = lanes;
    for (size_t i = 0; i < lanes; i++) it->each[i] = connect_to(path);
    execute(it->each[0].database, "BEGIN");
    for (size_t i = 0; i < data->count; i++) put(&it->each[0], data->keys[i], data->values[i]);
    execute(it->each[0].database, "COMMIT");
    return it;
}

void sqlite_set(sqlite_flags *it, size_t lane, const char *key, bool value) {
    put(&it->each[lane], key, value ? "true" : "false");
}

void sqlite_close_all(sqlite_flags *it) {
    for (size_t i = 0; i < it->lanes; i++) {
        sqlite3_finalize(it->each[i].set);
        sqlite3_close(it->each[i].database);
    }
    free(it);
}

/* ---- LMDB ---- */

struct lmdb_flags {
    MDB_env *env;
    MDB_dbi dbi;
};

void lmdb_must(int code) {
    if (code) die("LMDB: %s", mdb_strerror(code));
}

static void put_in(MDB_txn *txn, MDB_dbi dbi, const char *key, const char *json) {
    MDB_val name = {strlen(key), (void *)(uintptr_t)key}, value = {strlen(json), (void *)(uintptr_t)json};
    lmdb_must(mdb_put(txn, dbi, &name, &value, 0));
}

lmdb_flags *lmdb_open(const dataset *data) {
    const char *path = text_of("%s/lmdb-%zu", config.dir, data->count);
    lmdb_flags *it = allocate(sizeof *it);
    MDB_txn *txn;
    if (mkdir(path, 0777)) die("cannot make %s", path);
    lmdb_must(mdb_env_create(&it->env));
    lmdb_must(mdb_env_set_mapsize(it->env, 256u << 20));
    lmdb_must(mdb_env_open(it->env, path, 0, 0666));
    lmdb_must(mdb_txn_begin(it->env, NULL, 0, &txn));
    lmdb_must(mdb_dbi_open(txn, NULL, 0, &it->dbi));
    for (size_t i = 0; i < data->count; i++) put_in(txn, it->dbi, data->keys[i], data->values[i]);
    lmdb_must(mdb_txn_commit(txn));
    return it;
}

void lmdb_set(lmdb_flags *it, const char *key, bool value) {
    MDB_txn *txn;
    lmdb_must(mdb_txn_begin(it->env, NULL, 0, &txn));
    put_in(txn, it->dbi, key, value ? "true" : "false");
    lmdb_must(mdb_txn_commit(txn));
}

void lmdb_close(lmdb_flags *it) {
    mdb_env_close(it->env);
    free(it);
}
