/* run: plain valgrind sanitizers */
/* What the read modes cost and survive: threads, descriptors, reads without a system call, forks, a lack of events. */
#include "cached.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* ThreadSanitizer opens its log, race.PID, with its first report, whenever that is. */
static bool is_log_of_sanitizer(int directory, const char *name) {
    char path[4096] = "";
    if (readlinkat(directory, name, path, sizeof path - 1) < 0) return false;
    const char *last = strrchr(path, '/');
    return last && strncmp(last, "/race.", 6) == 0;
}

static int count_descriptors(void) {
    int count = 0;
    DIR *open_ones = opendir("/proc/self/fd");
    for (struct dirent *one; open_ones && (one = readdir(open_ones));)
        count += one->d_name[0] != '.' && !is_log_of_sanitizer(dirfd(open_ones), one->d_name);
    if (open_ones) closedir(open_ones);
    return count;
}

static void a_watched_store_has_one_thread_and_a_checked_store_none(void) {
    int threads = count_threads(), descriptors = count_descriptors();
    flagstore_t *checked = open_cached(FLAGS_FILE, FLAGSTORE_READ_CHECKED);
    SET(checked, "flag", "1");
    CHECK_GET("1", checked, "flag");
    CHECK_INT(threads, count_threads());
    CHECK_INT(descriptors + 1, count_descriptors());
    flagstore_t *one = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
    flagstore_t *two = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
    CHECK_EVENTUALLY(count_threads_named("flagstore-cache") == 2); /* a thread names itself */
    CHECK_EVENTUALLY(count_descriptors() == descriptors + 1 + 2 * 3);
    flagstore_free(one);
    CHECK_EVENTUALLY(count_threads_named("flagstore-cache") == 1); /* joined; the kernel's list may lag behind */
    flagstore_free(two);
    flagstore_free(checked);
    CHECK_EVENTUALLY(count_threads_named("flagstore-cache") == 0);
    CHECK_INT(descriptors, count_descriptors());
}

static void a_store_is_freed_in_the_middle_of_changes(void) {
    int descriptors = count_descriptors();
    for (int round = 0; round < 100; round++) {
        flagstore_t *store = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
        for (int change = 0; change < round % 4; change++)
            CHECK(flagstore_set_int64(store, "flag", 10 * round + change, NULL));
        flagstore_free(store);
    }
    CHECK_INT(descriptors, count_descriptors());
}

/* ---- reads under a filter that refuses the calls by which a file could be looked at ---- */

#define REFUSE(number) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static bool refuse_looks(void) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        REFUSE(SYS_openat), REFUSE(SYS_statx),
#ifdef SYS_newfstatat
        REFUSE(SYS_newfstatat),
#else /* 32 bits */
        REFUSE(SYS_fstatat64), REFUSE(SYS_stat64),
#endif
#ifdef SYS_open
        REFUSE(SYS_open), REFUSE(SYS_stat),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT(rules), .filter = rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { NO_FILTER, LOOKED, BLIND };

static void *read_blind(void *store) {
    if (!refuse_looks()) return (void *)NO_FILTER;
    flagstore_error_t *error = NULL;
    bool on = flagstore_get_bool(store, "flag", false, &error);
    bool served = on && !error && flagstore_len(store, NULL) > 0;
    flagstore_free(error);
    return (void *)(intptr_t)(served ? BLIND : LOOKED);
}

static void *revision_blind(void *store) {
    return (void *)(intptr_t)(!refuse_looks() ? NO_FILTER : flagstore_revision(store, NULL) == 0 ? LOOKED : BLIND);
}

/* How a thread that may not look at files fares; the filter ends with the thread. */
static int in_blind_thread(void *(*body)(void *), flagstore_t *store) {
    pthread_t thread;
    void *result = NULL;
    CHECK(pthread_create(&thread, NULL, body, store) == 0 && pthread_join(thread, &result) == 0);
    return (int)(intptr_t)result;
}

static int blind_read(flagstore_t *store) { return in_blind_thread(read_blind, store); }

