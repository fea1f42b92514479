/* Row 22: how long past its deadline a call may take where the server has stopped in mid-sentence. */
#include "redis.h"

#include <poll.h>
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

/* Makes sure that the store is connected. On a busy machine that may take longer than its deadline. */
static void connect_store(flagstore_t *store) {
    for (double end = now_ns() + PATIENT_MS * 1e6;; pause_ms(20)) {
        flagstore_error_t *error = NULL;
        if (flagstore_set_bool(store, "a", true, &error)) return;
        if (now_ns() > end) must("set", error);
        flagstore_free(error);
    }
}

/* What the call takes, in ns, where it can only fail. */
static double time_of(redis_server *server, const kind *it, int32_t timeout_ms) {
    flagstore_error_t *error = NULL;
    flagstore_t *store = redis_open(redis_tcp(server), "deadlines", it->read_mode, 0, timeout_ms);
    connect_store(store);
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

/* A bare wait as long, which the machine makes late as well. */
static double time_of_poll(int32_t timeout_ms) {
    double begin = now_ns();
    poll(NULL, 0, timeout_ms);
    return now_ns() - begin;
}

static double past(double took, double deadline) {
    return took > deadline ? took - deadline : 0;
}

/* The latest of all calls, and of all bare waits. */
typedef struct {
    double ours, bare;
    const char *name;
} latest;

static void report_kind(redis_server *server, const kind *it, int32_t timeout_ms, double allowed_ms, latest *worst) {
    size_t repeats = config.quick ? 1 : REPEATS;
    double over[REPEATS], bare[REPEATS], deadline = timeout_ms * 1e6;
    for (size_t i = 0; i < repeats; i++) {
        over[i] = past(time_of(server, it, timeout_ms), deadline);
        bare[i] = past(time_of_poll(timeout_ms), deadline);
    }
    redis_against(22, text_of("server stopped: %s, past %d ms, median / %.0f ms", it->name, timeout_ms, allowed_ms), 0,
                  redis_quantile(over, repeats, 0.5), allowed_ms * 1e6, true);
    double ours = redis_quantile(over, repeats, 1), most = redis_quantile(bare, repeats, 1);
    if (most > worst->bare) worst->bare = most;
    if (ours <= worst->ours) return;
    worst->ours = ours;
    worst->name = it->name;
}

void redis_deadline_row(redis_server *server) {
    latest worst = {.ours = 0, .bare = 1, .name = "none"};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        report_kind(server, &kinds[i], 100, 10, &worst);
        if (!config.quick) report_kind(server, &kinds[i], 500, 50, &worst);
    }
    const char *what = "server stopped: the latest of all calls, a %s / of as many bare waits";
    redis_against(22, text_of(what, worst.name), 0, worst.ours, worst.bare, false);
}
