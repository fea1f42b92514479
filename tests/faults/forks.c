/* Row 15 in C: a server in the shape of Puma, Unicorn or gunicorn forks its workers from stores it opened before, while
   its threads use them; forks.rb and forks.py do the same in their languages.

     forks PATH CHILDREN

   Prints how many children, with their children, there were. One that hangs, or a lock that stays, ends the program. */
#include "store.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { KINDS = 2, THREADS = 4, AT_ONCE = 3, DEADLINE_MS = 60000 };

static flagstore_t *stores[KINDS]; /* memory, file */
static bool stop;

/* ---- what a thread does, in the server and in its workers ---- */

struct user {
    pthread_t thread;
    char key[64];
    int64_t last; /* as it was set */
    long turns;   /* 0: until told to stop */
};

static void *use(void *argument) {
    struct user *user = argument;
    for (long turn = 1; user->turns ? turn <= user->turns : !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); turn++) {
        for (int kind = 0; kind < KINDS; kind++) {
            set_number(stores[kind], user->key, turn);
            int64_t found = get_number(stores[kind], user->key);
            if (found != turn) die("%s was set to %ld, found %lld", user->key, turn, (long long)found);
        }
        user->last = turn;
    }
    return NULL;
}

static void start_users(struct user users[THREADS], const char *of, long turns) {
    for (int i = 0; i < THREADS; i++) {
        users[i] = (struct user){.turns = turns};
        snprintf(users[i].key, sizeof users[i].key, "%s.thread%d", of, i);
        if (pthread_create(&users[i].thread, NULL, use, &users[i]) != 0) die("cannot start a thread");
    }
}

static void end_users(struct user users[THREADS], bool remove) {
    for (int i = 0; i < THREADS; i++) pthread_join(users[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            flagstore_error_t *error = NULL;
            int64_t found = get_number(stores[kind], users[i].key);
            if (found != users[i].last) die("%s is %lld at the end", users[i].key, (long long)found);
            if (remove && !flagstore_delete(stores[kind], users[i].key, &error)) must("delete", error), die("nothing to delete");
        }
}

/* ---- children ---- */

static void wait_for_child(pid_t pid) {
    int status = -1;
    for (double end = now_ms() + DEADLINE_MS; waitpid(pid, &status, WNOHANG) == 0; sleep_us(500))
        if (now_ms() > end) {
            kill(pid, SIGABRT);
            die("child %d hangs", (int)pid);
        }
    if (status != 0) die("child %d ended with status %#x", (int)pid, (unsigned)status);
}

/* Gets, sets, deletes and lists. */
static void call_everything(const char *key) {
    char expected[96];
    snprintf(expected, sizeof expected, "\"%s\":[1]", key);
    for (int kind = 0; kind < KINDS; kind++) {
        flagstore_error_t *error = NULL;
        if (get_number(stores[kind], "before") != 1) die("what was there before the fork is not");
        set(stores[kind], key, "[1]");
        char *all = list_all(stores[kind]);
        if (!strstr(all, expected)) die("%s is missing in %s", expected, all);
        flagstore_free(all);
        if (!flagstore_delete(stores[kind], key, &error)) must(key, error), die("%s was not there to delete", key);
        if (flagstore_get(stores[kind], key, &error) || error) die("%s is still there", key);
        if (flagstore_len(stores[kind], &error) < 1) die("no flags");
    }
}

/* A worker with threads of its own; down to `depth` generations of its own children, forked while these work. */
static pid_t start_child(const char *name, int depth) {
    pid_t pid = fork();
    if (pid < 0) die("cannot fork: %s", strerror(errno));
    if (pid > 0) return pid;
    struct user users[THREADS];
    char key[64];
    snprintf(key, sizeof key, "%s.%d", name, depth);
    call_everything(key); /* before anything of its own */
    start_users(users, key, 3);
    if (depth > 0) wait_for_child(start_child(key, depth - 1));
    call_everything(key);
    end_users(users, true);
    for (int kind = 0; kind < KINDS; kind++) flagstore_free(stores[kind]);
    exit(0);
}

static long fork_children(int children) {
    pid_t alive[AT_ONCE] = {0};
    long all = 0;
    for (int i = 0; i < children; i++) {
        int depth = i % 5 == 0 ? 2 : i % 5 == 1 ? 1 : 0;
        char name[32];
        snprintf(name, sizeof name, "child%d", i);
        if (alive[i % AT_ONCE]) wait_for_child(alive[i % AT_ONCE]);
        alive[i % AT_ONCE] = start_child(name, depth);
        all += 1 + depth;
        sleep_us(i % 7 * 300); /* other moments in the lives of the threads */
    }
    for (int i = 0; i < AT_ONCE; i++)
        if (alive[i]) wait_for_child(alive[i]);
    return all;
}

int main(int count, char **arguments) {
    if (count != 3) die("see the top of forks.c");
    flagstore_error_t *error = NULL;
    stores[0] = flagstore_memory_open(&error);
    must("memory", error);
    stores[1] = open_store(arguments[1], FLAGSTORE_SYNC_NONE);
    for (int kind = 0; kind < KINDS; kind++) set_number(stores[kind], "before", 1);
    struct user users[THREADS];
    start_users(users, "server", 0);
    long all = fork_children(atoi(arguments[2]));
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    end_users(users, true);
    flagstore_t *late = open_waiting(arguments[1], FLAGSTORE_SYNC_FULL, 1000); /* nobody holds the lock any more */
    set_number(late, "before", 2);
    char *left = list_all(late);
    if (strcmp(left, "{\"before\":2}") != 0) die("left over: %s", left);
    flagstore_free(left);
    flagstore_free(late);
    for (int kind = 0; kind < KINDS; kind++) flagstore_free(stores[kind]);
    printf("%ld\n", all);
    return 0;
}
