/* run: plain valgrind sanitizers */
/* A batch is made in one write or not at all, and only if what it expects of the store holds. */
#include "check.h"

#include <sys/inotify.h>

static void check_commit(flagstore_t *store, const flagstore_batch_t *batch, int32_t code, const char *part) {
    flagstore_error_t *error = GARBAGE;
    bool done = flagstore_commit(store, batch, &error);
    CHECK(done == (code == FLAGSTORE_OK));
    CHECK_ERROR(code, part, error);
}

/* Adds to a batch; each call must succeed. */
#define ADD(call) do { \
        flagstore_error_t *error = GARBAGE; \
        CHECK(call); \
        CHECK_OK(error); \
    } while (0)
#define ADD_SET(batch, key, json) ADD(flagstore_batch_set((batch), (key), (json), &error))
#define ADD_DELETE(batch, key) ADD(flagstore_batch_delete((batch), (key), &error))
#define ADD_CLEAR(batch) ADD(flagstore_batch_clear((batch), &error))
#define ADD_EXPECT(batch, key, json) ADD(flagstore_batch_expect((batch), (key), (json), &error))

static void its_changes_are_made_together(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    SET(store, "changed", "1");
    SET(store, "deleted", "1");
    SET(store, "kept", "1");
    ADD_SET(batch, "changed", " { \"b\" : 2, \"a\" : 1.10 } ");
    ADD_SET(batch, "new", "null");
    ADD_DELETE(batch, "deleted");
    ADD_DELETE(batch, "absent");
    CHECK_ALL("{\"changed\":1,\"deleted\":1,\"kept\":1}", store);
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    CHECK_ALL("{\"changed\":{\"a\":1.10,\"b\":2},\"kept\":1,\"new\":null}", store);
    flagstore_free(batch);
}

static void its_last_word_on_a_key_counts(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    SET(store, "b", "0");
    ADD_SET(batch, "a", "1");
    ADD_SET(batch, "b", "1");
    ADD_DELETE(batch, "c");
    ADD_SET(batch, "a", "2");
    ADD_DELETE(batch, "b");
    ADD_SET(batch, "c", "2");
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    CHECK_ALL("{\"a\":2,\"c\":2}", store);
    flagstore_free(batch);
}

static void clear_comes_first_whenever_it_was_added(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    SET(store, "old", "1");
    SET(store, "again", "1");
    ADD_SET(batch, "again", "2");
    ADD_CLEAR(batch);
    ADD_SET(batch, "new", "3");
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    CHECK_ALL("{\"again\":2,\"new\":3}", store);
    flagstore_free(batch);
    batch = flagstore_batch_new();
    ADD_CLEAR(batch);
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    CHECK_ALL("{}", store);
    flagstore_free(batch);
}

static void what_is_not_json_leaves_the_batch_as_it_was(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_error_t *error = GARBAGE;
    ADD_SET(batch, "flag", "1");
    CHECK(!flagstore_batch_set(batch, "flag", "[1,", &error));
    CHECK_ERROR(FLAGSTORE_INVALID_JSON, "flag", error);
    CHECK(!flagstore_batch_set(batch, "other", "", &error));
    CHECK_ERROR(FLAGSTORE_INVALID_JSON, "other", error);
    CHECK(!flagstore_batch_expect(batch, "flag", "nul", &error));
    CHECK_ERROR(FLAGSTORE_INVALID_JSON, "flag", error);
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    CHECK_ALL("{\"flag\":1}", store);
    flagstore_free(batch);
}

/* NULL: no such flag. */
static const struct {
    const char *stored, *expected;
    bool holds;
} EXPECTATIONS[] = {
    {NULL, NULL, true},
    {"null", NULL, false},
    {NULL, "null", false},
    {"1", NULL, false},
    {"1", " 1\n", true},
    {"1", "1.0", false},
    {"100", "1e2", false},
    {"1.10", "1.10", true},
    {"1", "\"1\"", false},
    {"true", "false", false},
    {"\"\xc3\xa9\\/\"", "\"\\u00E9/\"", true},
    {"\"a\"", "\"A\"", false},
    {"[1,2]", "[ 1 , 2 ]", true},
    {"[1,2]", "[2,1]", false},
    {"{\"a\":1,\"b\":{\"c\":2,\"d\":3}}", "{\"b\": {\"d\": 3, \"c\": 2}, \"a\": 1}", true},
    {"{\"a\":1}", "{\"a\":1,\"b\":null}", false},
    {"{\"a\":2}", "{\"a\":1,\"a\":2}", true},
    {"[]", "{}", false},
};

static void an_expectation_compares_json_values(flagstore_t *store) {
    for (size_t i = 0; i < COUNT(EXPECTATIONS); i++) {
        char row[128];
        const char *stored = EXPECTATIONS[i].stored, *expected = EXPECTATIONS[i].expected;
        snprintf(row, sizeof row, "%s is %s", stored ? stored : "nothing", expected ? expected : "nothing");
        check_row = row;
        flagstore_delete(store, "the-flag", NULL);
        flagstore_delete(store, "done", NULL);
        if (stored) SET(store, "the-flag", stored);
        flagstore_batch_t *batch = flagstore_batch_new();
        ADD_SET(batch, "done", "true");
        ADD_EXPECT(batch, "the-flag", expected);
        if (EXPECTATIONS[i].holds) {
            check_commit(store, batch, FLAGSTORE_OK, NULL);
            CHECK_GET("true", store, "done");
        } else {
            check_commit(store, batch, FLAGSTORE_CONFLICT, "the-flag");
            CHECK_GET(NULL, store, "done");
        }
        flagstore_free(batch);
    }
    check_row = "";
}

