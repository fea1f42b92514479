/* run: plain valgrind sanitizers */
/* A watch calls back once for each flag that changed, with what it was and what it is, whoever changed it. */
#include "recorder.h"

static void commit_changes(flagstore_t *store) {
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_set(batch, "new", "{ \"b\": 1, \"a\": [1.10] }", NULL));
    CHECK(flagstore_batch_set(batch, "changed", "2", NULL));
    CHECK(flagstore_batch_set(batch, "equal", "1", NULL));
    CHECK(flagstore_batch_delete(batch, "deleted", NULL));
    CHECK(flagstore_commit(store, batch, NULL));
    flagstore_free(batch);
}

static void it_calls_once_for_each_flag_that_changed(flagstore_t *store) {
    struct recorder *all = new_recorder();
    SET(store, "changed", "1");
    SET(store, "deleted", "null");
    SET(store, "equal", "1");
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    commit_changes(store);
    CHECK_RECORDED("changed:1>2;deleted:null>-;new:->{\"a\":[1.10],\"b\":1};", all);
    SET(store, "", "\"\xc3\xa9\"");
    CHECK_RECORDED(":->\"\xc3\xa9\";", all);
    CHECK(flagstore_delete(store, "changed", NULL));
    CHECK_RECORDED("changed:2>-;", all);
    end_watch(watch, all);
    free_recorder(all);
}

static void a_key_that_contains_nul_seems_to_end_there(flagstore_t *store) {
    struct recorder *all = new_recorder();
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    CHECK(flagstore_set_n(store, "a\0b", 3, "1", 1, NULL));
    CHECK_RECORDED("a:->1;", all);
    end_watch(watch, all);
    free_recorder(all);
}

static void it_keeps_to_its_key(flagstore_t *store) {
    struct recorder *one = new_recorder(), *other = new_recorder();
    flagstore_watch_t *first = WATCH(store, "changed", one), *second = WATCH(store, "new", other);
    SET(store, "change", "0");
    SET(store, "changed", "1");
    CHECK_RECORDED("changed:->1;", one);
    commit_changes(store);
    CHECK_RECORDED("changed:1>2;", one);
    CHECK_RECORDED("new:->{\"a\":[1.10],\"b\":1};", other);
    end_watch(first, one);
    CHECK(flagstore_delete(store, "new", NULL));
    CHECK_RECORDED("new:{\"a\":[1.10],\"b\":1}>-;", other);
    CHECK_RECORDED("", one);
    end_watch(second, other);
    free_recorder(one);
    free_recorder(other);
}

/* `fence` is the first change that is one. */
static void equal_values_call_nobody(flagstore_t *store) {
    struct recorder *all = new_recorder();
    SET(store, "flag", "{\"a\":1,\"b\":2}");
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    for (int i = 0; i < 3; i++)
        SET(store, "flag", "{ \"b\":2, \"a\":1 }");
    CHECK(!flagstore_delete(store, "absent", NULL));
    SET(store, "fence", "1");
    CHECK_RECORDED("fence:->1;", all);
    end_watch(watch, all);
    free_recorder(all);
}

/* ---- what the callback may do ---- */

enum { LAST = 8 };

/* Reads the store in every way, inside the call that reports a change, and answers with a change of another flag. */
static void answer(void *store, const char *key, const char *old_json, const char *new_json) {
    (void)old_json;
    char text[32];
    flagstore_error_t *error = GARBAGE;
    int64_t told = strtoll(new_json, NULL, 10), now = flagstore_get_int64(store, key, -1, &error);
    CHECK_OK(error);
    CHECK_THAT(told <= now && now <= LAST, "told of %lld, but it is %lld", (long long)told, (long long)now);
    snprintf(text, sizeof text, "%lld", (long long)now);
    CHECK_INT(FLAGSTORE_TYPE_NUMBER, flagstore_get_type(store, key, NULL));
    CHECK(flagstore_get_bool(store, "steady", false, NULL));
    CHECK_INT(FLAGSTORE_TYPE_ABSENT, flagstore_get_type(store, "absent", NULL));
    flagstore_snapshot_t *all = flagstore_snapshot(store, &error);
    CHECK_OK(error);
    CHECK(flagstore_snapshot_count(all) >= 2);
    flagstore_free(all);
    SET(store, "answer", text);
    CHECK_GET(text, store, "answer");
}

