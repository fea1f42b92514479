/* Row 22: how long past its deadline a call may take where the server has stopped in mid-sentence. */
#include "redis.h"

#include <stdlib.h>

enum { REPEATS = 5 };

typedef struct {
    const char *name;
    int32_t read_mode;
    void (*call)(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error);
} kind;

static void get(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error) {
    (void)timeout_ms;
    flagstore_free(flagstore_get(store, "a", error));
}

static void set(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error) {
    (void)timeout_ms;
    flagstore_set_bool(store, "a", true, error);
}

static void delete(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error) {
    (void)timeout_ms;
    flagstore_delete(store, "a", error);
}

static void commit(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error) {
    (void)timeout_ms;
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_batch_expect(batch, "a", "true", NULL);
    flagstore_batch_set(batch, "a", "false", NULL);
    flagstore_commit(store, batch, error);
    flagstore_free(batch);
}

static void list(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error) {
    (void)timeout_ms;
    flagstore_free(flagstore_list_all(store, error));
}

static void snapshot(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error) {
    (void)timeout_ms;
    flagstore_free(flagstore_snapshot(store, error));
}

static void sync_with(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error) {
    flagstore_sync(store, timeout_ms, error);
}

static const kind kinds[] = {
    {"get, FRESH", FLAGSTORE_READ_FRESH, get},           {"set", FLAGSTORE_READ_FRESH, set},
    {"delete", FLAGSTORE_READ_FRESH, delete},            {"commit with expectation", FLAGSTORE_READ_FRESH, commit},
    {"list_all, FRESH", FLAGSTORE_READ_FRESH, list},     {"snapshot, FRESH", FLAGSTORE_READ_FRESH, snapshot},
    {"set, WATCHED", FLAGSTORE_READ_WATCHED, set},       {"sync, WATCHED", FLAGSTORE_READ_WATCHED, sync_with},
};

/* What the call takes, in ns, where it can only fail. */
static double time_of(redis_server *server, const kind *it, int32_t timeout_ms) {
    flagstore_error_t *error = NULL;
    flagstore_t *store = redis_open(redis_tcp(server), "deadlines", it->read_mode, 0, timeout_ms);
    flagstore_set_bool(store, "a", true, &error); /* it is connected */
    must("set", error);
    redis_stop(server);
    double begin = now_ns();
    it->call(store, timeout_ms, &error);
    double took = now_ns() - begin;
    redis_continue(server);
    if (!error) die("%s succeeds although the server has stopped", it->name);
    flagstore_free(error);
    flagstore_free(store);
    return took;
}

static void report_kind(redis_server *server, const kind *it, int32_t timeout_ms, double allowed_ms) {
    size_t repeats = config.quick ? 1 : REPEATS;
    double over[REPEATS], deadline = timeout_ms * 1e6;
    for (size_t i = 0; i < repeats; i++) {
        double took = time_of(server, it, timeout_ms);
        over[i] = took > deadline ? took - deadline : 0;
    }
    redis_against(22, text_of("server stopped: %s, past %d ms at the most / %.0f ms", it->name, timeout_ms, allowed_ms), 0,
                  redis_quantile(over, repeats, 1), allowed_ms * 1e6, true);
}

void redis_deadline_row(redis_server *server) {
    for (size_t i = 0; i < COUNT(kinds); i++) {
        report_kind(server, &kinds[i], 100, 10);
        if (!config.quick) report_kind(server, &kinds[i], 500, 50);
    }
}
