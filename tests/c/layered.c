/* run: plain valgrind sanitizers */
/* Stores over stores: which layer answers, which is changed, and what is said about it. That one keeps the contract is
   checked by every program with a table of kinds; layered_changes.c is about noticing changes. */
#include "layers.h"

#define BOTTOM_FILE "bottom.json"

/* ---- reading ---- */

static void a_read_asks_the_layers_in_order(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *top = new_memory(), *middle = new_file(FLAGS_FILE), *bottom = new_memory();
    flagstore_t *store = LAYERED(0, top, middle, bottom);
    CHECK_GET(NULL, store, "flag");
    SET(bottom, "flag", "3");
    CHECK_GET("3", store, "flag");
    SET(middle, "flag", "2.50");
    CHECK_GET("2.50", store, "flag");
    SET(top, "flag", "[1]");
    CHECK_GET("[1]", store, "flag");
    CHECK_INT(FLAGSTORE_TYPE_ARRAY, flagstore_get_type(store, "flag", &error));
    CHECK_OK(error);
    CHECK(flagstore_delete(top, "flag", NULL));
    CHECK(flagstore_get_double(store, "flag", 0, &error) == 2.5);
    CHECK_OK(error);
    CHECK_INT(7, flagstore_get_int64(store, "absent", 7, &error));
    CHECK_OK(error);
    CHECK_INT(FLAGSTORE_TYPE_ABSENT, flagstore_get_type(store, "absent", &error));
    CHECK_OK(error);
    flagstore_free(store), flagstore_free(top), flagstore_free(middle), flagstore_free(bottom);
}

static void a_stored_null_hides_what_is_below(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *top = new_memory(), *bottom = new_memory(), *store = LAYERED(0, top, bottom);
    SET(bottom, "flag", "true");
    SET(top, "flag", "null");
    CHECK_GET("null", store, "flag");
    CHECK_INT(FLAGSTORE_TYPE_NULL, flagstore_get_type(store, "flag", &error));
    CHECK_OK(error);
    CHECK_ALL("{\"flag\":null}", store);
    CHECK(!flagstore_get_bool(store, "flag", false, &error));
    CHECK_ERROR(FLAGSTORE_TYPE_MISMATCH, "flag", error);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

static void lists_and_snapshots_have_the_flags_of_all_layers(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *top = new_memory(), *middle = new_file(FLAGS_FILE), *bottom = new_memory();
    flagstore_t *store = LAYERED(1, top, middle, bottom);
    SET(top, "b", "1"), SET(top, "d", "1");
    SET(middle, "a", "2"), SET(middle, "b", "2"), SET(middle, "e", "2");
    SET(bottom, "", "3"), SET(bottom, "b", "3"), SET(bottom, "e", "3"), SET(bottom, "\xc3\xa9", "3");
    CHECK_ALL("{\"\":3,\"a\":2,\"b\":1,\"d\":1,\"e\":2,\"\xc3\xa9\":3}", store);
    CHECK_INT(6, flagstore_len(store, &error));
    CHECK_OK(error);
    flagstore_snapshot_t *snapshot = flagstore_snapshot(store, &error);
    CHECK_OK(error);
    CHECK(flagstore_delete(top, "b", NULL));
    CHECK_INT(6, (long long)flagstore_snapshot_count(snapshot));
    CHECK_TEXT("b", flagstore_snapshot_key(snapshot, 2, NULL));
    CHECK_TEXT("1", flagstore_snapshot_value(snapshot, 2, NULL));
    CHECK_TEXT("2", flagstore_snapshot_find(snapshot, "e", NULL));
    CHECK_TEXT(NULL, flagstore_snapshot_find(snapshot, "c", NULL));
    CHECK_INT(3, (long long)flagstore_snapshot_seek(snapshot, "c", 1));
    CHECK_GET("2", store, "b");
    flagstore_free(store), flagstore_free(top), flagstore_free(middle), flagstore_free(bottom);
    CHECK_TEXT("3", flagstore_snapshot_find(snapshot, "\xc3\xa9", NULL)); /* it outlives them all */
    flagstore_free(snapshot);
}

/* ---- a layer that cannot be read ---- */

static void a_layer_that_cannot_be_read_is_never_skipped(void) {
    flagstore_error_t *error = GARBAGE;
    put(FLAGS_FILE, "{\"flag\": tru");
    flagstore_t *top = new_memory(), *middle = new_file(FLAGS_FILE), *bottom = new_memory();
    flagstore_t *store = LAYERED(0, top, middle, bottom);
    SET(bottom, "flag", "3");
    CHECK(flagstore_get(store, "flag", &error) == NULL);
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE ":1:", error);
    CHECK(flagstore_get_bool(store, "flag", true, &error));
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE, error);
    CHECK(flagstore_list_all(store, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE, error);
    CHECK(flagstore_snapshot(store, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE, error);
    CHECK_INT(-1, flagstore_len(store, &error));
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE, error);
    put(FLAGS_FILE, "{}");
    CHECK_GET("3", store, "flag");
    flagstore_free(store), flagstore_free(top), flagstore_free(middle), flagstore_free(bottom);
}

