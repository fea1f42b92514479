/* flagstore for C++11 and later: RAII over flagstore.h, in one header that can be copied, which is why it is long.
 *
 *     flagstore::store flags = flagstore::store::file("flags.json");
 *     flags.set("max-items", 12);
 *     if (flags.get("dark-mode", false)) ...
 *     for (auto flag : flags.snapshot()) ... flag.key(), flag.json()
 *
 * Objects own what they hold, can be moved and not copied, and give the C handle with capi(). Failures are thrown as
 * flagstore::error, except by the getters marked noexcept. One store serves any number of threads at once; move or
 * destroy it when no other thread uses it. */
#ifndef FLAGSTORE_HPP
#define FLAGSTORE_HPP

#if !defined(__cpp_exceptions) && !defined(__EXCEPTIONS) && !defined(_CPPUNWIND)
#error "flagstore.hpp reports failures by exceptions: compile with them, or use flagstore.h, which needs none"
#else

#include <flagstore.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if __cplusplus >= 201703L || (defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)
#define FLAGSTORE_CPP17 1
#include <optional>
#include <string_view>
#include <tuple>
#endif

namespace flagstore {

/* What a failed call threw: what() names the path, key, line and column. */
class error : public std::runtime_error {
public:
    error(std::int32_t code, const std::string &message, std::int32_t os_code = 0)
        : std::runtime_error(message), code_(code), os_code_(os_code) {}
    /* One of the FLAGSTORE_* codes. */
    std::int32_t code() const noexcept { return code_; }
    /* Its name, such as "FLAGSTORE_CORRUPT". */
    const char *name() const noexcept { return flagstore_error_name(code_); }
    /* The errno behind FLAGSTORE_IO or FLAGSTORE_NOT_DURABLE, else 0. */
    std::int32_t os_code() const noexcept { return os_code_; }

private:
    std::int32_t code_;
    std::int32_t os_code_;
};

// Files compiled as C++11 and as C++17 may meet in one program: where the types differ, so do their names.
#ifdef FLAGSTORE_CPP17
inline namespace cpp17 {
#else
inline namespace cpp11 {
#endif

/* Borrowed UTF-8 text, by pointer and length: a parameter only, made from a string of any kind. It may contain U+0000;
 * a null pointer stays one and is refused by the call it is given to. */
class text {
public:
    text(const char *data) noexcept : data_(data), size_(data ? std::strlen(data) : 0) {}
    text(const char *data, std::size_t size) noexcept : data_(data), size_(size) {}
    text(const std::string &string) noexcept : data_(string.data()), size_(string.size()) {}
#ifdef FLAGSTORE_CPP17
    text(std::string_view view) noexcept : data_(view.data() ? view.data() : ""), size_(view.size()) {}
#endif
    const char *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }

private:
    const char *data_;
    std::size_t size_;
};

/* A value or nothing: std::optional in C++17, and as much of it as a caller needs before. */
#ifdef FLAGSTORE_CPP17
template <class T> using optional = std::optional<T>;
#else
template <class T> class optional {
public:
    optional() : value_(), has_value_(false) {}
    optional(T value) : value_(std::move(value)), has_value_(true) {}
    bool has_value() const noexcept { return has_value_; }
    explicit operator bool() const noexcept { return has_value_; }
    const T &operator*() const noexcept { return value_; }
    const T *operator->() const noexcept { return &value_; }
    /* Throws std::logic_error if there is none. */
    const T &value() const {
        if (!has_value_)
            throw std::logic_error("flagstore::optional has no value");
        return value_;
    }
    T value_or(T fallback) const { return has_value_ ? value_ : std::move(fallback); }

private:
    T value_;
    bool has_value_;
};
#endif

namespace detail {

class hosted_backend;

/* One function frees whatever the library hands out. */
struct deleter {
    void operator()(void *object) const noexcept { flagstore_free(object); }
};
template <class T> using owned = std::unique_ptr<T, deleter>;

/* The error argument of one call. */
class outcome {
public:
    outcome() = default;
    outcome(const outcome &) = delete;
    outcome &operator=(const outcome &) = delete;
    ~outcome() { flagstore_free(error_); }

    flagstore_error_t **out() noexcept { return &error_; }
    void check() const {
        if (error_)
            throw error(flagstore_error_code(error_), flagstore_error_message(error_), flagstore_error_os_code(error_));
    }

private:
    flagstore_error_t *error_ = nullptr;
};

/* A terminated copy, for the calls that take no length; text with U+0000 in it has none. */
class c_string {
public:
    explicit c_string(text from) : copy_(), null_(!from.data()) {
        if (null_)
            return;
        copy_.assign(from.data(), from.size());
        if (copy_.find('\0') != std::string::npos)
            throw error(FLAGSTORE_INVALID_ARGUMENT, "this call takes no text with U+0000 in it");
    }
    operator const char *() const noexcept { return null_ ? nullptr : copy_.c_str(); }

private:
    std::string copy_;
    bool null_;
};

template <class T>
using is_integer = std::integral_constant<bool, std::is_integral<T>::value && !std::is_same<T, bool>::value
                                                    && !std::is_same<T, char>::value>;

/* How a type is read: by which function of the library, and what else has to hold. */
template <class T, class = void> struct reader; // of bool, integers, double, float and std::string
template <> struct reader<bool> {
    using raw = bool;
    static constexpr auto read = flagstore_get_bool_n;
    static bool fits(raw) noexcept { return true; }
};
template <class T> struct reader<T, typename std::enable_if<is_integer<T>::value>::type> {
    using raw = std::int64_t;
    static constexpr auto read = flagstore_get_int64_n;
    static bool fits(raw value) noexcept {
        return static_cast<raw>(static_cast<T>(value)) == value && (value < 0) == (static_cast<T>(value) < T());
    }
};
template <class T> struct reader<T, typename std::enable_if<std::is_floating_point<T>::value>::type> {
    using raw = double;
    static constexpr auto read = flagstore_get_double_n;
    static bool fits(raw value) noexcept {
        return value >= static_cast<raw>(std::numeric_limits<T>::lowest())
               && value <= static_cast<raw>((std::numeric_limits<T>::max)());
    }
};

/* Whole milliseconds for C, where -1 is for ever: rounded up, and 0 for what is over. */
template <class Rep, class Period>
std::int32_t milliseconds(std::chrono::duration<Rep, Period> timeout) noexcept {
    constexpr std::int32_t most = (std::numeric_limits<std::int32_t>::max)();
    if (timeout <= timeout.zero())
        return 0;
    if (timeout >= std::chrono::duration<double, std::milli>(most))
        return most;
    auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
    return static_cast<std::int32_t>(whole.count()) + (whole < timeout ? 1 : 0);
}

} // namespace detail

/* The version of the library in use, "MAJOR.MINOR.PATCH". */
inline const char *version() noexcept { return flagstore_version(); }
/* Whether the library in use is one that this header fits to: worth asking where it was loaded by hand. */
inline bool is_compatible() noexcept { return flagstore_abi_version() == FLAGSTORE_ABI_VERSION; }
/* Whether the library in use has the feature of that name: see flagstore_has_feature. */
inline bool has_feature(const char *name) noexcept { return flagstore_has_feature(name); }

/* How a file is opened: the members of flagstore_file_options_t, each at its default. */
struct file_options : flagstore_file_options_t {
    file_options() noexcept : flagstore_file_options_t() { size = sizeof(flagstore_file_options_t); }
    /* How long a change waits for the lock, a millisecond at least; lock_timeout_ms = -1: for ever. */
    template <class Rep, class Period>
    file_options &lock_timeout(std::chrono::duration<Rep, Period> timeout) noexcept {
        const std::int32_t whole = detail::milliseconds(timeout);
        lock_timeout_ms = whole > 0 ? whole : 1; // to the library 0 is the default
        return *this;
    }
};

/* How a store that is elsewhere is opened: the members of flagstore_remote_options_t, each at its default. The times
 * have setters too; each is a millisecond at least, for to the library 0 is the default. */
struct remote_options : flagstore_remote_options_t {
    remote_options() : flagstore_remote_options_t() { size = sizeof(flagstore_remote_options_t); }
    template <class Rep, class Period>
    remote_options &open_timeout(std::chrono::duration<Rep, Period> timeout) noexcept {
        return set(&flagstore_remote_options_t::open_timeout_ms, timeout);
    }
    template <class Rep, class Period>
    remote_options &call_timeout(std::chrono::duration<Rep, Period> timeout) noexcept {
        return set(&flagstore_remote_options_t::call_timeout_ms, timeout);
    }
    template <class Rep, class Period> remote_options &max_stale(std::chrono::duration<Rep, Period> age) noexcept {
        return set(&flagstore_remote_options_t::max_stale_ms, age);
    }
    template <class Rep, class Period> remote_options &verify(std::chrono::duration<Rep, Period> interval) noexcept {
        return set(&flagstore_remote_options_t::verify_ms, interval);
    }
    /* Zero: re-reads begin at once. */
    template <class Rep, class Period> remote_options &spread(std::chrono::duration<Rep, Period> over) noexcept {
        set(&flagstore_remote_options_t::spread_ms, over);
        if (over <= over.zero())
            spread_ms = -1;
        return *this;
    }
    template <class Rep, class Period> remote_options &retry_max(std::chrono::duration<Rep, Period> delay) noexcept {
        return set(&flagstore_remote_options_t::retry_max_ms, delay);
    }
    /* The fallback file; the path is copied. */
    remote_options &fallback(text path) {
        const detail::c_string terminated(path);
        fallback_ = terminated ? terminated : "";
        return *this;
    }
    /* As C takes them; it needs this object. */
    flagstore_remote_options_t capi() const noexcept {
        flagstore_remote_options_t options = *this;
        if (!fallback_.empty())
            options.fallback_path = fallback_.c_str();
        return options;
    }

private:
    template <class Rep, class Period>
    remote_options &set(std::int32_t flagstore_remote_options_t::*member,
                        std::chrono::duration<Rep, Period> time) noexcept {
        const std::int32_t whole = detail::milliseconds(time);
        this->*member = whole > 0 ? whole : 1;
        return *this;
    }

    std::string fallback_{};
};

/* How a store on Redis is opened: remote_options, and the members of flagstore_redis_options_t; an empty text is the
 * default. */
struct redis_options : remote_options {
    std::string hash{}, username{}, password{}, password_file{};
    std::string tls_ca_file{}, tls_cert_file{}, tls_key_file{}, tls_server_name{};
    std::string sentinel_master{};
    std::int32_t connections = 0, wait_replicas = 0, wait_ms = 0;
    /* How long a change waits for the replicas, a millisecond at least. */
    template <class Rep, class Period> redis_options &wait(std::chrono::duration<Rep, Period> timeout) noexcept {
        const std::int32_t whole = detail::milliseconds(timeout);
        wait_ms = whole > 0 ? whole : 1; // to the library 0 is the default
        return *this;
    }
    /* As C takes them; it needs this object, and the other options as C takes those. */
    flagstore_redis_options_t capi(const flagstore_remote_options_t &remote) const {
        flagstore_redis_options_t options = flagstore_redis_options_t();
        options.size = sizeof options;
        options.remote = &remote;
        options.hash = given(hash, "hash");
        options.username = given(username, "username");
        options.password = given(password, "password");
        options.password_file = given(password_file, "password_file");
        options.tls_ca_file = given(tls_ca_file, "tls_ca_file");
        options.tls_cert_file = given(tls_cert_file, "tls_cert_file");
        options.tls_key_file = given(tls_key_file, "tls_key_file");
        options.tls_server_name = given(tls_server_name, "tls_server_name");
        options.sentinel_master = given(sentinel_master, "sentinel_master");
        options.connections = connections;
        options.wait_replicas = wait_replicas;
        options.wait_ms = wait_ms;
        return options;
    }
    using remote_options::capi;

private:
    static const char *given(const std::string &text, const char *name) {
        if (text.find('\0') != std::string::npos)
            throw error(FLAGSTORE_INVALID_ARGUMENT, std::string(name) + " contains U+0000");
        return text.empty() ? nullptr : text.c_str();
    }
};

/* The state of a store at one moment: the members of flagstore_status_t. */
struct status : flagstore_status_t {
    status() noexcept : flagstore_status_t() { size = sizeof(flagstore_status_t); }
    /* Since what is served was last known to be what the store holds; zero: it always is. */
    std::chrono::milliseconds age() const noexcept { return std::chrono::milliseconds(age_ms); }
};

/* A flag of a snapshot: borrowed UTF-8, which ends with a NUL that is not counted. In C++17 it is a pair of
 * std::string_view too: for (auto [key, json] : store.snapshot()) ... */
class entry {
public:
    entry(const char *key, std::size_t key_size, const char *json, std::size_t json_size) noexcept
        : key_(key), json_(json), key_size_(key_size), json_size_(json_size) {}
    /* Copies; the pointers live as long as the snapshot. */
    std::string key() const { return std::string(key_, key_size_); }
    std::string json() const { return std::string(json_, json_size_); }
    const char *key_data() const noexcept { return key_; }
    const char *json_data() const noexcept { return json_; }
    std::size_t key_size() const noexcept { return key_size_; }
    std::size_t json_size() const noexcept { return json_size_; }
#ifdef FLAGSTORE_CPP17
    template <std::size_t index> std::string_view get() const noexcept {
        static_assert(index < 2, "a flag is a key and JSON");
        if constexpr (index == 0)
            return std::string_view(key_, key_size_);
        else
            return std::string_view(json_, json_size_);
    }
#endif

private:
    const char *key_, *json_;
    std::size_t key_size_, json_size_;
};

/* Every flag of a store as of one moment, in byte order of the keys: for (auto flag : store.snapshot()) ...
 * It may outlive the store. A moved-from snapshot is empty. */
class snapshot {
public:
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = entry;
        using difference_type = std::ptrdiff_t;
        using pointer = const entry *;
        using reference = entry;
        iterator() noexcept : of_(nullptr), index_(0) {}
        iterator(const flagstore_snapshot_t *of, std::size_t index) noexcept : of_(of), index_(index) {}
        entry operator*() const noexcept {
            std::size_t key_size = 0, json_size = 0;
            const char *key = flagstore_snapshot_key(of_, index_, &key_size);
            const char *json = flagstore_snapshot_value(of_, index_, &json_size);
            return entry(key, key_size, json, json_size);
        }
        iterator &operator++() noexcept {
            ++index_;
            return *this;
        }
        iterator operator++(int) noexcept {
            iterator before = *this;
            ++index_;
            return before;
        }
        bool operator==(const iterator &other) const noexcept { return index_ == other.index_ && of_ == other.of_; }
        bool operator!=(const iterator &other) const noexcept { return !(*this == other); }

    private:
        const flagstore_snapshot_t *of_;
        std::size_t index_;
    };

    /* Some of the flags, one behind the other; it needs the snapshot. */
    class range {
    public:
        range(iterator begin, iterator end) noexcept : begin_(begin), end_(end) {}
        iterator begin() const noexcept { return begin_; }
        iterator end() const noexcept { return end_; }

    private:
        iterator begin_, end_;
    };

    /* Takes over a handle from C. */
    explicit snapshot(flagstore_snapshot_t *owned) noexcept : handle_(owned) {}
    const flagstore_snapshot_t *capi() const noexcept { return handle_.get(); }

    std::size_t size() const noexcept { return handle_ ? flagstore_snapshot_count(capi()) : 0; }
    bool empty() const noexcept { return size() == 0; }
    iterator begin() const noexcept { return iterator(capi(), 0); }
    iterator end() const noexcept { return iterator(capi(), size()); }
    /* The value as compact JSON, or nothing if there is no such key. */
    optional<std::string> find(text key) const {
        std::size_t size = 0;
        const char *json = flagstore_snapshot_find_n(capi(), key.data(), key.size(), &size);
        return json ? optional<std::string>(std::string(json, size)) : optional<std::string>();
    }
    /* The first flag whose key is not less than `key`; end() if there is none. */
    iterator seek(text key) const noexcept {
        return iterator(capi(), flagstore_snapshot_seek(capi(), key.data(), key.size()));
    }
    /* The flags whose keys start with `prefix`: for (auto flag : taken.with_prefix("ui.")) ... */
    range with_prefix(text prefix) const noexcept {
        iterator past = seek(prefix);
        while (past != end() && starts_with(*past, prefix))
            ++past;
        return range(seek(prefix), past);
    }

private:
    static bool starts_with(const entry &flag, text prefix) noexcept {
        return flag.key_size() >= prefix.size()
               && std::char_traits<char>::compare(flag.key_data(), prefix.data(), prefix.size()) == 0;
    }

    detail::owned<flagstore_snapshot_t> handle_;
};

/* Changes to be made in one write, or not at all, by store::commit; each call gives the batch back. The last word on
 * a key counts. One thread at a time. */
class batch {
public:
    batch() : handle_(flagstore_batch_new()) {}
    const flagstore_batch_t *capi() const noexcept { return handle_.get(); }

