/* run: plain */
/* Only what another program may be about to mend is waited for; what time does not mend is an error at once. */
#include "check.h"

/* ---- the library's sleep goes through here ---- */

static int sleeps;

int nanosleep(const struct timespec *time, struct timespec *left) {
    sleeps++;
    int code = clock_nanosleep(CLOCK_REALTIME, 0, time, left);
    if (code == 0) return 0;
    errno = code;
    return -1;
}

/* ---- the promise ---- */

static void by_a_directory(void) { CHECK(unlink(FLAGS_FILE) == 0 && mkdir(FLAGS_FILE, 0700) == 0); }

static void by_a_fifo(void) { CHECK(unlink(FLAGS_FILE) == 0 && mkfifo(FLAGS_FILE, 0600) == 0); }

static void by_a_circle_of_links(void) { CHECK(unlink(FLAGS_FILE) == 0 && symlink(FLAGS_FILE, FLAGS_FILE) == 0); }

static void by_a_larger_file(void) { put(FLAGS_FILE, "{\"flag\": \"more text than the store was opened for\"}"); }

static const struct {
    const char *what;
    void (*replace)(void);
    int os_code;
} CASES[] = {
    {"a directory", by_a_directory, EISDIR},
    {"a fifo", by_a_fifo, EINVAL},
    {"a circle of links", by_a_circle_of_links, ELOOP},
    {"too large", by_a_larger_file, EFBIG},
};

static void get(flagstore_t *store, flagstore_error_t **error) { CHECK(flagstore_get(store, "flag", error) == NULL); }

static void list(flagstore_t *store, flagstore_error_t **error) { CHECK(flagstore_list_all(store, error) == NULL); }

static void set(flagstore_t *store, flagstore_error_t **error) { CHECK(!flagstore_set(store, "flag", "2", error)); }

static void revision(flagstore_t *store, flagstore_error_t **error) { CHECK(flagstore_revision(store, error) == 0); }

static void (*const CALLS[])(flagstore_t *store, flagstore_error_t **error) = {get, list, set, revision};

static void check_case(size_t which, int32_t read_mode) {
    flagstore_error_t *error = GARBAGE;
    flagstore_file_options_t options = {.size = sizeof options, .read_mode = read_mode, .max_bytes = 32};
    put(FLAGS_FILE, "{\"flag\": 1}");
    flagstore_t *store = flagstore_file_open_with(FLAGS_FILE, &options, &error);
    CHECK_OK(error);
    SET(store, "flag", "0");
    CASES[which].replace();
    for (size_t i = 0; i < COUNT(CALLS); i++) {
        sleeps = 0;
        CALLS[i](store, &error);
        CHECK_INT(CASES[which].os_code, error == GARBAGE ? -1 : flagstore_error_os_code(error));
        CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
        CHECK_THAT(sleeps == 0, "call %zu sleeps %d times before it says so", i, sleeps);
    }
    flagstore_free(store);
    CHECK(remove(FLAGS_FILE) == 0);
}

static void what_time_does_not_mend_is_an_error_at_once(void) {
    /* A watched store may not have heard of it yet. */
    static const int32_t modes[] = {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_CHECKED};
    for (size_t i = 0; i < COUNT(CASES) * COUNT(modes); i++) {
        char row[64];
        snprintf(row, sizeof row, "%s, mode %zu", CASES[i / COUNT(modes)].what, i % COUNT(modes));
        check_row = row;
        check_case(i / COUNT(modes), modes[i % COUNT(modes)]);
    }
    check_row = "";
}

int main(void) {
    RUN(what_time_does_not_mend_is_an_error_at_once);
    return check_summary("errors_at_once");
}
