// Snapshots, batches, revisions and watches, on every kind of store, through flagstore.hpp.
#include "check.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <sys/wait.h>
#include <utility>

using flagstore::batch;
using flagstore::snapshot;
using flagstore::store;
using flagstore::watch;

static_assert(!std::is_copy_constructible<snapshot>::value && !std::is_copy_constructible<batch>::value
                  && !std::is_copy_constructible<watch>::value, "move-only");
static_assert(std::is_nothrow_move_constructible<snapshot>::value && std::is_nothrow_move_assignable<snapshot>::value
                  && std::is_nothrow_move_constructible<watch>::value && std::is_nothrow_move_assignable<watch>::value,
              "moves never throw");

static void a_snapshot_is_iterated_in_byte_order(store &flags) {
    const std::string nul("a\0b", 3);
    flags.set("b", "[1, 2]");
    flags.set(nul, 1);
    flags.set("a", "{\"y\": 1, \"x\": 1.10}");
    snapshot before = flags.snapshot();
    flags.set("a", 2);
    std::string seen;
    for (const auto &flag : before)
        seen += flag.key() + "=" + flag.json() + ";";
    CHECK_EQUAL("a={\"x\":1.10,\"y\":1};" + nul + "=1;b=[1,2];", seen);
    CHECK_EQUAL(3u, before.size());
    CHECK_JSON("[1,2]", before.find("b"));
    CHECK_JSON(nullptr, before.find("c"));
    CHECK_JSON("1", before.find(nul));
    CHECK_JSON(nullptr, before.find(std::string("a\0", 2)));
    CHECK_EQUAL(std::string("b"), (*std::next(before.begin(), 2)).key());
    snapshot moved = std::move(before);
    CHECK(before.empty() && before.begin() == before.end());
    CHECK_EQUAL(3u, moved.size());
}

static std::string keys_in(const snapshot::range &flags) {
    std::string keys;
    for (const auto &flag : flags)
        keys += flag.key() + ";";
    return keys;
}

static void a_snapshot_is_searched_by_prefix(store &flags) {
    const std::string nul("ui\0", 3);
    for (const char *key : {"ui", "ui.a", "ui.é", "v"})
        flags.set(key, 1);
    flags.set(nul, 1);
    flags.set(nul + "a", 1);
    snapshot taken = flags.snapshot();
    CHECK_EQUAL("ui.a;ui.é;", keys_in(taken.with_prefix("ui.")));
    CHECK_EQUAL(nul + ";" + nul + "a;", keys_in(taken.with_prefix(nul)));
    CHECK_EQUAL("v;", keys_in(taken.with_prefix("v")));
    CHECK_EQUAL("", keys_in(taken.with_prefix("ui.b")));
    CHECK_EQUAL("", keys_in(taken.with_prefix("w")));
    CHECK_EQUAL(6, std::distance(taken.with_prefix("").begin(), taken.end()));
    CHECK_EQUAL("ui.a", (*taken.seek(nul + "b")).key());
    CHECK(taken.seek("") == taken.begin() && taken.seek("w") == taken.end());
    snapshot moved = std::move(taken);
    CHECK_EQUAL("", keys_in(taken.with_prefix("")));
    CHECK(taken.seek("ui") == taken.end());
    CHECK_JSON(nullptr, taken.find("ui"));
}

static void a_snapshot_outlives_its_store(store &flags) {
    flags.set("key", 1);
    snapshot taken = flags.snapshot();
    flags = store::memory();
    CHECK_JSON("1", taken.find("key"));
    CHECK(flags.snapshot().empty());
}

static void a_batch_is_made_as_a_whole(store &flags) {
    flags.set("old", 1);
    flags.set("count", 1);
    batch changes;
    changes.expect("count", " 1 ").expect_absent("new").set("count", "2").set("new", "{}").remove("old");
    flags.commit(changes);
    CHECK_EQUAL(std::string("{\"count\":2,\"new\":{}}"), flags.list_all());
    CHECK_THROWS(FLAGSTORE_CONFLICT, "count", flags.commit(changes));
    flags.commit(batch().clear().set("left", "true"));
    CHECK_EQUAL(std::string("{\"left\":true}"), flags.list_all());
    flags.commit(batch());
}

static void a_batch_refuses_what_it_cannot_take(store &flags) {
    const char *null = nullptr;
    batch changes;
    CHECK_THROWS(FLAGSTORE_INVALID_JSON, "key", changes.set("key", "tru"));
    CHECK_THROWS(FLAGSTORE_INVALID_JSON, "key", changes.expect("key", ""));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", changes.set(null, "1"));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", changes.set("key", null));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", changes.expect("key", null));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", changes.remove(null));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", changes.expect_absent(null));
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", changes.remove("\xff"));
    CHECK_THROWS(FLAGSTORE_INVALID_JSON, "", changes.set("key", std::string("1\0", 2)));
    CHECK(changes.changes().empty() && changes.expectations().empty() && !changes.clears());
    flags.commit(changes);
    CHECK_EQUAL(0u, flags.size());
    batch moved = std::move(changes);
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", changes.set("key", "1"));
}

static void a_batch_takes_keys_with_nul(store &flags) {
    const std::string gone("a\0", 2), kept("a\0b", 3);
    flags.set(gone, 1);
    flags.set("a", 1);
    batch changes;
    changes.expect(gone, "1").expect_absent(kept).set(kept, "[2]").remove(gone);
    flags.commit(changes);
    CHECK_EQUAL(std::string("{\"a\":1,\"a\\u0000b\":[2]}"), flags.list_all());
    CHECK_THROWS(FLAGSTORE_CONFLICT, "", flags.commit(changes));
}

