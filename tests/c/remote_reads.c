/* run: plain valgrind sanitizers */
/* What reads of a store elsewhere ask for and see, in each mode and over every kind of backend. */
#include "fault_backend.h"
#include "recorder.h"

enum { FRESH = FLAGSTORE_READ_FRESH, CHECKED = FLAGSTORE_READ_CHECKED, WATCHED = FLAGSTORE_READ_WATCHED };

/* ---- what they ask ---- */

static void a_fresh_read_asks_for_its_flag(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_t *store = open_over_backend(backend, FRESH);
    SET(store, "flag", "1");
    for (int i = 1; i < 5; i++) {
        CHECK_GET("1", store, "flag");
        CHECK_INT(i, NOW(backend->calls[OP_GET]));
    }
    CHECK_INT(5, count_backend_calls(backend));
    end_backend(backend, store);
    free_engine(engine);
}

static void a_checked_read_asks_whether_it_is_the_same(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    engine_set(engine, "flag", "1");
    flagstore_t *store = open_over_backend(backend, CHECKED);
    for (int i = 1; i < 5; i++) {
        CHECK_GET("1", store, "flag");
        CHECK_INT(i, NOW(backend->calls[OP_LOAD]));
        CHECK_INT(i - 1, NOW(backend->sames));
    }
    engine_set(engine, "flag", "2");
    CHECK_GET("2", store, "flag");
    CHECK_ALL("{\"flag\":2}", store);
    CHECK_INT(4, NOW(backend->sames));
    CHECK_INT(6, count_backend_calls(backend));
    end_backend(backend, store);
    free_engine(engine);
}

static void a_watched_read_asks_nothing(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    engine_set(engine, "flag", "true");
    engine_set(engine, "\xc3\xbc", "1");
    flagstore_t *store = open_over_backend(backend, WATCHED);
    CHECK_EVENTUALLY(NOW(backend->calls[OP_WAIT]) > 0);
    int calls = count_backend_calls(backend);
    for (int i = 0; i < 100; i++) {
        CHECK_GET("1", store, "\xc3\xbc");
        CHECK_GET(NULL, store, "absent");
        CHECK(flagstore_get_bool(store, "flag", false, NULL));
        CHECK_INT(2, flagstore_len(store, NULL));
        CHECK(flagstore_revision(store, NULL) != 0);
    }
    CHECK_INT(calls, count_backend_calls(backend));
    end_backend(backend, store);
    free_engine(engine);
}

/* ---- the kinds of backend ---- */

static const struct {
    const char *name;
    bool has_commit, has_load, has_wait, has_set;
    uint64_t step;
    uint32_t flags;
} KINDS[] = {
    {"everything", true, true, true, true, 1, 0},
    {"everything, concurrent", true, true, true, true, 1, FLAGSTORE_BACKEND_CONCURRENT},
    {"does not count", true, true, true, true, 7, 0},
    {"four methods", false, false, false, true, 1, 0},
    {"only wait", false, false, true, true, 1, FLAGSTORE_BACKEND_CONCURRENT},
    {"only load", false, true, false, true, 1, 0},
    {"no set", true, true, false, false, 1, 0},
};

static flagstore_t *open_kind(struct backend *backend, size_t kind, int32_t read_mode, int32_t verify_ms) {
    flagstore_backend_t table = table_of(backend);
    flagstore_remote_options_t options = options_of(read_mode);
    check_row = KINDS[kind].name;
    if (!KINDS[kind].has_commit) table.commit = NULL;
    if (!KINDS[kind].has_load) table.load = NULL;
    if (!KINDS[kind].has_wait) table.wait = NULL;
    if (!KINDS[kind].has_set) table.set = NULL;
    table.flags = KINDS[kind].flags;
    backend->engine->step = KINDS[kind].step;
    options.verify_ms = verify_ms;
    return open_table(table, options);
}

/* ---- changes ---- */

