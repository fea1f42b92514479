/* run: odd */
/* Odd machines 18: where no descriptor may be opened any more, not even polled (RLIMIT_NOFILE 0), a wait, a watch and a
   cache sleep between their looks as anywhere. Counted are the calls that the library makes of the C library. */
#include "check.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* ---- the library's calls go through here ---- */

static long polls, looks;

int poll(struct pollfd *set, nfds_t count, int timeout) {
    __atomic_add_fetch(&polls, 1, __ATOMIC_SEQ_CST);
    return (int)syscall(SYS_poll, set, count, timeout);
}

int stat64(const char *path, struct stat64 *to) {
    __atomic_add_fetch(&looks, 1, __ATOMIC_SEQ_CST);
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, to, 0);
}

/* ---- the promise ---- */

enum { SECOND_MS = 1000, MOST_PER_SECOND = 200 }; /* a look every 50 ms are 20 for each of up to three */

static void ignore(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata, (void)key, (void)old_json, (void)new_json;
}

struct limit {
    rlim_t files;
    int32_t mode;
    bool watched;
};

static void wait_without_descriptors(void *argument) {
    const struct limit *limit = argument;
    flagstore_error_t *error = GARBAGE;
    put(FLAGS_FILE, "{\"flag\":1}");
    flagstore_t *store = open_mode(FLAGS_FILE, limit->mode, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    flagstore_watch_t *watch = limit->watched ? flagstore_watch(store, NULL, ignore, NULL, NULL) : NULL;
    CHECK_GET("1", store, "flag");
    uint64_t revision = flagstore_revision(store, NULL);
    CHECK(!flagstore_wait(store, &revision, 1, NULL));
    struct rlimit before, now = {limit->files, limit->files};
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    now.rlim_max = before.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &now) == 0);
    __atomic_store_n(&polls, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&looks, 0, __ATOMIC_SEQ_CST);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    flagstore_wait(store, &revision, SECOND_MS, &error); /* may fail: it cannot read the file */
    flagstore_free(error);
    do { /* what ends early leaves the time to the threads */
        pause_a_millisecond();
        clock_gettime(CLOCK_MONOTONIC, &end);
    } while ((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 < SECOND_MS);
    long seconds = end.tv_sec - start.tv_sec + 1, most = MOST_PER_SECOND * seconds;
    CHECK_THAT(polls <= most, "%ld polls in %ld s", polls, seconds);
    CHECK_THAT(looks <= most, "%ld looks in %ld s", looks, seconds);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    put("new", "{\"flag\":2}");
    CHECK(rename("new", FLAGS_FILE) == 0);
    CHECK(flagstore_wait(store, &revision, 60000, &error));
    CHECK_OK(error);
    CHECK_GET("2", store, "flag");
    flagstore_free(watch);
    flagstore_free(store);
}

static void without_descriptors_nothing_spins(void) {
    static const int32_t modes[] = {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_WATCHED};
    char row[64];
    for (size_t mode = 0; mode < COUNT(modes); mode++) {
        for (int i = 0; i < 6; i++) {
            static const rlim_t limits[] = {0, 1, 3};
            struct limit limit = {limits[i % 3], modes[mode], i >= 3};
            snprintf(row, sizeof row, "RLIMIT_NOFILE %d, mode %d%s", (int)limit.files, (int)limit.mode,
                     limit.watched ? ", watch" : "");
            check_row = row;
            end_child(start_child(wait_without_descriptors, &limit));
            unlink(FLAGS_FILE);
        }
    }
    check_row = "";
}

int main(void) {
    RUN(without_descriptors_nothing_spins);
    return check_summary("odd18_no_descriptors");
}
