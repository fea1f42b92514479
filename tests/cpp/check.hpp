/* What every C++ test uses: checks that say where, what was expected and what came; a directory of its own; and the
   kinds of store. A new kind is one line of KINDS. */
#ifndef CHECK_HPP
#define CHECK_HPP

#include "engine.hpp"
#include "flagstore.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace check {

static int checks, failures;
static std::string context; // printed with a failure

inline bool that(bool holds, const char *file, int line, const std::string &message) {
    checks++;
    if (!holds) {
        failures++;
        std::fprintf(stderr, "%s:%d: [%s] %s\n", file, line, context.c_str(), message.c_str());
    }
    return holds;
}

template <class T> std::string shown(const T &value) {
    std::ostringstream out;
    out.precision(17);
    out << std::boolalpha << value;
    return out.str();
}
inline std::string shown(const flagstore::optional<std::string> &value) {
    return value ? "<" + *value + ">" : "nothing";
}

template <class Expected, class Got>
void equal(const Expected &expected, const Got &got, const char *file, int line) {
    that(got == expected, file, line, "expected " + shown(expected) + ", got " + shown(got));
}
inline void json(const char *expected, const flagstore::optional<std::string> &got, const char *file, int line) {
    bool same = expected ? got && *got == expected : !got;
    that(same, file, line, std::string("expected ") + (expected ? expected : "nothing") + ", got " + shown(got));
}

/* `call` throws a flagstore::error of that code whose message contains `part`; gives its os_code. */
template <class Call>
std::int32_t throws(std::int32_t code, const std::string &part, Call call, const char *file, int line) {
    std::string expected = flagstore_error_name(code);
    try {
        call();
    } catch (const flagstore::error &error) {
        that(error.code() == code, file, line,
             "expected " + expected + ", got " + error.name() + ": " + error.what());
        that(std::string(error.what()).find(part) != std::string::npos, file, line,
             "expected a message with <" + part + ">, got <" + error.what() + ">");
        return error.os_code();
    }
    that(false, file, line, "expected " + expected + ", got no exception");
    return -1;
}