    /* Stores the value that `json` spells. */
    batch &set(text key, text json) {
        detail::outcome outcome;
        flagstore_batch_set_n(handle_.get(), key.data(), key.size(), json.data(), json.size(), outcome.out());
        return checked(outcome);
    }
    /* Removes the flag, if there is one. */
    batch &remove(text key) {
        detail::outcome outcome;
        flagstore_batch_delete_n(handle_.get(), key.data(), key.size(), outcome.out());
        return checked(outcome);
    }
    /* Removes everything before the changes of the batch are made. */
    batch &clear() {
        detail::outcome outcome;
        flagstore_batch_clear(handle_.get(), outcome.out());
        return checked(outcome);
    }
    /* Only if the flag has this value: else the commit throws FLAGSTORE_CONFLICT. */
    batch &expect(text key, text json) {
        if (!json.data())
            throw error(FLAGSTORE_INVALID_ARGUMENT, "json is NULL: see expect_absent");
        detail::outcome outcome;
        flagstore_batch_expect_n(handle_.get(), key.data(), key.size(), json.data(), json.size(), outcome.out());
        return checked(outcome);
    }
    /* Only if there is no such flag. */
    batch &expect_absent(text key) {
        detail::outcome outcome;
        flagstore_batch_expect_n(handle_.get(), key.data(), key.size(), nullptr, 0, outcome.out());
        return checked(outcome);
    }

