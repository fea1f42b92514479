/* run: plain valgrind sanitizers */
/* The calls by pointer and length: U+0000 in keys and texts, and no byte read past the length. */
#include "check.h"

/* A copy with nothing behind it, so that valgrind sees a read past the end. */
static char *exactly(const char *bytes, size_t len) {
    char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    return copy;
}

#define NUL_KEY "a\0b"
#define NUL_KEY_LEN 3

static void set_nul_key(flagstore_t *store, const char *json) {
    flagstore_error_t *error = GARBAGE;
    char *key = exactly(NUL_KEY, NUL_KEY_LEN), *text = exactly(json, strlen(json));
    CHECK(flagstore_set_n(store, key, NUL_KEY_LEN, text, strlen(json), &error));
    CHECK_OK(error);
    free(key);
    free(text);
}

static void a_key_may_contain_nul(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    size_t len = 0;
    SET(store, "a", "1");
    set_nul_key(store, "2");
    CHECK_OWNED("2", flagstore_get_n(store, NUL_KEY, NUL_KEY_LEN, &len, &error));
    CHECK_OK(error);
    CHECK_INT(1, (long long)len);
    CHECK_GET("1", store, "a");
    CHECK_ALL("{\"a\":1,\"a\\u0000b\":2}", store);
    CHECK_INT(2, flagstore_len(store, &error));
    CHECK_OK(error);
    CHECK(flagstore_delete_n(store, NUL_KEY, NUL_KEY_LEN, &error));
    CHECK_OK(error);
    CHECK(!flagstore_delete_n(store, NUL_KEY, NUL_KEY_LEN, &error));
    CHECK_OK(error);
    CHECK_ALL("{\"a\":1}", store);
}

static void the_length_ends_the_key(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    SET(store, "ab", "1");
    CHECK_OWNED("1", flagstore_get_n(store, "abc", 2, NULL, &error));
    CHECK_OK(error);
    CHECK_OWNED(NULL, flagstore_get_n(store, "ab", 1, NULL, &error));
    CHECK_OK(error);
    CHECK_OWNED(NULL, flagstore_get_n(store, "ab", 3, NULL, &error)); /* with its NUL it is another key */
    CHECK_OK(error);
    CHECK(flagstore_set_n(store, "", 0, "2", 1, &error));
    CHECK_OK(error);
    CHECK_OWNED("2", flagstore_get_n(store, "ab", 0, NULL, &error));
    CHECK_OK(error);
    CHECK_ALL("{\"\":2,\"ab\":1}", store);
}

