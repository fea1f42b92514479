/* What a store on Redis promises beyond the contract: beside people with redis-cli, in its layout, on one server that
   is there. */
#include "scenarios.h"

/* ---- people ---- */

static void what_people_do_is_seen(void) {
    for (size_t i = 0; i < COUNT(READ_MODES); i++) {
        flagstore_t *store = opened(READ_MODES[i]), *other = opened(FRESH);
        check_row = i == 0 ? "fresh" : i == 1 ? "checked" : "watched";
        uint64_t revision = flagstore_revision(store, NULL);
        CHECK_CLI("1", "HSET flagstore dark-mode true");
        CHECK(flagstore_wait(store, &revision, 60000, NULL));
        CHECK_EVENTUALLY(has(store, "dark-mode", "true"));
        CHECK_CLI("0", "HSET flagstore dark-mode false");
        CHECK(flagstore_sync(store, 60000, NULL)); /* the server's own count has not moved */
        CHECK_GET("false", store, "dark-mode");
        SET(other, "dark-mode", "1");
        SET(other, "new", "{\"a\":null}");
        CHECK(flagstore_sync(store, 60000, NULL));
        CHECK_ALL("{\"dark-mode\":1,\"new\":{\"a\":null}}", store);
        SET(store, "own", "2"); /* its own at once */
        CHECK_GET("2", store, "own");
        CHECK_GET("2", other, "own");
        CHECK_CLI("2", "HGET flagstore own");
        CHECK_CLI("3", "HDEL flagstore own new dark-mode other");
        CHECK(flagstore_delete(other, "own", NULL) == false);
        SET(store, "last", "3");
        CHECK_ALL("{\"last\":3}", other);
        CHECK(flagstore_sync(store, 60000, NULL));
        CHECK_ALL("{\"last\":3}", store);
        CHECK(flagstore_delete(store, "last", NULL));
        flagstore_free(store), flagstore_free(other);
    }
}

static void what_people_type_is_compared_as_json(void) {
    for (size_t i = 0; i < COUNT(READ_MODES); i++) {
        flagstore_t *store = opened(READ_MODES[i]);
        flagstore_error_t *error = GARBAGE;
        CHECK(number_of("HSET flagstore mode '{\"b\" : 1,  \"a\": [1.10 ]}'") >= 0);
        CHECK(flagstore_sync(store, 60000, NULL));
        CHECK_GET("{\"a\":[1.10],\"b\":1}", store, "mode");
        CHECK(!swap(store, "mode", "{\"a\":[1.10],\"b\":1.0}", "2", &error)); /* 1 and 1.0 differ */
        CHECK_ERROR(FLAGSTORE_CONFLICT, "mode", error);
        CHECK(!swap(store, "mode", NULL, "2", &error));
        CHECK_ERROR(FLAGSTORE_CONFLICT, "mode", error);
        CHECK_CLI("{\"b\" : 1,  \"a\": [1.10 ]}", "HGET flagstore mode");
        CHECK(swap(store, "mode", "{\"a\":[1.10],\"b\":1}", "[12345678901234567890123, -0.0]", &error));
        CHECK_OK(error);
        CHECK_CLI("[12345678901234567890123,-0.0]", "HGET flagstore mode");
        CHECK_GET("[12345678901234567890123,-0.0]", store, "mode");
        flagstore_free(store);
    }
}

/* ---- what cannot be read ---- */

static int warnings;

static void count_warnings(void *userdata, int32_t level, const char *message) {
    (void)level;
    CHECK_THAT(!strstr(message, "secret-value"), "a value in the log: %s", message);
    if (strstr(message, userdata)) __atomic_add_fetch(&warnings, 1, __ATOMIC_SEQ_CST);
}