static void a_get_that_is_answered_above_does_not_ask_further_down(void) {
    flagstore_error_t *error = GARBAGE;
    put(FLAGS_FILE, "[]");
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *store = LAYERED(0, top, bottom);
    SET(store, "flag", "null");
    CHECK_GET("null", store, "flag");
    CHECK_INT(FLAGSTORE_TYPE_NULL, flagstore_get_type(store, "flag", &error));
    CHECK_OK(error);
    CHECK(flagstore_delete(store, "flag", &error));
    CHECK_OK(error);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

/* ---- changing ---- */

static void changes_are_for_the_written_layer_alone(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *top = new_memory(), *middle = new_file(FLAGS_FILE), *bottom = new_memory();
    flagstore_t *store = LAYERED(1, top, middle, bottom);
    SET(store, "flag", "2");
    SET(top, "of-top", "1"), SET(bottom, "of-bottom", "3");
    CHECK_FILE("{\n  \"flag\": 2\n}\n", FLAGS_FILE);
    CHECK(!flagstore_delete(store, "of-top", &error)); /* it tells of the written layer */
    CHECK_OK(error);
    CHECK(!flagstore_delete(store, "of-bottom", &error));
    CHECK_OK(error);
    CHECK_ALL("{\"flag\":2,\"of-bottom\":3,\"of-top\":1}", store);
    CHECK(flagstore_delete(store, "flag", &error));
    CHECK_OK(error);
    CHECK_ALL("{\"of-top\":1}", top);
    CHECK_ALL("{}", middle);
    CHECK_ALL("{\"of-bottom\":3}", bottom);
    flagstore_free(store), flagstore_free(top), flagstore_free(middle), flagstore_free(bottom);
}

static void a_batch_and_its_expectations_are_for_the_written_layer(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *store = LAYERED(1, top, bottom);
    SET(top, "flag", "1"), SET(bottom, "flag", "2"), SET(bottom, "gone", "2");
    flagstore_batch_t *seen = flagstore_batch_new(), *written = flagstore_batch_new();
    CHECK(flagstore_batch_expect(seen, "flag", "1", NULL) && flagstore_batch_clear(seen, NULL));
    CHECK(!flagstore_commit(store, seen, &error)); /* what is seen is not what the written layer has */
    CHECK_ERROR(FLAGSTORE_CONFLICT, "flag", error);
    CHECK(flagstore_batch_expect(written, "flag", "2", NULL) && flagstore_batch_clear(written, NULL));
    CHECK(flagstore_batch_set(written, "flag", "3", NULL) && flagstore_batch_set(written, "new", "3", NULL));
    CHECK(flagstore_commit(store, written, &error));
    CHECK_OK(error);
    CHECK_ALL("{\"flag\":1,\"new\":3}", store);
    CHECK_ALL("{\"flag\":1}", top);
    CHECK_ALL("{\"flag\":3,\"new\":3}", bottom);
    flagstore_free(seen), flagstore_free(written);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

static void the_written_layer_refuses_as_it_does_alone(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_file_options_t options = {.size = sizeof options, .flags = FLAGSTORE_OPEN_READ_ONLY};
    flagstore_t *top = new_memory(), *bottom = flagstore_file_open_with(FLAGS_FILE, &options, &error);
    CHECK_OK(error);
    flagstore_t *store = LAYERED(1, top, bottom);
    CHECK(!flagstore_set(store, "flag", "1", &error));
    CHECK_ERROR(FLAGSTORE_READ_ONLY, FLAGS_FILE, error);
    flagstore_t *small = (options.flags = 0, options.max_bytes = 100, flagstore_file_open_with(FLAGS_FILE, &options, &error));
    CHECK_OK(error);
    flagstore_t *limited = LAYERED(1, top, small);
    char json[200];
    snprintf(json, sizeof json, "\"%0150d\"", 0);
    SET(top, "flag", json); /* its own limit counts, not that of a layer beside it */
    CHECK_GET(json, limited, "flag");
    CHECK(!flagstore_set(limited, "flag", json, &error));
    CHECK_INT(EFBIG, flagstore_error_os_code(error));
    CHECK_ERROR(FLAGSTORE_IO, "max_bytes", error);
    flagstore_free(limited), flagstore_free(small);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

struct log {
    int lines;
    char last[512];
};

static void take(void *userdata, int32_t level, const char *message) {
    struct log *log = userdata;
    if (level != FLAGSTORE_LOG_INFO) return;
    log->lines++;
    snprintf(log->last, sizeof log->last, "%s", message);
}

static void a_hidden_set_succeeds_and_is_one_line_of_the_log(void) {
    struct log log = {0, ""};
    flagstore_error_t *error = GARBAGE;
    flagstore_t *top = new_memory(), *middle = new_memory(), *bottom = new_memory();
    flagstore_t *store = LAYERED(2, top, middle, bottom);
    SET(top, "flag", "\"a secret\""), SET(middle, "flag", "2"), SET(middle, "other", "2");
    flagstore_set_log(take, &log, FLAGSTORE_LOG_INFO);
    SET(store, "flag", "3");
    CHECK_INT(1, log.lines);
    CHECK(strstr(log.last, "\"flag\"") && strstr(log.last, "layers[0]") && strstr(log.last, "layers[2]"));
    CHECK(!strstr(log.last, "secret"));
    SET(store, "other", "3");
    CHECK_INT(2, log.lines);
    CHECK(strstr(log.last, "\"other\"") && strstr(log.last, "layers[1]"));
    CHECK_GET("\"a secret\"", store, "flag");
    CHECK_ALL("{\"flag\":3,\"other\":3}", bottom);
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_set(batch, "flag", "4", NULL) && flagstore_batch_set(batch, "other", "4", NULL));
    CHECK(flagstore_batch_set(batch, "plain", "4", NULL));
    CHECK(flagstore_commit(store, batch, &error));
    CHECK_OK(error);
    CHECK_INT(3, log.lines);
    CHECK(strstr(log.last, "\"flag\" and 1 more"));
    flagstore_free(batch);
    SET(store, "plain", "5"); /* nothing above has it */
    CHECK(flagstore_delete(store, "flag", NULL));
    SET(top, "flag", "5");
    CHECK_INT(3, log.lines);
    flagstore_set_log(take, &log, FLAGSTORE_LOG_WARN);
    SET(store, "flag", "6");
    flagstore_set_log(NULL, NULL, 0);
    CHECK_INT(3, log.lines);
    flagstore_free(store), flagstore_free(top), flagstore_free(middle), flagstore_free(bottom);
}

static void a_set_succeeds_though_a_layer_above_cannot_be_read(void) {
    struct log log = {0, ""};
    put(FLAGS_FILE, "?");
    flagstore_t *top = new_file(FLAGS_FILE), *bottom = new_memory(), *store = LAYERED(1, top, bottom);
    flagstore_set_log(take, &log, FLAGSTORE_LOG_INFO);
    SET(store, "flag", "1");
    flagstore_set_log(NULL, NULL, 0);
    CHECK_INT(0, log.lines);
    CHECK_GET("1", bottom, "flag");
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

/* ---- which layers ---- */

static void what_is_no_store_is_no_layer(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *one = new_memory();
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_t *const with_null[] = {one, NULL}, *const with_batch[] = {(flagstore_t *)batch, one};
    CHECK(flagstore_layered_open(NULL, 1, 0, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "layers is NULL", error);
    CHECK(flagstore_layered_open(with_null, 0, 0, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "no layer", error);
    CHECK(flagstore_layered_open(with_null, 2, 0, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "layers[1] is NULL", error);
    CHECK(flagstore_layered_open(with_batch, 2, 0, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "layers[0]", error);
    CHECK(flagstore_layered_open(with_null, 1, 1, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "write_to is 1", error);
    CHECK(flagstore_layered_open(with_null, 2, 0, NULL) == NULL);
    flagstore_free(batch), flagstore_free(one);
}

static void it_holds_its_layers_and_the_handles_go_on_working(void) {
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *store = LAYERED(0, top, bottom);
    SET(bottom, "flag", "2");
    flagstore_free(bottom);
    CHECK_GET("2", store, "flag");
    flagstore_t *other = LAYERED(0, store, top);
    flagstore_free(store);
    SET(other, "flag", "1");
    CHECK_GET("1", top, "flag");
    flagstore_free(other);
    SET(top, "flag", "3");
    CHECK_GET("3", top, "flag");
    flagstore_free(top);
}

static void a_layer_may_be_layered_and_stand_there_twice(void) {
    struct log log = {0, ""};
    flagstore_error_t *error = GARBAGE;
    flagstore_t *top = new_memory(), *middle = new_memory(), *bottom = new_file(BOTTOM_FILE);
    flagstore_t *inner = LAYERED(1, middle, bottom), *store = LAYERED(2, top, inner, inner, top);
    flagstore_free(inner), flagstore_free(middle);
    SET(bottom, "flag", "3"), SET(bottom, "other", "3");
    flagstore_set_log(take, &log, FLAGSTORE_LOG_INFO);
    SET(store, "flag", "4"); /* seen: the layer above is the same store */
    flagstore_set_log(NULL, NULL, 0);
    CHECK_INT(0, log.lines);
    CHECK_GET("4", store, "flag");
    SET(top, "flag", "1");
    CHECK_ALL("{\"flag\":1,\"other\":3}", store);
    CHECK_INT(2, flagstore_len(store, &error));
    CHECK_OK(error);
    CHECK_FILE("{\n  \"flag\": 4,\n  \"other\": 3\n}\n", BOTTOM_FILE);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

int main(void) {
    RUN(a_read_asks_the_layers_in_order);
    RUN(a_stored_null_hides_what_is_below);
    RUN(lists_and_snapshots_have_the_flags_of_all_layers);
    RUN(a_layer_that_cannot_be_read_is_never_skipped);
    RUN(a_get_that_is_answered_above_does_not_ask_further_down);
    RUN(changes_are_for_the_written_layer_alone);
    RUN(a_batch_and_its_expectations_are_for_the_written_layer);
    RUN(the_written_layer_refuses_as_it_does_alone);
    RUN(a_hidden_set_succeeds_and_is_one_line_of_the_log);
    RUN(a_set_succeeds_though_a_layer_above_cannot_be_read);
    RUN(what_is_no_store_is_no_layer);
    RUN(it_holds_its_layers_and_the_handles_go_on_working);
    RUN(a_layer_may_be_layered_and_stand_there_twice);
    return check_summary("layered");
}
