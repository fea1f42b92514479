/* What every C test uses: checks that say where, what was expected and what came; a directory of its own for each
   promise; and the kinds of store. A new kind is one function and one line of STORE_KINDS. */
#ifndef CHECK_H
#define CHECK_H

#include "flagstore.h"
#include "forward.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- checks ---- */

static int check_count, check_failures;
static const char *check_context = "", *check_row = ""; /* printed with a failure */

/* What an uninitialised error variable may hold: every call must overwrite it. */
#define GARBAGE ((flagstore_error_t *)(uintptr_t)0x5a5a5a50)

__attribute__((format(printf, 4, 5)))
static inline bool check_that(bool holds, const char *file, int line, const char *format, ...) {
    __atomic_add_fetch(&check_count, 1, __ATOMIC_RELAXED);
    if (holds) return true;
    __atomic_add_fetch(&check_failures, 1, __ATOMIC_RELAXED);
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s:%d: [%s %s] %s\n", file, line, check_context, check_row, text);
    return false;
}

static inline bool check_text(const char *file, int line, const char *expected, const char *got) {
    bool same = expected && got ? strcmp(expected, got) == 0 : expected == got;
    return check_that(same, file, line, "expected <%s>, got <%s>", expected ? expected : "NULL", got ? got : "NULL");
}

static inline void check_owned(const char *file, int line, const char *expected, char *got) {
    check_text(file, line, expected, got);
    flagstore_free(got);
}

/* The code, a part of the message unless NULL; frees the error and leaves garbage for the next call. */
static inline bool check_error(const char *file, int line, int32_t code, const char *part, flagstore_error_t **error) {
    flagstore_error_t *got = *error;
    *error = GARBAGE;
    if (!check_that(got != GARBAGE, file, line, "the call did not write its error argument")) return false;
    bool holds = check_that(flagstore_error_code(got) == code, file, line, "expected %s, got %s: %s",
                            flagstore_error_name(code), flagstore_error_name(flagstore_error_code(got)),
                            flagstore_error_message(got));
    check_that((got == NULL) == (code == FLAGSTORE_OK), file, line, "expected an error object on failure only");
    if (part)
        check_that(strstr(flagstore_error_message(got), part) != NULL, file, line,
                   "expected a message with <%s>, got <%s>", part, flagstore_error_message(got));
    flagstore_free(got);
    return holds;
}

#define CHECK_THAT(holds, ...) check_that((holds), __FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition) CHECK_THAT((condition), "expected %s", #condition)
#define CHECK_INT(expected, got) check_int(__FILE__, __LINE__, (expected), (got))
#define CHECK_TEXT(expected, got) check_text(__FILE__, __LINE__, (expected), (got))
#define CHECK_OWNED(expected, got) check_owned(__FILE__, __LINE__, (expected), (got)) /* and frees what it got */
#define CHECK_ERROR(code, part, error) check_error(__FILE__, __LINE__, (code), (part), &(error))
#define CHECK_OK(error) check_error(__FILE__, __LINE__, FLAGSTORE_OK, NULL, &(error))

static inline bool check_int(const char *file, int line, long long expected, long long got) {
    return check_that(expected == got, file, line, "expected %lld, got %lld", expected, got);
}

#define CHECK_POSITION(error, behind, line, column) \
    check_position(__FILE__, __LINE__, (error), (behind), (line), (column))

/* Line and column are the first two numbers of the message behind the path or key it names; 0: any will do. */
static inline void check_position(const char *file, int line, const flagstore_error_t *error, const char *behind,
                                  long expected_line, long expected_column) {
    const char *message = error == GARBAGE ? "" : flagstore_error_message(error), *at = strstr(message, behind);
    if (!check_that(at != NULL, file, line, "expected a message with <%s>, got <%s>", behind, message)) return;
    char *end = (char *)at + strlen(behind);
    long numbers[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        end += strcspn(end, "0123456789");
        numbers[i] = strtol(end, &end, 10);
    }
    bool holds = numbers[0] > 0 && numbers[1] > 0;
    if (expected_line) holds = numbers[0] == expected_line && numbers[1] == expected_column;
    check_that(holds, file, line, "expected line %ld column %ld, got <%s>", expected_line, expected_column, message);
}

