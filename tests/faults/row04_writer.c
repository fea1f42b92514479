/* A writer of row 4: two threads set growing numbers, and values of growing size, until the process is killed.

     row04_writer PATH NAME DURABILITY

   "THREAD NUMBER\n" on standard output acknowledges a set, after it has returned. */
#include "store.h"

#include <pthread.h>

enum { THREADS = 2, LARGEST = 3000 };

static const char *path, *name;
static int32_t durability;

/* {"fill":"zz...","number":N}: a torn one is told from a whole one. */
static void *write_for_ever(void *argument) {
    int thread = (int)(intptr_t)argument;
    flagstore_t *store = open_store(path, durability);
    char key[64], json[LARGEST + 64], line[64];
    snprintf(key, sizeof key, "%s.%d", name, thread);
    flagstore_error_t *error = NULL;
    char *before = flagstore_get(store, key, &error);
    must(key, error);
    long number = before ? atol(strrchr(before, ':') + 1) : 0;
    flagstore_free(before);
    for (;;) {
        number++;
        int fill = (int)(number * 37 % LARGEST), at = snprintf(json, sizeof json, "{\"fill\":\"");
        memset(json + at, 'z', (size_t)fill);
        snprintf(json + at + fill, sizeof json - (size_t)(at + fill), "\",\"number\":%ld}", number);
        set(store, key, json);
        int len = snprintf(line, sizeof line, "%d %ld\n", thread, number);
        if (write(STDOUT_FILENO, line, (size_t)len) != len) _exit(0);
    }
}

int main(int count, char **arguments) {
    if (count != 4) die("see the top of row04_writer.c");
    path = arguments[1], name = arguments[2], durability = atoi(arguments[3]);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, write_for_ever, (void *)(intptr_t)i);
    pthread_join(threads[0], NULL);
    return 0;
}
