/* run: plain valgrind sanitizers */
/* Every exported function with NULL, text that is not UTF-8 and handles of another kind: FLAGSTORE_INVALID_ARGUMENT,
   or the neutral answer where there is no error argument; never a crash. */
#define NO_REMOTE_KINDS
#include "check.h"

/* The condition calls with `error`, once to an object and once NULL. */
#define CHECK_REFUSED(condition) do { \
        flagstore_error_t *object = GARBAGE, **error = &object; \
        CHECK(condition); \
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, object); \
        error = NULL; \
        CHECK(condition); \
    } while (0)

static bool is_copy(const char *expected, char *got) {
    bool same = got && got != expected && strcmp(expected, got) == 0;
    flagstore_free(got);
    return same;
}

static void check_reads_refused(const flagstore_t *store, const char *key) {
    CHECK_REFUSED(flagstore_get(store, key, error) == NULL);
    CHECK_REFUSED(flagstore_get_bool(store, key, true, error));
    CHECK_REFUSED(!flagstore_get_bool(store, key, false, error));
    CHECK_REFUSED(flagstore_get_int64(store, key, -5, error) == -5);
    CHECK_REFUSED(flagstore_get_double(store, key, 0.5, error) == 0.5);
    CHECK_REFUSED(flagstore_get_string(store, key, NULL, error) == NULL);
    CHECK_REFUSED(is_copy("fall back", flagstore_get_string(store, key, "fall back", error)));
    CHECK_REFUSED(flagstore_get_type(store, key, error) == -1);
}

static void check_changes_refused(flagstore_t *store, const char *key) {
    CHECK_REFUSED(!flagstore_set(store, key, "1", error));
    CHECK_REFUSED(!flagstore_delete(store, key, error));
    CHECK_REFUSED(!flagstore_set_bool(store, key, true, error));
    CHECK_REFUSED(!flagstore_set_int64(store, key, 1, error));
    CHECK_REFUSED(!flagstore_set_double(store, key, 1, error));
    CHECK_REFUSED(!flagstore_set_string(store, key, "1", error));
}

static void check_sized_refused(flagstore_t *store, const char *key, size_t len) {
    size_t room = 0;
    CHECK_REFUSED(flagstore_get_n(store, key, len, &room, error) == NULL);
    CHECK_REFUSED(flagstore_get_n(store, key, len, NULL, error) == NULL);
    CHECK_REFUSED(!flagstore_set_n(store, key, len, "1", 1, error));
    CHECK_REFUSED(!flagstore_delete_n(store, key, len, error));
    CHECK_REFUSED(flagstore_get_bool_n(store, key, len, true, error));
    CHECK_REFUSED(flagstore_get_int64_n(store, key, len, -5, error) == -5);
    CHECK_REFUSED(flagstore_get_double_n(store, key, len, 0.5, error) == 0.5);
    CHECK_REFUSED(flagstore_get_string_n(store, key, len, &room, error) == NULL);
    CHECK_REFUSED(flagstore_get_string_n(store, key, len, NULL, error) == NULL);
}

static void ignore_change(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata, (void)key, (void)old_json, (void)new_json;
}

static void check_batch_refused(flagstore_batch_t *batch, const char *key) {
    CHECK_REFUSED(!flagstore_batch_set(batch, key, "1", error));
    CHECK_REFUSED(!flagstore_batch_delete(batch, key, error));
    CHECK_REFUSED(!flagstore_batch_expect(batch, key, "1", error));
    CHECK_REFUSED(!flagstore_batch_expect(batch, key, NULL, error));
    size_t len = key ? strlen(key) : 0;
    CHECK_REFUSED(!flagstore_batch_set_n(batch, key, len, "1", 1, error));
    CHECK_REFUSED(!flagstore_batch_delete_n(batch, key, len, error));
    CHECK_REFUSED(!flagstore_batch_expect_n(batch, key, len, "1", 1, error));
    CHECK_REFUSED(!flagstore_batch_expect_n(batch, key, len, NULL, 0, error));
}

static void check_batch_neutral(const flagstore_batch_t *batch) {
    size_t len = 99;
    CHECK(!flagstore_batch_clears(batch));
    CHECK_INT(0, (long long)flagstore_batch_count(batch));
    CHECK_INT(0, (long long)flagstore_batch_expect_count(batch));
    CHECK(flagstore_batch_key(batch, 0, &len) == NULL && flagstore_batch_key(batch, 0, NULL) == NULL);
    CHECK(flagstore_batch_value(batch, 0, &len) == NULL && flagstore_batch_value(batch, 0, NULL) == NULL);
    CHECK(flagstore_batch_expect_key(batch, 0, &len) == NULL);
    CHECK(flagstore_batch_expect_value(batch, 0, &len) == NULL);
}

