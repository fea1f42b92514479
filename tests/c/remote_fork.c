/* run: plain */
/* Forks of a process whose stores are elsewhere: both sides go on, whatever other threads are in the middle of. */
#include "fault_backend.h"

enum { FRESH = FLAGSTORE_READ_FRESH, CHECKED = FLAGSTORE_READ_CHECKED, WATCHED = FLAGSTORE_READ_WATCHED };

/* A tenth of them where tests are to be quick. */
static int children_of_each_kind(void) {
    const char *all = getenv("FLAGSTORE_TESTS");
    return all && strcmp(all, "all") == 0 ? 50 : 5;
}

static const struct {
    const char *name;
    int32_t mode;
    uint32_t flags;
    bool has_wake, frees;
} KINDS[] = {
    {"fresh", FRESH, 0, true, true},
    {"fresh, concurrent", FRESH, FLAGSTORE_BACKEND_CONCURRENT, true, true},
    {"checked", CHECKED, 0, true, true},
    {"watched", WATCHED, 0, true, true},
    {"watched, concurrent", WATCHED, FLAGSTORE_BACKEND_CONCURRENT, true, true},
    {"watched, never freed in the child", WATCHED, FLAGSTORE_BACKEND_CONCURRENT, false, false},
};

struct side {
    struct engine *engine;
    struct backend *backend;
    flagstore_t *store;
    size_t kind;
    int number, writers, is_over;
};

/* ---- the parent's threads ---- */

static void *change_and_read(void *argument) {
    struct side *side = argument;
    char key[16], text[16];
    snprintf(key, sizeof key, "parent %d", INCREMENT(side->writers));
    for (int i = 0; !NOW(side->is_over); i++) {
        snprintf(text, sizeof text, "%d", i);
        SET(side->store, key, text);
        CHECK_GET(text, side->store, key);
    }
    return NULL;
}

static void *wait_for_changes(void *argument) {
    struct side *side = argument;
    uint64_t revision = flagstore_revision(side->store, NULL);
    while (!NOW(side->is_over))
        flagstore_wait(side->store, &revision, 5, NULL);
    return NULL;
}

/* ---- a child ---- */

static void *read_in_child(void *argument) {
    struct side *side = argument;
    CHECK_GET("1", side->store, "kept");
    return NULL;
}

static void be_a_child(void *argument) {
    struct side *side = argument;
    struct backend *backend = side->backend;
    char text[16];
    pthread_t readers[2];
    int calls = count_backend_calls(backend);
    CHECK_INT(0, NOW(backend->forks));
    if (side->number % 3 == 0) { /* several threads find out at once */
        for (size_t i = 0; i < COUNT(readers); i++)
            pthread_create(&readers[i], NULL, read_in_child, side);
        for (size_t i = 0; i < COUNT(readers); i++)
            pthread_join(readers[i], NULL);
    } else if (side->number % 3 == 1) { /* nothing but the end */
        if (KINDS[side->kind].frees) flagstore_free(side->store);
        CHECK_INT(KINDS[side->kind].frees, NOW(backend->closes));
        CHECK_INT(KINDS[side->kind].frees, NOW(backend->forks));
        return;
    }
    CHECK_GET("1", side->store, "kept");
    CHECK_INT(1, NOW(backend->forks));
    CHECK_INT(calls, NOW(backend->calls_after_fork)); /* it came before every call */
    snprintf(text, sizeof text, "%d", side->number);
    SET(side->store, "child", text);
    CHECK_GET(text, side->store, "child");
    CHECK_EVENTUALLY(state_of(side->store).state == FLAGSTORE_STATE_LIVE);
    engine_set(side->engine, "of others", text);
    CHECK_EVENTUALLY(reads_as(side->store, "of others", text));
    if (KINDS[side->kind].frees) flagstore_free(side->store);
    CHECK_INT(KINDS[side->kind].frees, NOW(backend->closes));
    CHECK_INT(1, NOW(backend->forks));
}

