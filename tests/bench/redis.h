/* What the rows of Redis share: a server of their own, hiredis as the peer, and stores on that server. */
#ifndef REDIS_H
#define REDIS_H

#include "bench.h"

#include <hiredis/hiredis.h>

typedef struct redis_server redis_server;

/* Starts a redis-server on a free port of loopback and on a socket in a new directory in config.dir. It keeps nothing
   but what redis_save writes there. It ends with this program. */
redis_server *redis_start(void);
/* Ends it and starts it again, on the same port and with what was saved. */
void redis_kill(redis_server *server);
void redis_restart(redis_server *server);
/* A stopped server takes connections, and bytes, and answers nothing. */
void redis_stop(redis_server *server);
void redis_continue(redis_server *server);
void redis_end(redis_server *server);
/* Blocks until it answers. */
void redis_await(redis_server *server);
void redis_save(redis_server *server);

const char *redis_tcp(const redis_server *server);
const char *redis_unix(const redis_server *server);

/* A connection of hiredis, by the socket if `local`. It is the caller's. */
redisContext *redis_peer(const redis_server *server, bool local);
/* One command of hiredis; an error ends the program. */
__attribute__((format(printf, 2, 3))) redisReply *redis_ask(redisContext *peer, const char *format, ...);
redisReply *redis_ask_argv(redisContext *peer, size_t count, const char **words, const size_t *lens);

/* A name for the hash that has the flags of `data`. */
const char *redis_hash_of(const dataset *data);
/* Puts the flags into that hash, by a commit of the library. */
void redis_fill(const redis_server *server, const dataset *data, const char *hash);

enum { PATIENT_MS = 10000 }; /* what is timed must not fail because the machine is busy with something else */

/* A store of the flags in that hash; spread_ms and timeout_ms (of a call) as in the options. */
flagstore_t *redis_open(const char *url, const char *hash, int32_t read_mode, int32_t spread_ms, int32_t timeout_ms);

/* As `measure`; with --instructions it runs only one of them, for callgrind, and ends the program. */
void redis_measure(contestant *contestants, size_t count, double factor);
/* The value at `at` (0 to 1) of any number of values, which are sorted. */
double redis_quantile(double *values, size_t count, double at);
/* `value` / `limit` as a row; both in ns. */
void redis_against(int row, const char *what, size_t flags, double value, double limit, bool limited);
void pause_ms(double ms);

void redis_get_row(redis_server *server);      /* 15 */
void redis_set_row(redis_server *server);      /* 16 */
void redis_snapshot_row(redis_server *server); /* 17 */
void redis_watched_row(redis_server *server);  /* 18 */
void redis_delay_row(redis_server *server);    /* 19 */
void redis_outage_row(redis_server *server);   /* 20 */
void redis_herd_row(redis_server *server);     /* 21 */
void redis_deadline_row(redis_server *server); /* 22 */
/* `plain`: the library without Redis, or NULL. */
void redis_size_row(const char *plain); /* 23 */

#endif
