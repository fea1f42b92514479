/* run: plain checked valgrind sanitizers */
/* A snapshot is one picture of every flag, whatever becomes of the store it was taken of. */
#include "check.h"

#include <pthread.h>

static flagstore_snapshot_t *take(const flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    flagstore_snapshot_t *snapshot = flagstore_snapshot(store, &error);
    CHECK_OK(error);
    CHECK(snapshot != NULL);
    return snapshot;
}

struct entry {
    const char *key;
    size_t key_len;
    const char *json;
};

#define ENTRY(key, json) {(key), sizeof(key) - 1, (json)}

/* `got` may contain NULs and ends with one that is not counted. */
static void check_bytes(const char *expected, size_t expected_len, const char *got, size_t len) {
    CHECK_INT((long long)expected_len, (long long)len);
    if (!CHECK(got != NULL)) return;
    CHECK_THAT(memcmp(expected, got, expected_len + 1) == 0, "expected <%s> and a NUL, got <%s>", expected, got);
}

static void check_snapshot(const struct entry *expected, size_t count, const flagstore_snapshot_t *snapshot) {
    CHECK_INT((long long)count, (long long)flagstore_snapshot_count(snapshot));
    for (size_t i = 0; i < count; i++) {
        size_t key_len = 99, json_len = 99;
        check_row = expected[i].key;
        const char *key = flagstore_snapshot_key(snapshot, i, &key_len);
        const char *json = flagstore_snapshot_value(snapshot, i, &json_len);
        check_bytes(expected[i].key, expected[i].key_len, key, key_len);
        check_bytes(expected[i].json, strlen(expected[i].json), json, json_len);
        CHECK(flagstore_snapshot_key(snapshot, i, NULL) == key);
        CHECK(flagstore_snapshot_value(snapshot, i, NULL) == json);
    }
    const size_t past[] = {count, count + 1, SIZE_MAX};
    for (size_t i = 0; i < COUNT(past); i++) {
        size_t len = 99;
        CHECK(flagstore_snapshot_key(snapshot, past[i], &len) == NULL);
        CHECK(flagstore_snapshot_value(snapshot, past[i], &len) == NULL);
        CHECK(flagstore_snapshot_key(snapshot, past[i], NULL) == NULL);
    }
}

static void an_empty_store_has_an_empty_snapshot(flagstore_t *store) {
    flagstore_snapshot_t *snapshot = take(store);
    check_snapshot(NULL, 0, snapshot);
    CHECK(flagstore_snapshot_find(snapshot, "", NULL) == NULL);
    CHECK_INT(0, (long long)flagstore_snapshot_seek(snapshot, "", 0));
    CHECK_INT(0, (long long)flagstore_snapshot_seek(snapshot, "a", 1));
    flagstore_free(snapshot);
}

/* In byte order, which in UTF-8 is code point order; U+0000 is a byte like any other. */
static const struct entry ALL[] = {
    ENTRY("", "0"),
    ENTRY("Z", "null"),
    ENTRY("a", "{\"x\":1,\"y\":[1.10,1e5]}"),
    ENTRY("a\0", "\"\\u0000\""),
    ENTRY("a\0b", "1"),
    ENTRY("a\x01", "2"),
    ENTRY("aa", "\"\xc3\xa9\""),
    ENTRY("\xef\xbd\x9e", "12345678901234567890123"),
    ENTRY("\xf0\x9f\x98\x80", "[]"),
};

static void fill(flagstore_t *store) {
    for (size_t i = COUNT(ALL); i-- > 0;) {
        flagstore_error_t *error = GARBAGE;
        CHECK(flagstore_set_n(store, ALL[i].key, ALL[i].key_len, ALL[i].json, strlen(ALL[i].json), &error));
        CHECK_OK(error);
    }
}

static void it_lists_every_flag_in_byte_order(flagstore_t *store) {
    fill(store);
    flagstore_snapshot_t *snapshot = take(store);
    check_snapshot(ALL, COUNT(ALL), snapshot);
    flagstore_free(snapshot);
}

static void it_finds_a_flag_by_its_whole_key(flagstore_t *store) {
    static const char *const absent[] = {"b", "A", "a\x02", "aaa", "\xc3\xa9"};
    fill(store);
    flagstore_snapshot_t *snapshot = take(store);
    for (size_t i = 0; i < COUNT(ALL); i++) {
        if (strlen(ALL[i].key) != ALL[i].key_len) continue;
        size_t len = 99;
        check_row = ALL[i].key;
        const char *json = flagstore_snapshot_find(snapshot, ALL[i].key, &len);
        check_bytes(ALL[i].json, strlen(ALL[i].json), json, len);
        CHECK(json == flagstore_snapshot_value(snapshot, i, NULL));
        CHECK(json == flagstore_snapshot_find(snapshot, ALL[i].key, NULL));
    }
    for (size_t i = 0; i < COUNT(absent); i++)
        CHECK(flagstore_snapshot_find(snapshot, absent[i], NULL) == NULL);
    flagstore_free(snapshot);
}