/* Looks until the condition holds, which another thread brings about; false after a minute. */
template <class Condition> bool eventually(Condition condition) {
    for (int looks = 0; looks < 60000; looks++) {
        if (condition())
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

#define CHECK_EVENTUALLY(condition)                                                                                    \
    check::that(check::eventually([&] { return (condition); }), __FILE__, __LINE__, "expected " #condition)
#define CHECK(condition) check::that((condition), __FILE__, __LINE__, "expected " #condition)
#define CHECK_EQUAL(expected, got) check::equal((expected), (got), __FILE__, __LINE__)
#define CHECK_JSON(expected, got) check::json((expected), (got), __FILE__, __LINE__) // NULL: nothing
#define CHECK_THROWS(code, part, expression)                                                                           \
    check::throws((code), (part), [&] { static_cast<void>(expression); }, __FILE__, __LINE__)

/* A fresh directory under $TMPDIR or /tmp, removed with the files in it. */
class directory {
public:
    directory() {
        const char *base = std::getenv("TMPDIR");
        path_ = std::string(base && *base ? base : "/tmp") + "/flagstore-cpp-XXXXXX";
        if (!mkdtemp(&path_[0])) {
            std::perror(path_.c_str());
            std::exit(2);
        }
    }
    directory(const directory &) = delete;
    directory &operator=(const directory &) = delete;
    ~directory() {
        if (DIR *entries = opendir(path_.c_str())) {
            while (dirent *entry = readdir(entries))
                unlink((path_ + "/" + entry->d_name).c_str()); // "." and ".." refuse
            closedir(entries);
        }
        rmdir(path_.c_str());
    }
    std::string operator/(const std::string &name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

inline std::string read(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}
inline void write(const std::string &path, const std::string &bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

/* ---- the kinds of store ---- */

/* A custom backend that forwards every call to a store of its own. */
inline flagstore::store open_forwarding(flagstore::store owned) {
    flagstore_backend_t backend = flagstore_backend_t();
    backend.size = sizeof backend;
    backend.context = new flagstore::store(std::move(owned));
    backend.get = [](void *below, const char *key, std::size_t key_len, flagstore_reply_t *reply,
                     flagstore_error_t **error) {
        std::size_t len = 0;
        char *json = flagstore_get_n(static_cast<flagstore::store *>(below)->capi(), key, key_len, &len, error);
        if (json)
            flagstore_reply(reply, key, key_len, json, len);
        flagstore_free(json);
        return *error == nullptr;
    };
    backend.set = [](void *below, const char *key, std::size_t key_len, const char *json, std::size_t json_len,
                     flagstore_error_t **error) {
        return flagstore_set_n(static_cast<flagstore::store *>(below)->capi(), key, key_len, json, json_len, error);
    };
    backend.remove = [](void *below, const char *key, std::size_t key_len, bool *existed,
                        flagstore_error_t **error) {
        *existed = flagstore_delete_n(static_cast<flagstore::store *>(below)->capi(), key, key_len, error);
        return *error == nullptr;
    };
    backend.list_all = [](void *below, flagstore_reply_t *reply, flagstore_error_t **) {
        for (auto flag : static_cast<flagstore::store *>(below)->snapshot())
            flagstore_reply(reply, flag.key_data(), flag.key_size(), flag.json_data(), flag.json_size());
        return true;
    };
    backend.close = [](void *below) { delete static_cast<flagstore::store *>(below); };
    return flagstore::store(flagstore_backend_open(&backend, nullptr));
}

/* The same as a class. */
class forwarding final : public flagstore::backend {
public:
    explicit forwarding(flagstore::store owned) : below_(std::move(owned)) {}
    flagstore::optional<std::string> get(const std::string &key) override { return below_.get(key); }
    void set(const std::string &key, const std::string &json) override { below_.set(key, json); }
    bool remove(const std::string &key) override { return below_.remove(key); }
    std::vector<std::pair<std::string, std::string>> list_all() override {
        std::vector<std::pair<std::string, std::string>> flags;
        for (auto flag : below_.snapshot())
            flags.emplace_back(flag.key(), flag.json());
        return flags;
    }

private:
    flagstore::store below_;
};

/* A remote engine with everything, in each read mode. */
inline flagstore::store open_engine(std::int32_t read_mode) {
    flagstore::remote_options options;
    options.call_timeout(std::chrono::minutes(1)).open_timeout(std::chrono::minutes(1)).read_mode = read_mode;
    return flagstore::store::custom(complete::of(std::make_shared<engine>()), options);
}

/* The URL of the Redis that tests may use, that of tests/redis/bindings.sh; NULL: there is none. */
inline const char *redis_url() { return std::getenv("FLAGSTORE_REDIS"); }

/* A hash that no other test uses. */
inline std::string new_hash() {
    static int hashes;
    return "cpp:" + std::to_string(getpid()) + ":" + std::to_string(hashes++);
}

/* Options that nothing but the server's doing can end. */
inline flagstore::redis_options in_hash(const std::string &hash, std::int32_t read_mode) {
    flagstore::redis_options options;
    options.call_timeout(std::chrono::minutes(1)).open_timeout(std::chrono::minutes(1)).spread(std::chrono::seconds(0));
    options.read_mode = read_mode;
    options.hash = hash;
    return options;
}
inline flagstore::store open_redis(std::int32_t read_mode) {
    return flagstore::store::redis(redis_url(), in_hash(new_hash(), read_mode));
}

inline flagstore::store open_cached(const std::string &path, std::int32_t read_mode) {
    flagstore::file_options options;
    options.read_mode = read_mode;
    options.durability = FLAGSTORE_SYNC_NONE;
    return flagstore::store::file(path, options);
}

struct kind {
    const char *name;
    flagstore::store (*open)(const directory &);
};
static const kind KINDS[] = {
    {"memory", [](const directory &) { return flagstore::store::memory(); }},
    {"file", [](const directory &here) { return flagstore::store::file(here / "flags.json"); }},
    {"file checked", [](const directory &here) { return open_cached(here / "flags.json", FLAGSTORE_READ_CHECKED); }},
    {"file watched", [](const directory &here) { return open_cached(here / "flags.json", FLAGSTORE_READ_WATCHED); }},
    {"custom", [](const directory &here) { return open_forwarding(flagstore::store::file(here / "flags.json")); }},
    {"backend", [](const directory &here) {
         return flagstore::store::custom(std::unique_ptr<flagstore::backend>(
             new forwarding(flagstore::store::file(here / "flags.json"))));
     }},
    {"basic", [](const directory &) {
         flagstore::remote_options options;
         options.call_timeout(std::chrono::minutes(1));
         return flagstore::store::custom(basic::of(std::make_shared<engine>()), options);
     }},
    {"engine", [](const directory &) { return open_engine(FLAGSTORE_READ_FRESH); }},
    {"engine checked", [](const directory &) { return open_engine(FLAGSTORE_READ_CHECKED); }},
    {"engine watched", [](const directory &) { return open_engine(FLAGSTORE_READ_WATCHED); }},
    {"layered", [](const directory &) {
         return flagstore::store::layered({flagstore::store::memory(), flagstore::store::memory()});
     }},
    {"redis", [](const directory &) { return open_redis(FLAGSTORE_READ_FRESH); }},
    {"redis checked", [](const directory &) { return open_redis(FLAGSTORE_READ_CHECKED); }},
    {"redis watched", [](const directory &) { return open_redis(FLAGSTORE_READ_WATCHED); }},
};

/* Those whose names begin with the program's argument, if it has one; on Redis only where there is one. */
inline std::vector<kind> kinds(int argc, char **argv) {
    const std::string wanted(argc > 1 ? argv[1] : "");
    std::vector<kind> found;
    for (const kind &each : KINDS) {
        const std::string name(each.name);
        if (name.compare(0, wanted.size(), wanted) == 0 && (redis_url() || name.compare(0, 5, "redis") != 0))
            found.push_back(each);
    }
    return found;
}

inline int report(const char *what) {
    if (failures)
        std::fprintf(stderr, "%s: %d of %d checks failed\n", what, failures, checks);
    else
        std::printf("%s: %d checks\n", what, checks);
    return failures ? 1 : 0;
}

} // namespace check

#endif
