/* run: plain */
/* The lock's timeout is as long as asked for, by a clock that the test sets: no time is measured here. */
#define _FILE_OFFSET_BITS 64
#define _TIME_BITS 64 /* on 32-bit processors std calls clock_gettime by the name that it has with these */
#include "queued.h"

#ifdef SYS_clock_gettime64
#undef SYS_clock_gettime
#define SYS_clock_gettime SYS_clock_gettime64
#endif

/* ---- the library's clock_gettime goes through here: CLOCK_MONOTONIC stands still until it is moved ---- */

static int64_t moved_ms, stopped_at_ms; /* 0: not stopped */

static int64_t real_ms(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int64_t stopped = __atomic_load_n(&stopped_at_ms, __ATOMIC_SEQ_CST);
    if (clock != CLOCK_MONOTONIC || !stopped) return (int)syscall(SYS_clock_gettime, clock, now);
    int64_t ms = stopped + __atomic_load_n(&moved_ms, __ATOMIC_SEQ_CST);
    *now = (struct timespec){ms / 1000, ms % 1000 * 1000000};
    return 0;
}

/* An hour behind, so that no sleep until a moment of this clock lasts: the waiter looks at it all the time. */
static void stop_clock(void) {
    __atomic_store_n(&moved_ms, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&stopped_at_ms, real_ms() - 3600 * 1000 > 0 ? real_ms() - 3600 * 1000 : 1, __ATOMIC_SEQ_CST);
}

static void move_clock_to(int64_t ms) { __atomic_store_n(&moved_ms, ms, __ATOMIC_SEQ_CST); }

static void start_clock(void) { __atomic_store_n(&stopped_at_ms, 0, __ATOMIC_SEQ_CST); }

/* ---- the promise ---- */

static bool set_flag(flagstore_t *store, flagstore_error_t **error) { return flagstore_set(store, "flag", "2", error); }
static bool delete_flag(flagstore_t *store, flagstore_error_t **error) { return flagstore_delete(store, "flag", error); }

static bool has_ended(const struct queued *queued) { return __atomic_load_n(&queued->has_ended, __ATOMIC_SEQ_CST); }

static void check_timeout(int32_t asked, int64_t timeout, bool (*call)(flagstore_t *, flagstore_error_t **)) {
    flagstore_error_t *error = GARBAGE;
    flagstore_file_options_t options = {.size = sizeof options, .lock_timeout_ms = asked};
    char said[64];
    put(FLAGS_FILE, "{\"flag\":1}");
    flagstore_t *store = flagstore_file_open_with(FLAGS_FILE, &options, &error);
    CHECK_OK(error);
    SET(store, "flag", "1");
    struct queued queued = {.store = store, .call = call};
    CHECK_EVENTUALLY(count_threads_named("flagstore-lock") == 0); /* of the case before */
    int lock = hold_the_lock();
    stop_clock();
    CHECK(pthread_create(&queued.thread, NULL, make_queued_call, &queued) == 0);
    CHECK_EVENTUALLY(count_threads_named("flagstore-lock") == 1 || has_ended(&queued) || sleeps(&queued.tid));
    for (int i = 0; i < 20; i++) pause_a_millisecond();
    move_clock_to(timeout - 1);
    for (int i = 0; i < 20; i++) pause_a_millisecond();
    CHECK_THAT(!has_ended(&queued), "it has given up before %lld ms: %s", (long long)timeout, queued.message);
    move_clock_to(timeout + 1);
    CHECK_EVENTUALLY(has_ended(&queued));
    start_clock();
    close(lock); /* also ends a wait that goes on */
    CHECK(pthread_join(queued.thread, NULL) == 0);
    CHECK_INT(FLAGSTORE_LOCKED, queued.code);
    snprintf(said, sizeof said, "%lld ms", (long long)timeout);
    CHECK_THAT(strstr(queued.message, said) != NULL, "expected <%s> in <%s>", said, queued.message);
    flagstore_free(store);
}

static void a_lock_is_waited_for_as_long_as_was_asked(void) {
    check_timeout(0, 5000, set_flag);
    check_timeout(0, 5000, delete_flag);
    check_timeout(700, 700, set_flag);
    check_timeout(60000, 60000, set_flag);
}

int main(void) {
    RUN(a_lock_is_waited_for_as_long_as_was_asked);
    return check_summary("lock_timeout");
}
