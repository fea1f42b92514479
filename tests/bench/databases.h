/* SQLite and LMDB with the flags of a dataset in them, as peers for durable sets from several threads. */
#ifndef DATABASES_H
#define DATABASES_H

#include "bench.h"

typedef struct sqlite_flags sqlite_flags;
typedef struct lmdb_flags lmdb_flags;

/* WAL, synchronous=FULL, one connection for each of `lanes`. */
sqlite_flags *sqlite_open(const dataset *data, size_t lanes);
void sqlite_set(sqlite_flags *it, size_t lane, const char *key, bool value);
void sqlite_close_all(sqlite_flags *it);

void lmdb_must(int code);
/* The default flags: every commit is synced. */
lmdb_flags *lmdb_open(const dataset *data);
void lmdb_set(lmdb_flags *it, const char *key, bool value);
void lmdb_close(lmdb_flags *it);

#endif
