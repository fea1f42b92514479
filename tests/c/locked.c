/* run: plain valgrind sanitizers */
/* The lock beside the file: who finds it held waits, then says FLAGSTORE_LOCKED, and writes nothing. */
#include "check.h"

#include <sys/file.h>

static flagstore_t *open_waiting(int32_t lock_timeout_ms) {
    flagstore_error_t *error = GARBAGE;
    flagstore_file_options_t options = {.size = sizeof options, .lock_timeout_ms = lock_timeout_ms};
    flagstore_t *store = flagstore_file_open_with(FLAGS_FILE, &options, &error);
    CHECK_OK(error);
    return store;
}

static int hold_lock_file(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    return fd;
}

/* Another process that holds the lock until it is told to let go. */
struct holder {
    pid_t pid;
    int held[2], let_go[2]; /* pipes */
};

static void hold(void *argument) {
    struct holder *holder = argument;
    char byte;
    close(holder->let_go[1]);
    hold_lock_file(LOCK_FILE);
    CHECK(write(holder->held[1], "x", 1) == 1);
    CHECK(read(holder->let_go[0], &byte, 1) == 0);
}

static struct holder start_holder(void) {
    struct holder holder;
    char byte;
    CHECK(pipe(holder.held) == 0 && pipe(holder.let_go) == 0);
    holder.pid = start_child(hold, &holder);
    close(holder.let_go[0]);
    close(holder.held[1]);
    CHECK(read(holder.held[0], &byte, 1) == 1);
    close(holder.held[0]);
    return holder;
}

static void end_holder(struct holder holder) {
    close(holder.let_go[1]);
    end_child(holder.pid);
}

static void check_locked(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    CHECK(!flagstore_set(store, "flag", "2", &error));
    CHECK_ERROR(FLAGSTORE_LOCKED, FLAGS_FILE, error);
    CHECK(!flagstore_set(store, "new", "2", &error));
    CHECK_ERROR(FLAGSTORE_LOCKED, FLAGS_FILE, error);
    CHECK(!flagstore_set_string(store, "flag", "2", &error));
    CHECK_ERROR(FLAGSTORE_LOCKED, FLAGS_FILE, error);
    CHECK(!flagstore_delete(store, "flag", &error));
    CHECK_ERROR(FLAGSTORE_LOCKED, FLAGS_FILE, error);
    CHECK(!flagstore_delete(store, "flag", NULL));
}

static void a_held_lock_times_out_and_nothing_is_written(void) {
    static const int32_t timeouts[] = {1, 20};
    write_file(FLAGS_FILE, "{\"flag\":1}", 10);
    struct stat before = STATUS_OF(FLAGS_FILE);
    struct holder holder = start_holder();
    for (size_t i = 0; i < COUNT(timeouts); i++) {
        flagstore_t *store = open_waiting(timeouts[i]);
        check_locked(store);
        CHECK_GET("1", store, "flag"); /* readers take no lock */
        flagstore_free(store);
    }
    CHECK_LEFT_ALONE(before, FLAGS_FILE);
    CHECK_FILE("{\"flag\":1}", FLAGS_FILE);
    CHECK(access(".flags.json.tmp", F_OK) != 0);
    end_holder(holder);
}

static void after_a_timeout_the_store_works_on(void) {
    flagstore_error_t *error = GARBAGE;
    write_file(FLAGS_FILE, "{}", 2);
    for (int i = 0; i < 3; i++) {
        struct holder holder = start_holder();
        flagstore_t *store = open_waiting(1), *patient = open_waiting(-1);
        CHECK(!flagstore_set(store, "flag", "1", &error));
        CHECK_ERROR(FLAGSTORE_LOCKED, FLAGS_FILE, error);
        end_holder(holder);
        /* patient: the wait that was given up may still be in the queue for the lock */
        CHECK(flagstore_set_int64(patient, "flag", i + 2, &error));
        CHECK_OK(error);
        CHECK_INT(i + 2, flagstore_get_int64(store, "flag", 0, &error));
        CHECK_OK(error);
        flagstore_free(patient);
        flagstore_free(store);
    }
}

static int threads_at_start; /* 1, unless an emulator has some of its own */

static int threads_now(void) {
    struct stat tasks = STATUS_OF("/proc/self/task"); /* one link for each, besides . and .. */
    return (int)tasks.st_nlink - 2;
}

/* A wait that was given up ends when the lock is free: then no thread of the library is left. */
static void check_no_thread_is_left(void) {
    while (threads_now() > threads_at_start && usleep(1000) == 0) /* the promise's deadline ends this */
        ;
    CHECK_INT(threads_at_start, threads_now());
}

struct waiter {
    int ready[2];
};

static void wait_and_set(void *argument) {
    struct waiter *waiter = argument;
    flagstore_t *store = open_waiting(-1);
    CHECK(write(waiter->ready[1], "x", 1) == 1);
    SET(store, "flag", "\"waited\"");
    flagstore_free(store);
}

