/* run: plain checked valgrind sanitizers */
/* The file store's bytes: creation, the one layout it writes, and that it writes only when something changed. */
#include "check.h"

#include <dirent.h>

static flagstore_t *open_flags(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    return store;
}

static void a_missing_file_is_created(void) {
    flagstore_t *store = open_flags();
    CHECK_FILE("{}\n", FLAGS_FILE);
    CHECK_ALL("{}", store);
    flagstore_free(store);
}

static void an_existing_file_is_opened_as_it_is(void) {
    static const char text[] = " {\"b\" : 1,\r\n\"a\":[ 1.10 ]}\t";
    write_file(FLAGS_FILE, text, strlen(text));
    flagstore_t *store = open_flags();
    CHECK_ALL("{\"a\":[1.10],\"b\":1}", store);
    flagstore_free(store);
    CHECK_FILE(text, FLAGS_FILE);
}

static void an_absolute_and_a_relative_path_are_one_file(void) {
    char absolute[PATH_MAX];
    CHECK(realpath(".", absolute) != NULL);
    strcat(absolute, "/" FLAGS_FILE);
    flagstore_error_t *error = GARBAGE;
    flagstore_t *one = open_flags(), *other = flagstore_file_open(absolute, &error);
    CHECK_OK(error);
    SET(one, "flag", "1");
    CHECK_GET("1", other, "flag");
    SET(other, "flag", "2");
    CHECK_GET("2", one, "flag");
    flagstore_free(one);
    CHECK_GET("2", other, "flag");
    flagstore_free(other);
}

static void a_path_need_not_be_ascii(void) {
    static const char path[] = "fl\xc3\xa4ggchen \xf0\x9f\x9a\xa9 'quoted'\n.json";
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(path, &error);
    CHECK_OK(error);
    SET(store, "flag", "1");
    CHECK_FILE("{\n  \"flag\": 1\n}\n", path);
    flagstore_free(store);
}

static void a_file_that_vanishes_reads_as_empty(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_flags();
    SET(store, "flag", "1");
    CHECK(unlink(FLAGS_FILE) == 0);
    CHECK_GET(NULL, store, "flag");
    CHECK_ALL("{}", store);
    CHECK_INT(0, flagstore_len(store, &error));
    CHECK_OK(error);
    CHECK(flagstore_get_bool(store, "flag", true, &error));
    CHECK_OK(error);
    CHECK(!flagstore_delete(store, "flag", &error));
    CHECK_OK(error);
    CHECK(access(FLAGS_FILE, F_OK) != 0);
    SET(store, "other", "2");
    CHECK_FILE("{\n  \"other\": 2\n}\n", FLAGS_FILE);
    flagstore_free(store);
}

static void what_another_program_writes_is_read_at_once(void) {
    flagstore_t *store = open_flags();
    char text[32];
    for (int i = 0; i < 20; i++) {
        int len = snprintf(text, sizeof text, "{\"flag\": %d}", i);
        write_file("new", text, (size_t)len);
        CHECK(rename("new", FLAGS_FILE) == 0);
        snprintf(text, sizeof text, "%d", i);
        CHECK_GET(text, store, "flag");
    }
    flagstore_free(store);
}

/* As Python's json.dump(flags, file, indent=2, sort_keys=True) and a newline. */
static const char CANONICAL[] =
    "{\n"
    "  \"\": null,\n"
    "  \"Z\": true,\n"
    "  \"array\": [\n    1.10,\n    1e5,\n    -0,\n    12345678901234567890123,\n    1e400,\n"
    "    [],\n    {},\n    [\n      {}\n    ]\n  ],\n"
    "  \"object\": {\n    \"a\": {\n      \"x\": false\n    },\n    \"b\": []\n  },\n"
    "  \"text / \\\" \\\\ \\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\\u007f\": \"\\u00fc\\u20ac\\ud83d\\ude00\",\n"
    "  \"\\uff5e\": 1,\n"
    "  \"\\ud83d\\ude00\": 2\n"
    "}\n";

static void a_set_writes_pythons_layout(void) {
    static const char minified[] =
        "{\"\xf0\x9f\x98\x80\":2,\"\xef\xbd\x9e\":0,\"Z\":true,"
        "\"text \\/ \\\" \\\\ \\b\\f\\n\\r\\t\\u0000\\u0001\\u001F\x7f\":\"\xc3\xbc\\u20AC\xf0\x9f\x98\x80\","
        "\"object\":{\"b\":[ ],\"a\":{\"x\":true,\"x\":false}},"
        "\"array\":[1.10,1e5,-0,12345678901234567890123,1e400,[],{ },[{}]],\"\":null}";
    write_file(FLAGS_FILE, minified, strlen(minified));
    flagstore_t *store = open_flags();
    SET(store, "\xef\xbd\x9e", "1");
    CHECK_FILE(CANONICAL, FLAGS_FILE);
    flagstore_free(store);
}

