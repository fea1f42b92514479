/* What the scenarios on the Redis of run.sh share. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "../c/check.h"

#include <pthread.h>
#include <sys/mman.h>

#undef RUN
#define RUN(promise) run_scenario(#promise, promise)

enum { FRESH = FLAGSTORE_READ_FRESH, CHECKED = FLAGSTORE_READ_CHECKED, WATCHED = FLAGSTORE_READ_WATCHED };
static const int32_t READ_MODES[] = {FRESH, CHECKED, WATCHED};

#define META "{flagstore}:meta"

/* redis-cli separates the elements of an answer by a new line, and names no type. */
#define CHECK_CLI(expected, command) check_cli(__FILE__, __LINE__, (expected), (command))

static inline void check_cli(const char *file, int line, const char *expected, const char *command) {
    char answer[4096];
    redis_cli(answer, sizeof answer, command);
    check_that(strcmp(expected, answer) == 0, file, line, "%s: expected <%s>, got <%s>", command, expected, answer);
}

static inline long long number_of(const char *command) {
    char answer[100];
    redis_cli(answer, sizeof answer, command);
    return strtoll(answer, NULL, 10);
}

static inline void run_scenario(const char *name, void (*promise)(void)) {
    CHECK_CLI("OK", "FLUSHALL");
    run_promise(name, promise);
}

static inline flagstore_t *opened(int32_t read_mode) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_redis(redis_url(), read_mode, &error);
    CHECK_OK(error);
    return store;
}

/* Nothing is spread, deadlines are far. */
static inline flagstore_remote_options_t far_options(int32_t read_mode) {
    flagstore_remote_options_t remote = {.size = sizeof remote, .read_mode = read_mode, .open_timeout_ms = 60000,
                                         .call_timeout_ms = 30000, .spread_ms = -1};
    return remote;
}

static inline flagstore_t *opened_hash(const char *hash, flagstore_remote_options_t remote) {
    flagstore_error_t *error = GARBAGE;
    flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote, .hash = hash};
    flagstore_t *store = flagstore_redis_open(redis_url(), &options, &error);
    CHECK_OK(error);
    return store;
}

static inline bool has(const flagstore_t *store, const char *key, const char *expected) {
    char *json = flagstore_get(store, key, NULL);
    bool is_so = json ? expected && strcmp(json, expected) == 0 : !expected;
    flagstore_free(json);
    return is_so;
}

static inline int32_t code_of_get(const flagstore_t *store, const char *key) {
    flagstore_error_t *error = NULL;
    flagstore_free(flagstore_get(store, key, &error));
    int32_t code = flagstore_error_code(error);
    flagstore_free(error);
    return code;
}

static inline flagstore_status_t status_now(const flagstore_t *store) {
    flagstore_status_t status = {.size = sizeof status};
    CHECK(flagstore_status(store, &status, NULL));
    return status;
}

static inline bool is_in(const flagstore_t *store, int32_t state) { return status_now(store).state == state; }

/* A batch that expects `key` to be `old` (NULL: absent) and sets it. */
static inline bool swap(flagstore_t *store, const char *key, const char *old, const char *json,
                        flagstore_error_t **error) {
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_expect(batch, key, old, NULL) && flagstore_batch_set(batch, key, json, NULL));
    bool done = flagstore_commit(store, batch, error);
    flagstore_free(batch);
    return done;
}

static inline int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
