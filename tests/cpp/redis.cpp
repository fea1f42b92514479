// Stores on Redis: the error of a library without it, options, a server that is not there, and what others change.
#include "check.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

using flagstore::batch;
using flagstore::redis_options;
using flagstore::store;

namespace {

const std::chrono::seconds PATIENCE(60);
const std::string SECRET("s3cret-word");

/* The message of the error, in which there must be no password. */
template <class Call> void refused(std::int32_t code, const std::string &part, Call call) {
    try {
        call();
        check::that(false, __FILE__, __LINE__, "expected " + std::string(flagstore_error_name(code)));
    } catch (const flagstore::error &error) {
        const std::string message(error.what());
        CHECK_EQUAL(std::string(flagstore_error_name(code)), error.name());
        check::that(message.find(part) != std::string::npos, __FILE__, __LINE__, "no <" + part + "> in: " + message);
        check::that(message.find(SECRET) == std::string::npos, __FILE__, __LINE__, "a password is in: " + message);
    }
}

/* What redis-cli says; words are for the shell. */
std::string cli(const std::string &words) {
    const std::string command = "redis-cli -u '" + std::string(check::redis_url()) + "' " + words + " 2>&1";
    FILE *said = popen(command.c_str(), "r");
    std::string text;
    for (int letter; said && (letter = std::fgetc(said)) != EOF;)
        text += static_cast<char>(letter);
    CHECK(said && pclose(said) == 0);
    return text.substr(0, text.find('\n'));
}

/* A port that nobody listens at: it stays taken. */
class closed_port {
public:
    closed_port() : socket_(socket(AF_INET, SOCK_STREAM, 0)), address_() {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address_;
        sockaddr *address = reinterpret_cast<sockaddr *>(&address_);
        CHECK(bind(socket_, address, size) == 0 && getsockname(socket_, address, &size) == 0);
    }
    closed_port(const closed_port &) = delete;
    closed_port &operator=(const closed_port &) = delete;
    ~closed_port() { close(socket_); }
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

private:
    int socket_;
    sockaddr_in address_;
};

void a_library_without_redis_says_so() {
    redis_options options;
    options.password = SECRET;
    refused(FLAGSTORE_NOT_IMPLEMENTED, "edis", [&] { store::redis("redis://:" + SECRET + "@localhost", options); });
    refused(FLAGSTORE_NOT_IMPLEMENTED, "edis", [] { store::redis("redis://localhost"); });
    store flags = store::memory();
    flags.set("a", 1);
    CHECK_JSON("1", flags.get("a"));
}

void what_cannot_be_is_refused() {
    const std::string nul("\0", 1);
    for (const std::string &url : {std::string(), std::string("localhost"), std::string("http://localhost"),
                                   std::string("redis://"), std::string("redis://localhost:99999"),
                                   "redis://:" + SECRET + "@localhost:x", "redis://:" + SECRET + "@local" + nul,
                                   "redis://:" + SECRET + "@\xff"})
        refused(FLAGSTORE_INVALID_ARGUMENT, "", [&] { store::redis(url); });
    refused(FLAGSTORE_INVALID_ARGUMENT, "", [] { store::redis(static_cast<const char *>(nullptr)); });
    const std::function<void(redis_options &)> wrongs[] = {
        [](redis_options &o) { o.connections = -1; }, [](redis_options &o) { o.wait_replicas = -1; },
        [](redis_options &o) { o.wait_ms = -1; }, [](redis_options &o) { o.hash = "{"; },
        [](redis_options &o) { o.username = "\xff"; }, [](redis_options &o) { o.read_mode = 7; },
        [](redis_options &o) { o.when_lost = 7; }, [](redis_options &o) { o.verify_ms = -1; },
        [&](redis_options &o) { o.password = SECRET + nul; }, [](redis_options &o) { o.password = SECRET + "\xff"; },
    };
    for (const auto &wrong : wrongs) {
        redis_options options;
        wrong(options);
        refused(FLAGSTORE_INVALID_ARGUMENT, "", [&] { store::redis("redis://localhost", options); });
    }
}

void files_that_are_not_there_are_an_error() {
    check::directory here;
    const std::string missing = here / "missing.pem";
    redis_options with_ca, with_cert;
    with_ca.tls_ca_file = with_cert.tls_cert_file = with_cert.tls_key_file = missing;
    with_ca.read_mode = with_cert.read_mode = FLAGSTORE_READ_WATCHED;
    refused(FLAGSTORE_IO, missing, [&] { store::redis("rediss://127.0.0.1:1", with_ca); });
    refused(FLAGSTORE_IO, missing, [&] { store::redis("rediss://127.0.0.1:1", with_cert); });
}

void nobody_listens() {
    const closed_port taken;
    store flags = store::redis(taken.url()); // it does not connect
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "", flags.get("key"));
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "", flags.set("key", 1));
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "", flags.list_all());
    check::directory here;
    redis_options options;
    options.open_timeout(std::chrono::milliseconds(100)).read_mode = FLAGSTORE_READ_WATCHED;
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "", store::redis(taken.url(), options));
    check::write(here / "flags.json", "{\"key\": 1}\n");
    options.fallback(here / "flags.json");
    const redis_options copy(options);
    store fallback = store::redis(taken.url(), copy);
    CHECK_EQUAL(FLAGSTORE_STATE_FALLBACK, fallback.status().state);
    CHECK_EQUAL(1, fallback.get("key", 0));
    redis_options lazily;
    lazily.read_mode = FLAGSTORE_READ_WATCHED;
    lazily.flags = FLAGSTORE_OPEN_LAZY;
    store lazy = store::redis(taken.url(), lazily);
    CHECK_EQUAL(FLAGSTORE_STATE_LOST, lazy.status().state);
    CHECK_THROWS(FLAGSTORE_UNAVAILABLE, "", lazy.get("key"));
}

