/* run: plain valgrind sanitizers */
/* Backends among threads, processes and other stores: one call at a time, whoever makes it. */
#include "check.h"

#include <pthread.h>
#include <sched.h>

/* ---- one flag, unlocked: only the promise that calls never overlap keeps it whole ---- */

struct counter {
    int inside, closes;
    char text[32];
    int gate; /* 1: the next set stops here, 2: it has, 0: it may go on */
};

static void enter(struct counter *counter) {
    CHECK_INT(1, __atomic_add_fetch(&counter->inside, 1, __ATOMIC_ACQ_REL));
    sched_yield();
}

static bool leave(struct counter *counter) {
    __atomic_sub_fetch(&counter->inside, 1, __ATOMIC_ACQ_REL);
    return true;
}

static bool counter_get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply,
                        flagstore_error_t **error) {
    struct counter *counter = context;
    (void)error;
    enter(counter);
    if (key_len == 5 && memcmp(key, "count", 5) == 0) flagstore_reply(reply, key, key_len, counter->text, strlen(counter->text));
    return leave(counter);
}

static bool counter_set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                        flagstore_error_t **error) {
    struct counter *counter = context;
    (void)key, (void)key_len, (void)error;
    enter(counter);
    int closed = 1;
    if (__atomic_compare_exchange_n(&counter->gate, &closed, 2, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        CHECK_EVENTUALLY(__atomic_load_n(&counter->gate, __ATOMIC_ACQUIRE) == 0);
    if (CHECK(json_len < sizeof counter->text)) memcpy(counter->text, json, json_len + 1);
    return leave(counter);
}

static bool counter_list_all(void *context, flagstore_reply_t *reply, flagstore_error_t **error) {
    return counter_get(context, "count", 5, reply, error);
}

static void counter_close(void *context) { ((struct counter *)context)->closes++; }

static flagstore_t *open_counter(struct counter *counter) {
    flagstore_error_t *error = GARBAGE;
    flagstore_backend_t backend = {.size = sizeof backend, .context = counter, .get = counter_get, .set = counter_set,
                                   .list_all = counter_list_all, .close = counter_close};
    flagstore_t *store = flagstore_backend_open(&backend, &error);
    CHECK_OK(error);
    return store;
}

enum { THREADS = 4, STEPS = 100 };

/* Raises the count by expect and commit, which is one turn of the backend. */
static void *count_up(void *store) {
    for (int done = 0; done < STEPS && !check_failures;) {
        flagstore_batch_t *batch = flagstore_batch_new();
        flagstore_error_t *error = GARBAGE;
        char *old = flagstore_get(store, "count", NULL), new[32];
        snprintf(new, sizeof new, "%ld", strtol(old, NULL, 10) + 1);
        CHECK(flagstore_batch_expect(batch, "count", old, NULL) && flagstore_batch_set(batch, "count", new, NULL));
        bool committed = flagstore_commit(store, batch, &error);
        CHECK_ERROR(committed ? FLAGSTORE_OK : FLAGSTORE_CONFLICT, NULL, error);
        done += committed;
        flagstore_free(old);
        flagstore_free(batch);
        flagstore_free(flagstore_list_all(store, NULL));
    }
    return NULL;
}

static void calls_never_overlap(void) {
    struct counter counter = {.text = "0"};
    flagstore_t *store = open_counter(&counter);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, count_up, store) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_INT(THREADS * STEPS, flagstore_get_int64(store, "count", -1, NULL));
    flagstore_free(store);
    CHECK_INT(1, counter.closes);
}

/* ---- fork while another thread is inside ---- */

static void *set_one(void *store) {
    CHECK(flagstore_set(store, "count", "1", NULL));
    return NULL;
}

struct family {
    flagstore_t *store;
    struct counter *counter;
};

static void use_in_child(void *argument) {
    struct family *family = argument;
    family->counter->inside = 0; /* the backend's own state is the backend's own affair */
    family->counter->gate = 0;
    CHECK_GET("0", family->store, "count");
    SET(family->store, "count", "2");
    CHECK_ALL("{\"count\":2}", family->store);
    flagstore_free(family->store);
    CHECK_INT(1, family->counter->closes);
}

static void a_child_forked_during_a_call_goes_on(void) {
    struct counter counter = {.text = "0", .gate = 1};
    struct family family = {open_counter(&counter), &counter};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, set_one, family.store) == 0);
    CHECK_EVENTUALLY(__atomic_load_n(&counter.gate, __ATOMIC_ACQUIRE) == 2);
    end_child(start_child(use_in_child, &family));
    __atomic_store_n(&counter.gate, 0, __ATOMIC_RELEASE);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_GET("1", family.store, "count");
    flagstore_free(family.store);
    CHECK_INT(1, counter.closes);
}

/* ---- over other stores: what is set above hides what is below ---- */

struct overlay {
    flagstore_t *above, *below;
};