    /* A key and compact JSON, or nothing: the key is deleted, or must be absent. */
    using item = std::pair<std::string, optional<std::string>>;

    /* Whether everything is removed first. */
    bool clears() const noexcept { return flagstore_batch_clears(capi()); }
    /* What becomes of each key that the batch changes, in byte order of the keys. */
    std::vector<item> changes() const {
        return items(flagstore_batch_count(capi()), flagstore_batch_key, flagstore_batch_value);
    }
    /* What is expected of each key, in byte order of the keys. */
    std::vector<item> expectations() const {
        return items(flagstore_batch_expect_count(capi()), flagstore_batch_expect_key, flagstore_batch_expect_value);
    }

private:
    using borrowed = const char *(const flagstore_batch_t *, std::size_t, std::size_t *);

    std::vector<item> items(std::size_t count, borrowed *key_at, borrowed *json_at) const {
        std::vector<item> found;
        for (std::size_t index = 0; index < count; ++index) {
            std::size_t key_size = 0, json_size = 0;
            const char *key = key_at(capi(), index, &key_size), *json = json_at(capi(), index, &json_size);
            found.emplace_back(std::string(key, key_size),
                               json ? optional<std::string>(std::string(json, json_size)) : optional<std::string>());
        }
        return found;
    }
    batch &checked(const detail::outcome &outcome) {
        outcome.check();
        return *this;
    }

