/* run: plain valgrind sanitizers */
/* The threads of stores over stores: there only where somebody waits, ended with the store, and each process has its own;
   and many threads of the caller's. */
#include "layers.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

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

#define REFUSE(number) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN)

/* As where no thread is to be had. The filter ends with the thread. */
static void *wait_without_threads(void *argument) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        REFUSE(SYS_clone),
#ifdef SYS_clone3
        REFUSE(SYS_clone3),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT(rules), .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        fprintf(stderr, "SKIPPED %s: no seccomp here\n", check_context);
    return wait_for_ever(argument);
}

static void take_note(void *userdata, int32_t level, const char *message) {
    if (level == FLAGSTORE_LOG_WARN && strstr(message, "no thread is to be had"))
        __atomic_add_fetch((int *)userdata, 1, __ATOMIC_ACQ_REL);
}

static void a_wait_without_threads_looks_at_the_layers(void) {
    int told = 0;
    flagstore_set_log(take_note, &told, FLAGSTORE_LOG_WARN);
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *store = LAYERED(0, top, bottom);
    struct waiter waiter = {.store = store, .revision = revision_of(store)};
    CHECK(pthread_create(&waiter.handle, NULL, wait_without_threads, &waiter) == 0);
    CHECK_EVENTUALLY(is_asleep(&waiter.thread) && (__atomic_load_n(&told, __ATOMIC_ACQUIRE) || count_followers()));
    SET(bottom, "flag", "1");
    CHECK(pthread_join(waiter.handle, NULL) == 0);
    flagstore_set_log(NULL, NULL, 0);
    CHECK(told <= 1); /* once; never where a sandbox lets threads be */
    start_waiter(&waiter, store); /* with threads, now that there are some */
    CHECK_EVENTUALLY(count_followers() == 2);
    SET(top, "flag", "2");
    CHECK(pthread_join(waiter.handle, NULL) == 0);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
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

/* A sanitizer's allocator has locks that a fork beside other threads may leave taken: children hang in its free(). */
#if defined __has_feature
#define HAS_SANITIZER (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

enum { CHILDREN = 10 };

struct family {
    flagstore_t *layers[3], *store;
    flagstore_watch_t *watch; /* NULL: the parent has none */
    int over, done[2]; /* a pipe: a byte from each child that has seen enough */
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
    end_watch(own, all);
    flagstore_free(family->watch); /* the parent's: nothing calls here, but its thread's share of the store is lost */
    flagstore_free(family->store);
    if (!family->watch) CHECK_EVENTUALLY(count_followers() == 0);
    for (size_t i = 0; i < COUNT(family->layers); i++)
        flagstore_free(family->layers[i]);
}

/* It waits to be killed, so that no leak checker looks: what only the parent's threads knew is lost here. */
static pid_t start_family_member(struct family *family) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    check_deadline(120);
    check_failures = 0;
    live_as_a_child(family);
    if (check_failures || write(family->done[1], "", 1) != 1) _exit(1);
    for (;;)
        pause();
}

static void *wait_until_over(void *argument) {
    struct family *family = argument;
    uint64_t revision = revision_of(family->store);
    while (!__atomic_load_n(&family->over, __ATOMIC_ACQUIRE))
        CHECK(flagstore_wait(family->store, &revision, -1, NULL));
    return NULL;
}

static int64_t tick(struct family *family, int64_t ticks) {
    CHECK(flagstore_set_int64(family->layers[2], "ticks", ticks, NULL));
    return ticks;
}

/* Changes a layer until every child has seen enough. Returns the last value. */
static int64_t raise_children(struct family *family) {
    pid_t pids[CHILDREN];
    int64_t ticks = 0;
    for (int i = 0; i < CHILDREN; i++) {
        CHECK((pids[i] = start_family_member(family)) > 0);
        ticks = tick(family, ticks + 1);
    }
    for (ssize_t left = CHILDREN, done; left > 0; pause_a_millisecond()) {
        char bytes[CHILDREN];
        left -= (done = read(family->done[0], bytes, sizeof bytes)) > 0 ? done : 0;
        for (int i = 0; i < CHILDREN; i++) {
            if (pids[i] <= 0 || waitpid(pids[i], NULL, WNOHANG) == 0) continue;
            CHECK_THAT(false, "a child failed");
            pids[i] = 0, left--;
        }
        ticks = tick(family, ticks + 1);
    }
    for (int i = 0; i < CHILDREN; i++)
        if (pids[i] > 0) CHECK(kill(pids[i], SIGKILL) == 0 && waitpid(pids[i], NULL, 0) == pids[i]);
    return ticks;
}

static void both_sides_of_a_fork_wait_and_watch(void) {
    for (int watched = 0; watched < 2; watched++) {
        struct recorder *all = new_recorder();
        struct family family = {.layers = {new_memory(), new_file(FLAGS_FILE), open_watched_file("watched.json")}};
        CHECK(pipe(family.done) == 0 && fcntl(family.done[0], F_SETFL, O_NONBLOCK) == 0);
        family.store = open_layered(__FILE__, __LINE__, 1, family.layers, COUNT(family.layers));
        SET(family.layers[0], "flag", "\"of the top\"");
        if (watched) family.watch = WATCH(family.store, "ticks", all);
        pthread_t waiter;
        CHECK(pthread_create(&waiter, NULL, wait_until_over, &family) == 0);
        CHECK_EVENTUALLY(count_followers() == (int)COUNT(family.layers));
        char last[32];
        snprintf(last, sizeof last, "%lld", (long long)raise_children(&family));
        if (watched) CHECK_EVENTUALLY(has_last(all, last));
        CHECK_GET("1", family.store, "child");
        __atomic_store_n(&family.over, 1, __ATOMIC_RELEASE);
        SET(family.layers[0], "over", "1");
        CHECK(pthread_join(waiter, NULL) == 0);
        close(family.done[0]), close(family.done[1]);
        end_watch(family.watch, all);
        flagstore_free(family.store);
        CHECK_EVENTUALLY(count_followers() == 0);
        for (size_t i = 0; i < COUNT(family.layers); i++)
            flagstore_free(family.layers[i]);
        free_recorder(all);
    }
}

int main(void) {
    RUN(the_first_wait_starts_threads_and_freeing_ends_them);
    RUN(a_wait_without_threads_looks_at_the_layers);
    RUN(any_number_of_threads_may_use_it_at_once);
    if (!HAS_SANITIZER) RUN(both_sides_of_a_fork_wait_and_watch);
    return check_summary("layered_threads");
}
