// The contract, kept by every kind of store, through flagstore.hpp.
#include "check.hpp"

#include <cmath>
#include <limits>

using flagstore::store;
using flagstore::text;

static const std::string NUL("\0", 1);

static void set_and_get_give_compact_json(store &flags) {
    static const struct { const char *given, *got; } rows[] = {
        {"null", "null"},
        {" true\n", "true"},
        {"\"a\\u00e9\\/\\u0001\"", "\"aé/\\u0001\""},
        {"{ \"b\" : [1 , 2], \"a\" : {} }", "{\"a\":{},\"b\":[1,2]}"},
        {"{\"a\": 1, \"a\": 2}", "{\"a\":2}"},
        {"[1.10, 1e5, -0, 1E+2, 12345678901234567890123, 1e400]", "[1.10,1e5,-0,1E+2,12345678901234567890123,1e400]"},
    };
    for (const auto &row : rows) {
        flags.set("key", row.given);
        CHECK_JSON(row.got, flags.get("key"));
    }
    CHECK_EQUAL(1u, flags.size());
}

static void an_absent_key_is_no_error(store &flags) {
    CHECK_JSON(nullptr, flags.get("missing"));
    CHECK_JSON(nullptr, flags.get_string("missing"));
    CHECK_EQUAL(FLAGSTORE_TYPE_ABSENT, flags.type("missing"));
    CHECK_EQUAL(false, flags.remove("missing"));
    flags.set("null", "null");
    CHECK_JSON("null", flags.get("null"));
}

static void remove_tells_whether_the_key_was_there(store &flags) {
    flags.set("a", 1);
    flags.set("b", 2);
    CHECK_EQUAL(true, flags.remove("a"));
    CHECK_EQUAL(false, flags.remove("a"));
    CHECK_JSON(nullptr, flags.get("a"));
    CHECK_EQUAL(std::string("{\"b\":2}"), flags.list_all());
}

static void list_all_is_one_sorted_object(store &flags) {
    CHECK_EQUAL(std::string("{}"), flags.list_all());
    CHECK_EQUAL(0u, flags.size());
    for (const char *key : {"z", "é", "a", "", "B"})
        flags.set(key, 1);
    CHECK_EQUAL(std::string("{\"\":1,\"B\":1,\"a\":1,\"z\":1,\"é\":1}"), flags.list_all());
    CHECK_EQUAL(5u, flags.size());
}

static void a_key_is_any_utf8_text(store &flags) {
    const std::string keys[] = {
        "", "a", NUL, "a" + NUL + "b", "a" + NUL + "c", "ключ 👋", std::string(5000, 'k'),
    };
    int number = 0;
    for (const auto &key : keys)
        flags.set(key, number++);
    number = 0;
    for (const auto &key : keys)
        CHECK_EQUAL(number++, flags.get_int64(key, -1));
    CHECK_EQUAL(7u, flags.size());
    for (const auto &key : keys)
        CHECK_EQUAL(true, flags.remove(key));
    CHECK_EQUAL(0u, flags.size());
}

static void what_is_not_text_is_refused(store &flags) {
    const int32_t invalid = FLAGSTORE_INVALID_ARGUMENT;
    const char *null = nullptr;
    for (const text &key : {text(null), text(null, 0), text("\xff"), text("\xc3"), text("\xed\xa0\x80")}) {
        CHECK_THROWS(invalid, "", flags.get(key));
        CHECK_THROWS(invalid, "", flags.get_string(key));
        CHECK_THROWS(invalid, "", flags.set(key, "1"));
        CHECK_THROWS(invalid, "", flags.set(key, 1.5));
        CHECK_THROWS(invalid, "", flags.set_string(key, "x"));
        CHECK_THROWS(invalid, "", flags.remove(key));
        CHECK_THROWS(invalid, "", flags.type(key));
        CHECK_EQUAL(true, flags.get_bool(key, true));
    }
    CHECK_THROWS(invalid, "", flags.set("key", null));
    CHECK_THROWS(invalid, "", flags.set_string("key", null));
    CHECK_THROWS(invalid, "", flags.set_string("key", "\xff"));
    CHECK_EQUAL(0u, flags.size());
}

