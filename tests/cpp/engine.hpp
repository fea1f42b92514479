/* An engine elsewhere that flags are kept in, and which fails or blocks on command; and two backends on it: one with
   the four functions, one with everything. */
#ifndef ENGINE_HPP
#define ENGINE_HPP

#include "flagstore.hpp"

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace check {

struct engine {
    std::mutex mutex{};
    std::condition_variable changed{}; // anything of what follows
    std::map<std::string, std::string> flags{};
    std::uint64_t revision = 1;
    std::int32_t failure = FLAGSTORE_OK; // not OK: every call fails with it
    bool is_blocked = false;             // calls do not return; a wait does not count
    int inside = 0;                      // calls that are blocked
    int sets = 0, commits = 0;
    std::atomic<int> ends{0}; // of its backends

    /* Does something to the engine, as somebody else would. */
    template <class Change> void with(Change change) {
        std::lock_guard<std::mutex> lock(mutex);
        change();
        changed.notify_all();
    }
    void put(const std::string &key, const std::string &json) {
        with([&] {
            flags[key] = json;
            revision++;
        });
    }
    int blocked() {
        std::lock_guard<std::mutex> lock(mutex);
        return inside;
    }
    void check_failure() const {
        if (failure != FLAGSTORE_OK)
            throw flagstore::error(failure, "the engine's own words");
    }
};

class basic : public flagstore::backend {
public:
    static std::unique_ptr<flagstore::backend> of(std::shared_ptr<engine> engine) {
        return std::unique_ptr<flagstore::backend>(new basic(std::move(engine)));
    }
    explicit basic(std::shared_ptr<engine> given) : engine_(std::move(given)) {}
    ~basic() override { engine_->ends++; }

    flagstore::optional<std::string> get(const std::string &key) override {
        const auto lock = reach();
        const auto found = engine_->flags.find(key);
        return found == engine_->flags.end() ? flagstore::optional<std::string>() : found->second;
    }
    void set(const std::string &key, const std::string &json) override {
        const auto lock = reach();
        engine_->sets++;
        engine_->flags[key] = json;
        engine_->revision++;
        engine_->changed.notify_all();
    }
    bool remove(const std::string &key) override {
        const auto lock = reach();
        const bool existed = engine_->flags.erase(key) > 0;
        engine_->revision += existed;
        engine_->changed.notify_all();
        return existed;
    }
    std::vector<std::pair<std::string, std::string>> list_all() override {
        const auto lock = reach();
        return {engine_->flags.begin(), engine_->flags.end()};
    }
    /* A child has an engine of its own. It never ends the inherited one, in which threads of the parent's may wait. */
    void forked() noexcept override {
        new std::shared_ptr<engine>(engine_);
        engine_ = std::make_shared<engine>();
        engine_->flags["process"] = "\"child\"";
    }

protected:
    std::unique_lock<std::mutex> reach() {
        std::unique_lock<std::mutex> lock(engine_->mutex);
        engine_->inside++;
        engine_->changed.wait(lock, [this] { return !engine_->is_blocked; });
        engine_->inside--;
        engine_->check_failure();
        return lock;
    }

    std::shared_ptr<engine> engine_;
};

class complete final : public basic,
                       public flagstore::committer,
                       public flagstore::loader,
                       public flagstore::waiter {
public:
    static std::unique_ptr<flagstore::backend> of(std::shared_ptr<engine> engine) {
        return std::unique_ptr<flagstore::backend>(new complete(std::move(engine)));
    }
    explicit complete(std::shared_ptr<engine> given) : basic(std::move(given)) {}
    bool concurrent() const noexcept override { return true; }

    std::uint64_t commit(const flagstore::batch &changes) override {
        const auto lock = reach();
        engine_->commits++;
        for (const auto &item : changes.expectations()) {
            const auto found = engine_->flags.find(item.first);
            const bool is_there = found != engine_->flags.end();
            const bool is_equal = is_there && item.second && flagstore::json_equal(found->second, *item.second);
            if (!is_equal && (is_there || item.second))
                throw flagstore::error(FLAGSTORE_CONFLICT, "flag \"" + item.first + "\" is another");
        }
        if (changes.clears())
            engine_->flags.clear();
        for (const auto &item : changes.changes()) {
            if (item.second)
                engine_->flags[item.first] = *item.second;
            else
                engine_->flags.erase(item.first);
        }
        engine_->changed.notify_all();
        return ++engine_->revision;
    }
    flagstore::loaded load(std::uint64_t seen) override {
        const auto lock = reach();
        if (seen == engine_->revision)
            return flagstore::loaded::same();
        return flagstore::loaded({engine_->flags.begin(), engine_->flags.end()}, engine_->revision);
    }
    flagstore::optional<std::uint64_t> wait(std::uint64_t seen, std::chrono::milliseconds timeout) override {
        std::unique_lock<std::mutex> lock(engine_->mutex);
        woken_ = false;
        engine_->changed.wait_for(lock, timeout, [&] {
            return engine_->revision != seen || engine_->failure != FLAGSTORE_OK || woken_;
        });
        engine_->check_failure();
        if (engine_->revision == seen)
            return flagstore::optional<std::uint64_t>();
        return flagstore::optional<std::uint64_t>(engine_->revision);
    }
    void wake() noexcept override {
        engine_->with([this] { woken_ = true; });
    }

private:
    bool woken_ = false; // by the engine's mutex
};

} // namespace check

#endif