    friend class detail::hosted_backend;
    explicit batch(flagstore_batch_t *handle) noexcept : handle_(handle) {}

    detail::owned<flagstore_batch_t> handle_;
};

/* Whether both spell the same JSON value, by the rule of batch::expect; false if one of them is no JSON. */
inline bool json_equal(text a, text b) noexcept {
    return flagstore_json_equal(a.data(), a.size(), b.data(), b.size());
}

/* Calls a function for each change until it is destroyed, which waits for a call under way; see store::watch. It may
 * be destroyed in its own call, and after its store. */
class watch {
public:
    /* The flag; its JSON before, null: it is new; and now, null: it was deleted. Valid during the call only. */
    using function = std::function<void(const char *key, const char *old_json, const char *new_json)>;

    watch(watch &&) noexcept = default;
    watch &operator=(watch &&other) noexcept {
        if (this != &other) {
            stop();
            target_ = std::move(other.target_);
            handle_ = std::move(other.handle_);
        }
        return *this;
    }
    ~watch() { stop(); }
    const flagstore_watch_t *capi() const noexcept { return handle_.get(); }

private:
    friend class store;
    watch(flagstore_t *store, const char *key, function call)
        : target_(std::make_shared<target>(std::move(call))), handle_() {
        detail::outcome outcome;
        handle_.reset(flagstore_watch(store, key, trampoline, target_.get(), outcome.out()));
        outcome.check();
    }
    struct target : std::enable_shared_from_this<target> {
        explicit target(function given) : call(std::move(given)) {}
        function call;
    };
    /* An exception ends in std::terminate: nobody could catch it. */
    static void trampoline(void *userdata, const char *key, const char *old_json, const char *new_json) noexcept {
        // The watch may be destroyed in its own call.
        std::shared_ptr<target> kept = static_cast<target *>(userdata)->shared_from_this();
        kept->call(key, old_json, new_json);
    }
    void stop() noexcept {
        handle_.reset(); // before what it calls
        target_.reset();
    }

    std::shared_ptr<target> target_;
    detail::owned<flagstore_watch_t> handle_;
};

/* Takes one message of the log; `message` is valid during the call. It may come from several threads at once. */
using log_function = std::function<void(std::int32_t level, const char *message)>;

namespace detail {

/* What set_log set. It is never destroyed: threads may log until the very end. */
struct log_target {
    std::mutex mutex{};
    std::shared_ptr<const log_function> call{};

