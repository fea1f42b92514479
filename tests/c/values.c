/* run: plain valgrind sanitizers */
/* Which texts are values, how they come back, and that a text that is none changes nothing. */
#include "check.h"

/* One row per text that is JSON; back NULL: it comes back as it went in. */
static const struct {
    const char *json, *back;
} ACCEPTED[] = {
    {"null", NULL}, {"true", NULL}, {"false", NULL}, {"\"\"", NULL}, {"[]", NULL}, {"{}", NULL},
    /* numbers keep their digits */
    {"0", NULL}, {"-0", NULL}, {"1", NULL}, {"1.0", NULL}, {"1.10", NULL}, {"1e5", NULL}, {"1E5", NULL},
    {"1e+5", NULL}, {"1E-05", NULL}, {"-0.0", NULL}, {"0e0", NULL}, {"1e400", NULL}, {"-1e400", NULL},
    {"1e-400", NULL}, {"12345678901234567890123", NULL}, {"0.1000000000000000055511151231257827", NULL},
    {"1e99999999999999999999", NULL}, {"18446744073709551616", NULL}, {"[1.10,1e5,-0]", NULL},
    /* white space goes, wherever it stands */
    {" \t\r\n1 \t\r\n", "1"}, {"[ ]", "[]"}, {"{ }", "{}"}, {"[ 1 ,\n2\t]", "[1,2]"}, {"{ \"a\" :\r\n1 }", "{\"a\":1}"},
    {"\" kept inside \"", NULL},
    /* objects are sorted and say each name once, with its last value */
    {"{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"},
    {"[{\"b\":{\"d\":1,\"c\":2},\"a\":[]}]", "[{\"a\":[],\"b\":{\"c\":2,\"d\":1}}]"},
    {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
    {"{\"a\":{\"x\":1},\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}"},
    {"{\"a\":1,\"\\u0061\":2}", "{\"a\":2}"},
    {"[{\"k\":[1],\"k\":[2]}]", "[{\"k\":[2]}]"},
    {"{\"\":1,\"\":2}", "{\"\":2}"},
    {"{\"aa\":1,\"a\":2,\"a \":3,\"B\":4}", "{\"B\":4,\"a\":2,\"a \":3,\"aa\":1}"},
    {"{\"\\ud83d\\ude00\":1,\"\\uff5e\":2}", "{\"\xef\xbd\x9e\":2,\"\xf0\x9f\x98\x80\":1}"},
    /* strings: only what must be escaped is */
    {"\"\\/\"", "\"/\""}, {"\"\\u0041\"", "\"A\""}, {"\"\\u00e9\\u00E9\"", "\"\xc3\xa9\xc3\xa9\""},
    {"\"\\\"\\\\\\b\\f\\n\\r\\t\"", NULL},
    {"\"\\u0022\\u005c\\u0008\\u000c\\u000a\\u000d\\u0009\"", "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
    {"\"\\u0000\"", NULL}, {"\"\\u001f\\u001F\"", "\"\\u001f\\u001f\""},
    {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""}, {"\"\\uD83D\\uDE00\"", "\"\xf0\x9f\x98\x80\""},
    {"\"\\u2028\"", "\"\xe2\x80\xa8\""}, {"\"\\uffff\"", "\"\xef\xbf\xbf\""},
    {"\"\\udbff\\udfff\"", "\"\xf4\x8f\xbf\xbf\""},
    {"\"\\ufeff\"", "\"\xef\xbb\xbf\""}, {"\"\xe6\x97\xa5\xe6\x9c\xac\"", NULL}, {"\"\\\\u0041\"", NULL},
    /* a surrogate without its other half stays an escape, in lower case */
    {"\"\\ud800\"", NULL}, {"\"\\udfff\"", NULL}, {"\"\\uD83D\"", "\"\\ud83d\""}, {"\"\\ud83dx\"", NULL},
    {"\"\\ud83d\\u0041\"", "\"\\ud83dA\""}, {"\"\\ud83d\\ud83d\"", NULL}, {"\"\\ude00\\ud83d\"", NULL},
    {"\"\\ud83d\\n\"", NULL}, {"\"\\ud83d\\\\ude00\"", NULL},
    {"\"\\ud83d\\uD83D\\uDE00\\ude00\"", "\"\\ud83d\xf0\x9f\x98\x80\\ude00\""}, {"{\"\\ud800\":1}", NULL},
    {"{\"\\uffff\":1,\"\\uD83D\":2,\"\\ud83d\":3}", "{\"\\ud83d\":3,\"\xef\xbf\xbf\":1}"},
};

static void every_json_text_comes_back_compact(flagstore_t *store) {
    char all[256];
    for (size_t i = 0; i < COUNT(ACCEPTED); i++) {
        const char *back = ACCEPTED[i].back ? ACCEPTED[i].back : ACCEPTED[i].json;
        check_row = ACCEPTED[i].json;
        SET(store, "flag", ACCEPTED[i].json);
        CHECK_GET(back, store, "flag");
        snprintf(all, sizeof all, "{\"flag\":%s}", back);
        CHECK_ALL(all, store);
    }
}

/* Texts that are not one JSON value; line and column count from 1, in characters; 0: any will do. */
static const struct {
    const char *json;
    long line, column;
} REFUSED[] = {
    {"?", 1, 1}, {"[1, ?]", 1, 5}, {"{\"a\": 1,\n \"b\": ?}", 2, 7}, {"[\n\n?]", 3, 1}, {"[\"\xc3\xa9\", ?]", 1, 7},
    {"\n\n  x", 3, 3}, {"[\r\n ?]", 2, 2},
    {"", 0, 0}, {" \n ", 0, 0}, {"[", 0, 0}, {"{", 0, 0}, {"]", 1, 1}, {"}", 1, 1}, {"[1", 0, 0}, {"{\"a\":1", 0, 0},
    {"\"open", 0, 0}, {"{\"a\":", 0, 0}, {"[1}", 0, 0}, {"{\"a\":1]", 0, 0},
    /* something behind the value */
    {"1 2", 1, 3}, {"{} x", 1, 4}, {"{}{}", 0, 0}, {"[],", 0, 0}, {"null\nnull", 2, 1},
    /* commas and colons */
    {"[1,]", 0, 0}, {"[,1]", 0, 0}, {"[1 2]", 0, 0}, {"[1,,2]", 0, 0}, {"{\"a\":1,}", 0, 0}, {"{,}", 0, 0},
    {"{\"a\" 1}", 0, 0}, {"{\"a\",1}", 0, 0}, {"{\"a\"}", 0, 0}, {"[\"a\":1]", 0, 0},
    /* other languages */
    {"{a:1}", 0, 0}, {"{1:1}", 0, 0}, {"{null:1}", 0, 0}, {"'a'", 0, 0}, {"{'a':1}", 0, 0}, {"True", 0, 0},
    {"TRUE", 0, 0},
    {"None", 0, 0}, {"undefined", 0, 0}, {"nil", 0, 0}, {"// c\n1", 0, 0}, {"1 /* c */", 0, 0}, {"# c\n1", 0, 0},
    {"tru", 0, 0}, {"truee", 0, 0}, {"nul", 0, 0}, {"fals", 0, 0},
    /* numbers */
    {"NaN", 0, 0}, {"Infinity", 0, 0}, {"-Infinity", 0, 0}, {"[NaN]", 0, 0}, {"+1", 0, 0}, {"01", 0, 0}, {"-01", 0, 0},
    {"00", 0, 0}, {"1.", 0, 0}, {".5", 0, 0}, {"-.5", 0, 0}, {"1.e5", 0, 0}, {"1e", 0, 0}, {"1e+", 0, 0}, {"-", 0, 0},
    {"--1", 0, 0}, {"0x10", 0, 0}, {"1_000", 0, 0}, {"1,5", 0, 0}, {"1.5.5", 0, 0}, {"1e5.5", 0, 0}, {"- 1", 0, 0},
    {"1f", 0, 0},
    /* escapes */
    {"\"\\x41\"", 0, 0}, {"\"\\\"", 0, 0}, {"\"\\u12\"", 0, 0}, {"\"\\u12g4\"", 0, 0}, {"\"\\U0041\"", 0, 0},
    {"\"\\'\"", 0, 0},
    {"\"\\0\"", 0, 0}, {"\"\\u+123\"", 0, 0},
    /* halves of a surrogate's escape, in values and in names */
    {"\"\\ud80\"", 1, 7}, {"\"\\ud83d\\ude0\"", 1, 13}, {"\"\\ud83d\\u\"", 0, 0}, {"\"\\ud83d\\x\"", 0, 0},
    {"{\"\\ud83\":1}", 0, 0}, {"[[\"\\udff\"]]", 0, 0}, {"\"\\ud83d", 0, 0}, {"\"\\ud83d\\", 0, 0},
    /* raw control characters in strings; other white space between tokens */
    {"\"a\nb\"", 0, 0}, {"\"a\tb\"", 0, 0}, {"\"\x01\"", 0, 0}, {"\"\x1f\"", 0, 0}, {"{\"a\nb\":1}", 0, 0},
    {"\f1", 0, 0}, {"\v1", 0, 0},
    {"\xc2\xa0" "1", 0, 0}, {"1\x01", 0, 0},
    /* byte-order marks */
    {"\xef\xbb\xbf" "1", 0, 0}, {"\xef\xbb\xbf{}", 0, 0}, {"[\xef\xbb\xbf" "1]", 0, 0},
};

static const char *const NOT_UTF8[] = {
    "\"\xff\"", "\"\x80\"", "\"\xc3\"", "\"\xc3\x28\"", "\"\xc0\x80\"", "\"\xe0\x80\xaf\"", "\"\xed\xa0\x80\"",
    "\"\xed\xa0\xbd\xed\xb8\x80\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98\"", "\"\xf4\x90\x80\x80\"",
    "\"\xf8\x88\x80\x80\x80\"",
    "{\"\xff\":1}", "\xff", "1\xff", "\xff\xfe\x31",
};

static void fill_for_refusals(flagstore_t *store) {
    SET(store, "the flag", "{\"kept\":[1.10]}");
    SET(store, "other", "2");
}

static void check_nothing_changed(const flagstore_t *store) {
    CHECK_ALL("{\"other\":2,\"the flag\":{\"kept\":[1.10]}}", store);
}

static void what_is_not_json_is_refused_with_its_place(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    fill_for_refusals(store);
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        check_row = REFUSED[i].json;
        CHECK(!flagstore_set(store, "the flag", REFUSED[i].json, &error));
        CHECK_POSITION(error, "the flag", REFUSED[i].line, REFUSED[i].column);
        CHECK_ERROR(FLAGSTORE_INVALID_JSON, NULL, error);
        CHECK(!flagstore_set(store, "new", REFUSED[i].json, &error));
        CHECK_ERROR(FLAGSTORE_INVALID_JSON, "new", error);
        check_nothing_changed(store);
    }
}

static void what_is_not_utf8_is_an_invalid_argument(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    fill_for_refusals(store);
    for (size_t i = 0; i < COUNT(NOT_UTF8); i++) {
        check_row = NOT_UTF8[i];
        CHECK(!flagstore_set(store, "the flag", NOT_UTF8[i], &error));
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
        check_nothing_changed(store);
    }
}

/* Opens depth containers around a 1, of arrays or of objects, or of both by turns. */
static char *nested(int depth, bool arrays, bool objects) {
    char *text = malloc((size_t)depth * 6 + 2), *end = text;
    for (int i = 0; i < depth; i++)
        end = stpcpy(end, arrays && (!objects || i % 2) ? "[" : "{\"a\":");
    *end++ = '1';
    for (int i = depth - 1; i >= 0; i--)
        *end++ = arrays && (!objects || i % 2) ? ']' : '}';
    *end = '\0';
    return text;
}

static void depth_127_is_accepted_and_128_refused(flagstore_t *store) {
    for (int shape = 1; shape <= 3; shape++) {
        flagstore_error_t *error = GARBAGE;
        bool arrays = shape & 1, objects = shape & 2;
        static const int too_deep[] = {128, 129, 200000};
        char *deepest = nested(127, arrays, objects);
        SET(store, "flag", deepest);
        CHECK_GET(deepest, store, "flag");
        for (size_t i = 0; i < COUNT(too_deep); i++) {
            char *text = nested(too_deep[i], arrays, objects);
            CHECK(!flagstore_set(store, "flag", text, &error));
            CHECK_POSITION(error, "flag", 0, 0);
            CHECK_ERROR(FLAGSTORE_INVALID_JSON, NULL, error);
            free(text);
        }
        CHECK_GET(deepest, store, "flag");
        free(deepest);
    }
}

/* 50 000 containers side by side are not deep. */
static void width_is_not_depth(flagstore_t *store) {
    enum { PAIRS = 50000 };
    char *text = malloc(PAIRS * 3 + 2), *end = text;
    for (int i = 0; i < PAIRS; i++) {
        *end++ = i ? ',' : '[';
        *end++ = '[';
        *end++ = ']';
    }
    *end++ = ']';
    *end = '\0';
    SET(store, "flag", text);
    CHECK_GET(text, store, "flag");
    free(text);
}

int main(void) {
    RUN_ON_EVERY_KIND(every_json_text_comes_back_compact);
    RUN_ON_EVERY_KIND(what_is_not_json_is_refused_with_its_place);
    RUN_ON_EVERY_KIND(what_is_not_utf8_is_an_invalid_argument);
    RUN_ON_EVERY_KIND(depth_127_is_accepted_and_128_refused);
    RUN_ON_EVERY_KIND(width_is_not_depth);
    return check_summary("values");
}
