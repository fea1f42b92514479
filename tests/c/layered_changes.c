/* run: plain valgrind sanitizers */
/* Stores over stores notice the changes of every layer: revision, wait, watch; with threads that are there only where
   somebody waits, and in forked children. */
#include "layers.h"

#include <sys/syscall.h>

/* ---- the revision ---- */

static void the_revision_changes_with_that_of_any_layer(void) {
    flagstore_t *layers[] = {new_memory(), new_file(FLAGS_FILE), new_memory()};
    flagstore_t *inner = LAYERED(0, layers[1], layers[2]), *store = LAYERED(1, layers[0], inner);
    uint64_t before = revision_of(store);
    CHECK_INT((long long)before, (long long)revision_of(store));
    for (size_t i = 0; i < COUNT(layers); i++) {
        SET(layers[i], "flag", "1"); /* hidden or not */
        uint64_t now = revision_of(store), waited = before;
        CHECK_THAT(now != before, "expected another revision after a change of layer %zu", i);
        CHECK(flagstore_wait(store, &waited, 0, NULL));
        CHECK_INT((long long)now, (long long)waited);
        before = now;
    }
    replace_flags("{\"flag\": 2}");
    CHECK_THAT(revision_of(store) != before, "expected another revision after a change by others");
    flagstore_free(store), flagstore_free(inner);
    for (size_t i = 0; i < COUNT(layers); i++)
        flagstore_free(layers[i]);
}

/* ---- waits ---- */

struct waiter {
    const flagstore_t *store;
    uint64_t revision;
    pid_t thread; /* its number, once it runs */
    pthread_t handle;
};

static void *wait_for_ever(void *argument) {
    struct waiter *waiter = argument;
    flagstore_error_t *error = GARBAGE;
    uint64_t before = waiter->revision;
    __atomic_store_n(&waiter->thread, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    CHECK(flagstore_wait(waiter->store, &waiter->revision, -1, &error));
    CHECK_OK(error);
    CHECK_THAT(waiter->revision != before && waiter->revision != 0, "expected another revision");
    return NULL;
}

static bool is_asleep(pid_t *thread) {
    char path[64];
    pid_t number = __atomic_load_n(thread, __ATOMIC_ACQUIRE);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)number);
    size_t len = 0;
    char *stat = number ? read_file(path, &len) : NULL;
    bool asleep = stat && strstr(stat, ") S ");
    free(stat);
    return asleep;
}

/* Comes back when the thread sleeps, most likely in its wait. */
static void start_waiter(struct waiter *waiter, const flagstore_t *store) {
    *waiter = (struct waiter){.store = store, .revision = revision_of(store)};
    CHECK(pthread_create(&waiter->handle, NULL, wait_for_ever, waiter) == 0);
    CHECK_EVENTUALLY(is_asleep(&waiter->thread));
}

static int64_t now_in_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

enum { ROUNDS = 5 };

static void a_change_of_any_layer_ends_every_wait(void) {
    static const char *const names[] = {"memory", "fresh file", "watched file", "custom", "layered"};
    flagstore_t *below = new_memory(), *layers[COUNT(names)] = {
        new_memory(), new_file(FLAGS_FILE), open_mode("watched.json", FLAGSTORE_READ_WATCHED, FLAGSTORE_SYNC_NONE, NULL),
        open_forwarding(new_memory(), NULL), LAYERED(0, below),
    };
    flagstore_t *store = open_layered(__FILE__, __LINE__, 0, layers, COUNT(layers));
    for (size_t i = 0; i < COUNT(layers); i++) {
        int64_t longest = 0;
        check_row = names[i];
        for (int round = 0; round < ROUNDS; round++) {
            struct waiter waiters[2];
            for (size_t j = 0; j < COUNT(waiters); j++)
                start_waiter(&waiters[j], store);
            int64_t changed = now_in_us();
            CHECK(flagstore_set_int64(i == 4 ? below : layers[i], "flag", round, NULL));
            for (size_t j = 0; j < COUNT(waiters); j++)
                CHECK(pthread_join(waiters[j].handle, NULL) == 0);
            int64_t took = now_in_us() - changed;
            longest = took > longest ? took : longest;
        }
        printf("layered_changes: a change of a %s layer ends a wait after at most %lld us\n", names[i],
               (long long)longest);
    }
    fflush(stdout);
    flagstore_free(store), flagstore_free(below);
    for (size_t i = 0; i < COUNT(layers); i++)
        flagstore_free(layers[i]);
}

