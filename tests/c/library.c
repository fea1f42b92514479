/* run: plain valgrind sanitizers */
/* The library itself: version, constants, struct layout, and the error object. */
#include "check.h"

static void header_and_library_fit(void) {
    CHECK_TEXT(FLAGSTORE_VERSION, flagstore_version());
    CHECK_INT(FLAGSTORE_ABI_VERSION, flagstore_abi_version());
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d",
             FLAGSTORE_VERSION_MAJOR, FLAGSTORE_VERSION_MINOR, FLAGSTORE_VERSION_PATCH);
    CHECK_TEXT(FLAGSTORE_VERSION, version);
}

static void features_are_known_by_name(void) {
    CHECK(flagstore_has_feature("memory"));
    CHECK(flagstore_has_feature("file"));
    CHECK(flagstore_has_feature("checked"));
    CHECK(flagstore_has_feature("watched"));
    CHECK(!flagstore_has_feature(""));
    CHECK(!flagstore_has_feature("MEMORY"));
    CHECK(!flagstore_has_feature("memory,file"));
    CHECK(!flagstore_has_feature("teleport"));
    CHECK(!flagstore_has_feature("\xff"));
    CHECK(!flagstore_has_feature(NULL));
}

/* Compiled programs carry these numbers: they may never change. */
static const struct {
    int32_t code, number;
    const char *name;
} CODES[] = {
    {FLAGSTORE_OK, 0, "FLAGSTORE_OK"},
    {FLAGSTORE_INVALID_ARGUMENT, 1, "FLAGSTORE_INVALID_ARGUMENT"},
    {FLAGSTORE_INVALID_JSON, 2, "FLAGSTORE_INVALID_JSON"},
    {FLAGSTORE_CORRUPT, 3, "FLAGSTORE_CORRUPT"},
    {FLAGSTORE_IO, 4, "FLAGSTORE_IO"},
    {FLAGSTORE_LOCKED, 5, "FLAGSTORE_LOCKED"},
    {FLAGSTORE_READ_ONLY, 6, "FLAGSTORE_READ_ONLY"},
    {FLAGSTORE_NOT_IMPLEMENTED, 7, "FLAGSTORE_NOT_IMPLEMENTED"},
    {FLAGSTORE_TYPE_MISMATCH, 8, "FLAGSTORE_TYPE_MISMATCH"},
    {FLAGSTORE_CONFLICT, 9, "FLAGSTORE_CONFLICT"},
    {FLAGSTORE_BACKEND, 10, "FLAGSTORE_BACKEND"},
    {FLAGSTORE_NOT_DURABLE, 11, "FLAGSTORE_NOT_DURABLE"},
    {FLAGSTORE_UNAVAILABLE, 12, "FLAGSTORE_UNAVAILABLE"},
    {FLAGSTORE_UNCERTAIN, 13, "FLAGSTORE_UNCERTAIN"},
    {FLAGSTORE_INTERNAL, 99, "FLAGSTORE_INTERNAL"},
};

static void error_codes_keep_number_and_name(void) {
    static const int32_t unknown[] = {-1, 14, 98, 100, 12345, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < COUNT(CODES); i++) {
        check_row = CODES[i].name;
        CHECK_INT(CODES[i].number, CODES[i].code);
        CHECK_TEXT(CODES[i].name, flagstore_error_name(CODES[i].code));
    }
    for (size_t i = 0; i < COUNT(unknown); i++)
        CHECK_TEXT("FLAGSTORE_UNKNOWN", flagstore_error_name(unknown[i]));
}