static void a_change_by_others_reaches_reads_waits_and_watches(void) {
    for (size_t kind = 0; kind < COUNT(KINDS); kind++)
        for (int32_t mode = FRESH; mode <= WATCHED; mode++) {
            struct engine *engine = new_engine();
            struct backend *backend = new_backend(engine);
            struct recorder *recorder = new_recorder();
            engine_set(engine, "flag", "1");
            flagstore_t *store = open_kind(backend, kind, mode, 5);
            flagstore_watch_t *watch = WATCH(store, NULL, recorder);
            uint64_t revision = flagstore_revision(store, NULL);
            engine_set(engine, "flag", "2");
            if (mode != WATCHED) CHECK_GET("2", store, "flag");
            CHECK(flagstore_wait(store, &revision, 60000, NULL));
            CHECK_GET("2", store, "flag");
            CHECK_RECORDED("flag:1>2;", recorder);
            engine_set(engine, "other", "3");
            CHECK_RECORDED("other:->3;", recorder);
            end_watch(watch, recorder);
            free_recorder(recorder);
            end_backend(backend, store);
            free_engine(engine);
        }
}

static void own_changes_are_seen_at_once(void) {
    for (size_t kind = 0; kind < COUNT(KINDS); kind++)
        for (int32_t mode = FRESH; mode <= WATCHED; mode++) {
            struct engine *engine = new_engine();
            struct backend *backend = new_backend(engine);
            char text[16];
            flagstore_t *store = open_kind(backend, kind, mode, 60000);
            for (int i = 0; i < 10; i++) {
                uint64_t revision = flagstore_revision(store, NULL);
                if (i % 3 == 0) engine_set(engine, "of others", i % 2 ? NULL : "1");
                snprintf(text, sizeof text, "%d", i);
                SET(store, "flag", text);
                CHECK_GET(text, store, "flag");
                CHECK(flagstore_revision(store, NULL) != revision);
                if (i % 4 != 0) continue;
                flagstore_batch_t *batch = flagstore_batch_new();
                flagstore_batch_expect(batch, "flag", text, NULL);
                flagstore_batch_delete(batch, "flag", NULL);
                flagstore_batch_set(batch, "set", "[]", NULL);
                CHECK(flagstore_commit(store, batch, NULL));
                CHECK_GET(NULL, store, "flag");
                CHECK_GET("[]", store, "set");
                CHECK(!flagstore_commit(store, batch, NULL)); /* the expectation does not hold any more */
                CHECK(flagstore_delete(store, "set", NULL));
                CHECK_GET(NULL, store, "set");
                flagstore_free(batch);
            }
            end_backend(backend, store);
            free_engine(engine);
        }
}

static void deleting_the_last_flag_is_no_loss(void) {
    for (size_t kind = 0; kind < COUNT(KINDS); kind++)
        for (int32_t mode = FRESH; mode <= WATCHED; mode++)
            for (int by_clear = 0; by_clear < 2; by_clear++) {
                struct engine *engine = new_engine();
                struct backend *backend = new_backend(engine);
                engine_set(engine, "flag", "1");
                flagstore_t *store = open_kind(backend, kind, mode, 60000);
                flagstore_error_t *error = GARBAGE;
                CHECK(flagstore_revision(store, NULL) != 0);
                FAULT(backend, OP_LOAD, is_half, 1); /* it does not tell empty from gone */
                flagstore_batch_t *batch = flagstore_batch_new();
                flagstore_batch_clear(batch, NULL);
                CHECK(by_clear ? flagstore_commit(store, batch, &error) : flagstore_delete(store, "flag", &error));
                CHECK_OK(error);
                CHECK_ALL("{}", store);
                CHECK(flagstore_revision(store, &error) != 0);
                CHECK_OK(error);
                CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
                flagstore_free(batch);
                end_backend(backend, store);
                free_engine(engine);
            }
}

/* ---- among threads ---- */

enum { COMMITS = 40, WRITERS = 2 };

struct pair {
    flagstore_t *store, *other;
    int number, done;
};

/* Writes two flags that agree, and one of its own, which it must see at once. */
static void *commit_pairs(void *argument) {
    struct pair *pair = argument;
    char key[16], text[16];
    int number = INCREMENT(pair->number);
    flagstore_t *store = number == 0 ? pair->other : pair->store;
    snprintf(key, sizeof key, "own %d", number);
    for (int i = 0; i < COMMITS; i++) {
        flagstore_error_t *error = GARBAGE;
        flagstore_batch_t *batch = flagstore_batch_new();
        snprintf(text, sizeof text, "%d", number * COMMITS + i);
        flagstore_batch_set(batch, "a", text, NULL);
        flagstore_batch_set(batch, "b", text, NULL);
        flagstore_batch_set(batch, key, text, NULL);
        CHECK(flagstore_commit(store, batch, &error));
        CHECK_OK(error);
        CHECK_GET(text, store, key);
        flagstore_free(batch);
    }
    INCREMENT(pair->done);
    return NULL;
}