static bool overlay_get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply,
                        flagstore_error_t **error) {
    struct overlay *overlay = context;
    size_t len = 0;
    char *json = flagstore_get_n(overlay->above, key, key_len, &len, error);
    if (!json && !*error) json = flagstore_get_n(overlay->below, key, key_len, &len, error);
    if (json) flagstore_reply(reply, key, key_len, json, len);
    flagstore_free(json);
    return *error == NULL;
}

static bool overlay_set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                        flagstore_error_t **error) {
    return flagstore_set_n(((struct overlay *)context)->below, key, key_len, json, json_len, error);
}

static bool overlay_remove(void *context, const char *key, size_t key_len, bool *existed, flagstore_error_t **error) {
    return forward_remove(((struct overlay *)context)->below, key, key_len, existed, error);
}

/* The last word on a key counts. */
static bool overlay_list_all(void *context, flagstore_reply_t *reply, flagstore_error_t **error) {
    struct overlay *overlay = context;
    return forward_list_all(overlay->below, reply, error) && forward_list_all(overlay->above, reply, error);
}

static flagstore_t *open_overlay(struct overlay *overlay) {
    flagstore_backend_t backend = {.size = sizeof backend, .context = overlay, .get = overlay_get, .set = overlay_set,
                                   .remove = overlay_remove, .list_all = overlay_list_all};
    return flagstore_backend_open(&backend, NULL);
}

static void a_backend_may_stand_on_other_stores(void) {
    struct overlay overlay = {flagstore_memory_open(NULL), open_custom(NULL)};
    flagstore_t *store = open_overlay(&overlay);
    SET(overlay.above, "both", "\"above\"");
    SET(store, "both", "\"below\"");
    SET(store, "below", "1");
    CHECK_ALL("{\"below\":1,\"both\":\"above\"}", store);
    CHECK_GET("\"above\"", store, "both");
    CHECK_GET("1", store, "below");
    CHECK(flagstore_delete(overlay.above, "both", NULL));
    CHECK_GET("\"below\"", store, "both");
    CHECK_FILE("{\n  \"below\": 1,\n  \"both\": \"below\"\n}\n", FLAGS_FILE);
    flagstore_free(store);
    flagstore_free(overlay.above);
    flagstore_free(overlay.below);
}

/* As the header says: the earlier changes stay. */
static bool fail_on_b(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                      flagstore_error_t **error) {
    if (*key == 'b') *error = flagstore_error_new(FLAGSTORE_BACKEND, "not b");
    return *key != 'b' && forward_set(context, key, key_len, json, json_len, error);
}

static void a_commit_that_fails_half_way_says_so(void) {
    flagstore_backend_t backend = {.size = sizeof backend, .context = flagstore_memory_open(NULL), .get = forward_get,
                                   .set = fail_on_b, .list_all = forward_list_all, .close = forward_close};
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_backend_open(&backend, NULL);
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_set(batch, "a", "1", NULL) && flagstore_batch_set(batch, "b", "1", NULL));
    CHECK(flagstore_batch_expect(batch, "a", "0", NULL));
    CHECK(!flagstore_commit(store, batch, &error));
    CHECK_ERROR(FLAGSTORE_CONFLICT, "a", error);
    CHECK_ALL("{}", store);
    SET(store, "a", "0");
    CHECK(!flagstore_commit(store, batch, &error));
    CHECK_ERROR(FLAGSTORE_BACKEND, "not b", error);
    CHECK_GET(NULL, store, "b");
    flagstore_free(batch);
    flagstore_free(store);
}

/* FLAGSTORE_NOT_DURABLE: the change is visible. */
static bool set_without_durability(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                                   flagstore_error_t **error) {
    if (forward_set(context, key, key_len, json, json_len, error))
        *error = flagstore_error_new(FLAGSTORE_NOT_DURABLE, "the last sync failed");
    return false;
}

static void a_change_that_may_have_been_made_is_another_revision(void) {
    flagstore_backend_t backend = {.size = sizeof backend, .context = flagstore_memory_open(NULL), .get = forward_get,
                                   .set = set_without_durability, .close = forward_close};
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_backend_open(&backend, NULL);
    uint64_t before = flagstore_revision(store, NULL);
    CHECK(!flagstore_set(store, "flag", "1", &error));
    CHECK_ERROR(FLAGSTORE_NOT_DURABLE, NULL, error);
    CHECK_GET("1", store, "flag");
    CHECK_THAT(flagstore_revision(store, NULL) != before, "expected another revision");
    flagstore_free(store);
}

int main(void) {
    RUN(calls_never_overlap);
    RUN(a_child_forked_during_a_call_goes_on);
    RUN(a_backend_may_stand_on_other_stores);
    RUN(a_commit_that_fails_half_way_says_so);
    RUN(a_change_that_may_have_been_made_is_another_revision);
    return check_summary("backends_shared");
}
