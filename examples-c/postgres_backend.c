/* postgres_backend: flags in PostgreSQL (tested with 15). See postgres_backend.h; the tables are in postgres_db.c.
 *
 *   - A flag is a row of flagstore_flags, for people with psql too. Keys are text, so a key with U+0000 can be asked
 *     for, but not stored. Values are json, which keeps the text as it is; jsonb would retype 1.10 and refuse 1e999999.
 *   - flagstore_revision has one row. A trigger counts there each transaction that changes flags, whoever makes it, and
 *     notifies the channel "flagstore". It does so before the first row is touched: whoever changes flags waits for
 *     that one row first, so changes follow one another, and no two of them deadlock over the rows of flags.
 *   - flagstore_writers has for each handle the revision that it committed last. When the answer to a COMMIT is lost,
 *     this row says what became of it. txid_status() does not: a server that was killed may give the number of a lost
 *     transaction to another one, and then says "committed" of it.
 *
 * There are two connections: one for calls, which the library makes one at a time, and one that waits. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "postgres_backend.h"
#include "postgres_db.h"

enum { DEFAULT_TIMEOUT_MS = 500, RETRY_MS = 20 };

typedef struct {
    char *conninfo;
    int timeout_ms; /* of a whole call */
    db_t calling, waiting;
    int wake_fd;     /* an eventfd */
    char writer[33]; /* this handle's name in flagstore_writers; "": none yet */
} postgres_t;

/* By when a call that begins now must end. */
static int64_t deadline_of(const postgres_t *pg) {
    return db_now() + pg->timeout_ms;
}

/* ---- reading ---- */

static uint64_t number(const char *text) {
    return strtoull(text, NULL, 10);
}

static bool has_nul(const char *key, size_t key_len) {
    return memchr(key, '\0', key_len) != NULL;
}

static bool get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply, flagstore_error_t **error) {
    postgres_t *pg = context;
    int64_t deadline = deadline_of(pg);
    if (has_nul(key, key_len))
        return true; /* there is no such flag */
    if (!db_connect(&pg->calling, deadline, error))
        return false;
    static const char question[] = "SELECT value FROM flagstore_flags WHERE key = $1";
    PGresult *found = db_ask(&pg->calling, deadline, error, question, 1, &key);
    if (PQntuples(found) > 0)
        flagstore_reply(reply, NULL, 0, PQgetvalue(found, 0, 0), (size_t)PQgetlength(found, 0, 0));
    PQclear(found);
    return found != NULL;
}

/* The revision, or 0 if its row has gone. */
static bool ask_revision(db_t *db, int64_t deadline, uint64_t *revision, flagstore_error_t **error) {
    PGresult *found = db_ask(db, deadline, error, "SELECT revision FROM flagstore_revision", 0, NULL);
    *revision = PQntuples(found) > 0 ? number(PQgetvalue(found, 0, 0)) : 0;
    PQclear(found);
    return found != NULL;
}

/* Asks for one number if nothing has changed, else for everything in one statement, which sees one moment. */
static bool load(void *context, uint64_t *revision, bool *same, flagstore_reply_t *reply, flagstore_error_t **error) {
    postgres_t *pg = context;
    int64_t deadline = deadline_of(pg);
    uint64_t current = 0;
    if (!db_connect(&pg->calling, deadline, error))
        return false;
    if (*revision != 0 && !ask_revision(&pg->calling, deadline, &current, error))
        return false;
    if (current != 0 && current == *revision)
        return *same = true;
    static const char question[] =
        "SELECT revision, key, value FROM flagstore_revision LEFT JOIN flagstore_flags ON true";
    PGresult *all = db_ask(&pg->calling, deadline, error, question, 0, NULL);
    *revision = PQntuples(all) > 0 ? number(PQgetvalue(all, 0, 0)) : 0; /* 0: somebody has emptied the table */
    for (int row = 0; row < PQntuples(all); row++)
        if (!PQgetisnull(all, row, 1)) /* NULL: there are no flags */
            flagstore_reply(reply, PQgetvalue(all, row, 1), (size_t)PQgetlength(all, row, 1),
                            PQgetvalue(all, row, 2), (size_t)PQgetlength(all, row, 2));
    PQclear(all);
    return all != NULL;
}

