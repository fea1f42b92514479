/* run: plain valgrind sanitizers */
/* The typed getters: which JSON value each takes, and the fallback with or without an error for all others. */
#include "check.h"

#include <math.h>

#define ABSENT NULL /* a row without a value: the key is absent, which is no error */

static void store_row(flagstore_t *store, const char *json) {
    check_row = json ? json : "absent";
    if (json) SET(store, "flag", json);
    else flagstore_delete(store, "flag", NULL);
}

static void check_mismatch(int line, const char *json, bool fits, flagstore_error_t **error) {
    if (fits || !json) check_error(__FILE__, line, FLAGSTORE_OK, NULL, error);
    else check_error(__FILE__, line, FLAGSTORE_TYPE_MISMATCH, "flag", error);
}

static const struct {
    const char *json;
    int32_t type;
} TYPES[] = {
    {ABSENT, FLAGSTORE_TYPE_ABSENT}, {"null", FLAGSTORE_TYPE_NULL}, {"true", FLAGSTORE_TYPE_BOOL},
    {"false", FLAGSTORE_TYPE_BOOL},
    {"0", FLAGSTORE_TYPE_NUMBER}, {"-1e400", FLAGSTORE_TYPE_NUMBER}, {"\"\"", FLAGSTORE_TYPE_STRING},
    {"\"a\\u0000b\"", FLAGSTORE_TYPE_STRING}, {"[]", FLAGSTORE_TYPE_ARRAY}, {"[1]", FLAGSTORE_TYPE_ARRAY},
    {"{}", FLAGSTORE_TYPE_OBJECT}, {"{\"a\":[]}", FLAGSTORE_TYPE_OBJECT},
};

static void get_type_names_what_is_stored(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        store_row(store, TYPES[i].json);
        CHECK_INT(TYPES[i].type, flagstore_get_type(store, "flag", &error));
        CHECK_OK(error);
    }
}

static const struct {
    const char *json;
    bool fits, value;
} BOOLS[] = {
    {"true", true, true}, {"false", true, false}, {ABSENT, false, false}, {"null", false, false}, {"0", false, false},
    {"1", false, false}, {"\"true\"", false, false}, {"[true]", false, false}, {"{}", false, false},
};

static void get_bool_takes_true_and_false(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(BOOLS); i++) {
        store_row(store, BOOLS[i].json);
        for (int fallback = 0; fallback <= 1; fallback++) {
            bool expected = BOOLS[i].fits ? BOOLS[i].value : fallback;
            CHECK_INT(expected, flagstore_get_bool(store, "flag", fallback, &error));
            check_mismatch(__LINE__, BOOLS[i].json, BOOLS[i].fits, &error);
            CHECK_INT(expected, flagstore_get_bool(store, "flag", fallback, NULL));
        }
    }
}

static const struct {
    const char *json;
    bool fits;
    int64_t value;
} INTS[] = {
    {"3", true, 3}, {"-7", true, -7}, {"0", true, 0}, {"-0", true, 0},
    {"3.0", true, 3}, {"3e2", true, 300}, {"3E+2", true, 300}, {"-3.000e0", true, -3}, {"1.5e1", true, 15},
    {"300e-2", true, 3},
    {"-0.0", true, 0}, {"0e5", true, 0}, {"0e99999999999999999999", true, 0}, {"0.0e-400", true, 0},
    {"1000000000000000000000e-21", true, 1}, {"0.000000000000000000001e21", true, 1},
    {"9223372036854775807", true, INT64_MAX}, {"-9223372036854775808", true, INT64_MIN},
    {"9223372036854775807.0", true, INT64_MAX}, {"9.223372036854775807e18", true, INT64_MAX},
    {"-92233720368547758080e-1", true, INT64_MIN}, {"9007199254740993.0", true, INT64_C(9007199254740993)},
    {"1e18", true, INT64_C(1000000000000000000)},
    /* out of range */
    {"9223372036854775808", false, 0}, {"-9223372036854775809", false, 0}, {"9223372036854775808.0", false, 0},
    {"1e19", false, 0},
    {"18446744073709551615", false, 0}, {"12345678901234567890123", false, 0}, {"1e400", false, 0},
    {"-1e400", false, 0},
    {"1e99999999999999999999", false, 0},
    /* not integral */
    {"1.10", false, 0}, {"0.5", false, 0}, {"9223372036854775806.5", false, 0}, {"1e-1", false, 0},
    {"1e-400", false, 0},
    {"1e-99999999999999999999", false, 0}, {"3.0000000000000000000000000001", false, 0},
    /* not a number */
    {ABSENT, false, 0}, {"null", false, 0}, {"true", false, 0}, {"\"3\"", false, 0}, {"[3]", false, 0},
    {"{}", false, 0},
};

static void get_int64_takes_integral_numbers_in_range(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    static const int64_t fallbacks[] = {0, -42, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT(INTS); i++) {
        store_row(store, INTS[i].json);
        for (size_t j = 0; j < COUNT(fallbacks); j++) {
            int64_t expected = INTS[i].fits ? INTS[i].value : fallbacks[j];
            CHECK_INT(expected, flagstore_get_int64(store, "flag", fallbacks[j], &error));
            check_mismatch(__LINE__, INTS[i].json, INTS[i].fits, &error);
            CHECK_INT(expected, flagstore_get_int64(store, "flag", fallbacks[j], NULL));
        }
    }
}