/* ---- short forms for calls that are not what a test is about ---- */

#define SET(store, key, json) check_set(__FILE__, __LINE__, (store), (key), (json))
#define CHECK_GET(expected, store, key) check_get(__FILE__, __LINE__, (expected), (store), (key)) /* NULL: absent */
#define CHECK_ALL(expected, store) check_all(__FILE__, __LINE__, (expected), (store))

static inline void check_set(const char *file, int line, flagstore_t *store, const char *key, const char *json) {
    flagstore_error_t *error = GARBAGE;
    bool done = flagstore_set(store, key, json, &error);
    check_that(check_error(file, line, FLAGSTORE_OK, NULL, &error) && done, file, line, "set %s to %.80s", key, json);
}

static inline void check_get(const char *file, int line, const char *expected, const flagstore_t *store,
                             const char *key) {
    flagstore_error_t *error = GARBAGE;
    check_owned(file, line, expected, flagstore_get(store, key, &error));
    check_error(file, line, FLAGSTORE_OK, NULL, &error);
}

static inline void check_all(const char *file, int line, const char *expected, const flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    check_owned(file, line, expected, flagstore_list_all(store, &error));
    check_error(file, line, FLAGSTORE_OK, NULL, &error);
}

/* ---- files: each promise has a fresh directory as its working directory ---- */

static inline char *read_file(const char *path, size_t *len) { /* NUL-terminated too; NULL: cannot be read */
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *bytes = malloc(1 << 20);
    *len = fread(bytes, 1, (1 << 20) - 1, file);
    bytes[*len] = '\0';
    fclose(file);
    return bytes;
}

static inline void write_file(const char *path, const char *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(bytes, 1, len, file) == len;
    if (file && fclose(file) != 0) written = false;
    CHECK_THAT(written, "cannot write %s: %s", path, strerror(errno));
}

static inline void put(const char *path, const char *text) { write_file(path, text, strlen(text)); }

#define CHECK_FILE(expected, path) check_file(__FILE__, __LINE__, (expected), strlen(expected), (path))

static inline void check_file(const char *file, int line, const char *expected, size_t expected_len, const char *path) {
    size_t len = 0;
    char *bytes = read_file(path, &len);
    check_that(bytes && len == expected_len && memcmp(bytes, expected, len) == 0, file, line,
               "expected %s to hold <%s>, got <%s>", path, expected, bytes ? bytes : "nothing");
    free(bytes);
}

#define STATUS_OF(path) status_of(__FILE__, __LINE__, (path))
#define CHECK_LEFT_ALONE(before, path) check_left_alone(__FILE__, __LINE__, (before), (path))

static inline struct stat status_of(const char *file, int line, const char *path) {
    struct stat status = {0};
    check_that(stat(path, &status) == 0, file, line, "cannot stat %s: %s", path, strerror(errno));
    return status;
}

/* Not even rewritten with the same bytes. */
static inline void check_left_alone(const char *file, int line, struct stat before, const char *path) {
    struct stat now = status_of(file, line, path);
    check_that(now.st_ino == before.st_ino && now.st_size == before.st_size
                   && now.st_mtim.tv_sec == before.st_mtim.tv_sec && now.st_mtim.tv_nsec == before.st_mtim.tv_nsec,
               file, line, "expected %s to be left alone", path);
}

static inline void make_temp_dir(char path[PATH_MAX]) {
    const char *tmp = getenv("TMPDIR");
    snprintf(path, PATH_MAX, "%s/flagstore-c-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(path) && chdir(path) == 0) return;
    perror(path);
    exit(1);
}

static inline int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}

static inline void remove_temp_dir(const char *path) {
    CHECK_THAT(chdir("/") == 0 && nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0,
               "cannot remove %s: %s", path, strerror(errno));
}

