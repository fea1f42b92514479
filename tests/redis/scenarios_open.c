/* URLs, options and passwords; a host that is not there; a host that closes descriptors under the library. */
#include "scenarios.h"

#define SECRET "hunter2"

/* ---- what cannot be ---- */

static void a_url_that_cannot_be_is_refused(void) {
    static const char *const urls[] = {
        "", "x", "localhost", "localhost:6379", "http://localhost", "redis:", "redis://", "redis:///3", "redis://:6379",
        "redis://localhost:", "redis://localhost:0", "redis://localhost:65536", "redis://localhost:-1",
        "redis://localhost:6379x", "redis://localhost/x", "redis://localhost/-1", "redis://localhost/1/2",
        "redis://localhost/99999999999999999999", "redis://[::1", "redis://[::1]x", "redis://one,,two",
        "redis+unix://", "redis+unix:///tmp/socket?db=x",
        "redis+unix:///tmp/socket?x=1", "redis://user:" SECRET "@", "redis://user:" SECRET "@localhost:x",
        "rediss://user:" SECRET "@localhost/x", "redis://u%zz:" SECRET "@localhost", "REDIS ://localhost",
        "redis://u\xff:" SECRET "@localhost",
    };
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(urls); i++) {
        check_row = urls[i];
        flagstore_t *store = flagstore_redis_open(urls[i], NULL, &error);
        CHECK(!store);
        if (error) CHECK(!strstr(flagstore_error_message(error), SECRET));
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
        flagstore_free(store);
    }
    check_row = "";
    CHECK(!flagstore_redis_open(NULL, NULL, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
}

static void a_url_that_can_be_is_taken(void) {
    char url[400], where[300];
    snprintf(where, sizeof where, "%s", redis_url() + strlen("redis://"));
    static const char *const forms[] = {"redis://%s", "redis://%s/", "redis://%s/0", "redis://%s/15"};
    for (size_t i = 0; i < COUNT(forms); i++) {
        snprintf(url, sizeof url, forms[i], where);
        flagstore_error_t *error = GARBAGE;
        flagstore_t *store = open_redis(url, FRESH, &error);
        check_row = url;
        CHECK_OK(error);
        CHECK_GET(NULL, store, "flag");
        flagstore_free(store);
    }
    snprintf(url, sizeof url, "redis+unix://%s", redis_socket());
    flagstore_t *store = open_redis(url, WATCHED, NULL);
    SET(store, "flag", "1");
    CHECK_CLI("1", "HGET flagstore flag");
    flagstore_free(store);
    check_row = "";
}

static void check_refused(const char *what, flagstore_redis_options_t options, int32_t code) {
    flagstore_error_t *error = GARBAGE;
    check_row = what;
    flagstore_t *store = flagstore_redis_open(redis_url(), &options, &error);
    CHECK(!store);
    if (error) CHECK(!strstr(flagstore_error_message(error), SECRET));
    CHECK_ERROR(code, NULL, error);
    flagstore_free(store);
    check_row = "";
}

#define OPTIONS(...) ((flagstore_redis_options_t){.size = sizeof(flagstore_redis_options_t), __VA_ARGS__})
#define REMOTE(...) \
    OPTIONS(.remote = &(flagstore_remote_options_t){.size = sizeof(flagstore_remote_options_t), __VA_ARGS__})

static void an_option_that_cannot_be_is_refused(void) {
    enum { CANNOT_BE = FLAGSTORE_INVALID_ARGUMENT };
    check_refused("size", (flagstore_redis_options_t){0}, CANNOT_BE);
    check_refused("connections", OPTIONS(.connections = -1), CANNOT_BE);
    check_refused("wait_replicas", OPTIONS(.wait_replicas = -1), CANNOT_BE);
    check_refused("wait_ms", OPTIONS(.wait_replicas = 1, .wait_ms = -2), CANNOT_BE);
    check_refused("reserved", OPTIONS(.reserved = 1), CANNOT_BE);
    check_refused("remote", OPTIONS(.remote = &(flagstore_remote_options_t){0}), CANNOT_BE);
    check_refused("read_mode", REMOTE(.read_mode = 9), CANNOT_BE);
    check_refused("call_timeout_ms", REMOTE(.call_timeout_ms = -5), CANNOT_BE);
    check_refused("flags", REMOTE(.flags = 1u << 30), CANNOT_BE);
    check_refused("a brace", OPTIONS(.hash = "a{b"), CANNOT_BE);
    check_refused("no tag in braces", OPTIONS(.hash = "a{}b"), CANNOT_BE);
    check_refused("a brace that closes first", OPTIONS(.hash = "a}b{"), CANNOT_BE);
    check_refused("not UTF-8", OPTIONS(.hash = "\xff"), CANNOT_BE);
    check_refused("no such file", OPTIONS(.password_file = "/no/such/file"), FLAGSTORE_IO);
}

/* ---- passwords ---- */

static void hear_no_password(void *userdata, int32_t level, const char *message) {
    (void)userdata, (void)level;
    CHECK_THAT(!strstr(message, SECRET), "a password in the log: %s", message);
}

/* A get and a WATCHED open fail so, and say so without the password. */
static void check_fails(flagstore_redis_options_t options, const char *url, int32_t code) {
    flagstore_error_t *error = GARBAGE;
    int32_t timeout_ms = code == FLAGSTORE_UNAVAILABLE ? 1000 : 60000; /* a server that refuses has time to say so */
    flagstore_remote_options_t remote = {.size = sizeof remote, .call_timeout_ms = timeout_ms,
                                         .open_timeout_ms = timeout_ms};
    options.remote = &remote;
    check_row = url;
    flagstore_t *store = flagstore_redis_open(url, &options, &error);
    CHECK_OK(error);
    CHECK(!flagstore_get(store, "flag", &error));
    if (error) CHECK(!strstr(flagstore_error_message(error), SECRET));
    CHECK_ERROR(code, NULL, error);
    flagstore_free(store);
    remote.read_mode = WATCHED;
    CHECK(!flagstore_redis_open(url, &options, &error));
    if (error) CHECK(!strstr(flagstore_error_message(error), SECRET));
    CHECK_ERROR(code, NULL, error);
    check_row = "";
}

static void no_message_has_a_password(void) {
    char url[400];
    const char *where = redis_url() + strlen("redis://");
    flagstore_set_log(hear_no_password, NULL, FLAGSTORE_LOG_DEBUG);
    CHECK_CLI("OK", "ACL SETUSER reader on >other-" SECRET " ~* &* +@all");
    snprintf(url, sizeof url, "redis://reader:%s@%s", SECRET, where);
    check_fails(OPTIONS(.reserved = 0), url, FLAGSTORE_BACKEND);
    put("password", "wrong-" SECRET "\n");
    check_fails(OPTIONS(.username = "reader", .password = "wrong-" SECRET), redis_url(), FLAGSTORE_BACKEND);
    check_fails(OPTIONS(.username = "reader", .password_file = "password"), redis_url(), FLAGSTORE_BACKEND);
    check_fails(OPTIONS(.username = "nobody", .password = SECRET), redis_url(), FLAGSTORE_BACKEND);
    check_fails(OPTIONS(.password = SECRET), redis_url(), FLAGSTORE_BACKEND); /* the server has none */
    check_fails(OPTIONS(.reserved = 0), "redis://reader:" SECRET "@127.0.0.1:1",
                FLAGSTORE_UNAVAILABLE);
    check_fails(OPTIONS(.reserved = 0), "redis://reader:" SECRET "@no-such-host.invalid",
                FLAGSTORE_UNAVAILABLE);
    check_fails(OPTIONS(.username = "reader", .password = SECRET), "redis+unix:///no/such/socket",
                FLAGSTORE_UNAVAILABLE);
    flagstore_set_log(NULL, NULL, 0);
    CHECK_CLI("1", "ACL DELUSER reader");
}

static void a_password_is_taken_from_wherever_it_stands(void) {
    static const char *const forms[] = {"redis://reader:p%%40ss%%3A%%2F@%s", "redis://wrong:word@%s", "redis://%s"};
    char url[400];
    CHECK_CLI("OK", "ACL SETUSER reader on >p@ss:/ ~* &* +@all");
    put("password", "p@ss:/\n");
    for (size_t i = 0; i < COUNT(forms); i++) {
        flagstore_remote_options_t remote = far_options(i == 2 ? WATCHED : FRESH);
        flagstore_redis_options_t options = OPTIONS(.remote = &remote);
        if (i > 0) options.username = "reader";
        if (i == 1) options.password = "p@ss:/";
        if (i == 2) options.password_file = "password";
        snprintf(url, sizeof url, forms[i], redis_url() + strlen("redis://"));
        check_row = url;
        flagstore_error_t *error = GARBAGE;
        flagstore_t *store = flagstore_redis_open(url, &options, &error);
        CHECK_OK(error);
        SET(store, "flag", "1");
        CHECK_GET("1", store, "flag");
        flagstore_free(store);
    }
    check_row = "";
    CHECK_CLI("1", "ACL DELUSER reader");
}

/* ---- nobody there ---- */

/* The promise is about time: 300 ms, and what a busy machine needs beyond that. */
static void a_host_that_is_not_there_costs_no_more_than_the_deadline(void) {
    static const char *const urls[] = {"redis://no-such-host.invalid", "redis://127.0.0.1:1", "redis+unix:///no/such",
                                       "rediss://127.0.0.1:1"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        flagstore_error_t *error = GARBAGE;
        flagstore_remote_options_t remote = {.size = sizeof remote, .call_timeout_ms = 300, .open_timeout_ms = 300};
        flagstore_redis_options_t options = OPTIONS(.remote = &remote);
        check_row = urls[i];
        flagstore_t *store = flagstore_redis_open(urls[i], &options, &error); /* connects when it is asked */
        CHECK_OK(error);
        CHECK(is_in(store, FLAGSTORE_STATE_LIVE));
        int64_t start = now_ms();
        CHECK(!flagstore_set(store, "flag", "1", &error));
        CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
        CHECK_THAT(now_ms() - start < 2300, "a change took %lld ms", (long long)(now_ms() - start));
        start = now_ms();
        CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_get(store, "flag"));
        CHECK(flagstore_get_bool(store, "flag", true, NULL));
        CHECK_THAT(now_ms() - start < 2600, "two reads took %lld ms", (long long)(now_ms() - start));
        flagstore_free(store);
        remote.read_mode = WATCHED, start = now_ms();
        CHECK(!flagstore_redis_open(urls[i], &options, &error));
        CHECK_ERROR(FLAGSTORE_UNAVAILABLE, NULL, error);
        CHECK_THAT(now_ms() - start < 2300, "open took %lld ms", (long long)(now_ms() - start));
        remote.flags = FLAGSTORE_OPEN_LAZY, start = now_ms();
        store = flagstore_redis_open(urls[i], &options, &error);
        CHECK_OK(error);
        CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_get(store, "flag"));
        CHECK(is_in(store, FLAGSTORE_STATE_LOST));
        flagstore_free(store);
        CHECK_THAT(now_ms() - start < 3000, "from open to free: %lld ms", (long long)(now_ms() - start));
    }
    check_row = "";
}

