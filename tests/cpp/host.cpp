// What a host adds in C++: backends, the log, timeouts.
#include "check.hpp"

#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <mutex>
#include <sys/file.h>
#include <vector>

using flagstore::store;

/* A backend that answers as it is told. */
class puppet final : public flagstore::backend {
public:
    puppet(std::function<void()> answer, std::string json, int *destroyed)
        : answer_(std::move(answer)), json_(std::move(json)), destroyed_(destroyed) {}
    puppet(const puppet &) = delete;
    puppet &operator=(const puppet &) = delete;
    ~puppet() override { ++*destroyed_; }
    flagstore::optional<std::string> get(const std::string &) override {
        answer_();
        return json_;
    }
    void set(const std::string &, const std::string &) override { answer_(); }
    bool remove(const std::string &) override {
        answer_();
        return true;
    }
    std::vector<std::pair<std::string, std::string>> list_all() override {
        answer_();
        return {{"key", json_}};
    }

private:
    std::function<void()> answer_;
    std::string json_;
    int *destroyed_;
};

static store open_puppet(std::function<void()> answer, const char *json, int *destroyed) {
    return store::custom(std::unique_ptr<flagstore::backend>(new puppet(std::move(answer), json, destroyed)));
}

static void what_a_backend_throws_reaches_the_caller(const check::directory &) {
    const struct { std::function<void()> answer; std::int32_t code; const char *text; } rows[] = {
        {[] { throw flagstore::error(FLAGSTORE_LOCKED, "busy"); }, FLAGSTORE_LOCKED, "busy"},
        {[] { throw std::runtime_error("out of luck: é"); }, FLAGSTORE_BACKEND, "out of luck: é"},
        {[] { throw 7; }, FLAGSTORE_BACKEND, "exception"},
    };
    int destroyed = 0;
    for (const auto &row : rows) {
        store flags = open_puppet(row.answer, "1", &destroyed);
        CHECK_THROWS(row.code, row.text, flags.get("key"));
        CHECK_THROWS(row.code, row.text, flags.set("key", 1));
        CHECK_THROWS(row.code, row.text, flags.remove("key"));
        CHECK_THROWS(row.code, row.text, flags.list_all());
        CHECK_EQUAL(5, flags.get("key", 5));
    }
    CHECK_EQUAL(3, destroyed);
}

static void what_a_backend_answers_is_checked(const check::directory &) {
    int destroyed = 0;
    for (const char *json : {"", "[1", "\"\xff\""}) {
        store flags = open_puppet([] {}, json, &destroyed);
        CHECK_THROWS(FLAGSTORE_BACKEND, "", flags.get("key"));
        CHECK_THROWS(FLAGSTORE_BACKEND, "", flags.list_all());
    }
}

static void a_backend_lives_as_long_as_its_store_and_its_watches(const check::directory &) {
    int destroyed = 0;
    {
        std::unique_ptr<store> flags(new store(open_puppet([] {}, "1", &destroyed)));
        flagstore::watch watch = flags->watch([](const char *, const char *, const char *) {});
        flags.reset();
        CHECK_EQUAL(0, destroyed);
    }
    CHECK_EQUAL(1, destroyed);
}

static void the_log_goes_where_it_is_sent(const check::directory &) {
    std::vector<std::string> lines;
    store flags = store::memory();
    flagstore::set_log([&](std::int32_t level, const char *message) {
        lines.push_back(std::to_string(level) + message);
        flagstore::set_log([&](std::int32_t, const char *) { lines.push_back("another"); });
    });
    CHECK_THROWS(FLAGSTORE_INVALID_JSON, "", flags.set("key", "tru"));
    CHECK(lines.size() == 1 && lines[0][0] == '2' && lines[0].find("key") != std::string::npos);
    CHECK_THROWS(FLAGSTORE_INVALID_JSON, "", flags.set("key", "tru"));
    CHECK(lines.size() == 2 && lines[1] == "another");
    flagstore::set_log([&](std::int32_t, const char *) { lines.push_back("too much"); }, FLAGSTORE_LOG_ERROR);
    CHECK_THROWS(FLAGSTORE_INVALID_JSON, "", flags.set("key", "tru"));
    flagstore::set_log(nullptr, FLAGSTORE_LOG_DEBUG);
    CHECK_THROWS(FLAGSTORE_INVALID_JSON, "", flags.set("key", "tru"));
    CHECK_EQUAL(2u, lines.size());
}