    static log_target &of_the_process() {
        static log_target *const target = new log_target;
        return *target;
    }
    /* An exception ends in std::terminate: nobody could catch it. */
    static void trampoline(void *userdata, std::int32_t level, const char *message) noexcept {
        log_target &target = *static_cast<log_target *>(userdata);
        std::shared_ptr<const log_function> call; // kept during the call, in which another may be set
        {
            std::lock_guard<std::mutex> lock(target.mutex);
            call = target.call;
        }
        if (call)
            (*call)(level, message);
    }
};

} // namespace detail

/* Sends every message of `level` and graver (FLAGSTORE_LOG_*) to `call`, instead of wherever they went before. A call
 * under way may still go there. An empty function turns the log off. */
inline void set_log(log_function call, std::int32_t level = FLAGSTORE_LOG_WARN) {
    const bool on = static_cast<bool>(call);
    detail::log_target &target = detail::log_target::of_the_process();
    auto shared = on ? std::make_shared<const log_function>(std::move(call)) : std::shared_ptr<const log_function>();
    {
        std::lock_guard<std::mutex> lock(target.mutex);
        target.call.swap(shared);
    }
    flagstore_set_log(on ? detail::log_target::trampoline : nullptr, &target, level);
}

/* A backend of your own: flags that live anywhere, with the rest on top; see store::custom. Four functions make a
 * store. One that derives from committer, loader and waiter as well is as good as those of the library.
 *
 * Keys and JSON are UTF-8. The calls of one store never overlap, unless the backend is concurrent; only a wait overlaps
 * all others. They come from any thread that uses the store, and from threads of the library, and must not use their own
 * store. What they throw reaches the store's caller: an error as it is, every other exception as FLAGSTORE_BACKEND with
 * its what(). A backend that was not reached throws FLAGSTORE_UNAVAILABLE; a change that was sent and not answered is
 * FLAGSTORE_UNCERTAIN.
 *
 * A revision is a number of the backend's own, never 0, that differs where the content does. */
class backend {
public:
    virtual ~backend() = default;
    /* The value as JSON, or nothing. */
    virtual optional<std::string> get(const std::string &key) = 0;
    /* Stores compact JSON. */
    virtual void set(const std::string &key, const std::string &json) = 0;
    /* True if the key was there. */
    virtual bool remove(const std::string &key) = 0;
    /* Every key with its JSON, in any order. */
    virtual std::vector<std::pair<std::string, std::string>> list_all() = 0;
    /* Whether calls may overlap. It is asked once. */
    virtual bool concurrent() const noexcept { return false; }
    /* Comes first in a forked child: close the copies of the parent's descriptors, without a word to the server, and
     * nothing else. Locks may be held by threads that the child does not have. */
    virtual void forked() noexcept {}

protected:
    backend() = default;
    backend(const backend &) = default;
    backend &operator=(const backend &) = default;
};

/* A backend that makes batches atomic. */
class committer {
public:
    /* Makes all changes of the batch and returns the revision after it (0: not known), or makes none and throws:
     * FLAGSTORE_CONFLICT if an expectation does not hold, see json_equal. */
    virtual std::uint64_t commit(const batch &changes) = 0;

protected:
    ~committer() = default;
};

/* What a loader found. */
class loaded {
public:
    using flag_list = std::vector<std::pair<std::string, std::string>>;

    /* Every key with its JSON as of one moment, in any order; and the revision then, 0 if it is not known. */
    loaded(flag_list flags, std::uint64_t revision) : flags_(std::move(flags)), revision_(revision), same_(false) {}
    /* The revision is still the one that was seen. */
    static loaded same() { return loaded(true); }
    /* What was stored has vanished, which is not the same as no flags. */
    static loaded gone() { return loaded(false); }

private:
    friend class detail::hosted_backend;
    explicit loaded(bool same) : flags_(), revision_(0), same_(same) {}

    flag_list flags_;
    std::uint64_t revision_;
    bool same_;
};

/* A backend that reads every flag as of one moment. */
class loader {
public:
    /* Every flag, or loaded::same() if the revision is still `seen`; 0: none was seen. */
    virtual loaded load(std::uint64_t seen) = 0;

protected:
    ~loader() = default;
};

/* A backend that knows when somebody else has changed it. */
class waiter {
public:
    /* Blocks until the revision is no longer `seen` and returns it. Nothing: the timeout came first, which is a few
     * seconds at most, or wake. One wait at a time is under way, beside any other calls. */
    virtual optional<std::uint64_t> wait(std::uint64_t seen, std::chrono::milliseconds timeout) = 0;
    /* Makes a wait that is under way return. Without it the end of a store may take as long as that wait. */
    virtual void wake() noexcept {}

protected:
    ~waiter() = default;
};

namespace detail {

/* C's side of a backend: what the context of its functions points at. */
class hosted_backend {
public:
    template <class T>
    explicit hosted_backend(std::unique_ptr<T> owned)
        : committer_(part<committer>(owned.get())), loader_(part<loader>(owned.get())),
          waiter_(part<waiter>(owned.get())), backend_(std::move(owned)),
          was_called_(std::make_shared<std::atomic<bool>>(false)) {}
    hosted_backend(const hosted_backend &) = delete;
    hosted_backend &operator=(const hosted_backend &) = delete;

    flagstore_backend_t table() noexcept {
        flagstore_backend_t table = flagstore_backend_t();
        table.size = sizeof table;
        table.context = this;
        table.get = get;
        table.set = set;
        table.remove = remove;
        table.list_all = list_all;
        table.close = close;
        table.flags = backend_->concurrent() ? FLAGSTORE_BACKEND_CONCURRENT : 0;
        table.commit = committer_ ? commit : nullptr;
        table.load = loader_ ? load : nullptr;
        table.wait = waiter_ ? wait : nullptr;
        table.wake = waiter_ ? wake : nullptr;
        table.forked = forked;
        return table;
    }
    /* Whether the library has taken the backend over, so that it closes it, even if opening failed. */
    std::shared_ptr<const std::atomic<bool>> was_called() const noexcept { return was_called_; }

private:
#if defined(__cpp_rtti) || defined(__GXX_RTTI) || defined(_CPPRTTI)
    template <class Part> static Part *part(backend *whole) noexcept { return dynamic_cast<Part *>(whole); }
#else // the type that the backend was handed over with tells
    template <class Part> static Part *part(Part *whole) noexcept { return whole; }
    template <class Part> static Part *part(...) noexcept { return nullptr; }
#endif

    static hosted_backend &at(void *context) noexcept { return *static_cast<hosted_backend *>(context); }