static void readers_never_see_a_mixture(void) {
    for (size_t kind = 0; kind < 3; kind++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine), *other = new_backend(engine);
        struct pair pair = {.number = -1};
        pthread_t threads[WRITERS + 1];
        pair.store = open_kind(backend, kind, WATCHED, 20);
        pair.other = open_kind(other, kind, WATCHED, 20);
        for (size_t i = 0; i < COUNT(threads); i++)
            pthread_create(&threads[i], NULL, commit_pairs, &pair);
        while (NOW(pair.done) < (int)COUNT(threads)) {
            flagstore_snapshot_t *all = flagstore_snapshot(pair.store, NULL);
            const char *a = flagstore_snapshot_find(all, "a", NULL), *b = flagstore_snapshot_find(all, "b", NULL);
            CHECK_TEXT(a ? a : "nothing", b ? b : "nothing");
            flagstore_free(all);
        }
        for (size_t i = 0; i < COUNT(threads); i++)
            pthread_join(threads[i], NULL);
        char *at_last = flagstore_get(pair.other, "a", NULL);
        CHECK(flagstore_sync(pair.store, -1, NULL) && flagstore_sync(pair.other, -1, NULL));
        flagstore_free(at_last);
        at_last = flagstore_list_all(pair.other, NULL);
        CHECK_ALL(at_last, pair.store);
        flagstore_free(at_last);
        end_backend(backend, pair.store);
        end_backend(other, pair.other);
        free_engine(engine);
    }
}

/* ---- sync and status of every store ---- */

static void after_sync_reads_see_what_was_finished_before(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_t *stores[7] = {flagstore_memory_open(NULL)}, *other = flagstore_file_open(FLAGS_FILE, NULL);
    FAULT(backend, OP_WAIT, lies, 2); /* nothing is ever announced */
    struct backend *backends[3] = {new_backend(engine), new_backend(engine), backend};
    for (int32_t mode = FRESH; mode <= WATCHED; mode++) {
        stores[1 + mode] = open_mode(FLAGS_FILE, mode, FLAGSTORE_SYNC_NONE, NULL);
        stores[4 + mode] = open_over_backend(backends[mode], mode);
    }
    for (int i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        SET(stores[0], "flag", text);
        SET(other, "flag", text);
        engine_set(engine, "flag", text);
        for (size_t store = 0; store < COUNT(stores); store++) {
            flagstore_error_t *error = GARBAGE;
            CHECK(flagstore_sync(stores[store], 60000, &error));
            CHECK_OK(error);
            CHECK_GET(text, stores[store], "flag");
        }
    }
    for (size_t store = 0; store < COUNT(stores); store++) {
        long long revision = (long long)flagstore_revision(stores[store], NULL);
        flagstore_status_t status = state_of(stores[store]);
        CHECK_INT(FLAGSTORE_STATE_LIVE, status.state);
        CHECK_INT(revision, (long long)status.revision);
        CHECK_INT(0, (long long)status.reconnects);
        CHECK(store == 6 || (status.age_ms == 0 && status.push == FLAGSTORE_PUSH_NONE));
    }
    CHECK_INT(20, (long long)state_of(stores[6]).refreshes);
    for (size_t store = 0; store < 4; store++)
        flagstore_free(stores[store]);
    for (int32_t mode = FRESH; mode <= WATCHED; mode++)
        end_backend(backends[mode], stores[4 + mode]);
    flagstore_free(other);
    free_engine(engine);
}

int main(void) {
    RUN(a_fresh_read_asks_for_its_flag);
    RUN(a_checked_read_asks_whether_it_is_the_same);
    RUN(a_watched_read_asks_nothing);
    RUN(a_change_by_others_reaches_reads_waits_and_watches);
    RUN(own_changes_are_seen_at_once);
    RUN(deleting_the_last_flag_is_no_loss);
    RUN(readers_never_see_a_mixture);
    RUN(after_sync_reads_see_what_was_finished_before);
    return check_summary("remote_reads");
}