static void check_snapshot_neutral(const flagstore_snapshot_t *snapshot) {
    size_t len = 99;
    CHECK_INT(0, (long long)flagstore_snapshot_count(snapshot));
    CHECK(flagstore_snapshot_key(snapshot, 0, &len) == NULL && flagstore_snapshot_key(snapshot, 0, NULL) == NULL);
    CHECK(flagstore_snapshot_value(snapshot, 0, &len) == NULL && flagstore_snapshot_value(snapshot, 0, NULL) == NULL);
    CHECK(flagstore_snapshot_find(snapshot, "flag", &len) == NULL);
    CHECK(flagstore_snapshot_find(snapshot, "flag", NULL) == NULL);
    CHECK(flagstore_snapshot_find_n(snapshot, "flag", 4, &len) == NULL);
    CHECK_INT(0, (long long)flagstore_snapshot_seek(snapshot, "flag", 4));
}

static void check_store_refused(flagstore_t *store) {
    uint64_t revision = 0;
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK_REFUSED(flagstore_snapshot(store, error) == NULL);
    CHECK_REFUSED(flagstore_revision(store, error) == 0);
    CHECK_REFUSED(!flagstore_wait(store, &revision, 0, error));
    CHECK_REFUSED(!flagstore_commit(store, batch, error));
    CHECK_REFUSED(flagstore_watch(store, NULL, ignore_change, NULL, error) == NULL);
    flagstore_free(batch);
    check_reads_refused(store, "flag");
    check_changes_refused(store, "flag");
    check_sized_refused(store, "flag", 4);
    CHECK_REFUSED(flagstore_list_all(store, error) == NULL);
    CHECK_REFUSED(flagstore_len(store, error) == -1);
}

/* Zeros all around, so that looking in front of a pointer into it is in bounds. */
static char foreign[64] __attribute__((aligned(16)));

static void what_is_another_kind_is_refused(void) {
    flagstore_t *store = flagstore_memory_open(NULL);
    SET(store, "flag", "true");
    char *text = flagstore_get(store, "flag", NULL), *all = flagstore_list_all(store, NULL);
    flagstore_error_t *error = flagstore_error_new(FLAGSTORE_IO, "an error");
    flagstore_snapshot_t *snapshot = flagstore_snapshot(store, NULL);
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_watch_t *watch = flagstore_watch(store, NULL, ignore_change, NULL, NULL);
    const struct {
        const char *name;
        void *object;
    } others[] = {
        {"NULL", NULL}, {"text", text}, {"all", all}, {"error", error}, {"foreign", foreign + 32},
        {"odd", foreign + 33}, {"snapshot", snapshot}, {"batch", batch}, {"watch", watch}, {"store", store},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        check_row = others[i].name;
        if (others[i].object != store) check_store_refused(others[i].object);
        if (others[i].object != snapshot) check_snapshot_neutral(others[i].object);
        if (others[i].object == batch) continue;
        check_batch_refused(others[i].object, "flag");
        check_batch_neutral(others[i].object);
        CHECK_REFUSED(!flagstore_batch_clear(others[i].object, error));
        CHECK_REFUSED(!flagstore_commit(store, others[i].object, error));
    }
    CHECK_TEXT("true", flagstore_snapshot_find(snapshot, "flag", NULL));
    flagstore_free(watch);
    flagstore_free(batch);
    flagstore_free(snapshot);
    CHECK_OWNED("true", text);
    CHECK_OWNED("{\"flag\":true}", all);
    CHECK_ERROR(FLAGSTORE_IO, "an error", error);
    CHECK_ALL("{\"flag\":true}", store);
    flagstore_free(store);
}

static const char *const NOT_UTF8[] = {
    "\xff", "\x80", "flag\xc3", "\xc0\x80", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3\xbc\xff",
    "\xf8\x88\x80\x80\x80",
};

static void what_is_no_key_is_refused(flagstore_t *store) {
    SET(store, "flag", "true");
    check_row = "NULL";
    check_reads_refused(store, NULL);
    check_changes_refused(store, NULL);
    check_sized_refused(store, NULL, 0);
    check_sized_refused(store, NULL, 4);
    check_sized_refused(store, "flag", SIZE_MAX);
    for (size_t i = 0; i < COUNT(NOT_UTF8); i++) {
        check_row = NOT_UTF8[i];
        check_reads_refused(store, NOT_UTF8[i]);
        check_changes_refused(store, NOT_UTF8[i]);
        check_sized_refused(store, NOT_UTF8[i], strlen(NOT_UTF8[i]));
    }
    check_sized_refused(store, "a\0\xff", 3);
    CHECK_ALL("{\"flag\":true}", store);
}