static void an_expectation_is_of_the_store_before(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    SET(store, "count", "1");
    ADD_CLEAR(batch);
    ADD_SET(batch, "new", "1");
    ADD_SET(batch, "count", "2");
    ADD_EXPECT(batch, "new", NULL);
    ADD_EXPECT(batch, "count", "1");
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    CHECK_ALL("{\"count\":2,\"new\":1}", store);
    check_commit(store, batch, FLAGSTORE_CONFLICT, NULL);
    CHECK_ALL("{\"count\":2,\"new\":1}", store);
    flagstore_free(batch);
}

static void every_expectation_must_hold(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    SET(store, "a", "1");
    SET(store, "b", "2");
    ADD_DELETE(batch, "a");
    ADD_CLEAR(batch);
    ADD_EXPECT(batch, "a", "1");
    ADD_EXPECT(batch, "b", "3");
    check_commit(store, batch, FLAGSTORE_CONFLICT, "b");
    CHECK_ALL("{\"a\":1,\"b\":2}", store);
    SET(store, "b", "3");
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    CHECK_ALL("{}", store);
    flagstore_free(batch);
}

static void it_may_be_committed_again_and_elsewhere(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new(), *empty = flagstore_batch_new();
    flagstore_t *other = flagstore_memory_open(NULL);
    ADD_SET(batch, "flag", "1");
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    SET(store, "flag", "2");
    check_commit(store, empty, FLAGSTORE_OK, NULL);
    CHECK_ALL("{\"flag\":2}", store);
    ADD_SET(batch, "more", "1");
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    check_commit(other, batch, FLAGSTORE_OK, NULL);
    flagstore_free(batch);
    flagstore_free(empty);
    CHECK_ALL("{\"flag\":1,\"more\":1}", store);
    CHECK_ALL("{\"flag\":1,\"more\":1}", other);
    flagstore_free(other);
}

/* How often FLAGS_FILE was replaced since the last call. */
static int count_replacements(int events) {
    char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    int count = 0;
    for (ssize_t got; (got = read(events, buffer, sizeof buffer)) > 0;)
        for (char *at = buffer; at < buffer + got;) {
            const struct inotify_event *event = (const void *)at;
            count += event->len > 0 && strcmp(event->name, FLAGS_FILE) == 0;
            at += sizeof *event + event->len;
        }
    return count;
}

static void a_file_is_written_once_or_not_at_all(void) {
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    flagstore_batch_t *batch = flagstore_batch_new(), *wrong = flagstore_batch_new();
    int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    CHECK(inotify_add_watch(events, ".", IN_MOVED_TO | IN_MODIFY | IN_CREATE | IN_DELETE) >= 0);
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "flag-%d", i);
        ADD_SET(batch, key, "1");
    }
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    CHECK_INT(1, count_replacements(events));
    struct stat before = STATUS_OF(FLAGS_FILE);
    ADD_DELETE(batch, "absent");
    check_commit(store, batch, FLAGSTORE_OK, NULL);
    ADD_SET(wrong, "flag-1", "2");
    ADD_EXPECT(wrong, "flag-2", "2");
    check_commit(store, wrong, FLAGSTORE_CONFLICT, "flag-2");
    CHECK_LEFT_ALONE(before, FLAGS_FILE);
    CHECK_INT(0, count_replacements(events));
    close(events);
    flagstore_free(batch);
    flagstore_free(wrong);
    flagstore_free(store);
}

static void a_file_that_must_not_change_does_not(void) {
    flagstore_file_options_t options = {.size = sizeof options, .flags = FLAGSTORE_OPEN_READ_ONLY};
    flagstore_batch_t *batch = flagstore_batch_new();
    ADD_CLEAR(batch);
    write_file(FLAGS_FILE, "{\"a\":1}", 7);
    flagstore_t *store = flagstore_file_open_with(FLAGS_FILE, &options, NULL);
    check_commit(store, batch, FLAGSTORE_READ_ONLY, FLAGS_FILE);
    CHECK_FILE("{\"a\":1}", FLAGS_FILE);
    flagstore_free(store);
    store = flagstore_file_open(FLAGS_FILE, NULL);
    write_file(FLAGS_FILE, "{\"a\":1,}", 8);
    check_commit(store, batch, FLAGSTORE_CORRUPT, FLAGS_FILE ":1:");
    CHECK_FILE("{\"a\":1,}", FLAGS_FILE);
    flagstore_free(store);
    flagstore_free(batch);
}

int main(void) {
    RUN_ON_EVERY_KIND(its_changes_are_made_together);
    RUN_ON_EVERY_KIND(its_last_word_on_a_key_counts);
    RUN_ON_EVERY_KIND(clear_comes_first_whenever_it_was_added);
    RUN_ON_EVERY_KIND(what_is_not_json_leaves_the_batch_as_it_was);
    RUN_ON_EVERY_KIND(an_expectation_compares_json_values);
    RUN_ON_EVERY_KIND(an_expectation_is_of_the_store_before);
    RUN_ON_EVERY_KIND(every_expectation_must_hold);
    RUN_ON_EVERY_KIND(it_may_be_committed_again_and_elsewhere);
    RUN(a_file_is_written_once_or_not_at_all);
    RUN(a_file_that_must_not_change_does_not);
    return check_summary("batches");
}
