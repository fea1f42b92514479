/* Row 19: how many changes a second end on stable storage.

     row19_throughput raw PATH BYTES MS                 overwrites a file with so many bytes and calls fdatasync
     row19_throughput sets PATH PROCESSES THREADS MS    SYNC_FULL sets, each thread of one flag of its own

   Prints the number a second. */
#include "store.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

enum { MAX_THREADS = 64 };

static double end; /* of the measurement */

static double raw(const char *path, size_t bytes) {
    char *content = calloc(1, bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    long done = 0;
    if (!content || fd < 0) die("cannot write %s", path);
    for (; now_ms() < end; done++) {
        memset(content, 'a' + (int)(done % 26), bytes);
        if (pwrite(fd, content, bytes, 0) != (ssize_t)bytes || fdatasync(fd) != 0) die("%s: %s", path, strerror(errno));
    }
    close(fd);
    free(content);
    return (double)done;
}

struct setter {
    flagstore_t *store;
    char key[64];
    long done;
};

static void *set_until_end(void *argument) {
    struct setter *setter = argument;
    for (; now_ms() < end; setter->done++) set_number(setter->store, setter->key, 1000000 + setter->done);
    return NULL;
}

static long sets_of_threads(const char *path, int process, int threads) {
    flagstore_t *store = open_store(path, FLAGSTORE_SYNC_FULL);
    struct setter setters[MAX_THREADS] = {0};
    pthread_t started[MAX_THREADS];
    long done = 0;
    for (int i = 0; i < threads; i++) {
        setters[i].store = store;
        snprintf(setters[i].key, sizeof setters[i].key, "process%d.thread%d", process, i);
        pthread_create(&started[i], NULL, set_until_end, &setters[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(started[i], NULL);
        done += setters[i].done;
    }
    flagstore_free(store);
    return done;
}

static double sets_of_processes(const char *path, int processes, int threads) {
    int pipes[2], status = 0;
    if (threads > MAX_THREADS || pipe(pipes) != 0) die("%d threads", threads);
    for (int i = 0; i < processes; i++) {
        if (fork() != 0) continue;
        long done = sets_of_threads(path, i, threads);
        _exit(write(pipes[1], &done, sizeof done) != sizeof done);
    }
    close(pipes[1]);
    double all = 0;
    for (long done; read(pipes[0], &done, sizeof done) == sizeof done;) all += (double)done;
    while (wait(&status) > 0)
        if (status != 0) die("a process ended with status %#x", (unsigned)status);
    return all;
}

int main(int count, char **arguments) {
    if (count < 5) die("see the top of row19_throughput.c");
    const char *path = arguments[2];
    double start = now_ms(), done;
    end = start + atof(arguments[count - 1]);
    if (count == 5 && strcmp(arguments[1], "raw") == 0) done = raw(path, (size_t)atol(arguments[3]));
    else if (count == 6 && strcmp(arguments[1], "sets") == 0)
        done = sets_of_processes(path, atoi(arguments[3]), atoi(arguments[4]));
    else die("see the top of row19_throughput.c");
    printf("%.1f\n", done / (now_ms() - start) * 1e3);
    return 0;
}
