/* Row 15: a fork at a chosen moment of a change in another thread, each moment held open by a gate.

     fork_gates PATH ROUNDS

   The child must be able to work while its parent is inside the call, and after that was killed with -9 in the middle of
   the lock; and while the child lives on, everybody else must get the lock. Prints the number of forks. */
#include "store.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- gates: what the library calls of libc goes through here ---- */

enum gate {
    FIRST_CALL,   /* the library prepares itself */
    FIRST_CHANGE, /* the library has just registered its fork handlers */
    LOCK_FILE_OPENED,
    BEFORE_THE_LOCK,
    LOCK_HELD,
    LOCK_AWAITED, /* its own thread is about to block on another process */
    LOCK_BLOCKED, /* it does; this one has no gate */
    LOCK_REMOVED, /* somebody has removed the lock file: its descriptor was closed, the new one is not yet open */
    LOCK_RELEASED,
    GATES
};
static const char *const GATE_NAMES[GATES] = {
    "in the first call", "in the first change", "lock file opened",  "before the lock", "lock held",
    "lock awaited",      "blocked on the lock", "lock file removed", "lock released",
};
static int closed = GATES, reached = GATES; /* which gate; GATES: none */

static void pass(enum gate gate) {
    if (__atomic_load_n(&closed, __ATOMIC_SEQ_CST) != (int)gate) return;
    __atomic_store_n(&reached, (int)gate, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&closed, __ATOMIC_SEQ_CST) == (int)gate) sleep_us(100);
}

static void close_gate(enum gate gate) { __atomic_store_n(&closed, (int)gate, __ATOMIC_SEQ_CST); }

int flock(int fd, int operation) {
    if (operation == LOCK_EX) pass(LOCK_AWAITED); /* with LOCK_NB it never blocks */
    if (operation == (LOCK_EX | LOCK_NB)) pass(BEFORE_THE_LOCK);
    long result = syscall(SYS_flock, fd, operation);
    if (result == 0) pass(operation == LOCK_UN ? LOCK_RELEASED : LOCK_HELD);
    return (int)result;
}

int open64(const char *path, int flags, ...) {
    const char *end = strrchr(path, '.');
    bool is_lock = end && strcmp(end, ".lock") == 0;
    va_list arguments;
    if (is_lock) pass(LOCK_REMOVED);
    va_start(arguments, flags);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, flags & O_CREAT ? va_arg(arguments, unsigned) : 0);
    va_end(arguments);
    if (is_lock) pass(LOCK_FILE_OPENED);
    return fd;
}

char *getenv(const char *name) {
    char *(*real)(const char *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getenv");
    if (strcmp(name, "FLAGSTORE_LOG") == 0) pass(FIRST_CALL);
    return real(name);
}

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library) {
    int (*real)(void (*)(void), void (*)(void), void (*)(void), void *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "__register_atfork");
    int result = real(prepare, parent, child, library);
    pass(FIRST_CHANGE);
    return result;
}

/* ---- what the processes of a round tell each other ---- */

static struct round {
    int child, works, may_finish, finished, let_go; /* child: its pid */
} *said;
static enum gate gate;
static const char *path;
static char lock_path[4096];

static void tell(int *what, int value) { __atomic_store_n(what, value, __ATOMIC_SEQ_CST); }

static void await(const int *what, int value, const char *who) {
    for (double end = now_ms() + LOCK_TIMEOUT_MS; __atomic_load_n(what, __ATOMIC_SEQ_CST) != value; sleep_us(100))
        if (now_ms() > end) {
            fprintf(stderr, "VIOLATION: %s hangs; gate: %s\n", who, GATE_NAMES[gate]);
            kill(0, SIGKILL); /* with all that it has started */
        }
}

static pid_t start(void (*body)(void)) {
    pid_t pid = fork();
    if (pid < 0) die("cannot fork: %s", strerror(errno));
    if (pid > 0) return pid;
    close_gate(GATES);
    body();
    _exit(0);
}

/* Whether another process must have the lock. */
static bool needs_holder(void) { return gate == LOCK_AWAITED || gate == LOCK_BLOCKED || gate == LOCK_REMOVED; }

static bool is_lock_held(void) { return gate == LOCK_HELD || gate == LOCK_AWAITED || gate == LOCK_BLOCKED; }

/* ---- the child of the fork ---- */

static flagstore_t *inherited;
static int host_files[8]; /* the host's own, opened just before the fork */

