/* run: plain valgrind sanitizers */
/* The options of a file store: their rules as a struct, and what each one does. */
#include "check.h"

static flagstore_t *open_with(flagstore_file_options_t options) {
    flagstore_error_t *error = GARBAGE;
    options.size = sizeof options;
    flagstore_t *store = flagstore_file_open_with(FLAGS_FILE, &options, &error);
    CHECK_OK(error);
    return store;
}

static void null_and_zero_are_the_defaults(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *null = flagstore_file_open_with(FLAGS_FILE, NULL, &error);
    CHECK_OK(error);
    CHECK_FILE("{}\n", FLAGS_FILE);
    SET(null, "flag", "1");
    flagstore_t *zero = open_with((flagstore_file_options_t){0});
    CHECK_GET("1", zero, "flag");
    SET(zero, "flag", "2");
    flagstore_free(zero);
    flagstore_free(null);
}

/* Bytes behind the size of an older caller are not the library's to read: here they would be refused. */
static void a_smaller_size_works(void) {
    static const size_t sizes[] = {
        sizeof(size_t), offsetof(flagstore_file_options_t, durability), offsetof(flagstore_file_options_t, mode),
        offsetof(flagstore_file_options_t, max_bytes),
    };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        flagstore_error_t *error = GARBAGE;
        flagstore_file_options_t *options = malloc(sizes[i]); /* valgrind sees a read past the end */
        memset(options, 0, sizes[i]);
        options->size = sizes[i];
        flagstore_t *store = flagstore_file_open_with(FLAGS_FILE, options, &error);
        CHECK_OK(error);
        CHECK_INT((long long)sizes[i], (long long)options->size);
        free(options);
        CHECK(flagstore_set_int64(store, "flag", (int64_t)i, NULL));
        flagstore_free(store);
    }
}

struct newer_options {
    flagstore_file_options_t known;
    unsigned char tail[16];
};

static flagstore_t *open_newer(const struct newer_options *options, flagstore_error_t **error) {
    return flagstore_file_open_with(FLAGS_FILE, (const flagstore_file_options_t *)(const void *)options, error);
}

static void a_larger_size_works_if_its_tail_is_zero(void) {
    flagstore_error_t *error = GARBAGE;
    struct newer_options options = {.known = {.size = sizeof options, .flags = FLAGSTORE_OPEN_READ_ONLY}, .tail = {0}};
    flagstore_t *store = open_newer(&options, &error);
    CHECK_OK(error);
    CHECK(!flagstore_set(store, "flag", "1", &error));
    CHECK_ERROR(FLAGSTORE_READ_ONLY, NULL, error);
    flagstore_free(store);
    for (size_t i = 0; i < sizeof options.tail; i++) {
        options.tail[i] = 1;
        CHECK(open_newer(&options, &error) == NULL);
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
        options.tail[i] = 0;
    }
}

/* Each row is refused, and creates no file. */
#define SIZE sizeof(flagstore_file_options_t)
static const struct {
    const char *name;
    flagstore_file_options_t options;
    int32_t code;
} REFUSED[] = {
    {"size 0", {.size = 0}, FLAGSTORE_INVALID_ARGUMENT},
    {"read_mode 3", {.size = SIZE, .read_mode = 3}, FLAGSTORE_INVALID_ARGUMENT},
    {"read_mode -1", {.size = SIZE, .read_mode = -1}, FLAGSTORE_INVALID_ARGUMENT},
    {"durability 3", {.size = SIZE, .durability = 3}, FLAGSTORE_INVALID_ARGUMENT},
    {"durability -1", {.size = SIZE, .durability = -1}, FLAGSTORE_INVALID_ARGUMENT},
    {"flags 4", {.size = SIZE, .flags = 4}, FLAGSTORE_INVALID_ARGUMENT},
    {"flags 2^31", {.size = SIZE, .flags = 0x80000001u}, FLAGSTORE_INVALID_ARGUMENT},
    {"lock_timeout_ms -2", {.size = SIZE, .lock_timeout_ms = -2}, FLAGSTORE_INVALID_ARGUMENT},
    {"lock_timeout_ms INT32_MIN", {.size = SIZE, .lock_timeout_ms = INT32_MIN}, FLAGSTORE_INVALID_ARGUMENT},
    {"mode with a file type", {.size = SIZE, .mode = S_IFREG | 0644}, FLAGSTORE_INVALID_ARGUMENT},
    {"mode 2^31", {.size = SIZE, .mode = 0x80000000u}, FLAGSTORE_INVALID_ARGUMENT},
    {"reserved 1", {.size = SIZE, .reserved = 1}, FLAGSTORE_INVALID_ARGUMENT},
};

