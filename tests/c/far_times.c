/* run: plain checked valgrind sanitizers */
/* Stamps that do not fit into 32 bits of seconds, or lie before 1970: each change of the file is seen all the same. */
#define _FILE_OFFSET_BITS 64
#define _TIME_BITS 64 /* glibc's structs of 32-bit targets end in 2038 without it */
#include "check.h"

static const struct moment {
    const char *name;
    long long seconds;
} MOMENTS[] = {
    {"1969", -1},
    {"the last second of 32 bits", 2147483647},
    {"the first one behind them", 2147483648},
    {"2040", 2208988800},
    {"the last second of 32 bits without a sign", 4294967295},
    {"2200", 7258118400},
};

static const int32_t READ_MODES[] = {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_WATCHED};

/* Whether the file has the time now: a file system may know no such time, nor a C library. */
static bool stamp(const char *path, long long seconds) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)seconds, .tv_nsec = 500}};
    if (times[1].tv_sec != seconds || utimensat(AT_FDCWD, path, times, 0) != 0) return false;
    struct stat status = STATUS_OF(path);
    return status.st_mtim.tv_sec == seconds && status.st_mtim.tv_nsec == 500;
}

static bool reads(const flagstore_t *store, int64_t expected) {
    flagstore_error_t *error = GARBAGE;
    int64_t got = flagstore_get_int64(store, "flag", -1, &error);
    CHECK_OK(error);
    return got == expected;
}

static void changes_are_seen_whatever_the_time(void) {
    for (size_t moment = 0; moment < COUNT(MOMENTS); moment++)
        for (size_t mode = 0; mode < COUNT(READ_MODES); mode++) {
            flagstore_error_t *error = GARBAGE;
            check_row = MOMENTS[moment].name;
            put(FLAGS_FILE, "{\"flag\": 1}\n");
            if (!stamp(FLAGS_FILE, MOMENTS[moment].seconds)) {
                fprintf(stderr, "SKIPPED %s: no file here can be so old or so young\n", check_row);
                break;
            }
            flagstore_t *store = open_mode(FLAGS_FILE, READ_MODES[mode], FLAGSTORE_SYNC_NONE, &error);
            CHECK_OK(error);
            CHECK(reads(store, 1));
            /* By another program: as long as before, and as old. */
            put(FLAGS_FILE, "{\"flag\": 2}\n");
            CHECK(stamp(FLAGS_FILE, MOMENTS[moment].seconds));
            CHECK_EVENTUALLY(reads(store, 2));
            SET(store, "flag", "3");
            CHECK(reads(store, 3));
            CHECK_FILE("{\n  \"flag\": 3\n}\n", FLAGS_FILE);
            CHECK(stamp(FLAGS_FILE, MOMENTS[moment].seconds));
            CHECK(reads(store, 3));
            flagstore_free(store);
        }
}

int main(void) {
    RUN(changes_are_seen_whatever_the_time);
    return check_summary("far times");
}