/* A copy with nothing behind it, so that valgrind sees a read past the end. */
static char *exactly(const char *bytes, size_t len) {
    char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    return copy;
}

static void it_finds_a_key_by_its_length(flagstore_t *store) {
    fill(store);
    flagstore_snapshot_t *snapshot = take(store);
    for (size_t i = 0; i < COUNT(ALL); i++) {
        size_t len = 99;
        char *key = exactly(ALL[i].key, ALL[i].key_len);
        check_row = ALL[i].key;
        const char *json = flagstore_snapshot_find_n(snapshot, key, ALL[i].key_len, &len);
        check_bytes(ALL[i].json, strlen(ALL[i].json), json, len);
        CHECK(json == flagstore_snapshot_find_n(snapshot, key, ALL[i].key_len, NULL));
        free(key);
    }
    size_t len = 99;
    CHECK(flagstore_snapshot_find_n(snapshot, "a\0c", 3, &len) == NULL);
    CHECK_INT(0, (long long)len);
    CHECK_TEXT("null", flagstore_snapshot_find_n(snapshot, "Z\0", 1, NULL));
    flagstore_free(snapshot);
}

/* Where each key would stand, from the table's order itself. */
static void it_seeks_the_first_key_that_is_not_less(flagstore_t *store) {
    static const struct {
        const char *key;
        size_t key_len, index;
    } sought[] = {
        {"", 0, 0}, {"\0", 1, 1}, {"A", 1, 1}, {"Z", 1, 1}, {"Za", 2, 2}, {"a", 1, 2}, {"a\0", 2, 3},
        {"a\0a", 3, 4}, {"a\0b", 3, 4}, {"a\0c", 3, 5}, {"a\x01", 2, 5}, {"a\x02", 2, 6}, {"aa", 2, 6}, {"b", 1, 7},
        {"\xef\xbd\x9e", 3, 7}, {"\xf0\x9f\x98\x80", 4, 8}, {"\xf0\x9f\x98\x81", 4, 9},
    };
    fill(store);
    flagstore_snapshot_t *snapshot = take(store);
    for (size_t i = 0; i < COUNT(sought); i++) {
        char *key = exactly(sought[i].key, sought[i].key_len);
        check_row = sought[i].key;
        CHECK_INT((long long)sought[i].index,
                  (long long)flagstore_snapshot_seek(snapshot, key, sought[i].key_len));
        free(key);
    }
    flagstore_free(snapshot);
}

static void the_keys_of_a_prefix_stand_in_a_row(flagstore_t *store) {
    static const char *const keys[] = {"checkout", "checkout-old", "checkout.a", "checkout.b", "checkout/c", "cart"};
    static const char prefix[] = "checkout.";
    for (size_t i = 0; i < COUNT(keys); i++)
        SET(store, keys[i], "true");
    flagstore_snapshot_t *snapshot = take(store);
    size_t at = flagstore_snapshot_seek(snapshot, prefix, sizeof prefix - 1), found = 0;
    for (const char *key; (key = flagstore_snapshot_key(snapshot, at + found, NULL)) != NULL; found++)
        if (strncmp(key, prefix, sizeof prefix - 1) != 0) break;
    CHECK_INT(2, (long long)found);
    CHECK_TEXT("checkout.a", flagstore_snapshot_key(snapshot, at, NULL));
    CHECK_TEXT("checkout.b", flagstore_snapshot_key(snapshot, at + 1, NULL));
    flagstore_free(snapshot);
}

static void it_is_found_among_many(flagstore_t *store) {
    enum { MANY = 150 };
    flagstore_batch_t *batch = flagstore_batch_new();
    char key[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "flag-%d", i * 7 % MANY);
        CHECK(flagstore_batch_set(batch, key, key + 5, NULL));
    }
    CHECK(flagstore_commit(store, batch, NULL));
    flagstore_snapshot_t *snapshot = take(store);
    CHECK_INT(MANY, (long long)flagstore_snapshot_count(snapshot));
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "flag-%d", i);
        CHECK_TEXT(key + 5, flagstore_snapshot_find(snapshot, key, NULL));
    }
    for (size_t i = 1; i < MANY; i++)
        CHECK(strcmp(flagstore_snapshot_key(snapshot, i - 1, NULL), flagstore_snapshot_key(snapshot, i, NULL)) < 0);
    flagstore_free(snapshot);
    flagstore_free(batch);
}

