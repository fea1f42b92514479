/* An engine in memory that several stores share, processes too, as they would a database; and backends over it with
   every function, each of which fails, blocks, lies or is slow on command. */
#ifndef FAULT_BACKEND_H
#define FAULT_BACKEND_H

#include "check.h"

#include <pthread.h>
#include <sys/mman.h>

/* ---- the engine ---- */

struct engine {
    pthread_mutex_t lock;
    uint64_t revision, step; /* each change adds the step: 1 counts */
    int count;
    struct { char key[24], json[40]; } flags[40];
};

static inline struct engine *new_engine(void) {
    struct engine *engine = mmap(NULL, sizeof *engine, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&engine->lock, &shared);
    engine->revision = 10, engine->step = 1;
    return engine;
}

static inline void free_engine(struct engine *engine) { munmap(engine, sizeof *engine); }

/* The rest of this section is called with the lock held. */
static inline int find_flag(struct engine *engine, const char *key, size_t len) {
    int i = engine->count;
    while (i-- > 0 && (strlen(engine->flags[i].key) != len || memcmp(engine->flags[i].key, key, len) != 0)) {}
    return i;
}

/* NULL json: deletes. Returns whether it was there. */
static inline bool put_flag(struct engine *engine, const char *key, size_t key_len, const char *json) {
    int i = find_flag(engine, key, key_len);
    bool existed = i >= 0;
    if (json) {
        if (!existed) i = engine->count++;
        CHECK(i < (int)COUNT(engine->flags) && key_len < sizeof engine->flags[i].key);
        memcpy(engine->flags[i].key, key, key_len + 1);
        snprintf(engine->flags[i].json, sizeof engine->flags[i].json, "%s", json);
    } else if (existed) {
        engine->flags[i] = engine->flags[--engine->count];
    }
    return existed;
}

/* As others change it, behind the back of every store. */
static inline void engine_set(struct engine *engine, const char *key, const char *json) {
    pthread_mutex_lock(&engine->lock);
    put_flag(engine, key, strlen(key), json);
    engine->revision += engine->step;
    pthread_mutex_unlock(&engine->lock);
}

/* ---- a backend over it: one for each store ---- */

enum op { OP_GET, OP_SET, OP_REMOVE, OP_LIST, OP_COMMIT, OP_LOAD, OP_WAIT, OPS };

enum reply { REPLY_RIGHT, REPLY_NOT_JSON, REPLY_OTHER_KEY, REPLY_BAD_KEY, REPLY_NO_KEY, REPLY_GONE, REPLY_EMPTY };

struct fault {
    int blocks;     /* the call stays until this is 0 */
    int delay_ms;
    int code;       /* fails with it; -1: without an error object */
    int comes_late; /* all of these come after the work is done, else before */
    int is_half;    /* commit: makes its first change and no other; load: does not tell empty from gone */
    int lies;       /* says done and does nothing; load: says same; wait: 1: something has changed, 2: timed out */
    int reply;
};

struct backend {
    struct engine *engine;
    struct fault faults[OPS];
    int calls[OPS], blocked; /* how many calls were made, and are blocked now */
    int sames;               /* how often load said so */
    int wakes, closes, forks, calls_after_fork;
    flagstore_t *own;        /* every call first reads this store: the one it serves */
    int own_code;            /* what came of that */
};

#define NOW(field) __atomic_load_n(&(field), __ATOMIC_SEQ_CST)
#define PUT(field, value) __atomic_store_n(&(field), (value), __ATOMIC_SEQ_CST)
#define INCREMENT(field) __atomic_add_fetch(&(field), 1, __ATOMIC_SEQ_CST)

static inline struct backend *new_backend(struct engine *engine) {
    struct backend *backend = calloc(1, sizeof *backend);
    backend->engine = engine;
    return backend;
}

/* Every call but wait. */
static inline int count_backend_calls(struct backend *backend) {
    int calls = 0;
    for (int op = 0; op < OP_WAIT; op++)
        calls += NOW(backend->calls[op]);
    return calls;
}

/* Whether the call goes on. */
static inline bool suffer(struct backend *backend, enum op op, bool is_late, flagstore_error_t **error) {
    struct fault *fault = &backend->faults[op];
    if (NOW(fault->comes_late) != is_late) return true;
    if (NOW(fault->blocks)) {
        INCREMENT(backend->blocked);
        while (NOW(fault->blocks)) pause_a_millisecond();
        __atomic_sub_fetch(&backend->blocked, 1, __ATOMIC_SEQ_CST);
    }
    for (int left = NOW(fault->delay_ms); left > 0; left--) pause_a_millisecond();
    int code = NOW(fault->code);
    if (code > 0) *error = flagstore_error_new(code, "the backend's own words");
    return code == 0;
}