static void one_bad_field_is_one_bad_flag(void) {
    static const char *const values[] = {"secret-value", "'\"secret-value'", "''", "\"\\\"\\xff\\\"\"", "'1 2'"};
    for (size_t mode = 0; mode < COUNT(READ_MODES); mode++)
        for (size_t i = 0; i < COUNT(values); i++) {
            char command[100];
            flagstore_error_t *error = GARBAGE;
            flagstore_t *store = opened(READ_MODES[mode]);
            check_row = values[i];
            SET(store, "good", "1");
            snprintf(command, sizeof command, "HSET flagstore bad-one %s", values[i]);
            warnings = 0;
            flagstore_set_log(count_warnings, (void *)"bad-one", FLAGSTORE_LOG_WARN);
            CHECK_CLI("1", command);
            CHECK(flagstore_sync(store, 60000, NULL));
            CHECK(!flagstore_get(store, "bad-one", &error));
            CHECK_ERROR(FLAGSTORE_CORRUPT, "bad-one", error);
            CHECK_GET("1", store, "good");
            CHECK_ALL("{\"good\":1}", store);
            CHECK(__atomic_load_n(&warnings, __ATOMIC_SEQ_CST) > 0);
            flagstore_set_log(NULL, NULL, 0);
            SET(store, "good", "2");
            CHECK(!swap(store, "bad-one", "1", "2", &error)); /* whatever it is, it is not 1 */
            flagstore_free(error), error = GARBAGE;
            SET(store, "bad-one", "true"); /* that mends it */
            CHECK_ALL("{\"bad-one\":true,\"good\":2}", store);
            CHECK(flagstore_delete(store, "bad-one", NULL));
            flagstore_free(store);
        }
    check_row = "";
}

static void a_key_that_is_not_utf8_is_left_out(void) {
    for (size_t mode = 0; mode < COUNT(READ_MODES); mode++) {
        flagstore_t *store = opened(READ_MODES[mode]);
        SET(store, "good", "1");
        warnings = 0;
        flagstore_set_log(count_warnings, (void *)"", FLAGSTORE_LOG_WARN);
        CHECK_CLI("1", "HSET flagstore \"\\xff\" 1");
        CHECK(flagstore_sync(store, 60000, NULL));
        CHECK_ALL("{\"good\":1}", store);
        CHECK(__atomic_load_n(&warnings, __ATOMIC_SEQ_CST) > 0);
        flagstore_set_log(NULL, NULL, 0);
        SET(store, "good", "2");
        CHECK_ALL("{\"good\":2}", store);
        CHECK_CLI("1", "HDEL flagstore \"\\xff\"");
        flagstore_free(store);
    }
}

/* Commands that make what the library finds of another type, and what stands there afterwards. */
static void what_is_of_another_type_is_left_alone(void) {
    static const char *const makes[] = {"SET flagstore text", "RPUSH flagstore text", "SET " META " text"};
    static const char *const tells[] = {"TYPE flagstore\nEXISTS " META, "LLEN flagstore\nEXISTS " META,
                                        "TYPE " META "\nHGETALL flagstore"};
    static const char *const told[] = {"string\n0", "1\n0", "string\nflag\n1"};
    for (size_t i = 0; i < COUNT(makes); i++) {
        char answer[100];
        flagstore_error_t *error = GARBAGE;
        check_row = makes[i];
        CHECK_CLI("OK", "FLUSHALL");
        redis_cli(answer, sizeof answer, makes[i]);
        if (i == 2) CHECK_CLI("1", "HSET flagstore flag 1");
        flagstore_t *store = opened(FRESH);
        flagstore_batch_t *batch = flagstore_batch_new();
        CHECK(flagstore_batch_clear(batch, NULL) && flagstore_batch_set(batch, "flag", "2", NULL));
        CHECK(!flagstore_set(store, "flag", "3", &error));
        CHECK_ERROR(FLAGSTORE_CORRUPT, NULL, error);
        CHECK(!flagstore_commit(store, batch, &error));
        CHECK_ERROR(FLAGSTORE_CORRUPT, NULL, error);
        CHECK(!flagstore_delete(store, "flag", &error));
        CHECK_ERROR(FLAGSTORE_CORRUPT, NULL, error);
        CHECK(!flagstore_list_all(store, &error));
        CHECK_ERROR(FLAGSTORE_CORRUPT, NULL, error);
        if (i < 2) CHECK_INT(FLAGSTORE_CORRUPT, code_of_get(store, "flag"));
        CHECK_CLI(told[i], tells[i]);
        flagstore_free(batch), flagstore_free(store);
    }
    check_row = "";
}