static void what_is_no_value_is_refused(flagstore_t *store) {
    SET(store, "flag", "true");
    CHECK_REFUSED(!flagstore_set(store, "flag", NULL, error));
    CHECK_REFUSED(!flagstore_set_string(store, "flag", NULL, error));
    CHECK_REFUSED(!flagstore_set_n(store, "flag", 4, NULL, 0, error));
    CHECK_REFUSED(!flagstore_set_n(store, "flag", 4, NULL, 1, error));
    CHECK_REFUSED(!flagstore_set_n(store, "flag", 4, "1", SIZE_MAX, error));
    CHECK_REFUSED(!flagstore_set_n(store, "flag", 4, "\"\xff\"", 3, error));
    for (size_t i = 0; i < COUNT(NOT_UTF8); i++) {
        check_row = NOT_UTF8[i];
        CHECK_REFUSED(!flagstore_set(store, "flag", NOT_UTF8[i], error));
        CHECK_REFUSED(!flagstore_set_string(store, "flag", NOT_UTF8[i], error));
    }
    CHECK_ALL("{\"flag\":true}", store);
}

static void what_a_batch_or_a_change_cannot_take_is_refused(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_snapshot_t *snapshot = flagstore_snapshot(store, NULL);
    uint64_t revision = 0;
    check_batch_refused(batch, NULL);
    CHECK_REFUSED(!flagstore_batch_set(batch, "flag", NULL, error));
    CHECK_REFUSED(!flagstore_batch_set_n(batch, "flag", 4, NULL, 0, error));
    CHECK_REFUSED(!flagstore_batch_set_n(batch, "flag", 4, "1", SIZE_MAX, error));
    CHECK_REFUSED(!flagstore_batch_set_n(batch, "flag", SIZE_MAX, "1", 1, error));
    CHECK_REFUSED(!flagstore_batch_expect_n(batch, "flag", 4, NULL, 1, error)); /* a mistake, not "no such flag" */
    CHECK(flagstore_snapshot_find(snapshot, NULL, NULL) == NULL);
    CHECK(flagstore_snapshot_find_n(snapshot, NULL, 0, NULL) == NULL);
    CHECK(flagstore_snapshot_find_n(snapshot, "flag", SIZE_MAX, NULL) == NULL);
    CHECK_INT(0, (long long)flagstore_snapshot_seek(snapshot, NULL, 0));
    for (size_t i = 0; i < COUNT(NOT_UTF8); i++) {
        check_row = NOT_UTF8[i];
        check_batch_refused(batch, NOT_UTF8[i]);
        CHECK_REFUSED(!flagstore_batch_set(batch, "flag", NOT_UTF8[i], error));
        CHECK_REFUSED(!flagstore_batch_expect(batch, "flag", NOT_UTF8[i], error));
        CHECK_REFUSED(!flagstore_batch_set_n(batch, "flag", 4, NOT_UTF8[i], strlen(NOT_UTF8[i]), error));
        CHECK_REFUSED(!flagstore_batch_expect_n(batch, "flag", 4, NOT_UTF8[i], strlen(NOT_UTF8[i]), error));
        CHECK(flagstore_snapshot_find(snapshot, NOT_UTF8[i], NULL) == NULL);
        CHECK(flagstore_snapshot_find_n(snapshot, NOT_UTF8[i], strlen(NOT_UTF8[i]), NULL) == NULL);
        CHECK_REFUSED(flagstore_watch(store, NOT_UTF8[i], ignore_change, NULL, error) == NULL);
    }
    check_row = "";
    CHECK_REFUSED(flagstore_watch(store, NULL, NULL, NULL, error) == NULL);
    CHECK_REFUSED(!flagstore_wait(store, NULL, 0, error));
    CHECK_REFUSED(!flagstore_wait(store, &revision, -2, error));
    CHECK_REFUSED(!flagstore_wait(store, &revision, INT32_MIN, error));
    CHECK_INT(0, (long long)revision);
    CHECK(flagstore_commit(store, batch, NULL)); /* it is still empty */
    CHECK_ALL("{}", store);
    flagstore_free(snapshot);
    flagstore_free(batch);
}