/* ---- with a server ---- */

store opened(const std::string &hash, std::int32_t read_mode) {
    return store::redis(check::redis_url(), check::in_hash(hash, read_mode));
}

void what_people_change_is_seen() {
    const std::string hash = check::new_hash();
    store fresh = opened(hash, FLAGSTORE_READ_FRESH), flags = opened(hash, FLAGSTORE_READ_WATCHED);
    std::atomic<int> told{0};
    flagstore::watch watch = flags.watch([&](const char *key, const char *old_json, const char *new_json) {
        told += std::string(key) == "dark-mode" && !old_json && new_json == std::string("{\"on\":true}");
    });
    std::uint64_t revision = flags.revision();
    cli("HSET " + hash + " dark-mode '{\"on\":  true}'");
    CHECK_JSON("{\"on\":true}", fresh.get("dark-mode"));
    CHECK(flags.wait(revision, PATIENCE));
    CHECK_EVENTUALLY(told == 1);
    CHECK_JSON("{\"on\":true}", flags.get("dark-mode"));
    CHECK_EQUAL(FLAGSTORE_STATE_LIVE, flags.status().state);
    CHECK_EQUAL(FLAGSTORE_PUSH_TRACKED, flags.status().push);
    CHECK_EVENTUALLY(flags.status().refreshes > 0);
    fresh.set("max-items", 12);
    CHECK_EQUAL("12", cli("HGET " + hash + " max-items"));
    for (int i = 0; i < 10; i++) {
        fresh.set("key", i);
        flags.sync(PATIENCE);
        CHECK_EQUAL(i, flags.get("key", -1));
    }
}

void layers_over_it() {
    const std::string hash = check::new_hash();
    store memory = store::memory(), below = opened(hash, FLAGSTORE_READ_WATCHED);
    store flags = store::layered({memory, below}, 1);
    std::uint64_t revision = flags.revision();
    cli("HSET " + hash + " key 1");
    CHECK(flags.wait(revision, PATIENCE));
    CHECK_EVENTUALLY(flags.get("key", 0) == 1);
    flags.set("key", 2);
    memory.set("key", 3);
    CHECK_EQUAL(3, flags.get("key", 0));
    CHECK_EQUAL(2, below.get("key", 0));
    CHECK_EQUAL("2", cli("HGET " + hash + " key"));
}

void what_has_vanished_is_not_believed_to_be_empty() {
    const std::string hash = check::new_hash();
    store flags = opened(hash, FLAGSTORE_READ_WATCHED);
    flags.set("key", 1);
    cli("DEL " + hash + " '{" + hash + "}:meta'");
    CHECK_EVENTUALLY(flags.status().state == FLAGSTORE_STATE_LOST);
    CHECK_EQUAL(1, flags.get("key", 0));
}

void a_user_his_password_and_a_file_with_it() {
    const std::string hash = check::new_hash(), user = "cpp" + std::to_string(getpid());
    cli("ACL SETUSER " + user + " on '>" + SECRET + "' '~*' '&*' +@all");
    check::directory here;
    check::write(here / "password", SECRET + "\n");
    redis_options by_text = check::in_hash(hash, FLAGSTORE_READ_FRESH), by_file = by_text;
    by_text.username = by_file.username = user;
    by_text.password = SECRET;
    by_file.password_file = here / "password";
    for (const redis_options &options : {by_text, by_file}) {
        store flags = store::redis(check::redis_url(), options);
        flags.set_string("by", user);
        CHECK_EQUAL(user, flags.get("by", ""));
    }
    by_text.password += "!";
    refused(FLAGSTORE_BACKEND, "WRONGPASS", [&] { store::redis(check::redis_url(), by_text).get("by"); });
    cli("ACL DELUSER " + user);
}

