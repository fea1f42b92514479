/* flagctl mirror: the file's side. */
#define _XOPEN_SOURCE 700 /* realpath, lchown */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flagctl_mirror.h"

enum { NEW_FILE = 0644 }; /* whoever reads the flags need not be who mirrors them */

/* Text as of printf, to be freed with free. */
static char *text_of(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = malloc((size_t)len + 1);
    if (text == NULL)
        abort(); /* the few bytes of a path */
    va_start(arguments, format);
    vsnprintf(text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    return text;
}

static bool refused(const char *what, const char *path, flagstore_error_t **error) {
    char *message = text_of("cannot %s %s: %s", what, path, strerror(errno));
    *error = flagstore_error_new(FLAGSTORE_IO, message);
    free(message);
    return false;
}

/* The path behind links, and its directory, to be freed with free. */
static char *resolve(const char *path, char **directory) {
    char *target = realpath(path, NULL);
    if (target == NULL)
        target = text_of("%s", path);
    const char *slash = strrchr(target, '/');
    *directory = slash == NULL ? text_of(".") : text_of("%.*s", slash == target ? 1 : (int)(slash - target), target);
    return target;
}

static flagstore_t *open_at(const char *path, uint32_t mode, uint32_t flags, flagstore_error_t **error) {
    flagstore_file_options_t options = {0};
    options.size = sizeof options;
    options.read_mode = FLAGSTORE_READ_CHECKED; /* each look at an unchanged file is one stat */
    options.mode = mode;
    options.flags = flags;
    return flagstore_file_open_with(path, &options, error);
}

static bool is_missing(const char *path) {
    struct stat status; /* of a link, not of its target: a link to nowhere is an error, which the library tells */
    return lstat(path, &status) != 0 && errno == ENOENT;
}

bool mirror_file_has_flags(const mirror_file_t *file) {
    if (is_missing(file->path))
        return false;
    flagstore_t *store = open_at(file->path, NEW_FILE, FLAGSTORE_OPEN_EXISTING | FLAGSTORE_OPEN_READ_ONLY, NULL);
    bool has = store == NULL || flagstore_len(store, NULL) != 0;
    flagstore_free(store);
    return has;
}

bool mirror_file_check(mirror_file_t *file, flagstore_error_t **error) {
    char *directory, *target = resolve(file->path, &directory);
    struct stat status;
    bool done = true;
    if (stat(directory, &status) != 0 || (!S_ISDIR(status.st_mode) && (errno = ENOTDIR) != 0))
        done = refused("open the directory", directory, error);
    else if (access(directory, W_OK | X_OK) != 0)
        done = refused("write in the directory", directory, error);
    free(directory);
    free(target);
    if (done && !is_missing(file->path))
        file->store = open_at(file->path, NEW_FILE, FLAGSTORE_OPEN_EXISTING, error);
    return done && *error == NULL;
}

/* ---- a file that is missing or corrupt ---- */

static bool create(const char *path, uint32_t mode, const flagstore_snapshot_t *flags, flagstore_error_t **error) {
    flagstore_t *store = open_at(path, mode, 0, error);
    flagstore_batch_t *batch = flagstore_batch_new();
    bool done = store != NULL;
    for (size_t i = 0; done && i < flagstore_snapshot_count(flags); i++) {
        size_t key_len, len;
        const char *key = flagstore_snapshot_key(flags, i, &key_len);
        const char *json = flagstore_snapshot_value(flags, i, &len);
        done = flagstore_batch_set_n(batch, key, key_len, json, len, error);
    }
    done = done && flagstore_commit(store, batch, error);
    flagstore_free(batch);
    flagstore_free(store);
    return done;
}

static bool move(const char *from, const char *to, const char *directory, flagstore_error_t **error) {
    if (rename(from, to) != 0)
        return refused("replace", to, error);
    int descriptor = open(directory, O_RDONLY);
    bool done = descriptor >= 0 && fsync(descriptor) == 0;
    if (!done)
        refused("sync the directory", directory, error);
    if (descriptor >= 0)
        close(descriptor);
    return done;
}

/* Puts a whole new file in the place of one that is missing or corrupt: nobody sees an empty one, and a corrupt one
 * cannot be changed. It is made in a directory beside it, of which only one that was killed leaves anything. */
static bool replace(const char *path, const flagstore_snapshot_t *flags, flagstore_error_t **error) {
    char *directory, *target = resolve(path, &directory);
    const char *slash = strrchr(target, '/');
    char *folder = text_of("%s/.%s.mirror", directory, slash != NULL ? slash + 1 : target);
    char *file = text_of("%s/flags", folder), *lock = text_of("%s/.flags.lock", folder);
    struct stat old;
    bool had_file = stat(target, &old) == 0, done;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        done = refused("make the directory", folder, error);
    } else {
        unlink(file); /* of one that was killed */
        done = create(file, had_file ? old.st_mode & 0777 : NEW_FILE, flags, error);
        /* Only root may give a file away: others keep the owner of the old one where it is their own. */
        bool is_given = !done || !had_file || lchown(file, old.st_uid, old.st_gid) == 0;
        (void)is_given;
        done = done && move(file, target, directory, error);
        unlink(file);
        unlink(lock);
        rmdir(folder);
    }
    free(lock);
    free(file);
    free(folder);
    free(directory);
    free(target);
    return done;
}

