/* run: plain */
/* What flagstore_free must not be given: it says so in one line on standard error and aborts. */
#include "check.h"

#include <malloc.h>
#include <sys/resource.h>

static flagstore_t *new_store(void) {
    flagstore_t *store = flagstore_memory_open(NULL);
    flagstore_set(store, "flag", "\"text\"", NULL);
    return store;
}

static void free_text_twice(void) {
    char *text = flagstore_get(new_store(), "flag", NULL);
    flagstore_free(text);
    flagstore_free(text);
}

/* In pages of its own, which are gone after the first free: as malloc does by itself with more than 32 MiB. */
static void free_large_text_twice(void) {
    enum { SIZE = 1 << 20 };
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, SIZE / 2);
#endif
    flagstore_t *store = new_store();
    char *value = malloc(SIZE + 1);
    memset(value, 'v', SIZE);
    value[SIZE] = '\0';
    flagstore_set_string(store, "flag", value, NULL);
    char *text = flagstore_get_string(store, "flag", NULL, NULL);
    flagstore_free(text);
    flagstore_free(text);
}

static void free_error_twice(void) {
    flagstore_error_t *error = NULL;
    flagstore_set(new_store(), "flag", "?", &error);
    flagstore_free(error);
    flagstore_free(error);
}

static void free_new_error_twice(void) {
    flagstore_error_t *error = flagstore_error_new(FLAGSTORE_BACKEND, "message");
    flagstore_free(error);
    flagstore_free(error);
}

static void free_store_twice(void) {
    flagstore_t *store = new_store();
    flagstore_free(store);
    flagstore_free(store);
}

static void free_file_store_twice(void) {
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    flagstore_free(store);
    flagstore_free(store);
}

static void free_snapshot_twice(void) {
    flagstore_snapshot_t *snapshot = flagstore_snapshot(new_store(), NULL);
    flagstore_free(snapshot);
    flagstore_free(snapshot);
}

static void free_a_snapshots_text(void) {
    flagstore_snapshot_t *snapshot = flagstore_snapshot(new_store(), NULL);
    flagstore_free((void *)(uintptr_t)flagstore_snapshot_value(snapshot, 0, NULL));
}

static void free_batch_twice(void) {
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_free(batch);
    flagstore_free(batch);
}

static void ignore_change(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata, (void)key, (void)old_json, (void)new_json;
}

static void free_watch_twice(void) {
    flagstore_watch_t *watch = flagstore_watch(new_store(), NULL, ignore_change, NULL, NULL);
    flagstore_free(watch);
    flagstore_free(watch);
}

static void free_custom_store_twice(void) {
    flagstore_t *store = open_custom(NULL);
    flagstore_free(store);
    flagstore_free(store);
}

static void free_what_malloc_gave(void) {
    char *volatile text = strdup("text of the host's own");
    flagstore_free(text);
}

static void free_large_block_of_malloc(void) {
    char *volatile block = calloc(1, 1 << 22);
    flagstore_free(block);
}

static void free_static_text(void) {
    flagstore_free((void *)(uintptr_t)flagstore_error_name(FLAGSTORE_CORRUPT));
}

static void free_a_local(void) {
    char local[64] __attribute__((aligned(16))) = "text";
    flagstore_free(local + 32);
}

static void free_inside_a_text(void) {
    char *text = flagstore_list_all(new_store(), NULL);
    flagstore_free(text + 1);
}

static void free_an_error_message(void) {
    flagstore_free((void *)(uintptr_t)flagstore_error_message(flagstore_error_new(FLAGSTORE_BACKEND, "message")));
}

static const struct {
    const char *name;
    void (*misuse)(void);
} MISUSES[] = {
    {"text twice", free_text_twice},
    {"large text twice", free_large_text_twice},
    {"error twice", free_error_twice},
    {"new error twice", free_new_error_twice},
    {"store twice", free_store_twice},
    {"file store twice", free_file_store_twice},
    {"custom store twice", free_custom_store_twice},
    {"snapshot twice", free_snapshot_twice},
    {"snapshot's text", free_a_snapshots_text},
    {"batch twice", free_batch_twice},
    {"watch twice", free_watch_twice},
    {"malloc", free_what_malloc_gave},
    {"large malloc", free_large_block_of_malloc},
    {"static text", free_static_text},
    {"local", free_a_local},
    {"inside a text", free_inside_a_text},
    {"error message", free_an_error_message},
};

static void run_misuse(void (*misuse)(void), int out) {
    struct rlimit none = {0, 0}; /* no core file */
    setrlimit(RLIMIT_CORE, &none);
    check_deadline(60);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    misuse();
    _exit(0);
}

/* How the child ended; what it printed goes to output. */
static int end_of_misuse(void (*misuse)(void), char *output, size_t room) {
    int pipes[2], status = 0;
    CHECK(pipe(pipes) == 0);
    pid_t pid = fork();
    if (pid == 0) run_misuse(misuse, pipes[1]);
    close(pipes[1]);
    size_t len = 0;
    for (ssize_t got; len < room - 1 && (got = read(pipes[0], output + len, room - 1 - len)) > 0;)
        len += (size_t)got;
    output[len] = '\0';
    close(pipes[0]);
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void misuse_of_free_is_one_line_and_an_abort(void) {
    char output[4096];
    for (size_t i = 0; i < COUNT(MISUSES); i++) {
        check_row = MISUSES[i].name;
        int status = end_of_misuse(MISUSES[i].misuse, output, sizeof output);
        CHECK_THAT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                   "expected an abort, got status %#x", (unsigned)status);
        const char *end = strchr(output, '\n');
        CHECK_THAT(strstr(output, "flagstore_free") && end && end[1] == '\0',
                   "expected one line about flagstore_free, got <%s>", output);
    }
}

int main(void) {
    RUN(misuse_of_free_is_one_line_and_an_abort);
    return check_summary("freed_twice");
}