    template <class Call> static bool guarded(flagstore_error_t **failed, Call call) noexcept {
        try {
            call();
            return true;
        } catch (const flagstore::error &thrown) {
            *failed = flagstore_error_new(thrown.code(), thrown.what());
        } catch (const std::exception &thrown) {
            *failed = flagstore_error_new(FLAGSTORE_BACKEND, thrown.what());
        } catch (...) {
            *failed = flagstore_error_new(FLAGSTORE_BACKEND, "an exception that is no std::exception");
        }
        return false;
    }
    static void reply_all(flagstore_reply_t *reply, const loaded::flag_list &flags) {
        for (const auto &flag : flags)
            flagstore_reply(reply, flag.first.data(), flag.first.size(), flag.second.data(), flag.second.size());
    }
    static bool get(void *context, const char *key, std::size_t key_size, flagstore_reply_t *reply,
                    flagstore_error_t **failed) noexcept {
        return guarded(failed, [&] {
            if (auto json = at(context).backend_->get(std::string(key, key_size)))
                flagstore_reply(reply, nullptr, 0, json->data(), json->size());
        });
    }
    static bool set(void *context, const char *key, std::size_t key_size, const char *json, std::size_t json_size,
                    flagstore_error_t **failed) noexcept {
        return guarded(failed, [&] {
            at(context).backend_->set(std::string(key, key_size), std::string(json, json_size));
        });
    }
    static bool remove(void *context, const char *key, std::size_t key_size, bool *existed,
                       flagstore_error_t **failed) noexcept {
        return guarded(failed, [&] { *existed = at(context).backend_->remove(std::string(key, key_size)); });
    }
    static bool list_all(void *context, flagstore_reply_t *reply, flagstore_error_t **failed) noexcept {
        *at(context).was_called_ = true;
        return guarded(failed, [&] { reply_all(reply, at(context).backend_->list_all()); });
    }
    static bool commit(void *context, const flagstore_batch_t *lent, std::uint64_t *revision,
                       flagstore_error_t **failed) noexcept {
        batch changes(const_cast<flagstore_batch_t *>(lent)); // which is only read
        const bool done = guarded(failed, [&] { *revision = at(context).committer_->commit(changes); });
        changes.handle_.release(); // it stays the library's
        return done;
    }
    static bool load(void *context, std::uint64_t *revision, bool *same, flagstore_reply_t *reply,
                     flagstore_error_t **failed) noexcept {
        *at(context).was_called_ = true;
        return guarded(failed, [&] {
            const loaded found = at(context).loader_->load(*revision);
            *same = found.same_;
            *revision = found.revision_;
            reply_all(reply, found.flags_);
        });
    }
    static bool wait(void *context, std::uint64_t *revision, std::int32_t timeout_ms,
                     flagstore_error_t **failed) noexcept {
        bool changed = false;
        guarded(failed, [&] {
            if (auto now = at(context).waiter_->wait(*revision, std::chrono::milliseconds(timeout_ms))) {
                *revision = *now;
                changed = true;
            }
        });
        return changed;
    }
    static void wake(void *context) noexcept { at(context).waiter_->wake(); }
    static void forked(void *context) noexcept { at(context).backend_->forked(); }
    static void close(void *context) noexcept {
        *at(context).was_called_ = true;
        delete static_cast<hosted_backend *>(context);
    }

    // Of the backend, if it is one.
    committer *committer_;
    loader *loader_;
    waiter *waiter_;
    std::unique_ptr<backend> backend_;
    std::shared_ptr<std::atomic<bool>> was_called_;
};

} // namespace detail

/* A store of flags: key to JSON value. A moved-from store has no handle: its calls throw FLAGSTORE_INVALID_ARGUMENT and
 * its noexcept getters give the fallback. */
class store {
public:
    /* A store in memory, gone with the last handle. */
    static store memory() {
        detail::outcome outcome;
        return opened(flagstore_memory_open(outcome.out()), outcome);
    }
    /* The store in the file at `path`, created if it is missing. */
    static store file(text path) {
        detail::outcome outcome;
        return opened(flagstore_file_open(detail::c_string(path), outcome.out()), outcome);
    }
    /* The same with options. */
    static store file(text path, const flagstore_file_options_t &options) {
        detail::outcome outcome;
        return opened(flagstore_file_open_with(detail::c_string(path), &options, outcome.out()), outcome);
    }
    /* The store over a backend of your own, which is destroyed when the store and its watches are. Without RTTI hand it
     * over as a pointer to its own class, from which the library sees what it can do. */
    template <class T> static store custom(std::unique_ptr<T> owned) {
        return hosted(std::move(owned), flagstore_backend_open);
    }
    /* The same with options: then a call keeps its deadline whatever the backend does, and flags may be kept in memory
     * and followed. FLAGSTORE_UNAVAILABLE if a WATCHED store's first snapshot does not come in time and there is no
     * fallback file. After a failure the backend is destroyed, once no call is inside it. */
    template <class T> static store custom(std::unique_ptr<T> owned, const remote_options &options) {
        const flagstore_remote_options_t given = options.capi();
        return hosted(std::move(owned), [&](const flagstore_backend_t *table, flagstore_error_t **failed) {
            return flagstore_backend_open_with(table, &given, failed);
        });
    }

    /* The flags in the hash "flagstore" of the Redis at `url`: redis://[USER[:PASSWORD]@]HOST[:6379][/DATABASE],
     * rediss:// for TLS, or redis+unix:///PATH/OF/SOCKET[?db=DATABASE]. FLAGSTORE_NOT_IMPLEMENTED if the library was
     * built without Redis: see has_feature. */
    static store redis(text url) { return redis(url, redis_options()); }
    /* The same with options. Only a WATCHED store connects now: FLAGSTORE_UNAVAILABLE if its first snapshot does not
     * come in time and there is no fallback file, FLAGSTORE_BACKEND with the words of a server that refuses. No message
     * has a password. */
    static store redis(text url, const redis_options &options) {
        if (!has_feature("redis")) // then it may not even have the function
            throw error(FLAGSTORE_NOT_IMPLEMENTED, "the library in use was built without Redis");
        const flagstore_remote_options_t remote = options.capi();
        const flagstore_redis_options_t given = options.capi(remote);
        detail::outcome outcome;
        return opened(flagstore_redis_open(detail::c_string(url), &given, outcome.out()), outcome);
    }

