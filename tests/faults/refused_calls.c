/* Uses the library while the system refuses some of its calls, as sandboxes and containers do.

     refused_calls MODE WHEN ERRNO FOLDER [NUMBER...]

   MODE is a FLAGSTORE_READ_*; WHEN is "before" (the filter stands before the store is opened) or "after"; the system
   calls with these NUMBERs answer ERRNO. One process makes the calls, this one watches over it: it looks at the file
   after every step, is the other program that changes it, and ends what hangs. It prints a line for every step that
   did not go well: STEP OUTCOME DETAILS, and in the end "end ok" with the number of lines in the log.

   OUTCOME is error (code, errno, message), ABORT, HANG, SPIN, SILENT_LOSS, STALE, SILENT_CHANGE (owner or mode),
   WIDENED. Between getppid and getppid lies what the library does; the two processes talk by sendto and recvfrom,
   which the library does not use. */
#include "refused_calls.h"
#include "store.h"

#include <malloc.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

static int to_watcher, mode;
static const struct filter *filter;
static const char *path, *missing, *torn;
static atomic_int log_lines, calls_back;

/* ---- the user: what is done ---- */

static void count_line(void *userdata, int32_t level, const char *message) {
    (void)userdata, (void)level, (void)message;
    log_lines++;
}

static void count_call(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata, (void)key, (void)old_json, (void)new_json;
    calls_back++;
}

static void tell(const char *text) {
    char reply;
    if (send(to_watcher, text, strlen(text), MSG_NOSIGNAL) < 0) _exit(90);
    if (recv(to_watcher, &reply, 1, 0) != 1) _exit(91);
}

/* The watcher does its part before the step. */
static void begin(const char *step) {
    char text[100];
    snprintf(text, sizeof text, "? %s", step);
    tell(text);
}

static bool end_with(const char *step, const char *outcome, flagstore_error_t *error) {
    char text[1000];
    int32_t code = flagstore_error_code(error);
    if (error) outcome = "error";
    snprintf(text, sizeof text, "= %s %s %d %d %d %.700s", step, outcome, (int)log_lines, (int)code,
             (int)flagstore_error_os_code(error), error ? flagstore_error_message(error) : "");
    flagstore_free(error);
    tell(text);
    return !error;
}

static void rest(long ms) {
    struct timeval time = {ms / 1000, ms % 1000 * 1000};
    select(0, NULL, NULL, NULL, &time);
}

