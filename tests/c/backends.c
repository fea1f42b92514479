/* run: plain valgrind sanitizers */
/* A backend of the caller's own: what it is asked, what it may answer, and what becomes of its errors. That it keeps
   the contract is checked by every program with a table of kinds. */
#include "check.h"

/* ---- a backend that does as it is told ---- */

struct puppet {
    flagstore_t *own;        /* the store over it */
    const char *key, *json;  /* what it replies to get and list_all; NULL json: nothing */
    size_t key_len, json_len;
    int32_t code;            /* not FLAGSTORE_OK: every call fails with it; -1: without an error object */
    bool calls_own;          /* every call first calls the store it serves */
    int calls, closes;
};

static bool obey(struct puppet *puppet, flagstore_error_t **error) {
    puppet->calls++;
    if (puppet->calls_own) flagstore_free(flagstore_get(puppet->own, "flag", error));
    if (puppet->calls_own) return *error == NULL;
    if (puppet->code > 0) *error = flagstore_error_new(puppet->code, "the puppet's own words");
    return puppet->code == FLAGSTORE_OK;
}

static bool puppet_get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply,
                       flagstore_error_t **error) {
    struct puppet *puppet = context;
    CHECK(key_len == 4 && memcmp(key, "flag", 4) == 0);
    if (puppet->json) flagstore_reply(reply, NULL, 0, puppet->json, puppet->json_len);
    return obey(puppet, error);
}

static bool puppet_set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                       flagstore_error_t **error) {
    CHECK(key_len == 4 && memcmp(key, "flag", 4) == 0);
    CHECK_TEXT("{\"a\":[1],\"b\":2}", json);
    CHECK_INT(15, (long long)json_len);
    return obey(context, error);
}

static bool puppet_remove(void *context, const char *key, size_t key_len, bool *existed, flagstore_error_t **error) {
    CHECK(key_len == 4 && memcmp(key, "flag", 4) == 0);
    *existed = true;
    return obey(context, error);
}

static bool puppet_list_all(void *context, flagstore_reply_t *reply, flagstore_error_t **error) {
    struct puppet *puppet = context;
    if (puppet->json) flagstore_reply(reply, puppet->key, puppet->key_len, puppet->json, puppet->json_len);
    return obey(puppet, error);
}

static void puppet_close(void *context) { ((struct puppet *)context)->closes++; }

static flagstore_backend_t table_of(void *context) {
    flagstore_backend_t backend = {
        .size = sizeof backend, .context = context, .get = puppet_get, .set = puppet_set, .remove = puppet_remove,
        .list_all = puppet_list_all, .close = puppet_close,
    };
    return backend;
}

static flagstore_t *open_table(const flagstore_backend_t *backend) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_backend_open(backend, &error);
    CHECK_OK(error);
    CHECK(store != NULL);
    return store;
}

static void open_puppet(struct puppet *puppet) {
    flagstore_backend_t backend = table_of(puppet);
    puppet->own = open_table(&backend); /* the table is copied: this one ends here */
    memset(&backend, 0x5a, sizeof backend);
}

#define TEXT(text) text, sizeof(text) - 1

/* ---- every call of a store, by the function of the backend that it needs ---- */

static bool call_get(flagstore_t *store, flagstore_error_t **error) {
    flagstore_free(flagstore_get(store, "flag", error));
    return *error == NULL;
}
static bool call_get_type(flagstore_t *store, flagstore_error_t **error) {
    return flagstore_get_type(store, "flag", error) >= 0;
}
static bool call_set(flagstore_t *store, flagstore_error_t **error) {
    return flagstore_set(store, "flag", "{\"b\": 2, \"a\": [1]}", error);
}
static bool call_delete(flagstore_t *store, flagstore_error_t **error) {
    return flagstore_delete(store, "flag", error);
}
static bool call_list_all(flagstore_t *store, flagstore_error_t **error) {
    char *all = flagstore_list_all(store, error);
    flagstore_free(all);
    return all != NULL;
}
static bool call_len(flagstore_t *store, flagstore_error_t **error) { return flagstore_len(store, error) >= 0; }
static bool call_snapshot(flagstore_t *store, flagstore_error_t **error) {
    flagstore_snapshot_t *snapshot = flagstore_snapshot(store, error);
    flagstore_free(snapshot);
    return snapshot != NULL;
}
static bool commit(flagstore_t *store, const char *set, const char *expect, flagstore_error_t **error) {
    flagstore_batch_t *batch = flagstore_batch_new();
    if (set) flagstore_batch_set(batch, "flag", set, NULL);
    if (expect) flagstore_batch_expect(batch, "flag", NULL, NULL);
    if (!set && !expect) flagstore_batch_clear(batch, NULL);
    bool done = flagstore_commit(store, batch, error);
    flagstore_free(batch);
    return done;
}
static bool call_commit_set(flagstore_t *store, flagstore_error_t **error) {
    return commit(store, "{\"b\": 2, \"a\": [1]}", NULL, error);
}
static bool call_commit_expect(flagstore_t *store, flagstore_error_t **error) {
    return commit(store, NULL, "absent", error);
}
static bool call_commit_clear(flagstore_t *store, flagstore_error_t **error) {
    return commit(store, NULL, NULL, error);
}

