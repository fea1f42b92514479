/* run: plain valgrind sanitizers */
/* The typed setters: the JSON text each writes, and what they refuse. */
#include "check.h"

#include <math.h>

static void set_bool_writes_true_and_false(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    CHECK(flagstore_set_bool(store, "flag", true, &error));
    CHECK_OK(error);
    CHECK_GET("true", store, "flag");
    CHECK(flagstore_get_bool(store, "flag", false, &error));
    CHECK_OK(error);
    CHECK(flagstore_set_bool(store, "flag", false, NULL));
    CHECK_GET("false", store, "flag");
    CHECK(!flagstore_get_bool(store, "flag", true, NULL));
}

static const struct {
    int64_t value;
    const char *json;
} INTS[] = {
    {0, "0"}, {3, "3"}, {-7, "-7"}, {INT64_C(9007199254740993), "9007199254740993"},
    {INT64_MAX, "9223372036854775807"}, {INT64_MIN, "-9223372036854775808"},
};

static void set_int64_writes_every_digit(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(INTS); i++) {
        check_row = INTS[i].json;
        CHECK(flagstore_set_int64(store, "flag", INTS[i].value, &error));
        CHECK_OK(error);
        CHECK_GET(INTS[i].json, store, "flag");
        CHECK_INT(INTS[i].value, flagstore_get_int64(store, "flag", 42, &error));
        CHECK_OK(error);
    }
}

/* The texts are what Python's repr says. */
static const struct {
    double value;
    const char *json;
} DOUBLES[] = {
    {0.0, "0.0"}, {-0.0, "-0.0"}, {1.0, "1.0"}, {-1.5, "-1.5"}, {0.1, "0.1"}, {0.30000000000000004, "0.30000000000000004"},
    {1.0 / 3, "0.3333333333333333"},
    {100000.0, "100000.0"}, {123456789.0, "123456789.0"}, {1e15, "1000000000000000.0"},
    {9999999999999998.0, "9999999999999998.0"},
    {1e16, "1e+16"}, {12345678901234567.0, "1.2345678901234568e+16"}, {1e17, "1e+17"}, {1e22, "1e+22"},
    {1e23, "1e+23"}, {-2.5e100, "-2.5e+100"},
    {0.001, "0.001"}, {0.0001, "0.0001"}, {0.00012345, "0.00012345"}, {0.00001, "1e-05"},
    {-0.000012345, "-1.2345e-05"}, {1e-7, "1e-07"},
    {1e-10, "1e-10"}, {2.5e-100, "2.5e-100"}, {5e-324, "5e-324"}, {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {1.7976931348623157e308, "1.7976931348623157e+308"}, {9007199254740993.0, "9007199254740992.0"},
    {3.14159265358979323846, "3.141592653589793"},
    {1234567890123456.7, "1234567890123456.8"}, {4.35, "4.35"}, {5e-5, "5e-05"}, {299792458.0, "299792458.0"},
};

static void set_double_writes_what_python_would(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(DOUBLES); i++) {
        check_row = DOUBLES[i].json;
        CHECK(flagstore_set_double(store, "flag", DOUBLES[i].value, &error));
        CHECK_OK(error);
        CHECK_GET(DOUBLES[i].json, store, "flag");
        double back = flagstore_get_double(store, "flag", 42, &error);
        CHECK_OK(error);
        CHECK(memcmp(&back, &DOUBLES[i].value, sizeof back) == 0);
    }
}

static void set_double_refuses_what_is_not_finite(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    const double values[] = {NAN, -NAN, INFINITY, -INFINITY};
    SET(store, "flag", "1.10");
    for (size_t i = 0; i < COUNT(values); i++) {
        CHECK(!flagstore_set_double(store, "flag", values[i], &error));
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
        CHECK(!flagstore_set_double(store, "new", values[i], NULL));
    }
    CHECK_ALL("{\"flag\":1.10}", store);
}

static const struct {
    const char *text, *json;
} STRINGS[] = {
    {"", "\"\""}, {"text", "\"text\""}, {"say \"hi\"", "\"say \\\"hi\\\"\""}, {"back\\slash/", "\"back\\\\slash/\""},
    {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""}, {"\x01\x1f", "\"\\u0001\\u001f\""},
    {"\xc3\xbc \xe6\x97\xa5", "\"\xc3\xbc \xe6\x97\xa5\""},
    {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""}, {"\\u0041", "\"\\\\u0041\""}, {"null", "\"null\""},
    {"\xef\xbb\xbf", "\"\xef\xbb\xbf\""},
};

static void set_string_quotes_any_text(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(STRINGS); i++) {
        check_row = STRINGS[i].json;
        CHECK(flagstore_set_string(store, "flag", STRINGS[i].text, &error));
        CHECK_OK(error);
        CHECK_GET(STRINGS[i].json, store, "flag");
        CHECK_OWNED(STRINGS[i].text, flagstore_get_string(store, "flag", NULL, &error));
        CHECK_OK(error);
    }
}

static void set_string_refuses_what_is_not_utf8(flagstore_t *store) {
    static const char *const texts[] = {"\xff", "a\x80", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf4\x90\x80\x80"};
    flagstore_error_t *error = GARBAGE;
    SET(store, "flag", "\"kept\"");
    for (size_t i = 0; i < COUNT(texts); i++) {
        CHECK(!flagstore_set_string(store, "flag", texts[i], &error));
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
        CHECK_ALL("{\"flag\":\"kept\"}", store);
    }
}

static void a_typed_set_replaces_any_type(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    SET(store, "flag", "{\"a\":[1,2]}");
    CHECK(flagstore_set_int64(store, "flag", 1, &error));
    CHECK_OK(error);
    CHECK_GET("1", store, "flag");
    CHECK(flagstore_set_double(store, "flag", 1, &error)); /* 1 and 1.0 are equal numbers but not the same text */
    CHECK_OK(error);
    CHECK_GET("1.0", store, "flag");
    CHECK(flagstore_set_string(store, "flag", "1", &error));
    CHECK_OK(error);
    CHECK_GET("\"1\"", store, "flag");
    CHECK(flagstore_set_bool(store, "flag", true, &error));
    CHECK_OK(error);
    CHECK_ALL("{\"flag\":true}", store);
}

int main(void) {
    RUN_ON_EVERY_KIND(set_bool_writes_true_and_false);
    RUN_ON_EVERY_KIND(set_int64_writes_every_digit);
    RUN_ON_EVERY_KIND(set_double_writes_what_python_would);
    RUN_ON_EVERY_KIND(set_double_refuses_what_is_not_finite);
    RUN_ON_EVERY_KIND(set_string_quotes_any_text);
    RUN_ON_EVERY_KIND(set_string_refuses_what_is_not_utf8);
    RUN_ON_EVERY_KIND(a_typed_set_replaces_any_type);
    return check_summary("typed_set");
}