/* ---- running ---- */

/* A call that never returns ends the program with the name of the promise, not the whole test run. */
static inline void check_hung(int number) {
    (void)number;
    static const char text[] = " did not end in time\n";
    bool told = write(STDERR_FILENO, check_context, strlen(check_context)) > 0
                && write(STDERR_FILENO, text, sizeof text - 1) > 0;
    _exit(told ? 2 : 3);
}

static inline void check_deadline(unsigned seconds) {
    signal(SIGALRM, check_hung);
    alarm(seconds);
}

/* Looks until the condition holds, which is for another thread or process to bring about; fails after a minute. */
#define CHECK_EVENTUALLY(condition) do { \
        int looks_ = 60000; \
        while (!(condition) && looks_-- > 0) pause_a_millisecond(); \
        CHECK_THAT(looks_ > 0, "expected %s within a minute", #condition); \
    } while (0)

static inline void pause_a_millisecond(void) {
    struct timespec millisecond = {0, 1000000};
    nanosleep(&millisecond, NULL);
}

#define RUN(promise) run_promise(#promise, promise)

static inline void run_promise(const char *name, void (*promise)(void)) {
    char dir[PATH_MAX];
    check_context = name, check_row = "";
    check_deadline(120);
    make_temp_dir(dir);
    promise();
    remove_temp_dir(dir);
}

static inline int count_threads(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));)
        count += task->d_name[0] != '.';
    if (tasks) closedir(tasks);
    return count;
}

/* The library names its threads; each names itself once it runs. A sanitizer may have a thread of its own. */
static inline int count_threads_named(const char *beginning) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char path[300], comm[32];
        size_t len = 0;
        snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file) len = fread(comm, 1, sizeof comm - 1, file), fclose(file);
        comm[len ? len - 1 : 0] = '\0';
        count += strncmp(comm, beginning, strlen(beginning)) == 0;
    }
    if (tasks) closedir(tasks);
    return count;
}

/* A child process; its failed checks are its exit status, which end_child checks. Handles that are open at the fork
   are the child's as well, to be freed there: a leak checker looks at every process. It would take for lost what only
   the parent's threads knew; a child of such a parent ends as another program, at which it finds nothing. */
static inline pid_t start_child(void (*body)(void *), void *argument) {
    bool is_whole = count_threads() == 1;
    pid_t pid = fork();
    if (pid != 0) return pid;
    check_deadline(120);
    check_failures = 0;
    body(argument);
    if (!is_whole) execlp(check_failures ? "false" : "true", "end of a child", (char *)NULL);
    exit(check_failures != 0);
}

static inline void end_child(pid_t pid) {
    int status = -1;
    bool ended = waitpid(pid, &status, 0) == pid;
    CHECK_THAT(ended && status == 0, "child ended with status %#x", (unsigned)status);
}

static inline int check_summary(const char *what) {
    if (check_failures)
        fprintf(stderr, "%s: %d of %d checks failed\n", what, check_failures, check_count);
    else
        printf("%s: %d checks\n", what, check_count);
    return check_failures != 0;
}

/* ---- the kinds of store ---- */

#define FLAGS_FILE "flags.json"
#define LOCK_FILE ".flags.json.lock"

static inline flagstore_t *open_mode(const char *path, int32_t read_mode, int32_t durability,
                                     flagstore_error_t **error) {
    flagstore_file_options_t options = {.size = sizeof options, .read_mode = read_mode, .durability = durability};
    return flagstore_file_open_with(path, &options, error);
}

#ifdef READ_MODE /* the same promises, kept in another read mode */
static inline flagstore_t *open_in_read_mode(const char *path, flagstore_error_t **error) {
    return open_mode(path, READ_MODE, FLAGSTORE_SYNC_FULL, error);
}
#define flagstore_file_open open_in_read_mode
#endif