static void both_sides_go_on(void) {
    for (size_t kind = 0; kind < COUNT(KINDS); kind++) {
        struct engine *engine = new_engine();
        struct side side = {.engine = engine, .backend = new_backend(engine), .kind = kind};
        flagstore_backend_t table = table_of(side.backend);
        pthread_t threads[3];
        check_row = KINDS[kind].name;
        table.flags = KINDS[kind].flags;
        if (!KINDS[kind].has_wake) table.wake = NULL;
        engine_set(engine, "kept", "1");
        side.store = open_table(table, options_of(KINDS[kind].mode));
        for (size_t i = 0; i < COUNT(threads); i++)
            pthread_create(&threads[i], NULL, i == 2 ? wait_for_changes : change_and_read, &side);
        for (side.number = 0; side.number < children_of_each_kind(); side.number++)
            end_child(start_child(be_a_child, &side));
        PUT(side.is_over, 1);
        for (size_t i = 0; i < COUNT(threads); i++)
            pthread_join(threads[i], NULL);
        CHECK_INT(0, NOW(side.backend->forks));
        CHECK_GET("1", side.store, "kept");
        end_backend(side.backend, side.store);
        free_engine(engine);
    }
}

/* ---- while the backend hangs in the parent ---- */

static void read_beside_a_call_that_hangs(void *argument) {
    struct side *side = argument;
    for (int op = 0; op < OPS; op++)
        FAULT(side->backend, op, blocks, 0);
    CHECK_GET("1", side->store, "kept");
    CHECK_EVENTUALLY(state_of(side->store).state == FLAGSTORE_STATE_LIVE);
    flagstore_free(side->store);
    CHECK_INT(1, NOW(side->backend->closes));
}

static void a_child_does_not_inherit_a_call_that_hangs(void) {
    static const struct { int32_t mode; enum op op; } ROWS[] = {{FRESH, OP_GET}, {CHECKED, OP_LOAD}, {WATCHED, OP_LOAD},
                                                                {WATCHED, OP_WAIT}};
    for (size_t row = 0; row < COUNT(ROWS); row++) {
        struct engine *engine = new_engine();
        struct side side = {.engine = engine, .backend = new_backend(engine)};
        flagstore_remote_options_t options = options_of(ROWS[row].mode);
        options.call_timeout_ms = 50;
        engine_set(engine, "kept", "1");
        side.store = open_table(table_of(side.backend), options);
        FAULT(side.backend, ROWS[row].op, blocks, 1);
        if (ROWS[row].mode == WATCHED) engine_set(engine, "of others", "1");
        else CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_get(side.store, "kept"));
        CHECK_EVENTUALLY(NOW(side.backend->blocked) > 0);
        end_child(start_child(read_beside_a_call_that_hangs, &side));
        FAULT(side.backend, ROWS[row].op, blocks, 0);
        CHECK_EVENTUALLY(reads_as(side.store, "kept", "1"));
        end_backend(side.backend, side.store);
        free_engine(engine);
    }
}

/* ---- what a child knows before its own threads do ---- */

static void serve_what_was_inherited(void *argument) {
    struct side *side = argument;
    FAULT(side->backend, OP_LOAD, blocks, 1);
    CHECK_GET("1", side->store, "kept");
    CHECK_INT(FLAGSTORE_STATE_STALE, state_of(side->store).state);
    CHECK_INT(0, (long long)state_of(side->store).reconnects);
    FAULT(side->backend, OP_LOAD, blocks, 0);
    CHECK_EVENTUALLY(state_of(side->store).state == FLAGSTORE_STATE_LIVE);
    CHECK_GET("1", side->store, "kept");
    flagstore_free(side->store);
}

static void a_child_first_serves_what_it_inherited(void) {
    for (int32_t when_lost = FLAGSTORE_LOST_SERVE; when_lost <= FLAGSTORE_LOST_FAIL; when_lost++) {
        struct engine *engine = new_engine();
        struct side side = {.engine = engine, .backend = new_backend(engine)};
        flagstore_remote_options_t options = options_of(WATCHED);
        options.when_lost = when_lost;
        engine_set(engine, "kept", "1");
        side.store = open_table(table_of(side.backend), options);
        end_child(start_child(serve_what_was_inherited, &side));
        CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(side.store).state);
        end_backend(side.backend, side.store);
        free_engine(engine);
    }
}

int main(void) {
    RUN(both_sides_go_on);
    RUN(a_child_does_not_inherit_a_call_that_hangs);
    RUN(a_child_first_serves_what_it_inherited);
    return check_summary("remote_fork");
}