static const struct {
    const char *name, *needs;
    bool (*call)(flagstore_t *store, flagstore_error_t **error);
} CALLS[] = {
    {"get", "get", call_get}, {"get_type", "get", call_get_type}, {"set", "set", call_set},
    {"delete", "remove", call_delete}, {"list_all", "list_all", call_list_all}, {"len", "list_all", call_len},
    {"snapshot", "list_all", call_snapshot}, {"commit of a set", "set", call_commit_set},
    {"commit of an expectation", "get", call_commit_expect}, {"commit of a clear", "list_all", call_commit_clear},
};

static void what_a_backend_lacks_is_not_implemented(void) {
    static const char *const parts[] = {"get", "set", "remove", "list_all"};
    for (size_t part = 0; part < COUNT(parts); part++) {
        struct puppet puppet = {0};
        flagstore_backend_t backend = table_of(&puppet);
        if (part == 0) backend.get = NULL;
        if (part == 1) backend.set = NULL;
        if (part == 2) backend.remove = NULL;
        if (part == 3) backend.list_all = NULL;
        backend.close = NULL;
        flagstore_t *store = open_table(&backend);
        for (size_t i = 0; i < COUNT(CALLS); i++) {
            flagstore_error_t *error = GARBAGE;
            bool lacks = strcmp(CALLS[i].needs, parts[part]) == 0;
            check_row = CALLS[i].name;
            CHECK(CALLS[i].call(store, &error) == !lacks);
            CHECK_ERROR(lacks ? FLAGSTORE_NOT_IMPLEMENTED : FLAGSTORE_OK, lacks ? parts[part] : NULL, error);
        }
        flagstore_free(store);
    }
}

static void an_error_comes_through_as_it_is(void) {
    static const int32_t codes[] = {FLAGSTORE_INVALID_ARGUMENT, FLAGSTORE_IO, FLAGSTORE_LOCKED, FLAGSTORE_READ_ONLY,
                                    FLAGSTORE_CONFLICT, FLAGSTORE_BACKEND, FLAGSTORE_INTERNAL, 12345, -1};
    struct puppet puppet = {0};
    open_puppet(&puppet);
    for (size_t i = 0; i < COUNT(CALLS); i++)
        for (size_t code = 0; code < COUNT(codes); code++) {
            flagstore_error_t *error = GARBAGE;
            check_row = CALLS[i].name;
            puppet.code = codes[code];
            CHECK(!CALLS[i].call(puppet.own, &error));
            bool is_silent = codes[code] == -1;
            CHECK_ERROR(is_silent ? FLAGSTORE_BACKEND : codes[code], is_silent ? CALLS[i].needs : "the puppet's own words",
                        error);
        }
    flagstore_free(puppet.own);
}

/* errno comes through as well. */
static void an_error_of_another_store_comes_through(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_custom(NULL);
    CHECK(unlink(FLAGS_FILE) == 0 && mkdir(FLAGS_FILE, 0777) == 0);
    CHECK(flagstore_get(store, "flag", &error) == NULL);
    CHECK_INT(EISDIR, flagstore_error_os_code(error));
    CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
    CHECK(rmdir(FLAGS_FILE) == 0);
    put(FLAGS_FILE, "{\"flag\": ?}");
    CHECK(!flagstore_set(store, "flag", "1", &error));
    CHECK_ERROR(FLAGSTORE_CORRUPT, FLAGS_FILE ":1:", error);
    flagstore_free(store);
}

static const struct {
    const char *name, *key;
    size_t key_len;
    const char *json;
    size_t json_len;
    bool is_of_list; /* a get does not look at the key */
} BAD_REPLIES[] = {
    {"a key that is not UTF-8", TEXT("\xff"), TEXT("1"), true},
    {"a cut key", "\xc3\xa9", 1, TEXT("1"), true},
    {"no key", NULL, 0, TEXT("1"), true},
    {"no value", TEXT("flag"), "", 0, false},
    {"not JSON", TEXT("flag"), TEXT("tru"), false},
    {"two values", TEXT("flag"), TEXT("1 2"), false},
    {"a value with its NUL", TEXT("flag"), "1", 2, false},
    {"a value that is not UTF-8", TEXT("flag"), TEXT("\"\xff\""), false},
    {"a cut value", TEXT("flag"), "[1]", 2, false},
};

