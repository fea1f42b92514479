/* run: plain */
/* The last good snapshot of a store elsewhere, in a flags file for processes that start while it is not reached. */
#include "fault_backend.h"

enum { WATCHED = FLAGSTORE_READ_WATCHED };

static flagstore_remote_options_t with_fallback(void) {
    flagstore_remote_options_t options = options_of(WATCHED);
    options.fallback_path = FLAGS_FILE;
    return options;
}

static bool file_reads_as(const char *expected) {
    flagstore_error_t *error = NULL;
    flagstore_file_options_t options = {.size = sizeof options, .flags = FLAGSTORE_OPEN_READ_ONLY};
    flagstore_t *file = flagstore_file_open_with(FLAGS_FILE, &options, &error);
    char *all = file ? flagstore_list_all(file, NULL) : NULL;
    bool is_so = all && strcmp(all, expected) == 0;
    flagstore_free(all);
    flagstore_free(file);
    flagstore_free(error);
    return is_so;
}

static void lose(struct backend *backend, int code) {
    FAULT(backend, OP_LOAD, code, code);
    FAULT(backend, OP_WAIT, code, code);
}

static void what_is_live_is_kept_for_the_owner_alone(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    engine_set(engine, "flag", "1");
    flagstore_t *store = open_table(table_of(backend), with_fallback());
    CHECK_EVENTUALLY(file_reads_as("{\"flag\":1}"));
    struct stat status = STATUS_OF(FLAGS_FILE);
    CHECK_INT(0600, status.st_mode & 07777);
    CHECK_INT(0600, STATUS_OF("." FLAGS_FILE ".writer").st_mode & 07777);
    SET(store, "own", "2");
    engine_set(engine, "flag", "3");
    CHECK_EVENTUALLY(file_reads_as("{\"flag\":3,\"own\":2}"));
    end_backend(backend, store);
    free_engine(engine);
}

static void the_file_appears_whole(void) {
    for (int i = 0; i < 5; i++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        engine_set(engine, "flag", "1");
        flagstore_t *store = open_table(table_of(backend), with_fallback());
        size_t len = 0;
        char *text = NULL;
        CHECK_EVENTUALLY((text = read_file(FLAGS_FILE, &len)) != NULL);
        CHECK_TEXT("{\n  \"flag\": 1\n}\n", text);
        free(text);
        end_backend(backend, store);
        CHECK(unlink(FLAGS_FILE) == 0);
        free_engine(engine);
    }
}

/* `lazily`: opening does not even try. */
static void it_is_read_while_the_backend_is_not_reached(void) {
    for (int lazily = 0; lazily < 2; lazily++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        flagstore_remote_options_t options = with_fallback();
        put(FLAGS_FILE, "{\"flag\": \"of the file\"}");
        engine_set(engine, "flag", "1");
        lose(backend, FLAGSTORE_UNAVAILABLE);
        options.open_timeout_ms = 60;
        options.flags = lazily ? FLAGSTORE_OPEN_LAZY : 0;
        flagstore_t *store = open_table(table_of(backend), options);
        CHECK_EVENTUALLY(reads_as(store, "flag", "\"of the file\""));
        CHECK_INT(FLAGSTORE_STATE_FALLBACK, state_of(store).state);
        CHECK(file_reads_as("{\"flag\":\"of the file\"}"));
        lose(backend, 0);
        CHECK_EVENTUALLY(reads_as(store, "flag", "1"));
        CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
        CHECK_INT(1, (long long)state_of(store).reconnects);
        CHECK_EVENTUALLY(file_reads_as("{\"flag\":1}"));
        end_backend(backend, store);
        free_engine(engine);
    }
}

/* The file is of a process before this one: a backend that has lost its flags since looks like one that never had any. */
static void it_is_not_emptied_by_a_backend_that_may_be_lost(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_remote_options_t options = with_fallback();
    put(FLAGS_FILE, "{\"flag\": 1}");
    FAULT(backend, OP_LOAD, is_half, 1);
    options.open_timeout_ms = 60;
    flagstore_t *store = open_table(table_of(backend), options);
    CHECK(state_of(store).state >= FLAGSTORE_STATE_FALLBACK); /* or LOST, once it has looked again */
    CHECK(reads_as(store, "flag", "1"));
    FAULT(backend, OP_LOAD, is_half, 0); /* now it says that it is empty */
    CHECK_EVENTUALLY(reads_as(store, "flag", NULL));
    CHECK_INT(FLAGSTORE_STATE_LIVE, state_of(store).state);
    CHECK_EVENTUALLY(file_reads_as("{}"));
    end_backend(backend, store);
    free_engine(engine);
}

