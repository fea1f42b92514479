/* run: plain valgrind sanitizers */
/* The read modes CHECKED and WATCHED: whatever is done to the file, no read sees what was there before. */
#include "cached.h"

static const int32_t MODES[] = {FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_WATCHED};
static const char *const NAMES[] = {"CHECKED", "WATCHED"};
#define EACH_MODE(mode) (size_t mode##_ = 0; mode##_ < COUNT(MODES) && (check_row = NAMES[mode##_]); mode##_++) \
    for (int32_t mode = MODES[mode##_], once_ = 1; once_; once_ = 0)

static void every_call_answers_from_the_same_picture(void) {
    for EACH_MODE(mode) {
        flagstore_error_t *error = GARBAGE;
        put(FLAGS_FILE, " {\"s\": \"\\u00e9\\n\", \"n\" : 3e2, \"b\":true, \"o\": {\"y\":1, \"x\":[ ]},\n"
                        "\"b\" : false, \"\":null}");
        flagstore_t *store = open_cached(FLAGS_FILE, mode);
        for (int look = 0; look < 3; look++) {
            CHECK_GET("{\"x\":[],\"y\":1}", store, "o");
            CHECK_GET("false", store, "b"); /* of a repeated key, the last */
            CHECK_GET("null", store, "");
            CHECK_GET(NULL, store, "absent");
            CHECK_INT(300, flagstore_get_int64(store, "n", 0, &error));
            CHECK_OK(error);
            CHECK(!flagstore_get_bool(store, "b", true, &error));
            CHECK_OK(error);
            CHECK_OWNED("\xc3\xa9\n", flagstore_get_string(store, "s", NULL, &error));
            CHECK_OK(error);
            CHECK_INT(FLAGSTORE_TYPE_OBJECT, flagstore_get_type(store, "o", &error));
            CHECK_OK(error);
            CHECK_INT(5, flagstore_len(store, &error));
            CHECK_OK(error);
            CHECK_ALL("{\"\":null,\"b\":false,\"n\":3e2,\"o\":{\"x\":[],\"y\":1},\"s\":\"\xc3\xa9\\n\"}", store);
            uint64_t revision = flagstore_revision(store, &error);
            CHECK_OK(error);
            CHECK(revision != 0 && revision == flagstore_revision(store, NULL));
        }
        flagstore_free(store);
    }
}

static void a_snapshot_stays_as_it_was_and_outlives_the_store(void) {
    for EACH_MODE(mode) {
        put(FLAGS_FILE, "{\"a\":1,\"b\":2}");
        flagstore_t *store = open_cached(FLAGS_FILE, mode);
        flagstore_snapshot_t *before = flagstore_snapshot(store, NULL);
        SET(store, "a", "3");
        flagstore_snapshot_t *after = flagstore_snapshot(store, NULL);
        flagstore_free(store);
        CHECK_TEXT("1", flagstore_snapshot_find(before, "a", NULL));
        CHECK_TEXT("3", flagstore_snapshot_find(after, "a", NULL));
        CHECK_TEXT("2", flagstore_snapshot_find(after, "b", NULL));
        CHECK_TEXT(NULL, flagstore_snapshot_find(after, "c", NULL));
        CHECK_INT(2, (long long)flagstore_snapshot_count(before));
        flagstore_free(before);
        flagstore_free(after);
    }
}

static void what_the_store_itself_changes_is_seen_at_once(void) {
    for EACH_MODE(mode) {
        flagstore_t *store = open_cached(FLAGS_FILE, mode);
        for (int round = 0; round < 200; round++) {
            char json[16];
            flagstore_error_t *error = GARBAGE;
            snprintf(json, sizeof json, "%d", round % 10); /* of the same length each time */
            SET(store, "flag", json);
            CHECK_GET(json, store, "flag");
            CHECK_INT(1, flagstore_len(store, NULL));
            flagstore_batch_t *batch = flagstore_batch_new();
            CHECK(flagstore_batch_set(batch, "other", json, &error));
            CHECK_OK(error);
            CHECK(flagstore_commit(store, batch, &error));
            CHECK_OK(error);
            flagstore_free(batch);
            CHECK_GET(json, store, "other");
            CHECK(flagstore_delete(store, "other", &error));
            CHECK_OK(error);
            CHECK_GET(NULL, store, "other");
        }
        flagstore_free(store);
        CHECK(unlink(FLAGS_FILE) == 0);
    }
}

static void what_others_change_is_seen(void) {
    for EACH_MODE(mode) {
        flagstore_t *store = open_cached(FLAGS_FILE, mode), *other = open_cached(FLAGS_FILE, FLAGSTORE_READ_FRESH);
        for (int round = 0; round < 30; round++) {
            char json[16], text[32];
            snprintf(json, sizeof json, "%d", 10 + round);
            SET(other, "flag", json);
            CHECK_SEEN(mode, json, store, "flag");
            snprintf(json, sizeof json, "%d", 50 + round);
            snprintf(text, sizeof text, "{\"flag\":%s}", json);
            replace_file(FLAGS_FILE, text);
            CHECK_SEEN(mode, json, store, "flag");
            text[8]++; /* the number's first digit: the same size, in place */
            json[0]++;
            overwrite(FLAGS_FILE, text);
            CHECK_SEEN(mode, json, store, "flag");
            CHECK(unlink(FLAGS_FILE) == 0);
            if (round % 10 == 0) CHECK_SEEN(mode, NULL, store, "flag"); /* a read waits whether it comes back */
            text[8]++;
            json[0]++;
            put(FLAGS_FILE, text); /* with the inode number of the one before, as likely as not */
            CHECK_SEEN(mode, json, store, "flag");
        }
        flagstore_free(other);
        flagstore_free(store);
    }
}

/* The clock of a file system ticks every few milliseconds: many of these changes leave size and times as they were. */
static void changes_within_one_tick_are_not_missed(void) {
    flagstore_t *store = open_cached(FLAGS_FILE, FLAGSTORE_READ_CHECKED);
    for (int round = 0; round < 1000; round++) {
        char json[16], text[32];
        snprintf(json, sizeof json, "%d", 1000 + round);
        snprintf(text, sizeof text, "{\"flag\":%s}", json);
        switch (round % 3) {
        case 0: overwrite(FLAGS_FILE, text); break;
        case 1: replace_file(FLAGS_FILE, text); break;
        default: CHECK(unlink(FLAGS_FILE) == 0), put(FLAGS_FILE, text);
        }
        if (round % 7 < 3) continue; /* several changes between two reads */
        CHECK_GET(json, store, "flag");
        CHECK_GET(json, store, "flag");
    }
    flagstore_free(store);
}

static void a_revision_tells_changes_within_one_tick_apart(void) {
    for (int32_t mode = FLAGSTORE_READ_FRESH; mode <= FLAGSTORE_READ_CHECKED; mode++) {
        put(FLAGS_FILE, "{\"flag\":0}");
        flagstore_t *store = open_cached(FLAGS_FILE, mode);
        uint64_t revision = flagstore_revision(store, NULL);
        for (int round = 1; round < 1000; round++) {
            char text[32];
            snprintf(text, sizeof text, "{\"flag\":%d}", round % 10);
            CHECK(unlink(FLAGS_FILE) == 0);
            put(FLAGS_FILE, text); /* with the same inode number, if nobody keeps the one before open */
            uint64_t next = flagstore_revision(store, NULL);
            CHECK(next != revision && next == flagstore_revision(store, NULL));
            revision = next;
        }
        flagstore_free(store);
    }
}

static void a_time_set_back_hides_no_change(void) {
    for EACH_MODE(mode) {
        put(FLAGS_FILE, "{\"flag\":1}");
        flagstore_t *store = open_cached(FLAGS_FILE, mode);
        CHECK_GET("1", store, "flag");
        struct stat before = STATUS_OF(FLAGS_FILE);
        overwrite(FLAGS_FILE, "{\"flag\":2}");
        CHECK(utimensat(AT_FDCWD, FLAGS_FILE, (struct timespec[2]){before.st_atim, before.st_mtim}, 0) == 0);
        CHECK_SEEN(mode, "2", store, "flag");
        struct timespec future = {.tv_sec = before.st_mtim.tv_sec + 1000000};
        CHECK(utimensat(AT_FDCWD, FLAGS_FILE, (struct timespec[2]){future, future}, 0) == 0);
        overwrite(FLAGS_FILE, "{\"flag\":3}");
        CHECK(utimensat(AT_FDCWD, FLAGS_FILE, (struct timespec[2]){future, future}, 0) == 0);
        CHECK_SEEN(mode, "3", store, "flag");
        flagstore_free(store);
    }
}

/* Kubernetes: flags.json -> ..data/flags.json, ..data -> a directory of its own, and that link is swapped. */
static void a_swapped_link_is_seen_each_time(void) {
    for EACH_MODE(mode) {
        CHECK(mkdir("map", 0755) == 0 && symlink("..data/flags.json", "map/flags.json") == 0);
        CHECK(mkdir("map/..0", 0755) == 0 && symlink("..0", "map/..data") == 0);
        put("map/..0/flags.json", "{\"flag\":0}");
        flagstore_t *store = open_cached("map/flags.json", mode);
        CHECK_GET("0", store, "flag");
        for (int round = 1; round < 8; round++) {
            char version[32], path[64], json[16], text[32];
            snprintf(json, sizeof json, "%d", round);
            snprintf(version, sizeof version, "..%d", round);
            snprintf(path, sizeof path, "map/%s", version);
            CHECK(mkdir(path, 0755) == 0);
            strcat(path, "/flags.json");
            snprintf(text, sizeof text, "{\"flag\":%s}", json);
            put(path, text);
            CHECK(symlink(version, "map/..data_tmp") == 0 && rename("map/..data_tmp", "map/..data") == 0);
            CHECK_SEEN(mode, json, store, "flag");
        }
        flagstore_free(store);
        CHECK(rename("map", mode == FLAGSTORE_READ_CHECKED ? "map.checked" : "map.watched") == 0);
    }
}

/* No event tells of a directory further up: within the second in which the thread looks for itself. */
static void a_directory_that_is_exchanged_is_seen(void) {
    for EACH_MODE(mode) {
        CHECK(mkdir("far", 0755) == 0 && mkdir("far/near", 0755) == 0);
        CHECK(mkdir("other", 0755) == 0 && mkdir("other/near", 0755) == 0);
        put("far/near/flags.json", "{\"flag\":1}");
        put("other/near/flags.json", "{\"flag\":2}");
        flagstore_t *store = open_cached("far/near/flags.json", mode);
        CHECK_GET("1", store, "flag");
        CHECK(rename("far", "gone") == 0 && rename("other", "far") == 0);
        CHECK_SEEN(mode, "2", store, "flag");
        put("far/near/flags.json", "{\"flag\":3}");
        CHECK_SEEN(mode, "3", store, "flag");
        flagstore_free(store);
        CHECK(rename("far", mode == FLAGSTORE_READ_CHECKED ? "far.checked" : "far.watched") == 0);
        CHECK(rename("gone", mode == FLAGSTORE_READ_CHECKED ? "gone.checked" : "gone.watched") == 0);
    }
}

static bool is_broken(flagstore_t *store, int32_t code) {
    flagstore_error_t *error = NULL;
    flagstore_len(store, &error);
    bool same = flagstore_error_code(error) == code;
    flagstore_free(error);
    return same;
}

/* The same code and the same words as FRESH has, from every read. */
static void check_same_error(flagstore_t *store, flagstore_t *fresh) {
    flagstore_error_t *got[5] = {NULL}, *expected[5] = {NULL};
    for (int i = 0; i < 2; i++) {
        flagstore_t *asked = i ? fresh : store;
        flagstore_error_t **errors = i ? expected : got;
        CHECK(flagstore_get(asked, "flag", &errors[0]) == NULL);
        CHECK(flagstore_get_bool(asked, "flag", true, &errors[1]));
        CHECK_INT(-1, flagstore_len(asked, &errors[2]));
        CHECK(flagstore_list_all(asked, &errors[3]) == NULL);
        CHECK(flagstore_snapshot(asked, &errors[4]) == NULL);
    }
    for (int i = 0; i < 5; i++) {
        CHECK(expected[i] != NULL);
        CHECK_TEXT(flagstore_error_message(expected[i]), flagstore_error_message(got[i]));
        CHECK_INT(flagstore_error_code(expected[i]), flagstore_error_code(got[i]));
        CHECK_INT(flagstore_error_os_code(expected[i]), flagstore_error_os_code(got[i]));
        flagstore_free(got[i]);
        flagstore_free(expected[i]);
    }
}

static void what_cannot_be_read_is_an_error_and_gets_well_again(void) {
    for EACH_MODE(mode) {
        CHECK(mkdir("dir", 0755) == 0);
        flagstore_t *store = open_cached("dir/flags.json", mode), *fresh = open_cached("dir/flags.json", 0);
        SET(store, "flag", "1");
        put("dir/flags.json", "{\n \"flag\": 2");
        CHECK_EVENTUALLY(is_broken(store, FLAGSTORE_CORRUPT));
        check_same_error(store, fresh);
        put("dir/flags.json", "{\"flag\": 3}");
        CHECK_SEEN(mode, "3", store, "flag");
        CHECK(rename("dir", "away") == 0);
        CHECK_EVENTUALLY(is_broken(store, FLAGSTORE_IO));
        check_same_error(store, fresh);
        CHECK(rename("away", "dir") == 0);
        CHECK_SEEN(mode, "3", store, "flag");
        CHECK(rename("dir/flags.json", "dir/kept") == 0 && mkdir("dir/flags.json", 0755) == 0);
        CHECK_EVENTUALLY(is_broken(store, FLAGSTORE_IO));
        check_same_error(store, fresh);
        CHECK(rmdir("dir/flags.json") == 0 && rename("dir/kept", "dir/flags.json") == 0);
        CHECK_SEEN(mode, "3", store, "flag");
        SET(store, "flag", "4");
        CHECK_GET("4", store, "flag");
        flagstore_free(fresh);
        flagstore_free(store);
        CHECK(unlink("dir/flags.json") == 0 && unlink("dir/" LOCK_FILE) == 0 && rmdir("dir") == 0);
    }
}

int main(void) {
    RUN(every_call_answers_from_the_same_picture);
    RUN(a_snapshot_stays_as_it_was_and_outlives_the_store);
    RUN(what_the_store_itself_changes_is_seen_at_once);
    RUN(what_others_change_is_seen);
    RUN(changes_within_one_tick_are_not_missed);
    RUN(a_revision_tells_changes_within_one_tick_apart);
    RUN(a_time_set_back_hides_no_change);
    RUN(a_swapped_link_is_seen_each_time);
    RUN(a_directory_that_is_exchanged_is_seen);
    RUN(what_cannot_be_read_is_an_error_and_gets_well_again);
    return check_summary("cached");
}
