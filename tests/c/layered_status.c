/* run: plain valgrind sanitizers */
/* What a store over stores says of its state, and what a sync of it waits for. */
#include "layers.h"

/* ---- a store elsewhere: flags in memory that cannot be reached for a while ---- */

struct engine {
    flagstore_t *flags;
    int lost, woken, closes;
};

static bool engine_load(void *context, uint64_t *revision, bool *same, flagstore_reply_t *reply,
                        flagstore_error_t **error) {
    struct engine *engine = context;
    (void)same;
    if (__atomic_load_n(&engine->lost, __ATOMIC_ACQUIRE)) {
        *error = flagstore_error_new(FLAGSTORE_UNAVAILABLE, "the engine is not reached");
        return false;
    }
    *revision = flagstore_revision(engine->flags, error);
    return *revision != 0 && forward_list_all(engine->flags, reply, error);
}

static bool engine_wait(void *context, uint64_t *revision, int32_t timeout_ms, flagstore_error_t **error) {
    struct engine *engine = context;
    for (; timeout_ms > 0 && !__atomic_load_n(&engine->woken, __ATOMIC_ACQUIRE); timeout_ms -= 2)
        if (flagstore_wait(engine->flags, revision, 2, error)) return true;
    return false;
}

static void engine_wake(void *context) { __atomic_store_n(&((struct engine *)context)->woken, 1, __ATOMIC_RELEASE); }
static void engine_close(void *context) { ((struct engine *)context)->closes++; }

enum { LOOKS = 1, LAZY = 2, SELDOM = 4 };

static flagstore_t *open_engine(struct engine *engine, int how) {
    flagstore_error_t *error = GARBAGE;
    engine->flags = engine->flags ? engine->flags : new_memory();
    flagstore_backend_t backend = {
        .size = sizeof backend, .context = engine, .load = engine_load, .close = engine_close,
        .wait = how & LOOKS ? NULL : engine_wait, .wake = how & LOOKS ? NULL : engine_wake,
    };
    flagstore_remote_options_t options = {
        .size = sizeof options, .read_mode = FLAGSTORE_READ_WATCHED, .spread_ms = -1, .call_timeout_ms = 20000,
        .verify_ms = how & SELDOM ? 0 : 5, .flags = how & LAZY ? FLAGSTORE_OPEN_LAZY : 0, .open_timeout_ms = 20000,
    };
    flagstore_t *store = flagstore_backend_open_with(&backend, &options, &error);
    CHECK_OK(error);
    return store;
}

static void set_lost(struct engine *engine, int lost) { __atomic_store_n(&engine->lost, lost, __ATOMIC_RELEASE); }

/* ---- the status ---- */

