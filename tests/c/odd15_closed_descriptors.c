/* run: odd */
/* Odd machines 15: a host that closes all descriptors in the same process, as daemons do at their start, while the
   library's threads watch and cache; and that then has files of its own under the same numbers. Nothing spins, not a
   byte of the host's files is read or written, none of them is closed, the log tells, and the store goes on. */
#include "check.h"

#include <sys/ioctl.h>
#include <sys/resource.h>

enum { OTHERS = 60, REST_MS = 1000, SPIN_MS = 300, MOST_LINES = 6 };

struct case_ {
    int32_t mode;
    bool watched, waited, reused;
};

static int lines, calls;

static void count_line(void *userdata, int32_t level, const char *message) {
    (void)userdata, (void)level, (void)message;
    __atomic_add_fetch(&lines, 1, __ATOMIC_SEQ_CST);
}

static void count_change(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata, (void)key, (void)old_json, (void)new_json;
    __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
}

static long cpu_ms(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec * 1000 + used.ru_utime.tv_usec / 1000 + used.ru_stime.tv_sec * 1000
           + used.ru_stime.tv_usec / 1000;
}

/* ---- the host's files: empty ones, and pipes with something in them ---- */

struct host {
    int count, fds[OTHERS];
    ino_t inodes[OTHERS];
    bool is_pipe[OTHERS];
};

static void keep(struct host *host, int fd, bool is_pipe) {
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) return;
    host->fds[host->count] = fd, host->inodes[host->count] = status.st_ino, host->is_pipe[host->count++] = is_pipe;
}

/* Takes all low numbers. */
static void open_files(struct host *host) {
    while (host->count + 3 < OTHERS) {
        char name[32];
        int ends[2];
        snprintf(name, sizeof name, "host-%d", host->count);
        keep(host, open(name, O_RDWR | O_CREAT | O_EXCL, 0600), false);
        CHECK(pipe(ends) == 0 && write(ends[1], "hostdata", 8) == 8);
        keep(host, ends[0], true);
        keep(host, ends[1], false);
    }
}

static void check_untouched(const struct host *host, const char *when) {
    for (int i = 0; i < host->count; i++) {
        struct stat status;
        int waiting = 8;
        bool is_open = fstat(host->fds[i], &status) == 0;
        CHECK_THAT(is_open && status.st_ino == host->inodes[i], "%s: the host's descriptor %d was closed", when,
                   host->fds[i]);
        if (!is_open) continue;
        if (S_ISREG(status.st_mode))
            CHECK_THAT(status.st_size == 0, "%s: %d bytes were written to the host's descriptor %d", when,
                       (int)status.st_size, host->fds[i]);
        if (host->is_pipe[i]) {
            CHECK(ioctl(host->fds[i], FIONREAD, &waiting) == 0);
            CHECK_THAT(waiting == 8, "%s: the host's pipe %d has %d bytes, not 8", when, host->fds[i], waiting);
        }
    }
}

/* ---- the store ---- */

static void replace_flag(const char *json) {
    char text[64];
    snprintf(text, sizeof text, "{\"flag\":%s}", json);
    put("new", text);
    CHECK(rename("new", FLAGS_FILE) == 0);
}

static bool sees(const flagstore_t *store, const char *json) {
    char *got = flagstore_get(store, "flag", NULL);
    bool same = got && strcmp(got, json) == 0;
    flagstore_free(got);
    return same;
}

static void close_all_and_go_on(void *argument) {
    const struct case_ *this = argument;
    struct host host = {0};
    flagstore_error_t *error = GARBAGE;
    put(FLAGS_FILE, "{\"flag\":1}");
    flagstore_t *store = open_mode(FLAGS_FILE, this->mode, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    flagstore_set_log(count_line, NULL, FLAGSTORE_LOG_WARN);
    flagstore_watch_t *watch = this->watched ? flagstore_watch(store, NULL, count_change, NULL, NULL) : NULL;
    uint64_t revision = flagstore_revision(store, NULL);
    if (this->waited) CHECK(!flagstore_wait(store, &revision, 1, NULL)); /* it keeps its events for the next */
    for (int i = 0; i < 50; i++) { /* what is kept of the file is at rest */
        CHECK_GET("1", store, "flag");
        pause_a_millisecond();
    }
    bool has_threads = count_threads() > 1;
    for (int fd = 3; fd < 256; fd++) close(fd);
    if (this->reused) open_files(&host);
    long before = cpu_ms();
    for (int i = 0; i < REST_MS; i++) pause_a_millisecond();
    long used = cpu_ms() - before;
    CHECK_THAT(used < SPIN_MS, "%ld ms of the processor in %d ms of rest", used, REST_MS);
    if (this->reused) check_untouched(&host, "at rest");
    replace_flag("2");
    CHECK_EVENTUALLY(sees(store, "2"));
    if (watch) CHECK_EVENTUALLY(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) > 0);
    revision = flagstore_revision(store, &error);
    CHECK_OK(error);
    CHECK(!flagstore_wait(store, &revision, 20, &error));
    CHECK_OK(error);
    replace_flag("3");
    CHECK(flagstore_wait(store, &revision, 60000, &error));
    CHECK_OK(error);
    SET(store, "flag", "4");
    CHECK_GET("4", store, "flag");
    if (this->reused) check_untouched(&host, "in use");
    flagstore_free(watch);
    flagstore_free(store);
    if (this->reused) check_untouched(&host, "freed");
    if (has_threads) CHECK_THAT(lines >= 1, "the log says nothing");
    CHECK_THAT(lines <= MOST_LINES, "the log has %d lines", lines);
}

static void run_cases(bool reused) {
    static const int32_t modes[] = {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_WATCHED};
    static const char *const names[] = {"fresh", "checked", "watched"};
    char row[64];
    for (size_t mode = 0; mode < COUNT(modes); mode++) {
        for (int used = 0; used < 4; used++) {
            struct case_ this = {modes[mode], used & 1, used >> 1, reused};
            snprintf(row, sizeof row, "%s%s%s", names[mode], this.watched ? ", watch" : "", this.waited ? ", wait" : "");
            check_row = row;
            if (mode == 0 && used == 0) continue; /* nothing is kept */
            check_deadline(120);
            end_child(start_child(close_all_and_go_on, &this));
            for (int i = 0; i < OTHERS; i++) {
                char name[32];
                snprintf(name, sizeof name, "host-%d", i);
                unlink(name);
            }
        }
    }
    check_row = "";
}

static void closed_descriptors_are_given_up(void) { run_cases(false); }
static void files_under_the_same_numbers_are_left_alone(void) { run_cases(true); }

int main(void) {
    RUN(closed_descriptors_are_given_up);
    RUN(files_under_the_same_numbers_are_left_alone);
    return check_summary("odd15_closed_descriptors");
}