static void the_callback_can_use_the_store(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    SET(store, "steady", "true");
    flagstore_watch_t *watch = watch_with(__FILE__, __LINE__, store, "flag", answer, store);
    for (int i = 1; i <= LAST; i++)
        CHECK(flagstore_set_int64(store, "flag", i, &error) && CHECK_OK(error));
    CHECK_EVENTUALLY(flagstore_get_int64(store, "answer", -1, NULL) == LAST);
    flagstore_free(watch);
}

enum { EDITS = 1000 };

static void quick_edits_come_as_few(void) {
    struct recorder *all = new_recorder();
    flagstore_t *store = flagstore_memory_open(NULL);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    for (int i = 1; i <= EDITS; i++)
        CHECK(flagstore_set_int64(store, "flag", i, NULL));
    CHECK_EVENTUALLY(has_last(all, "1000"));
    int calls = count_calls(all);
    CHECK_THAT(all->chained, "a call did not begin where the one before it ended: %s", all->text);
    CHECK_THAT(calls < EDITS / 4, "expected few calls for %d edits, got %d", EDITS, calls);
    printf("watches: %d edits in quick succession came as %d calls\n", EDITS, calls);
    fflush(stdout); /* a child would print it again */
    end_watch(watch, all);
    flagstore_free(store);
    free_recorder(all);
}

/* ---- a file, changed by others ---- */

static void set_in_a_process(void *nothing) {
    (void)nothing;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    SET(store, "flag", "\"of another process\"");
    flagstore_free(store);
}

static void it_sees_what_others_do_to_the_file(void) {
    struct recorder *all = new_recorder();
    put(FLAGS_FILE, "{\"flag\": 1, \"kept\": true}");
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    replace_flags("{\"flag\": 2, \"kept\": true}");
    CHECK_RECORDED("flag:1>2;", all);
    put(FLAGS_FILE, "{\"flag\": 3, \"kept\": true}");
    CHECK_RECORDED("flag:2>3;", all);
    end_child(start_child(set_in_a_process, NULL));
    CHECK_RECORDED("flag:3>\"of another process\";", all);
    CHECK(unlink(FLAGS_FILE) == 0);
    CHECK_RECORDED("flag:\"of another process\">-;kept:true>-;", all);
    put(FLAGS_FILE, "{\"flag\": 5}");
    CHECK_RECORDED("flag:->5;", all);
    end_watch(watch, all);
    flagstore_free(store);
    free_recorder(all);
}

static void another_layout_calls_nobody(void) {
    struct recorder *all = new_recorder();
    put(FLAGS_FILE, "{\"flag\": {\"a\": 1, \"b\": \"\xc3\xa9\"}}");
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    replace_flags("\n{\"flag\" : {\"b\":\"\\u00e9\", \"a\": 1}}\n");
    CHECK(utimensat(AT_FDCWD, FLAGS_FILE, NULL, 0) == 0);
    SET(store, "fence", "1");
    CHECK_RECORDED("fence:->1;", all);
    end_watch(watch, all);
    flagstore_free(store);
    free_recorder(all);
}

static int warnings; /* how often the log told of corruption */

static void count_warnings(void *userdata, int32_t level, const char *message) {
    (void)userdata;
    if (level <= FLAGSTORE_LOG_WARN && strstr(message, FLAGS_FILE ":1:"))
        __atomic_add_fetch(&warnings, 1, __ATOMIC_ACQ_REL);
}

static void a_corrupt_file_is_logged_and_waited_for(void) {
    struct recorder *all = new_recorder();
    put(FLAGS_FILE, "{\"flag\": 1}");
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    __atomic_store_n(&warnings, 0, __ATOMIC_RELEASE);
    flagstore_set_log(count_warnings, NULL, FLAGSTORE_LOG_WARN);
    replace_flags("{\"flag\": 2");
    CHECK_EVENTUALLY(__atomic_load_n(&warnings, __ATOMIC_ACQUIRE) > 0);
    CHECK_INT(0, count_calls(all));
    replace_flags("{\"flag\": 3}");
    CHECK_RECORDED("flag:1>3;", all);
    end_watch(watch, all);
    flagstore_set_log(NULL, NULL, 0);
    flagstore_free(store);
    free_recorder(all);
}

