/* postgres_db: connections to PostgreSQL for postgres_backend.c. Nothing blocks but poll(), so that every call keeps
 * its deadline (looking up the name of a host excepted), and nothing is printed. See postgres_db.h. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "postgres_db.h"

/* Several clients may come here at the same moment: the lock lets one of them create. Once the tables are there, a program
 * needs SELECT, INSERT, UPDATE and DELETE on all three, and a person these on flagstore_flags and flagstore_revision.
 *
 * A revision begins with the time, which is ahead of any count, so that tables made anew do not repeat what clients have
 * seen. After a restore from a backup, see to that by UPDATE flagstore_revision SET revision = DEFAULT. */
static const char SCHEMA[] =
    "SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '10s';"
    "SELECT pg_advisory_xact_lock(7811324582631347045);"
    "CREATE TABLE IF NOT EXISTS flagstore_flags (key text COLLATE \"C\" PRIMARY KEY, value json NOT NULL);"
    "CREATE TABLE IF NOT EXISTS flagstore_writers (writer text PRIMARY KEY, revision bigint NOT NULL,"
    " at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS flagstore_revision (is_the_row bool PRIMARY KEY DEFAULT true CHECK (is_the_row),"
    " revision bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);"
    "INSERT INTO flagstore_revision DEFAULT VALUES ON CONFLICT DO NOTHING;"
    /* Once in a transaction, which a setting remembers that ends with it. */
    "CREATE OR REPLACE FUNCTION flagstore_count() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ "
    "BEGIN"
    "  IF current_setting('flagstore.counted', true) IS DISTINCT FROM TG_RELID::text THEN"
    "    UPDATE flagstore_revision SET revision = revision + 1;"
    "    PERFORM set_config('flagstore.counted', TG_RELID::text, true);"
    "    NOTIFY flagstore;"
    "  END IF;"
    "  RETURN NULL; "
    "END $$;"
    "DROP TRIGGER IF EXISTS flagstore_count ON flagstore_flags;"
    "CREATE TRIGGER flagstore_count BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON flagstore_flags"
    " FOR EACH STATEMENT EXECUTE FUNCTION flagstore_count();";

/* ---- errors ---- */

bool db_fail(flagstore_error_t **error, int32_t code, const char *format, const char *words) {
    char message[1000];
    snprintf(message, sizeof message, format, words);
    message[strcspn(message, "\n")] = '\0'; /* libpq ends its messages so */
    flagstore_free(*error);
    *error = flagstore_error_new(code, message);
    return false;
}

bool db_fail_unreached(flagstore_error_t **error, const PGconn *conn) {
    const char *words = PQerrorMessage(conn);
    return db_fail(error, FLAGSTORE_UNAVAILABLE, "PostgreSQL: %s", words[0] != '\0' ? words : "no answer in time");
}

/* The server's words, if it refused. Nothing was done. */
static bool fail_refused(db_t *db, const PGresult *answer, flagstore_error_t **error) {
    const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(db->sqlstate, sizeof db->sqlstate, "%s", state != NULL ? state : "");
    state = db->sqlstate;
    int32_t code = FLAGSTORE_BACKEND;
    if (strcmp(state, "55P03") == 0) /* lock_timeout */
        code = FLAGSTORE_LOCKED;
    else if (strcmp(state, "25006") == 0) /* a standby, or a session that may only read */
        code = FLAGSTORE_READ_ONLY;
    else if (strcmp(state, "57014") == 0 || strncmp(state, "40", 2) == 0) /* statement_timeout; a deadlock */
        code = FLAGSTORE_UNAVAILABLE;
    return db_fail(error, code, "PostgreSQL: %s", words != NULL ? words : PQresultErrorMessage(answer));
}

int64_t db_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- connections ---- */

void db_disconnect(db_t *db) {
    PQfinish(db->conn);
    db->conn = NULL;
}

