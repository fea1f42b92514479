/* run: plain valgrind sanitizers */
/* How watches end: freed at any time, in any order, in their own callback, and in a forked child. */
#define NO_REMOTE_KINDS
#include "recorder.h"

static void a_thread_lives_as_long_as_its_watch(flagstore_t *store) {
    struct recorder *all = new_recorder();
    flagstore_watch_t *watches[3];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(watches); i++)
            watches[i] = WATCH(store, NULL, all);
        CHECK_EVENTUALLY(count_threads_named("flagstore-watch") == (int)COUNT(watches));
        for (size_t i = 0; i < COUNT(watches); i++)
            flagstore_free(watches[i]);
        /* a joined thread may stay listed for a moment */
        CHECK_EVENTUALLY(count_threads_named("flagstore-watch") == 0);
    }
    CHECK_INT(0, count_calls(all));
    free_recorder(all);
}

static void the_store_may_be_freed_first(void) {
    for (size_t kind = 0; kind < COUNT(STORE_KINDS); kind++) {
        struct recorder *all = new_recorder();
        check_row = STORE_KINDS[kind].name;
        flagstore_t *store = STORE_KINDS[kind].open(NULL);
        flagstore_watch_t *watch = WATCH(store, NULL, all);
        SET(store, "flag", "1");
        CHECK_RECORDED("flag:->1;", all);
        flagstore_free(store);
        if (store && strncmp(check_row, "file", 4) == 0) {
            replace_flags("{\"flag\": 2}");
            CHECK_RECORDED("flag:1>2;", all);
        }
        end_watch(watch, all);
        free_recorder(all);
        unlink(FLAGS_FILE);
    }
}

struct once {
    flagstore_watch_t *watch;
    int calls;
    bool freed;
};

static void free_own_watch(void *userdata, const char *key, const char *old_json, const char *new_json) {
    struct once *once = userdata;
    (void)key, (void)old_json, (void)new_json;
    CHECK_INT(1, __atomic_add_fetch(&once->calls, 1, __ATOMIC_ACQ_REL));
    flagstore_free(once->watch);
    __atomic_store_n(&once->freed, true, __ATOMIC_RELEASE);
}

/* The batch changes three flags, but the first call is the last. */
static void it_may_be_freed_in_its_own_callback(flagstore_t *store) {
    struct once once = {0};
    struct recorder *all = new_recorder();
    flagstore_watch_t *other = WATCH(store, NULL, all);
    once.watch = watch_with(__FILE__, __LINE__, store, NULL, free_own_watch, &once);
    flagstore_batch_t *batch = flagstore_batch_new();
    CHECK(flagstore_batch_set(batch, "a", "1", NULL) && flagstore_batch_set(batch, "b", "1", NULL));
    CHECK(flagstore_batch_set(batch, "c", "1", NULL) && flagstore_commit(store, batch, NULL));
    CHECK_RECORDED("a:->1;b:->1;c:->1;", all);
    CHECK_EVENTUALLY(__atomic_load_n(&once.freed, __ATOMIC_ACQUIRE));
    SET(store, "d", "1");
    CHECK_RECORDED("d:->1;", all);
    CHECK_EVENTUALLY(count_threads_named("flagstore-watch") == 1);
    CHECK_INT(1, once.calls);
    end_watch(other, all);
    CHECK_EVENTUALLY(count_threads_named("flagstore-watch") == 0);
    flagstore_free(batch);
    free_recorder(all);
}

struct editor {
    flagstore_t *store;
    pthread_t thread;
    int stop;
};

static void *edit_until_stopped(void *argument) {
    struct editor *editor = argument;
    for (int64_t i = 0; !__atomic_load_n(&editor->stop, __ATOMIC_ACQUIRE); i++)
        CHECK(flagstore_set_int64(editor->store, "flag", i, NULL));
    return NULL;
}

static void no_call_comes_after_it_was_freed(flagstore_t *store) {
    struct editor editor = {.store = store};
    CHECK(pthread_create(&editor.thread, NULL, edit_until_stopped, &editor) == 0);
    for (int round = 0; round < 10; round++) {
        struct recorder *all = new_recorder();
        flagstore_watch_t *watch = WATCH(store, round % 2 ? "flag" : NULL, all);
        if (round % 3) CHECK_EVENTUALLY(count_calls(all) > 0);
        end_watch(watch, all);
        free_recorder(all); /* a late call would be a use after free as well */
    }
    __atomic_store_n(&editor.stop, 1, __ATOMIC_RELEASE);
    CHECK(pthread_join(editor.thread, NULL) == 0);
}

struct slow {
    int state; /* 1: inside, 2: may leave, 3: has left */
};

