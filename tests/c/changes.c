/* run: plain valgrind sanitizers */
/* flagstore_revision and flagstore_wait notice every change, whoever makes it and however. */
#include "waiter.h"

/* ---- by the same handle ---- */

static void commit_one(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_set(batch, "flag", "\"of a batch\"", NULL));
    CHECK(flagstore_batch_set(batch, "other", "1", NULL));
    CHECK(flagstore_commit(store, batch, NULL));
    flagstore_free(batch);
}
static void set_one(flagstore_t *store) { SET(store, "flag", "1"); }
static void set_another(flagstore_t *store) { SET(store, "flag", "2"); }
static void delete_one(flagstore_t *store) { CHECK(flagstore_delete(store, "flag", NULL)); }

static const struct {
    const char *name;
    void (*change)(flagstore_t *store);
} OWN_CHANGES[] = {
    {"set", set_one}, {"set another", set_another}, {"delete", delete_one}, {"set again", set_one},
    {"commit", commit_one},
};

static void the_revision_follows_every_change(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    uint64_t before = revision_of(store);
    CHECK_INT((long long)before, (long long)revision_of(store));
    for (size_t i = 0; i < COUNT(OWN_CHANGES); i++) {
        check_row = OWN_CHANGES[i].name;
        OWN_CHANGES[i].change(store);
        uint64_t now = revision_of(store), waited = before;
        CHECK_THAT(now != before, "expected another revision");
        CHECK(flagstore_wait(store, &waited, -1, &error));
        CHECK_OK(error);
        CHECK_INT((long long)now, (long long)waited);
        before = now;
    }
}

static void a_wait_ends_when_its_time_is_over(flagstore_t *store) {
    static const int32_t timeouts[] = {0, 1, 40};
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(timeouts); i++) {
        uint64_t seen = revision_of(store), revision = seen;
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        CHECK(!flagstore_wait(store, &revision, timeouts[i], &error));
        CHECK_OK(error);
        clock_gettime(CLOCK_MONOTONIC, &end);
        CHECK_INT((long long)seen, (long long)revision);
        long long waited = (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec;
        CHECK_THAT(waited >= timeouts[i] * 1000000LL, "expected %d ms, waited %lld ns", timeouts[i], waited);
    }
}

static void a_wait_for_what_never_was_ends_at_once(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    uint64_t revision = 0;
    CHECK(flagstore_wait(store, &revision, -1, &error));
    CHECK_OK(error);
    CHECK_INT((long long)revision_of(store), (long long)revision);
}

/* ---- a thread that waits ---- */

static void one_change_wakes_every_waiter(flagstore_t *store) {
    struct waiter waiters[4];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(waiters); i++)
            start_waiter(&waiters[i], store);
        CHECK(flagstore_set_int64(store, "flag", round, NULL));
        for (size_t i = 0; i < COUNT(waiters); i++) {
            CHECK(pthread_join(waiters[i].handle, NULL) == 0);
            CHECK_INT((long long)revision_of(store), (long long)waiters[i].revision);
        }
    }
}

/* ---- by others: each goes on from where the one before it left the files ---- */

static void replace_file(void) {
    put("new", "{\"flag\": 1}");
    CHECK(rename("new", FLAGS_FILE) == 0);
}
static void edit_in_place(void) { put(FLAGS_FILE, "{\"flag\": 2}"); }
static void edit_one_byte(void) {
    int file = open(FLAGS_FILE, O_WRONLY);
    CHECK(pwrite(file, "3", 1, 9) == 1 && close(file) == 0);
}
static void append_space(void) {
    int file = open(FLAGS_FILE, O_WRONLY | O_APPEND);
    CHECK(write(file, "\n", 1) == 1 && close(file) == 0);
}
static void corrupt(void) { put(FLAGS_FILE, "{\"flag\": "); }
static void delete_file(void) { CHECK(unlink(FLAGS_FILE) == 0); }
static void move_away(void) { CHECK(rename(FLAGS_FILE, "away") == 0); }
static void move_back(void) { CHECK(rename("away", FLAGS_FILE) == 0); }
static flagstore_t *inherited; /* what a child has to free */
static void set_in_a_process(void *nothing) {
    (void)nothing;
    flagstore_free(inherited);
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    SET(store, "flag", "\"of another process\"");
    flagstore_free(store);
}
static void another_process(void) { end_child(start_child(set_in_a_process, NULL)); }

/* As a mounted ConfigMap: the file leads through ..data, a link that is replaced. */
static void mount(const char *version, const char *text) {
    char path[64];
    CHECK(mkdir(version, 0777) == 0);
    snprintf(path, sizeof path, "%s/%s", version, FLAGS_FILE);
    put(path, text);
    CHECK(symlink(version, "..data-new") == 0 && rename("..data-new", "..data") == 0);
}
static void become_a_link(void) {
    mount("v1", "{\"flag\": \"v1\"}");
    CHECK(symlink("..data/" FLAGS_FILE, "new") == 0 && rename("new", FLAGS_FILE) == 0);
}
static void swap_the_link(void) { mount("v2", "{\"flag\": \"v2\"}"); }
static void swap_again(void) { mount("v3", "{\"flag\": \"v3\"}"); }
static void edit_behind_the_link(void) { put("v3/" FLAGS_FILE, "{\"flag\": \"v4\"}"); }

