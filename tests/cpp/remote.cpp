// Backends with options: what they are asked, what is served while they are lost, deadlines, layers.
#include "check.hpp"

#include <chrono>
#include <sys/wait.h>

using check::complete;
using check::engine;
using flagstore::batch;
using flagstore::store;

namespace {

using engine_ptr = std::shared_ptr<engine>;
const std::chrono::seconds PATIENCE(60);

engine_ptr new_engine() { return std::make_shared<engine>(); }

/* Options that nothing but the engine's doing can end. */
flagstore::remote_options options_of(std::int32_t read_mode) {
    flagstore::remote_options options;
    options.open_timeout(PATIENCE).call_timeout(PATIENCE).spread(std::chrono::seconds(0)).read_mode = read_mode;
    options.retry_max(std::chrono::milliseconds(20));
    return options;
}
store open_complete(const engine_ptr &on, const flagstore::remote_options &options) {
    return store::custom(complete::of(on), options);
}

void a_batch_reaches_the_backend_as_a_whole(const check::directory &) {
    for (std::int32_t mode : {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_WATCHED}) {
        auto on = new_engine();
        store flags = open_complete(on, options_of(mode));
        flags.commit(batch().set("a", "1").set("b", "{}").expect_absent("a"));
        CHECK_EQUAL(1, on->commits);
        CHECK_THROWS(FLAGSTORE_CONFLICT, "\"a\" is another", flags.commit(batch().set("b", "2").expect("a", "1.0")));
        flags.commit(batch().clear().set("c", "[]").expect("b", " { } "));
        CHECK_EQUAL("{\"c\":[]}", flags.list_all());
        CHECK_EQUAL(0, on->sets);
    }
}

void a_change_by_others_reaches_waits_and_watches(const check::directory &) {
    auto on = new_engine();
    store flags = open_complete(on, options_of(FLAGSTORE_READ_WATCHED));
    std::atomic<int> told{0};
    flagstore::watch watch = flags.watch([&](const char *key, const char *old_json, const char *new_json) {
        told += std::string(key) == "key" && !old_json && std::string(new_json) == "1";
    });
    std::uint64_t revision = flags.revision();
    on->put("key", "1");
    CHECK(flags.wait(revision, PATIENCE));
    CHECK_EVENTUALLY(told == 1);
    CHECK_JSON("1", flags.get("key"));
    CHECK_EQUAL(FLAGSTORE_PUSH_ANNOUNCED, flags.status().push);
    CHECK(flags.status().refreshes > 0);
}

void a_lost_backend_is_stale_and_then_live_again(const check::directory &) {
    auto on = new_engine();
    on->put("key", "1");
    store flags = open_complete(on, options_of(FLAGSTORE_READ_WATCHED));
    auto options = options_of(FLAGSTORE_READ_WATCHED);
    options.when_lost = FLAGSTORE_LOST_FAIL;
    store strict = open_complete(on, options);
    CHECK_EQUAL(FLAGSTORE_STATE_LIVE, flags.status().state);
    on->with([&] { on->failure = FLAGSTORE_UNAVAILABLE; });
    CHECK_EVENTUALLY(flags.status().state == FLAGSTORE_STATE_STALE);
    CHECK_JSON("1", flags.get("key"));
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "own words", flags.set("key", 2));
    CHECK_EVENTUALLY(strict.status().state == FLAGSTORE_STATE_STALE);
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "own words", strict.get("key"));
    CHECK_EVENTUALLY(flags.status().age() > std::chrono::milliseconds(0));
    on->with([&] {
        on->failure = FLAGSTORE_OK;
        on->flags["key"] = "3";
        on->revision++;
    });
    CHECK_EVENTUALLY(flags.status().state == FLAGSTORE_STATE_LIVE && flags.get("key", 0) == 3);
    CHECK_EQUAL(1u, flags.status().reconnects);
    CHECK_EQUAL(flags.revision(), flags.status().revision);
}

void a_code_that_a_backend_throws_is_kept(const check::directory &) {
    for (std::int32_t code : {FLAGSTORE_UNAVAILABLE, FLAGSTORE_UNCERTAIN, FLAGSTORE_CONFLICT, FLAGSTORE_LOCKED}) {
        auto on = new_engine();
        on->failure = code;
        store flags = open_complete(on, options_of(FLAGSTORE_READ_FRESH));
        CHECK_THROWS(code, "own words", flags.set("key", 1));
        CHECK_THROWS(code, "own words", flags.get("key"));
        CHECK_THROWS(code, "own words", flags.commit(batch().set("key", "1")));
    }
}

void a_call_ends_at_its_deadline_whatever_the_backend_does(const check::directory &) {
    for (bool changes : {false, true}) {
        auto on = new_engine();
        on->is_blocked = true;
        {
            auto options = options_of(FLAGSTORE_READ_FRESH);
            options.call_timeout(std::chrono::milliseconds(200));
            store flags = open_complete(on, options);
            if (changes)
                CHECK_THROWS(FLAGSTORE_UNCERTAIN, "", flags.set("key", 1));
            else
                CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "", flags.get("key"));
            CHECK_EQUAL(1, on->blocked());
            on->with([&] { on->is_blocked = false; });
        }
        CHECK_EVENTUALLY(on->ends == 1);
    }
}

void calls_overlap_if_the_backend_says_so(const check::directory &) {
    auto on = new_engine();
    on->is_blocked = true;
    store flags = open_complete(on, options_of(FLAGSTORE_READ_FRESH));
    std::thread one([&] { flags.get("a"); }), two([&] { flags.get("b"); });
    CHECK_EVENTUALLY(on->blocked() == 2);
    on->with([&] { on->is_blocked = false; });
    one.join();
    two.join();
}