static void a_reply_is_checked(void) {
    for (size_t i = 0; i < COUNT(BAD_REPLIES); i++) {
        struct puppet puppet = {.key = BAD_REPLIES[i].key, .key_len = BAD_REPLIES[i].key_len,
                                .json = BAD_REPLIES[i].json, .json_len = BAD_REPLIES[i].json_len};
        flagstore_error_t *error = GARBAGE;
        open_puppet(&puppet);
        check_row = BAD_REPLIES[i].name;
        CHECK(flagstore_list_all(puppet.own, &error) == NULL);
        CHECK_ERROR(FLAGSTORE_BACKEND, NULL, error);
        CHECK(flagstore_snapshot(puppet.own, &error) == NULL);
        CHECK_ERROR(FLAGSTORE_BACKEND, NULL, error);
        CHECK_OWNED(BAD_REPLIES[i].is_of_list ? "1" : NULL, flagstore_get(puppet.own, "flag", &error));
        CHECK_ERROR(BAD_REPLIES[i].is_of_list ? FLAGSTORE_OK : FLAGSTORE_BACKEND, NULL, error);
        flagstore_free(puppet.own);
    }
}

static void a_good_reply_is_made_compact(void) {
    struct puppet puppet = {.key = "a\0b", .key_len = 3, .json = " {\"b\" : 1, \"a\":[ ] } ?", .json_len = 21};
    open_puppet(&puppet);
    CHECK_GET("{\"a\":[],\"b\":1}", puppet.own, "flag");
    CHECK_ALL("{\"a\\u0000b\":{\"a\":[],\"b\":1}}", puppet.own);
    flagstore_free(puppet.own);
}

static void a_backend_that_calls_its_own_store_gets_an_error(void) {
    struct puppet puppet = {.calls_own = true};
    open_puppet(&puppet);
    for (size_t i = 0; i < COUNT(CALLS); i++) {
        flagstore_error_t *error = GARBAGE;
        check_row = CALLS[i].name;
        CHECK(!CALLS[i].call(puppet.own, &error));
        CHECK_ERROR(FLAGSTORE_BACKEND, "called the store", error);
    }
    puppet.calls_own = false;
    CHECK_GET(NULL, puppet.own, "flag");
    flagstore_free(puppet.own);
}

static void ignore_change(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)userdata, (void)key, (void)old_json, (void)new_json;
}

static void it_is_closed_once_when_nobody_needs_it(void) {
    struct puppet puppet = {0};
    open_puppet(&puppet);
    CHECK_INT(0, puppet.closes);
    flagstore_free(puppet.own);
    CHECK_INT(1, puppet.closes);
    open_puppet(&puppet);
    flagstore_watch_t *one = flagstore_watch(puppet.own, NULL, ignore_change, NULL, NULL);
    flagstore_watch_t *two = flagstore_watch(puppet.own, "flag", ignore_change, NULL, NULL);
    flagstore_snapshot_t *snapshot = flagstore_snapshot(puppet.own, NULL);
    flagstore_free(one);
    flagstore_free(puppet.own);
    CHECK_INT(1, puppet.closes);
    flagstore_free(two);
    CHECK_INT(2, puppet.closes);
    flagstore_free(snapshot);
    CHECK_INT(2, puppet.closes);
}

static void a_table_may_be_shorter_and_longer(void) {
    struct puppet puppet = {0};
    struct { flagstore_backend_t known; void (*unknown[3])(void); } newer = {.known = table_of(&puppet)};
    flagstore_error_t *error = GARBAGE;
    newer.known.size = sizeof newer;
    flagstore_free(open_table(&newer.known));
    CHECK_INT(1, puppet.closes);
    newer.unknown[1] = abort;
    CHECK(flagstore_backend_open(&newer.known, &error) == NULL);
    CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, NULL, error);
    newer.known.size = offsetof(flagstore_backend_t, set); /* all that lies behind is NULL */
    flagstore_t *store = open_table(&newer.known);
    CHECK_GET(NULL, store, "flag");
    CHECK(!flagstore_set(store, "flag", "1", &error));
    CHECK_ERROR(FLAGSTORE_NOT_IMPLEMENTED, "set", error);
    flagstore_free(store);
    CHECK_INT(1, puppet.closes);
    static const size_t wrong[] = {0, 1, sizeof(size_t) - 1, SIZE_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        newer.known.size = wrong[i];
        CHECK(flagstore_backend_open(&newer.known, &error) == NULL);
        CHECK_ERROR(FLAGSTORE_INVALID_ARGUMENT, "size", error);
    }
    CHECK_INT(1, puppet.closes);
}

int main(void) {
    RUN(what_a_backend_lacks_is_not_implemented);
    RUN(an_error_comes_through_as_it_is);
    RUN(an_error_of_another_store_comes_through);
    RUN(a_reply_is_checked);
    RUN(a_good_reply_is_made_compact);
    RUN(a_backend_that_calls_its_own_store_gets_an_error);
    RUN(it_is_closed_once_when_nobody_needs_it);
    RUN(a_table_may_be_shorter_and_longer);
    return check_summary("backends");
}