static const struct {
    const char *json;
    bool fits;
    double value;
} DOUBLES[] = {
    {"0", true, 0.0}, {"-0", true, -0.0}, {"-0.0", true, -0.0}, {"3", true, 3.0}, {"-7", true, -7.0},
    {"1.10", true, 1.1},
    {"1e5", true, 1e5}, {"0.1", true, 0.1}, {"12345678901234567890123", true, 12345678901234567890123.0},
    {"9007199254740993", true, 9007199254740992.0}, {"0.30000000000000004", true, 0.30000000000000004},
    {"8.988465674311580536566680e307", true, 8.98846567431158e307},
    {"1.7976931348623157e308", true, 1.7976931348623157e308},
    {"5e-324", true, 5e-324}, {"2.2250738585072011e-308", true, 2.2250738585072011e-308}, {"1e-400", true, 0.0},
    {"-1e-400", true, -0.0}, {"0e99999999999999999999", true, 0.0}, {"1e-99999999999999999999", true, 0.0},
    /* too large for a double: stored all the same, but not to be had as one */
    {"1e400", false, 0}, {"-1e400", false, 0}, {"1.7976931348623159e308", false, 0},
    {"1e99999999999999999999", false, 0},
    {ABSENT, false, 0}, {"null", false, 0}, {"true", false, 0}, {"\"1.5\"", false, 0}, {"[1.5]", false, 0},
    {"{}", false, 0},
};

static bool same_double(double one, double other) { /* -0.0 is not 0.0, a NaN is a NaN */
    return (isnan(one) && isnan(other)) || (one == other && !signbit(one) == !signbit(other));
}

static void get_double_takes_any_number_a_double_can_hold(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    const double fallbacks[] = {0.0, -2.5, INFINITY, NAN};
    for (size_t i = 0; i < COUNT(DOUBLES); i++) {
        store_row(store, DOUBLES[i].json);
        for (size_t j = 0; j < COUNT(fallbacks); j++) {
            double expected = DOUBLES[i].fits ? DOUBLES[i].value : fallbacks[j];
            double got = flagstore_get_double(store, "flag", fallbacks[j], &error);
            CHECK_THAT(same_double(expected, got), "expected %.17g, got %.17g", expected, got);
            check_mismatch(__LINE__, DOUBLES[i].json, DOUBLES[i].fits, &error);
            CHECK(same_double(expected, flagstore_get_double(store, "flag", fallbacks[j], NULL)));
        }
    }
}

static const struct {
    const char *json, *text; /* NULL text: no string, or none that C can carry */
} STRINGS[] = {
    {"\"\"", ""}, {"\"text\"", "text"}, {"\"say \\\"hi\\\" \\\\ \\n\\t\\/\"", "say \"hi\" \\ \n\t/"},
    {"\"\\u00fc \xc3\xbc\"", "\xc3\xbc \xc3\xbc"}, {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"}, {"\"\\u0001\"", "\x01"},
    {"\"null\"", "null"}, {"\"\\\\u0000\"", "\\u0000"},
    {"\"\\u0000\"", NULL}, {"\"a\\u0000b\"", NULL}, {"\"ab\\u0000\"", NULL},
    {"\"\\ud83d\"", NULL}, {"\"a\\ude00b\"", NULL}, {"\"\\ud83d\\ud83d\\ude00\"", NULL}, {"\"\\\\ud83d\"", "\\ud83d"},
    {ABSENT, NULL}, {"null", NULL}, {"true", NULL}, {"1", NULL}, {"[\"a\"]", NULL}, {"{\"a\":\"b\"}", NULL},
};

static void get_string_gives_a_copy_without_quotes(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    static const char *const fallbacks[] = {NULL, "", "fall back \xc3\xbc"};
    for (size_t i = 0; i < COUNT(STRINGS); i++) {
        store_row(store, STRINGS[i].json);
        for (size_t j = 0; j < COUNT(fallbacks); j++) {
            const char *expected = STRINGS[i].text ? STRINGS[i].text : fallbacks[j];
            char *got = flagstore_get_string(store, "flag", fallbacks[j], &error);
            CHECK(got == NULL || got != fallbacks[j]); /* the fallback comes as a copy, to be freed like the rest */
            CHECK_OWNED(expected, got);
            check_mismatch(__LINE__, STRINGS[i].json, STRINGS[i].text != NULL, &error);
            CHECK_OWNED(expected, flagstore_get_string(store, "flag", fallbacks[j], NULL));
        }
    }
}

static void a_failed_getter_changes_nothing(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    SET(store, "flag", "[1.10]");
    flagstore_get_bool(store, "flag", true, NULL);
    flagstore_get_int64(store, "flag", 1, NULL);
    flagstore_get_double(store, "flag", 1, NULL);
    flagstore_free(flagstore_get_string(store, "flag", "text", NULL));
    flagstore_get_bool(store, "absent", true, NULL);
    CHECK_ALL("{\"flag\":[1.10]}", store);
    CHECK_INT(1, flagstore_len(store, &error));
    CHECK_OK(error);
}

int main(void) {
    RUN_ON_EVERY_KIND(get_type_names_what_is_stored);
    RUN_ON_EVERY_KIND(get_bool_takes_true_and_false);
    RUN_ON_EVERY_KIND(get_int64_takes_integral_numbers_in_range);
    RUN_ON_EVERY_KIND(get_double_takes_any_number_a_double_can_hold);
    RUN_ON_EVERY_KIND(get_string_gives_a_copy_without_quotes);
    RUN_ON_EVERY_KIND(a_failed_getter_changes_nothing);
    return check_summary("typed_get");
}
