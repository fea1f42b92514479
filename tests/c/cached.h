/* What the tests of the read modes share: stores in a mode, and what a read must see. */
#ifndef CACHED_H
#define CACHED_H

#include "check.h"

static inline flagstore_t *open_cached(const char *path, int32_t mode) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(path, mode, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    return store;
}

static inline bool holds(const flagstore_t *store, const char *key, const char *json) { /* NULL: absent */
    flagstore_error_t *error = NULL;
    char *got = flagstore_get(store, key, &error);
    bool same = !error && (json && got ? strcmp(json, got) == 0 : json == got);
    flagstore_free(got);
    flagstore_free(error);
    return same;
}

/* What somebody else has changed: FRESH and CHECKED see it at once, WATCHED when its thread has run. */
#define CHECK_SEEN(mode, json, store, key) do { \
        if ((mode) == FLAGSTORE_READ_WATCHED) CHECK_EVENTUALLY(holds((store), (key), (json))); \
        CHECK_GET((json), (store), (key)); \
    } while (0)

static inline void replace_file(const char *path, const char *text) {
    char temporary[PATH_MAX];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    put(temporary, text);
    CHECK(rename(temporary, path) == 0);
}

static inline void overwrite(const char *path, const char *text) { /* in place, by one write, at any size */
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
    CHECK(ftruncate(fd, (off_t)strlen(text)) == 0 && close(fd) == 0);
}

#endif
