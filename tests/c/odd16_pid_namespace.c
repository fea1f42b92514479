/* run: odd */
/* Odd machines 16: a fork into a new PID namespace, where the child has the number that its parent has in its own, while
   another thread of the parent is inside a backend: the child's calls go on. Needs root, or user namespaces. */
#include "check.h"

#include <pthread.h>
#include <sched.h>

/* ---- a backend that stops inside a set ---- */

struct gate {
    int state; /* 1: the next set stops here, 2: it has, 0: it may go on */
    char text[32];
};

static bool gate_get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply,
                     flagstore_error_t **error) {
    struct gate *gate = context;
    (void)error;
    flagstore_reply(reply, key, key_len, gate->text, strlen(gate->text));
    return true;
}

static bool gate_set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                     flagstore_error_t **error) {
    struct gate *gate = context;
    int closed = 1;
    (void)key, (void)key_len, (void)error;
    if (__atomic_compare_exchange_n(&gate->state, &closed, 2, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        CHECK_EVENTUALLY(__atomic_load_n(&gate->state, __ATOMIC_ACQUIRE) == 0);
    memcpy(gate->text, json, json_len + 1);
    return true;
}

static flagstore_t *open_gate(struct gate *gate) {
    flagstore_error_t *error = GARBAGE;
    flagstore_backend_t backend = {.size = sizeof backend, .context = gate, .get = gate_get, .set = gate_set};
    flagstore_t *store = flagstore_backend_open(&backend, &error);
    CHECK_OK(error);
    return store;
}

/* ---- the two processes ---- */

enum { ALARM_S = 30 };

struct family {
    struct gate gate;
    flagstore_t *backend, *file;
};

/* It hangs, or takes the parent's thread for itself, if it goes by numbers alone. */
static void use_in_child(struct family *family) {
    alarm(ALARM_S);
    family->gate.state = 0;
    CHECK_GET("0", family->backend, "flag");
    SET(family->backend, "flag", "2");
    CHECK_GET("2", family->backend, "flag");
    CHECK_GET("1", family->file, "flag");
    SET(family->file, "child", "1");
    flagstore_free(family->backend);
    flagstore_free(family->file);
}

/* The thread that forks is another one than that inside the backend: the first thread of a process has its number. */
static void *fork_and_wait(void *argument) {
    struct family *family = argument;
    int status = -1;
    CHECK_EVENTUALLY(__atomic_load_n(&family->gate.state, __ATOMIC_ACQUIRE) == 2);
    if (unshare(CLONE_NEWPID) != 0) {
        CHECK_THAT(false, "no namespace: %s", strerror(errno));
        return NULL;
    }
    pid_t child = fork();
    if (child == 0) {
        check_failures = 0;
        use_in_child(family);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_THAT(status == 0, "the child ended with status %#x", (unsigned)status);
    __atomic_store_n(&family->gate.state, 0, __ATOMIC_RELEASE);
    return NULL;
}

/* Number 1 of its namespace, as in a container. */
static void be_number_one(void) {
    static struct family family = {.gate = {.state = 1, .text = "0"}};
    pthread_t forker;
    CHECK_INT(1, getpid());
    put(FLAGS_FILE, "{\"flag\":1}");
    family.backend = open_gate(&family.gate);
    family.file = open_mode(FLAGS_FILE, FLAGSTORE_READ_CHECKED, FLAGSTORE_SYNC_NONE, NULL);
    CHECK_GET("1", family.file, "flag");
    CHECK(pthread_create(&forker, NULL, fork_and_wait, &family) == 0);
    SET(family.backend, "flag", "1");
    CHECK(pthread_join(forker, NULL) == 0);
    CHECK_GET("1", family.backend, "flag");
    flagstore_free(family.backend);
    flagstore_free(family.file);
}

/* In a process of its own: only its children are in the new namespace. */
static void make_namespace(void *argument) {
    (void)argument;
    int status = -1;
    if (unshare(CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0)) != 0) {
        printf("SKIPPED: no PID namespace to be had: %s\n", strerror(errno));
        fflush(stdout);
        _exit(getenv("FLAGSTORE_TESTS") && strcmp(getenv("FLAGSTORE_TESTS"), "all") == 0);
    }
    pid_t first = fork();
    if (first == 0) {
        check_failures = 0;
        be_number_one();
        _exit(check_failures != 0);
    }
    CHECK(waitpid(first, &status, 0) == first);
    CHECK_THAT(status == 0, "number 1 ended with status %#x", (unsigned)status);
}

static void a_child_with_its_parents_number_is_another_process(void) { end_child(start_child(make_namespace, NULL)); }

int main(void) {
    RUN(a_child_with_its_parents_number_is_another_process);
    return check_summary("odd16_pid_namespace");
}