static inline bool begin(struct backend *backend, enum op op, flagstore_error_t **error) {
    INCREMENT(backend->calls[op]);
    CHECK_THAT(NOW(backend->closes) == 0, "call %d after close", op);
    if (backend->own) {
        flagstore_error_t *own_error = NULL;
        flagstore_free(flagstore_list_all(backend->own, &own_error));
        PUT(backend->own_code, flagstore_error_code(own_error));
        flagstore_free(own_error);
    }
    if (!suffer(backend, op, false, error)) return false;
    pthread_mutex_lock(&backend->engine->lock);
    return true;
}

static inline bool end(struct backend *backend, enum op op, flagstore_error_t **error) {
    pthread_mutex_unlock(&backend->engine->lock);
    return suffer(backend, op, true, error);
}

static inline void reply_flag(struct backend *backend, enum op op, flagstore_reply_t *reply, int i) {
    const char *key = backend->engine->flags[i].key, *json = backend->engine->flags[i].json;
    switch (NOW(backend->faults[op].reply)) {
    case REPLY_NOT_JSON: json = "tru"; break;
    case REPLY_OTHER_KEY: key = "another"; break;
    case REPLY_BAD_KEY: key = "\xff"; break;
    case REPLY_NO_KEY: flagstore_reply(reply, NULL, 0, json, strlen(json)); return;
    case REPLY_GONE: case REPLY_EMPTY: return;
    }
    flagstore_reply(reply, key, strlen(key), json, strlen(json));
}

static inline bool fault_get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply,
                             flagstore_error_t **error) {
    struct backend *backend = context;
    if (!begin(backend, OP_GET, error)) return false;
    int i = find_flag(backend->engine, key, key_len);
    if (i >= 0) reply_flag(backend, OP_GET, reply, i);
    return end(backend, OP_GET, error);
}

static inline bool fault_set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                             flagstore_error_t **error) {
    struct backend *backend = context;
    CHECK(strlen(json) == json_len);
    if (!begin(backend, OP_SET, error)) return false;
    if (!NOW(backend->faults[OP_SET].lies)) {
        put_flag(backend->engine, key, key_len, json);
        backend->engine->revision += backend->engine->step;
    }
    return end(backend, OP_SET, error);
}

static inline bool fault_remove(void *context, const char *key, size_t key_len, bool *existed,
                                flagstore_error_t **error) {
    struct backend *backend = context;
    if (!begin(backend, OP_REMOVE, error)) return false;
    *existed = NOW(backend->faults[OP_REMOVE].lies) || put_flag(backend->engine, key, key_len, NULL);
    if (*existed) backend->engine->revision += backend->engine->step;
    return end(backend, OP_REMOVE, error);
}

static inline bool fault_list(void *context, flagstore_reply_t *reply, flagstore_error_t **error) {
    struct backend *backend = context;
    if (!begin(backend, OP_LIST, error)) return false;
    for (int i = 0; i < backend->engine->count; i++)
        reply_flag(backend, OP_LIST, reply, i);
    return end(backend, OP_LIST, error);
}

static inline bool fault_load(void *context, uint64_t *revision, bool *same, flagstore_reply_t *reply,
                              flagstore_error_t **error) {
    struct backend *backend = context;
    struct fault *fault = &backend->faults[OP_LOAD];
    if (!begin(backend, OP_LOAD, error)) return false;
    bool is_gone = NOW(fault->reply) == REPLY_GONE || (NOW(fault->is_half) && backend->engine->count == 0);
    bool is_right = NOW(fault->reply) == REPLY_RIGHT && !is_gone;
    *same = NOW(fault->lies) || (is_right && *revision == backend->engine->revision);
    if (*same) INCREMENT(backend->sames);
    for (int i = 0; i < backend->engine->count && !*same; i++)
        reply_flag(backend, OP_LOAD, reply, i);
    *revision = is_gone ? 0 : backend->engine->revision;
    return end(backend, OP_LOAD, error);
}

