/* Forks: a child uses none of its parent's connections, and gives none of them up. */
#include "scenarios.h"

enum { CHILDREN = 300, AT_ONCE = 8, KEYS = 20, READERS = 2, CHILD_READS = 5 };

static flagstore_t *shared;

/* The value under a key is the key: an answer to another question would be seen. */
static void read_own_answer(int number) {
    char key[24], json[32];
    snprintf(key, sizeof key, "key-%d", number % KEYS);
    snprintf(json, sizeof json, "\"%s\"", key);
    CHECK_GET(json, shared, key);
}

static void set_keys(void) {
    for (int i = 0; i < KEYS; i++) {
        char key[24], json[32];
        snprintf(key, sizeof key, "key-%d", i), snprintf(json, sizeof json, "\"%s\"", key);
        SET(shared, key, json);
    }
}

/* ---- one child ---- */

static void begin_with_what_was_inherited(void *unused) {
    (void)unused;
    CHECK_GET("1", shared, "flag");
    CHECK_EVENTUALLY(is_in(shared, FLAGSTORE_STATE_LIVE));
    SET(shared, "child", "2");
    CHECK_GET("2", shared, "child");
    CHECK_EVENTUALLY(has(shared, "flag", "3")); /* the parent has heard of it */
    CHECK(flagstore_sync(shared, 60000, NULL));
    flagstore_free(shared);
}

static void a_child_serves_what_it_inherited_and_then_its_own(void) {
    shared = opened(WATCHED);
    SET(shared, "flag", "1");
    pid_t pid = start_child(begin_with_what_was_inherited, NULL);
    CHECK_EVENTUALLY(has(shared, "child", "2"));
    SET(shared, "flag", "3");
    end_child(pid);
    CHECK(is_in(shared, FLAGSTORE_STATE_LIVE));
    CHECK_INT(0, (long long)status_now(shared).reconnects);
    flagstore_free(shared);
}

static void serve_without_a_server(void *unused) {
    (void)unused;
    for (int i = 0; i < 100; i++) {
        CHECK_GET("1", shared, "flag");
        CHECK_INT(FLAGSTORE_STATE_STALE, status_now(shared).state);
    }
    flagstore_error_t *error = GARBAGE;
    CHECK(!flagstore_set(shared, "flag", "2", &error));
    CHECK_ERROR(FLAGSTORE_BACKEND, NULL, error);
    CHECK_GET("1", shared, "flag");
    CHECK_INT(FLAGSTORE_STATE_STALE, status_now(shared).state);
    flagstore_free(shared);
}

/* The server knows the child's user no more; the parent's connections go on. */
static void a_child_that_gets_no_connection_serves_what_it_inherited_as_stale(void) {
    CHECK_CLI("OK", "ACL SETUSER reader on >word ~* &* +@all");
    flagstore_error_t *error = GARBAGE;
    flagstore_remote_options_t remote = far_options(WATCHED);
    remote.retry_max_ms = 20;
    flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote, .username = "reader",
                                         .password = "word"};
    shared = flagstore_redis_open(redis_url(), &options, &error);
    CHECK_OK(error);
    SET(shared, "flag", "1");
    CHECK_CLI("OK", "ACL SETUSER reader resetpass >another-word");
    end_child(start_child(serve_without_a_server, NULL));
    CHECK(is_in(shared, FLAGSTORE_STATE_LIVE));
    SET(shared, "flag", "3");
    CHECK_GET("3", shared, "flag");
    flagstore_free(shared);
    CHECK_CLI("1", "ACL DELUSER reader");
}

/* ---- many children ---- */

static void use_in_child(void *argument) {
    int number = *(int *)argument;
    char key[24], json[24];
    for (int i = 0; i < CHILD_READS; i++)
        read_own_answer(number + i);
    snprintf(key, sizeof key, "child-%d", number), snprintf(json, sizeof json, "%d", number);
    SET(shared, key, json);
    CHECK_GET(json, shared, key);
    read_own_answer(number);
    flagstore_free(shared);
}

static struct { int is_over, reads, changes; } load;

