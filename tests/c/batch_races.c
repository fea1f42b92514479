/* run: plain valgrind sanitizers */
/* Read, expect what was read, commit, again on a conflict: threads and processes that do so lose no update. */
#include "check.h"

#include <pthread.h>

enum { PROCESSES = 4, THREADS = 2, STEPS = 10 };

/* Raises the count by one if nobody else did in between. */
static bool count_one(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    char old[32], new[32];
    int64_t count = flagstore_get_int64(store, "count", -1, &error);
    CHECK_OK(error);
    snprintf(old, sizeof old, "%lld", (long long)count);
    snprintf(new, sizeof new, "%lld", (long long)count + 1);
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_expect(batch, "count", old, NULL) && flagstore_batch_set(batch, "count", new, NULL));
    bool done = flagstore_commit(store, batch, &error);
    CHECK_ERROR(done ? FLAGSTORE_OK : FLAGSTORE_CONFLICT, NULL, error);
    flagstore_free(batch);
    return done;
}

static void *count_up(void *store) {
    for (int done = 0; done < STEPS && !check_failures;)
        done += count_one(store);
    return NULL;
}

static void count_in_threads(void *store) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, count_up, store) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void threads_that_expect_what_they_read_lose_nothing(flagstore_t *store) {
    SET(store, "count", "0");
    count_in_threads(store);
    CHECK_INT(THREADS * STEPS, flagstore_get_int64(store, "count", -1, NULL));
}

static void open_and_count(void *read_mode) {
    flagstore_file_options_t options = {
        .size = sizeof options, .read_mode = *(const int32_t *)read_mode, .lock_timeout_ms = -1};
    flagstore_t *store = flagstore_file_open_with(FLAGS_FILE, &options, NULL);
    count_in_threads(store);
    flagstore_free(store);
}

static void processes_that_expect_what_they_read_lose_nothing(void) {
    static const int32_t read_modes[] = {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_WATCHED};
    pid_t pids[PROCESSES];
    write_file(FLAGS_FILE, "{\"count\":0}", 11);
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start_child(open_and_count, (void *)&read_modes[i % 3]);
    for (int i = 0; i < PROCESSES; i++)
        end_child(pids[i]);
    char expected[32];
    snprintf(expected, sizeof expected, "{\n  \"count\": %d\n}\n", PROCESSES * THREADS * STEPS);
    CHECK_FILE(expected, FLAGS_FILE);
}

int main(void) {
    RUN_ON_EVERY_KIND(threads_that_expect_what_they_read_lose_nothing);
    RUN(processes_that_expect_what_they_read_lose_nothing);
    return check_summary("batch_races");
}