static bool list_all(void *context, flagstore_reply_t *reply, flagstore_error_t **error) {
    uint64_t revision = 0;
    bool same = false;
    return load(context, &revision, &same, reply, error);
}

/* ---- changing ---- */

/* An array of PostgreSQL as text: {"one","two"}. */
typedef struct {
    char *text;
    size_t len, room;
    bool is_short; /* of memory */
} array_t;

static void append(array_t *array, const char *text, size_t len) {
    char *larger = array->text, *at;
    if (array->len + 2 * len + 5 > array->room) { /* all escaped, quotes, a comma, the end */
        array->room = 2 * (array->len + 2 * len + 5);
        larger = realloc(array->text, array->room);
    }
    if ((array->is_short = array->is_short || larger == NULL))
        return;
    array->text = larger;
    at = larger + array->len;
    *at++ = array->len == 0 ? '{' : ',';
    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            *at++ = '\\';
        *at++ = text[i];
    }
    *at++ = '"';
    array->len = (size_t)(at - larger);
    memcpy(at, "}", 2);
}

static const char *array_text(const array_t *array) {
    return array->len == 0 ? "{}" : array->text;
}

/* As strcmp, of the bytes of a key and of a row's. */
static int compare(const char *key, size_t key_len, const PGresult *rows, int row) {
    size_t len = (size_t)PQgetlength(rows, row, 0);
    int order = memcmp(key, PQgetvalue(rows, row, 0), key_len < len ? key_len : len);
    return order != 0 ? order : (key_len > len) - (key_len < len);
}

