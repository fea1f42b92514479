// Values as C++ types, on every kind of store: get<T>, with and without a fallback.
#include "check.hpp"

#include <atomic>
#include <cstdint>
#include <limits>

using flagstore::store;

static_assert(noexcept(std::declval<store &>().get("", false)), "the hot path never throws");
static_assert(noexcept(std::declval<store &>().get("", 0)), "nor here");
static_assert(noexcept(std::declval<store &>().get("", 0.0)), "nor here");
static_assert(std::is_same<decltype(std::declval<store &>().get("", 0u)), unsigned>::value, "as the fallback");
static_assert(std::is_same<decltype(std::declval<store &>().get("", "")), std::string>::value, "text is a string");

template <class T> static void check_is(store &flags, const char *json, T expected, T fallback) {
    flags.set("key", json);
    check::context = std::string("get of ") + json;
    const flagstore::optional<T> got = flags.get<T>("key");
    if (CHECK(got.has_value()))
        CHECK_EQUAL(expected, *got);
    CHECK_EQUAL(expected, flags.get("key", fallback));
}

template <class T> static void check_is_not(store &flags, const char *json, T fallback) {
    flags.set("key", json);
    check::context = std::string("get of ") + json;
    CHECK_THROWS(FLAGSTORE_TYPE_MISMATCH, "key", flags.get<T>("key"));
    CHECK_EQUAL(fallback, flags.get("key", fallback));
}

static void a_value_comes_as_the_type_that_is_asked_for(store &flags) {
    for (const bool fallback : {true, false}) {
        check_is<bool>(flags, "true", true, fallback);
        check_is<bool>(flags, "false", false, fallback);
    }
    for (const int fallback : {0, 1, 2}) { // by which the header tells what is there from what is not
        check_is<int>(flags, "0", 0, fallback);
        check_is<int>(flags, "1", 1, fallback);
        check_is<int>(flags, "-3e1", -30, fallback);
        check_is<double>(flags, "0", 0, fallback);
        check_is<double>(flags, "1", 1, fallback);
        check_is<double>(flags, "0.1", 0.1, fallback);
    }
    check_is<std::int64_t>(flags, "-9223372036854775808", std::numeric_limits<std::int64_t>::min(), 1);
    check_is<std::uint64_t>(flags, "9223372036854775807", 9223372036854775807u, 18446744073709551615u);
    check_is<unsigned char>(flags, "255", 255, 0);
    check_is<short>(flags, "-32768", -32768, 0);
    check_is<float>(flags, "0.5", 0.5f, 0);
    check_is<std::string>(flags, "\"a\\u0000\\u00e9\"", std::string("a\0é", 4), "else");
    check_is<std::string>(flags, "\"\"", "", "else");
}

static void what_does_not_fit_is_a_mismatch_or_the_fallback(store &flags) {
    check_is_not<bool>(flags, "1", true);
    check_is_not<bool>(flags, "null", false);
    check_is_not<int>(flags, "true", 7);
    check_is_not<int>(flags, "1.5", 7);
    check_is_not<int>(flags, "2147483648", 7);
    check_is_not<unsigned>(flags, "-1", 7);
    check_is_not<std::uint64_t>(flags, "-1", 7);
    check_is_not<std::uint64_t>(flags, "9223372036854775808", 18446744073709551615u);
    check_is_not<unsigned char>(flags, "256", 7);
    check_is_not<signed char>(flags, "-129", 7);
    check_is_not<float>(flags, "1e39", 0.25f);
    check_is_not<double>(flags, "1e400", 0.25);
    check_is_not<std::string>(flags, "1", "else");
}

template <class T> static void check_absent(store &flags, T fallback) {
    CHECK(!flags.get<T>("absent").has_value());
    CHECK_EQUAL(fallback, flags.get("absent", fallback));
}

static void an_absent_key_is_nothing_or_the_fallback(store &flags) {
    check_absent(flags, true);
    check_absent(flags, false);
    check_absent(flags, 0);
    check_absent(flags, 1);
    check_absent(flags, std::uint64_t{18446744073709551615u});
    check_absent(flags, 0.0);
    check_absent(flags, 1.0);
    check_absent(flags, std::string("else"));
    CHECK_EQUAL(std::string("else"), flags.get("absent", "else"));
}

static void what_is_set_is_got_again(store &flags) {
    flags.set("a", 12);
    flags.set("b", true);
    flags.set("c", 0.1);
    flags.set_string("d", "dark");
    CHECK_EQUAL(12, flags.get("a", 0));
    CHECK_EQUAL(true, flags.get("b", false));
    CHECK_EQUAL(0.1, flags.get("c", 0.0));
    CHECK_EQUAL(std::string("dark"), flags.get("d", "light"));
#ifdef FLAGSTORE_CPP17
    CHECK_EQUAL(std::string("dark"), flags.get(std::string_view("d"), std::string_view("light")));
    std::string seen;
    for (auto [key, json] : flags.snapshot())
        seen += std::string(key) + "=" + std::string(json) + ";";
    CHECK_EQUAL(std::string("a=12;b=true;c=0.1;d=\"dark\";"), seen);
#endif
}

// get<bool> looks twice where it finds false: it must not take what changes in between for a key that is not there.
static void a_flag_that_flips_is_never_absent(store &flags) {
    flags.set("key", true);
    std::atomic<bool> stop{false};
    std::thread flipper([&] {
        for (bool on = false; !stop; on = !on)
            flags.set("key", on);
    });
    for (int looks = 0; looks < 300; looks++)
        CHECK(flags.get<bool>("key").has_value());
    stop = true;
    flipper.join();
}

#define PROMISE(name) {#name, name}
static const struct { const char *name; void (*check)(store &); } PROMISES[] = {
    PROMISE(a_value_comes_as_the_type_that_is_asked_for),
    PROMISE(what_does_not_fit_is_a_mismatch_or_the_fallback),
    PROMISE(an_absent_key_is_nothing_or_the_fallback),
    PROMISE(what_is_set_is_got_again),
    PROMISE(a_flag_that_flips_is_never_absent),
};

int main(int argc, char **argv) {
    for (const auto &kind : check::kinds(argc, argv)) {
        for (const auto &promise : PROMISES) {
            check::context = std::string(kind.name) + ": " + promise.name;
            check::directory here;
            store flags = kind.open(here);
            promise.check(flags);
        }
    }
    return check::report("C++ values");
}