static void leave_when_told(void *userdata, const char *key, const char *old_json, const char *new_json) {
    struct slow *slow = userdata;
    (void)key, (void)old_json, (void)new_json;
    __atomic_store_n(&slow->state, 1, __ATOMIC_RELEASE);
    CHECK_EVENTUALLY(__atomic_load_n(&slow->state, __ATOMIC_ACQUIRE) == 2);
    __atomic_store_n(&slow->state, 3, __ATOMIC_RELEASE);
}

static void *tell_to_leave(void *argument) {
    struct slow *slow = argument;
    pause_a_millisecond(); /* so that the free has most likely begun; either order is fine */
    __atomic_store_n(&slow->state, 2, __ATOMIC_RELEASE);
    return NULL;
}

static void freeing_waits_for_the_call_under_way(flagstore_t *store) {
    struct slow slow = {0};
    pthread_t thread;
    flagstore_watch_t *watch = watch_with(__FILE__, __LINE__, store, NULL, leave_when_told, &slow);
    SET(store, "flag", "1");
    CHECK_EVENTUALLY(__atomic_load_n(&slow.state, __ATOMIC_ACQUIRE) == 1);
    CHECK(pthread_create(&thread, NULL, tell_to_leave, &slow) == 0);
    flagstore_free(watch);
    CHECK_INT(3, __atomic_load_n(&slow.state, __ATOMIC_ACQUIRE));
    CHECK(pthread_join(thread, NULL) == 0);
}

/* The callback changes what it watches, until it is content. */
static void count_to_five(void *store, const char *key, const char *old_json, const char *new_json) {
    (void)old_json;
    CHECK_TEXT("count", key);
    CHECK_GET(new_json, store, "count");
    int64_t count = flagstore_get_int64(store, "count", 99, NULL);
    if (count < 5) CHECK(flagstore_set_int64(store, "count", count + 1, NULL));
}

static void the_callback_may_use_the_store(flagstore_t *store) {
    flagstore_watch_t *watch = watch_with(__FILE__, __LINE__, store, "count", count_to_five, store);
    SET(store, "count", "1");
    CHECK_EVENTUALLY(flagstore_get_int64(store, "count", 0, NULL) == 5);
    flagstore_free(watch);
}

struct inherited {
    flagstore_t *store;
    flagstore_watch_t *watch;
    struct recorder *all;
};

/* The child changes the store before it frees its copy of the watch: nobody calls it. */
static void use_own_watch(void *argument) {
    struct inherited *parents = argument;
    struct recorder *own = new_recorder();
    CHECK_INT(0, count_threads_named("flagstore-"));
    SET(parents->store, "child", "1");
    flagstore_watch_t *watch = WATCH(parents->store, "child", own);
    SET(parents->store, "child", "2");
    CHECK_RECORDED("child:1>2;", own);
    end_watch(watch, own);
    CHECK_INT(0, count_calls(parents->all));
    flagstore_free(parents->watch);
    flagstore_free(parents->store);
    flagstore_t *store = flagstore_memory_open(NULL);
    own->is_over = false;
    watch = WATCH(store, NULL, own);
    SET(store, "flag", "true");
    CHECK_RECORDED("flag:->true;", own);
    end_watch(watch, own);
    flagstore_free(store);
    free_recorder(own);
    free_recorder(parents->all);
}

static void a_child_frees_its_copy_and_has_watches_of_its_own(void) {
    struct inherited parents = {flagstore_file_open(FLAGS_FILE, NULL), NULL, new_recorder()};
    SET(parents.store, "parent", "0");
    parents.watch = WATCH(parents.store, "parent", parents.all);
    for (int round = 1; round < 4; round++) {
        char expected[64];
        end_child(start_child(use_own_watch, &parents));
        CHECK(flagstore_set_int64(parents.store, "parent", round, NULL));
        snprintf(expected, sizeof expected, "parent:%d>%d;", round - 1, round);
        CHECK_RECORDED(expected, parents.all);
        parents.all->calls = 0; /* the watch is at rest */
    }
    end_watch(parents.watch, parents.all);
    flagstore_free(parents.store);
    free_recorder(parents.all);
}

int main(void) {
    RUN_ON_EVERY_KIND(a_thread_lives_as_long_as_its_watch);
    RUN(the_store_may_be_freed_first);
    RUN_ON_EVERY_KIND(it_may_be_freed_in_its_own_callback);
    RUN_ON_EVERY_KIND(no_call_comes_after_it_was_freed);
    RUN_ON_EVERY_KIND(freeing_waits_for_the_call_under_way);
    RUN_ON_EVERY_KIND(the_callback_may_use_the_store);
    RUN(a_child_frees_its_copy_and_has_watches_of_its_own);
    return check_summary("watch_ends");
}