/* ---- the layout ---- */

static void the_layout_is_as_documented(void) {
    flagstore_t *store = opened(FRESH);
    SET(store, "a", "{\"b\": [1, 2], \"a\": \"\\u00e9\"}");
    SET(store, "b", "null");
    CHECK_CLI("{\"a\":\"\xc3\xa9\",\"b\":[1,2]}\nnull", "HMGET flagstore a b");
    CHECK_CLI("2", "HGET " META " count");
    CHECK(number_of("HSTRLEN " META " id") > 0);
    CHECK_INT(3, number_of("HLEN " META)); /* revision, count, id */
    CHECK_INT(0, number_of("PTTL flagstore") + 1); /* flags do not expire */
    flagstore_free(store);
}

static void a_batch_counts_once_and_only_if_it_changes_something(void) {
    static const char revision[] = "HGET " META " revision", count[] = "HGET " META " count";
    char id[100], id_now[100];
    flagstore_t *store = opened(FRESH);
    flagstore_batch_t *batch = flagstore_batch_new();
    SET(store, "old", "1");
    SET(store, "older", "1");
    long long before = number_of(revision);
    redis_cli(id, sizeof id, "HGET " META " id");
    CHECK(before > 0);
    CHECK_INT(2, number_of(count));
    CHECK(flagstore_batch_clear(batch, NULL) && flagstore_batch_set(batch, "new", "[1, 2]", NULL));
    CHECK(flagstore_batch_set(batch, "old", "2", NULL) && flagstore_batch_delete(batch, "absent", NULL));
    CHECK(flagstore_batch_set(batch, "newer", "3", NULL));
    CHECK(flagstore_commit(store, batch, NULL));
    CHECK_ALL("{\"new\":[1,2],\"newer\":3,\"old\":2}", store);
    CHECK_INT(before + 1, number_of(revision));
    CHECK_INT(3, number_of(count));
    CHECK(flagstore_commit(store, batch, NULL));
    SET(store, "old", "2");
    CHECK(!flagstore_delete(store, "absent", NULL));
    CHECK(!swap(store, "old", "1", "3", NULL));
    CHECK_INT(before + 1, number_of(revision));
    CHECK(flagstore_delete(store, "old", NULL));
    CHECK_INT(before + 2, number_of(revision));
    CHECK_INT(2, number_of(count));
    CHECK_CLI("1", "HSET flagstore by-hand 1");
    SET(store, "old", "4");
    CHECK_INT(number_of("HLEN flagstore"), number_of(count));
    redis_cli(id_now, sizeof id_now, "HGET " META " id");
    CHECK_TEXT(id, id_now);
    flagstore_free(batch), flagstore_free(store);
}

static void a_script_that_the_server_has_forgotten_is_sent_again(void) {
    flagstore_t *store = opened(FRESH);
    SET(store, "flag", "1");
    CHECK_CLI("OK", "SCRIPT FLUSH");
    SET(store, "flag", "2");
    CHECK_GET("2", store, "flag");
    flagstore_free(store);
}