static void a_read_only_store_changes_nothing(void) {
    flagstore_error_t *error = GARBAGE;
    for (size_t mode = 0; mode < COUNT(READ_MODES); mode++) {
        flagstore_remote_options_t remote = far_options(READ_MODES[mode]);
        remote.flags = FLAGSTORE_OPEN_READ_ONLY;
        flagstore_t *store = opened_hash(NULL, remote);
        CHECK(!flagstore_set(store, "flag", "1", &error));
        CHECK_ERROR(FLAGSTORE_READ_ONLY, NULL, error);
        CHECK(!swap(store, "flag", NULL, "1", &error));
        CHECK_ERROR(FLAGSTORE_READ_ONLY, NULL, error);
        CHECK_ALL("{}", store);
        CHECK_INT(0, number_of("DBSIZE"));
        flagstore_free(store);
    }
}

/* ---- a host that closes what is not its own ---- */

static void close_all_and_go_on(void *read_mode) {
    flagstore_remote_options_t remote = far_options(*(const int32_t *)read_mode);
    remote.call_timeout_ms = 2000, remote.retry_max_ms = 20;
    flagstore_t *store = opened_hash(NULL, remote);
    CHECK_EVENTUALLY(flagstore_set(store, "flag", "1", NULL));
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    for (int i = 0; i < 5; i++) { /* may fail, may not hang */
        flagstore_error_t *error = NULL;
        char *json = flagstore_get(store, "flag", &error);
        CHECK_THAT(json ? strcmp(json, "1") == 0 : error != NULL, "got %s", json ? json : "absent");
        flagstore_free(json), flagstore_free(error);
    }
    CHECK_EVENTUALLY(flagstore_set(store, "flag", "2", NULL));
    CHECK_EVENTUALLY(has(store, "flag", "2"));
    flagstore_free(store);
}

static void a_host_that_closes_descriptors_gets_errors_not_hangs(void) {
    for (size_t mode = 0; mode < COUNT(READ_MODES); mode++) {
        end_child(start_child(close_all_and_go_on, (void *)&READ_MODES[mode]));
        CHECK_CLI("2", "HGET flagstore flag");
    }
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(a_url_that_cannot_be_is_refused);
    RUN(a_url_that_can_be_is_taken);
    RUN(an_option_that_cannot_be_is_refused);
    RUN(no_message_has_a_password);
    RUN(a_password_is_taken_from_wherever_it_stands);
    RUN(a_host_that_is_not_there_costs_no_more_than_the_deadline);
    RUN(a_read_only_store_changes_nothing);
    RUN(a_host_that_closes_descriptors_gets_errors_not_hangs);
    return check_summary("redis scenarios_open");
}
