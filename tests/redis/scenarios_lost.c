/* Flags that vanish without an error are lost, not empty; and connections that the server ends. */
#include "scenarios.h"

static flagstore_t *opened_lost(int32_t when_lost) {
    flagstore_remote_options_t remote = far_options(WATCHED);
    remote.when_lost = when_lost, remote.retry_max_ms = 20;
    return opened_hash(NULL, remote);
}

/* What makes them vanish, and what of the two hashes is left. */
static const char *const LOSSES[] = {"FLUSHALL", "FLUSHDB ASYNC", "DEL flagstore", "DEL flagstore " META, "SWAPDB 0 9"};

static void a_watched_store_keeps_what_vanished(void) {
    for (size_t i = 0; i < COUNT(LOSSES); i++) {
        char answer[100];
        check_row = LOSSES[i];
        CHECK_CLI("OK", "FLUSHALL");
        flagstore_t *serves = opened_lost(FLAGSTORE_LOST_SERVE), *fails = opened_lost(FLAGSTORE_LOST_FAIL);
        flagstore_t *other = opened(FRESH);
        SET(serves, "a", "1"), SET(serves, "b", "2");
        CHECK(flagstore_sync(fails, 60000, NULL));
        redis_cli(answer, sizeof answer, LOSSES[i]);
        flagstore_sync(serves, 100, NULL); /* swapped databases announce nothing: it has to look */
        flagstore_sync(fails, 100, NULL);
        CHECK_EVENTUALLY(is_in(serves, FLAGSTORE_STATE_LOST));
        CHECK_EVENTUALLY(is_in(fails, FLAGSTORE_STATE_LOST));
        CHECK_ALL("{\"a\":1,\"b\":2}", serves);
        CHECK_GET("1", serves, "a");
        CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_get(fails, "a"));
        CHECK(flagstore_list_all(fails, NULL) == NULL);
        CHECK(!flagstore_sync(serves, 100, NULL));
        SET(other, "c", "3"); /* somebody begins anew */
        CHECK_EVENTUALLY(is_in(serves, FLAGSTORE_STATE_LIVE));
        CHECK_EVENTUALLY(has(serves, "c", "3") && has(fails, "c", "3"));
        CHECK_ALL("{\"c\":3}", serves);
        CHECK_INT(1, (long long)status_now(serves).reconnects);
        flagstore_free(serves), flagstore_free(fails), flagstore_free(other);
    }
    check_row = "";
}

/* The marker beside the flags tells: there were some. */
static void a_fresh_store_does_not_take_vanished_for_empty(void) {
    flagstore_t *store = opened(FRESH), *later = opened(FRESH);
    SET(store, "a", "1"), SET(store, "b", "2");
    CHECK_CLI("1", "DEL flagstore");
    flagstore_t *const stores[] = {store, later};
    for (int i = 0; i < 2; i++) {
        CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_get(stores[i], "a"));
        flagstore_error_t *error = GARBAGE;
        CHECK(!flagstore_list_all(stores[i], &error));
        CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
    }
    SET(store, "c", "3");
    CHECK_ALL("{\"c\":3}", later);
    CHECK_GET(NULL, later, "a");
    flagstore_free(store), flagstore_free(later);
}

static void what_was_removed_is_empty(void) {
    flagstore_t *watched = opened_lost(FLAGSTORE_LOST_FAIL), *store = opened(FRESH);
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_clear(batch, NULL));
    CHECK_ALL("{}", watched); /* nothing was ever there */
    SET(store, "a", "1");
    CHECK_EVENTUALLY(has(watched, "a", "1"));
    CHECK(flagstore_delete(store, "a", NULL));
    CHECK_EVENTUALLY(has(watched, "a", NULL));
    CHECK_ALL("{}", watched);
    SET(watched, "a", "1"), SET(watched, "b", "2");
    CHECK(flagstore_commit(store, batch, NULL));
    CHECK(flagstore_sync(watched, 60000, NULL));
    CHECK_ALL("{}", watched);
    CHECK_ALL("{}", store);
    CHECK(is_in(watched, FLAGSTORE_STATE_LIVE) && is_in(store, FLAGSTORE_STATE_LIVE));
    CHECK_CLI("0", "HGET " META " count");
    flagstore_free(batch), flagstore_free(watched), flagstore_free(store);
}

