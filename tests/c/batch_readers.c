/* run: plain valgrind sanitizers */
/* A batch can be built by pointer and length and be read: what it says, in key order, each key once. */
#include "check.h"

/* Adds to a batch; each call must succeed. */
#define ADD(call) do { \
        flagstore_error_t *error = GARBAGE; \
        CHECK(call); \
        CHECK_OK(error); \
    } while (0)

/* A copy with nothing behind it, so that valgrind sees a read past the end. */
static char *exactly(const char *bytes, size_t len) {
    char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    return copy;
}

struct entry {
    const char *key;
    size_t key_len;
    const char *json; /* NULL: deleted, or expected to be absent */
};

#define ENTRY(key, json) {(key), sizeof(key) - 1, (json)}

typedef const char *reader(const flagstore_batch_t *batch, size_t index, size_t *len);

/* `got` may contain NULs and ends with one that is not counted. */
static void check_lent(const char *expected, size_t expected_len, const char *got, size_t len) {
    CHECK_INT((long long)expected_len, (long long)len);
    if (!CHECK((got == NULL) == (expected == NULL)) || !got) return;
    CHECK_THAT(memcmp(expected, got, expected_len + 1) == 0, "expected <%s> and a NUL, got <%s>", expected, got);
}

static void check_list(const struct entry *expected, size_t count, const flagstore_batch_t *batch, reader *key,
                       reader *value) {
    const size_t past[] = {count, count + 1, SIZE_MAX};
    for (size_t i = 0; i < count; i++) {
        size_t key_len = 99, json_len = 99;
        check_row = expected[i].key;
        const char *name = key(batch, i, &key_len), *json = value(batch, i, &json_len);
        check_lent(expected[i].key, expected[i].key_len, name, key_len);
        check_lent(expected[i].json, expected[i].json ? strlen(expected[i].json) : 0, json, json_len);
        CHECK(key(batch, i, NULL) == name && value(batch, i, NULL) == json);
    }
    for (size_t i = 0; i < COUNT(past); i++) {
        size_t len = 99;
        CHECK(key(batch, past[i], &len) == NULL && len == 0);
        len = 99;
        CHECK(value(batch, past[i], &len) == NULL && len == 0);
    }
    check_row = "";
}

static void check_changes(const struct entry *expected, size_t count, const flagstore_batch_t *batch) {
    CHECK_INT((long long)count, (long long)flagstore_batch_count(batch));
    check_list(expected, count, batch, flagstore_batch_key, flagstore_batch_value);
}

static void check_expectations(const struct entry *expected, size_t count, const flagstore_batch_t *batch) {
    CHECK_INT((long long)count, (long long)flagstore_batch_expect_count(batch));
    check_list(expected, count, batch, flagstore_batch_expect_key, flagstore_batch_expect_value);
}

static void a_new_batch_says_nothing(void) {
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(!flagstore_batch_clears(batch));
    check_changes(NULL, 0, batch);
    check_expectations(NULL, 0, batch);
    flagstore_free(batch);
}

static void it_says_its_changes_in_byte_order_each_key_once(void) {
    static const struct entry expected[] = {
        ENTRY("", "1"), ENTRY("Z", NULL), ENTRY("a", "{\"a\":1.10,\"b\":2}"), ENTRY("aa", "null"),
        ENTRY("\xef\xbd\x9e", "\"\xc3\xa9\""), ENTRY("\xf0\x9f\x98\x80", NULL),
    };
    flagstore_batch_t *batch = flagstore_batch_new();
    ADD(flagstore_batch_delete(batch, "\xf0\x9f\x98\x80", &error));
    ADD(flagstore_batch_set(batch, "\xef\xbd\x9e", "\"\\u00e9\"", &error));
    ADD(flagstore_batch_delete(batch, "aa", &error));
    ADD(flagstore_batch_set(batch, "aa", "null", &error)); /* its last word */
    ADD(flagstore_batch_set(batch, "Z", "1", &error));
    ADD(flagstore_batch_delete(batch, "Z", &error));
    ADD(flagstore_batch_set(batch, "a", " { \"b\" : 2, \"a\" : 1.10 } ", &error));
    ADD(flagstore_batch_set(batch, "", "1", &error));
    CHECK(!flagstore_batch_clears(batch));
    check_changes(expected, COUNT(expected), batch);
    check_expectations(NULL, 0, batch);
    flagstore_free(batch);
}

