/* run: plain valgrind sanitizers */
/* Descriptors that the library keeps between its calls: never a standard stream's, and in a forked child, which may
   have closed all of them, they are forgotten: their numbers may be other files' by then. */
#include "recorder.h"

static const int32_t MODES[] = {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_WATCHED};
static const char *const MODE_NAMES[] = {"fresh", "checked", "watched"};

static flagstore_t *open_and_use(size_t mode) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(FLAGS_FILE, MODES[mode], FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    SET(store, "flag", "1");
    CHECK_GET("1", store, "flag");
    uint64_t revision = flagstore_revision(store, &error);
    CHECK_OK(error);
    CHECK(!flagstore_wait(store, &revision, 1, &error));
    CHECK_OK(error);
    return store;
}

/* ---- standard streams ---- */

static void use_without_standard_input(void *mode) {
    close(STDIN_FILENO);
    struct recorder *all = new_recorder();
    flagstore_t *store = open_and_use(*(size_t *)mode);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    SET(store, "flag", "2");
    CHECK_RECORDED("flag:1>2;", all);
    /* Reads go on, and what is kept of the file is at rest. */
    for (int i = 0; i < 50; i++) {
        CHECK_GET("2", store, "flag");
        pause_a_millisecond();
    }
    CHECK_THAT(fcntl(STDIN_FILENO, F_GETFD) == -1, "%s: descriptor 0 is in use", MODE_NAMES[*(size_t *)mode]);
    end_watch(watch, all);
    flagstore_free(store);
    free_recorder(all);
}

static void no_descriptor_takes_the_place_of_a_standard_stream(void) {
    for (size_t mode = 0; mode < COUNT(MODES); mode++)
        end_child(start_child(use_without_standard_input, &mode));
}

/* ---- a child that closes all descriptors ---- */

enum { OTHERS = 40 };

static void close_all_and_go_on(void *store) {
    int others[OTHERS];
    for (int fd = 3; fd < OTHERS; fd++) close(fd);
    for (int i = 0; i < OTHERS; i++) others[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    uint64_t revision = flagstore_revision(store, NULL);
    CHECK(!flagstore_wait(store, &revision, 1, NULL));
    CHECK_GET("1", store, "flag");
    SET(store, "child", "1");
    flagstore_free(store);
    for (int i = 0; i < OTHERS; i++) {
        struct stat status;
        CHECK_THAT(fstat(others[i], &status) == 0 && S_ISCHR(status.st_mode), "descriptor %d is closed", others[i]);
    }
}

static void a_child_that_closed_all_keeps_what_it_opened_since(void) {
    for (size_t mode = 0; mode < COUNT(MODES); mode++) {
        check_row = MODE_NAMES[mode];
        flagstore_t *store = open_and_use(mode);
        end_child(start_child(close_all_and_go_on, store));
        flagstore_free(store);
        unlink(FLAGS_FILE);
    }
}

int main(void) {
    RUN(no_descriptor_takes_the_place_of_a_standard_stream);
    RUN(a_child_that_closed_all_keeps_what_it_opened_since);
    return check_summary("descriptors");
}
