/* run: plain valgrind sanitizers */
/* A backend that does not answer: calls of the store end in time, say what may have happened, and harm nobody when
   the answer comes after all. That a call returns while the backend still holds it needs no clock. */
#include "fault_backend.h"

enum { FRESH = FLAGSTORE_READ_FRESH, CHECKED = FLAGSTORE_READ_CHECKED, WATCHED = FLAGSTORE_READ_WATCHED };
enum { SHORT = 50, LONG = 60000 };

static flagstore_t *open_hasty(struct backend *backend, int32_t mode, uint32_t flags, int32_t timeout_ms) {
    flagstore_backend_t table = table_of(backend);
    flagstore_remote_options_t options = options_of(mode);
    table.flags = flags;
    options.call_timeout_ms = timeout_ms;
    return open_table(table, options);
}

static int32_t code_of_list(const flagstore_t *store) {
    flagstore_error_t *error = NULL;
    flagstore_free(flagstore_list_all(store, &error));
    int32_t code = flagstore_error_code(error);
    flagstore_free(error);
    return code;
}

static int32_t code_of_delete(flagstore_t *store, const char *key) {
    flagstore_error_t *error = NULL;
    flagstore_delete(store, key, &error);
    int32_t code = flagstore_error_code(error);
    flagstore_free(error);
    return code;
}

static int32_t code_of_commit(flagstore_t *store, const char *key, const char *json) {
    flagstore_error_t *error = NULL;
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_batch_set(batch, key, json, NULL);
    CHECK(flagstore_commit(store, batch, &error) == (error == NULL));
    int32_t code = flagstore_error_code(error);
    flagstore_free(batch);
    flagstore_free(error);
    return code;
}

/* ---- in time ---- */

static void a_read_that_is_not_answered_is_unavailable(void) {
    static const struct { int32_t mode; enum op op; } ROWS[] = {{FRESH, OP_GET}, {FRESH, OP_LOAD}, {CHECKED, OP_LOAD}};
    for (size_t row = 0; row < COUNT(ROWS); row++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        engine_set(engine, "flag", "1");
        flagstore_t *store = open_hasty(backend, ROWS[row].mode, 0, SHORT);
        FAULT(backend, ROWS[row].op, blocks, 1);
        bool is_get = ROWS[row].op == OP_GET || ROWS[row].mode == CHECKED;
        do /* on a slow machine nobody may have begun with it */
            CHECK_INT(FLAGSTORE_UNAVAILABLE, is_get ? code_of_get(store, "flag") : code_of_list(store));
        while (NOW(backend->blocked) == 0);
        /* At once, and without another call: all wait for this one. */
        for (int i = 0; i < 100; i++)
            CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_get(store, "flag"));
        CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_set(store, "flag", "2"));
        CHECK_INT(1, count_backend_calls(backend));
        CHECK_INT(FLAGSTORE_STATE_LOST, state_of(store).state);
        FAULT(backend, ROWS[row].op, blocks, 0);
        CHECK_EVENTUALLY(reads_as(store, "flag", "1"));
        CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
        CHECK_INT(1, (long long)state_of(store).reconnects);
        end_backend(backend, store);
        free_engine(engine);
    }
}

static void a_change_that_is_not_answered_is_uncertain(void) {
    static const struct { int32_t mode; enum op op; bool is_made; } ROWS[] = {
        {FRESH, OP_SET, false}, {FRESH, OP_REMOVE, true}, {CHECKED, OP_COMMIT, true},
        {WATCHED, OP_REMOVE, false}, {WATCHED, OP_COMMIT, true}, {WATCHED, OP_COMMIT, false},
    };
    for (size_t row = 0; row < COUNT(ROWS); row++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        enum op op = ROWS[row].op;
        engine_set(engine, "deleted", "1");
        engine_set(engine, "kept", "1");
        flagstore_t *store = open_hasty(backend, ROWS[row].mode, 0, SHORT);
        FAULT(backend, op, comes_late, ROWS[row].is_made);
        FAULT(backend, op, blocks, 1);
        int32_t code;
        do /* on a slow machine nobody may have begun with it */
            code = op == OP_REMOVE ? code_of_delete(store, "deleted") : op == OP_SET ? code_of_set(store, "flag", "2")
                   : code_of_commit(store, "flag", "2");
        while (code == FLAGSTORE_UNAVAILABLE);
        CHECK_INT(FLAGSTORE_UNCERTAIN, code);
        CHECK_INT(1, NOW(backend->blocked));
        CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_set(store, "unsent", "2"));
        CHECK_INT(1, NOW(backend->calls[op]));
        FAULT(backend, op, blocks, 0);
        /* It was made, and the store finds that out by itself. */
        CHECK_EVENTUALLY(code_of_get(store, "kept") == FLAGSTORE_OK
                         && (op == OP_REMOVE ? reads_as(store, "deleted", NULL) : reads_as(store, "flag", "2")));
        CHECK_GET(NULL, store, "unsent");
        end_backend(backend, store);
        free_engine(engine);
    }
}

struct caller {
    flagstore_t *store;
    int32_t code;
};

static void *call_set(void *argument) {
    struct caller *caller = argument;
    caller->code = code_of_set(caller->store, "first", "1");
    return NULL;
}