/* ---- the difference ---- */

/* Less than 0, 0 or more, as the key at `a` comes before, is or comes after that at `b`. Past the end is behind all. */
static int compare_keys(const flagstore_snapshot_t *left, size_t a, const flagstore_snapshot_t *right, size_t b) {
    size_t len, other_len;
    const char *key = flagstore_snapshot_key(left, a, &len), *other = flagstore_snapshot_key(right, b, &other_len);
    if (key == NULL || other == NULL)
        return key != NULL ? -1 : other != NULL;
    int order = memcmp(key, other, len < other_len ? len : other_len);
    return order != 0 ? order : (len > other_len) - (len < other_len);
}

/* Whether the remote store has the flag, in whatever is not JSON: a snapshot leaves such a flag out. */
static bool is_unreadable(const flagstore_t *remote, const char *key, size_t key_len) {
    flagstore_error_t *error;
    char *json = flagstore_get_n(remote, key, key_len, NULL, &error);
    bool is = flagstore_error_code(error) == FLAGSTORE_CORRUPT;
    flagstore_free(json);
    flagstore_free(error);
    return is;
}

/* Notes in the batch what makes `have` equal to `want`: both are in byte order, and compact. Counts those that it keeps
 * because nobody can read what they should be. */
static bool add_difference(flagstore_batch_t *batch, const flagstore_t *remote, const flagstore_snapshot_t *have,
                           const flagstore_snapshot_t *want, size_t *unreadable, flagstore_error_t **error) {
    size_t had = flagstore_snapshot_count(have), wanted = flagstore_snapshot_count(want);
    bool done = true;
    *unreadable = 0;
    for (size_t i = 0, j = 0; done && (i < had || j < wanted);) {
        int order = compare_keys(have, i, want, j);
        size_t key_len, len, old_len;
        if (order < 0) {
            const char *key = flagstore_snapshot_key(have, i++, &key_len);
            if (is_unreadable(remote, key, key_len))
                ++*unreadable;
            else
                done = flagstore_batch_delete_n(batch, key, key_len, error);
            continue;
        }
        const char *key = flagstore_snapshot_key(want, j, &key_len);
        const char *json = flagstore_snapshot_value(want, j++, &len);
        const char *old = order == 0 ? flagstore_snapshot_value(have, i++, &old_len) : NULL;
        if (old == NULL || len != old_len || memcmp(json, old, len) != 0)
            done = flagstore_batch_set_n(batch, key, key_len, json, len, error);
    }
    return done;
}

static bool change(mirror_file_t *file, const flagstore_t *remote, const flagstore_snapshot_t *flags,
                   flagstore_error_t **error) {
    flagstore_snapshot_t *have = flagstore_snapshot(file->store, error);
    flagstore_batch_t *batch = flagstore_batch_new();
    bool done = have != NULL && add_difference(batch, remote, have, flags, &file->unreadable, error);
    if (done && flagstore_batch_count(batch) > 0)
        done = flagstore_commit(file->store, batch, error);
    flagstore_free(batch);
    flagstore_free(have);
    return done;
}

bool mirror_file_update(mirror_file_t *file, const flagstore_t *remote, const flagstore_snapshot_t *flags,
                        uint64_t revision, flagstore_error_t **error) {
    *error = NULL;
    bool done = true;
    if (is_missing(file->path))
        done = replace(file->path, flags, error);
    if (done && file->store == NULL)
        file->store = open_at(file->path, NEW_FILE, FLAGSTORE_OPEN_EXISTING, error);
    if (!done || file->store == NULL)
        return false;

    /* Taken before the file is read: what changes meanwhile is seen by the next look. */
    uint64_t here = flagstore_revision(file->store, NULL);
    if (here != 0 && here == file->equal_here && revision == file->equal_there)
        return true;
    done = change(file, remote, flags, error);
    if (flagstore_error_code(*error) == FLAGSTORE_CORRUPT) {
        flagstore_free(*error);
        *error = NULL;
        done = replace(file->path, flags, error);
    }
    if (done) {
        file->equal_here = here;
        file->equal_there = revision;
    } else { /* the directory may be another one by now */
        flagstore_free(file->store);
        file->store = NULL;
    }
    return done;
}