/* The row of the key, among rows in the order of bytes; -1: there is none. */
static int find(const PGresult *rows, const char *key, size_t key_len) {
    for (int low = 0, high = PQntuples(rows); low < high;) {
        int middle = low + (high - low) / 2;
        int order = compare(key, key_len, rows, middle);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

/* Whether the rows have this value, NULL for none. */
static bool is_so(const PGresult *rows, const char *key, size_t key_len, const char *json, size_t json_len) {
    int row = find(rows, key, key_len);
    if (row < 0 || json == NULL)
        return row < 0 && json == NULL;
    return flagstore_json_equal(json, json_len, PQgetvalue(rows, row, 1), (size_t)PQgetlength(rows, row, 1));
}

static bool check_expectations(const flagstore_batch_t *batch, const PGresult *rows, flagstore_error_t **error) {
    for (size_t i = 0; i < flagstore_batch_expect_count(batch); i++) {
        size_t key_len, json_len;
        const char *key = flagstore_batch_expect_key(batch, i, &key_len);
        const char *json = flagstore_batch_expect_value(batch, i, &json_len);
        if (!is_so(rows, key, key_len, json, json_len)) /* without the values: the message is logged */
            return db_fail(error, FLAGSTORE_CONFLICT, "flag \"%s\": not what the batch expected", key);
    }
    return true;
}

/* What has to be written, which may be nothing. */
typedef struct {
    array_t read, gone, keys, values;
} work_t;

static bool plan(const flagstore_batch_t *batch, const PGresult *rows, work_t *work, flagstore_error_t **error) {
    size_t key_len, json_len;
    for (size_t i = 0; i < flagstore_batch_count(batch); i++) {
        const char *key = flagstore_batch_key(batch, i, &key_len);
        const char *json = flagstore_batch_value(batch, i, &json_len);
        if (is_so(rows, key, key_len, json, json_len))
            continue;
        if (json == NULL) {
            append(&work->gone, key, key_len);
        } else if (has_nul(key, key_len)) {
            return db_fail(error, FLAGSTORE_BACKEND, "flag \"%s\\0...\": PostgreSQL cannot store U+0000 in a key", key);
        } else {
            append(&work->keys, key, key_len);
            append(&work->values, json, json_len);
        }
    }
    if (!flagstore_batch_clears(batch))
        return true;
    size_t i = 0; /* both are in the same order */
    for (int row = 0; row < PQntuples(rows); row++) {
        const char *key;
        while ((key = flagstore_batch_key(batch, i, &key_len)) != NULL && compare(key, key_len, rows, row) < 0)
            i++;
        if (key == NULL || compare(key, key_len, rows, row) != 0)
            append(&work->gone, PQgetvalue(rows, row, 0), (size_t)PQgetlength(rows, row, 0));
    }
    return true;
}

/* After a COMMIT without an answer. Once the row of the revision can be locked, that transaction has ended: it either
 * has left its revision beside our name, or never will. */
static bool settle(postgres_t *pg, uint64_t revision, int64_t deadline, flagstore_error_t **error) {
    char question[300];
    snprintf(question, sizeof question,
             "SELECT 1 FROM flagstore_revision FOR UPDATE;"
             "SELECT 1 FROM flagstore_writers WHERE writer = '%s' AND revision = %" PRIu64, pg->writer, revision);
    const struct timespec pause = {0, RETRY_MS * 1000000L};
    while (db_now() < deadline) {
        PGresult *answer = NULL;
        if (db_connect(&pg->calling, deadline, error))
            answer = db_ask(&pg->calling, deadline, error, question, 0, NULL);
        if (answer != NULL) {
            bool is_done = PQntuples(answer) > 0;
            PQclear(answer);
            flagstore_free(*error);
            *error = NULL;
            return is_done || db_fail(error, FLAGSTORE_UNAVAILABLE, "%s", "PostgreSQL: the change was lost on its way");
        }
        nanosleep(&pause, NULL);
    }
    return db_fail(error, FLAGSTORE_UNCERTAIN, "PostgreSQL: no answer to COMMIT (%s)", flagstore_error_message(*error));
}

/* One transaction. *was_there: whether the batch found a flag to delete. */
static bool try_change(postgres_t *pg, const flagstore_batch_t *batch, int64_t deadline, work_t *work,
                       uint64_t *revision, bool *was_there, flagstore_error_t **error) {
    db_t *db = &pg->calling;
    /* The lock makes changes follow one another, so what is read behind it is what the change will meet. Locking the
     * expected rows would not do: a row that must be absent cannot be locked. */
    static const char begin[] = "BEGIN; SELECT revision FROM flagstore_revision FOR UPDATE";
    PGresult *answer = db_ask(db, deadline, error, begin, 0, NULL);
    if (answer == NULL)
        return false;
    bool is_there = PQntuples(answer) > 0;
    *revision = is_there ? number(PQgetvalue(answer, 0, 0)) : 0;
    PQclear(answer);
    if (!is_there)
        return db_fail(error, FLAGSTORE_BACKEND, "%s", "PostgreSQL: flagstore_revision has lost its row");

    const char *read = array_text(&work->read);
    PGresult *rows = flagstore_batch_clears(batch)
        ? db_ask(db, deadline, error, "SELECT key, value FROM flagstore_flags ORDER BY key", 0, NULL)
        : db_ask(db, deadline, error,
              "SELECT key, value FROM flagstore_flags WHERE key = ANY ($1) ORDER BY key", 1, &read);
    work->gone.len = work->keys.len = work->values.len = 0;
    bool is_good = rows != NULL && check_expectations(batch, rows, error) && plan(batch, rows, work, error);
    PQclear(rows);
    if (!is_good)
        return false;
    if (work->read.is_short || work->gone.is_short || work->keys.is_short || work->values.is_short)
        return db_fail(error, FLAGSTORE_IO, "%s", "out of memory");
    *was_there = work->gone.len > 0;
    if (work->gone.len == 0 && work->keys.len == 0)
        return db_tell(db, deadline, error, "COMMIT"); /* of nothing: all is as it should be */

    char next[24];
    snprintf(next, sizeof next, "%" PRIu64, ++*revision); /* as the trigger counts */
    const char *const parameters[] = {pg->writer, next, array_text(&work->gone), array_text(&work->keys),
                                      array_text(&work->values)};
    answer = db_ask(db, deadline, error,
                 "WITH written AS (INSERT INTO flagstore_writers VALUES ($1, $2::bigint) ON CONFLICT (writer)"
                 "  DO UPDATE SET revision = excluded.revision, at = now()),"
                 " forgotten AS (DELETE FROM flagstore_writers WHERE at < now() - interval '1 hour' AND writer <> $1),"
                 " gone AS (DELETE FROM flagstore_flags WHERE key = ANY ($3::text[]))"
                 "INSERT INTO flagstore_flags"
                 " SELECT key, value::json FROM unnest($4::text[], $5::text[]) AS new (key, value)"
                 " ON CONFLICT (key) DO UPDATE SET value = excluded.value", 5, parameters);
    PQclear(answer);
    if (answer == NULL)
        return false;
    /* Half of the time that is left is for finding out, should the answer not come. */
    int64_t now = db_now();
    if (db_tell(db, now + (deadline - now) / 2, error, "COMMIT"))
        return true;
    return db->conn == NULL && settle(pg, *revision, deadline, error);
}

/* 16 random bytes. Each process has its own. */
static void name_writer(postgres_t *pg) {
    unsigned char bytes[16] = {0};
    while (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {}
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(pg->writer + 2 * i, 3, "%02x", bytes[i]);
}

static bool change(postgres_t *pg, const flagstore_batch_t *batch, uint64_t *revision, bool *was_there,
                   flagstore_error_t **error) {
    db_t *db = &pg->calling;
    int64_t deadline = deadline_of(pg);
    work_t work = {0};
    bool is_done, again;
    if (pg->writer[0] == '\0')
        name_writer(pg);
    for (size_t i = 0; i < flagstore_batch_count(batch) + flagstore_batch_expect_count(batch); i++) {
        size_t count = flagstore_batch_count(batch), len;
        const char *key = i < count ? flagstore_batch_key(batch, i, &len)
                                    : flagstore_batch_expect_key(batch, i - count, &len);
        if (!has_nul(key, len))
            append(&work.read, key, len);
    }
    do {
        db->sqlstate[0] = '\0';
        is_done = db_connect(db, deadline, error) &&
            try_change(pg, batch, deadline, &work, revision, was_there, error);
        again = !is_done && strncmp(db->sqlstate, "40", 2) == 0 && db_now() < deadline; /* a deadlock's victim */
        if (!is_done && db->conn != NULL && PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
            flagstore_error_t *ignored = NULL;
            if (!db_tell(db, deadline, &ignored, "ROLLBACK"))
                flagstore_free(ignored);
        }
        if (again) {
            flagstore_free(*error);
            *error = NULL;
        }
    } while (again);
    free(work.read.text), free(work.gone.text), free(work.keys.text), free(work.values.text);
    return is_done;
}

static bool commit(void *context, const flagstore_batch_t *batch, uint64_t *revision, flagstore_error_t **error) {
    bool was_there = false;
    return change(context, batch, revision, &was_there, error);
}

static bool set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                flagstore_error_t **error) {
    uint64_t revision = 0;
    flagstore_batch_t *batch = flagstore_batch_new();
    bool is_done = flagstore_batch_set_n(batch, key, key_len, json, json_len, error) &&
        commit(context, batch, &revision, error);
    flagstore_free(batch);
    return is_done;
}

static bool remove_flag(void *context, const char *key, size_t key_len, bool *existed, flagstore_error_t **error) {
    uint64_t revision = 0;
    flagstore_batch_t *batch = flagstore_batch_new();
    bool is_done = flagstore_batch_delete_n(batch, key, key_len, error) &&
        change(context, batch, &revision, existed, error);
    flagstore_free(batch);
    return is_done;
}

/* ---- waiting ---- */

/* Looks, and again after each notification and at the end: silence alone does not tell that the server is there. */
static bool wait_for_change(void *context, uint64_t *revision, int32_t timeout_ms, flagstore_error_t **error) {
    postgres_t *pg = context;
    db_t *db = &pg->waiting;
    int64_t end = db_now() + timeout_ms;
    if (db->conn == NULL && !(db_connect(db, deadline_of(pg), error) &&
                                      db_tell(db, deadline_of(pg), error, "LISTEN flagstore")))
        return db_disconnect(db), false;
    for (bool is_over = false;;) {
        uint64_t current;
        if (!ask_revision(db, deadline_of(pg), &current, error))
            return false;
        if (current != *revision) {
            *revision = current;
            return true;
        }
        if (is_over)
            return false;
        PGnotify *told = NULL;
        while ((told = PQnotifies(db->conn)) == NULL && db_now() < end) {
            struct pollfd entries[] = {{PQsocket(db->conn), POLLIN, 0}, {pg->wake_fd, POLLIN, 0}};
            poll(entries, 2, (int)(end - db_now() > 0 ? end - db_now() : 0));
            uint64_t wakes;
            if (entries[1].revents != 0 && read(pg->wake_fd, &wakes, sizeof wakes) > 0)
                return false;
            if (entries[0].revents != 0 && !PQconsumeInput(db->conn)) {
                db_fail_unreached(error, db->conn);
                return db_disconnect(db), false;
            }
        }
        is_over = told == NULL;
        for (; told != NULL; told = PQnotifies(db->conn)) /* one look for all of them */
            PQfreemem(told);
    }
}

static void wake(void *context) {
    const postgres_t *pg = context;
    uint64_t one = 1;
    if (write(pg->wake_fd, &one, sizeof one) < 0) {} /* it is awake already */
}

/* ---- life ---- */

/* PQfinish would say goodbye on connections that are the parent's: only the copies of its descriptors are closed, and
 * what libpq knows of them is left alone. */
static void forget_in_child(void *context) {
    postgres_t *pg = context;
    db_t *connections[] = {&pg->calling, &pg->waiting};
    for (int i = 0; i < 2; i++) {
        if (connections[i]->conn != NULL && PQsocket(connections[i]->conn) >= 0)
            close(PQsocket(connections[i]->conn));
        connections[i]->conn = NULL;
    }
    close(pg->wake_fd);
    pg->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pg->writer[0] = '\0';
}

static void close_all(void *context) {
    postgres_t *pg = context;
    db_disconnect(&pg->calling);
    db_disconnect(&pg->waiting);
    close(pg->wake_fd);
    free(pg->conninfo);
    free(pg);
}

flagstore_t *postgres_open(const char *conninfo, const flagstore_remote_options_t *options,
                           flagstore_error_t **error) {
    flagstore_error_t *problem = NULL, **result = error != NULL ? error : &problem;
    *result = NULL;
    PQconninfoOption *parsed = conninfo != NULL ? PQconninfoParse(conninfo, NULL) : NULL;
    postgres_t *pg = calloc(1, sizeof *pg);
    flagstore_t *store = NULL;
    if (pg == NULL || (conninfo != NULL && (pg->conninfo = strdup(conninfo)) == NULL)) {
        db_fail(result, FLAGSTORE_IO, "%s", "out of memory");
        free(pg);
    } else if (parsed == NULL) { /* libpq would quote it, and a password with it */
        db_fail(result, FLAGSTORE_INVALID_ARGUMENT, "%s", "not a connection string of PostgreSQL");
        free(pg->conninfo), free(pg);
    } else {
        flagstore_backend_t backend = {
            .size = sizeof backend, .context = pg, .get = get, .set = set, .remove = remove_flag, .list_all = list_all,
            .close = close_all, .commit = commit, .load = load, .wait = wait_for_change, .wake = wake,
            .forked = forget_in_child};
        int limit = options != NULL && options->call_timeout_ms > 0 ? options->call_timeout_ms : DEFAULT_TIMEOUT_MS;
        pg->timeout_ms = limit > 10 ? limit - limit / 10 : limit; /* before the library stops waiting for the answer */
        pg->calling.conninfo = pg->waiting.conninfo = pg->conninfo;
        pg->calling.timeout_ms = pg->waiting.timeout_ms = pg->timeout_ms;
        pg->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        store = flagstore_backend_open_with(&backend, options, result);
        /* An option out of range is the one failure that comes before the library has taken the backend over. */
        if (store == NULL && flagstore_error_code(*result) == FLAGSTORE_INVALID_ARGUMENT)
            close_all(pg);
    }
    PQconninfoFree(parsed);
    flagstore_free(problem);
    return store;
}
