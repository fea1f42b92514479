/* Large flags, many flags, many users of one Redis at once. */
#include "scenarios.h"

enum { PROCESSES = 4, STEPS = 25, MANY = 10000, LONG = 1 << 20, THREADS = 6 };

/* ---- sizes ---- */

static void any_key_and_any_size_will_do(void) {
    char *long_key = malloc(LONG), *long_json = malloc(LONG);
    memset(long_key, 'k', LONG);
    memset(long_json, 'v', LONG);
    long_json[0] = long_json[LONG - 1] = '"';
    flagstore_t *store = opened(FRESH);
    flagstore_error_t *error = GARBAGE;
    size_t len = 0;
    CHECK(flagstore_set_n(store, "", 0, "1", 1, NULL));
    CHECK(flagstore_set_n(store, "a\0b", 3, "2", 1, NULL));
    CHECK(flagstore_set_n(store, "a\r\nb", 4, "\"\\r\\n\"", 6, NULL));
    CHECK(flagstore_set_n(store, long_key, LONG, long_json, LONG, NULL));
    CHECK_CLI("1\n2", "HMGET flagstore \"\" \"a\\x00b\"");
    CHECK_OWNED("2", flagstore_get_n(store, "a\0b", 3, NULL, &error));
    CHECK_OK(error);
    CHECK_GET("1", store, "");
    CHECK_GET("\"\\r\\n\"", store, "a\r\nb");
    for (int watched = 0; watched < 2; watched++) {
        flagstore_t *other = opened(watched ? WATCHED : FRESH);
        char *json = flagstore_get_n(other, long_key, LONG, &len, &error);
        CHECK_OK(error);
        CHECK(json && len == LONG && memcmp(json, long_json, LONG) == 0);
        CHECK_INT(4, flagstore_len(other, NULL));
        flagstore_free(json), flagstore_free(other);
    }
    CHECK(flagstore_delete_n(store, long_key, LONG, NULL));
    CHECK_INT(3, flagstore_len(store, NULL));
    free(long_key), free(long_json);
    flagstore_free(store);
}

static void what_is_larger_than_allowed_is_refused(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_remote_options_t remote = far_options(FRESH);
    remote.max_bytes = 1000;
    flagstore_t *store = opened_hash(NULL, remote), *other = opened(FRESH);
    char *text = malloc(2 * LONG + 1); /* the limit is for flags; what the server sends may have a megabyte more */
    memset(text, ' ', 2 * LONG);
    text[0] = '"', strcpy(text + 2 * LONG - 1, "\"");
    SET(store, "small", "1");
    SET(other, "large", text);
    CHECK(!flagstore_get(store, "large", &error));
    CHECK_INT(EFBIG, flagstore_error_os_code(error));
    CHECK_ERROR(FLAGSTORE_IO, NULL, error);
    CHECK(!flagstore_list_all(store, &error));
    CHECK_INT(EFBIG, flagstore_error_os_code(error));
    CHECK_ERROR(FLAGSTORE_IO, NULL, error);
    CHECK_GET("1", store, "small"); /* on a connection that is still whole */
    free(text);
    flagstore_free(store), flagstore_free(other);
}

static void ten_thousand_flags_come_whole(void) {
    char key[24], json[24];
    flagstore_t *store = opened(FRESH), *watched = opened(WATCHED);
    flagstore_batch_t *batch = flagstore_batch_new();
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "flag-%d", i), snprintf(json, sizeof json, "%d", i);
        CHECK(flagstore_batch_set(batch, key, json, NULL));
    }
    CHECK(flagstore_commit(store, batch, NULL));
    CHECK_INT(MANY, number_of("HLEN flagstore"));
    CHECK_INT(MANY, number_of("HGET " META " count"));
    CHECK(flagstore_sync(watched, 60000, NULL));
    flagstore_t *const stores[] = {store, watched};
    for (int i = 0; i < 2; i++) {
        flagstore_snapshot_t *all = flagstore_snapshot(stores[i], NULL);
        CHECK_INT(MANY, (long long)flagstore_snapshot_count(all));
        CHECK_TEXT("9999", flagstore_snapshot_find(all, "flag-9999", NULL));
        flagstore_free(all);
    }
    CHECK(flagstore_batch_clear(batch, NULL));
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "flag-%d", i);
        CHECK(flagstore_batch_expect(batch, key, i == MANY - 1 ? "0" : NULL, NULL));
    }
    CHECK(!flagstore_commit(store, batch, NULL));
    CHECK_INT(MANY, flagstore_len(store, NULL));
    flagstore_free(batch), flagstore_free(store), flagstore_free(watched);
}

/* ---- replicas that are not there ---- */