    /* A store among the layers of another: a parameter only. */
    class layer {
    public:
        layer(const store &of) noexcept : handle_(of.handle_.get()) {}
        flagstore_t *capi() const noexcept { return handle_; }

    private:
        flagstore_t *handle_;
    };
    /* A store over stores: layered({overrides, store::file("flags.json")}). A read asks the first layer, and the next
     * where a flag is absent; changes are for layers[write_to] alone. It holds the layers: their handles may end. */
    static store layered(const std::vector<layer> &layers, std::size_t write_to = 0) {
        std::vector<flagstore_t *> handles;
        for (const layer &each : layers)
            handles.push_back(each.capi());
        flagstore_t *none = nullptr; // an empty vector may point nowhere
        detail::outcome outcome;
        flagstore_t *const *first = handles.empty() ? &none : handles.data();
        return opened(flagstore_layered_open(first, handles.size(), write_to, outcome.out()), outcome);
    }
    /* Takes over a handle from C. */
    explicit store(flagstore_t *owned) noexcept : handle_(owned) {}

    /* The handle, for calls to C; still owned by this object. */
    flagstore_t *capi() noexcept { return handle_.get(); }
    const flagstore_t *capi() const noexcept { return handle_.get(); }

    /* The value as compact JSON, or nothing if there is no such key. */
    optional<std::string> get(text key) const {
        detail::outcome outcome;
        std::size_t size = 0;
        char *bytes = flagstore_get_n(capi(), key.data(), key.size(), &size, outcome.out());
        return taken(bytes, size, outcome);
    }
    /* The value if it is a string, unquoted; nothing if there is no such key. */
    optional<std::string> get_string(text key) const {
        detail::outcome outcome;
        std::size_t size = 0;
        char *bytes = flagstore_get_string_n(capi(), key.data(), key.size(), &size, outcome.out());
        return taken(bytes, size, outcome);
    }

    /* The value as a bool, an integer, a double, a float or a std::string (unquoted): get<int>("max-items"). Nothing if
     * there is no such key; FLAGSTORE_TYPE_MISMATCH if the value is of another type or does not fit. Unsigned integers
     * are read up to INT64_MAX. */
    template <class T>
    typename std::enable_if<!std::is_same<T, std::string>::value, optional<T>>::type get(text key) const {
        using reader = detail::reader<T>;
        using raw = typename reader::raw;
        // Of a flag that is not there the library returns the fallback: two of them tell it from a value.
        for (;;) {
            raw value = read<T>(key, raw(0));
            if (value == raw(0))
                value = read<T>(key, raw(1));
            else if (value == raw(1))
                return optional<T>(static_cast<T>(value));
            if (value != raw(1)) {
                if (!reader::fits(value))
                    throw error(FLAGSTORE_TYPE_MISMATCH,
                                "flag \"" + std::string(key.data(), key.size()) + "\": a number out of range");
                return optional<T>(static_cast<T>(value));
            }
            if (!get(key)) // else it came, or became 1, in between
                return optional<T>();
        }
    }
    template <class T>
    typename std::enable_if<std::is_same<T, std::string>::value, optional<T>>::type get(text key) const {
        return get_string(key);
    }
    /* The value, or the fallback if the key is absent, or of another type, or does not fit, or unreadable: it has the
     * type of the fallback, get("max-items", 10). A fallback that is text goes with a string and may throw
     * std::bad_alloc. */
    template <class T>
    typename std::enable_if<std::is_arithmetic<T>::value, T>::type get(text key, T fallback) const noexcept {
        using reader = detail::reader<T>;
        using raw = typename reader::raw;
        const raw otherwise = static_cast<raw>(fallback);
        const raw value = reader::read(capi(), key.data(), key.size(), otherwise, nullptr);
        return value == otherwise || !reader::fits(value) ? fallback : static_cast<T>(value);
    }
    template <class T>
    typename std::enable_if<std::is_same<T, std::string>::value, T>::type get(text key, T fallback) const {
        return get_string(key, std::move(fallback));
    }
    std::string get(text key, const char *fallback) const { return get_string(key, fallback); }
#ifdef FLAGSTORE_CPP17
    std::string get(text key, std::string_view fallback) const { return get_string(key, std::string(fallback)); }
#endif

    /* The same by the name of the type. */
    bool get_bool(text key, bool fallback) const noexcept {
        return flagstore_get_bool_n(capi(), key.data(), key.size(), fallback, nullptr);
    }
    std::int64_t get_int64(text key, std::int64_t fallback) const noexcept {
        return flagstore_get_int64_n(capi(), key.data(), key.size(), fallback, nullptr);
    }
    double get_double(text key, double fallback) const noexcept {
        return flagstore_get_double_n(capi(), key.data(), key.size(), fallback, nullptr);
    }
    /* Likewise; it throws only std::bad_alloc. */
    std::string get_string(text key, std::string fallback) const {
        std::size_t size = 0;
        detail::owned<char> value(flagstore_get_string_n(capi(), key.data(), key.size(), &size, nullptr));
        return value ? std::string(value.get(), size) : std::move(fallback);
    }

    /* One of FLAGSTORE_TYPE_*; FLAGSTORE_TYPE_ABSENT if there is no such key. */
    std::int32_t type(text key) const {
        detail::outcome outcome;
        std::int32_t type = flagstore_get_type(capi(), detail::c_string(key), outcome.out());
        outcome.check();
        return type;
    }

    /* Stores the value that `json` spells: set("theme", "\"dark\""). */
    void set(text key, text json) {
        detail::outcome outcome;
        flagstore_set_n(capi(), key.data(), key.size(), json.data(), json.size(), outcome.out());
        outcome.check();
    }
    /* Stores a bool, an integer of any size or a finite double. */
    template <class T>
    typename std::enable_if<std::is_same<T, bool>::value>::type set(text key, T value) {
        set(key, text(value ? "true" : "false"));
    }
    template <class T>
    typename std::enable_if<detail::is_integer<T>::value>::type set(text key, T value) {
        set(key, text(std::to_string(value)));
    }
    template <class T>
    typename std::enable_if<std::is_floating_point<T>::value>::type set(text key, T value) {
        detail::outcome outcome;
        flagstore_set_double(capi(), detail::c_string(key), static_cast<double>(value), outcome.out());
        outcome.check();
    }
    /* Stores `value` itself as a JSON string: set_string("theme", "dark"). Neither may contain U+0000. */
    void set_string(text key, text value) {
        detail::outcome outcome;
        flagstore_set_string(capi(), detail::c_string(key), detail::c_string(value), outcome.out());
        outcome.check();
    }