static void it_says_what_it_expects_and_that_it_clears(void) {
    static const struct entry expected[] = {ENTRY("a", "[1]"), ENTRY("b", NULL), ENTRY("c", "3")};
    static const struct entry changes[] = {ENTRY("x", "1")};
    flagstore_batch_t *batch = flagstore_batch_new();
    ADD(flagstore_batch_expect(batch, "c", NULL, &error));
    ADD(flagstore_batch_expect(batch, "b", "2", &error));
    ADD(flagstore_batch_expect(batch, "b", NULL, &error)); /* its last word */
    ADD(flagstore_batch_expect(batch, "c", "3", &error));
    ADD(flagstore_batch_expect(batch, "a", "[ 1 ]", &error));
    ADD(flagstore_batch_set(batch, "x", "1", &error));
    check_expectations(expected, COUNT(expected), batch);
    CHECK(!flagstore_batch_clears(batch));
    ADD(flagstore_batch_clear(batch, &error));
    CHECK(flagstore_batch_clears(batch));
    check_expectations(expected, COUNT(expected), batch);
    check_changes(changes, COUNT(changes), batch);
    flagstore_free(batch);
}

static void the_last_expectation_of_a_key_counts(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    flagstore_batch_t *batch = flagstore_batch_new();
    SET(store, "flag", "2");
    ADD(flagstore_batch_expect(batch, "flag", "1", &error));
    ADD(flagstore_batch_expect(batch, "flag", "2", &error));
    ADD(flagstore_batch_set(batch, "flag", "3", &error));
    CHECK(flagstore_commit(store, batch, &error));
    CHECK_OK(error);
    CHECK_ALL("{\"flag\":3}", store);
    CHECK(!flagstore_commit(store, batch, &error));
    CHECK_ERROR(FLAGSTORE_CONFLICT, "flag", error);
    flagstore_free(batch);
}

