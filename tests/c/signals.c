/* run: plain */
/* The library takes no signal of the host's, sends it none, and leaves the caller's signal mask as it was. */
#include "check.h"

#include <pthread.h>
#include <sys/resource.h>

static void ignore_change(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata, (void)key, (void)old_json, (void)new_json;
}

static sigset_t mask_now(void) {
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    return mask;
}

static void check_mask(const char *call, sigset_t before) {
    sigset_t now = mask_now();
    for (int number = 1; number < SIGRTMAX; number++)
        CHECK_THAT(sigismember(&before, number) == sigismember(&now, number), "%s changes the mask of signal %d", call,
                   number);
}

/* ---- the caller's mask ---- */

static void check_calls(void) {
    sigset_t before = mask_now();
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(FLAGS_FILE, FLAGSTORE_READ_WATCHED, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    check_mask("open", before);
    SET(store, "flag", "1");
    check_mask("set", before);
    CHECK_GET("1", store, "flag");
    check_mask("get", before);
    flagstore_watch_t *watch = flagstore_watch(store, NULL, ignore_change, NULL, &error);
    CHECK_OK(error);
    check_mask("watch", before);
    uint64_t revision = flagstore_revision(store, &error);
    CHECK_OK(error);
    CHECK(!flagstore_wait(store, &revision, 1, &error));
    CHECK_OK(error);
    check_mask("wait", before);
    flagstore_free(watch);
    flagstore_free(store);
    check_mask("free", before);
}

static void calls_leave_the_mask_as_it_was(void) {
    sigset_t some, before;
    check_calls();
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGXFSZ);
    CHECK(pthread_sigmask(SIG_BLOCK, &some, &before) == 0);
    check_calls();
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

/* ---- SIGXFSZ ---- */

static volatile sig_atomic_t caught;

static void catch_signal(int number) { caught = number; }

/* A set that needs more than a file may have here. */
static void set_too_much(flagstore_t *store) {
    struct rlimit before, narrow;
    char json[4096] = "";
    memset(json, '1', sizeof json - 1);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    narrow = before;
    narrow.rlim_cur = 1024;
    CHECK(setrlimit(RLIMIT_FSIZE, &narrow) == 0);
    flagstore_error_t *error = GARBAGE;
    bool done = flagstore_set(store, "flag", json, &error);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(!done);
    CHECK_INT(EFBIG, error == GARBAGE ? -1 : flagstore_error_os_code(error));
    CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
}

static bool is_pending(int number) {
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, number) == 1;
}

static void a_file_that_may_not_grow_is_an_error_and_no_signal(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(FLAGS_FILE, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    SET(store, "flag", "1");
    signal(SIGXFSZ, catch_signal);
    set_too_much(store);
    CHECK(!caught && !is_pending(SIGXFSZ));
    signal(SIGXFSZ, SIG_DFL); /* which would end the program */
    set_too_much(store);
    CHECK(!is_pending(SIGXFSZ));
    CHECK_GET("1", store, "flag");
    flagstore_free(store);
}

static void a_pending_signal_of_the_callers_stays(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(FLAGS_FILE, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    sigset_t xfsz, before;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    signal(SIGXFSZ, catch_signal);
    CHECK(pthread_sigmask(SIG_BLOCK, &xfsz, &before) == 0 && raise(SIGXFSZ) == 0);
    SET(store, "flag", "1");
    set_too_much(store);
    CHECK(is_pending(SIGXFSZ) && !caught);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    CHECK(caught == SIGXFSZ && !is_pending(SIGXFSZ));
    caught = 0;
    signal(SIGXFSZ, SIG_DFL);
    flagstore_free(store);
}

/* ---- the library's threads ---- */

/* What the caller's only thread blocks stays pending, unless another thread takes it. */
static void threads_of_the_library_take_no_signal(void) {
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2, SIGPROF};
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(FLAGS_FILE, FLAGSTORE_READ_WATCHED, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    flagstore_watch_t *watch = flagstore_watch(store, NULL, ignore_change, NULL, &error);
    CHECK_OK(error);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        sigset_t one, before;
        sigemptyset(&one);
        sigaddset(&one, numbers[i]);
        signal(numbers[i], catch_signal);
        CHECK(pthread_sigmask(SIG_BLOCK, &one, &before) == 0 && kill(getpid(), numbers[i]) == 0);
        SET(store, "flag", i % 2 ? "1" : "2");
        CHECK_THAT(is_pending(numbers[i]) && !caught, "signal %d was taken", numbers[i]);
        CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
        CHECK_INT(numbers[i], caught);
        caught = 0;
        signal(numbers[i], SIG_DFL);
    }
    flagstore_free(watch);
    flagstore_free(store);
}

int main(void) {
    RUN(calls_leave_the_mask_as_it_was);
    RUN(a_file_that_may_not_grow_is_an_error_and_no_signal);
    RUN(a_pending_signal_of_the_callers_stays);
    RUN(threads_of_the_library_take_no_signal);
    return check_summary("signals");
}