static const struct {
    const char *name;
    void (*change)(void);
    const char *flag; /* NULL: none, "": corrupt */
} FOREIGN_CHANGES[] = {
    {"replace", replace_file, "1"},
    {"edit in place", edit_in_place, "2"},
    {"edit one byte", edit_one_byte, "3"},
    {"append", append_space, "3"},
    {"delete", delete_file, NULL},
    {"restore", edit_in_place, "2"},
    {"replace again", replace_file, "1"},
    {"corrupt", corrupt, ""},
    {"repair", edit_in_place, "2"},
    {"move away", move_away, NULL},
    {"move back", move_back, "2"},
    {"another process", another_process, "\"of another process\""},
    {"become a link", become_a_link, "\"v1\""},
    {"swap the link", swap_the_link, "\"v2\""},
    {"swap again", swap_again, "\"v3\""},
    {"edit behind the link", edit_behind_the_link, "\"v4\""},
    {"another process behind the link", another_process, "\"of another process\""},
};

static void check_flag(const char *expected, const flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    bool is_corrupt = expected && !*expected;
    CHECK_OWNED(is_corrupt ? NULL : expected, flagstore_get(store, "flag", &error));
    CHECK_ERROR(is_corrupt ? FLAGSTORE_CORRUPT : FLAGSTORE_OK, NULL, error);
}

static void every_change_by_others_is_seen_at_the_next_look(void) {
    flagstore_t *store = inherited = flagstore_file_open(FLAGS_FILE, NULL);
    for (size_t i = 0; i < COUNT(FOREIGN_CHANGES); i++) {
        flagstore_error_t *error = GARBAGE;
        check_row = FOREIGN_CHANGES[i].name;
        uint64_t before = revision_of(store), waited = before;
        FOREIGN_CHANGES[i].change();
        CHECK_THAT(revision_of(store) != before, "expected another revision");
        CHECK(flagstore_wait(store, &waited, 0, &error));
        CHECK_OK(error);
        check_flag(FOREIGN_CHANGES[i].flag, store);
    }
    flagstore_free(store);
}

static void every_change_by_others_ends_a_wait(void) {
    flagstore_t *store = inherited = flagstore_file_open(FLAGS_FILE, NULL);
    for (size_t i = 0; i < COUNT(FOREIGN_CHANGES); i++) {
        struct waiter waiter;
        check_row = FOREIGN_CHANGES[i].name;
        start_waiter(&waiter, store);
        FOREIGN_CHANGES[i].change();
        CHECK(pthread_join(waiter.handle, NULL) == 0);
        check_flag(FOREIGN_CHANGES[i].flag, store);
    }
    flagstore_free(store);
}

/* The same bytes again may or may not be a change; the next change is one either way. */
static void equal_content_hides_no_change(void) {
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    replace_file();
    for (int i = 0; i < 5; i++) {
        uint64_t before = revision_of(store);
        i % 2 ? replace_file() : put(FLAGS_FILE, "{\"flag\": 1}");
        check_flag("1", store);
        edit_in_place();
        CHECK_THAT(revision_of(store) != before, "expected another revision");
        replace_file();
    }
    flagstore_free(store);
}

/* ---- how long it takes: printed, not checked ---- */

enum { SAMPLES = 50 };

struct exchange {
    int ask[2], answer[2];
};

static int64_t now_in_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* For each byte asked replaces the file and answers when it did. */
static void replace_when_asked(void *argument) {
    const struct exchange *exchange = argument;
    char byte;
    close(exchange->ask[1]);
    for (int i = 0; read(exchange->ask[0], &byte, 1) == 1; i++) {
        char text[32];
        snprintf(text, sizeof text, "{\"flag\": %d}", 1000 + i);
        put("new", text);
        int64_t time = now_in_ns();
        CHECK(rename("new", FLAGS_FILE) == 0);
        CHECK(write(exchange->answer[1], &time, sizeof time) == sizeof time);
    }
}

static int by_size(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static void a_change_by_another_process_is_seen_soon(void) {
    struct exchange exchange;
    int64_t took[SAMPLES], changed;
    CHECK(pipe(exchange.ask) == 0 && pipe(exchange.answer) == 0);
    replace_file();
    pid_t child = start_child(replace_when_asked, &exchange);
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    for (int i = 0; i < SAMPLES; i++) {
        flagstore_error_t *error = GARBAGE;
        uint64_t revision = revision_of(store);
        CHECK(write(exchange.ask[1], "", 1) == 1);
        CHECK(flagstore_wait(store, &revision, -1, &error));
        int64_t seen = now_in_ns();
        CHECK_OK(error);
        CHECK(read(exchange.answer[0], &changed, sizeof changed) == sizeof changed);
        took[i] = seen - changed;
    }
    close(exchange.ask[1]);
    end_child(child);
    qsort(took, SAMPLES, sizeof *took, by_size);
    printf("changes: a replace by another process ends a wait after %lld us (median of %d), at most %lld us\n",
           (long long)took[SAMPLES / 2] / 1000, SAMPLES, (long long)took[SAMPLES - 1] / 1000);
    flagstore_free(store);
}

int main(void) {
    RUN_ON_EVERY_KIND(the_revision_follows_every_change);
    RUN_ON_EVERY_KIND(a_wait_ends_when_its_time_is_over);
    RUN_ON_EVERY_KIND(a_wait_for_what_never_was_ends_at_once);
    RUN_ON_EVERY_KIND(one_change_wakes_every_waiter);
    RUN(every_change_by_others_is_seen_at_the_next_look);
    RUN(every_change_by_others_ends_a_wait);
    RUN(equal_content_hides_no_change);
    RUN(a_change_by_another_process_is_seen_soon);
    return check_summary("changes");
}
