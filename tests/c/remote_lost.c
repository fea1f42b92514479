/* run: plain valgrind sanitizers */
/* A backend that is lost: what a watched store serves meanwhile, what it says of it, and that it comes back. */
#include "fault_backend.h"

enum { WATCHED = FLAGSTORE_READ_WATCHED };

/* ---- the log ---- */

static struct { int losses, returns, others; } logged;

static void count_lines(void *userdata, int32_t level, const char *message) {
    (void)userdata;
    if (level > FLAGSTORE_LOG_WARN) return;
    int *count = strstr(message, "is lost") ? &logged.losses : strstr(message, "again") ? &logged.returns : &logged.others;
    INCREMENT(*count);
}

static void start_counting(void) {
    PUT(logged.losses, 0);
    PUT(logged.returns, 0);
    PUT(logged.others, 0);
    flagstore_set_log(count_lines, NULL, FLAGSTORE_LOG_WARN);
}

/* ---- losses ---- */

static void lose(struct backend *backend, int code) {
    FAULT(backend, OP_LOAD, code, code);
    FAULT(backend, OP_WAIT, code, code < 0 ? FLAGSTORE_BACKEND : code); /* without an error: timed out */
}

static bool is_in(const flagstore_t *store, int32_t state) { return state_of(store).state == state; }

/* Whatever it fails with. */
static void the_last_snapshot_is_served_while_it_is_lost(void) {
    static const int codes[] = {FLAGSTORE_UNAVAILABLE, FLAGSTORE_UNCERTAIN, FLAGSTORE_BACKEND, FLAGSTORE_IO, 12345, -1};
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        engine_set(engine, "flag", "1");
        flagstore_t *store = open_over_backend(backend, WATCHED);
        CHECK_EVENTUALLY(state_of(store).push == FLAGSTORE_PUSH_ANNOUNCED || NOW(backend->calls[OP_WAIT]) > 0);
        start_counting();
        lose(backend, codes[i]);
        CHECK_EVENTUALLY(is_in(store, FLAGSTORE_STATE_STALE));
        int calls = NOW(backend->calls[OP_LOAD]);
        engine_set(engine, "flag", "2");
        CHECK_EVENTUALLY(NOW(backend->calls[OP_LOAD]) > calls + 4);
        CHECK_GET("1", store, "flag");
        CHECK_ALL("{\"flag\":1}", store);
        CHECK(state_of(store).age_ms > 0);
        CHECK_INT(0, (long long)state_of(store).reconnects);
        CHECK_INT(FLAGSTORE_PUSH_NONE, state_of(store).push);
        CHECK_INT(1, NOW(logged.losses));
        lose(backend, 0);
        CHECK_EVENTUALLY(is_in(store, FLAGSTORE_STATE_LIVE));
        CHECK_EVENTUALLY(reads_as(store, "flag", "2"));
        CHECK_INT(1, (long long)state_of(store).reconnects);
        CHECK_INT(1, (long long)state_of(store).refreshes);
        CHECK_INT(1, NOW(logged.losses));
        CHECK_INT(1, NOW(logged.returns));
        CHECK_INT(0, NOW(logged.others));
        flagstore_set_log(NULL, NULL, 0);
        end_backend(backend, store);
        free_engine(engine);
    }
}

static void reads_fail_while_it_is_lost_if_that_is_asked_for(void) {
    for (int by_age = 0; by_age < 2; by_age++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        flagstore_remote_options_t options = options_of(WATCHED);
        if (by_age) options.max_stale_ms = 30;
        else options.when_lost = FLAGSTORE_LOST_FAIL;
        engine_set(engine, "flag", "1");
        flagstore_t *store = open_table(table_of(backend), options);
        lose(backend, FLAGSTORE_UNAVAILABLE);
        CHECK_EVENTUALLY(code_of_get(store, "flag") == FLAGSTORE_UNAVAILABLE);
        CHECK_INT(FLAGSTORE_STATE_LOST, state_of(store).state);
        CHECK(flagstore_get_bool(store, "flag", true, NULL)); /* the fallback */
        CHECK(flagstore_snapshot(store, NULL) == NULL);
        lose(backend, 0);
        CHECK_EVENTUALLY(reads_as(store, "flag", "1"));
        CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
        end_backend(backend, store);
        free_engine(engine);
    }
}

static void sync_waits_until_it_is_back(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_error_t *error = GARBAGE;
    engine_set(engine, "flag", "1");
    flagstore_t *store = open_over_backend(backend, WATCHED);
    lose(backend, FLAGSTORE_UNAVAILABLE);
    engine_set(engine, "flag", "2");
    CHECK(!flagstore_sync(store, 0, &error));
    CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
    CHECK(!flagstore_sync(store, 20, &error));
    CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
    CHECK_GET("1", store, "flag");
    lose(backend, 0);
    CHECK(flagstore_sync(store, -1, &error));
    CHECK_OK(error);
    CHECK_GET("2", store, "flag");
    end_backend(backend, store);
    free_engine(engine);
}

/* ---- lost is not empty ---- */

