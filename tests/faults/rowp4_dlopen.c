/* Point 4: a plugin host that loads and unloads the library again and again, and two copies of it in one process.

     rowp4_dlopen cycles LIBRARY PATH CYCLES   prints the resident memory in KiB after a tenth of the cycles and at the end
     rowp4_dlopen copies LIBRARY COPY PATH SETS

   The program is not linked to the library. */
#include "flagstore.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("VIOLATION: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    _exit(1);
}

/* ---- one loaded copy ---- */

struct library {
    void *handle;
    __typeof__(&flagstore_memory_open) memory_open;
    __typeof__(&flagstore_file_open_with) file_open_with;
    __typeof__(&flagstore_set_int64) set_int64;
    __typeof__(&flagstore_get_int64) get_int64;
    __typeof__(&flagstore_get) get;
    __typeof__(&flagstore_list_all) list_all;
    __typeof__(&flagstore_error_code) error_code;
    __typeof__(&flagstore_error_message) error_message;
    __typeof__(&flagstore_free) free;
};

static void *function(void *handle, const char *name) {
    void *found = dlsym(handle, name);
    if (!found) die("%s", dlerror());
    return found;
}

static struct library load(const char *path) {
    struct library it = {.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    if (!it.handle) die("%s", dlerror());
#define FUNCTION(name) *(void **)&it.name = function(it.handle, "flagstore_" #name)
    FUNCTION(memory_open), FUNCTION(file_open_with), FUNCTION(set_int64), FUNCTION(get_int64), FUNCTION(get);
    FUNCTION(list_all), FUNCTION(error_code), FUNCTION(error_message), FUNCTION(free);
    return it;
}

static void must(const struct library *it, const char *what, flagstore_error_t *error) {
    if (error) die("%s: %s", what, it->error_message(error));
}

static flagstore_t *open_file(const struct library *it, const char *path, int32_t read_mode, int32_t lock_timeout_ms) {
    flagstore_error_t *error = NULL;
    flagstore_file_options_t options = {.size = sizeof options, .read_mode = read_mode,
                                        .durability = FLAGSTORE_SYNC_NONE, .lock_timeout_ms = lock_timeout_ms};
    flagstore_t *store = it->file_open_with(path, &options, &error);
    must(it, path, error);
    return store;
}

/* FRESH, CHECKED and WATCHED take turns. */
static int32_t next_mode(void) {
    static unsigned last;
    return (int32_t)(__atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) % 3);
}

static void set_and_get(const struct library *it, flagstore_t *store, const char *key, int64_t value) {
    flagstore_error_t *error = NULL;
    it->set_int64(store, key, value, &error);
    must(it, key, error);
    int64_t found = it->get_int64(store, key, -1, &error);
    must(it, key, error);
    if (found != value) die("%s is %lld, was set to %lld", key, (long long)found, (long long)value);
}

/* ---- cycles ---- */

enum { THREADS = 3 };

static const char *library_path, *store_path;
static pthread_barrier_t used, unloaded;

/* Uses the library, lives on while it is unloaded, and ends with whatever the library keeps for a thread. */
static void *outlive(void *argument) {
    struct library *it = argument;
    flagstore_t *stores[] = {it->memory_open(NULL), open_file(it, store_path, next_mode(), 60000)};
    flagstore_error_t *error = NULL;
    char key[32];
    snprintf(key, sizeof key, "thread%lx", (unsigned long)pthread_self() % 4096);
    for (int kind = 0; kind < 2; kind++) {
        set_and_get(it, stores[kind], key, 7);
        it->free(it->list_all(stores[kind], &error));
        must(it, "list_all", error);
        it->free(stores[kind]);
    }
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&unloaded);
    return NULL;
}

/* A call that times out leaves a thread of the library behind, which waits for the lock. */
static int block_a_waiter(const struct library *it) {
    char lock[4096];
    const char *name = strrchr(store_path, '/') + 1;
    snprintf(lock, sizeof lock, "%.*s.%s.lock", (int)(name - store_path), store_path, name);
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) die("cannot take the lock");
    flagstore_t *hasty = open_file(it, store_path, FLAGSTORE_READ_FRESH, 1);
    flagstore_error_t *error = NULL;
    it->set_int64(hasty, "late", 1, &error);
    if (it->error_code(error) != FLAGSTORE_LOCKED) die("expected LOCKED");
    it->free(error);
    it->free(hasty);
    return fd;
}