static double cpu_ms(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3
           + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static flagstore_t *open_one(const char *step, const char *at) {
    flagstore_error_t *error = NULL;
    flagstore_file_options_t options = {.size = sizeof options, .read_mode = mode, .lock_timeout_ms = LIMIT_MS};
    begin(step);
    flagstore_t *store = flagstore_file_open_with(at, &options, &error);
    end_with(step, "ok", error);
    return store;
}

static bool set_one(flagstore_t *store, const char *step, int64_t number) {
    flagstore_error_t *error = NULL;
    begin(step);
    flagstore_set_int64(store, "flag", number, &error);
    return end_with(step, "ok", error);
}

/* Others' changes: a WATCHED store may be late, but not for ever. */
static void get_one(flagstore_t *store, const char *step, int64_t expected) {
    flagstore_error_t *error = NULL;
    begin(step);
    int64_t found = flagstore_get_int64(store, "flag", -1, &error);
    for (long looks = 0; !error && found != expected && mode == FLAGSTORE_READ_WATCHED && looks < LIMIT_MS; looks++) {
        rest(1);
        found = flagstore_get_int64(store, "flag", -1, &error);
    }
    end_with(step, found == expected ? "ok" : "STALE", error);
}

static void list_and_free(flagstore_t *store) {
    flagstore_error_t *error = NULL;
    begin("list");
    char *text = flagstore_list_all(store, &error);
    end_with("list", !text || strstr(text, "\"flag\":3") ? "ok" : "STALE", error);
    error = NULL;
    begin("free_text"); /* large enough for malloc to map it by itself */
    flagstore_free(text);
    flagstore_free(flagstore_get(store, "big", &error));
    end_with("free_text", "ok", error);
}

static void wait_for_nothing(flagstore_t *store, uint64_t *revision) {
    flagstore_error_t *error = NULL;
    begin("wait");
    *revision = flagstore_revision(store, &error);
    double before = cpu_ms();
    if (!error) flagstore_wait(store, revision, REST_MS, &error);
    /* What cannot wait in the library may not use the processor meanwhile either: nor may its threads. */
    rest(REST_MS);
    double used = cpu_ms() - before;
    end_with("wait", used < SPIN_MS ? "ok" : "SPIN", error);
}

static void wait_for_change(flagstore_t *store, uint64_t revision) {
    flagstore_error_t *error = NULL;
    begin("wait_for_change");
    bool changed = revision && flagstore_wait(store, &revision, LIMIT_MS, &error);
    end_with("wait_for_change", changed || !revision ? "ok" : "STALE", error);
}

static void watch(flagstore_t *store) {
    flagstore_error_t *error = NULL;
    begin("watch");
    flagstore_watch_t *started = flagstore_watch(store, NULL, count_call, NULL, &error);
    if (!end_with("watch", "ok", error)) return;
    begin("watch_sees");
    for (long looks = 0; !calls_back && looks < LIMIT_MS; looks++) rest(1);
    double before = cpu_ms();
    rest(REST_MS);
    bool spins = cpu_ms() - before >= SPIN_MS;
    end_with("watch_sees", spins ? "SPIN" : calls_back ? "ok" : "STALE", NULL);
    begin("free_watch");
    flagstore_free(started);
    end_with("free_watch", "ok", NULL);
}

static void delete(flagstore_t *store) {
    flagstore_error_t *error = NULL;
    begin("delete");
    flagstore_delete(store, "gone", &error);
    end_with("delete", "ok", error);
}

static void use_others(void) {
    flagstore_t *store = open_one("open_missing", missing);
    if (store) set_one(store, "set_first", 2);
    flagstore_free(store);
    if (!(store = open_one("open_torn", torn))) return;
    flagstore_error_t *error = NULL;
    begin("get_torn");
    flagstore_free(flagstore_get(store, "flag", &error));
    bool told = flagstore_error_code(error) == FLAGSTORE_CORRUPT;
    if (told) flagstore_free(error), error = NULL;
    end_with("get_torn", told ? "ok" : "STALE", error);
    flagstore_free(store);
}

static void use(void) {
    uint64_t revision = 0;
    flagstore_set_log(count_line, NULL, FLAGSTORE_LOG_WARN);
    mallopt(M_MMAP_THRESHOLD, 100000); /* for good: malloc would raise it by itself */
    if (filter->before) install(filter);
    (void)getppid();
    flagstore_t *store = open_one("open", path);
    if (!filter->before) install(filter);
    if (store) {
        get_one(store, "get", 1);
        bool done = set_one(store, "set", 2);
        get_one(store, "get_own", done ? 2 : 1);
        get_one(store, "get_others", 3);
        list_and_free(store);
        set_one(store, "set_same", 3);
        delete(store);
        set_one(store, "set_contended", 4);
        wait_for_nothing(store, &revision);
        wait_for_change(store, revision);
        watch(store);
        begin("free");
        flagstore_free(store);
        end_with("free", "ok", NULL);
    }
    use_others();
    (void)getppid();
    tell("end");
    _exit(0);
}

int main(int count, char **arguments) {
    struct filter wanted = {0};
    if (count < 5) die("see the top of refused_calls.c");
    mode = atoi(arguments[1]);
    wanted.before = strcmp(arguments[2], "before") == 0, wanted.error = atoi(arguments[3]);
    for (int i = 5; i < count && wanted.count < MAX_CALLS; i++) wanted.numbers[wanted.count++] = atoi(arguments[i]);
    filter = &wanted;
    struct place place = make_place(arguments[4]);
    path = place.path, missing = place.missing, torn = place.torn;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) die("no sockets: %s", strerror(errno));
    pid_t user = fork();
    if (user == 0) {
        close(ends[0]);
        to_watcher = ends[1];
        use();
    }
    close(ends[1]);
    return watch_over(user, ends[0], &place);
}
