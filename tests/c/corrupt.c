/* run: plain checked valgrind sanitizers */
/* A file that is not one JSON object: every call says FLAGSTORE_CORRUPT and where, and nobody writes over it. */
#include "check.h"

#define FORTY_TWO(text) text text text text text text text text text text text text text text \
    text text text text text text text text text text text text text text \
    text text text text text text text text text text text text text text
#define DEPTH_126 FORTY_TWO("[[[")
#define ENDS_126 FORTY_TWO("]]]")

/* The key "flag" stands before the fault wherever it can: finding it is no excuse. Line 0: any place will do. */
#define BYTES(literal) literal, sizeof literal - 1
static const struct {
    const char *name, *bytes;
    size_t len;
    long line, column;
} FILES[] = {
    {"empty", BYTES(""), 0, 0},
    {"white space only", BYTES(" \n\n"), 0, 0},
    {"one NUL", BYTES("\0"), 0, 0},
    {"byte-order mark", BYTES("\xef\xbb\xbf{\"flag\":1}"), 0, 0},
    {"UTF-16", BYTES("\xff\xfe{\0}\0"), 0, 0},
    {"array root", BYTES("[]"), 1, 1},
    {"array of objects", BYTES("[{\"flag\":1}]"), 1, 1},
    {"null root", BYTES("null"), 1, 1},
    {"string root", BYTES("\"flag\""), 1, 1},
    {"number root", BYTES("\n 1"), 2, 2},
    {"open brace", BYTES("{"), 0, 0},
    {"truncated in a key", BYTES("{\"flag\": 1, \"ot"), 0, 0},
    {"truncated before a value", BYTES("{\"flag\": 1, \"other\":"), 0, 0},
    {"truncated in a number's fraction", BYTES("{\"flag\": 1."), 0, 0},
    {"truncated before the last brace", BYTES("{\n  \"flag\": 1\n"), 0, 0},
    {"trailing word", BYTES("{\"flag\": 1}\nx"), 2, 1},
    {"trailing object", BYTES("{\"flag\": 1} {}"), 1, 13},
    {"trailing brace", BYTES("{\"flag\": 1}}"), 1, 12},
    {"trailing NUL", BYTES("{\"flag\": 1}\n\0"), 2, 1},
    {"conflict markers", BYTES("<<<<<<< HEAD\n{\"flag\": 1}\n"), 1, 1},
    {"NaN", BYTES("{\"flag\": 1,\n \"x\": NaN}"), 2, 7},
    {"Infinity", BYTES("{\"flag\": 1,\n \"x\": Infinity}"), 2, 7},
    {"-Infinity", BYTES("{\"flag\": 1, \"x\": -Infinity}"), 0, 0},
    {"comma at the end", BYTES("{\n  \"flag\": 1,\n}\n"), 0, 0},
    {"missing comma", BYTES("{\"flag\": 1 \"x\": 2}"), 1, 12},
    {"single quotes", BYTES("{\"flag\": 1, 'x': 2}"), 1, 13},
    {"bare key", BYTES("{\"flag\": 1, x: 2}"), 1, 13},
    {"comment", BYTES("{\n  // why\n  \"flag\": 1\n}"), 2, 3},
    {"leading zero", BYTES("{\"flag\": 1, \"x\": 01}"), 0, 0},
    {"raw newline in a string", BYTES("{\"flag\": 1, \"x\": \"a\nb\"}"), 0, 0},
    {"invalid UTF-8 in a string", BYTES("{\"flag\": 1,\n\"x\": \"\xff\"}"), 0, 0},
    {"invalid UTF-8 in a key", BYTES("{\"flag\": 1, \"\xc3\": 2}"), 0, 0},
    {"invalid UTF-8 behind the object", BYTES("{\"flag\": 1}\n\xff"), 0, 0},
    {"encoded surrogate", BYTES("{\"flag\": 1, \"x\": \"\xed\xa0\x80\"}"), 0, 0},
    {"lone surrogate in a key", BYTES("{\"flag\": 1, \"\\udc00\": 2}"), 1, 14},
    {"lone surrogate in a hidden key", BYTES("{\"flag\": 1, \"a\\ud83d\\u0041\": 2, \"a\\ud83dA\": 3}"), 1, 15},
    {"two high surrogates in a key", BYTES("{\"flag\": 1,\n\"\\ud83d\\ude00\\ud83d\\ud83d\\ude00\": 2}"), 2, 14},
    {"nested 128 levels", BYTES("{\"flag\": 1, \"x\": [[" DEPTH_126 ENDS_126 "]]}"), 0, 0},
    {"opened 128 levels", BYTES("{\"flag\": 1, \"x\": [[" DEPTH_126), 0, 0},
    {"placed in characters", BYTES("{\"\xc3\xbc\xf0\x9f\x98\x80\": ?}"), 1, 8},
};

#define CHECK_CORRUPT(call) do { \
        flagstore_error_t *error = GARBAGE; \
        CHECK(call); \
        CHECK_POSITION(error, FLAGS_FILE, line, column); \
        CHECK_ERROR(FLAGSTORE_CORRUPT, NULL, error); \
    } while (0)