static void calls_that_take_no_length_refuse_u0000(store &flags) {
    flags.set("a", 1);
    const std::string key = "a" + NUL + "b";
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "U+0000", flags.type(key));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "U+0000", flags.set(key, 1.5));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "U+0000", flags.set_string(key, "x"));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "U+0000", flags.set_string("a", key));
    CHECK_EQUAL(std::string("{\"a\":1}"), flags.list_all());
}

static void what_is_not_one_json_value_is_refused(store &flags) {
    const std::string deep = std::string(128, '[') + std::string(128, ']');
    const std::string rows[] = {"", " ", "tru", "01", "1.", "+1", "NaN", "Infinity", "'x'", "{\"a\":1,}", "[1 2]",
                                "{\"a\"}", "\"\\x\"", "\"\\ud80\"", "\"a\nb\"", "1 2", "-", deep, "1" + NUL};
    flags.set("key", "\"kept\"");
    for (const auto &row : rows)
        CHECK_THROWS(FLAGSTORE_INVALID_JSON, "", flags.set("key", row));
    CHECK_THROWS(FLAGSTORE_INVALID_JSON, "line 2 column 5", flags.set("key", "{\"a\": 1,\n\"b\" 2}"));
    CHECK_JSON("\"kept\"", flags.get("key"));

    flags.set("deep", deep.substr(1, 254));
    CHECK_EQUAL(254u, flags.get("deep")->size());
}

static void typed_getters_convert_or_fall_back(store &flags) {
    static const double inf = std::numeric_limits<double>::infinity();
    static const struct { const char *json; bool as_bool; int64_t as_int64; double as_double; } rows[] = {
        {"true", true, 7, 0.5}, {"false", false, 7, 0.5}, {"null", true, 7, 0.5},
        {"\"1\"", true, 7, 0.5}, {"[1]", true, 7, 0.5}, {"{}", true, 7, 0.5},
        {"3", true, 3, 3}, {"-7", true, -7, -7}, {"3.0", true, 3, 3}, {"3e2", true, 300, 300},
        {"3.5", true, 7, 3.5}, {"1e-1", true, 7, 0.1}, {"1e400", true, 7, 0.5}, {"1e300", true, 7, 1e300},
        {"9223372036854775807", true, INT64_MAX, 9223372036854775807.0},
        {"9223372036854775808", true, 7, 9223372036854775808.0},
        {"-9223372036854775808", true, INT64_MIN, -9223372036854775808.0},
    };
    for (const auto &row : rows) {
        check::context = std::string("typed getters of ") + row.json;
        flags.set("key", row.json);
        CHECK_EQUAL(row.as_bool, flags.get_bool("key", true));
        CHECK_EQUAL(row.as_int64, flags.get_int64("key", 7));
        CHECK_EQUAL(row.as_double, flags.get_double("key", 0.5));
    }
    CHECK_EQUAL(false, flags.get_bool("missing", false));
    CHECK_EQUAL(INT64_MIN, flags.get_int64("missing", INT64_MIN));
    CHECK_EQUAL(inf, flags.get_double("missing", inf));
}

static void get_string_unquotes(store &flags) {
    flags.set("key", "\"\\\"a\\\\\\n\\u00e9\\ud83d\\ude00\"");
    CHECK_JSON("\"a\\\né😀", flags.get_string("key"));
    flags.set("key", "\"a\\u0000b\"");
    CHECK_EQUAL("a" + NUL + "b", flags.get_string("key", "fallback"));
    CHECK_EQUAL("a" + NUL + "b", flags.get_string("key").value_or("nothing"));
    flags.set("key", "\"\"");
    CHECK_JSON("", flags.get_string("key"));
    for (const char *other : {"1", "null", "true", "[]", "{}"}) {
        flags.set("key", other);
        CHECK_THROWS(FLAGSTORE_TYPE_MISMATCH, "key", flags.get_string("key"));
        CHECK_EQUAL(std::string("fallback"), flags.get_string("key", "fallback"));
    }
    CHECK_EQUAL(std::string("fallback"), flags.get_string("missing", "fallback"));
}