static void a_value_out_of_range_is_refused(void) {
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        check_row = REFUSED[i].name;
        CHECK(flagstore_file_open_with(FLAGS_FILE, &REFUSED[i].options, &error) == NULL);
        CHECK_ERROR(REFUSED[i].code, NULL, error);
        CHECK(flagstore_file_open_with(FLAGS_FILE, &REFUSED[i].options, NULL) == NULL);
        CHECK(access(FLAGS_FILE, F_OK) != 0 && access(LOCK_FILE, F_OK) != 0);
    }
}

static void check_read_only(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    CHECK(!flagstore_set(store, "flag", "1", &error)); /* equal to what is there, and refused all the same */
    CHECK_ERROR(FLAGSTORE_READ_ONLY, FLAGS_FILE, error);
    CHECK(!flagstore_set_int64(store, "flag", 2, &error));
    CHECK_ERROR(FLAGSTORE_READ_ONLY, FLAGS_FILE, error);
    CHECK(!flagstore_set_n(store, "flag", 4, "2", 1, &error));
    CHECK_ERROR(FLAGSTORE_READ_ONLY, FLAGS_FILE, error);
    CHECK(!flagstore_delete(store, "flag", &error));
    CHECK_ERROR(FLAGSTORE_READ_ONLY, FLAGS_FILE, error);
    CHECK(!flagstore_delete(store, "absent", &error));
    CHECK_ERROR(FLAGSTORE_READ_ONLY, FLAGS_FILE, error);
}

static void read_only_reads_and_changes_nothing(void) {
    write_file(FLAGS_FILE, "{\"flag\":1}", 10);
    flagstore_t *store = open_with((flagstore_file_options_t){.flags = FLAGSTORE_OPEN_READ_ONLY});
    CHECK_GET("1", store, "flag");
    check_read_only(store);
    CHECK_FILE("{\"flag\":1}", FLAGS_FILE);
    CHECK(access(LOCK_FILE, F_OK) != 0);
    flagstore_free(store);
}

static void read_only_on_a_missing_file_is_empty_until_there_is_one(void) {
    flagstore_t *store = open_with((flagstore_file_options_t){.flags = FLAGSTORE_OPEN_READ_ONLY});
    CHECK_ALL("{}", store);
    check_read_only(store);
    CHECK(access(FLAGS_FILE, F_OK) != 0 && access(LOCK_FILE, F_OK) != 0);
    write_file(FLAGS_FILE, "{\"flag\":1}", 10);
    CHECK_GET("1", store, "flag");
    flagstore_free(store);
}

static void open_existing_wants_a_file(void) {
    static const uint32_t flags[] = {FLAGSTORE_OPEN_EXISTING, FLAGSTORE_OPEN_EXISTING | FLAGSTORE_OPEN_READ_ONLY};
    for (size_t i = 0; i < COUNT(flags); i++) {
        flagstore_file_options_t options = {.size = sizeof options, .flags = flags[i]};
        flagstore_error_t *error = GARBAGE;
        CHECK(flagstore_file_open_with(FLAGS_FILE, &options, &error) == NULL);
        CHECK_INT(ENOENT, error == GARBAGE ? 0 : flagstore_error_os_code(error));
        CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
        CHECK(access(FLAGS_FILE, F_OK) != 0);
        write_file(FLAGS_FILE, "{\"flag\":1}", 10);
        flagstore_t *store = open_with(options);
        CHECK_GET("1", store, "flag");
        flagstore_free(store);
        CHECK(unlink(FLAGS_FILE) == 0);
    }
}