static void every_read_is_corrupt(const flagstore_t *store, long line, long column) {
    size_t len;
    CHECK_CORRUPT(flagstore_get(store, "flag", &error) == NULL);
    CHECK_CORRUPT(flagstore_get(store, "absent", &error) == NULL);
    CHECK_CORRUPT(flagstore_list_all(store, &error) == NULL);
    CHECK_CORRUPT(flagstore_len(store, &error) == -1);
    CHECK_CORRUPT(flagstore_get_type(store, "flag", &error) == -1);
    CHECK_CORRUPT(flagstore_get_bool(store, "flag", true, &error));
    CHECK_CORRUPT(!flagstore_get_bool(store, "flag", false, &error));
    CHECK_CORRUPT(flagstore_get_int64(store, "flag", -5, &error) == -5);
    CHECK_CORRUPT(flagstore_get_double(store, "flag", 0.5, &error) == 0.5);
    CHECK_CORRUPT(flagstore_get_string(store, "flag", NULL, &error) == NULL);
    CHECK_CORRUPT(flagstore_get_n(store, "flag", 4, &len, &error) == NULL);
    CHECK_CORRUPT(flagstore_get_bool_n(store, "flag", 4, true, &error));
    CHECK_CORRUPT(flagstore_get_int64_n(store, "flag", 4, -5, &error) == -5);
    CHECK_CORRUPT(flagstore_get_double_n(store, "flag", 4, 0.5, &error) == 0.5);
    CHECK_CORRUPT(flagstore_get_string_n(store, "flag", 4, &len, &error) == NULL);
    flagstore_error_t *error = GARBAGE;
    CHECK_OWNED("fall back", flagstore_get_string(store, "flag", "fall back", &error));
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE, error);
}

static void every_change_is_corrupt(flagstore_t *store, long line, long column) {
    CHECK_CORRUPT(!flagstore_set(store, "flag", "2", &error));
    CHECK_CORRUPT(!flagstore_set(store, "new", "2", &error));
    CHECK_CORRUPT(!flagstore_delete(store, "flag", &error));
    CHECK_CORRUPT(!flagstore_delete(store, "absent", &error));
    CHECK_CORRUPT(!flagstore_set_bool(store, "flag", true, &error));
    CHECK_CORRUPT(!flagstore_set_int64(store, "flag", 2, &error));
    CHECK_CORRUPT(!flagstore_set_double(store, "flag", 2, &error));
    CHECK_CORRUPT(!flagstore_set_string(store, "flag", "2", &error));
    CHECK_CORRUPT(!flagstore_set_n(store, "flag", 4, "2", 1, &error));
    CHECK_CORRUPT(!flagstore_delete_n(store, "flag", 4, &error));
}

static void a_corrupt_file_is_reported_and_never_written_over(void) {
    flagstore_error_t *error = GARBAGE;
    for (size_t row = 0; row < COUNT(FILES); row++) {
        check_row = FILES[row].name;
        write_file(FLAGS_FILE, FILES[row].bytes, FILES[row].len);
        struct stat before = STATUS_OF(FLAGS_FILE);
        flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
        CHECK_OK(error);
        every_read_is_corrupt(store, FILES[row].line, FILES[row].column);
        every_change_is_corrupt(store, FILES[row].line, FILES[row].column);
        flagstore_free(store);
        CHECK_LEFT_ALONE(before, FLAGS_FILE);
        check_file(__FILE__, __LINE__, FILES[row].bytes, FILES[row].len, FLAGS_FILE);
        CHECK(access(".flags.json.tmp", F_OK) != 0);
        CHECK(unlink(FLAGS_FILE) == 0);
    }
}

static void a_repaired_file_works_again(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    SET(store, "flag", "1");
    write_file(FLAGS_FILE, "{\"flag\":", 8);
    CHECK(flagstore_get(store, "flag", &error) == NULL);
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE, error);
    write_file(FLAGS_FILE, "{\"flag\":2}", 10);
    CHECK_GET("2", store, "flag");
    SET(store, "flag", "3");
    CHECK_FILE("{\n  \"flag\": 3\n}\n", FLAGS_FILE);
    flagstore_free(store);
}

static void a_file_nested_127_levels_is_fine(void) {
    static const char text[] = "{\"flag\":[" DEPTH_126 ENDS_126 "]}";
    flagstore_error_t *error = GARBAGE;
    write_file(FLAGS_FILE, text, strlen(text));
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    CHECK_ALL(text, store);
    SET(store, "other", "1");
    CHECK_GET("[" DEPTH_126 ENDS_126 "]", store, "flag");
    flagstore_free(store);
}

int main(void) {
    RUN(a_corrupt_file_is_reported_and_never_written_over);
    RUN(a_repaired_file_works_again);
    RUN(a_file_nested_127_levels_is_fine);
    return check_summary("corrupt");
}