static void keys_and_json_go_by_length(flagstore_t *store) {
    static const struct entry expected[] = {ENTRY("a", "1"), ENTRY("a\0b", "12"), ENTRY("a\0c", NULL)};
    static const struct entry expectations[] = {ENTRY("a\0b", NULL), ENTRY("a\0c", "7")};
    flagstore_error_t *error = GARBAGE;
    flagstore_batch_t *batch = flagstore_batch_new();
    char *key = exactly("a\0b", 3), *other = exactly("a\0c", 3), *json = exactly("12", 2), *seven = exactly("7", 1);
    CHECK(flagstore_set_n(store, other, 3, seven, 1, &error));
    CHECK_OK(error);
    ADD(flagstore_batch_delete_n(batch, other, 3, &error));
    ADD(flagstore_batch_set_n(batch, key, 3, json, 2, &error));
    ADD(flagstore_batch_set_n(batch, key, 1, json, 1, &error));
    ADD(flagstore_batch_expect_n(batch, other, 3, seven, 1, &error));
    ADD(flagstore_batch_expect_n(batch, key, 3, NULL, 0, &error));
    free(key), free(other), free(json), free(seven); /* all was copied */
    check_changes(expected, COUNT(expected), batch);
    check_expectations(expectations, COUNT(expectations), batch);
    CHECK(flagstore_commit(store, batch, &error));
    CHECK_OK(error);
    CHECK_ALL("{\"a\":1,\"a\\u0000b\":12}", store);
    CHECK(!flagstore_commit(store, batch, &error));
    CHECK_ERROR(FLAGSTORE_CONFLICT, "a\\0b", error);
    CHECK(!flagstore_batch_set_n(batch, "a", 1, "12?", 3, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_JSON, "a", error);
    check_changes(expected, COUNT(expected), batch);
    flagstore_free(batch);
}

static void its_strings_live_until_it_is_changed_or_freed(void) {
    flagstore_t *store = flagstore_memory_open(NULL);
    flagstore_batch_t *batch = flagstore_batch_new();
    ADD(flagstore_batch_set(batch, "key", "\"json\"", &error));
    ADD(flagstore_batch_expect(batch, "wanted", NULL, &error));
    const char *key = flagstore_batch_key(batch, 0, NULL), *json = flagstore_batch_value(batch, 0, NULL);
    const char *wanted = flagstore_batch_expect_key(batch, 0, NULL);
    CHECK(flagstore_commit(store, batch, NULL)); /* which only reads it */
    CHECK(!flagstore_batch_set(batch, "key", "?", NULL)); /* which leaves it as it was */
    flagstore_free(store);
    CHECK_TEXT("key", key);
    CHECK_TEXT("\"json\"", json);
    CHECK_TEXT("wanted", wanted);
    ADD(flagstore_batch_delete(batch, "key", &error));
    CHECK(flagstore_batch_value(batch, 0, NULL) == NULL);
    CHECK_TEXT("key", flagstore_batch_key(batch, 0, NULL));
    flagstore_free(batch);
}

static void a_large_batch_is_read_as_fast_as_it_is_built(void) {
    enum { MANY = 20000 };
    flagstore_batch_t *batch = flagstore_batch_new();
    char key[32];
    for (int i = MANY; i-- > 0;) {
        snprintf(key, sizeof key, "flag-%06d", i);
        ADD(flagstore_batch_set(batch, key, "true", &error));
    }
    CHECK_INT(MANY, (long long)flagstore_batch_count(batch));
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "flag-%06d", i);
        CHECK_TEXT(key, flagstore_batch_key(batch, (size_t)i, NULL));
    }
    flagstore_free(batch);
}

/* As an expectation compares: white space and the order of keys do not matter, the spelling of a number does. */
static const struct {
    const char *a, *b;
    bool equal;
} PAIRS[] = {
    {"1", " 1\n", true},
    {"1", "1.0", false},
    {"100", "1e2", false},
    {"\"\xc3\xa9/\"", "\"\\u00E9\\/\"", true},
    {"{\"a\":1,\"b\":[2]}", "{ \"b\": [ 2 ], \"a\": 1 }", true},
    {"{\"a\":1,\"a\":2}", "{\"a\":2}", true},
    {"[1,2]", "[2,1]", false},
    {"null", "false", false},
    {"", "", false}, /* not JSON */
    {"?", "?", false},
    {"1", "1 2", false},
    {"nul", "nul", false},
    {"\"\xff\"", "\"\xff\"", false},
};

static void json_is_compared_as_values(void) {
    for (size_t i = 0; i < COUNT(PAIRS); i++) {
        char *a = exactly(PAIRS[i].a, strlen(PAIRS[i].a)), *b = exactly(PAIRS[i].b, strlen(PAIRS[i].b));
        check_row = PAIRS[i].a;
        CHECK(flagstore_json_equal(a, strlen(PAIRS[i].a), b, strlen(PAIRS[i].b)) == PAIRS[i].equal);
        CHECK(flagstore_json_equal(b, strlen(PAIRS[i].b), a, strlen(PAIRS[i].a)) == PAIRS[i].equal);
        free(a), free(b);
    }
}

int main(void) {
    RUN(a_new_batch_says_nothing);
    RUN(it_says_its_changes_in_byte_order_each_key_once);
    RUN(it_says_what_it_expects_and_that_it_clears);
    RUN_ON_EVERY_KIND(the_last_expectation_of_a_key_counts);
    RUN_ON_EVERY_KIND(keys_and_json_go_by_length);
    RUN(its_strings_live_until_it_is_changed_or_freed);
    RUN(a_large_batch_is_read_as_fast_as_it_is_built);
    RUN(json_is_compared_as_values);
    return check_summary("batch_readers");
}