static void a_change_that_no_replica_has_is_made_all_the_same(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_remote_options_t remote = far_options(FRESH);
    flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote, .wait_replicas = 1, .wait_ms = 20};
    flagstore_t *store = flagstore_redis_open(redis_url(), &options, NULL);
    CHECK(!flagstore_set(store, "flag", "1", &error));
    CHECK_ERROR(FLAGSTORE_NOT_DURABLE, NULL, error);
    CHECK_CLI("1", "HGET flagstore flag");
    CHECK(!swap(store, "flag", "1", "2", &error));
    CHECK_ERROR(FLAGSTORE_NOT_DURABLE, NULL, error);
    CHECK(!swap(store, "flag", "1", "3", &error));
    CHECK_ERROR(FLAGSTORE_CONFLICT, NULL, error);
    CHECK_GET("2", store, "flag");
    CHECK(!flagstore_delete(store, "flag", &error));
    CHECK_ERROR(FLAGSTORE_NOT_DURABLE, NULL, error);
    CHECK_GET(NULL, store, "flag");
    flagstore_free(store);
}

/* ---- many at once ---- */

static void raise_often(void *read_mode) {
    flagstore_t *store = opened(*(const int32_t *)read_mode);
    for (int done = 0; done < STEPS && !check_failures;) {
        char old[24], new[24];
        flagstore_error_t *error = GARBAGE;
        flagstore_snapshot_t *all = flagstore_snapshot(store, NULL);
        const char *one = flagstore_snapshot_find(all, "one", NULL), *two = flagstore_snapshot_find(all, "two", NULL);
        CHECK_THAT(one && two && strcmp(one, two) == 0, "half a batch: %s and %s", one ? one : "-", two ? two : "-");
        snprintf(old, sizeof old, "%s", one ? one : "");
        snprintf(new, sizeof new, "%lld", strtoll(old, NULL, 10) + 1);
        flagstore_batch_t *batch = flagstore_batch_new();
        CHECK(flagstore_batch_expect(batch, "one", old, NULL));
        CHECK(flagstore_batch_set(batch, "one", new, NULL) && flagstore_batch_set(batch, "two", new, NULL));
        bool is_done = flagstore_commit(store, batch, &error);
        CHECK_ERROR(is_done ? FLAGSTORE_OK : FLAGSTORE_CONFLICT, NULL, error);
        if (!is_done) CHECK(flagstore_sync(store, 60000, NULL));
        done += is_done;
        flagstore_free(batch), flagstore_free(all);
    }
    flagstore_free(store);
}

static void processes_lose_no_update_and_see_no_half_batch(void) {
    pid_t pids[PROCESSES];
    char expected[24];
    CHECK_CLI("2", "HSET flagstore one 0 two 0");
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start_child(raise_often, (void *)&READ_MODES[i % 3]);
    for (int i = 0; i < PROCESSES; i++)
        end_child(pids[i]);
    snprintf(expected, sizeof expected, "%d\n%d", PROCESSES * STEPS, PROCESSES * STEPS);
    CHECK_CLI(expected, "HMGET flagstore one two");
}

static flagstore_t *shared;

static void *read_and_write_own_key(void *number) {
    char key[24], json[24];
    snprintf(key, sizeof key, "thread-%d", *(int *)number);
    for (int i = 0; i < 10 * STEPS; i++) {
        snprintf(json, sizeof json, "%d", *(int *)number * 1000 + i);
        SET(shared, key, json);
        CHECK_GET(json, shared, key);
    }
    return NULL;
}

/* Each thread has keys and values that no other has: an answer of another call would be seen. */
static void threads_get_their_own_answers(void) {
    for (size_t mode = 0; mode < COUNT(READ_MODES); mode++) {
        pthread_t threads[THREADS];
        int numbers[THREADS];
        flagstore_remote_options_t remote = far_options(READ_MODES[mode]);
        flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote, .connections = 2};
        shared = flagstore_redis_open(redis_url(), &options, NULL);
        for (int i = 0; i < THREADS; i++) {
            numbers[i] = i + 1;
            CHECK(pthread_create(&threads[i], NULL, read_and_write_own_key, &numbers[i]) == 0);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        /* Two, one more that announces, and redis-cli's. */
        CHECK(number_of("EVAL \"local _, n = string.gsub(redis.call('CLIENT', 'LIST', 'TYPE', 'normal'), 'addr=', '')"
                        " return n\" 0") <= 2 + (READ_MODES[mode] == WATCHED) + 1);
        flagstore_free(shared);
    }
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(any_key_and_any_size_will_do);
    RUN(what_is_larger_than_allowed_is_refused);
    RUN(ten_thousand_flags_come_whole);
    RUN(a_change_that_no_replica_has_is_made_all_the_same);
    RUN(processes_lose_no_update_and_see_no_half_batch);
    RUN(threads_get_their_own_answers);
    return check_summary("redis scenarios_load");
}