void a_failed_open_ends_the_backend(const check::directory &) {
    auto on = new_engine();
    auto options = options_of(FLAGSTORE_READ_WATCHED);
    options.when_lost = 7;
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "when_lost", open_complete(on, options));
    CHECK_EQUAL(1, on->ends.load());
    options = options_of(FLAGSTORE_READ_WATCHED);
    on->failure = FLAGSTORE_INVALID_ARGUMENT; // of the backend's, which was asked
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "own words", open_complete(on, options));
    CHECK_EQUAL(2, on->ends.load());
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", store::custom(std::unique_ptr<complete>()));
    options.flags = FLAGSTORE_OPEN_LAZY | FLAGSTORE_OPEN_READ_ONLY;
    store lazy = open_complete(on, options);
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "", lazy.get("key"));
    CHECK_THROWS(FLAGSTORE_READ_ONLY, "", lazy.set("key", 1));
}

void the_fallback_file_serves_until_the_backend_is_reached(const check::directory &here) {
    const std::string path = here / "fallback.json";
    auto on = new_engine();
    on->put("key", "1");
    auto options = options_of(FLAGSTORE_READ_WATCHED);
    options.fallback(path).open_timeout(std::chrono::microseconds(1));
    options = flagstore::remote_options(options); // a copy has its own path
    {
        auto patient = options;
        store flags = open_complete(on, patient.open_timeout(PATIENCE));
        CHECK_EVENTUALLY(check::read(path).find("\"key\": 1") != std::string::npos);
    }
    on->failure = FLAGSTORE_UNAVAILABLE;
    store flags = open_complete(on, options);
    CHECK_EQUAL(FLAGSTORE_STATE_FALLBACK, flags.status().state);
    CHECK_EQUAL(1, flags.get("key", 0));
    on->with([&] { on->failure = FLAGSTORE_OK; });
    CHECK_EVENTUALLY(flags.status().state == FLAGSTORE_STATE_LIVE);
}

void after_a_sync_reads_see_what_was_done_before(const check::directory &here) {
    auto on = new_engine();
    auto options = options_of(FLAGSTORE_READ_WATCHED);
    store flags = open_complete(on, options.spread(PATIENCE)); // by itself it would be late
    for (int i = 0; i < 50; i++) {
        on->put("key", std::to_string(i));
        flags.sync(PATIENCE);
        CHECK_EQUAL(i, flags.get("key", -1));
    }
    on->with([&] { on->failure = FLAGSTORE_UNAVAILABLE; });
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "", flags.sync(std::chrono::seconds(1)));
    store file = check::open_cached(here / "flags.json", FLAGSTORE_READ_WATCHED);
    store::file(here / "flags.json").set("key", 1);
    file.sync();
    CHECK_EQUAL(1, file.get("key", 0));
    CHECK_EQUAL(FLAGSTORE_STATE_LIVE, file.status().state);
}

void layers_are_read_from_the_top_and_one_is_written(const check::directory &here) {
    store top = store::file(here / "top.json"), bottom = store::file(here / "bottom.json");
    bottom.set("a", 1);
    bottom.set("b", 1);
    top.set("b", "null");
    store flags = store::layered({top, bottom}, 1);
    top = store::memory(); // the layers are held
    CHECK_EQUAL("{\"a\":1,\"b\":null}", flags.list_all());
    CHECK_JSON("null", flags.get("b"));
    flags.set("b", 2);
    CHECK_JSON("null", flags.get("b"));
    CHECK_JSON("2", bottom.get("b"));
    CHECK(flags.remove("a"));
    CHECK_JSON(nullptr, bottom.get("a"));
    CHECK_EQUAL(FLAGSTORE_STATE_LIVE, flags.status().state);
    flags.sync();
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", store::layered({flags}, 1));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", store::layered({}));
}

void a_child_of_fork_uses_an_engine_of_its_own(const check::directory &) {
    for (std::int32_t mode : {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_WATCHED}) {
        auto on = new_engine();
        on->put("process", "\"parent\"");
        store flags = open_complete(on, options_of(mode));
        std::fflush(nullptr);
        const pid_t child = fork();
        if (child == 0) {
            const bool is_right = check::eventually([&] { return flags.get("process", "") == "child"; });
            flags.set("new", 1);
            _exit(is_right && flags.get("new", 0) == 1 ? 0 : 1);
        }
        int ended = -1;
        CHECK(waitpid(child, &ended, 0) == child && ended == 0);
        CHECK_EQUAL("parent", flags.get("process", ""));
        CHECK_JSON(nullptr, flags.get("new"));
    }
}

} // namespace

#define PROMISE(name) {#name, name}
static const struct { const char *name; void (*check)(const check::directory &); } PROMISES[] = {
    PROMISE(a_batch_reaches_the_backend_as_a_whole),
    PROMISE(a_change_by_others_reaches_waits_and_watches),
    PROMISE(a_lost_backend_is_stale_and_then_live_again),
    PROMISE(a_code_that_a_backend_throws_is_kept),
    PROMISE(a_call_ends_at_its_deadline_whatever_the_backend_does),
    PROMISE(calls_overlap_if_the_backend_says_so),
    PROMISE(a_failed_open_ends_the_backend),
    PROMISE(the_fallback_file_serves_until_the_backend_is_reached),
    PROMISE(after_a_sync_reads_see_what_was_done_before),
    PROMISE(layers_are_read_from_the_top_and_one_is_written),
    PROMISE(a_child_of_fork_uses_an_engine_of_its_own),
};

int main() {
    for (const auto &promise : PROMISES) {
        check::context = promise.name;
        check::directory here;
        promise.check(here);
    }
    return check::report("C++ backends with options, layers, status");
}
