/* run: plain checked valgrind sanitizers */
/* The last moments of threads and processes: whoever still runs can still read. */
#include "check.h"

#include <pthread.h>

static void read_flags(flagstore_t *store) {
    flagstore_error_t *error = GARBAGE;
    CHECK(flagstore_get_bool(store, "flag", false, &error));
    CHECK_OK(error);
    CHECK(!flagstore_get_bool(store, "absent", false, &error));
    CHECK_OK(error);
    CHECK_GET("true", store, "flag");
}

static void read_and_set(flagstore_t *store) {
    for (int i = 0; i < 3; i++) {
        read_flags(store);
        SET(store, "last", i % 2 ? "\"odd\"" : "\"even\"");
    }
    CHECK_ALL("{\"flag\":true,\"last\":\"even\"}", store);
}

/* ---- a thread, after the library has taken back what the thread had of it ---- */

static void *read_and_set_key(void *key_and_store) {
    pthread_key_t *key = ((void **)key_and_store)[0];
    flagstore_t *store = ((void **)key_and_store)[1];
    CHECK(flagstore_get_bool(store, "flag", false, NULL));
    CHECK(pthread_setspecific(*key, store) == 0);
    return NULL;
}

static int destructor_calls;

static void read_in_destructor(void *store) {
    destructor_calls++;
    for (int i = 0; i < 3; i++) read_flags(store);
}

static void a_thread_that_ends_can_read(flagstore_t *store) {
    pthread_key_t key;
    void *key_and_store[] = {&key, store};
    SET(store, "flag", "true");
    CHECK(pthread_key_create(&key, read_in_destructor) == 0);
    for (destructor_calls = 0; destructor_calls < 3;) {
        pthread_t thread;
        int before = destructor_calls;
        CHECK(pthread_create(&thread, NULL, read_and_set_key, key_and_store) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        if (!CHECK(destructor_calls == before + 1)) break;
    }
    CHECK(pthread_key_delete(key) == 0);
    read_and_set(store);
}

/* ---- a process: in what it registered with atexit, beside a thread that reads on ---- */

static flagstore_t *last_store;
static pthread_t last_thread;
static bool is_over, is_reading;
static const struct exit_case {
    const struct store_kind *kind;
    bool in_a_thread;
} *last_case;

static void *read_on(void *store) {
    flagstore_error_t *error = GARBAGE;
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
        CHECK(flagstore_get_bool(store, "flag", false, &error));
        CHECK_OK(error);
        __atomic_store_n(&is_reading, true, __ATOMIC_RELEASE);
        pause_a_millisecond();
    }
    return NULL;
}

/* Registered before anything of the library ran, so that it runs after all that the library could have registered. */
static void in_the_last_handler(void) {
    read_and_set(last_store);
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    CHECK(pthread_join(last_thread, NULL) == 0);
    read_and_set(last_store);
    flagstore_free(last_store);
    if (check_failures) _exit(1);
    /* What glibc keeps for the thread that is here would seem to be lost. */
    if (last_case->in_a_thread) execlp("true", "end of a child", (char *)NULL);
}

static void in_a_handler(void) { read_and_set(last_store); }

static void *call_exit(void *nothing) {
    (void)nothing;
    CHECK(flagstore_get_bool(last_store, "flag", false, NULL));
    exit(0);
}

static void end(void *argument) {
    const struct exit_case *it = argument;
    CHECK(atexit(in_the_last_handler) == 0);
    last_case = it;
    last_store = it->kind->open(NULL);
    SET(last_store, "flag", "true");
    CHECK(atexit(in_a_handler) == 0);
    CHECK(pthread_create(&last_thread, NULL, read_on, last_store) == 0);
    CHECK_EVENTUALLY(__atomic_load_n(&is_reading, __ATOMIC_ACQUIRE));
    if (!it->in_a_thread) exit(check_failures != 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, call_exit, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK_THAT(false, "exit returned");
}

static void a_process_that_exits_can_read_and_set(void) {
    for (size_t i = 0; i <= COUNT(STORE_KINDS); i++) {
        struct exit_case it = {&STORE_KINDS[i % COUNT(STORE_KINDS)], i == COUNT(STORE_KINDS)};
        check_row = it.in_a_thread ? "of a thread" : it.kind->name;
        CHECK(unlink(FLAGS_FILE) == 0 || errno == ENOENT);
        end_child(start_child(end, &it));
    }
}

int main(void) {
    /* First, while the process has never called the library, and its children have not either. */
    RUN(a_process_that_exits_can_read_and_set);
    RUN_ON_EVERY_KIND(a_thread_that_ends_can_read);
    return check_summary("exits");
}
