// Instantiates everything that flagstore.hpp has, to be compiled with every warning, standard and compiler; it is not
// run. The other tests say what each of these does.
#include "flagstore.hpp"

#if __cplusplus >= 202002L
#include <ranges>
static_assert(std::ranges::input_range<const flagstore::snapshot>, "a snapshot is a range");
#endif

namespace {

template <class T> bool numbers(flagstore::store &flags) {
    flags.set("key", T(1));
    return flags.get<T>("key").has_value() && flags.get("key", T(0)) == flags.get<T>("key", T(1));
}

class nothing final : public flagstore::backend {
public:
    flagstore::optional<std::string> get(const std::string &) override { return {}; }
    void set(const std::string &, const std::string &) override {}
    bool remove(const std::string &) override { return false; }
    std::vector<std::pair<std::string, std::string>> list_all() override { return {}; }
};

class complete final : public flagstore::backend,
                       public flagstore::committer,
                       public flagstore::loader,
                       public flagstore::waiter {
public:
    flagstore::optional<std::string> get(const std::string &) override { return {}; }
    void set(const std::string &, const std::string &) override {}
    bool remove(const std::string &) override { return false; }
    std::vector<std::pair<std::string, std::string>> list_all() override { return {}; }
    bool concurrent() const noexcept override { return true; }
    void forked() noexcept override {}
    std::uint64_t commit(const flagstore::batch &changes) override { return changes.clears(); }
    flagstore::loaded load(std::uint64_t seen) override {
        if (seen)
            return flagstore::loaded::same();
        return flagstore::json_equal("1", "1") ? flagstore::loaded(list_all(), 1) : flagstore::loaded::gone();
    }
    flagstore::optional<std::uint64_t> wait(std::uint64_t seen, std::chrono::milliseconds) override { return seen + 1; }
    void wake() noexcept override {}
};

bool elsewhere(flagstore::store &flags) {
    flagstore::remote_options options;
    options.open_timeout(std::chrono::seconds(1)).call_timeout(std::chrono::duration<double>(0.5));
    options.max_stale(std::chrono::hours(1)).verify(std::chrono::minutes(1)).spread(std::chrono::nanoseconds(1));
    options.retry_max(std::chrono::milliseconds(1)).fallback("flags.json").read_mode = FLAGSTORE_READ_WATCHED;
    options.when_lost = FLAGSTORE_LOST_FAIL;
    flags = flagstore::store::custom(std::unique_ptr<complete>(new complete), options);
    flags = flagstore::store::custom(std::unique_ptr<complete>(new complete));
    const std::vector<flagstore::store::layer> layers{flags, flagstore::store::memory()};
    flags = flagstore::store::layered(layers, 1);
    flags = flagstore::store::layered({flags, flagstore::store::memory()});
    flags.sync();
    flags.sync(1);
    flags.sync(std::chrono::seconds(1));
    const flagstore::status status = flags.status();
    return status.state == FLAGSTORE_STATE_LIVE && status.age() < std::chrono::seconds(1)
           && options.capi().fallback_path;
}

bool on_redis(flagstore::store &flags) {
    flagstore::redis_options options;
    options.wait(std::chrono::milliseconds(1)).call_timeout(std::chrono::seconds(1)).read_mode = FLAGSTORE_READ_WATCHED;
    options.hash = options.username = options.password = options.password_file = "text";
    options.tls_ca_file = options.tls_cert_file = options.tls_key_file = options.tls_server_name = "text";
    options.sentinel_master = "text";
    options.connections = options.wait_replicas = 1;
    flags = flagstore::store::redis("redis://localhost");
    flags = flagstore::store::redis("redis://localhost", options);
    const flagstore_remote_options_t remote = options.capi();
    return options.capi(remote).remote == &remote;
}

bool text_of_every_kind(flagstore::store &flags) {
    const std::string string("key");
    flags.set(string, "1");
    flags.set("key", string);
    flags.set_string(string, string);
    bool found = flags.get(string).has_value() && flags.get<std::string>("key", "x") == flags.get("key", string);
#ifdef FLAGSTORE_CPP17
    const std::string_view view("key");
    flags.set(view, view);
    found = found && flags.get(view) && flags.get(view, view) == "x" && flags.get<bool>(view);
    for (auto [key, json] : flags.snapshot().with_prefix(view))
        found = found && key == json;
#endif
    return found && flags.get("key", "x") == "x" && flags.remove(string);
}

bool changes(flagstore::store &flags) {
    flagstore::batch batch;
    batch.clear().set("a", "1").remove("b").expect("a", "1").expect_absent("b");
    flags.commit(batch);
    flagstore::watch every = flags.watch([](const char *, const char *, const char *) {});
    every = flags.watch("key", [](const char *, const char *, const char *) {});
    std::uint64_t revision = flags.revision();
    return flags.wait(revision, 1) && flags.wait(revision, std::chrono::seconds(1))
           && flags.wait(revision, std::chrono::duration<double>(0.5)) && flags.wait(revision) && batch.clears()
           && batch.changes().size() == batch.expectations().size() && every.capi() && batch.capi();
}

} // namespace

int main() {
    flagstore::set_log([](std::int32_t, const char *) {}, FLAGSTORE_LOG_INFO);
    flagstore::file_options options;
    options.lock_timeout(std::chrono::microseconds(1)).flags = FLAGSTORE_OPEN_EXISTING;
    flagstore::store flags = flagstore::store::file("flags.json", options), memory = flagstore::store::memory();
    memory = flagstore::store::custom(std::unique_ptr<flagstore::backend>(new nothing));
    flagstore::snapshot taken = flags.snapshot();
    for (auto flag : taken)
        flags.set(flag.key(), flag.json());
    const bool read = flags.get_bool("a", true) && flags.get_int64("a", 1) > 0 && flags.get_double("a", 1) > 0
                      && flags.get_string("a", "b") == "b" && flags.get_string("a") && flags.type("a") > 0
                      && flags.size() == 1 && flags.list_all().empty() && taken.find("a") && !taken.empty()
                      && taken.seek("a") != taken.end() && flagstore::json_equal("1", "1");
    const bool numbered = numbers<bool>(flags) && numbers<signed char>(flags) && numbers<unsigned char>(flags)
                          && numbers<short>(flags) && numbers<unsigned short>(flags) && numbers<int>(flags)
                          && numbers<unsigned>(flags) && numbers<long>(flags) && numbers<unsigned long>(flags)
                          && numbers<long long>(flags) && numbers<unsigned long long>(flags) && numbers<float>(flags)
                          && numbers<double>(flags) && numbers<long double>(flags);
    return read && numbered && text_of_every_kind(flags) && changes(flags) && elsewhere(flags) && on_redis(flags)
           && flagstore::is_compatible()
           && flagstore::has_feature("file") && *flagstore::version()
           && *flagstore::error(FLAGSTORE_IO, "message", 2).name();
}