static inline bool fault_commit(void *context, const flagstore_batch_t *batch, uint64_t *revision,
                                flagstore_error_t **error) {
    struct backend *backend = context;
    struct engine *engine = backend->engine;
    if (!begin(backend, OP_COMMIT, error)) return false;
    size_t len = 0, key_len = 0;
    for (size_t i = 0; i < flagstore_batch_expect_count(batch); i++) {
        const char *key = flagstore_batch_expect_key(batch, i, &key_len);
        const char *expected = flagstore_batch_expect_value(batch, i, &len);
        int at = find_flag(engine, key, key_len);
        const char *stored = at < 0 ? NULL : engine->flags[at].json;
        if (!stored ? !expected : expected && flagstore_json_equal(stored, strlen(stored), expected, len)) continue;
        pthread_mutex_unlock(&engine->lock);
        *error = flagstore_error_new(FLAGSTORE_CONFLICT, key);
        return false;
    }
    bool does_nothing = NOW(backend->faults[OP_COMMIT].lies), is_half = NOW(backend->faults[OP_COMMIT].is_half);
    if (flagstore_batch_clears(batch) && !does_nothing) engine->count = 0;
    for (size_t i = 0; i < flagstore_batch_count(batch) && !does_nothing; i++) {
        const char *key = flagstore_batch_key(batch, i, &key_len);
        put_flag(engine, key, key_len, flagstore_batch_value(batch, i, NULL));
        if (is_half) break;
    }
    if (!does_nothing) engine->revision += engine->step;
    *revision = engine->revision + (does_nothing ? 1000 : 0);
    return end(backend, OP_COMMIT, error);
}

static inline bool fault_wait(void *context, uint64_t *revision, int32_t timeout_ms, flagstore_error_t **error) {
    struct backend *backend = context;
    struct fault *fault = &backend->faults[OP_WAIT];
    INCREMENT(backend->calls[OP_WAIT]);
    CHECK(timeout_ms > 0 && timeout_ms <= 5000);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    int wakes = NOW(backend->wakes);
    for (;;) {
        if (!suffer(backend, OP_WAIT, false, error)) return false;
        int lies = NOW(fault->lies);
        if (lies == 1) return ++*revision;
        if (lies == 2) return false;
        pthread_mutex_lock(&backend->engine->lock);
        uint64_t current = backend->engine->revision;
        pthread_mutex_unlock(&backend->engine->lock);
        if (current != *revision) {
            *revision = current;
            return true;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 > timeout_ms) return false;
        if (NOW(backend->wakes) != wakes) return false;
        pause_a_millisecond();
    }
}

static inline void fault_wake(void *context) { INCREMENT(((struct backend *)context)->wakes); }
static inline void fault_close(void *context) { INCREMENT(((struct backend *)context)->closes); }

static inline void fault_forked(void *context) {
    struct backend *backend = context;
    INCREMENT(backend->forks);
    PUT(backend->calls_after_fork, count_backend_calls(backend));
}

static inline flagstore_backend_t table_of(struct backend *backend) {
    flagstore_backend_t table = {
        .size = sizeof table, .context = backend, .get = fault_get, .set = fault_set, .remove = fault_remove,
        .list_all = fault_list, .close = fault_close, .commit = fault_commit, .load = fault_load, .wait = fault_wait,
        .wake = fault_wake, .forked = fault_forked,
    };
    return table;
}

/* ---- stores over it ---- */

/* For tests: nothing is spread, deadlines are far, lost backends are soon asked again. */
static inline flagstore_remote_options_t options_of(int32_t read_mode) {
    flagstore_remote_options_t options = {.size = sizeof options, .read_mode = read_mode, .spread_ms = -1,
                                          .call_timeout_ms = 30000, .open_timeout_ms = 30000, .verify_ms = 60000,
                                          .retry_max_ms = 20};
    return options;
}

static inline flagstore_t *open_table(flagstore_backend_t table, flagstore_remote_options_t options) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_backend_open_with(&table, &options, &error);
    CHECK_OK(error);
    CHECK(store != NULL);
    return store;
}

static inline flagstore_t *open_over_backend(struct backend *backend, int32_t read_mode) {
    return open_table(table_of(backend), options_of(read_mode));
}

static inline flagstore_status_t state_of(const flagstore_t *store) {
    flagstore_status_t status = {.size = sizeof status};
    flagstore_error_t *error = GARBAGE;
    CHECK(flagstore_status(store, &status, &error));
    CHECK_OK(error);
    return status;
}

static inline bool reads_as(const flagstore_t *store, const char *key, const char *expected) {
    char *json = flagstore_get(store, key, NULL);
    bool is_so = json && expected ? strcmp(json, expected) == 0 : json == expected;
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

static inline int32_t code_of_set(flagstore_t *store, const char *key, const char *json) {
    flagstore_error_t *error = NULL;
    CHECK(flagstore_set(store, key, json, &error) == (error == NULL));
    int32_t code = flagstore_error_code(error);
    flagstore_free(error);
    return code;
}

/* Every field of a fault at once: .blocks = 0 releases. */
#define FAULT(backend, op, field, value) PUT((backend)->faults[op].field, (value))

static inline void end_backend(struct backend *backend, flagstore_t *store) {
    flagstore_free(store);
    CHECK_INT(1, NOW(backend->closes));
    free(backend);
}

#endif