static std::string shown(const std::vector<batch::item> &items) {
    std::string text;
    for (const auto &item : items)
        text += item.first + "=" + item.second.value_or("-") + ";";
    return text;
}

static void a_batch_can_be_read_back(store &) {
    const std::string nul("b\0", 2);
    batch changes;
    changes.set("é", "{\"y\": null, \"x\": 1.10}").set("c", "1").remove(nul).remove("c");
    changes.set("a", "null").set("a", "2");
    changes.expect("e", " [ ] ").expect_absent("d").expect_absent(nul);
    CHECK_EQUAL("a=2;" + nul + "=-;c=-;é={\"x\":1.10,\"y\":null};", shown(changes.changes()));
    CHECK_EQUAL(nul + "=-;d=-;e=[];", shown(changes.expectations()));
    CHECK_EQUAL(false, changes.clears());
    CHECK_EQUAL(true, changes.clear().clears());
    batch moved = std::move(changes);
    CHECK(changes.changes().empty() && changes.expectations().empty() && !changes.clears());
}

static void json_is_equal_as_values(store &) {
    const char *null = nullptr;
    CHECK(flagstore::json_equal("{\"a\": 1, \"b\": \"\\u00e9\"}", "{\"b\":\"é\",\"a\":1}"));
    CHECK(!flagstore::json_equal("1", "1.0"));
    CHECK(!flagstore::json_equal("[1,2]", "[2,1]"));
    CHECK(!flagstore::json_equal("tru", "tru"));
    CHECK(!flagstore::json_equal(null, null));
}

static void the_revision_tells_of_changes(store &flags) {
    std::uint64_t revision = flags.revision(), before = revision;
    CHECK(revision != 0 && !flags.wait(revision, 0) && revision == before);
    CHECK(!flags.wait(revision, 2));
    flags.set("key", 1);
    CHECK(flags.wait(revision));
    CHECK(revision != before && revision == flags.revision());
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", flags.wait(revision, -2));
    store moved = std::move(flags);
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", flags.revision());
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", flags.wait(revision, 0));
}

struct recorder {
    std::mutex mutex;
    std::string seen;

    watch::function function() {
        return [this](const char *key, const char *old_json, const char *new_json) {
            std::lock_guard<std::mutex> lock(mutex);
            seen += std::string(key) + ":" + (old_json ? old_json : "-") + ">" + (new_json ? new_json : "-") + ";";
        };
    }
    bool has(const std::string &expected) {
        std::lock_guard<std::mutex> lock(mutex);
        return seen == expected;
    }
};

static void a_watch_calls_a_function(store &flags) {
    recorder all, one;
    flags.set("a", 1);
    watch first = flags.watch(all.function()), second = flags.watch("b", one.function());
    flags.commit(batch().set("a", "2").set("b", "[]").set("c", "null"));
    CHECK_EVENTUALLY(all.has("a:1>2;b:->[];c:->null;"));
    CHECK_EVENTUALLY(one.has("b:->[];"));
    first = std::move(second); // ends the first
    flags.remove("b");
    CHECK_EVENTUALLY(one.has("b:->[];b:[]>-;"));
    CHECK(all.has("a:1>2;b:->[];c:->null;"));
    const char *null = nullptr;
    CHECK_THROWS(FLAGSTORE_INVALID_ARGUMENT, "", flags.watch(null, one.function()));
}

static void a_watch_may_end_in_its_own_call(store &flags) {
    std::unique_ptr<watch> self;
    std::atomic<int> calls(0);
    self.reset(new watch(flags.watch([&](const char *, const char *, const char *) {
        self.reset();
        ++calls; // the function is still there
    })));
    flags.commit(batch().set("a", "1").set("b", "1"));
    CHECK_EVENTUALLY(calls == 1);
    recorder fence;
    watch other = flags.watch(fence.function());
    flags.set("c", 1);
    CHECK_EVENTUALLY(fence.has("c:->1;"));
    CHECK_EQUAL(1, calls.load());
}

static void an_exception_in_a_watch_terminates(store &flags) {
    pid_t child = fork();
    if (child == 0) {
        std::set_terminate([] { _exit(42); });
        watch thrower = flags.watch([](const char *, const char *, const char *) { throw 1; });
        flags.set("key", 1);
        check::eventually([] { return false; });
        _exit(1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

#define PROMISE(name) {#name, name}
static const struct { const char *name; void (*check)(store &); } PROMISES[] = {
    PROMISE(a_snapshot_is_iterated_in_byte_order),
    PROMISE(a_snapshot_is_searched_by_prefix),
    PROMISE(a_snapshot_outlives_its_store),
    PROMISE(a_batch_is_made_as_a_whole),
    PROMISE(a_batch_refuses_what_it_cannot_take),
    PROMISE(a_batch_takes_keys_with_nul),
    PROMISE(a_batch_can_be_read_back),
    PROMISE(json_is_equal_as_values),
    PROMISE(the_revision_tells_of_changes),
    PROMISE(a_watch_calls_a_function),
    PROMISE(a_watch_may_end_in_its_own_call),
    PROMISE(an_exception_in_a_watch_terminates),
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
    return check::report("C++ snapshots, batches, changes");
}
