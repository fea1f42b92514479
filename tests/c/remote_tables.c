/* run: plain valgrind sanitizers */
/* The tables and options of stores elsewhere: older and newer ones, refused ones; and backends that answer nonsense. */
#include "fault_backend.h"

enum { FRESH = FLAGSTORE_READ_FRESH, CHECKED = FLAGSTORE_READ_CHECKED, WATCHED = FLAGSTORE_READ_WATCHED };

/* ---- sizes ---- */

/* As the header of ABI 1 had it. */
static void a_table_of_the_old_size_works_as_before(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_backend_t table = table_of(backend);
    table.size = offsetof(flagstore_backend_t, flags);
    flagstore_t *store = flagstore_backend_open(&table, NULL);
    SET(store, "flag", "1");
    CHECK_GET("1", store, "flag");
    CHECK_ALL("{\"flag\":1}", store);
    CHECK(flagstore_delete(store, "flag", NULL));
    CHECK_INT(1, NOW(backend->calls[OP_SET]));
    CHECK_INT(1, NOW(backend->calls[OP_LIST]));
    CHECK_INT(0, NOW(backend->calls[OP_LOAD]) + NOW(backend->calls[OP_COMMIT]) + NOW(backend->calls[OP_WAIT]));
    end_backend(backend, store);
    free_engine(engine);
}

/* Each struct followed by what a newer one might have. */
static void a_newer_struct_works_unless_it_asks_for_more(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    struct { flagstore_backend_t known; uint64_t added[2]; } table = {.known = table_of(backend)};
    struct { flagstore_remote_options_t known; uint64_t added[2]; } options = {.known = options_of(WATCHED)};
    struct { flagstore_status_t known; uint64_t added[2]; } status = {.added = {1, 2}};
    flagstore_error_t *error = GARBAGE;
    table.known.size = sizeof table, options.known.size = sizeof options, status.known.size = sizeof status;
    for (int part = 0; part < 2; part++) {
        (part ? table.added : options.added)[1] = 1;
        CHECK(flagstore_backend_open_with(&table.known, &options.known, &error) == NULL);
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, part ? "backend" : "options", error);
        (part ? table.added : options.added)[1] = 0;
    }
    CHECK_INT(0, NOW(backend->closes));
    flagstore_t *store = flagstore_backend_open_with(&table.known, &options.known, &error);
    CHECK_OK(error);
    CHECK(flagstore_status(store, &status.known, &error));
    CHECK_OK(error);
    CHECK_INT(FLAGSTORE_STATE_LIVE, status.known.state);
    CHECK(status.known.size == sizeof status && status.added[0] == 1 && status.added[1] == 2);
    memset(&status, 0x5a, sizeof status);
    status.known.size = offsetof(flagstore_status_t, age_ms);
    CHECK(flagstore_status(store, &status.known, &error));
    CHECK_INT(FLAGSTORE_STATE_LIVE, status.known.state);
    CHECK_INT(0x5a5a5a5a5a5a5a5a, status.known.age_ms);
    static const size_t wrong[] = {0, 8, SIZE_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        status.known.size = wrong[i];
        CHECK(!flagstore_status(store, &status.known, &error));
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "size", error);
    }
    CHECK(!flagstore_status(store, NULL, &error));
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "status", error);
    end_backend(backend, store);
    free_engine(engine);
}

static void options_may_end_early_or_be_null(void) {
    struct engine *engine = new_engine();
    flagstore_remote_options_t options = options_of(CHECKED);
    options.size = offsetof(flagstore_remote_options_t, when_lost); /* the read mode alone */
    for (int is_null = 0; is_null < 2; is_null++) {
        struct backend *backend = new_backend(engine);
        flagstore_backend_t table = table_of(backend);
        flagstore_t *store = flagstore_backend_open_with(&table, is_null ? NULL : &options, NULL);
        SET(store, "flag", "1");
        CHECK_GET("1", store, "flag");
        CHECK_INT(is_null, NOW(backend->calls[OP_GET]));
        end_backend(backend, store);
    }
    free_engine(engine);
}

#define REFUSED(field_, value_) {#field_, {.size = sizeof(flagstore_remote_options_t), .field_ = value_}}