static bool is_at_rest(const char *path) { /* so long that its revision is known, once it was asked for */
    struct stat status = STATUS_OF(path);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (now.tv_sec - status.st_ctim.tv_sec) * 1000 + (now.tv_nsec - status.st_ctim.tv_nsec) / 1000000 > 100;
}

static bool has_filter(flagstore_t *store) {
    if (blind_read(store) != NO_FILTER) return true;
    fprintf(stderr, "SKIPPED %s: no seccomp here\n", check_context);
    return false;
}

static void a_watched_store_reads_without_a_system_call(void) {
    flagstore_t *watched = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
    flagstore_t *checked = open_cached(FLAGS_FILE, FLAGSTORE_READ_CHECKED);
    SET(watched, "flag", "true");
    if (has_filter(watched)) {
        for (int round = 0; round < 10; round++) {
            CHECK_EVENTUALLY(blind_read(watched) == BLIND);
            CHECK(flagstore_get_bool(checked, "flag", false, NULL));
            CHECK_INT(LOOKED, blind_read(checked)); /* the filter does what it should */
            CHECK(flagstore_set_int64(watched, "other", round, NULL));
        }
        CHECK_EVENTUALLY(blind_read(watched) == BLIND);
        put("neighbour", "not of the store"); /* what else happens in its directory does not matter */
        CHECK(unlink("neighbour") == 0);
        SET(watched, "other", "9"); /* nor does a change that changes nothing */
        CHECK_INT(BLIND, blind_read(watched));
        CHECK_EVENTUALLY(is_at_rest(FLAGS_FILE));
        CHECK(flagstore_revision(watched, NULL) != 0);
        CHECK_INT(BLIND, blind_read(watched));
        CHECK_INT(BLIND, in_blind_thread(revision_blind, watched));
    }
    flagstore_free(checked);
    flagstore_free(watched);
}

static void what_a_wait_has_seen_the_next_read_sees(void) {
    flagstore_t *store = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
    flagstore_t *other = open_cached(FLAGS_FILE, FLAGSTORE_READ_FRESH);
    SET(store, "flag", "true");
    for (int round = 0; round < 50; round++) {
        uint64_t revision = flagstore_revision(store, NULL);
        CHECK_EVENTUALLY(blind_read(store) != LOOKED);
        CHECK(flagstore_set_int64(other, "n", round, NULL));
        CHECK(flagstore_wait(store, &revision, 20000, NULL)); /* it has returned before the thread has run */
        CHECK_INT(round, flagstore_get_int64(store, "n", -1, NULL));
    }
    flagstore_free(other);
    flagstore_free(store);
}

/* ---- forks ---- */

static void check_in_child(void *inherited) {
    flagstore_t *store = inherited, *own = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
    CHECK_GET("true", store, "flag");
    for (int round = 0; round < 50; round++) {
        char json[16], text[64];
        snprintf(json, sizeof json, "%d", 10 + round);
        snprintf(text, sizeof text, "{\"flag\":true,\"n\":%s}", json);
        replace_file(FLAGS_FILE, text);
        CHECK_GET(json, store, "n"); /* there is no thread in the child that could tell: it looks */
        CHECK_SEEN(FLAGSTORE_READ_WATCHED, json, own, "n");
        CHECK(flagstore_set_int64(store, "m", round, NULL));
        CHECK_INT(round, flagstore_get_int64(store, "m", -1, NULL));
    }
    CHECK_EVENTUALLY(blind_read(own) != LOOKED); /* its own has a thread again */
    CHECK(blind_read(store) != BLIND);
    flagstore_free(own);
    flagstore_free(store);
}

static void a_forked_child_reads_what_is_there(void) {
    flagstore_t *store = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
    for (int round = 0; round < 5; round++) {
        SET(store, "flag", "true");
        CHECK_EVENTUALLY(blind_read(store) != LOOKED);
        end_child(start_child(check_in_child, store));
        CHECK_GET("59", store, "n"); /* eventually would do, but the child has taken its time */
    }
    flagstore_free(store);
}