static void the_empty_store_is_a_line(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_flags();
    SET(store, "flag", "[]");
    CHECK_FILE("{\n  \"flag\": []\n}\n", FLAGS_FILE);
    CHECK(flagstore_delete(store, "flag", &error));
    CHECK_OK(error);
    CHECK_FILE("{}\n", FLAGS_FILE);
    flagstore_free(store);
}

/* Each row sets the key to what it is already; the file is in a layout of its own. */
static const char OWN_LAYOUT[] =
    "{\"b\":{\"y\":1,\"x\":[1.10,\"\xc3\xbc\"]},\n\n\"a\":\"\\u00e9\\/\", \"c\":0, \"c\":null}";
static const struct {
    const char *key, *json;
} SAME[] = {
    {"b", "{\"y\":1,\"x\":[1.10,\"\xc3\xbc\"]}"}, {"b", " { \"x\" : [ 1.10 , \"\\u00fc\" ] , \"y\" : 1 } "},
    {"a", "\"\xc3\xa9/\""}, {"a", "\"\\u00e9/\""}, {"c", "null"},
};

static void an_equal_value_leaves_the_file_alone(void) {
    flagstore_error_t *error = GARBAGE;
    write_file(FLAGS_FILE, OWN_LAYOUT, strlen(OWN_LAYOUT));
    flagstore_t *store = open_flags();
    struct stat before = STATUS_OF(FLAGS_FILE);
    for (size_t i = 0; i < COUNT(SAME); i++) {
        check_row = SAME[i].json;
        SET(store, SAME[i].key, SAME[i].json);
        CHECK_LEFT_ALONE(before, FLAGS_FILE);
    }
    CHECK(!flagstore_delete(store, "absent", &error));
    CHECK_OK(error);
    CHECK(flagstore_set_string(store, "a", "\xc3\xa9/", &error));
    CHECK_OK(error);
    CHECK_LEFT_ALONE(before, FLAGS_FILE);
    flagstore_free(store);
    CHECK_FILE(OWN_LAYOUT, FLAGS_FILE);
}

static void a_change_rewrites_another_layout(void) {
    flagstore_error_t *error = GARBAGE;
    write_file(FLAGS_FILE, OWN_LAYOUT, strlen(OWN_LAYOUT));
    flagstore_t *store = open_flags();
    CHECK(flagstore_delete(store, "b", &error));
    CHECK_OK(error);
    CHECK_FILE("{\n  \"a\": \"\\u00e9/\",\n  \"c\": null\n}\n", FLAGS_FILE);
    flagstore_free(store);
}

static void another_spelling_of_a_number_is_a_change(void) {
    static const char *const spellings[] = {"1.1", "1.10", "1.100", "11e-1", "11E-1"};
    flagstore_t *store = open_flags();
    char expected[64];
    for (size_t i = 0; i < COUNT(spellings); i++) {
        SET(store, "flag", spellings[i]);
        snprintf(expected, sizeof expected, "{\n  \"flag\": %s\n}\n", spellings[i]);
        CHECK_FILE(expected, FLAGS_FILE);
    }
    flagstore_free(store);
}

static void only_the_file_and_its_lock_are_left(void) {
    flagstore_error_t *error = GARBAGE;
    static const char litter[] = "{\"left by\": \"a writer that was killed\"}";
    write_file(".flags.json.tmp", litter, strlen(litter));
    flagstore_t *store = open_flags();
    for (int i = 0; i < 10; i++)
        flagstore_set_int64(store, "flag", i, NULL);
    flagstore_delete(store, "flag", &error);
    CHECK_OK(error);
    flagstore_set(store, "flag", "?", NULL);
    flagstore_free(store);
    int entries = 0;
    DIR *dir = opendir(".");
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        check_row = entry->d_name;
        CHECK(strcmp(entry->d_name, FLAGS_FILE) == 0 || strcmp(entry->d_name, LOCK_FILE) == 0);
        entries++;
    }
    closedir(dir);
    CHECK_INT(2, entries);
}

static void no_descriptor_is_left_open(void) {
    int first = open(".", O_RDONLY), next;
    flagstore_t *store = open_flags();
    for (int i = 0; i < 5; i++) {
        flagstore_set_int64(store, "flag", i, NULL);
        flagstore_set(store, "flag", "?", NULL);
        flagstore_free(flagstore_list_all(store, NULL));
    }
    flagstore_free(store);
    next = open(".", O_RDONLY);
    CHECK_INT(first + 1, next);
    close(next);
    close(first);
}

int main(void) {
    RUN(a_missing_file_is_created);
    RUN(an_existing_file_is_opened_as_it_is);
    RUN(an_absolute_and_a_relative_path_are_one_file);
    RUN(a_path_need_not_be_ascii);
    RUN(a_file_that_vanishes_reads_as_empty);
    RUN(what_another_program_writes_is_read_at_once);
    RUN(a_set_writes_pythons_layout);
    RUN(the_empty_store_is_a_line);
    RUN(an_equal_value_leaves_the_file_alone);
    RUN(a_change_rewrites_another_layout);
    RUN(another_spelling_of_a_number_is_a_change);
    RUN(only_the_file_and_its_lock_are_left);
    RUN(no_descriptor_is_left_open);
    return check_summary("files");
}
