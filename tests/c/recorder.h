/* What a watch calls in the tests of watches: it writes down every change, "key:old>new;" each, "-" for NULL. */
#ifndef RECORDER_H
#define RECORDER_H

#include "check.h"

#include <pthread.h>

struct recorder {
    pthread_mutex_t mutex;
    char text[1 << 16];
    size_t len;
    int calls, inside;
    char last[256];  /* the new value of the last call */
    bool chained;    /* whether each call began where the one before it ended */
    bool is_over;    /* no call may come any more */
};

static inline struct recorder *new_recorder(void) {
    struct recorder *recorder = calloc(1, sizeof *recorder);
    pthread_mutex_init(&recorder->mutex, NULL);
    recorder->chained = true;
    return recorder;
}

static inline void free_recorder(struct recorder *recorder) {
    pthread_mutex_destroy(&recorder->mutex);
    free(recorder);
}

static inline void record(void *userdata, const char *key, const char *old_json, const char *new_json) {
    struct recorder *recorder = userdata;
    const char *from = old_json ? old_json : "-", *to = new_json ? new_json : "-";
    CHECK_INT(1, __atomic_add_fetch(&recorder->inside, 1, __ATOMIC_ACQ_REL));
    pthread_mutex_lock(&recorder->mutex);
    CHECK_THAT(!recorder->is_over, "a call came after the watch was freed: %s", key);
    if (recorder->calls > 0 && strcmp(recorder->last, from) != 0) recorder->chained = false;
    recorder->calls++;
    snprintf(recorder->last, sizeof recorder->last, "%s", to);
    size_t room = sizeof recorder->text - recorder->len;
    int written = snprintf(recorder->text + recorder->len, room, "%s:%s>%s;", key, from, to);
    if (written > 0 && (size_t)written < room) recorder->len += (size_t)written;
    pthread_mutex_unlock(&recorder->mutex);
    __atomic_sub_fetch(&recorder->inside, 1, __ATOMIC_ACQ_REL);
}

static inline bool has_recorded(struct recorder *recorder, const char *expected) {
    pthread_mutex_lock(&recorder->mutex);
    bool holds = strcmp(recorder->text, expected) == 0;
    pthread_mutex_unlock(&recorder->mutex);
    return holds;
}

static inline bool has_last(struct recorder *recorder, const char *expected) {
    pthread_mutex_lock(&recorder->mutex);
    bool holds = strcmp(recorder->last, expected) == 0;
    pthread_mutex_unlock(&recorder->mutex);
    return holds;
}

static inline int count_calls(struct recorder *recorder) {
    pthread_mutex_lock(&recorder->mutex);
    int calls = recorder->calls;
    pthread_mutex_unlock(&recorder->mutex);
    return calls;
}

#define CHECK_RECORDED(expected, recorder) check_recorded(__FILE__, __LINE__, (expected), (recorder))

/* Waits until all of it has come, and forgets it. */
static inline void check_recorded(const char *file, int line, const char *expected, struct recorder *recorder) {
    for (int looks = 0; looks < 60000 && !has_recorded(recorder, expected); looks++)
        pause_a_millisecond();
    pthread_mutex_lock(&recorder->mutex);
    check_text(file, line, expected, recorder->text);
    recorder->text[recorder->len = 0] = '\0';
    pthread_mutex_unlock(&recorder->mutex);
}

#define WATCH(store, key, recorder) watch_with(__FILE__, __LINE__, (store), (key), record, (recorder))

static inline flagstore_watch_t *watch_with(const char *file, int line, flagstore_t *store, const char *key,
                                            flagstore_watch_fn callback, void *userdata) {
    flagstore_error_t *error = GARBAGE;
    flagstore_watch_t *watch = flagstore_watch(store, key, callback, userdata, &error);
    check_error(file, line, FLAGSTORE_OK, NULL, &error);
    check_that(watch != NULL, file, line, "expected a watch");
    return watch;
}

/* Frees the watch; from here on no call may come. */
static inline void end_watch(flagstore_watch_t *watch, struct recorder *recorder) {
    flagstore_free(watch);
    CHECK_INT(0, __atomic_load_n(&recorder->inside, __ATOMIC_ACQUIRE));
    pthread_mutex_lock(&recorder->mutex);
    recorder->is_over = true;
    pthread_mutex_unlock(&recorder->mutex);
}

static inline void replace_flags(const char *text) {
    put("new", text);
    CHECK(rename("new", FLAGS_FILE) == 0);
}

#endif