static void a_wait_fails_as_the_layer_does(void) {
    flagstore_error_t *error = GARBAGE;
    CHECK(mkdir("mounted", 0777) == 0);
    flagstore_t *top = new_memory(), *bottom = new_file("mounted/" FLAGS_FILE), *store = LAYERED(0, top, bottom);
    uint64_t revision = revision_of(store);
    CHECK(!flagstore_wait(store, &revision, 1, &error));
    CHECK_OK(error);
    CHECK(rename("mounted", "away") == 0);
    put("mounted", "no directory");
    CHECK(flagstore_revision(store, &error) == 0);
    CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
    CHECK(!flagstore_wait(store, &revision, -1, &error));
    CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
    CHECK(unlink("mounted") == 0 && rename("away", "mounted") == 0);
    struct waiter waiter;
    start_waiter(&waiter, store);
    SET(bottom, "flag", "1");
    CHECK(pthread_join(waiter.handle, NULL) == 0);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

/* ---- the threads ---- */

static void the_first_wait_starts_threads_and_freeing_ends_them(void) {
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *inner = LAYERED(0, bottom);
    flagstore_t *waited = LAYERED(0, top, inner), *never = LAYERED(0, top, inner);
    uint64_t revision = revision_of(waited);
    SET(waited, "flag", "1"), CHECK_GET("1", waited, "flag");
    CHECK(flagstore_wait(waited, &revision, -1, NULL));  /* it has changed already */
    CHECK(!flagstore_wait(waited, &revision, 0, NULL)); /* nor is this a wait */
    CHECK_INT(0, count_followers());
    CHECK(!flagstore_wait(waited, &revision, 20, NULL));
    CHECK_EVENTUALLY(count_followers() == 3); /* of two layers, and of the layered one's */
    flagstore_free(never);
    CHECK_INT(3, count_followers());
    flagstore_free(waited);
    CHECK_EVENTUALLY(count_followers() == 1);
    flagstore_free(inner);
    CHECK_EVENTUALLY(count_followers() == 0);
    for (int i = 0; i < 20; i++) { /* also while its threads are starting */
        flagstore_t *brief = LAYERED(0, top, bottom, top);
        revision = revision_of(brief);
        CHECK(!flagstore_wait(brief, &revision, i % 3, NULL));
        flagstore_free(brief);
    }
    CHECK_EVENTUALLY(count_followers() == 0);
    flagstore_free(top), flagstore_free(bottom);
}

/* ---- watches ---- */

static void a_watch_tells_of_what_is_seen_through_all_layers(void) {
    struct recorder *all = new_recorder(), *one = new_recorder();
    flagstore_t *top = new_memory(), *middle = new_file(FLAGS_FILE), *bottom = new_memory();
    flagstore_t *store = LAYERED(1, top, middle, bottom);
    flagstore_watch_t *watch = WATCH(store, NULL, all), *other = WATCH(store, "fence", one);
    SET(bottom, "flag", "3");
    CHECK_RECORDED("flag:->3;", all);
    SET(top, "flag", "null");
    CHECK_RECORDED("flag:3>null;", all);
    SET(store, "flag", "2"); /* hidden, as are the next two */
    SET(bottom, "flag", "4");
    replace_flags("{\"flag\": 5}");
    SET(bottom, "fence", "1");
    CHECK_RECORDED("fence:->1;", all);
    CHECK(flagstore_delete(top, "flag", NULL));
    CHECK_RECORDED("flag:null>5;", all);
    replace_flags("{\"flag\": 6}");
    CHECK_RECORDED("flag:5>6;", all);
    CHECK(unlink(FLAGS_FILE) == 0);
    CHECK_RECORDED("flag:6>4;", all);
    flagstore_free(store), flagstore_free(bottom); /* the watch holds them */
    SET(top, "flag", "1");
    CHECK_RECORDED("flag:4>1;", all);
    CHECK_RECORDED("fence:->1;", one);
    end_watch(watch, all), end_watch(other, one);
    CHECK_EVENTUALLY(count_followers() == 0);
    flagstore_free(top), flagstore_free(middle);
    free_recorder(all), free_recorder(one);
}

static void a_watch_outlasts_a_layer_that_is_corrupt_for_a_while(void) {
    struct recorder *all = new_recorder();
    put(FLAGS_FILE, "{\"flag\": 1}");
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *store = LAYERED(0, top, bottom);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    replace_flags("{\"flag\": 2");
    CHECK_THAT(flagstore_len(store, NULL) == -1, "expected the layer's error");
    replace_flags("{\"flag\": 3}");
    CHECK_RECORDED("flag:1>3;", all);
    end_watch(watch, all);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
    free_recorder(all);
}

/* ---- many threads ---- */

enum { THREADS = 4, COUNTS = 25 };

struct worker {
    flagstore_t *store, *layer;
    int number;
    pthread_t handle;
};

static void *count_up(void *argument) {
    struct worker *worker = argument;
    char key[16];
    snprintf(key, sizeof key, "flag-%d", worker->number);
    uint64_t revision = revision_of(worker->store);
    for (int i = 1; i <= COUNTS; i++) {
        CHECK(flagstore_set_int64(worker->number % 2 ? worker->store : worker->layer, key, i, NULL));
        CHECK_INT(i, flagstore_get_int64(worker->store, key, -1, NULL));
        flagstore_snapshot_t *snapshot = flagstore_snapshot(worker->store, NULL);
        CHECK(flagstore_snapshot_find(snapshot, key, NULL) != NULL);
        flagstore_free(snapshot);
        CHECK(flagstore_wait(worker->store, &revision, -1, NULL));
    }
    return NULL;
}

static void any_number_of_threads_may_use_it_at_once(void) {
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *store = LAYERED(1, top, bottom);
    struct recorder *all = new_recorder();
    flagstore_watch_t *watch = WATCH(store, "flag-0", all);
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = store, .layer = top, .number = i};
        CHECK(pthread_create(&workers[i].handle, NULL, count_up, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(workers[i].handle, NULL) == 0);
    CHECK_EVENTUALLY(has_last(all, "25"));
    CHECK(all->chained);
    CHECK_ALL("{\"flag-0\":25,\"flag-1\":25,\"flag-2\":25,\"flag-3\":25}", store);
    CHECK_ALL("{\"flag-0\":25,\"flag-2\":25}", top);
    end_watch(watch, all);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
    free_recorder(all);
}

/* ---- forks ---- */

enum { CHILDREN = 20 };

struct family {
    flagstore_t *layers[3], *store;
    flagstore_watch_t *watch;
};

/* Reads, waits for changes of the parent's, and has threads of its own for that. */
static void live_as_a_child(struct family *family) {
    flagstore_error_t *error = GARBAGE;
    uint64_t revision = revision_of(family->store);
    CHECK_GET("\"of the top\"", family->store, "flag");
    CHECK(flagstore_set(family->store, "child", "1", &error));
    CHECK_OK(error);
    for (int i = 0; i < 3; i++) {
        CHECK(flagstore_wait(family->store, &revision, -1, &error));
        CHECK_OK(error);
    }
    CHECK_EVENTUALLY(count_followers() == (int)COUNT(family->layers));
    struct recorder *all = new_recorder();
    flagstore_watch_t *own = WATCH(family->store, "own", all);
    SET(family->layers[0], "own", "1");
    CHECK_RECORDED("own:->1;", all);
    flagstore_free(family->watch); /* the parent's: nothing calls here */
    end_watch(own, all);
    flagstore_free(family->store);
    CHECK_EVENTUALLY(count_followers() == 0);
    for (size_t i = 0; i < COUNT(family->layers); i++)
        flagstore_free(family->layers[i]);
}

/* Killed, so that no leak checker looks: what only the parent's threads knew is lost here. */
static pid_t start_family_member(struct family *family) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    check_deadline(120);
    check_failures = 0;
    live_as_a_child(family);
    if (!check_failures) kill(getpid(), SIGKILL);
    _exit(1);
}