/* The second is queued behind the first. */
static void a_change_that_nobody_began_with_is_unavailable(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    struct caller caller = {open_hasty(backend, FRESH, 0, SHORT), -1};
    pthread_t thread;
    FAULT(backend, OP_SET, blocks, 1);
    pthread_create(&thread, NULL, call_set, &caller);
    CHECK_EVENTUALLY(NOW(backend->blocked) == 1);
    CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_set(caller.store, "second", "2"));
    pthread_join(thread, NULL);
    CHECK_INT(FLAGSTORE_UNCERTAIN, caller.code);
    FAULT(backend, OP_SET, blocks, 0);
    CHECK_EVENTUALLY(reads_as(caller.store, "first", "1"));
    CHECK_GET(NULL, caller.store, "second");
    CHECK_INT(1, NOW(backend->calls[OP_SET]));
    end_backend(backend, caller.store);
    free_engine(engine);
}

static void calls_that_may_overlap_do_not_wait_for_each_other(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    struct caller caller = {open_hasty(backend, FRESH, FLAGSTORE_BACKEND_CONCURRENT, LONG), -1};
    pthread_t thread;
    FAULT(backend, OP_SET, blocks, 1);
    pthread_create(&thread, NULL, call_set, &caller);
    CHECK_EVENTUALLY(NOW(backend->blocked) == 1);
    for (int i = 0; i < 20; i++)
        CHECK_GET(NULL, caller.store, "first");
    FAULT(backend, OP_SET, blocks, 0);
    pthread_join(thread, NULL);
    CHECK_INT(FLAGSTORE_OK, caller.code);
    CHECK_GET("1", caller.store, "first");
    end_backend(backend, caller.store);
    free_engine(engine);
}

/* Reads of a kept snapshot and changes have nothing to do with a read that hangs. */
static void an_own_change_is_seen_while_a_read_hangs(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    engine_set(engine, "flag", "0");
    engine->step = 7;
    flagstore_t *store = open_hasty(backend, WATCHED, FLAGSTORE_BACKEND_CONCURRENT, 400);
    FAULT(backend, OP_LOAD, blocks, 1);
    engine_set(engine, "of others", "1");
    CHECK_EVENTUALLY(NOW(backend->blocked) == 1);
    int32_t code = code_of_set(store, "flag", "1");
    /* On a slow machine the hanging read was given up before: then nothing was sent. */
    CHECK(code == FLAGSTORE_OK || code == FLAGSTORE_UNAVAILABLE);
    CHECK_GET(code == FLAGSTORE_OK ? "1" : "0", store, "flag");
    FAULT(backend, OP_LOAD, blocks, 0);
    CHECK_EVENTUALLY(reads_as(store, "of others", "1"));
    CHECK_GET(code == FLAGSTORE_OK ? "1" : "0", store, "flag");
    end_backend(backend, store);
    free_engine(engine);
}

static void an_open_that_is_not_answered_fails_in_time(void) {
    for (int32_t timeout = 1; timeout < 200; timeout += 150) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        flagstore_error_t *error = GARBAGE;
        flagstore_backend_t table = table_of(backend);
        flagstore_remote_options_t options = options_of(WATCHED);
        options.open_timeout_ms = timeout;
        FAULT(backend, OP_LOAD, blocks, 1);
        CHECK(flagstore_backend_open_with(&table, &options, &error) == NULL);
        CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
        CHECK_INT(NOW(backend->calls[OP_LOAD]), NOW(backend->blocked));
        CHECK_INT(0, NOW(backend->blocked) && NOW(backend->closes)); /* the call is still inside */
        FAULT(backend, OP_LOAD, blocks, 0);
        CHECK_EVENTUALLY(NOW(backend->closes) == 1);
        free(backend);
        free_engine(engine);
    }
}

/* ---- a backend that calls its own store ---- */

static void a_backend_that_calls_its_own_store_gets_an_error(void) {
    for (uint32_t flags = 0; flags <= FLAGSTORE_BACKEND_CONCURRENT; flags++)
        for (int32_t mode = FRESH; mode <= CHECKED + 1; mode++) {
            struct engine *engine = new_engine();
            struct backend *backend = new_backend(engine);
            flagstore_backend_t table = table_of(backend);
            table.flags = flags;
            flagstore_remote_options_t options = options_of(mode);
            flagstore_t *store = mode > CHECKED ? flagstore_backend_open(&table, NULL) : open_table(table, options);
            backend->own = store;
            CHECK_INT(FLAGSTORE_OK, code_of_get(store, "flag"));
            CHECK_INT(FLAGSTORE_BACKEND, NOW(backend->own_code));
            PUT(backend->own_code, 0);
            CHECK_INT(FLAGSTORE_OK, code_of_set(store, "flag", "1"));
            CHECK_INT(FLAGSTORE_BACKEND, NOW(backend->own_code));
            PUT(backend->own_code, 0);
            CHECK_INT(FLAGSTORE_OK, code_of_commit(store, "flag", "2"));
            CHECK_INT(FLAGSTORE_BACKEND, NOW(backend->own_code));
            CHECK_INT(FLAGSTORE_OK, code_of_delete(store, "flag"));
            backend->own = NULL;
            end_backend(backend, store);
            free_engine(engine);
        }
}

int main(void) {
    RUN(a_read_that_is_not_answered_is_unavailable);
    RUN(a_change_that_is_not_answered_is_uncertain);
    RUN(a_change_that_nobody_began_with_is_unavailable);
    RUN(calls_that_may_overlap_do_not_wait_for_each_other);
    RUN(an_own_change_is_seen_while_a_read_hangs);
    RUN(an_open_that_is_not_answered_fails_in_time);
    RUN(a_backend_that_calls_its_own_store_gets_an_error);
    return check_summary("remote_deadlines");
}