/* Without fork's handlers, as a runtime may do it. The child allocates nothing: a thread may have been in malloc. */
static void a_fork_that_runs_no_handlers_is_noticed(void) {
    flagstore_t *store = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
    put("next", "{\"flag\":false}");
    SET(store, "flag", "true");
    CHECK_EVENTUALLY(blind_read(store) != LOOKED);
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        alarm(60);
        bool before = flagstore_get_bool(store, "flag", false, NULL);
        bool renamed = rename("next", FLAGS_FILE) == 0;
        bool after = flagstore_get_bool(store, "flag", true, NULL);
        execl(before && renamed && !after ? "/bin/true" : "/bin/false", "end of a child", (char *)NULL);
        _exit(127);
    }
    end_child(pid);
    CHECK_SEEN(FLAGSTORE_READ_WATCHED, "false", store, "flag");
    flagstore_free(store);
}

/* ---- no events ---- */

static int warnings;

static void count_warnings(void *userdata, int32_t level, const char *message) {
    (void)userdata;
    if (level == FLAGSTORE_LOG_WARN && strstr(message, FLAGS_FILE)) __atomic_add_fetch(&warnings, 1, __ATOMIC_SEQ_CST);
}

/* In a user namespace of its own, whose limits are its own. */
static bool limit_events(const char *number) {
    int fd = open("/proc/sys/user/max_inotify_instances", O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, number, strlen(number)) > 0;
    if (fd >= 0) close(fd);
    return written;
}

static void check_without_events(void *unused) {
    (void)unused;
    if (unshare(CLONE_NEWUSER) != 0 || !limit_events("0")) {
        fprintf(stderr, "SKIPPED %s: no user namespace here\n", check_context);
        return;
    }
    flagstore_set_log(count_warnings, NULL, FLAGSTORE_LOG_WARN);
    flagstore_t *store = open_cached(FLAGS_FILE, FLAGSTORE_READ_WATCHED);
    CHECK_EVENTUALLY(__atomic_load_n(&warnings, __ATOMIC_SEQ_CST) == 1);
    for (int round = 0; round < 50; round++) {
        char json[16], text[64];
        snprintf(json, sizeof json, "%d", round);
        snprintf(text, sizeof text, "{\"flag\":true,\"n\":%s}", json);
        replace_file(FLAGS_FILE, text);
        CHECK_GET(json, store, "n"); /* as CHECKED: at once */
    }
    CHECK(blind_read(store) != BLIND);
    CHECK(limit_events("100"));
    CHECK_EVENTUALLY(blind_read(store) != LOOKED); /* tried again each second */
    CHECK_INT(1, __atomic_load_n(&warnings, __ATOMIC_SEQ_CST));
    flagstore_free(store);
    flagstore_set_log(NULL, NULL, 0);
}

static void without_events_a_watched_store_looks_each_time(void) {
    end_child(start_child(check_without_events, NULL));
}

/* ---- memory ---- */

static size_t resident(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void many_flags_take_little_more_than_their_file(void) {
    FILE *file = fopen(FLAGS_FILE, "w");
    for (int i = 0; file && i < 100000; i++)
        fprintf(file, "%s\n  \"team-7.feature-%06d\": %s", i ? "," : "{", i, i % 3 ? "true" : "\"variant\"");
    CHECK(file && fputs("\n}\n", file) >= 0 && fclose(file) == 0);
    size_t before = resident();
    flagstore_t *store = open_cached(FLAGS_FILE, FLAGSTORE_READ_CHECKED);
    CHECK_EVENTUALLY(flagstore_get_bool(store, "team-7.feature-099998", false, NULL));
    CHECK_INT(100000, flagstore_len(store, NULL));
    printf("100 000 flags kept: %.2f x their file\n",
           ((double)resident() - (double)before) / (double)STATUS_OF(FLAGS_FILE).st_size);
    flagstore_free(store);
}

int main(void) {
    RUN(a_watched_store_has_one_thread_and_a_checked_store_none);
    RUN(a_store_is_freed_in_the_middle_of_changes);
    RUN(a_watched_store_reads_without_a_system_call);
    RUN(what_a_wait_has_seen_the_next_read_sees);
    RUN(a_forked_child_reads_what_is_there);
    RUN(a_fork_that_runs_no_handlers_is_noticed);
    RUN(without_events_a_watched_store_looks_each_time);
    RUN(many_flags_take_little_more_than_their_file);
    return check_summary("watched");
}
