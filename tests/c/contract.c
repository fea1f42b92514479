/* run: plain valgrind sanitizers */
/* get, set, delete, list_all, len: what every kind of store promises. */
#include "check.h"

static void a_new_store_is_empty(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    CHECK_INT(0, flagstore_len(store, &error));
    CHECK_OK(error);
    CHECK_ALL("{}", store);
    CHECK_GET(NULL, store, "flag");
    CHECK(!flagstore_delete(store, "flag", &error));
    CHECK_OK(error);
    CHECK_INT(FLAGSTORE_TYPE_ABSENT, flagstore_get_type(store, "flag", &error));
    CHECK_OK(error);
}

static void what_is_set_is_read_back(flagstore_t *store) {
    SET(store, "flag", "true");
    CHECK_GET("true", store, "flag");
    CHECK_GET(NULL, store, "fla");
    CHECK_GET(NULL, store, "flagg");
    CHECK_GET(NULL, store, "Flag");
    CHECK_GET(NULL, store, "");
    CHECK_ALL("{\"flag\":true}", store);
}

static void a_stored_null_is_not_absence(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    SET(store, "flag", "null");
    CHECK_GET("null", store, "flag");
    CHECK_INT(FLAGSTORE_TYPE_NULL, flagstore_get_type(store, "flag", &error));
    CHECK_OK(error);
    CHECK_INT(1, flagstore_len(store, &error));
    CHECK_OK(error);
    CHECK_ALL("{\"flag\":null}", store);
    CHECK(flagstore_delete(store, "flag", &error));
    CHECK_OK(error);
    CHECK_GET(NULL, store, "flag");
}

static void a_set_replaces_the_whole_value(flagstore_t *store) {
    static const char *const values[] = {
        "{\"a\":1,\"b\":2}", "{\"c\":3}", "[1,2,3]", "[]", "\"text\"", "1", "null", "1",
    };
    flagstore_error_t *error = GARBAGE;
    SET(store, "other", "0");
    for (size_t i = 0; i < COUNT(values); i++) {
        SET(store, "flag", values[i]);
        CHECK_GET(values[i], store, "flag");
        CHECK_INT(2, flagstore_len(store, &error));
        CHECK_OK(error);
    }
    CHECK_GET("0", store, "other");
}

static void a_delete_removes_one_key_once(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    SET(store, "a", "1");
    SET(store, "b", "2");
    SET(store, "c", "3");
    CHECK(flagstore_delete(store, "b", &error));
    CHECK_OK(error);
    CHECK(!flagstore_delete(store, "b", &error));
    CHECK_OK(error);
    CHECK_ALL("{\"a\":1,\"c\":3}", store);
    SET(store, "b", "4");
    CHECK_ALL("{\"a\":1,\"b\":4,\"c\":3}", store);
}

static void len_counts_keys_not_changes(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    char key[16];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "flag-%d", i);
        SET(store, key, "{\"nested\":{\"keys\":[1,2,3]}}");
        SET(store, key, "1");
        CHECK_INT(i + 1, flagstore_len(store, &error));
        CHECK_OK(error);
    }
    for (int i = 19; i >= 0; i--) {
        snprintf(key, sizeof key, "flag-%d", i);
        CHECK(flagstore_delete(store, key, &error));
        CHECK_OK(error);
        CHECK_INT(i, flagstore_len(store, &error));
        CHECK_OK(error);
    }
    CHECK_ALL("{}", store);
}

/* Each key, and how it stands in the compact JSON of list_all. */
static const struct {
    const char *key, *json;
} KEYS[] = {
    {"", "\"\""},
    {" ", "\" \""},
    {"checkout.new-button", "\"checkout.new-button\""},
    {"a/b", "\"a/b\""},
    {"say \"hi\"", "\"say \\\"hi\\\"\""},
    {"back\\slash", "\"back\\\\slash\""},
    {"\\u0041", "\"\\\\u0041\""},
    {"line\nbreak\ttab\rreturn", "\"line\\nbreak\\ttab\\rreturn\""},
    {"\b\f", "\"\\b\\f\""},
    {"\x01\x1f", "\"\\u0001\\u001f\""},
    {"\xc3\xbc" "ber", "\"\xc3\xbc" "ber\""},                     /* über */
    {"e\xcc\x81", "\"e\xcc\x81\""},                               /* e and a combining accent: not é */
    {"\xc3\xa9", "\"\xc3\xa9\""},                                 /* é */
    {"\xe6\x97\xa5\xe6\x9c\xac", "\"\xe6\x97\xa5\xe6\x9c\xac\""}, /* 日本 */
    {"\xe2\x80\xa8", "\"\xe2\x80\xa8\""},                         /* U+2028 */
    {"\xef\xbb\xbf", "\"\xef\xbb\xbf\""},                         /* U+FEFF is a BOM only where a text starts */
    {"\xef\xbf\xbf", "\"\xef\xbf\xbf\""},                         /* U+FFFF */
    {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},                 /* U+1F600 */
    {"\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\""},                 /* U+10FFFF */
    {"__proto__", "\"__proto__\""},
    {"null", "\"null\""},
    {"{\"a\":1}", "\"{\\\"a\\\":1}\""},
};