void tls_with_certificates_of_both_sides() {
    const std::string url(std::getenv("FLAGSTORE_REDIS_TLS")), of(std::getenv("FLAGSTORE_REDIS_CERTIFICATES"));
    redis_options right = check::in_hash(check::new_hash(), FLAGSTORE_READ_FRESH);
    right.tls_ca_file = of + "/ca.pem";
    right.tls_cert_file = of + "/client.pem";
    right.tls_key_file = of + "/client.key";
    right.tls_server_name = "flags.test";
    store::redis(url, right).set("key", 1);
    CHECK_EQUAL(1, opened(right.hash, FLAGSTORE_READ_FRESH).get("key", 0));
    redis_options other_name(right), no_name(right), other_ca(right), no_certificate(right);
    other_name.tls_server_name = "other.test";
    no_name.tls_server_name.clear();
    other_ca.tls_ca_file = right.tls_cert_file;
    no_certificate.tls_cert_file.clear();
    no_certificate.tls_key_file.clear();
    for (const redis_options &wrong : {other_name, no_name, other_ca, no_certificate})
        CHECK_THROWS(FLAGSTORE_BACKEND, "", store::redis(url, wrong).get("key"));
}

void other_options() {
    redis_options options = check::in_hash(check::new_hash(), FLAGSTORE_READ_FRESH);
    options.connections = options.wait_replicas = 1;
    store flags = store::redis(check::redis_url(), options.wait(std::chrono::milliseconds(20)));
    CHECK_THROWS(FLAGSTORE_NOT_DURABLE, "", flags.set("key", 1));
    CHECK_EQUAL(1, flags.get("key", 0));
    options.flags = FLAGSTORE_OPEN_READ_ONLY;
    CHECK_THROWS(FLAGSTORE_READ_ONLY, "", store::redis(check::redis_url(), options).set("key", 1));
    redis_options to_sentinel;
    to_sentinel.sentinel_master = "flags";
    bool is_refused = false; // it is no Sentinel
    try {
        store::redis(check::redis_url(), to_sentinel).get("key");
    } catch (const flagstore::error &error) {
        is_refused = error.code() == FLAGSTORE_BACKEND || error.code() == FLAGSTORE_UNAVAILABLE;
    }
    CHECK(is_refused);
}

void a_child_of_fork_uses_what_it_inherits() {
    for (std::int32_t mode : {FLAGSTORE_READ_FRESH, FLAGSTORE_READ_WATCHED}) {
        store flags = opened(check::new_hash(), mode);
        flags.set("parent", 1);
        std::fflush(nullptr);
        const pid_t child = fork();
        if (child == 0) {
            const bool is_there = flags.get("parent", 0) == 1;
            flags.set("child", 2);
            _exit(is_there && flags.get("child", 0) == 2 ? 0 : 1);
        }
        int ended = -1;
        CHECK(waitpid(child, &ended, 0) == child && ended == 0);
        CHECK_EVENTUALLY(flags.get("child", 0) == 2);
    }
}

} // namespace

#define PROMISE(name) {#name, name}
struct promise {
    const char *name;
    void (*check)();
};
static const promise WITHOUT_REDIS[] = {PROMISE(a_library_without_redis_says_so)};
static const promise WITHOUT_SERVER[] = {
    PROMISE(what_cannot_be_is_refused), PROMISE(files_that_are_not_there_are_an_error), PROMISE(nobody_listens)};
static const promise ON_REDIS[] = {
    PROMISE(what_people_change_is_seen),
    PROMISE(layers_over_it),
    PROMISE(what_has_vanished_is_not_believed_to_be_empty),
    PROMISE(a_user_his_password_and_a_file_with_it),
    PROMISE(tls_with_certificates_of_both_sides),
    PROMISE(other_options),
    PROMISE(a_child_of_fork_uses_what_it_inherits),
};

template <std::size_t count> static void run(const promise (&promises)[count]) {
    for (const promise &each : promises) {
        check::context = each.name;
        each.check();
    }
}

int main() {
    const bool is_built = flagstore::has_feature("redis");
    if (!is_built) {
        CHECK(!check::redis_url()); // else somebody believes that it is tested
        run(WITHOUT_REDIS);
        return check::report("C++ with a library without Redis");
    }
    run(WITHOUT_SERVER);
    if (check::redis_url()) {
        run(ON_REDIS);
    } else {
        std::fprintf(stderr, "SKIPPED C++ on Redis: FLAGSTORE_REDIS names no server, see tests/redis/bindings.sh\n");
        const char *tests = std::getenv("FLAGSTORE_TESTS");
        CHECK(!tests || std::string(tests) != "all");
    }
    return check::report("C++ on Redis");
}