static void it_does_not_change_with_the_store(flagstore_t *store) {
    static const struct entry before[] = {ENTRY("deleted", "1"), ENTRY("flag", "\"before\"")};
    static const struct entry after[] = {ENTRY("flag", "\"after\""), ENTRY("new", "2")};
    SET(store, "flag", "\"before\"");
    SET(store, "deleted", "1");
    flagstore_snapshot_t *old = take(store);
    const char *lent = flagstore_snapshot_find(old, "flag", NULL);
    SET(store, "flag", "\"after\"");
    SET(store, "new", "2");
    CHECK(flagstore_delete(store, "deleted", NULL));
    flagstore_snapshot_t *now = take(store);
    check_snapshot(before, COUNT(before), old);
    check_snapshot(after, COUNT(after), now);
    flagstore_free(now);
    CHECK_TEXT("\"before\"", lent);
    flagstore_free(old);
}

static void it_outlives_its_store(void) {
    for (size_t kind = 0; kind < COUNT(STORE_KINDS); kind++) {
        static const struct entry expected[] = {ENTRY("flag", "[1]")};
        flagstore_t *store = STORE_KINDS[kind].open(NULL);
        SET(store, "flag", "[1]");
        flagstore_snapshot_t *snapshot = take(store);
        CHECK(flagstore_delete(store, "flag", NULL));
        flagstore_free(store);
        check_snapshot(expected, COUNT(expected), snapshot);
        CHECK_TEXT("[1]", flagstore_snapshot_find(snapshot, "flag", NULL));
        flagstore_free(snapshot);
    }
}

struct reader {
    const flagstore_snapshot_t *snapshot;
    const int *stop;
};

static void *read_all_along(void *argument) {
    const struct reader *reader = argument;
    do {
        CHECK_TEXT("0", flagstore_snapshot_find(reader->snapshot, "a", NULL));
        CHECK_TEXT("b", flagstore_snapshot_key(reader->snapshot, 1, NULL));
        CHECK_TEXT("0", flagstore_snapshot_value(reader->snapshot, 1, NULL));
        CHECK_INT(2, (long long)flagstore_snapshot_count(reader->snapshot));
        pause_a_millisecond();
    } while (!__atomic_load_n(reader->stop, __ATOMIC_ACQUIRE));
    return NULL;
}

static void threads_share_one_while_the_store_changes(flagstore_t *store) {
    pthread_t threads[3];
    int stop = 0;
    SET(store, "a", "0");
    SET(store, "b", "0");
    flagstore_snapshot_t *snapshot = take(store);
    struct reader reader = {snapshot, &stop};
    for (size_t i = 0; i < COUNT(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, read_all_along, &reader) == 0);
    for (int i = 1; i <= 30; i++) {
        CHECK(flagstore_set_int64(store, i % 2 ? "a" : "b", i, NULL));
        flagstore_snapshot_t *other = take(store);
        CHECK_INT(2, (long long)flagstore_snapshot_count(other));
        flagstore_free(other);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (size_t i = 0; i < COUNT(threads); i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    flagstore_free(snapshot);
}

static void a_corrupt_file_has_none(void) {
    flagstore_error_t *error = GARBAGE;
    write_file(FLAGS_FILE, "{\"a\": 1,\n ?", 12);
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, NULL);
    CHECK(flagstore_snapshot(store, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE ":2:", error);
    flagstore_free(store);
}

int main(void) {
    RUN_ON_EVERY_KIND(an_empty_store_has_an_empty_snapshot);
    RUN_ON_EVERY_KIND(it_lists_every_flag_in_byte_order);
    RUN_ON_EVERY_KIND(it_finds_a_flag_by_its_whole_key);
    RUN_ON_EVERY_KIND(it_finds_a_key_by_its_length);
    RUN_ON_EVERY_KIND(it_seeks_the_first_key_that_is_not_less);
    RUN_ON_EVERY_KIND(the_keys_of_a_prefix_stand_in_a_row);
    RUN_ON_EVERY_KIND(it_is_found_among_many);
    RUN_ON_EVERY_KIND(it_does_not_change_with_the_store);
    RUN(it_outlives_its_store);
    RUN_ON_EVERY_KIND(threads_share_one_while_the_store_changes);
    RUN(a_corrupt_file_has_none);
    return check_summary("snapshots");
}