static void *read_all_the_time(void *argument) {
    int own = *(int *)argument;
    char key[24], json[24];
    snprintf(key, sizeof key, "reader-%d", own);
    for (int i = 0; !__atomic_load_n(&load.is_over, __ATOMIC_SEQ_CST); i++) {
        read_own_answer(i + own);
        __atomic_add_fetch(&load.reads, 1, __ATOMIC_RELAXED);
        if (i % 10 != 0) continue;
        snprintf(json, sizeof json, "%d", i);
        SET(shared, key, json);
        CHECK_GET(json, shared, key);
        __atomic_add_fetch(&load.changes, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* The numbers of the server for the connections of this store, which has a name of its own there: its user's. */
static void list_connections(char *list, size_t room) {
    redis_cli(list, room, "EVAL \"local ids = {} for id, user in string.gmatch(redis.call('CLIENT', 'LIST'),"
                          " 'id=(%d+).- user=(%a+)') do if user == 'parent' then table.insert(ids, id) end end"
                          " table.sort(ids) return table.concat(ids, ' ')\" 0");
}

static bool are_all_in(char *ids, const char *list) {
    char padded[4096], wanted[32];
    snprintf(padded, sizeof padded, " %s ", list);
    for (char *id = strtok(ids, " "); id; id = strtok(NULL, " ")) {
        snprintf(wanted, sizeof wanted, " %s ", id);
        if (!CHECK_THAT(strstr(padded, wanted) != NULL, "connection %s is gone", id)) return false;
    }
    return true;
}

static void children_under_load_get_no_answer_of_another(void) {
    CHECK_CLI("OK", "ACL SETUSER parent on nopass ~* &* +@all");
    for (int mode = 0; mode < 2; mode++) {
        char before[2048], after[2048];
        pthread_t threads[READERS];
        pid_t pids[AT_ONCE];
        int numbers[CHILDREN];
        flagstore_remote_options_t remote = far_options(mode ? WATCHED : FRESH);
        flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote, .username = "parent",
                                             .password = "any"};
        flagstore_error_t *error = GARBAGE;
        shared = flagstore_redis_open(redis_url(), &options, &error);
        CHECK_OK(error);
        set_keys();
        load.is_over = load.reads = load.changes = 0;
        for (int i = 0; i < READERS; i++) {
            numbers[i] = i;
            CHECK(pthread_create(&threads[i], NULL, read_all_the_time, &numbers[i]) == 0);
        }
        CHECK_EVENTUALLY(__atomic_load_n(&load.changes, __ATOMIC_SEQ_CST) >= READERS);
        list_connections(before, sizeof before);
        CHECK(strlen(before) > 0);
        for (int i = 0; i < CHILDREN && !check_failures; i++) {
            if (i >= AT_ONCE) end_child(pids[i % AT_ONCE]);
            numbers[i] = i;
            pids[i % AT_ONCE] = start_child(use_in_child, &numbers[i]);
            check_deadline(120);
        }
        for (int i = 0; i < AT_ONCE && !check_failures; i++)
            end_child(pids[i]);
        __atomic_store_n(&load.is_over, 1, __ATOMIC_SEQ_CST);
        for (int i = 0; i < READERS; i++)
            pthread_join(threads[i], NULL);
        list_connections(after, sizeof after);
        CHECK(are_all_in(before, after)); /* nobody said goodbye on the parent's */
        CHECK_INT(KEYS + READERS + CHILDREN, number_of("HLEN flagstore"));
        printf("%s: %d children; the parent read %d times and changed %d times meanwhile\n",
               mode ? "watched" : "fresh", CHILDREN, load.reads, load.changes);
        flagstore_free(shared);
        CHECK_CLI("OK", "FLUSHALL");
    }
    CHECK_CLI("1", "ACL DELUSER parent");
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* no child has a copy of what was not written yet */
    RUN(a_child_serves_what_it_inherited_and_then_its_own);
    RUN(a_child_that_gets_no_connection_serves_what_it_inherited_as_stale);
    RUN(children_under_load_get_no_answer_of_another);
    return check_summary("redis scenarios_fork");
}