static void type_tells_the_kind_of_value(store &flags) {
    static const struct { const char *json; int32_t type; } rows[] = {
        {"null", FLAGSTORE_TYPE_NULL}, {"false", FLAGSTORE_TYPE_BOOL}, {"-1.5", FLAGSTORE_TYPE_NUMBER},
        {"\"{\"", FLAGSTORE_TYPE_STRING}, {"[{}]", FLAGSTORE_TYPE_ARRAY}, {"{\"a\":[]}", FLAGSTORE_TYPE_OBJECT},
    };
    for (const auto &row : rows) {
        flags.set("key", row.json);
        CHECK_EQUAL(row.type, flags.type("key"));
    }
}

static void set_takes_the_types_of_the_language(store &flags) {
    flags.set("key", true);
    CHECK_JSON("true", flags.get("key"));
    flags.set("key", "true"); // a pointer is JSON text, not a bool
    CHECK_JSON("true", flags.get("key"));
    flags.set("key", 0); // an int, not a null pointer
    CHECK_JSON("0", flags.get("key"));
    flags.set("key", INT64_MIN);
    CHECK_JSON("-9223372036854775808", flags.get("key"));
    flags.set("key", UINT64_MAX);
    CHECK_JSON("18446744073709551615", flags.get("key"));
    flags.set("key", static_cast<short>(-3));
    CHECK_JSON("-3", flags.get("key"));
    flags.set("key", 0.5f);
    CHECK_JSON("0.5", flags.get("key"));
    flags.set_string("key", "\"quoted\"\n\x7fé");
    CHECK_JSON("\"quoted\"\n\x7fé", flags.get_string("key"));

    static const struct { double value; const char *json; } rows[] = {
        {0.1, "0.1"}, {1e16, "1e+16"}, {1e-5, "1e-05"}, {100000.0, "100000.0"}, {-0.0, "-0.0"}, {5e-324, "5e-324"},
    };
    for (const auto &row : rows) {
        flags.set("key", row.value);
        CHECK_JSON(row.json, flags.get("key"));
    }
    for (double bad : {std::nan(""), std::numeric_limits<double>::infinity()})
        CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", flags.set("key", bad));
    CHECK_JSON("5e-324", flags.get("key"));
}

#define PROMISE(name) {#name, name}
static const struct { const char *name; void (*check)(store &); } PROMISES[] = {
    PROMISE(set_and_get_give_compact_json),
    PROMISE(an_absent_key_is_no_error),
    PROMISE(remove_tells_whether_the_key_was_there),
    PROMISE(list_all_is_one_sorted_object),
    PROMISE(a_key_is_any_utf8_text),
    PROMISE(what_is_not_text_is_refused),
    PROMISE(calls_that_take_no_length_refuse_u0000),
    PROMISE(what_is_not_one_json_value_is_refused),
    PROMISE(typed_getters_convert_or_fall_back),
    PROMISE(get_string_unquotes),
    PROMISE(type_tells_the_kind_of_value),
    PROMISE(set_takes_the_types_of_the_language),
};

int main(int argc, char **argv) {
    for (const auto &kind : check::kinds(argc, argv)) {
        for (const auto &promise : PROMISES) {
            check::context = std::string(kind.name) + " " + promise.name;
            check::directory here;
            store flags = kind.open(here);
            promise.check(flags);
        }
    }
    return check::report("C++ contract on every kind of store");
}