static void what_is_no_path_is_refused(void) {
    flagstore_file_options_t options = {.size = sizeof options};
    CHECK_REFUSED(flagstore_file_open(NULL, error) == NULL);
    CHECK_REFUSED(flagstore_file_open_with(NULL, NULL, error) == NULL);
    CHECK_REFUSED(flagstore_file_open_with(NULL, &options, error) == NULL);
    for (size_t i = 0; i < COUNT(NOT_UTF8); i++) {
        check_row = NOT_UTF8[i];
        CHECK_REFUSED(flagstore_file_open(NOT_UTF8[i], error) == NULL);
        CHECK_REFUSED(flagstore_file_open_with(NOT_UTF8[i], &options, error) == NULL);
        CHECK(access(NOT_UTF8[i], F_OK) != 0);
    }
}

static void what_is_no_error_has_nothing_to_say(void) {
    flagstore_t *store = flagstore_memory_open(NULL);
    SET(store, "flag", "true");
    char *text = flagstore_get(store, "flag", NULL);
    void *const others[] = {store, text, foreign + 32, foreign + 33};
    for (size_t i = 0; i < COUNT(others); i++) {
        CHECK_INT(FLAGSTORE_INVALID_ARGUMENT, flagstore_error_code(others[i]));
        CHECK_TEXT("", flagstore_error_message(others[i]));
        CHECK_INT(0, flagstore_error_os_code(others[i]));
    }
    CHECK_OWNED("true", text);
    flagstore_free(store);
}

static void every_function_may_go_without_an_error_argument(flagstore_t *store) {
    CHECK(flagstore_set(store, "flag", "1", NULL));
    CHECK(flagstore_set_n(store, "flag", 4, "2", 1, NULL));
    CHECK_OWNED("2", flagstore_get(store, "flag", NULL));
    CHECK_OWNED("2", flagstore_get_n(store, "flag", 4, NULL, NULL));
    CHECK_INT(2, flagstore_get_int64(store, "flag", 0, NULL));
    CHECK_INT(2, flagstore_get_int64_n(store, "flag", 4, 0, NULL));
    CHECK(flagstore_get_double_n(store, "flag", 4, 0, NULL) == 2.0);
    CHECK_INT(FLAGSTORE_TYPE_NUMBER, flagstore_get_type(store, "flag", NULL));
    CHECK_INT(1, flagstore_len(store, NULL));
    CHECK_OWNED("{\"flag\":2}", flagstore_list_all(store, NULL));
    CHECK(flagstore_set_string(store, "flag", "text", NULL));
    CHECK_OWNED("text", flagstore_get_string(store, "flag", NULL, NULL));
    CHECK_OWNED("text", flagstore_get_string_n(store, "flag", 4, NULL, NULL));
    CHECK(!flagstore_set(store, "flag", "?", NULL));
    uint64_t revision = flagstore_revision(store, NULL);
    CHECK(revision != 0 && !flagstore_wait(store, &revision, 0, NULL));
    CHECK(flagstore_delete_n(store, "flag", 4, NULL));
    CHECK(!flagstore_delete(store, "flag", NULL));
    CHECK(flagstore_get_bool_n(store, "flag", 4, true, NULL));
}

static void null_is_neutral_where_nothing_can_fail(void) {
    flagstore_free(NULL);
    flagstore_set_log(NULL, NULL, FLAGSTORE_LOG_DEBUG);
    flagstore_set_log(NULL, NULL, -1);
    flagstore_reply(NULL, "flag", 4, "1", 1);
    check_snapshot_neutral(NULL);
    check_batch_neutral(NULL);
    CHECK(!flagstore_json_equal(NULL, 0, NULL, 0) && !flagstore_json_equal("1", 1, NULL, 1));
    CHECK(!flagstore_json_equal("1", SIZE_MAX, "1", SIZE_MAX));
    CHECK_REFUSED(flagstore_backend_open(NULL, error) == NULL);
    CHECK(!flagstore_has_feature(NULL));
    CHECK_INT(FLAGSTORE_OK, flagstore_error_code(NULL));
}

int main(void) {
    RUN(what_is_another_kind_is_refused);
    RUN_ON_EVERY_KIND(what_is_no_key_is_refused);
    RUN_ON_EVERY_KIND(what_is_no_value_is_refused);
    RUN_ON_EVERY_KIND(what_a_batch_or_a_change_cannot_take_is_refused);
    RUN(what_is_no_path_is_refused);
    RUN(what_is_no_error_has_nothing_to_say);
    RUN_ON_EVERY_KIND(every_function_may_go_without_an_error_argument);
    RUN(null_is_neutral_where_nothing_can_fail);
    return check_summary("arguments");
}