static void every_durability_writes_the_same_bytes(void) {
    static const int32_t levels[] = {FLAGSTORE_SYNC_FULL, FLAGSTORE_SYNC_NONE, FLAGSTORE_SYNC_ORDERED};
    for (size_t i = 0; i < COUNT(levels); i++) {
        flagstore_error_t *error = GARBAGE;
        flagstore_t *store = open_with((flagstore_file_options_t){.durability = levels[i]});
        CHECK_FILE("{}\n", FLAGS_FILE);
        SET(store, "b", "{\"x\":[]}");
        SET(store, "a", "1.10");
        CHECK_FILE("{\n  \"a\": 1.10,\n  \"b\": {\n    \"x\": []\n  }\n}\n", FLAGS_FILE);
        CHECK(flagstore_delete(store, "b", &error));
        CHECK_OK(error);
        CHECK_FILE("{\n  \"a\": 1.10\n}\n", FLAGS_FILE);
        CHECK(access(".flags.json.tmp", F_OK) != 0);
        flagstore_free(store);
        CHECK(unlink(FLAGS_FILE) == 0);
    }
}

static void mode_is_that_of_a_created_file_only(void) {
    static const uint32_t modes[] = {0600, 0640, 0644};
    mode_t before = umask(022);
    for (size_t i = 0; i < COUNT(modes); i++) {
        flagstore_t *store = open_with((flagstore_file_options_t){.mode = modes[i]});
        CHECK_INT(modes[i], STATUS_OF(FLAGS_FILE).st_mode & 07777);
        CHECK(chmod(FLAGS_FILE, 0604) == 0);
        SET(store, "flag", "1");
        CHECK_INT(0604, STATUS_OF(FLAGS_FILE).st_mode & 07777);
        CHECK(unlink(FLAGS_FILE) == 0);
        SET(store, "flag", "1");
        CHECK_INT(modes[i], STATUS_OF(FLAGS_FILE).st_mode & 07777);
        flagstore_free(store);
        CHECK(unlink(FLAGS_FILE) == 0);
    }
    umask(before);
}

#define CHECK_TOO_LARGE(call) do { \
        flagstore_error_t *error = GARBAGE; \
        CHECK(call); \
        CHECK_INT(EFBIG, error == GARBAGE ? 0 : flagstore_error_os_code(error)); \
        CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error); \
    } while (0)

/* "{\n  \"flag\": \"\"\n}\n" is 17 bytes: a text of 13 makes 30. */
static void max_bytes_bounds_the_result_of_a_change(void) {
    flagstore_t *store = open_with((flagstore_file_options_t){.max_bytes = 30});
    CHECK_TOO_LARGE(!flagstore_set(store, "flag", "\"0123456789abcd\"", &error));
    CHECK_FILE("{}\n", FLAGS_FILE);
    SET(store, "flag", "\"0123456789abc\"");
    CHECK_INT(30, STATUS_OF(FLAGS_FILE).st_size);
    CHECK_TOO_LARGE(!flagstore_set(store, "b", "1", &error));
    CHECK_ALL("{\"flag\":\"0123456789abc\"}", store);
    CHECK(access(".flags.json.tmp", F_OK) != 0);
    flagstore_free(store);
}

static void max_bytes_bounds_what_is_read(void) {
    flagstore_t *store = open_with((flagstore_file_options_t){.max_bytes = 30});
    write_file(FLAGS_FILE, "{\"flag\":\"0123456789abcdefghi\"}", 30);
    CHECK_GET("\"0123456789abcdefghi\"", store, "flag");
    write_file(FLAGS_FILE, "{\"flag\":\"0123456789abcdefghij\"}", 31);
    CHECK_TOO_LARGE(flagstore_get(store, "flag", &error) == NULL);
    CHECK_TOO_LARGE(flagstore_list_all(store, &error) == NULL);
    CHECK_TOO_LARGE(flagstore_len(store, &error) == -1);
    CHECK_TOO_LARGE(!flagstore_set(store, "flag", "1", &error));
    CHECK_TOO_LARGE(!flagstore_delete(store, "flag", &error));
    CHECK_FILE("{\"flag\":\"0123456789abcdefghij\"}", FLAGS_FILE);
    flagstore_free(store);
}

int main(void) {
    RUN(null_and_zero_are_the_defaults);
    RUN(a_smaller_size_works);
    RUN(a_larger_size_works_if_its_tail_is_zero);
    RUN(a_value_out_of_range_is_refused);
    RUN(read_only_reads_and_changes_nothing);
    RUN(read_only_on_a_missing_file_is_empty_until_there_is_one);
    RUN(open_existing_wants_a_file);
    RUN(every_durability_writes_the_same_bytes);
    RUN(mode_is_that_of_a_created_file_only);
    RUN(max_bytes_bounds_the_result_of_a_change);
    RUN(max_bytes_bounds_what_is_read);
    return check_summary("options");
}
