/* run: odd */
/* Odd machines 14: a thread that is cancelled inside a call ends after the call has returned, with its work done; the
   process goes on, and so do the store, its lock and its watches. Each case is a process of its own: what should not be ends it. */
#define NO_REMOTE_KINDS
#include "queued.h"

enum { ROUNDS = 20, LONG_MS = 60000 };

/* ---- a call with a cancellation that is pending, or comes while it sleeps ---- */

struct cancelled {
    flagstore_t *store;
    bool (*call)(flagstore_t *store);
    bool pending; /* before the call begins */
    pid_t tid;
    int stage;          /* 1: may be cancelled, 2: has been */
    bool returned, done;
};

static void *call_and_end(void *argument) {
    struct cancelled *cancelled = argument;
    int state;
    if (cancelled->pending) {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
        __atomic_store_n(&cancelled->stage, 1, __ATOMIC_SEQ_CST);
        CHECK_EVENTUALLY(__atomic_load_n(&cancelled->stage, __ATOMIC_SEQ_CST) == 2);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    }
    __atomic_store_n(&cancelled->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    cancelled->done = cancelled->call(cancelled->store);
    __atomic_store_n(&cancelled->returned, true, __ATOMIC_SEQ_CST);
    for (;;) pthread_testcancel(), pause_a_millisecond();
    return NULL;
}

static void change_it(flagstore_t *store) { SET(store, "other", "1"); }

static void cancel(struct cancelled *cancelled, bool ends_by_change) {
    pthread_t thread;
    void *result = NULL;
    CHECK(pthread_create(&thread, NULL, call_and_end, cancelled) == 0);
    if (cancelled->pending) {
        CHECK_EVENTUALLY(__atomic_load_n(&cancelled->stage, __ATOMIC_SEQ_CST) == 1);
        CHECK(pthread_cancel(thread) == 0);
        __atomic_store_n(&cancelled->stage, 2, __ATOMIC_SEQ_CST);
        if (ends_by_change) CHECK_EVENTUALLY(__atomic_load_n(&cancelled->tid, __ATOMIC_SEQ_CST) != 0);
    } else {
        CHECK_EVENTUALLY(sleeps(&cancelled->tid));
        CHECK(pthread_cancel(thread) == 0);
    }
    if (ends_by_change) change_it(cancelled->store);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
    CHECK_THAT(cancelled->returned, "the call has not returned");
    CHECK_THAT(cancelled->done, "the call has not done its work");
}

/* ---- the calls ---- */

static uint64_t seen; /* the revision before the wait */

static bool wait_for_change(flagstore_t *store) {
    uint64_t revision = seen;
    return flagstore_wait(store, &revision, LONG_MS, NULL) && revision != seen;
}
static bool set_one(flagstore_t *store) { return flagstore_set(store, "flag", "2", NULL); }
static bool delete_one(flagstore_t *store) { return flagstore_delete(store, "gone", NULL); }

static bool get_one(flagstore_t *store) {
    char *text = flagstore_get(store, "flag", NULL);
    bool found = text != NULL;
    flagstore_free(text);
    return found;
}

static bool list_all(flagstore_t *store) {
    char *text = flagstore_list_all(store, NULL);
    bool found = text != NULL;
    flagstore_free(text);
    return found;
}

static bool open_anew(flagstore_t *store) {
    (void)store;
    flagstore_t *opened = flagstore_file_open("anew.json", NULL);
    bool done = opened && flagstore_set(opened, "flag", "1", NULL);
    flagstore_free(opened);
    return done;
}

static void ignore(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata, (void)key, (void)old_json, (void)new_json;
}

static bool watch_and_free(flagstore_t *store) {
    flagstore_watch_t *watch = flagstore_watch(store, NULL, ignore, NULL, NULL);
    flagstore_free(watch);
    return watch != NULL;
}

/* ---- the cases ---- */

struct situation {
    const struct store_kind *kind;
    bool (*call)(flagstore_t *store);
    bool pending, ends_by_change;
};

static void run_situation(void *argument) {
    const struct situation *situation = argument;
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = situation->kind->open(&error);
    CHECK_OK(error);
    for (int round = 0; round < (situation->pending ? ROUNDS : 3) && !check_failures; round++) {
        SET(store, "flag", "1");
        SET(store, "gone", "1");
        flagstore_delete(store, "other", NULL);
        seen = flagstore_revision(store, NULL);
        struct cancelled cancelled = {.store = store, .call = situation->call, .pending = situation->pending};
        cancel(&cancelled, situation->ends_by_change);
        CHECK_GET(situation->call == set_one ? "2" : "1", store, "flag");
        CHECK_GET(situation->call == delete_one ? NULL : "1", store, "gone");
        CHECK(access(".flags.json.tmp", F_OK) != 0);
    }
    flagstore_free(store);
}

static const struct store_kind *kind_of(const char *name) {
    for (size_t i = 0; i < COUNT(STORE_KINDS); i++)
        if (strcmp(STORE_KINDS[i].name, name) == 0) return &STORE_KINDS[i];
    abort();
}

static const struct { const char *name; bool (*call)(flagstore_t *store); bool ends_by_change; } CALLS[] = {
    {"set", set_one, false}, {"delete", delete_one, false}, {"get", get_one, false}, {"list_all", list_all, false},
    {"open", open_anew, false}, {"watch", watch_and_free, false}, {"wait", wait_for_change, true},
};

static void run_all(const char *kind, bool pending) {
    char row[100];
    for (size_t i = 0; i < COUNT(CALLS); i++) {
        if (!pending && !CALLS[i].ends_by_change) continue; /* the others do not sleep */
        struct situation situation = {kind_of(kind), CALLS[i].call, pending, CALLS[i].ends_by_change};
        snprintf(row, sizeof row, "%s, %s, %s", CALLS[i].name, kind, pending ? "before" : "asleep");
        check_row = row;
        end_child(start_child(run_situation, &situation));
        unlink(FLAGS_FILE);
        unlink("anew.json");
    }
    check_row = "";
}

static void a_cancellation_waits_for_the_call_file(void) { run_all("file", true); }
static void a_cancellation_waits_for_the_call_checked(void) { run_all("file checked", true); }
static void a_cancellation_waits_for_the_call_watched(void) { run_all("file watched", true); }
static void a_cancellation_waits_for_the_call_memory(void) { run_all("memory", true); }
static void a_cancellation_in_a_sleeping_wait(void) {
    run_all("file", false);
    run_all("file watched", false);
    run_all("memory", false);
}

/* ---- the lock of a cancelled writer ---- */

static bool set_queued(flagstore_t *store, flagstore_error_t **error) { return flagstore_set(store, "flag", "2", error); }

/* Cancelled while it waits for another process's lock: it gets it, sets, and gives it back. */
static void cancel_in_the_queue(void *argument) {
    (void)argument;
    flagstore_t *store = open_durable(FLAGSTORE_SYNC_NONE);
    SET(store, "flag", "1");
    struct queued queued = {.store = store, .call = set_queued};
    void *result = NULL;
    int lock = hold_the_lock();
    CHECK(pthread_create(&queued.thread, NULL, make_queued_call, &queued) == 0);
    CHECK_EVENTUALLY(sleeps(&queued.tid));
    CHECK(pthread_cancel(queued.thread) == 0);
    close(lock);
    CHECK(pthread_join(queued.thread, &result) == 0);
    CHECK_GET("2", store, "flag");
    SET(store, "flag", "3");
    flagstore_free(store);
}

static void a_cancelled_writer_keeps_no_lock(void) { end_child(start_child(cancel_in_the_queue, NULL)); }

/* ---- a callback that ends its thread ---- */

int main(void) {
    RUN(a_cancellation_waits_for_the_call_file);
    RUN(a_cancellation_waits_for_the_call_checked);
    RUN(a_cancellation_waits_for_the_call_watched);
    RUN(a_cancellation_waits_for_the_call_memory);
    RUN(a_cancellation_in_a_sleeping_wait);
    RUN(a_cancelled_writer_keeps_no_lock);
    return check_summary("odd14_cancelled");
}
