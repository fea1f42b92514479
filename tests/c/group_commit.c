/* run: plain valgrind sanitizers */
/* Changes that wait for the lock together are written together; each caller gets what its own change has come to. */
#include "check.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { CALLERS = 8 };

/* ---- callers that are all inside their call before the lock is free ---- */

struct caller {
    flagstore_t *store;
    int number;
    bool (*call)(struct caller *caller, flagstore_error_t **error);
    pthread_t thread;
    pid_t tid; /* 0: not there yet */
    bool done; /* what the call returned */
    int32_t code, os_code;
    bool has_ended;
};

static void *make_call(void *argument) {
    struct caller *caller = argument;
    flagstore_error_t *error = GARBAGE;
    __atomic_store_n(&caller->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    caller->done = caller->call(caller, &error);
    caller->code = flagstore_error_code(error);
    caller->os_code = flagstore_error_os_code(error);
    flagstore_free(error);
    __atomic_store_n(&caller->has_ended, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Whether its thread sleeps, which nothing but the lock makes it do. */
static bool waits(const struct caller *caller) {
    char path[64], state = '?';
    pid_t tid = __atomic_load_n(&caller->tid, __ATOMIC_SEQ_CST);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    FILE *file = tid ? fopen(path, "r") : NULL;
    if (!file) return false;
    bool asleep = fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'S';
    fclose(file);
    return asleep;
}

/* The library yields while it waits for the rest of a group. */
static int yields;

int sched_yield(void) {
    __atomic_add_fetch(&yields, 1, __ATOMIC_SEQ_CST);
    return (int)syscall(SYS_sched_yield);
}

static int hold_lock(void) {
    int fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    return fd;
}

static void start(struct caller *caller) {
    CHECK(pthread_create(&caller->thread, NULL, make_call, caller) == 0);
}

static void call_together(struct caller callers[CALLERS]) {
    int lock = hold_lock();
    for (int i = 0; i < CALLERS; i++) start(&callers[i]);
    for (int i = 0; i < CALLERS; i++) CHECK_EVENTUALLY(waits(&callers[i]));
    close(lock);
    for (int i = 0; i < CALLERS; i++) CHECK(pthread_join(callers[i].thread, NULL) == 0);
}

static flagstore_t *open_limited(int32_t read_mode, int32_t lock_timeout_ms, uint64_t max_bytes) {
    flagstore_error_t *error = GARBAGE;
    flagstore_file_options_t options = {
        .size = sizeof options, .read_mode = read_mode, .lock_timeout_ms = lock_timeout_ms,
        .max_bytes = max_bytes};
    flagstore_t *store = flagstore_file_open_with(FLAGS_FILE, &options, &error);
    CHECK_OK(error);
    return store;
}

/* What a store has changed it sees at once, whoever wrote it. */
static bool set_own(struct caller *caller, flagstore_error_t **error) {
    char key[32];
    snprintf(key, sizeof key, "caller-%d", caller->number);
    bool done = flagstore_set_int64(caller->store, key, caller->number, error);
    if (done) CHECK_INT(caller->number, flagstore_get_int64(caller->store, key, -1, NULL));
    return done;
}

static int count_done(const struct caller *callers, int first, int end) {
    int count = 0;
    for (int i = first; i < end; i++) count += callers[i].done;
    return count;
}

/* ---- each gets its own result ---- */

static bool delete_shared(struct caller *caller, flagstore_error_t **error) {
    return flagstore_delete(caller->store, "shared", error);
}

static bool delete_absent(struct caller *caller, flagstore_error_t **error) {
    return flagstore_delete(caller->store, "absent", error);
}

/* Only the first finds what it expects. */
static bool take_turn(struct caller *caller, flagstore_error_t **error) {
    flagstore_batch_t *batch = flagstore_batch_new();
    char mine[16];
    snprintf(mine, sizeof mine, "%d", caller->number);
    CHECK(flagstore_batch_expect(batch, "turn", "\"free\"", NULL) && flagstore_batch_set(batch, "turn", mine, NULL));
    bool done = flagstore_commit(caller->store, batch, error);
    flagstore_free(batch);
    return done;
}

static void check_own_results(flagstore_t *const stores[CALLERS]) {
    bool (*const calls[CALLERS])(struct caller *, flagstore_error_t **) = {
        set_own, take_turn, take_turn, take_turn, delete_shared, delete_shared, delete_absent, set_own};
    struct caller callers[CALLERS];
    char expected[128];
    SET(stores[0], "turn", "\"free\"");
    SET(stores[0], "shared", "true");
    for (int i = 0; i < CALLERS; i++)
        callers[i] = (struct caller){.store = stores[i], .number = i, .call = calls[i]};
    call_together(callers);
    int winner = callers[1].done ? 1 : callers[2].done ? 2 : 3;
    CHECK_INT(1, count_done(callers, 1, 4));
    CHECK_INT(1, count_done(callers, 4, 6));
    CHECK_INT(0, count_done(callers, 6, 7));
    for (int i = 0; i < CALLERS; i++)
        CHECK_INT(calls[i] == take_turn && i != winner ? FLAGSTORE_CONFLICT : FLAGSTORE_OK, callers[i].code);
    CHECK(callers[0].done && callers[7].done);
    snprintf(expected, sizeof expected, "{\n  \"caller-0\": 0,\n  \"caller-7\": 7,\n  \"turn\": %d\n}\n", winner);
    CHECK_FILE(expected, FLAGS_FILE);
}

static void callers_of_one_handle_get_their_own_results(void) {
    flagstore_t *stores[CALLERS];
    stores[0] = open_limited(FLAGSTORE_READ_FRESH, -1, 0);
    for (int i = 1; i < CALLERS; i++) stores[i] = stores[0];
    for (int round = 0; round < 5; round++) check_own_results(stores);
    flagstore_free(stores[0]);
}

static const int32_t READ_MODES[] = {FLAGSTORE_READ_WATCHED, FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_FRESH};

static void callers_of_a_handle_each_get_their_own_results(void) {
    flagstore_t *stores[CALLERS];
    for (int i = 0; i < CALLERS; i++) stores[i] = open_limited(READ_MODES[i % 3], -1, 0);
    for (int round = 0; round < 5; round++) check_own_results(stores);
    for (int i = 0; i < CALLERS; i++) flagstore_free(stores[i]);
}

/* ---- a failure ---- */

static void a_write_that_fails_fails_for_all_and_touches_nothing(void) {
    struct caller callers[CALLERS];
    struct rlimit before, small;
    size_t len;
    char fill[2001] = "";
    flagstore_t *store = open_limited(FLAGSTORE_READ_FRESH, -1, 0);
    memset(fill, 'f', sizeof fill - 1);
    CHECK(flagstore_set_string(store, "fill", fill, NULL));
    char *old = read_file(FLAGS_FILE, &len);
    struct stat status = STATUS_OF(FLAGS_FILE);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = before.rlim_max};
    for (int i = 0; i < CALLERS; i++)
        callers[i] = (struct caller){.store = store, .number = i, .call = set_own};
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    call_together(callers);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    for (int i = 0; i < CALLERS; i++) {
        CHECK(!callers[i].done);
        CHECK_INT(FLAGSTORE_IO, callers[i].code);
        CHECK_INT(EFBIG, callers[i].os_code);
    }
    CHECK_LEFT_ALONE(status, FLAGS_FILE);
    CHECK_FILE(old, FLAGS_FILE);
    CHECK(access(".flags.json.tmp", F_OK) != 0);
    SET(store, "fill", "0"); /* and all goes on */
    CHECK_FILE("{\n  \"fill\": 0\n}\n", FLAGS_FILE);
    free(old);
    flagstore_free(store);
}

static bool set_too_much(struct caller *caller, flagstore_error_t **error) {
    char text[301] = "";
    memset(text, 'x', sizeof text - 1);
    return flagstore_set_string(caller->store, "large", text, error);
}

static void who_sets_too_much_fails_alone(void) {
    for (int large = 0; large < CALLERS; large++) { /* the first in the line, and others */
        struct caller callers[CALLERS];
        flagstore_t *store = open_limited(FLAGSTORE_READ_FRESH, -1, 300);
        for (int i = 0; i < CALLERS; i++)
            callers[i] = (struct caller){.store = store, .number = i, .call = i == large ? set_too_much : set_own};
        call_together(callers);
        for (int i = 0; i < CALLERS; i++) {
            char key[32];
            snprintf(key, sizeof key, "caller-%d", i);
            CHECK(callers[i].done == (i != large));
            CHECK_INT(i == large ? FLAGSTORE_IO : FLAGSTORE_OK, callers[i].code);
            CHECK_INT(i == large ? EFBIG : 0, callers[i].os_code);
            CHECK_INT(i == large ? -1 : i, flagstore_get_int64(store, key, -1, NULL));
        }
        CHECK_INT(CALLERS - 1, flagstore_len(store, NULL));
        CHECK(unlink(FLAGS_FILE) == 0);
        flagstore_free(store);
    }
}

/* ---- a lock that some wait for too long ---- */

static void pause_before(int number) {
    for (int i = 0; i < number; i++) pause_a_millisecond();
}

/* The lock gets free just when the first were told that it was not, and others' time is about to be up. */
static void who_was_told_that_the_lock_is_held_was_not_written(void) {
    flagstore_t *store = open_limited(FLAGSTORE_READ_FRESH, 20, 0);
    flagstore_t *patient = open_limited(FLAGSTORE_READ_FRESH, -1, 0);
    for (int round = 0; round < 10; round++) {
        struct caller callers[CALLERS];
        int lock = hold_lock();
        for (int i = 0; i < CALLERS; i++) {
            callers[i] = (struct caller){.store = store, .number = i, .call = set_own};
            start(&callers[i]);
            pause_before(round % 3);
        }
        CHECK_EVENTUALLY(__atomic_load_n(&callers[0].has_ended, __ATOMIC_SEQ_CST));
        close(lock);
        for (int i = 0; i < CALLERS; i++) CHECK(pthread_join(callers[i].thread, NULL) == 0);
        SET(patient, "end", "true"); /* who gave up may still hold the lock for a moment */
        for (int i = 0; i < CALLERS; i++) {
            char key[32];
            snprintf(key, sizeof key, "caller-%d", i);
            CHECK_INT(callers[i].done ? FLAGSTORE_OK : FLAGSTORE_LOCKED, callers[i].code);
            CHECK_INT(callers[i].done ? i : -1, flagstore_get_int64(store, key, -1, NULL));
        }
        CHECK(!callers[0].done && callers[0].code == FLAGSTORE_LOCKED);
        CHECK(unlink(FLAGS_FILE) == 0);
    }
    flagstore_free(patient);
    flagstore_free(store);
}

static void who_comes_alone_waits_for_no_group(void) {
    flagstore_t *store = open_limited(FLAGSTORE_READ_FRESH, -1, 0);
    yields = 0;
    for (int i = 0; i < 5; i++) CHECK(flagstore_set_int64(store, "flag", i, NULL));
    CHECK_INT(0, yields);
    flagstore_free(store);
}

int main(void) {
    RUN(callers_of_one_handle_get_their_own_results);
    RUN(callers_of_a_handle_each_get_their_own_results);
    RUN(a_write_that_fails_fails_for_all_and_touches_nothing);
    RUN(who_sets_too_much_fails_alone);
    RUN(who_was_told_that_the_lock_is_held_was_not_written);
    RUN(who_comes_alone_waits_for_no_group);
    return check_summary("group_commit");
}