static void a_file_that_is_corrupt_from_the_start_has_no_watch(void) {
    struct recorder *all = new_recorder();
    flagstore_error_t *error = GARBAGE;
    int threads = count_threads();
    put(FLAGS_FILE, "{\"flag\": 1");
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    CHECK(flagstore_watch(store, NULL, record, all, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE ":1:", error);
    CHECK_INT(threads, count_threads());
    flagstore_free(store);
    free_recorder(all);
}

/* A directory that cannot be entered for a while, and one that is gone: as an unmounted volume. */
static void a_file_that_cannot_be_reached_is_waited_for(void) {
    struct recorder *all = new_recorder();
    CHECK(mkdir("mounted", 0777) == 0);
    put("mounted/" FLAGS_FILE, "{\"flag\": 1}");
    flagstore_t *store = flagstore_file_open("mounted/" FLAGS_FILE, NULL);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    for (int i = 2; i < 5; i++) {
        char text[32], expected[32];
        CHECK(rename("mounted", "away") == 0);
        snprintf(text, sizeof text, "{\"flag\": %d}", i);
        put("away/" FLAGS_FILE, text);
        CHECK(rename("away", "mounted") == 0);
        snprintf(expected, sizeof expected, "flag:%d>%d;", i - 1, i);
        CHECK_RECORDED(expected, all);
    }
    end_watch(watch, all);
    flagstore_free(store);
    free_recorder(all);
}

/* As a mounted ConfigMap: the file leads through ..data, a link that is replaced together with what is behind it. */
static void mount(int version) {
    char directory[32], path[64], text[64];
    snprintf(directory, sizeof directory, "..v%d", version);
    snprintf(path, sizeof path, "%s/%s", directory, FLAGS_FILE);
    snprintf(text, sizeof text, "{\"flag\": %d}", version);
    CHECK(mkdir(directory, 0777) == 0);
    put(path, text);
    CHECK(symlink(directory, "..data-new") == 0 && rename("..data-new", "..data") == 0);
}

static void unmount(int version) {
    char path[64];
    snprintf(path, sizeof path, "..v%d/%s", version, FLAGS_FILE);
    CHECK(unlink(path) == 0);
    snprintf(path, sizeof path, "..v%d", version);
    CHECK(rmdir(path) == 0);
}

static void config_map_swaps_end_in_the_last_value(void) {
    struct recorder *all = new_recorder();
    char last[16];
    mount(0);
    CHECK(symlink("..data/" FLAGS_FILE, FLAGS_FILE) == 0);
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    flagstore_watch_t *watch = WATCH(store, "flag", all);
    for (int i = 1; i <= 40; i++) {
        mount(i);
        unmount(i - 1);
        snprintf(last, sizeof last, "%d", i);
        if (i % 10 == 0) CHECK_EVENTUALLY(has_last(all, last));
    }
    CHECK_THAT(all->chained, "a call did not begin where the one before it ended: %s", all->text);
    end_watch(watch, all);
    flagstore_free(store);
    free_recorder(all);
}

int main(void) {
    RUN_ON_EVERY_KIND(it_calls_once_for_each_flag_that_changed);
    RUN_ON_EVERY_KIND(a_key_that_contains_nul_seems_to_end_there);
    RUN_ON_EVERY_KIND(it_keeps_to_its_key);
    RUN_ON_EVERY_KIND(equal_values_call_nobody);
    RUN_ON_EVERY_KIND(the_callback_can_use_the_store);
    RUN(quick_edits_come_as_few);
    RUN(it_sees_what_others_do_to_the_file);
    RUN(another_layout_calls_nobody);
    RUN(a_corrupt_file_is_logged_and_waited_for);
    RUN(a_file_that_is_corrupt_from_the_start_has_no_watch);
    RUN(a_file_that_cannot_be_reached_is_waited_for);
    RUN(config_map_swaps_end_in_the_last_value);
    return check_summary("watches");
}