static void a_hash_of_a_launchdarkly_relay_is_read(void) {
    for (size_t mode = 0; mode < COUNT(READ_MODES); mode++) {
        flagstore_error_t *error = GARBAGE;
        CHECK_CLI("OK", "FLUSHALL");
        CHECK_CLI("1", "HSET launchdarkly:features dark-mode '{\"version\": 3, \"key\": \"dark-mode\", \"on\": true}'");
        CHECK_CLI("OK", "SET launchdarkly:$inited ''");
        flagstore_remote_options_t remote = far_options(READ_MODES[mode]);
        remote.flags = FLAGSTORE_OPEN_READ_ONLY;
        flagstore_t *store = opened_hash("launchdarkly:features", remote);
        CHECK_GET("{\"key\":\"dark-mode\",\"on\":true,\"version\":3}", store, "dark-mode");
        CHECK(!flagstore_set(store, "dark-mode", "1", &error));
        CHECK_ERROR(FLAGSTORE_READ_ONLY, NULL, error);
        CHECK(!flagstore_delete(store, "dark-mode", &error));
        CHECK_ERROR(FLAGSTORE_READ_ONLY, NULL, error);
        CHECK_CLI("1", "HSET launchdarkly:features other '{\"version\":1}'");
        CHECK_EVENTUALLY(has(store, "other", "{\"version\":1}"));
        CHECK(is_in(store, FLAGSTORE_STATE_LIVE));
        CHECK_INT(2, number_of("DBSIZE")); /* it has left nothing there */
        flagstore_free(store);
    }
}

static void names_of_hashes_may_have_a_tag(void) {
    static const struct { const char *hash, *meta; } names[] = {
        {"plain", "{plain}:meta"}, {"app{team}", "app{team}:meta"}, {"{team}app", "{team}app:meta"},
        {"two words", "{two words}:meta"}, {"caf\xc3\xa9", "{caf\xc3\xa9}:meta"},
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        char command[200];
        flagstore_t *store = opened_hash(names[i].hash, far_options(FRESH));
        flagstore_t *watched = opened_hash(names[i].hash, far_options(WATCHED));
        SET(store, "flag", "1");
        snprintf(command, sizeof command, "HGET \"%s\" flag\nHGET \"%s\" count", names[i].hash, names[i].meta);
        CHECK_CLI("1\n1", command);
        CHECK_EVENTUALLY(has(watched, "flag", "1"));
        SET(store, "flag", "2");
        CHECK_EVENTUALLY(has(watched, "flag", "2"));
        flagstore_free(store), flagstore_free(watched);
    }
    CHECK_INT(0, number_of("EXISTS flagstore " META));
}

static void databases_are_apart(void) {
    char url[300];
    snprintf(url, sizeof url, "%s/5", redis_url());
    flagstore_t *five = open_redis(url, FRESH, NULL), *watched = open_redis(url, WATCHED, NULL), *zero = opened(FRESH);
    SET(zero, "flag", "0");
    SET(five, "flag", "5");
    CHECK_GET("0", zero, "flag");
    CHECK_GET("5", five, "flag");
    CHECK_EVENTUALLY(has(watched, "flag", "5"));
    CHECK_CLI("OK\n5", "SELECT 5\nHGET flagstore flag");
    CHECK_CLI("OK\n0", "SELECT 5\nHSET flagstore flag 6");
    CHECK_EVENTUALLY(has(watched, "flag", "6"));
    flagstore_free(five), flagstore_free(watched), flagstore_free(zero);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(what_people_do_is_seen);
    RUN(what_people_type_is_compared_as_json);
    RUN(one_bad_field_is_one_bad_flag);
    RUN(a_key_that_is_not_utf8_is_left_out);
    RUN(what_is_of_another_type_is_left_alone);
    RUN(the_layout_is_as_documented);
    RUN(a_batch_counts_once_and_only_if_it_changes_something);
    RUN(a_script_that_the_server_has_forgotten_is_sent_again);
    RUN(a_hash_of_a_launchdarkly_relay_is_read);
    RUN(names_of_hashes_may_have_a_tag);
    RUN(databases_are_apart);
    return check_summary("redis scenarios");
}