/* Whether the connection is ready to be read (POLLIN) or written (POLLOUT) before the deadline. */
static bool is_ready(const PGconn *conn, short events, int64_t deadline) {
    struct pollfd entry = {PQsocket(conn), events, 0};
    int ready;
    do {
        int64_t left = deadline - db_now();
        ready = poll(&entry, 1, left > 0 ? (int)left : 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

PGresult *db_ask(db_t *db, int64_t deadline, flagstore_error_t **error, const char *command, int count,
                 const char *const *parameters) {
    PGconn *conn = db->conn;
    PGresult *answer = NULL, *next;
    db->sqlstate[0] = '\0';
    bool goes_on = count == 0 ? PQsendQuery(conn, command)
                              : PQsendQueryParams(conn, command, count, NULL, parameters, NULL, NULL, 0);
    int unsent = 1;
    while (goes_on && (unsent = PQflush(conn)) == 1) /* reads as well: the server may wait for that */
        goes_on = is_ready(conn, POLLIN | POLLOUT, deadline) && PQconsumeInput(conn);
    for (goes_on = goes_on && unsent == 0; goes_on;) {
        if (PQisBusy(conn)) {
            goes_on = is_ready(conn, POLLIN, deadline) && PQconsumeInput(conn);
            continue;
        }
        if ((next = PQgetResult(conn)) == NULL)
            break;
        PQclear(answer);
        answer = next;
    }
    ExecStatusType status = PQresultStatus(answer); /* a fatal error for NULL */
    if (!goes_on || PQstatus(conn) == CONNECTION_BAD) {
        db_fail_unreached(error, conn);
        db_disconnect(db);
    } else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        return answer;
    } else {
        fail_refused(db, answer, error);
    }
    PQclear(answer);
    return NULL;
}

bool db_tell(db_t *db, int64_t deadline, flagstore_error_t **error, const char *command) {
    PGresult *answer = db_ask(db, deadline, error, command, 0, NULL);
    PQclear(answer);
    return answer != NULL;
}

static bool set_up(db_t *db, int64_t deadline, flagstore_error_t **error) {
    char settings[400];
    /* The server gives up before the client does, and says why. It does not keep the locks of a client that stopped. */
    snprintf(settings, sizeof settings,
             "SET statement_timeout = %d; SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %d;"
             "SET client_min_messages = error; SET default_transaction_isolation = 'read committed';"
             "SELECT to_regclass('flagstore_flags') IS NOT NULL AND to_regclass('flagstore_revision') IS NOT NULL",
             db->timeout_ms, db->timeout_ms * 3 / 4, db->timeout_ms * 2);
    PGresult *answer = db_ask(db, deadline, error, settings, 0, NULL);
    bool is_there = answer != NULL && PQgetvalue(answer, 0, 0)[0] == 't';
    PQclear(answer);
    return answer != NULL && (is_there || db_tell(db, deadline, error, SCHEMA));
}

/* libpq would print what the server says on its own, as that it shuts down. */
static void ignore_notice(void *unused, const PGresult *notice) {
    (void)unused, (void)notice;
}

bool db_connect(db_t *db, int64_t deadline, flagstore_error_t **error) {
    static const char *const keywords[] = {"dbname", "client_encoding", "fallback_application_name", NULL};
    const char *const values[] = {db->conninfo, "UTF8", "flagstore", NULL};
    PGconn *conn = db->conn;
    if (conn != NULL) {
        if (!is_ready(conn, POLLIN, 0) || (PQconsumeInput(conn) && PQstatus(conn) == CONNECTION_OK))
            return true;
        db_disconnect(db);
    }
    db->conn = conn = PQconnectStartParams(keywords, values, 1);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (PQstatus(conn) != CONNECTION_BAD && state != PGRES_POLLING_OK &&
           is_ready(conn, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
        state = PQconnectPoll(conn);
    bool is_connected = state == PGRES_POLLING_OK && PQsetnonblocking(conn, 1) == 0;
    if (is_connected && set_up(db, deadline, error))
        return true;
    if (!is_connected && PQstatus(conn) == CONNECTION_BAD)
        db_fail_unreached(error, conn);
    else if (!is_connected)
        db_fail(error, FLAGSTORE_UNAVAILABLE, "%s", "PostgreSQL: no connection in time");
    db_disconnect(db);
    return false;
}