static void layers_of_this_machine_are_always_live(void) {
    flagstore_t *top = new_memory(), *bottom = open_watched_file(FLAGS_FILE), *store = LAYERED(0, top, bottom);
    SET(store, "flag", "1");
    flagstore_status_t status = status_of_store(store);
    CHECK_INT(FLAGSTORE_STATE_LIVE, status.state);
    CHECK_INT(FLAGSTORE_PUSH_NONE, status.push);
    CHECK_INT(0, status.age_ms);
    CHECK_INT(0, (long long)(status.reconnects + status.refreshes));
    CHECK_INT((long long)revision_of(store), (long long)status.revision);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

static void the_push_is_the_weakest_of_the_layers_that_are_elsewhere(void) {
    struct engine announcing = {0}, looking = {0};
    flagstore_t *top = new_memory(), *file = new_file(FLAGS_FILE);
    flagstore_t *announced = open_engine(&announcing, 0), *looked = open_engine(&looking, LOOKS);
    flagstore_t *inner = LAYERED(0, file, announced), *one = LAYERED(0, top, inner), *both = LAYERED(0, one, looked);
    CHECK_EVENTUALLY(status_of_store(announced).push == FLAGSTORE_PUSH_ANNOUNCED);
    CHECK_INT(FLAGSTORE_PUSH_ANNOUNCED, status_of_store(one).push);
    CHECK_INT(FLAGSTORE_PUSH_NONE, status_of_store(both).push);
    flagstore_free(both), flagstore_free(one), flagstore_free(inner), flagstore_free(top), flagstore_free(file);
    flagstore_free(announced), flagstore_free(looked);
    CHECK_INT(1, announcing.closes);
    CHECK_INT(1, looking.closes);
    flagstore_free(announcing.flags), flagstore_free(looking.flags);
}

static void the_state_is_the_worst_and_the_counters_are_summed(void) {
    struct engine one = {0}, other = {0};
    flagstore_t *top = new_memory(), *first = open_engine(&one, LOOKS), *second = open_engine(&other, LOOKS);
    flagstore_t *store = LAYERED(0, top, first, second);
    SET(one.flags, "flag", "1");
    CHECK_EVENTUALLY(status_of_store(store).refreshes == 1);
    SET(other.flags, "flag", "2");
    CHECK_EVENTUALLY(status_of_store(store).refreshes == 2);
    CHECK_INT(FLAGSTORE_STATE_LIVE, status_of_store(store).state);
    CHECK_INT((long long)revision_of(store), (long long)status_of_store(store).revision);
    set_lost(&other, 1);
    CHECK_EVENTUALLY(status_of_store(second).state == FLAGSTORE_STATE_STALE);
    CHECK_EVENTUALLY(status_of_store(second).age_ms > 50);
    int64_t age = status_of_store(second).age_ms;
    flagstore_status_t status = status_of_store(store);
    CHECK_INT(FLAGSTORE_STATE_STALE, status.state);
    CHECK(status.age_ms >= age);
    CHECK_GET("1", store, "flag");
    for (int i = 1; i <= 2; i++) { /* it comes back once, the other then too */
        set_lost(i == 1 ? &other : &one, 0);
        CHECK_EVENTUALLY(status_of_store(store).state == FLAGSTORE_STATE_LIVE);
        CHECK_INT(i, (long long)status_of_store(store).reconnects);
        set_lost(&one, i == 1);
        if (i == 1) CHECK_EVENTUALLY(status_of_store(store).state == FLAGSTORE_STATE_STALE);
    }
    flagstore_free(store), flagstore_free(top), flagstore_free(first), flagstore_free(second);
    flagstore_free(one.flags), flagstore_free(other.flags);
}

static void a_layer_that_has_nothing_to_serve_fails_what_asks_it(void) {
    flagstore_error_t *error = GARBAGE;
    struct engine engine = {.lost = 1};
    flagstore_t *top = new_memory(), *bottom = open_engine(&engine, LOOKS | LAZY), *store = LAYERED(0, top, bottom);
    SET(store, "flag", "1");
    CHECK_INT(FLAGSTORE_STATE_LOST, status_of_store(store).state);
    CHECK_GET("1", store, "flag");
    CHECK(flagstore_get(store, "other", &error) == NULL);
    CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
    CHECK(flagstore_list_all(store, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
    struct recorder *all = new_recorder();
    set_lost(&engine, 0);
    CHECK_EVENTUALLY(status_of_store(store).state == FLAGSTORE_STATE_LIVE);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    SET(engine.flags, "other", "2");
    CHECK_RECORDED("other:->2;", all);
    end_watch(watch, all);
    free_recorder(all);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom), flagstore_free(engine.flags);
}

/* ---- sync ---- */

static void a_sync_is_for_all_layers(void) {
    flagstore_error_t *error = GARBAGE;
    struct engine engine = {0};
    put(FLAGS_FILE, "{}");
    flagstore_t *file = open_watched_file(FLAGS_FILE), *elsewhere = open_engine(&engine, LOOKS | SELDOM);
    flagstore_t *top = new_memory(), *inner = LAYERED(0, file, elsewhere), *store = LAYERED(0, top, inner);
    for (int i = 1; i <= 10; i++) {
        char text[64], json[16];
        snprintf(json, sizeof json, "%d", i);
        snprintf(text, sizeof text, "{\"flag\": %d}", i);
        SET(engine.flags, "other", json);
        replace_flags(text);
        CHECK(flagstore_sync(store, -1, &error));
        CHECK_OK(error);
        CHECK_GET(json, store, "flag");
        CHECK_GET(json, store, "other");
    }
    set_lost(&engine, 1);
    CHECK(!flagstore_sync(store, 20000, &error));
    CHECK_ERROR(FLAGSTORE_UNAVAILABLE, "not reached", error);
    CHECK(!flagstore_sync(store, -2, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "timeout_ms", error);
    flagstore_free(store), flagstore_free(inner), flagstore_free(top), flagstore_free(file), flagstore_free(elsewhere);
    flagstore_free(engine.flags);
}

int main(void) {
    RUN(layers_of_this_machine_are_always_live);
    RUN(the_push_is_the_weakest_of_the_layers_that_are_elsewhere);
    RUN(the_state_is_the_worst_and_the_counters_are_summed);
    RUN(a_layer_that_has_nothing_to_serve_fails_what_asks_it);
    RUN(a_sync_is_for_all_layers);
    return check_summary("layered_status");
}
