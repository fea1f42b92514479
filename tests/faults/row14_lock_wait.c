/* Row 14: how long a set waits for a lock that others hold for 1 ms at a time, and what a stopped holder does to it.

     row14_lock_wait wait PATH PROCESSES SETS
     row14_lock_wait stopped PATH ROUNDS */
#include "store.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- the library's flock goes through here ---- */

static bool stop_when_locked;
static long hold_us;

int flock(int fd, int operation) {
    if (operation == LOCK_UN && hold_us) sleep_us(hold_us);
    long result = syscall(SYS_flock, fd, operation);
    if (result == 0 && (operation & LOCK_EX) && stop_when_locked) raise(SIGSTOP);
    return (int)result;
}

/* ---- waiting ---- */

static void measure(const char *path, const char *key, int sets, int out) {
    hold_us = 1000;
    flagstore_t *store = open_store(path, FLAGSTORE_SYNC_NONE);
    for (int i = 1; i <= sets; i++) {
        double before = now_ms();
        set_number(store, key, i);
        double waited = now_ms() - before - (double)hold_us / 1e3;
        if (write(out, &waited, sizeof waited) != sizeof waited) die("cannot report");
    }
    flagstore_free(store);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints the median, the 99th percentile and the maximum in ms. */
static void wait_for_each_other(const char *path, int processes, int sets) {
    int pipes[2], total = 0, status = 0;
    if (pipe(pipes) != 0) die("pipe");
    for (int i = 0; i < processes; i++) {
        char key[32];
        snprintf(key, sizeof key, "process%d", i);
        if (fork() == 0) {
            measure(path, key, sets, pipes[1]);
            _exit(0);
        }
    }
    close(pipes[1]);
    double *waited = calloc((size_t)processes * (size_t)sets, sizeof *waited);
    while (total < processes * sets && read(pipes[0], &waited[total], sizeof *waited) == sizeof *waited) total++;
    while (wait(&status) > 0)
        if (status != 0) die("a process ended with status %#x", (unsigned)status);
    if (total != processes * sets) die("%d of %d sets were made", total, processes * sets);
    qsort(waited, (size_t)total, sizeof *waited, by_size);
    printf("%.2f %.2f %.2f\n", waited[total / 2], waited[total / 100 * 99], waited[total - 1]);
    free(waited);
}

/* ---- a stopped holder ---- */

enum { TIMEOUT_MS = 50, THREADS = 4 };

static int tasks(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* A process that sets "holder" and is stopped once it has the lock. */
static pid_t stopped_holder(const char *path) {
    pid_t pid = fork();
    if (pid == 0) {
        flagstore_t *store = open_store(path, FLAGSTORE_SYNC_FULL);
        stop_when_locked = true;
        set_number(store, "holder", 1);
        _exit(0);
    }
    int status;
    if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        die("the holder was not stopped: %#x", (unsigned)status);
    return pid;
}

struct caller {
    flagstore_t *store;
    int rounds, most_tasks;
    double overshoot;
};

/* Each call must say LOCKED, not before its time. */
static void *time_out(void *argument) {
    struct caller *caller = argument;
    for (int i = 0; i < caller->rounds; i++) {
        flagstore_error_t *error = NULL;
        double before = now_ms();
        bool done = flagstore_set(caller->store, "caller", "1", &error);
        double over = now_ms() - before - TIMEOUT_MS;
        if (done || flagstore_error_code(error) != FLAGSTORE_LOCKED)
            die("expected LOCKED, got %s", flagstore_error_message(error));
        if (over < 0) die("LOCKED %.3f ms before the timeout", -over);
        flagstore_free(error);
        if (over > caller->overshoot) caller->overshoot = over;
        int now = tasks();
        if (now > caller->most_tasks) caller->most_tasks = now;
    }
    return NULL;
}

static bool same(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_size == b->st_size && memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) == 0;
}

/* The holder goes on: what waits, and whoever calls now, gets the lock, and the threads of the library end. */
static void go_on(const char *path, pid_t holder, int tasks_before) {
    flagstore_t *patient = open_store(path, FLAGSTORE_SYNC_FULL);
    int status = 0;
    kill(holder, SIGCONT);
    set_number(patient, "after", 1);
    if (waitpid(holder, &status, 0) != holder || status != 0) die("the holder ended with %#x", (unsigned)status);
    char *all = list_all(patient);
    if (strcmp(all, "{\"after\":1,\"before\":1,\"holder\":1}") != 0) die("afterwards there is %s", all);
    flagstore_free(all);
    flagstore_free(patient);
    for (double end = now_ms() + LOCK_TIMEOUT_MS; tasks() > tasks_before; sleep_us(1000))
        if (now_ms() > end) die("%d threads are left over", tasks() - tasks_before);
}

/* Prints the number of calls, the largest overshoot in ms, and how many threads the library had at most. */
static void wait_for_a_stopped_one(const char *path, int rounds) {
    flagstore_t *store = open_waiting(path, FLAGSTORE_SYNC_FULL, TIMEOUT_MS);
    set(store, "before", "1");
    pid_t holder = stopped_holder(path);
    struct stat before, after;
    stat(path, &before);
    int tasks_before = tasks(), most = 0;
    double overshoot = 0;
    struct caller callers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.store = store, .rounds = rounds};
        pthread_create(&threads[i], NULL, time_out, &callers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (callers[i].overshoot > overshoot) overshoot = callers[i].overshoot;
        if (callers[i].most_tasks > most) most = callers[i].most_tasks;
    }
    stat(path, &after);
    if (!same(&before, &after)) die("a call that timed out changed the file");
    int of_the_library = most - tasks_before - THREADS;
    if (of_the_library > 1) die("timed out calls pile up: %d threads wait for the lock", of_the_library);
    go_on(path, holder, tasks_before);
    flagstore_free(store);
    printf("%d %.2f %d\n", rounds * THREADS, overshoot, of_the_library);
}

int main(int count, char **arguments) {
    if (count == 5 && strcmp(arguments[1], "wait") == 0)
        wait_for_each_other(arguments[2], atoi(arguments[3]), atoi(arguments[4]));
    else if (count == 4 && strcmp(arguments[1], "stopped") == 0)
        wait_for_a_stopped_one(arguments[2], atoi(arguments[3]));
    else
        die("see the top of row14_lock_wait.c");
    return 0;
}