static void the_length_ends_the_json(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    char *json = exactly("[1,2]", 5);
    CHECK(flagstore_set_n(store, "flag", 4, json, 5, &error));
    CHECK_OK(error);
    CHECK_GET("[1,2]", store, "flag");
    CHECK(!flagstore_set_n(store, "flag", 4, json, 4, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_JSON, "flag", error);
    CHECK(!flagstore_set_n(store, "flag", 4, json, 0, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_JSON, "flag", error);
    CHECK(!flagstore_set_n(store, "flag", 4, "1", 2, &error)); /* the NUL is text behind the value */
    CHECK_POSITION(error, "flag", 1, 2);
    CHECK_ERROR(FLAGSTORE_INVALID_JSON, NULL, error);
    CHECK(!flagstore_set_n(store, "flag", 4, "\"a\0b\"", 5, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_JSON, "flag", error);
    CHECK_ALL("{\"flag\":[1,2]}", store);
    free(json);
}

static void lengths_of_results_are_bytes_without_the_nul(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    size_t len = 99;
    SET(store, "flag", "\"\\u00fc\\u0000\"");
    CHECK_OWNED("\"\xc3\xbc\\u0000\"", flagstore_get_n(store, "flag", 4, &len, &error));
    CHECK_OK(error);
    CHECK_INT(10, (long long)len);
    char *text = flagstore_get_string_n(store, "flag", 4, &len, &error);
    CHECK_OK(error);
    CHECK_INT(3, (long long)len);
    CHECK(text && memcmp(text, "\xc3\xbc\0", 4) == 0); /* with the NUL that ends every text handed out */
    flagstore_free(text);
}

static void get_string_n_tells_absent_from_another_type(flagstore_t *store) {
    static const char *const others[] = {"null", "true", "1", "[\"a\"]", "{}"};
    flagstore_error_t *error = GARBAGE;
    size_t len = 0;
    CHECK_OWNED(NULL, flagstore_get_string_n(store, "flag", 4, &len, &error));
    CHECK_OK(error);
    SET(store, "flag", "\"\"");
    CHECK_OWNED("", flagstore_get_string_n(store, "flag", 4, &len, &error));
    CHECK_OK(error);
    CHECK_INT(0, (long long)len);
    for (size_t i = 0; i < COUNT(others); i++) {
        check_row = others[i];
        SET(store, "flag", others[i]);
        CHECK_OWNED(NULL, flagstore_get_string_n(store, "flag", 4, &len, &error));
        CHECK_ERROR(FLAGSTORE_TYPE_MISMATCH, "flag", error);
    }
}

static void typed_getters_find_the_nul_key(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    set_nul_key(store, "true");
    CHECK(flagstore_get_bool_n(store, NUL_KEY, NUL_KEY_LEN, false, &error));
    CHECK_OK(error);
    CHECK_INT(5, flagstore_get_int64_n(store, NUL_KEY, NUL_KEY_LEN, 5, &error));
    CHECK_ERROR(FLAGSTORE_TYPE_MISMATCH, NULL, error);
    set_nul_key(store, "3e2");
    CHECK_INT(300, flagstore_get_int64_n(store, NUL_KEY, NUL_KEY_LEN, 5, &error));
    CHECK_OK(error);
    CHECK(flagstore_get_double_n(store, NUL_KEY, NUL_KEY_LEN, 5, &error) == 300.0);
    CHECK_OK(error);
    CHECK(flagstore_get_bool_n(store, NUL_KEY, NUL_KEY_LEN, true, &error));
    CHECK_ERROR(FLAGSTORE_TYPE_MISMATCH, NULL, error);
    set_nul_key(store, "1e400");
    CHECK(flagstore_get_double_n(store, NUL_KEY, NUL_KEY_LEN, 5, &error) == 5.0);
    CHECK_ERROR(FLAGSTORE_TYPE_MISMATCH, NULL, error);
}

static void typed_getters_fall_back_on_absence(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    SET(store, "a", "1"); /* what a key cut at its NUL would find */
    CHECK(flagstore_get_bool_n(store, NUL_KEY, NUL_KEY_LEN, true, &error));
    CHECK_OK(error);
    CHECK_INT(-5, flagstore_get_int64_n(store, NUL_KEY, NUL_KEY_LEN, -5, &error));
    CHECK_OK(error);
    CHECK(flagstore_get_double_n(store, NUL_KEY, NUL_KEY_LEN, 0.5, &error) == 0.5);
    CHECK_OK(error);
}

/* A length that cuts a character in two leaves a key that is not UTF-8. */
static void a_cut_character_is_an_invalid_argument(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    size_t len;
    CHECK(!flagstore_set_n(store, "\xc3\xbc", 1, "1", 1, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
    CHECK(!flagstore_set_n(store, "flag", 4, "\"\xc3\xbc\"", 2, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
    CHECK_OWNED(NULL, flagstore_get_n(store, "\xc3\xbc", 1, &len, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
    CHECK_ALL("{}", store);
}

int main(void) {
    RUN_ON_EVERY_KIND(a_key_may_contain_nul);
    RUN_ON_EVERY_KIND(the_length_ends_the_key);
    RUN_ON_EVERY_KIND(the_length_ends_the_json);
    RUN_ON_EVERY_KIND(lengths_of_results_are_bytes_without_the_nul);
    RUN_ON_EVERY_KIND(get_string_n_tells_absent_from_another_type);
    RUN_ON_EVERY_KIND(typed_getters_find_the_nul_key);
    RUN_ON_EVERY_KIND(typed_getters_fall_back_on_absence);
    RUN_ON_EVERY_KIND(a_cut_character_is_an_invalid_argument);
    return check_summary("sized");
}
