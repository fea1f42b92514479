// What flagstore.hpp adds to the C interface: ownership, exceptions, options.
#include "check.hpp"

#include <cerrno>
#include <memory>
#include <utility>

using flagstore::store;

static_assert(!std::is_copy_constructible<store>::value && !std::is_copy_assignable<store>::value, "move-only");
static_assert(std::is_nothrow_move_constructible<store>::value && std::is_nothrow_move_assignable<store>::value,
              "moves never throw");
static_assert(noexcept(std::declval<store &>().get_bool("", false)), "the hot path never throws");
static_assert(noexcept(std::declval<store &>().get_int64("", 0)), "nor here");
static_assert(noexcept(std::declval<store &>().get_double("", 0)), "nor here");
static_assert(std::is_base_of<std::runtime_error, flagstore::error>::value, "caught as what C++ knows");

static void a_moved_store_takes_its_flags_along(const check::directory &) {
    store first = store::memory();
    first.set("key", 1);
    store second = std::move(first);
    CHECK_JSON("1", second.get("key"));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", first.get("key"));
    CHECK_EQUAL(5, first.get_int64("key", 5));
    first = std::move(second);
    CHECK_EQUAL(1u, first.size());
}

static void capi_and_a_handle_from_c_meet(const check::directory &) {
    flagstore_t *handle = flagstore_memory_open(nullptr);
    store flags(handle);
    CHECK_EQUAL(handle, flags.capi());
    CHECK(flagstore_set(flags.capi(), "key", "[1]", nullptr));
    const store &reader = flags;
    CHECK_EQUAL(int64_t{1}, flagstore_len(reader.capi(), nullptr));
    CHECK_JSON("[1]", reader.get("key"));
}

static void an_optional_is_what_it_says(const check::directory &) {
    store flags = store::memory();
    flags.set("key", "{}");
    flagstore::optional<std::string> some = flags.get("key"), none = flags.get("missing");
    CHECK(some.has_value() && !none.has_value());
    CHECK_EQUAL(std::string("{}"), some.value());
    CHECK_EQUAL(2u, some->size());
    CHECK_EQUAL(std::string("else"), none.value_or("else"));
    CHECK_EQUAL(std::string("{}"), some.value_or("else"));
    bool thrown = false;
    try {
        none.value();
    } catch (const std::exception &) {
        thrown = true;
    }
    CHECK(thrown);
}

static void two_handles_on_a_file_share_it(const check::directory &here) {
    store one = store::file(here / "flags.json"), two = store::file(here / "flags.json");
    one.set("key", "{\"b\": [], \"a\": \"é\"}");
    CHECK_JSON("{\"a\":\"é\",\"b\":[]}", two.get("key"));
    CHECK_EQUAL(std::string("{\n  \"key\": {\n    \"a\": \"\\u00e9\",\n    \"b\": []\n  }\n}\n"),
                check::read(here / "flags.json"));
    CHECK_EQUAL(true, two.remove("key"));
    CHECK_EQUAL(0u, one.size());
}

static void options_reach_the_library(const check::directory &here) {
    flagstore::file_options options;
    CHECK_EQUAL(sizeof(flagstore_file_options_t), options.size);

    options.flags = FLAGSTORE_OPEN_EXISTING;
    CHECK_EQUAL(ENOENT, CHECK_THROWS(FLAGSTORE_IO, "missing.json", store::file(here / "missing.json", options)));
    options.flags = FLAGSTORE_OPEN_READ_ONLY;
    store reader = store::file(here / "missing.json", options);
    CHECK_THROWS(FLAGSTORE_READ_ONLY, "", reader.set("key", 1));
    CHECK(access((here / "missing.json").c_str(), F_OK) != 0);

    options.flags = 0;
    options.durability = FLAGSTORE_SYNC_ORDERED;
    store::file(here / "new.json", options).set("key", 1);
    CHECK_EQUAL(std::string("{\n  \"key\": 1\n}\n"), check::read(here / "new.json"));
    options.durability = 77;
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", store::file(here / "new.json", options));
}

static void paths_that_c_cannot_carry_are_refused(const check::directory &here) {
    const char *null = nullptr;
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", store::file(null));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "U+0000", store::file(here / std::string("a\0b", 3)));
    CHECK(access((here / "a").c_str(), F_OK) != 0);
}

static void a_corrupt_file_is_an_error_with_its_place(const check::directory &here) {
    const std::string path = here / "flags.json", broken = "{\n  \"a\": tru\n}\n";
    check::write(path, broken);
    store flags = store::file(path);
    CHECK_THROWS(FLAGSTORE_CORRUPT, "flags.json", flags.get("a"));
    CHECK_THROWS(FLAGSTORE_CORRUPT, "flags.json:2:", flags.set("a", 1));
    CHECK_THROWS(FLAGSTORE_CORRUPT, "", flags.list_all());
    CHECK_THROWS(FLAGSTORE_CORRUPT, "", flags.size());
    CHECK_EQUAL(true, flags.get_bool("a", true));
    CHECK_EQUAL(broken, check::read(path));
}

#define PROMISE(name) {#name, name}
static const struct { const char *name; void (*check)(const check::directory &); } PROMISES[] = {
    PROMISE(a_moved_store_takes_its_flags_along),
    PROMISE(capi_and_a_handle_from_c_meet),
    PROMISE(an_optional_is_what_it_says),
    PROMISE(two_handles_on_a_file_share_it),
    PROMISE(options_reach_the_library),
    PROMISE(paths_that_c_cannot_carry_are_refused),
    PROMISE(a_corrupt_file_is_an_error_with_its_place),
};

int main() {
    for (const auto &promise : PROMISES) {
        check::context = promise.name;
        check::directory here;
        promise.check(here);
    }
    return check::report("C++ ownership, exceptions, options");
}