static int tasks(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void run_cycle(void) {
    struct library it = load(library_path);
    pthread_t threads[THREADS];
    pthread_barrier_init(&used, NULL, THREADS + 1);
    pthread_barrier_init(&unloaded, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, outlive, &it);
    pthread_barrier_wait(&used);
    flagstore_t *watched = open_file(&it, store_path, FLAGSTORE_READ_WATCHED, 60000);
    int lock = block_a_waiter(&it);
    if (tasks() != THREADS + 3) die("%d threads, expected two of the library", tasks() - THREADS - 1);
    if (dlclose(it.handle) != 0) die("%s", dlerror());
    close(lock); /* the library's threads go on now, in code that the host has unloaded */
    set_and_get(&it, watched, "unloaded", 1);
    it.free(watched);
    pthread_barrier_wait(&unloaded);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    struct timespec pause = {0, 100000};
    for (int i = 0; tasks() > 1; i++) {
        if (i > 600000) die("the library's thread stays");
        nanosleep(&pause, NULL);
    }
    pthread_barrier_destroy(&used);
    pthread_barrier_destroy(&unloaded);
}

static long resident_kib(void) {
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file)) sscanf(line, "VmRSS: %ld", &kib);
    fclose(file);
    return kib;
}

static void run_cycles(int cycles) {
    long before = 0;
    for (int i = 0; i < cycles; i++) {
        run_cycle();
        if (i == cycles / 10) before = resident_kib();
    }
    printf("%ld %ld\n", before, resident_kib());
}

/* ---- copies ---- */

struct user {
    const struct library *it, *other;
    const char *key;
    int sets;
};

/* Sets, and frees what the one copy handed out by the other. */
static void *mix(void *argument) {
    const struct user *user = argument;
    flagstore_t *store = open_file(user->it, store_path, next_mode(), 60000);
    for (int i = 1; i <= user->sets; i++) {
        flagstore_error_t *error = NULL;
        set_and_get(user->it, store, user->key, i);
        user->other->free(user->it->get(store, user->key, &error));
        must(user->it, "get", error);
        user->it->get(store, NULL, &error);
        if (user->other->error_code(error) != FLAGSTORE_INVALID_ARGUMENT) die("the other copy misreads an error");
        user->other->free(error);
    }
    user->other->free(store);
    return NULL;
}

static void use_in_child(const struct user users[2]) {
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        for (int i = 0; i < 2; i++) {
            flagstore_t *store = open_file(users[i].it, store_path, next_mode(), 60000);
            set_and_get(users[i].it, store, "child", i);
            users[1 - i].it->free(store);
        }
        _exit(0);
    }
    int status = -1;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("a child that uses both copies ended with %#x", (unsigned)status);
}

static void run_copies(const char *copy, int sets) {
    struct library first = load(library_path), second = load(copy);
    if ((void *)first.get == (void *)second.get) die("the loader has loaded one copy only");
    struct user users[] = {{&first, &second, "a", sets},
                           {&second, &first, "b", sets},
                           {&first, &second, "c", sets},
                           {&second, &first, "d", sets}};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, mix, &users[i]);
    for (int i = 0; i < 20; i++) use_in_child(users);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    char expected[256];
    snprintf(expected, sizeof expected, "{\"a\":%d,\"b\":%d,\"c\":%d,\"child\":1,\"d\":%d}", sets, sets, sets, sets);
    flagstore_t *store = open_file(&second, store_path, FLAGSTORE_READ_FRESH, 60000);
    char *all = second.list_all(store, NULL);
    if (!all || strcmp(all, expected) != 0) die("expected %s, got %s", expected, all ? all : "NULL");
    first.free(all);
    first.free(store);
}

int main(int count, char **arguments) {
    if (count == 5 && strcmp(arguments[1], "cycles") == 0) {
        library_path = arguments[2], store_path = arguments[3];
        run_cycles(atoi(arguments[4]));
    } else if (count == 6 && strcmp(arguments[1], "copies") == 0) {
        library_path = arguments[2], store_path = arguments[4];
        run_copies(arguments[3], atoi(arguments[5]));
    } else {
        die("see the top of rowp4_dlopen.c");
    }
    return 0;
}
