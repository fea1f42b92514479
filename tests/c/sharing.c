/* run: plain checked valgrind sanitizers */
/* Threads and processes on one store: no change is lost, and no reader sees half of one. */
#define NO_REMOTE_KINDS
#include "check.h"

#include <pthread.h>

enum { WRITERS = 4, ROUNDS = 50 };

struct writer {
    flagstore_t *store;
    int number;
    pthread_t thread;
};

/* Each writer counts up a key of its own; a lost update of the file would set it back or drop it. */
static void *count_up(void *argument) {
    struct writer *writer = argument;
    char key[32];
    snprintf(key, sizeof key, "writer-%d", writer->number);
    for (int64_t i = 0; i < ROUNDS; i++) {
        flagstore_error_t *error = GARBAGE;
        CHECK_INT(i, flagstore_get_int64(writer->store, key, 0, &error));
        CHECK_OK(error);
        CHECK(flagstore_set_int64(writer->store, key, i + 1, &error));
        CHECK_OK(error);
    }
    return NULL;
}

static void check_counts(flagstore_t *store, int writers) {
    flagstore_error_t *error = GARBAGE;
    char key[32];
    CHECK_INT(writers, flagstore_len(store, &error));
    CHECK_OK(error);
    for (int i = 0; i < writers; i++) {
        snprintf(key, sizeof key, "writer-%d", i);
        CHECK_INT(ROUNDS, flagstore_get_int64(store, key, -1, &error));
        CHECK_OK(error);
    }
}

static void run_writers(struct writer *writers, int count) {
    for (int i = 0; i < count; i++)
        CHECK(pthread_create(&writers[i].thread, NULL, count_up, &writers[i]) == 0);
    for (int i = 0; i < count; i++)
        CHECK(pthread_join(writers[i].thread, NULL) == 0);
}

static void threads_on_one_handle_lose_nothing(flagstore_t *store) {
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        writers[i] = (struct writer){.store = store, .number = i};
    run_writers(writers, WRITERS);
    check_counts(store, WRITERS);
}

static void threads_on_a_handle_each_lose_nothing(void) {
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        flagstore_error_t *error = GARBAGE;
        writers[i] = (struct writer){.store = flagstore_file_open(FLAGS_FILE, &error), .number = i};
        CHECK_OK(error);
    }
    run_writers(writers, WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        check_counts(writers[i].store, WRITERS);
        flagstore_free(writers[i].store);
    }
}

static void open_and_count_up(void *argument) {
    flagstore_error_t *error = GARBAGE;
    struct writer writer = {.store = flagstore_file_open(FLAGS_FILE, &error), .number = *(int *)argument};
    CHECK_OK(error);
    count_up(&writer);
    flagstore_free(writer.store);
}

static void processes_lose_nothing(void) {
    pid_t pids[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        pids[i] = start_child(open_and_count_up, &i);
    for (int i = 0; i < WRITERS; i++)
        end_child(pids[i]);
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    check_counts(store, WRITERS);
    flagstore_free(store);
}

/* Two threads of this process, on one handle. */
static void open_and_run_two_writers(void *argument) {
    int first = *(int *)argument;
    struct writer writers[2];
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    for (int i = 0; i < 2; i++)
        writers[i] = (struct writer){.store = store, .number = first + i};
    run_writers(writers, 2);
    flagstore_free(store);
}

static void threads_of_several_processes_lose_nothing(void) {
    pid_t pids[WRITERS / 2];
    for (int i = 0; i < WRITERS; i += 2)
        pids[i / 2] = start_child(open_and_run_two_writers, &i);
    for (int i = 0; i < WRITERS / 2; i++)
        end_child(pids[i]);
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    check_counts(store, WRITERS);
    flagstore_free(store);
}

struct reader {
    flagstore_t *store;
    int done;
};

static void *read_until_done(void *argument) {
    struct reader *reader = argument;
    int64_t seen = 0;
    while (!__atomic_load_n(&reader->done, __ATOMIC_ACQUIRE)) {
        flagstore_error_t *error = GARBAGE;
        int64_t now = flagstore_get_int64(reader->store, "writer-0", 0, &error);
        CHECK_OK(error);
        CHECK_THAT(now >= seen, "expected no less than %lld, got %lld", (long long)seen, (long long)now);
        seen = now;
        char *all = flagstore_list_all(reader->store, &error);
        CHECK_OK(error);
        CHECK(all && all[0] == '{' && all[strlen(all) - 1] == '}');
        flagstore_free(all);
    }
    return NULL;
}

static void a_reader_sees_whole_states_in_their_order(flagstore_t *store) {
    struct writer writer = {.store = store, .number = 0};
    struct reader reader = {.store = store, .done = 0};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, read_until_done, &reader) == 0);
    count_up(&writer);
    __atomic_store_n(&reader.done, 1, __ATOMIC_RELEASE);
    CHECK(pthread_join(thread, NULL) == 0);
    check_counts(store, 1);
}

static void use_after_fork(void *argument) {
    flagstore_t *store = argument;
    CHECK_GET("\"parent\"", store, "flag");
    SET(store, "child", "1");
    CHECK_GET("1", store, "child");
    flagstore_free(store);
}

static void a_store_opened_before_fork_works_in_the_child(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    SET(store, "flag", "\"parent\"");
    end_child(start_child(use_after_fork, store));
    CHECK_ALL("{\"child\":1,\"flag\":\"parent\"}", store);
    SET(store, "parent", "2");
    CHECK_ALL("{\"child\":1,\"flag\":\"parent\",\"parent\":2}", store);
    flagstore_free(store);
}

int main(void) {
    RUN_ON_EVERY_KIND(threads_on_one_handle_lose_nothing);
    RUN(threads_on_a_handle_each_lose_nothing);
    RUN(processes_lose_nothing);
    RUN(threads_of_several_processes_lose_nothing);
    RUN_ON_EVERY_KIND(a_reader_sees_whole_states_in_their_order);
    RUN(a_store_opened_before_fork_works_in_the_child);
    return check_summary("sharing");
}