static void other_constants_keep_their_number(void) {
    static const int32_t pairs[][2] = {
        {0, FLAGSTORE_TYPE_ABSENT}, {1, FLAGSTORE_TYPE_NULL}, {2, FLAGSTORE_TYPE_BOOL}, {3, FLAGSTORE_TYPE_NUMBER},
        {4, FLAGSTORE_TYPE_STRING}, {5, FLAGSTORE_TYPE_ARRAY}, {6, FLAGSTORE_TYPE_OBJECT},
        {1, FLAGSTORE_LOG_ERROR}, {2, FLAGSTORE_LOG_WARN}, {3, FLAGSTORE_LOG_INFO}, {4, FLAGSTORE_LOG_DEBUG},
        {0, FLAGSTORE_READ_FRESH}, {1, FLAGSTORE_READ_CHECKED}, {2, FLAGSTORE_READ_WATCHED},
        {0, FLAGSTORE_SYNC_FULL}, {1, FLAGSTORE_SYNC_NONE}, {2, FLAGSTORE_SYNC_ORDERED},
        {1, FLAGSTORE_OPEN_EXISTING}, {2, FLAGSTORE_OPEN_READ_ONLY},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        CHECK_INT(pairs[i][0], pairs[i][1]);
}

static void the_options_struct_keeps_its_layout_without_padding(void) {
    const size_t size = sizeof(size_t);
    struct aligned { char before; uint64_t number; }; /* on 32-bit arm 4 bytes of padding stand before it */
    const size_t align = offsetof(struct aligned, number), numbers = (size + 24 + align - 1) / align * align;
    CHECK_INT(0, offsetof(flagstore_file_options_t, size));
    CHECK_INT(size, offsetof(flagstore_file_options_t, read_mode));
    CHECK_INT(size + 4, offsetof(flagstore_file_options_t, durability));
    CHECK_INT(size + 8, offsetof(flagstore_file_options_t, flags));
    CHECK_INT(size + 12, offsetof(flagstore_file_options_t, lock_timeout_ms));
    CHECK_INT(size + 16, offsetof(flagstore_file_options_t, mode));
    CHECK_INT(size + 20, offsetof(flagstore_file_options_t, reserved));
    CHECK_INT(numbers, offsetof(flagstore_file_options_t, max_bytes));
    CHECK_INT(numbers + 8, sizeof(flagstore_file_options_t));
}

static void no_error_is_ok_without_a_message(void) {
    CHECK_INT(FLAGSTORE_OK, flagstore_error_code(NULL));
    CHECK_TEXT("", flagstore_error_message(NULL));
    CHECK_INT(0, flagstore_error_os_code(NULL));
}

static void a_new_error_says_what_it_was_given(void) {
    static const char *const messages[] = {
        "", "the backend is away", "\xc3\xbc \xf0\x9f\x98\x80 \"quoted\"\nsecond line",
    };
    for (size_t i = 0; i < COUNT(messages); i++) {
        char *message = strdup(messages[i]);
        flagstore_error_t *error = flagstore_error_new(FLAGSTORE_BACKEND, message);
        memset(message, '?', strlen(message)); /* the message was copied */
        free(message);
        CHECK_INT(FLAGSTORE_BACKEND, flagstore_error_code(error));
        CHECK_TEXT(messages[i], flagstore_error_message(error));
        CHECK_INT(0, flagstore_error_os_code(error));
        flagstore_free(error);
    }
}

static void a_new_error_takes_any_code_but_ok(void) {
    static const int32_t codes[] = {-1, 1, 99, 12345, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < COUNT(codes); i++) {
        flagstore_error_t *error = flagstore_error_new(codes[i], NULL);
        CHECK_INT(codes[i], flagstore_error_code(error));
        CHECK_TEXT("", flagstore_error_message(error));
        flagstore_free(error);
    }
    CHECK(flagstore_error_new(FLAGSTORE_OK, "no error is no object") == NULL);
    flagstore_error_t *repaired = flagstore_error_new(FLAGSTORE_BACKEND, "a\xff" "b");
    CHECK_TEXT("a\xef\xbf\xbd" "b", flagstore_error_message(repaired));
    flagstore_free(repaired);
}

int main(void) {
    RUN(header_and_library_fit);
    RUN(features_are_known_by_name);
    RUN(error_codes_keep_number_and_name);
    RUN(other_constants_keep_their_number);
    RUN(the_options_struct_keeps_its_layout_without_padding);
    RUN(no_error_is_ok_without_a_message);
    RUN(a_new_error_says_what_it_was_given);
    RUN(a_new_error_takes_any_code_but_ok);
    return check_summary("library");
}