    /* True if the key was there. */
    bool remove(text key) {
        detail::outcome outcome;
        bool existed = flagstore_delete_n(capi(), key.data(), key.size(), outcome.out());
        outcome.check();
        return existed;
    }

    /* All flags as one compact JSON object. */
    std::string list_all() const {
        detail::outcome outcome;
        detail::owned<char> json(flagstore_list_all(capi(), outcome.out()));
        outcome.check();
        return json.get();
    }
    /* How many flags there are. */
    std::size_t size() const {
        detail::outcome outcome;
        std::int64_t count = flagstore_len(capi(), outcome.out());
        outcome.check();
        return static_cast<std::size_t>(count);
    }

    /* Every flag as of this moment. */
    flagstore::snapshot snapshot() const {
        detail::outcome outcome;
        flagstore::snapshot taken(flagstore_snapshot(capi(), outcome.out()));
        outcome.check();
        return taken;
    }
    /* Makes all changes of the batch in one write, or throws and makes none; FLAGSTORE_CONFLICT if an expectation did
     * not hold. On a backend of your own see flagstore_commit. */
    void commit(const batch &changes) {
        detail::outcome outcome;
        flagstore_commit(capi(), changes.capi(), outcome.out());
        outcome.check();
    }

    /* A number, never 0, that differs from an earlier one whenever the content may have changed since. */
    std::uint64_t revision() const {
        detail::outcome outcome;
        std::uint64_t revision = flagstore_revision(capi(), outcome.out());
        outcome.check();
        return revision;
    }
    /* Blocks until the revision is another, updates it and returns true; false after so many milliseconds (-1: for
     * ever, 0: does not block). */
    bool wait(std::uint64_t &revision, std::int32_t timeout_ms = -1) const {
        detail::outcome outcome;
        bool changed = flagstore_wait(capi(), &revision, timeout_ms, outcome.out());
        outcome.check();
        return changed;
    }
    /* The same in time of any unit, 24 days at most: wait(revision, std::chrono::seconds(2)). */
    template <class Rep, class Period>
    bool wait(std::uint64_t &revision, std::chrono::duration<Rep, Period> timeout) const {
        return wait(revision, detail::milliseconds(timeout));
    }
    /* How old the flags are that reads get. It asks nobody. */
    flagstore::status status() const {
        flagstore::status found;
        detail::outcome outcome;
        flagstore_status(capi(), &found, outcome.out());
        outcome.check();
        return found;
    }
    /* Returns once reads see everything that was finished, by anybody, before the call; FLAGSTORE_UNAVAILABLE after so
     * many milliseconds (-1: never). */
    void sync(std::int32_t timeout_ms = -1) {
        detail::outcome outcome;
        flagstore_sync(capi(), timeout_ms, outcome.out());
        outcome.check();
    }
    /* The same in time of any unit, 24 days at most. */
    template <class Rep, class Period> void sync(std::chrono::duration<Rep, Period> timeout) {
        sync(detail::milliseconds(timeout));
    }
    /* Calls `call`, in a thread of the library, for each change from now on until the watch is destroyed. An exception
     * from it terminates the program. */
    flagstore::watch watch(flagstore::watch::function call) {
        return flagstore::watch(capi(), nullptr, std::move(call));
    }
    /* The same for one flag. */
    flagstore::watch watch(text key, flagstore::watch::function call) {
        detail::c_string terminated(key);
        if (!terminated)
            throw error(FLAGSTORE_INVALID_ARGUMENT, "key is NULL");
        return flagstore::watch(capi(), terminated, std::move(call));
    }

private:
    template <class T> typename detail::reader<T>::raw read(text key, typename detail::reader<T>::raw fallback) const {
        detail::outcome outcome;
        auto value = detail::reader<T>::read(capi(), key.data(), key.size(), fallback, outcome.out());
        outcome.check();
        return value;
    }
    template <class T, class Open> static store hosted(std::unique_ptr<T> owned, Open open) {
        if (!owned)
            throw error(FLAGSTORE_INVALID_ARGUMENT, "the backend is NULL");
        std::unique_ptr<detail::hosted_backend> context(new detail::hosted_backend(std::move(owned)));
        const flagstore_backend_t table = context->table();
        const std::shared_ptr<const std::atomic<bool>> was_called = context->was_called();
        detail::outcome outcome;
        flagstore_t *handle = open(&table, outcome.out());
        if (handle || *was_called)
            context.release(); // the library closes it
        return opened(handle, outcome);
    }
    static store opened(flagstore_t *handle, const detail::outcome &outcome) {
        store result(handle);
        outcome.check();
        return result;
    }
    static optional<std::string> taken(char *bytes, std::size_t size, const detail::outcome &outcome) {
        detail::owned<char> owner(bytes);
        outcome.check();
        if (!bytes)
            return optional<std::string>();
        return optional<std::string>(std::string(bytes, size));
    }

    detail::owned<flagstore_t> handle_;
};

static_assert(sizeof(store) == sizeof(flagstore_t *), "a store is one pointer");

} // inline namespace
} // namespace flagstore

#ifdef FLAGSTORE_CPP17
template <> struct std::tuple_size<flagstore::entry> : std::integral_constant<std::size_t, 2> {};
template <std::size_t index> struct std::tuple_element<index, flagstore::entry> { using type = std::string_view; };
#endif

#endif // exceptions
#endif