static void any_text_is_a_key(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    char value[16], expected[128];
    for (size_t i = 0; i < COUNT(KEYS); i++) {
        check_row = KEYS[i].json;
        snprintf(value, sizeof value, "%d", (int)i);
        snprintf(expected, sizeof expected, "{%s:%s}", KEYS[i].json, value);
        SET(store, KEYS[i].key, value);
        CHECK_GET(value, store, KEYS[i].key);
        CHECK_ALL(expected, store);
        CHECK(flagstore_delete(store, KEYS[i].key, &error));
        CHECK_OK(error);
        CHECK_ALL("{}", store);
    }
}

static void keys_live_side_by_side(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    char value[16];
    for (size_t i = 0; i < COUNT(KEYS); i++) {
        snprintf(value, sizeof value, "%d", (int)i);
        SET(store, KEYS[i].key, value);
    }
    CHECK_INT((long long)COUNT(KEYS), flagstore_len(store, &error));
    CHECK_OK(error);
    for (size_t i = 0; i < COUNT(KEYS); i++) {
        check_row = KEYS[i].json;
        snprintf(value, sizeof value, "%d", (int)i);
        CHECK_GET(value, store, KEYS[i].key);
    }
}

static void a_long_key_and_a_large_value_are_kept(flagstore_t *store) {
    enum { KEY = 70000, VALUE = 300000 };
    char *key = malloc(KEY + 1), *value = malloc(VALUE + 3);
    memset(key, 'k', KEY);
    key[KEY] = '\0';
    memset(value, 'v', VALUE + 2);
    value[0] = value[VALUE + 1] = '"';
    value[VALUE + 2] = '\0';
    SET(store, key, value);
    CHECK_GET(value, store, key);
    key[KEY - 1] = 'x';
    CHECK_GET(NULL, store, key);
    free(key);
    free(value);
}

/* Byte order of UTF-8, which is code point order; in UTF-16 order U+1F600 would come before U+FF5E. */
static void list_all_is_compact_and_sorted_at_every_level(flagstore_t *store) {
    SET(store, "\xf0\x9f\x98\x80", "1");
    SET(store, "\xef\xbd\x9e", "2");
    SET(store, "b", " { \"z\" : [ { \"y\" : 1 , \"x\" : 2 } ] ,\n\t"
                    "\"a\" : { \"\xf0\x9f\x98\x80\" : 1 , \"\xef\xbd\x9e\" : 2 } } ");
    SET(store, "aa", "4");
    SET(store, "a", "5");
    SET(store, "Z", "6");
    SET(store, "", "7");
    CHECK_ALL("{\"\":7,\"Z\":6,\"a\":5,\"aa\":4,"
              "\"b\":{\"a\":{\"\xef\xbd\x9e\":2,\"\xf0\x9f\x98\x80\":1},\"z\":[{\"x\":2,\"y\":1}]},"
              "\"\xef\xbd\x9e\":2,\"\xf0\x9f\x98\x80\":1}", store);
}

static void what_was_handed_out_outlives_a_change(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    SET(store, "flag", "\"before\"");
    char *value = flagstore_get(store, "flag", &error), *all = flagstore_list_all(store, &error);
    SET(store, "flag", "\"after\"");
    CHECK_OWNED("\"before\"", value);
    CHECK_OWNED("{\"flag\":\"before\"}", all);
    CHECK_ALL("{\"flag\":\"after\"}", store);
}

static void what_was_handed_out_outlives_the_store(void) {
    for (size_t kind = 0; kind < COUNT(STORE_KINDS); kind++) {
        flagstore_error_t *error = GARBAGE;
        check_row = STORE_KINDS[kind].name;
        flagstore_t *store = STORE_KINDS[kind].open(&error);
        CHECK_OK(error);
        SET(store, "flag", "\"text\"");
        char *value = flagstore_get(store, "flag", NULL), *text = flagstore_get_string(store, "flag", NULL, NULL);
        CHECK(!flagstore_set(store, "flag", "?", &error));
        flagstore_free(store);
        CHECK_OWNED("\"text\"", value);
        CHECK_OWNED("text", text);
        CHECK_ERROR(FLAGSTORE_INVALID_JSON, "flag", error);
    }
}

static void two_memory_stores_share_nothing(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *one = flagstore_memory_open(&error), *other = flagstore_memory_open(NULL);
    CHECK_OK(error);
    SET(one, "flag", "1");
    CHECK_GET(NULL, other, "flag");
    SET(other, "flag", "2");
    flagstore_free(other);
    CHECK_GET("1", one, "flag");
    flagstore_free(one);
}

int main(void) {
    RUN_ON_EVERY_KIND(a_new_store_is_empty);
    RUN_ON_EVERY_KIND(what_is_set_is_read_back);
    RUN_ON_EVERY_KIND(a_stored_null_is_not_absence);
    RUN_ON_EVERY_KIND(a_set_replaces_the_whole_value);
    RUN_ON_EVERY_KIND(a_delete_removes_one_key_once);
    RUN_ON_EVERY_KIND(len_counts_keys_not_changes);
    RUN_ON_EVERY_KIND(any_text_is_a_key);
    RUN_ON_EVERY_KIND(keys_live_side_by_side);
    RUN_ON_EVERY_KIND(a_long_key_and_a_large_value_are_kept);
    RUN_ON_EVERY_KIND(list_all_is_compact_and_sorted_at_every_level);
    RUN_ON_EVERY_KIND(what_was_handed_out_outlives_a_change);
    RUN(what_was_handed_out_outlives_the_store);
    RUN(two_memory_stores_share_nothing);
    return check_summary("contract");
}
