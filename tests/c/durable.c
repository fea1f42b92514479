/* run: plain */
/* A change in FLAGSTORE_SYNC_FULL that was reported as done has been synced, content and name, whoever wrote it and
   whoever led the group. And a change is made of what is there, all of it. */
#include "queued.h"

/* ---- the library's fsync goes through here ---- */

static char synced_text[1 << 16]; /* of the regular file that was synced last */
static int folder_syncs;
static ino_t synced_file;

int fsync(int fd) {
    struct stat status;
    int result = (int)syscall(SYS_fsync, fd);
    if (result == 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        char path[64];
        size_t len = 0;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        char *text = read_file(path, &len); /* the library has it open for writing only */
        snprintf(synced_text, sizeof synced_text, "%s", text ? text : "");
        free(text);
        synced_file = status.st_ino;
    } else if (result == 0) {
        __atomic_add_fetch(&folder_syncs, 1, __ATOMIC_SEQ_CST);
    }
    return result;
}

static void forget_syncs(void) {
    synced_text[0] = '\0';
    synced_file = 0;
    folder_syncs = 0;
}

static void check_synced(const char *content) {
    CHECK_THAT(strstr(synced_text, content) != NULL, "expected %s to be synced, not <%s>", content, synced_text);
    CHECK_INT((long long)STATUS_OF(FLAGS_FILE).st_ino, (long long)synced_file);
    CHECK_THAT(folder_syncs > 0, "expected the directory to be synced");
}

/* ---- the group ---- */

static bool set_a(flagstore_t *store, flagstore_error_t **error) { return flagstore_set(store, "a", "1", error); }
static bool set_b(flagstore_t *store, flagstore_error_t **error) { return flagstore_set(store, "b", "2", error); }
static bool set_c(flagstore_t *store, flagstore_error_t **error) { return flagstore_set(store, "c", "3", error); }

static void check_done(const struct queued *calls, int count) {
    for (int i = 0; i < count; i++) CHECK_THAT(calls[i].done, "call %d: %s", i, calls[i].message);
}

/* What leads syncs nothing; what came behind it was promised to be synced. */
static void a_durable_change_is_synced_whoever_leads_the_group(void) {
    static const int32_t leaders[] = {FLAGSTORE_SYNC_NONE, FLAGSTORE_SYNC_ORDERED, FLAGSTORE_SYNC_FULL};
    for (size_t i = 0; i < COUNT(leaders); i++) {
        put(FLAGS_FILE, "{}");
        flagstore_t *leader = open_durable(leaders[i]), *durable = open_durable(FLAGSTORE_SYNC_FULL);
        struct queued calls[] = {{.store = leader, .call = set_a}, {.store = durable, .call = set_b},
                                 {.store = leader, .call = set_c}};
        forget_syncs();
        call_in_order(calls, 3);
        check_done(calls, 3);
        CHECK_ALL("{\"a\":1,\"b\":2,\"c\":3}", leader);
        CHECK_THAT(strstr(synced_text, "\"b\": 2") != NULL, "durability %d leads: b was not synced", (int)leaders[i]);
        CHECK_THAT(folder_syncs > 0, "durability %d leads: the directory was not synced", (int)leaders[i]);
        flagstore_free(leader);
        flagstore_free(durable);
    }
}

static bool clear_and_set_b(flagstore_t *store, flagstore_error_t **error) {
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_clear(batch, NULL) && flagstore_batch_set(batch, "b", "2", NULL));
    bool done = flagstore_commit(store, batch, error);
    flagstore_free(batch);
    return done;
}

static bool delete_c(flagstore_t *store, flagstore_error_t **error) { return flagstore_delete(store, "c", error); }

/* The group is as if each had come by itself. */
static void a_clear_removes_what_came_before_it_in_the_same_group(void) {
    put(FLAGS_FILE, "{\"old\":0}");
    flagstore_t *store = open_durable(FLAGSTORE_SYNC_NONE);
    struct queued cleared[] = {{.store = store, .call = set_a}, {.store = store, .call = set_c},
                               {.store = store, .call = clear_and_set_b}};
    call_in_order(cleared, 3);
    check_done(cleared, 3);
    CHECK_FILE("{\n  \"b\": 2\n}\n", FLAGS_FILE);
    struct queued after[] = {{.store = store, .call = set_c}, {.store = store, .call = clear_and_set_b},
                             {.store = store, .call = set_a}, {.store = store, .call = set_c},
                             {.store = store, .call = delete_c}};
    call_in_order(after, 5);
    check_done(after, 5);
    CHECK_FILE("{\n  \"a\": 1,\n  \"b\": 2\n}\n", FLAGS_FILE);
    flagstore_free(store);
}

/* ---- nothing to write ---- */

/* As another program, which does not sync. */
static void write_unsynced(flagstore_t *unsynced, int way) {
    if (way == 0) SET(unsynced, "flag", "2");
    else put(FLAGS_FILE, "{\n  \"flag\": 2\n}\n");
}

static void a_durable_change_that_changes_nothing_syncs_what_is_there(void) {
    for (int way = 0; way < 2; way++) {
        for (int kept = 0; kept < 2; kept++) { /* whether the store knows the content from its own last change */
            put(FLAGS_FILE, "{\n  \"flag\": 1\n}\n");
            flagstore_t *unsynced = open_durable(FLAGSTORE_SYNC_NONE), *durable = open_durable(FLAGSTORE_SYNC_FULL);
            if (kept) SET(durable, "flag", "2");
            if (kept) SET(unsynced, "flag", "1");
            write_unsynced(unsynced, way);
            forget_syncs();
            SET(durable, "flag", "2");
            check_synced("\"flag\": 2");
            forget_syncs();
            flagstore_error_t *error = GARBAGE;
            CHECK(!flagstore_delete(durable, "absent", &error));
            CHECK_OK(error);
            check_synced("\"flag\": 2");
            flagstore_free(unsynced);
            flagstore_free(durable);
        }
    }
}

/* ---- what is there ---- */

/* A store that knows the content from its own last change compares all of it. */
static void what_others_append_is_not_overwritten(void) {
    static const struct { const char *appended; int32_t code; const char *left; } cases[] = {
        {"x", FLAGSTORE_CORRUPT, "{\n  \"flag\": 1\n}\nx"},
        {"{}", FLAGSTORE_CORRUPT, "{\n  \"flag\": 1\n}\n{}"},
        {"\n", FLAGSTORE_OK, "{\n  \"flag\": 2\n}\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        flagstore_error_t *error = GARBAGE;
        unlink(FLAGS_FILE);
        put(FLAGS_FILE, "{}");
        flagstore_t *store = open_durable(FLAGSTORE_SYNC_NONE);
        SET(store, "flag", "1");
        FILE *file = fopen(FLAGS_FILE, "ab");
        CHECK(file && fputs(cases[i].appended, file) >= 0 && fclose(file) == 0);
        flagstore_set(store, "flag", "2", &error);
        CHECK_ERROR(cases[i].code, NULL, error);
        CHECK_FILE(cases[i].left, FLAGS_FILE);
        flagstore_free(store);
    }
}

int main(void) {
    RUN(a_durable_change_is_synced_whoever_leads_the_group);
    RUN(a_clear_removes_what_came_before_it_in_the_same_group);
    RUN(a_durable_change_that_changes_nothing_syncs_what_is_there);
    RUN(what_others_append_is_not_overwritten);
    return check_summary("durable");
}
