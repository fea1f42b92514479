/* The kinds of store that tests/c/check.h takes instead of its own: flags in the PostgreSQL that run.sh has started, once
   asked at every read and once followed. */
#include "../../examples-c/postgres_backend.h"

#include <libpq-fe.h>

/* A flag for whose key PostgreSQL's text has no room is refused: scenarios.c says how. */
#define LEAVES_OUT(promise) (strstr((promise), "nul_") || strstr((promise), "contain_nul") || \
                             strcmp((promise), "calls_leave_the_resident_size_flat") == 0)

/* Promises about files have been kept already. */
#undef RUN
#define RUN(promise) ((void)promise)

static inline const char *conninfo(void) { return getenv("FLAGSTORE_POSTGRES"); }

static inline flagstore_t *open_postgres(int32_t read_mode, flagstore_error_t **error) {
    flagstore_remote_options_t options = {
        .size = sizeof options, .read_mode = read_mode, .open_timeout_ms = 60000, .call_timeout_ms = 30000, .spread_ms = -1};
    return postgres_open(conninfo(), &options, error);
}

/* A batch that clears an empty store must not be noticed, so it is emptied by other means. */
static inline flagstore_t *open_empty(int32_t read_mode, flagstore_error_t **error) {
    PGconn *conn = PQconnectdb(conninfo());
    PQclear(PQexec(conn, "DELETE FROM flagstore_flags")); /* fails where there is no table yet */
    PQfinish(conn);
    return open_postgres(read_mode, error);
}

static inline flagstore_t *open_fresh_one(flagstore_error_t **error) { return open_empty(FLAGSTORE_READ_FRESH, error); }
static inline flagstore_t *open_checked_one(flagstore_error_t **error) {
    return open_empty(FLAGSTORE_READ_CHECKED, error);
}
static inline flagstore_t *open_watched_one(flagstore_error_t **error) {
    return open_empty(FLAGSTORE_READ_WATCHED, error);
}

static const struct store_kind STORE_KINDS[] = {
    {"postgres", open_fresh_one},
    {"postgres checked", open_checked_one},
    {"postgres watched", open_watched_one},
};