static int is_over, failures;

static void *read_nothing(void *store) {
    while (!__atomic_load_n(&is_over, __ATOMIC_SEQ_CST))
        if (code_of_get(store, "absent") != FLAGSTORE_OK) __atomic_add_fetch(&failures, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* An answer that is older than the first flag, and comes after it, does not say that the flag has vanished. */
static void the_first_flag_has_not_vanished(void) {
    for (int i = 0; i < 30; i++) {
        pthread_t thread;
        CHECK_CLI("OK", "FLUSHALL");
        flagstore_t *fresh = opened(FRESH), *watched = opened_lost(FLAGSTORE_LOST_FAIL);
        is_over = failures = 0;
        CHECK(pthread_create(&thread, NULL, read_nothing, fresh) == 0);
        pause_a_millisecond();
        SET(fresh, "flag", "1");
        SET(watched, "other", "2");
        CHECK_GET("2", watched, "other");
        __atomic_store_n(&is_over, 1, __ATOMIC_SEQ_CST);
        pthread_join(thread, NULL);
        CHECK_INT(0, failures);
        CHECK_EVENTUALLY(has(watched, "flag", "1"));
        CHECK_INT(0, (long long)status_now(watched).reconnects);
        flagstore_free(fresh), flagstore_free(watched);
    }
}

/* What has vanished is not written over what is kept for the next start. */
static void the_fallback_file_keeps_what_vanished(void) {
    flagstore_remote_options_t remote = far_options(WATCHED);
    remote.fallback_path = "fallback.json", remote.retry_max_ms = 20;
    flagstore_t *store = opened_hash(NULL, remote);
    SET(store, "a", "1");
    CHECK_EVENTUALLY(access("fallback.json", F_OK) == 0 && STATUS_OF("fallback.json").st_size > 3);
    CHECK_CLI("OK", "FLUSHALL");
    CHECK_EVENTUALLY(is_in(store, FLAGSTORE_STATE_LOST));
    CHECK_GET("1", store, "a");
    flagstore_free(store);
    CHECK_FILE("{\n  \"a\": 1\n}\n", "fallback.json");

    flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote};
    remote.open_timeout_ms = 200;
    store = flagstore_redis_open("redis://127.0.0.1:1", &options, NULL);
    CHECK(is_in(store, FLAGSTORE_STATE_FALLBACK));
    CHECK_GET("1", store, "a");
    flagstore_free(store);
}

static void remember(void *userdata, const char *key, const char *old_json, const char *new_json) {
    char *text = userdata;
    snprintf(text, 100, "%.20s: %.20s -> %.20s", key, old_json ? old_json : "-", new_json ? new_json : "-");
}

/* Connections that the server ends are made again, and nothing that happened meanwhile is missed. */
static void ended_connections_are_made_again(void) {
    char seen[100] = "";
    flagstore_t *watched = opened_lost(FLAGSTORE_LOST_SERVE), *fresh = opened(FRESH);
    flagstore_watch_t *watch = flagstore_watch(watched, NULL, remember, seen, NULL);
    for (int i = 0; i < 10; i++) {
        char json[24], expected[100];
        SET(fresh, "flag", "\"before\"");
        CHECK_EVENTUALLY(has(watched, "flag", "\"before\""));
        CHECK(number_of("CLIENT KILL TYPE pubsub\nCLIENT KILL TYPE normal") >= 0);
        snprintf(json, sizeof json, "%d", i), snprintf(expected, sizeof expected, " -> %d", i);
        SET(fresh, "flag", json); /* its own connection was ended too: it notices, and has another */
        CHECK_GET(json, fresh, "flag");
        CHECK_EVENTUALLY(has(watched, "flag", json));
        CHECK_EVENTUALLY(strstr(seen, expected) != NULL);
    }
    CHECK_EVENTUALLY(is_in(watched, FLAGSTORE_STATE_LIVE));
    flagstore_free(watch), flagstore_free(watched), flagstore_free(fresh);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(a_watched_store_keeps_what_vanished);
    RUN(a_fresh_store_does_not_take_vanished_for_empty);
    RUN(what_was_removed_is_empty);
    RUN(the_first_flag_has_not_vanished);
    RUN(the_fallback_file_keeps_what_vanished);
    RUN(ended_connections_are_made_again);
    return check_summary("redis scenarios_lost");
}
