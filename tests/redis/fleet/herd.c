/* Many WATCHED stores of herd.py in one process: herd URL COUNT. It opens them, says "open", and answers each line:

     lost     "lost" once no store is live
     live     when each store was seen live, in ms of the monotonic clock, with how often it was reached again: MS:N ...
     equal    how many stores list the same flags as the first

   Any error ends it with status 1. */
#include "flagstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int count;
static flagstore_t **stores;

static void fail(flagstore_error_t *error) {
    fprintf(stderr, "herd: %s\n", flagstore_error_message(error));
    exit(1);
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void pause_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static flagstore_status_t status_of(int i) {
    flagstore_error_t *error;
    flagstore_status_t status = {.size = sizeof status};
    if (!flagstore_status(stores[i], &status, &error)) fail(error);
    return status;
}

static void lost(void) {
    for (int i = 0; i < count; i++)
        while (status_of(i).state == FLAGSTORE_STATE_LIVE) pause_ms(5);
    puts("lost");
}

static void live(void) {
    double *since = calloc((size_t)count, sizeof *since);
    for (int left = count; left > 0; pause_ms(2))
        for (int i = 0; i < count; i++)
            if (since[i] == 0 && status_of(i).state == FLAGSTORE_STATE_LIVE) since[i] = now_ms(), left--;
    for (int i = 0; i < count; i++) printf("%.3f:%llu ", since[i], (unsigned long long)status_of(i).reconnects);
    puts("");
    free(since);
}

static void equal(void) {
    flagstore_error_t *error;
    char *first = flagstore_list_all(stores[0], &error);
    int same = 0;
    if (!first) fail(error);
    for (int i = 0; i < count; i++) {
        char *list = flagstore_list_all(stores[i], &error);
        if (!list) fail(error);
        same += strcmp(first, list) == 0;
        flagstore_free(list);
    }
    printf("%d\n", same);
    flagstore_free(first);
}

int main(int argc, char **argv) {
    flagstore_remote_options_t remote = {.size = sizeof remote, .read_mode = FLAGSTORE_READ_WATCHED,
                                         .open_timeout_ms = 30000};
    flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote};
    flagstore_error_t *error;
    char line[16];
    if (argc != 3) return 2;
    count = atoi(argv[2]);
    stores = calloc((size_t)count, sizeof *stores);
    for (int i = 0; i < count; i++)
        if (!(stores[i] = flagstore_redis_open(argv[1], &options, &error))) fail(error);
    for (puts("open"), fflush(stdout); fgets(line, sizeof line, stdin); fflush(stdout)) {
        if (strcmp(line, "lost\n") == 0) lost();
        else if (strcmp(line, "live\n") == 0) live();
        else equal();
    }
    for (int i = 0; i < count; i++) flagstore_free(stores[i]);
    free(stores);
    return 0;
}