static inline flagstore_t *open_memory(flagstore_error_t **error) { return flagstore_memory_open(error); }
static inline flagstore_t *open_file(flagstore_error_t **error) { return flagstore_file_open(FLAGS_FILE, error); }
static inline flagstore_t *open_checked(flagstore_error_t **error) {
    return open_mode(FLAGS_FILE, FLAGSTORE_READ_CHECKED, FLAGSTORE_SYNC_NONE, error);
}
static inline flagstore_t *open_watched(flagstore_error_t **error) {
    return open_mode(FLAGS_FILE, FLAGSTORE_READ_WATCHED, FLAGSTORE_SYNC_NONE, error);
}
static inline flagstore_t *open_custom(flagstore_error_t **error) { return open_forwarding(open_file(error), error); }
static inline flagstore_t *open_custom_fresh(flagstore_error_t **error) {
    return open_forwarding_all(flagstore_memory_open(error), FLAGSTORE_READ_FRESH, error);
}
static inline flagstore_t *open_custom_checked(flagstore_error_t **error) {
    return open_forwarding_all(flagstore_memory_open(error), FLAGSTORE_READ_CHECKED, error);
}
static inline flagstore_t *open_custom_watched(flagstore_error_t **error) {
    return open_forwarding_all(flagstore_memory_open(error), FLAGSTORE_READ_WATCHED, error);
}

/* A store over two others, which it takes over. */
static inline flagstore_t *open_over(flagstore_t *top, flagstore_t *bottom, size_t write_to,
                                     flagstore_error_t **error) {
    flagstore_t *layers[] = {top, bottom};
    flagstore_t *store = flagstore_layered_open(layers, COUNT(layers), write_to, error);
    flagstore_free(top);
    flagstore_free(bottom);
    return store;
}
static inline flagstore_t *open_unsynced(const char *path, flagstore_error_t **error) {
    return open_mode(path, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_NONE, error);
}
static inline flagstore_t *open_file_over_file(flagstore_error_t **error) {
    return open_over(open_unsynced(FLAGS_FILE, error), open_unsynced("defaults.json", error), 0, error);
}
static inline flagstore_t *open_memory_over_file(flagstore_error_t **error) {
    return open_over(flagstore_memory_open(error), open_unsynced(FLAGS_FILE, error), 1, error);
}

struct store_kind {
    const char *name;
    flagstore_t *(*open)(flagstore_error_t **error); /* an empty store; files go to the working directory */
};

#ifdef OTHER_KINDS /* the same promises, kept by stores that this file opens: it defines STORE_KINDS */
#include OTHER_KINDS
#else
static const struct store_kind STORE_KINDS[] = {
    {"memory", open_memory},
    {"file", open_file},
    {"file checked", open_checked},
    {"file watched", open_watched},
    {"custom", open_custom},
    {"file over file", open_file_over_file},
    {"memory over file", open_memory_over_file},
#ifndef NO_REMOTE_KINDS /* where they would take long, or do not log as others do */
    {"custom fresh", open_custom_fresh},
    {"custom checked", open_custom_checked},
    {"custom watched", open_custom_watched},
#endif
};
#endif

#ifndef LEAVES_OUT
#define LEAVES_OUT(promise) false
#endif

#define RUN_ON_EVERY_KIND(promise) run_on_every_kind(#promise, promise)

static inline void run_on_every_kind(const char *name, void (*promise)(flagstore_t *store)) {
    for (size_t kind = 0; kind < COUNT(STORE_KINDS) && !LEAVES_OUT(name); kind++) {
        char dir[PATH_MAX], context[128];
        snprintf(context, sizeof context, "%s, %s store:", name, STORE_KINDS[kind].name);
        check_context = context, check_row = "";
        check_deadline(120);
        make_temp_dir(dir);
        flagstore_error_t *error = GARBAGE;
        flagstore_t *store = STORE_KINDS[kind].open(&error);
        if (CHECK_OK(error) && CHECK(store != NULL)) promise(store);
        flagstore_free(store);
        remove_temp_dir(dir);
    }
    check_context = ""; /* it was on the stack */
}

#endif
