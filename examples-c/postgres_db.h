/* What postgres_backend.c needs of libpq: a connection on which every wait has a deadline, and the tables. */
#ifndef POSTGRES_DB_H
#define POSTGRES_DB_H

#include <flagstore.h>
#include <libpq-fe.h>

typedef struct {
    const char *conninfo;
    int timeout_ms;   /* after which the server gives a command up */
    PGconn *conn;     /* NULL: not connected */
    char sqlstate[6]; /* why the server refused the last command; "" if it did not */
} db_t;

/* Milliseconds of a clock that nobody sets. Deadlines are such times. */
int64_t db_now(void);

/* Connects, and creates the tables if they are missing, unless that has been done. A connection that the server has
 * closed meanwhile is replaced. Failure is FLAGSTORE_UNAVAILABLE, or what the server refused. */
bool db_connect(db_t *db, int64_t deadline, flagstore_error_t **error);
void db_disconnect(db_t *db);

/* Sends a command, or several if there are no parameters, and returns the answer to the last one, to be freed with
 * PQclear. NULL: it failed. If the connection is closed then, nobody knows whether the server did it. */
PGresult *db_ask(db_t *db, int64_t deadline, flagstore_error_t **error, const char *command, int count,
                 const char *const *parameters);

/* The same for commands whose answer says no more than that they were done. */
bool db_tell(db_t *db, int64_t deadline, flagstore_error_t **error, const char *command);

/* Puts an error into *error, with `words` in the place of %s, and returns false. */
bool db_fail(flagstore_error_t **error, int32_t code, const char *format, const char *words);

/* The same with libpq's words. */
bool db_fail_unreached(flagstore_error_t **error, const PGconn *conn);

#endif