static void flags_that_vanish_are_kept(void) {
    for (int has_load = 0; has_load < 2; has_load++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        flagstore_backend_t table = table_of(backend);
        enum op op = has_load ? OP_LOAD : OP_LIST;
        if (!has_load) table.load = NULL;
        engine_set(engine, "a", "1");
        engine_set(engine, "b", "2");
        flagstore_t *store = open_table(table, options_of(WATCHED));
        start_counting();
        FAULT(backend, op, reply, REPLY_GONE);
        engine_set(engine, "c", "3");
        CHECK_EVENTUALLY(is_in(store, FLAGSTORE_STATE_LOST));
        int calls = NOW(backend->calls[op]);
        CHECK_EVENTUALLY(NOW(backend->calls[op]) > calls + 3);
        CHECK_ALL("{\"a\":1,\"b\":2}", store);
        CHECK_INT(1, NOW(logged.losses));
        FAULT(backend, op, reply, REPLY_RIGHT);
        CHECK_EVENTUALLY(reads_as(store, "c", "3"));
        CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
        CHECK_INT(1, NOW(logged.losses));
        CHECK_INT(1, NOW(logged.returns));
        flagstore_set_log(NULL, NULL, 0);
        end_backend(backend, store);
        free_engine(engine);
    }
}

static void a_store_that_says_that_it_is_empty_is_believed(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    engine_set(engine, "flag", "1");
    flagstore_t *store = open_over_backend(backend, WATCHED);
    engine_set(engine, "flag", NULL);
    CHECK_EVENTUALLY(reads_as(store, "flag", NULL));
    CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
    end_backend(backend, store);
    free_engine(engine);
}

/* The change came to be though its answer did not. */
static void an_unanswered_delete_of_the_last_flag_is_no_loss(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_error_t *error = GARBAGE;
    engine_set(engine, "flag", "1");
    flagstore_t *store = open_over_backend(backend, WATCHED);
    FAULT(backend, OP_LOAD, is_half, 1);
    FAULT(backend, OP_REMOVE, comes_late, 1);
    FAULT(backend, OP_REMOVE, code, FLAGSTORE_UNCERTAIN);
    CHECK(!flagstore_delete(store, "flag", &error));
    CHECK_ERROR(FLAGSTORE_UNCERTAIN, "own words", error);
    CHECK_EVENTUALLY(reads_as(store, "flag", NULL));
    CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
    end_backend(backend, store);
    free_engine(engine);
}

/* ---- before it was ever reached ---- */

static void a_lazy_open_does_not_wait(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_remote_options_t options = options_of(WATCHED);
    options.flags = FLAGSTORE_OPEN_LAZY;
    engine_set(engine, "flag", "1");
    FAULT(backend, OP_LOAD, blocks, 1);
    start_counting();
    flagstore_t *store = open_table(table_of(backend), options);
    CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_get(store, "flag"));
    CHECK_INT(FLAGSTORE_STATE_LOST, state_of(store).state);
    FAULT(backend, OP_LOAD, blocks, 0);
    CHECK_EVENTUALLY(reads_as(store, "flag", "1"));
    CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
    CHECK_INT(0, (long long)state_of(store).reconnects);
    CHECK_INT(0, NOW(logged.losses));
    CHECK_INT(0, NOW(logged.returns));
    flagstore_set_log(NULL, NULL, 0);
    end_backend(backend, store);
    free_engine(engine);
}

static void an_open_waits_for_a_backend_that_is_late(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_remote_options_t options = options_of(WATCHED);
    options.call_timeout_ms = 20;
    engine_set(engine, "flag", "1");
    FAULT(backend, OP_LOAD, delay_ms, 1);
    flagstore_t *store = open_table(table_of(backend), options);
    CHECK_GET("1", store, "flag");
    CHECK_INT(0, (long long)state_of(store).reconnects);
    end_backend(backend, store);
    free_engine(engine);
}

/* ---- waits that lie ---- */

static void a_wait_that_returns_at_once_is_not_asked_all_the_time(void) {
    for (int lie = 1; lie <= 2; lie++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        struct timespec start, end;
        FAULT(backend, OP_WAIT, lies, lie);
        engine_set(engine, "flag", "1");
        clock_gettime(CLOCK_MONOTONIC, &start);
        flagstore_t *store = open_over_backend(backend, WATCHED);
        CHECK_EVENTUALLY(NOW(backend->calls[OP_WAIT]) >= 10);
        CHECK_GET("1", store, "flag");
        int waits = NOW(backend->calls[OP_WAIT]), loads = NOW(backend->calls[OP_LOAD]);
        clock_gettime(CLOCK_MONOTONIC, &end);
        long passed = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
        CHECK_THAT(waits <= passed / 5 + 2 && loads <= waits + 2, "%d waits and %d loads in %ld ms", waits, loads, passed);
        CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
        end_backend(backend, store);
        free_engine(engine);
    }
}

static void a_wait_that_fails_is_made_up_for_by_looking(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    FAULT(backend, OP_WAIT, code, FLAGSTORE_BACKEND);
    engine_set(engine, "flag", "1");
    flagstore_t *store = open_over_backend(backend, WATCHED);
    engine_set(engine, "flag", "2");
    CHECK_EVENTUALLY(reads_as(store, "flag", "2"));
    CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
    CHECK_INT(FLAGSTORE_PUSH_NONE, state_of(store).push);
    end_backend(backend, store);
    free_engine(engine);
}

int main(void) {
    RUN(the_last_snapshot_is_served_while_it_is_lost);
    RUN(reads_fail_while_it_is_lost_if_that_is_asked_for);
    RUN(sync_waits_until_it_is_back);
    RUN(flags_that_vanish_are_kept);
    RUN(a_store_that_says_that_it_is_empty_is_believed);
    RUN(an_unanswered_delete_of_the_last_flag_is_no_loss);
    RUN(a_lazy_open_does_not_wait);
    RUN(an_open_waits_for_a_backend_that_is_late);
    RUN(a_wait_that_returns_at_once_is_not_asked_all_the_time);
    RUN(a_wait_that_fails_is_made_up_for_by_looking);
    return check_summary("remote_lost");
}