static void both_sides_of_a_fork_wait_and_watch(void) {
    struct recorder *all = new_recorder();
    struct family family = {{new_memory(), new_file(FLAGS_FILE),
                             open_mode("watched.json", FLAGSTORE_READ_WATCHED, FLAGSTORE_SYNC_NONE, NULL)}, NULL, NULL};
    family.store = open_layered(__FILE__, __LINE__, 1, family.layers, COUNT(family.layers));
    SET(family.layers[0], "flag", "\"of the top\"");
    family.watch = WATCH(family.store, "ticks", all);
    SET(family.layers[2], "ticks", "0");
    CHECK_EVENTUALLY(has_last(all, "0")); /* its threads are there */
    pid_t pids[CHILDREN];
    int64_t ticks = 0;
    for (int i = 0; i < CHILDREN; i++) {
        CHECK((pids[i] = start_family_member(&family)) > 0);
        CHECK(flagstore_set_int64(family.layers[2], "ticks", ++ticks, NULL));
    }
    for (int left = CHILDREN; left > 0;) {
        int status = 0;
        for (int i = 0; i < CHILDREN; i++) {
            if (pids[i] <= 0 || waitpid(pids[i], &status, WNOHANG) == 0) continue;
            CHECK_THAT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "child ended with status %#x", (unsigned)status);
            pids[i] = 0, left--;
        }
        CHECK(flagstore_set_int64(family.layers[2], "ticks", ++ticks, NULL));
        pause_a_millisecond();
    }
    char last[32];
    snprintf(last, sizeof last, "%lld", (long long)ticks);
    CHECK_EVENTUALLY(has_last(all, last));
    CHECK_GET("1", family.store, "child");
    end_watch(family.watch, all);
    flagstore_free(family.store);
    for (size_t i = 0; i < COUNT(family.layers); i++)
        flagstore_free(family.layers[i]);
    free_recorder(all);
}

int main(void) {
    RUN(the_revision_changes_with_that_of_any_layer);
    RUN(a_change_of_any_layer_ends_every_wait);
    RUN(a_wait_fails_as_the_layer_does);
    RUN(the_first_wait_starts_threads_and_freeing_ends_them);
    RUN(a_watch_tells_of_what_is_seen_through_all_layers);
    RUN(a_watch_outlasts_a_layer_that_is_corrupt_for_a_while);
    RUN(any_number_of_threads_may_use_it_at_once);
    RUN(both_sides_of_a_fork_wait_and_watch);
    return check_summary("layered_changes");
}