static void an_option_out_of_range_is_refused(void) {
    static const struct { const char *field; flagstore_remote_options_t options; } ROWS[] = {
        REFUSED(read_mode, 3), REFUSED(read_mode, -1), REFUSED(when_lost, 2), REFUSED(when_lost, -1),
        REFUSED(flags, FLAGSTORE_OPEN_EXISTING), REFUSED(flags, 8), REFUSED(reserved, 1),
        REFUSED(open_timeout_ms, -1), REFUSED(call_timeout_ms, -1), REFUSED(max_stale_ms, -1), REFUSED(verify_ms, -1),
        REFUSED(spread_ms, -2), REFUSED(retry_max_ms, -1), REFUSED(fallback_path, "\xff"),
    };
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_backend_t table = table_of(backend);
    flagstore_error_t *error = GARBAGE;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        check_row = ROWS[i].field;
        CHECK(flagstore_backend_open_with(&table, &ROWS[i].options, &error) == NULL);
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, ROWS[i].field, error);
    }
    check_row = "";
    table.flags = 2;
    CHECK(flagstore_backend_open_with(&table, NULL, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "backend.flags", error);
    table.flags = 0, table.reserved = 1;
    CHECK(flagstore_backend_open_with(&table, NULL, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "backend.reserved", error);
    CHECK_INT(0, NOW(backend->closes) + count_backend_calls(backend));
    free(backend);
    free_engine(engine);
}

static void a_store_opened_read_only_changes_nothing(void) {
    for (int32_t mode = FRESH; mode <= WATCHED; mode++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        flagstore_remote_options_t options = options_of(mode);
        options.flags = FLAGSTORE_OPEN_READ_ONLY;
        engine_set(engine, "flag", "1");
        flagstore_t *store = open_table(table_of(backend), options);
        CHECK_INT(FLAGSTORE_READ_ONLY, code_of_set(store, "flag", "2"));
        CHECK(!flagstore_delete(store, "flag", NULL));
        CHECK_GET("1", store, "flag");
        end_backend(backend, store);
        free_engine(engine);
    }
}

/* ---- batches ---- */

static int32_t commit_three(flagstore_t *store, const char *expected) {
    flagstore_error_t *error = NULL;
    flagstore_batch_t *batch = flagstore_batch_new();
    flagstore_batch_delete(batch, "a", NULL);
    flagstore_batch_set(batch, "b", "2", NULL);
    flagstore_batch_set(batch, "c", "3", NULL);
    flagstore_batch_expect(batch, "a", expected, NULL);
    CHECK(flagstore_commit(store, batch, &error) == (error == NULL));
    int32_t code = flagstore_error_code(error);
    flagstore_free(batch);
    flagstore_free(error);
    return code;
}

static void with_commit_a_batch_is_all_or_nothing(void) {
    for (int32_t mode = FRESH; mode <= WATCHED; mode++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        engine_set(engine, "a", "1.0");
        flagstore_t *store = open_over_backend(backend, mode);
        CHECK_INT(FLAGSTORE_CONFLICT, commit_three(store, "2"));
        CHECK_INT(FLAGSTORE_CONFLICT, commit_three(store, NULL));
        FAULT(backend, OP_COMMIT, code, FLAGSTORE_UNAVAILABLE);
        CHECK_INT(FLAGSTORE_UNAVAILABLE, commit_three(store, "1.0"));
        CHECK_ALL("{\"a\":1.0}", store);
        FAULT(backend, OP_COMMIT, code, 0);
        CHECK_INT(FLAGSTORE_OK, commit_three(store, "1.0"));
        CHECK_ALL("{\"b\":2,\"c\":3}", store);
        CHECK_INT(0, NOW(backend->calls[OP_SET]) + NOW(backend->calls[OP_REMOVE]));
        end_backend(backend, store);
        free_engine(engine);
    }
}

/* The first change is a removal, and only a set fails. */
static void without_commit_what_fails_half_way_is_uncertain(void) {
    for (int32_t mode = FRESH; mode <= WATCHED; mode++)
        for (int lacks_set = 0; lacks_set < 2; lacks_set++) {
            struct engine *engine = new_engine();
            struct backend *backend = new_backend(engine);
            flagstore_backend_t table = table_of(backend);
            table.commit = NULL;
            if (lacks_set) table.set = NULL;
            engine_set(engine, "a", "1");
            engine_set(engine, "d", "4");
            flagstore_t *store = open_table(table, options_of(mode));
            CHECK_INT(FLAGSTORE_CONFLICT, commit_three(store, "2"));
            CHECK_GET("1", store, "a");
            FAULT(backend, OP_SET, code, FLAGSTORE_UNAVAILABLE);
            CHECK_INT(FLAGSTORE_UNCERTAIN, commit_three(store, "1"));
            CHECK_EVENTUALLY(reads_as(store, "a", NULL));
            CHECK_GET(NULL, store, "b");
            FAULT(backend, OP_REMOVE, code, FLAGSTORE_UNAVAILABLE);
            CHECK_INT(FLAGSTORE_UNAVAILABLE, commit_three(store, NULL)); /* nothing was done yet */
            FAULT(backend, OP_REMOVE, code, 0);
            FAULT(backend, OP_SET, code, 0);
            CHECK_INT(lacks_set ? FLAGSTORE_UNCERTAIN : FLAGSTORE_OK, commit_three(store, NULL));
            CHECK_GET(lacks_set ? NULL : "3", store, "c");
            end_backend(backend, store);
            free_engine(engine);
        }
}

/* ---- nonsense ---- */

static void nonsense_is_never_served(void) {
    static const int replies[] = {REPLY_NOT_JSON, REPLY_BAD_KEY, REPLY_NO_KEY, REPLY_OTHER_KEY};
    for (size_t i = 0; i < COUNT(replies); i++)
        for (int32_t mode = FRESH; mode <= WATCHED; mode++) {
            bool is_good_in_a_list = replies[i] == REPLY_OTHER_KEY, is_good_in_a_get = replies[i] == REPLY_NO_KEY;
            struct engine *engine = new_engine();
            struct backend *backend = new_backend(engine);
            flagstore_error_t *error = GARBAGE;
            engine_set(engine, "flag", "1");
            flagstore_t *store = open_over_backend(backend, mode);
            FAULT(backend, OP_GET, reply, replies[i]);
            if (!is_good_in_a_list) FAULT(backend, OP_LOAD, reply, replies[i]);
            engine_set(engine, "flag", "2");
            if (mode == WATCHED && !is_good_in_a_list) {
                CHECK_EVENTUALLY(state_of(store).state == FLAGSTORE_STATE_STALE);
                CHECK_GET("1", store, "flag");
                CHECK(!flagstore_sync(store, 1000, &error));
                CHECK_ERROR(FLAGSTORE_BACKEND, "backend", error);
            } else if (mode != WATCHED && !(mode == FRESH ? is_good_in_a_get : is_good_in_a_list)) {
                CHECK_INT(FLAGSTORE_BACKEND, code_of_get(store, "flag"));
            }
            FAULT(backend, OP_GET, reply, REPLY_RIGHT);
            FAULT(backend, OP_LOAD, reply, REPLY_RIGHT);
            CHECK_EVENTUALLY(reads_as(store, "flag", "2"));
            end_backend(backend, store);
            free_engine(engine);
        }
}

/* What is not true cannot be told apart; but it does no harm, and ends with the lie. */
static void a_lie_ends_with_the_liar(void) {
    for (int32_t mode = FRESH; mode <= WATCHED; mode++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        engine_set(engine, "flag", "1");
        flagstore_t *store = open_over_backend(backend, mode);
        CHECK_GET("1", store, "flag");
        FAULT(backend, OP_LOAD, lies, mode != FRESH); /* says same */
        FAULT(backend, OP_SET, lies, 1);
        FAULT(backend, OP_COMMIT, lies, 1);
        FAULT(backend, OP_REMOVE, lies, 1);
        CHECK_INT(FLAGSTORE_OK, code_of_set(store, "flag", "2"));
        flagstore_delete(store, "absent", NULL);
        FAULT(backend, OP_COMMIT, is_half, 1);
        FAULT(backend, OP_COMMIT, lies, 0);
        CHECK_INT(FLAGSTORE_OK, commit_three(store, NULL));
        memset(backend->faults, 0, sizeof backend->faults);
        engine_set(engine, "flag", "3");
        CHECK_EVENTUALLY(reads_as(store, "flag", "3"));
        CHECK(flagstore_sync(store, -1, NULL));
        CHECK_ALL("{\"flag\":3}", store);
        end_backend(backend, store);
        free_engine(engine);
    }
}

static void a_first_load_cannot_be_the_same(void) {
    struct engine *engine = new_engine();
    struct backend *backend = new_backend(engine);
    flagstore_backend_t table = table_of(backend);
    flagstore_remote_options_t options = options_of(WATCHED);
    flagstore_error_t *error = GARBAGE;
    FAULT(backend, OP_LOAD, lies, 1);
    CHECK(flagstore_backend_open_with(&table, &options, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_BACKEND, "nothing was loaded", error);
    CHECK_INT(1, NOW(backend->closes));
    free(backend);
    free_engine(engine);
}

static void what_is_too_large_is_refused(void) {
    for (int32_t mode = FRESH; mode <= CHECKED; mode++) {
        struct engine *engine = new_engine();
        struct backend *backend = new_backend(engine);
        flagstore_remote_options_t options = options_of(mode);
        flagstore_error_t *error = GARBAGE;
        options.max_bytes = 40;
        engine_set(engine, "flag", "[1,2,3]");
        flagstore_t *store = open_table(table_of(backend), options);
        CHECK_ALL("{\"flag\":[1,2,3]}", store);
        engine_set(engine, "other flag", "\"123456789012345678901234567890\"");
        CHECK(flagstore_list_all(store, &error) == NULL);
        CHECK_INT(EFBIG, flagstore_error_os_code(error));
        CHECK_ERROR(FLAGSTORE_IO, NULL, error);
        end_backend(backend, store);
        free_engine(engine);
    }
}

int main(void) {
    RUN(a_table_of_the_old_size_works_as_before);
    RUN(a_newer_struct_works_unless_it_asks_for_more);
    RUN(options_may_end_early_or_be_null);
    RUN(an_option_out_of_range_is_refused);
    RUN(a_store_opened_read_only_changes_nothing);
    RUN(with_commit_a_batch_is_all_or_nothing);
    RUN(without_commit_what_fails_half_way_is_uncertain);
    RUN(nonsense_is_never_served);
    RUN(a_lie_ends_with_the_liar);
    RUN(a_first_load_cannot_be_the_same);
    RUN(what_is_too_large_is_refused);
    return check_summary("remote_tables");
}