static void child(void) {
    flagstore_error_t *error = NULL;
    for (size_t i = 0; i < sizeof host_files / sizeof *host_files; i++)
        if (fcntl(host_files[i], F_GETFD) == -1) die("the library has closed a file of the host; gate: %s", GATE_NAMES[gate]);
    if (!inherited) inherited = open_store(path, FLAGSTORE_SYNC_NONE);
    if (get_number(inherited, "before") != 1) die("what was there before the fork is not");
    if (is_lock_held()) {
        flagstore_t *hasty = open_waiting(path, FLAGSTORE_SYNC_NONE, 5);
        if (flagstore_set(hasty, "child", "0", &error) || flagstore_error_code(error) != FLAGSTORE_LOCKED)
            die("the child did not respect the lock");
        flagstore_free(error);
        flagstore_free(hasty);
    } else {
        set_number(inherited, "child", 1);
    }
    tell(&said->works, 1);
    await(&said->may_finish, 1, "the driver");
    set_number(inherited, "child", 2);
    if (get_number(inherited, "child") != 2) die("the child's set is not there");
    flagstore_free(inherited);
    tell(&said->finished, 1);
}

/* ---- its parent, which changes the store in another thread ---- */

static void *change_for_ever(void *argument) {
    (void)argument;
    flagstore_t *store = inherited ? inherited : open_store(path, FLAGSTORE_SYNC_NONE);
    for (uint32_t i = 0; i != UINT32_MAX; i++) {
        set_number(store, "parent", i);
        if (gate <= FIRST_CHANGE) tell(&reached, gate); /* a library that is prepared when loaded has no such gate */
    }
    return NULL;
}

/* Whether one of this process's threads is inside flock, which /proc tells. */
static bool is_one_blocked(void) {
    bool blocked = false;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks));) {
        char name[300];
        long number = -1;
        snprintf(name, sizeof name, "/proc/self/task/%s/syscall", task->d_name);
        FILE *file = fopen(name, "r");
        if (file && fscanf(file, "%ld", &number) == 1 && number == SYS_flock) blocked = true;
        if (file) fclose(file);
    }
    closedir(tasks);
    return blocked;
}

/* Brings the thread to the gate. */
static void arrange(void) {
    if (gate == LOCK_BLOCKED || gate == LOCK_REMOVED) {
        int blocked = 0;
        for (double end = now_ms() + LOCK_TIMEOUT_MS; !blocked && now_ms() < end; sleep_us(100)) blocked = is_one_blocked();
        await(&blocked, 1, "the thread that should block");
    }
    if (gate == LOCK_REMOVED) {
        close_gate(gate);
        unlink(lock_path);
        tell(&said->let_go, 1);
    }
    if (gate != LOCK_BLOCKED) await(&reached, gate, "the thread that should come to the gate");
}

static void parent(void) {
    pthread_t thread;
    if (gate != FIRST_CALL) inherited = open_store(path, FLAGSTORE_SYNC_NONE);
    if (gate > FIRST_CHANGE && !needs_holder()) set_number(inherited, "parent", -1);
    if (gate != LOCK_REMOVED) close_gate(gate);
    pthread_create(&thread, NULL, change_for_ever, NULL);
    arrange();
    for (size_t i = 0; i < sizeof host_files / sizeof *host_files; i++) host_files[i] = open("/dev/null", O_RDONLY);
    tell(&said->child, (int)start(child));
    await(&said->works, 1, "the child, while its parent is inside a call,");
    close_gate(LOCK_HELD);
    tell(&said->let_go, 1);
    await(&reached, LOCK_HELD, "the thread that should take the lock");
    kill(getpid(), SIGKILL);
}

/* ---- the others ---- */

static void holder(void) {
    int fd = open(lock_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || syscall(SYS_flock, fd, LOCK_EX) != 0) die("cannot take the lock");
    tell(&said->finished, 2);
    await(&said->let_go, 1, "the parent");
}

static void outsider(void) {
    flagstore_t *store = open_store(path, FLAGSTORE_SYNC_FULL);
    set_number(store, "before", 1);
    flagstore_free(store);
}

static void end_of(pid_t pid, int expected, const char *who) {
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != expected)
        die("%s ended with %#x; gate: %s", who, (unsigned)status, GATE_NAMES[gate]);
}

static void run_round(void) {
    pid_t holds = 0;
    memset(said, 0, sizeof *said);
    end_of(start(outsider), 0, "a process before all");
    if (needs_holder()) {
        holds = start(holder);
        await(&said->finished, 2, "the holder");
    }
    end_of(start(parent), SIGKILL, "the parent");
    if (holds) end_of(holds, 0, "the holder");
    end_of(start(outsider), 0, "who needs the lock while a dead process's child lives"); /* LOCKED if it leaked */
    tell(&said->may_finish, 1);
    await(&said->finished, 1, "the child, after its parent's death,");
    end_of(said->child, 0, "the child");
}

int main(int count, char **arguments) {
    if (count != 3) die("see the top of fork_gates.c");
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    path = arguments[1];
    const char *name = strrchr(path, '/') + 1;
    snprintf(lock_path, sizeof lock_path, "%.*s.%s.lock", (int)(name - path), path, name);
    int rounds = atoi(arguments[2]);
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < rounds; i++)
        for (gate = 0; gate < GATES; gate++) run_round();
    printf("%d\n", rounds * GATES);
    return 0;
}
