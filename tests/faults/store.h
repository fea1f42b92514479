/* What the C programs of these tests share: a call that must not fail ends the program with the reason. */
#ifndef STORE_H
#define STORE_H

#include "flagstore.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Nobody may wait this long for a lock that is held for a moment at a time. */
enum { LOCK_TIMEOUT_MS = 60000 };

__attribute__((format(printf, 1, 2), noreturn))
static inline void die(const char *format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "VIOLATION in process %d: %s\n", (int)getpid(), text);
    _exit(1);
}

static inline void must(const char *what, flagstore_error_t *error) {
    if (error) die("%s: %s: %s", what, flagstore_error_name(flagstore_error_code(error)), flagstore_error_message(error));
}

/* What reads in FLAGSTORE_READ_FRESH, CHECKED or WATCHED does so as the environment says: see common.next_mode. */
static inline int32_t read_mode(void) {
    const char *mode = getenv("READ_MODE");
    return mode ? atoi(mode) : FLAGSTORE_READ_FRESH;
}

static inline flagstore_t *open_waiting(const char *path, int32_t durability, int32_t lock_timeout_ms) {
    flagstore_error_t *error = NULL;
    flagstore_file_options_t options = {.size = sizeof options, .read_mode = read_mode(), .durability = durability,
                                        .lock_timeout_ms = lock_timeout_ms};
    flagstore_t *store = flagstore_file_open_with(path, &options, &error);
    must(path, error);
    return store;
}

static inline flagstore_t *open_store(const char *path, int32_t durability) {
    return open_waiting(path, durability, LOCK_TIMEOUT_MS);
}

static inline void set(flagstore_t *store, const char *key, const char *json) {
    flagstore_error_t *error = NULL;
    flagstore_set(store, key, json, &error);
    must(key, error);
}

static inline void set_number(flagstore_t *store, const char *key, int64_t number) {
    flagstore_error_t *error = NULL;
    flagstore_set_int64(store, key, number, &error);
    must(key, error);
}

static inline int64_t get_number(const flagstore_t *store, const char *key) {
    flagstore_error_t *error = NULL;
    int64_t number = flagstore_get_int64(store, key, 0, &error);
    must(key, error);
    return number;
}

static inline char *list_all(const flagstore_t *store) {
    flagstore_error_t *error = NULL;
    char *text = flagstore_list_all(store, &error);
    must("list_all", error);
    return text;
}

static inline double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static inline void sleep_us(long us) {
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {}
}

#endif
