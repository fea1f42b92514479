/* The kinds of store that tests/c/check.h takes instead of its own: flags in the PostgreSQL that run.sh has started,
   asked at every read and followed. */
#include "../../examples-c/postgres_backend.h"

#include <libpq-fe.h>

/* PostgreSQL's text has no U+0000, so no such key is stored here; scenarios.c says what is said of it. */
static inline bool needs_nul(const char *promise) {
    static const char *const promises[] = {
        "a_key_may_contain_nul", "typed_getters_find_the_nul_key", "it_lists_every_flag_in_byte_order",
        "it_finds_a_flag_by_its_whole_key", "it_finds_a_key_by_its_length", "it_seeks_the_first_key_that_is_not_less",
        "a_key_that_contains_nul_seems_to_end_there",
    };
    for (size_t i = 0; i < COUNT(promises); i++)
        if (strcmp(promise, promises[i]) == 0) return true;
    return false;
}
#define LEAVES_OUT(promise) needs_nul(promise)

/* Promises about files have been kept already. */
#undef RUN
#define RUN(promise) ((void)promise)

static inline const char *conninfo(void) { return getenv("FLAGSTORE_POSTGRES"); }

static inline flagstore_t *open_postgres(int32_t read_mode, flagstore_error_t **error) {
    flagstore_remote_options_t options = {.size = sizeof options, .read_mode = read_mode, .open_timeout_ms = 60000,
                                          .call_timeout_ms = 30000, .spread_ms = -1};
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
static inline flagstore_t *open_watched_one(flagstore_error_t **error) {
    return open_empty(FLAGSTORE_READ_WATCHED, error);
}

static const struct store_kind STORE_KINDS[] = {
    {"postgres", open_fresh_one},
    {"postgres watched", open_watched_one},
};
