/* run: plain valgrind sanitizers */
/* Stores over stores notice the changes of every layer (revision, wait, watch), tell their state, and sync. */
#include "layers.h"

/* ---- the revision ---- */

static void the_revision_changes_with_that_of_any_layer(void) {
    flagstore_t *layers[] = {new_memory(), new_file(FLAGS_FILE), new_memory()};
    flagstore_t *inner = LAYERED(0, layers[1], layers[2]), *store = LAYERED(1, layers[0], inner);
    uint64_t before = revision_of(store);
    CHECK_INT((long long)before, (long long)revision_of(store));
    for (size_t i = 0; i < COUNT(layers); i++) {
        SET(layers[i], "flag", "1"); /* hidden or not */
        uint64_t now = revision_of(store), waited = before;
        CHECK_THAT(now != before, "expected another revision after a change of layer %zu", i);
        CHECK(flagstore_wait(store, &waited, 0, NULL));
        CHECK_INT((long long)now, (long long)waited);
        before = now;
    }
    replace_flags("{\"flag\": 2}");
    CHECK_THAT(revision_of(store) != before, "expected another revision after a change by others");
    flagstore_free(store), flagstore_free(inner);
    for (size_t i = 0; i < COUNT(layers); i++)
        flagstore_free(layers[i]);
}

/* ---- waits ---- */

static int64_t now_in_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

enum { ROUNDS = 5 };

static void a_change_of_any_layer_ends_every_wait(void) {
    static const char *const names[] = {"memory", "fresh file", "watched file", "custom", "layered"};
    flagstore_t *below = new_memory(), *layers[COUNT(names)] = {
        new_memory(), new_file(FLAGS_FILE), open_watched_file("watched.json"),
        open_forwarding(new_memory(), NULL), LAYERED(0, below),
    };
    flagstore_t *store = open_layered(__FILE__, __LINE__, 0, layers, COUNT(layers));
    for (size_t i = 0; i < COUNT(layers); i++) {
        int64_t longest = 0;
        check_row = names[i];
        for (int round = 0; round < ROUNDS; round++) {
            struct waiter waiters[2];
            for (size_t j = 0; j < COUNT(waiters); j++)
                start_waiter(&waiters[j], store);
            int64_t changed = now_in_us();
            CHECK(flagstore_set_int64(i == 4 ? below : layers[i], "flag", round, NULL));
            for (size_t j = 0; j < COUNT(waiters); j++)
                CHECK(pthread_join(waiters[j].handle, NULL) == 0);
            int64_t took = now_in_us() - changed;
            longest = took > longest ? took : longest;
        }
        printf("layered_changes: a change of a %s layer ends a wait after at most %lld us\n", names[i],
               (long long)longest);
    }
    fflush(stdout);
    flagstore_free(store), flagstore_free(below);
    for (size_t i = 0; i < COUNT(layers); i++)
        flagstore_free(layers[i]);
}

static void a_wait_fails_as_the_layer_does(void) {
    flagstore_error_t *error = GARBAGE;
    CHECK(mkdir("mounted", 0777) == 0);
    flagstore_t *top = new_memory(), *bottom = new_file("mounted/" FLAGS_FILE), *store = LAYERED(0, top, bottom);
    uint64_t revision = revision_of(store);
    CHECK(!flagstore_wait(store, &revision, 1, &error));
    CHECK_OK(error);
    CHECK(rename("mounted", "away") == 0);
    put("mounted", "no directory");
    CHECK(flagstore_revision(store, &error) == 0);
    CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
    CHECK(!flagstore_wait(store, &revision, -1, &error));
    CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
    CHECK(unlink("mounted") == 0 && rename("away", "mounted") == 0);
    struct waiter waiter;
    start_waiter(&waiter, store);
    SET(bottom, "flag", "1");
    CHECK(pthread_join(waiter.handle, NULL) == 0);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

/* ---- watches ---- */

static void a_watch_tells_of_what_is_seen_through_all_layers(void) {
    struct recorder *all = new_recorder(), *one = new_recorder();
    flagstore_t *top = new_memory(), *middle = new_file(FLAGS_FILE), *bottom = new_memory();
    flagstore_t *store = LAYERED(1, top, middle, bottom);
    flagstore_watch_t *watch = WATCH(store, NULL, all), *other = WATCH(store, "fence", one);
    SET(bottom, "flag", "3");
    CHECK_RECORDED("flag:->3;", all);
    SET(top, "flag", "null");
    CHECK_RECORDED("flag:3>null;", all);
    SET(store, "flag", "2"); /* hidden, as are the next two */
    SET(bottom, "flag", "4");
    replace_flags("{\"flag\": 5}");
    SET(bottom, "fence", "1");
    CHECK_RECORDED("fence:->1;", all);
    CHECK(flagstore_delete(top, "flag", NULL));
    CHECK_RECORDED("flag:null>5;", all);
    replace_flags("{\"flag\": 6}");
    CHECK_RECORDED("flag:5>6;", all);
    CHECK(unlink(FLAGS_FILE) == 0);
    CHECK_RECORDED("flag:6>4;", all);
    flagstore_free(store), flagstore_free(bottom); /* the watch holds them */
    SET(top, "flag", "1");
    CHECK_RECORDED("flag:4>1;", all);
    CHECK_RECORDED("fence:->1;", one);
    end_watch(watch, all), end_watch(other, one);
    CHECK_EVENTUALLY(count_followers() == 0);
    flagstore_free(top), flagstore_free(middle);
    free_recorder(all), free_recorder(one);
}

static void a_watch_outlasts_a_layer_that_is_corrupt_for_a_while(void) {
    struct recorder *all = new_recorder();
    put(FLAGS_FILE, "{\"flag\": 1}");
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *store = LAYERED(0, top, bottom);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    replace_flags("{\"flag\": 2");
    CHECK_THAT(flagstore_len(store, NULL) == -1, "expected the layer's error");
    replace_flags("{\"flag\": 3}");
    CHECK_RECORDED("flag:1>3;", all);
    end_watch(watch, all);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
    free_recorder(all);
}

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
        CHECK_EVENTUALLY((int)status_of_store(store).reconnects == i);
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
    CHECK(!flagstore_sync(store, 20, &error)); /* however long it tries */
    CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
    CHECK(!flagstore_sync(store, -2, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "timeout_ms", error);
    flagstore_free(store), flagstore_free(inner), flagstore_free(top), flagstore_free(file), flagstore_free(elsewhere);
    flagstore_free(engine.flags);
}

int main(void) {
    RUN(the_revision_changes_with_that_of_any_layer);
    RUN(a_change_of_any_layer_ends_every_wait);
    RUN(a_wait_fails_as_the_layer_does);
    RUN(a_watch_tells_of_what_is_seen_through_all_layers);
    RUN(a_watch_outlasts_a_layer_that_is_corrupt_for_a_while);
    RUN(layers_of_this_machine_are_always_live);
    RUN(the_push_is_the_weakest_of_the_layers_that_are_elsewhere);
    RUN(the_state_is_the_worst_and_the_counters_are_summed);
    RUN(a_layer_that_has_nothing_to_serve_fails_what_asks_it);
    RUN(a_sync_is_for_all_layers);
    return check_summary("layered_changes");
}