static void who_waits_for_ever_gets_the_lock_when_it_is_free(void) {
    struct waiter waiter;
    char byte;
    write_file(FLAGS_FILE, "{}", 2);
    CHECK(pipe(waiter.ready) == 0);
    int fd = hold_lock_file(LOCK_FILE);
    pid_t pid = start_child(wait_and_set, &waiter);
    CHECK(read(waiter.ready[0], &byte, 1) == 1);
    CHECK_FILE("{}", FLAGS_FILE);
    CHECK(flock(fd, LOCK_UN) == 0); /* the child, forked after, has a copy of the descriptor: closing would not do */
    end_child(pid);
    close(fd);
    close(waiter.ready[0]);
    close(waiter.ready[1]);
    CHECK_FILE("{\n  \"flag\": \"waited\"\n}\n", FLAGS_FILE);
}

static void wait_in_vain(void *argument) {
    struct waiter *waiter = argument;
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_waiting(1000);
    CHECK(write(waiter->ready[1], "x", 1) == 1);
    CHECK(!flagstore_set(store, "flag", "1", &error));
    CHECK_ERROR(FLAGSTORE_LOCKED, FLAGS_FILE, error);
    CHECK(write(waiter->ready[1], "x", 1) == 1);
    check_no_thread_is_left();
    flagstore_free(store);
}

/* Whether the process waits for a lock, as /proc/locks says: "1: -> FLOCK ADVISORY WRITE pid ...". */
static bool is_waiting(pid_t pid) {
    char line[256];
    bool found = false;
    FILE *locks = fopen("/proc/locks", "r");
    while (locks && fgets(line, sizeof line, locks)) {
        int waiter = 0;
        if (sscanf(line, "%*s -> %*s %*s %*s %d", &waiter) == 1 && waiter == pid) found = true;
    }
    if (locks) fclose(locks);
    return found;
}

/* A waiter that is given a lock file which has been replaced meanwhile must queue for the new one. */
static void a_lock_on_a_replaced_file_counts_for_nothing(void) {
    struct waiter waiter;
    char byte;
    write_file(FLAGS_FILE, "{}", 2);
    CHECK(pipe(waiter.ready) == 0);
    int old = hold_lock_file(LOCK_FILE);
    pid_t pid = start_child(wait_in_vain, &waiter);
    CHECK(read(waiter.ready[0], &byte, 1) == 1);
    for (int i = 0; i < 500 && !is_waiting(pid); i++) /* where /proc/locks does not tell, the test is only weaker */
        usleep(1000);
    int new = hold_lock_file("new.lock");
    CHECK(rename("new.lock", LOCK_FILE) == 0);
    CHECK(flock(old, LOCK_UN) == 0);
    CHECK(read(waiter.ready[0], &byte, 1) == 1);
    CHECK_FILE("{}", FLAGS_FILE);
    CHECK(flock(new, LOCK_UN) == 0);
    end_child(pid);
    close(old);
    close(new);
    close(waiter.ready[0]);
    close(waiter.ready[1]);
}

static void a_killed_process_leaves_no_lock(void) {
    write_file(FLAGS_FILE, "{}", 2);
    struct holder holder = start_holder();
    flagstore_t *store = open_waiting(-1);
    CHECK(kill(holder.pid, SIGKILL) == 0 && waitpid(holder.pid, NULL, 0) == holder.pid);
    close(holder.let_go[1]);
    SET(store, "flag", "1");
    flagstore_free(store);
}

/* Somebody removed the lock file: its inode is not the lock any more, whoever holds it. */
static void a_removed_lock_file_is_made_anew(void) {
    write_file(FLAGS_FILE, "{}", 2);
    struct holder holder = start_holder();
    flagstore_t *store = open_waiting(-1);
    CHECK(unlink(LOCK_FILE) == 0);
    SET(store, "flag", "1");
    CHECK(access(LOCK_FILE, F_OK) == 0);
    flagstore_free(store);
    end_holder(holder);
}

static void check_lock_is_free(int line) {
    int fd = open(LOCK_FILE, O_RDONLY | O_CLOEXEC);
    bool is_free = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    check_that(is_free, __FILE__, line, "expected a free lock: %s", strerror(errno));
    close(fd);
}

static void no_call_keeps_the_lock(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_waiting(0);
    SET(store, "flag", "1");
    check_lock_is_free(__LINE__);
    SET(store, "flag", "1");
    check_lock_is_free(__LINE__);
    CHECK(!flagstore_delete(store, "absent", &error));
    CHECK_OK(error);
    check_lock_is_free(__LINE__);
    write_file(FLAGS_FILE, "{", 1);
    CHECK(!flagstore_set(store, "flag", "2", &error));
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE, error);
    check_lock_is_free(__LINE__);
    flagstore_free(store);
    check_lock_is_free(__LINE__);
}

int main(void) {
    threads_at_start = threads_now();
    RUN(a_held_lock_times_out_and_nothing_is_written);
    RUN(after_a_timeout_the_store_works_on);
    RUN(who_waits_for_ever_gets_the_lock_when_it_is_free);
    RUN(a_killed_process_leaves_no_lock);
    RUN(a_removed_lock_file_is_made_anew);
    RUN(a_lock_on_a_replaced_file_counts_for_nothing);
    RUN(no_call_keeps_the_lock);
    RUN(check_no_thread_is_left);
    return check_summary("locked");
}