static void without_a_file_the_open_fails(void) {
    static const char *const files[] = {NULL, "{\"flag\": ", "[]"};
    for (size_t i = 0; i < COUNT(files); i++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        flagstore_backend_t table = table_of(backend);
        flagstore_remote_options_t options = with_fallback();
        flagstore_error_t *error = GARBAGE;
        if (files[i]) put(FLAGS_FILE, files[i]);
        lose(backend, FLAGSTORE_UNAVAILABLE);
        options.open_timeout_ms = 100;
        CHECK(flagstore_backend_open_with(&table, &options, &error) == NULL);
        CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
        CHECK_INT(1, NOW(backend->closes));
        if (files[i]) CHECK_FILE(files[i], FLAGS_FILE);
        else CHECK(access(FLAGS_FILE, F_OK) != 0);
        free(backend);
        free_engine(engine);
    }
}

static void count_warnings(void *userdata, int32_t level, const char *message) {
    if (level <= FLAGSTORE_LOG_WARN && strstr(message, FLAGS_FILE)) INCREMENT(*(int *)userdata);
}

static void a_corrupt_file_is_left_alone_and_told_once(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    int warnings = 0;
    put(FLAGS_FILE, "{\"flag\": ");
    flagstore_set_log(count_warnings, &warnings, FLAGSTORE_LOG_WARN);
    engine_set(engine, "flag", "1");
    flagstore_t *store = open_table(table_of(backend), with_fallback());
    CHECK_EVENTUALLY(NOW(warnings) == 1);
    CHECK_FILE("{\"flag\": ", FLAGS_FILE);
    put(FLAGS_FILE, "{}"); /* repaired */
    CHECK_EVENTUALLY(file_reads_as("{\"flag\":1}"));
    CHECK_INT(1, NOW(warnings));
    flagstore_set_log(NULL, NULL, 0);
    end_backend(backend, store);
    free_engine(engine);
}

static void what_is_not_live_is_not_kept(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    engine_set(engine, "flag", "1");
    flagstore_t *store = open_table(table_of(backend), with_fallback());
    CHECK_EVENTUALLY(file_reads_as("{\"flag\":1}"));
    struct stat before = STATUS_OF(FLAGS_FILE);
    FAULT(backend, OP_LOAD, reply, REPLY_GONE);
    engine_set(engine, "flag", "2");
    CHECK_EVENTUALLY(state_of(store).state == FLAGSTORE_STATE_LOST);
    int calls = NOW(backend->calls[OP_LOAD]);
    CHECK_EVENTUALLY(NOW(backend->calls[OP_LOAD]) > calls + 5);
    SET(store, "own", "1"); /* served, but nobody knows what else there is */
    CHECK_GET("1", store, "own");
    CHECK_LEFT_ALONE(before, FLAGS_FILE);
    end_backend(backend, store);
    free_engine(engine);
}

/* ---- several processes ---- */

enum { WRITERS = 3, CHANGES = 30 };

struct shared {
    struct engine *engine;
    volatile int *is_over;
};

static void keep_a_copy(void *argument) {
    struct shared *shared = argument;
    struct backend *backend = new_backend(shared->engine);
    flagstore_t *store = open_table(table_of(backend), with_fallback());
    CHECK_EVENTUALLY(NOW(*shared->is_over));
    end_backend(backend, store);
}

static void one_process_writes_and_not_more_than_once_a_second(void) {
    struct engine *engine = new_engine();
    int *is_over = mmap(NULL, sizeof *is_over, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct shared shared = {engine, is_over};
    struct timespec start, end;
    pid_t writers[WRITERS];
    engine_set(engine, "flag", "0");
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < WRITERS; i++)
        writers[i] = start_child(keep_a_copy, &shared);
    CHECK_EVENTUALLY(access(FLAGS_FILE, F_OK) == 0);
    ino_t inode = 0;
    int files = 0;
    for (int i = 1; i <= CHANGES; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d", i);
        engine_set(engine, "flag", text);
        for (int look = 0; look < 10; look++) {
            struct stat now = STATUS_OF(FLAGS_FILE);
            files += now.st_ino != inode;
            inode = now.st_ino;
            pause_a_millisecond();
        }
    }
    CHECK_EVENTUALLY(file_reads_as("{\"flag\":30}"));
    clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK_THAT(files <= (int)(end.tv_sec - start.tv_sec) + 2, "%d files", files);
    PUT(*is_over, 1);
    for (int i = 0; i < WRITERS; i++)
        end_child(writers[i]);
    CHECK(file_reads_as("{\"flag\":30}"));
    munmap(is_over, sizeof *is_over);
    free_engine(engine);
}

int main(void) {
    RUN(what_is_live_is_kept_for_the_owner_alone);
    RUN(the_file_appears_whole);
    RUN(it_is_read_while_the_backend_is_not_reached);
    RUN(it_is_not_emptied_by_a_backend_that_may_be_lost);
    RUN(without_a_file_the_open_fails);
    RUN(a_corrupt_file_is_left_alone_and_told_once);
    RUN(what_is_not_live_is_not_kept);
    RUN(one_process_writes_and_not_more_than_once_a_second);
    return check_summary("remote_fallback");
}