static void the_log_may_be_set_while_others_log(const check::directory &) {
    std::atomic<bool> stop{false}, right{true};
    std::atomic<int> told{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            store flags = store::memory();
            while (!stop)
                right = right && flags.get("\xff", true);
        });
    }
    for (int i = 0; i < 500; i++) {
        auto text = std::make_shared<std::string>(100, 'x');
        flagstore::set_log([text, &told](std::int32_t, const char *) { told += text->size() == 100; });
    }
    CHECK_EVENTUALLY(told > 0);
    stop = true;
    for (auto &thread : threads)
        thread.join();
    flagstore::set_log(nullptr);
    CHECK(right);
}

static void timeouts_have_units(const check::directory &here) {
    using flagstore::detail::milliseconds;
    CHECK_EQUAL(0, milliseconds(std::chrono::seconds(-1)));
    CHECK_EQUAL(0, milliseconds(std::chrono::nanoseconds(0)));
    CHECK_EQUAL(1, milliseconds(std::chrono::nanoseconds(1)));
    CHECK_EQUAL(2000, milliseconds(std::chrono::seconds(2)));
    CHECK_EQUAL(1501, milliseconds(std::chrono::microseconds(1500001)));
    CHECK_EQUAL(500, milliseconds(std::chrono::duration<double>(0.5)));
    CHECK_EQUAL(2147483647, milliseconds(std::chrono::hours(100000)));
    CHECK_EQUAL(2147483647, milliseconds(std::chrono::hours::max()));

    flagstore::file_options options;
    CHECK_EQUAL(1, options.lock_timeout(std::chrono::seconds(0)).lock_timeout_ms);
    store flags = store::file(here / "flags.json", options.lock_timeout(std::chrono::milliseconds(20)));
    std::uint64_t revision = flags.revision(), before = revision;
    CHECK(!flags.wait(revision, std::chrono::milliseconds(-1)) && !flags.wait(revision, std::chrono::microseconds(10)));
    CHECK_EQUAL(before, revision);
    flags.set("key", 1);
    CHECK(flags.wait(revision, std::chrono::minutes(1)) && revision != before);

    const int lock = open((here / ".flags.json.lock").c_str(), O_RDONLY);
    CHECK(lock >= 0 && flock(lock, LOCK_EX) == 0);
    CHECK_THROWS(FLAGSTORE_LOCKED, "20 ms", flags.set("key", 2));
    close(lock);
    CHECK_EQUAL(1, flags.get("key", 0));
}

static void the_library_says_what_it_is(const check::directory &) {
    CHECK_EQUAL(std::string(FLAGSTORE_VERSION), flagstore::version());
    CHECK(flagstore::is_compatible());
    CHECK(flagstore::has_feature("file") && !flagstore::has_feature("telepathy") && !flagstore::has_feature(nullptr));
}

#define PROMISE(name) {#name, name}
static const struct { const char *name; void (*check)(const check::directory &); } PROMISES[] = {
    PROMISE(what_a_backend_throws_reaches_the_caller),
    PROMISE(what_a_backend_answers_is_checked),
    PROMISE(a_backend_lives_as_long_as_its_store_and_its_watches),
    PROMISE(the_log_goes_where_it_is_sent),
    PROMISE(the_log_may_be_set_while_others_log),
    PROMISE(timeouts_have_units),
    PROMISE(the_library_says_what_it_is),
};

int main() {
    for (const auto &promise : PROMISES) {
        check::context = promise.name;
        check::directory here;
        promise.check(here);
    }
    return check::report("C++ backends, log, timeouts");
}
