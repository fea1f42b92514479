/* Rows 7 and 8: setting one flag of a file, one thread. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    const dataset *data;
    const char *path, *temporary;
    flagstore_t *store;
    bool *flags, synced;
    size_t turn;
    int dir_fd;
    FILE *to, *from;
    pid_t child;
} writer;

/* Every set changes the file: one that changes nothing is cheaper. */
static void ours_set(void *state, size_t count) {
    writer *it = state;
    for (size_t i = 0; i < count; i++, it->turn++) {
        size_t flag = it->data->bools[it->turn * 7919 % it->data->bool_count];
        it->flags[flag] = !it->flags[flag];
        flagstore_error_t *error = NULL;
        flagstore_set_bool(it->store, it->data->keys[flag], it->flags[flag], &error);
        if (error) must("set_bool", error);
    }
}

static void bare_set(void *state, size_t count) {
    const writer *it = state;
    for (size_t i = 0; i < count; i++)
        bare_replace(it->path, it->temporary, it->data->text, it->data->len, it->synced, it->dir_fd);
}

static void reference_set(void *state, size_t count) {
    const writer *it = state;
    char answer[32];
    fprintf(it->to, "%zu\n", count);
    fflush(it->to);
    if (!fgets(answer, sizeof answer, it->from)) die("the Python reference ended");
}

static writer open_writer(const dataset *data, const char *name, bool synced) {
    writer it = {.data = data, .path = file_of(data, name), .synced = synced};
    it.temporary = text_of("%s.bare", it.path);
    it.flags = allocate(data->count * sizeof *it.flags);
    for (size_t i = 0; i < data->count; i++) it.flags[i] = data->values[i][0] == 't';
    it.dir_fd = open(config.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return it;
}

/* "The same bytes" is only true if the library lays the file out as the data's text is. */
static void check_layout(writer *it) {
    size_t flag = it->data->bools[0];
    for (int i = 0; i < 2; i++) {
        it->flags[flag] = !it->flags[flag];
        flagstore_error_t *error = NULL;
        flagstore_set_bool(it->store, it->data->keys[flag], it->flags[flag], &error);
        must("set_bool", error);
    }
    buffer now = {0};
    size_t len = bare_read(it->path, &now);
    if (len != it->data->len || memcmp(now.data, it->data->text, len))
        die("%s is not laid out as Python would", it->path);
    free(now.data);
}

static writer open_ours(const dataset *data, const char *name, int32_t durability) {
    writer it = open_writer(data, name, durability == FLAGSTORE_SYNC_FULL);
    it.store = open_file(it.path, FLAGSTORE_READ_FRESH, durability);
    check_layout(&it);
    return it;
}

static void close_writer(writer *it) {
    flagstore_free(it->store);
    free(it->flags);
    close(it->dir_fd);
}

static writer open_reference(const dataset *data) {
    writer it = open_writer(data, "reference", false);
    const char *script = text_of("%s/reference.py", config.scripts);
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) die("no pipe");
    it.child = fork();
    if (it.child == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execlp("python3", "python3", script, it.path, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    it.to = fdopen(to[1], "w");
    it.from = fdopen(from[0], "r");
    return it;
}

static void close_reference(writer *it) {
    fclose(it->to);
    fclose(it->from);
    waitpid(it->child, NULL, 0);
    close_writer(it);
}

static contestant writing(const char *name, void (*run)(void *, size_t), writer *it) {
    return (contestant){.name = name, .run = run, .state = it, .writes = true};
}

static bool rename_flushes(void) {
    enum { EXT4 = 0xEF53 };
    struct statfs about;
    return statfs(config.dir, &about) == 0 && about.f_type == EXT4;
}

void sync_none_row(void) {
    for (size_t i = 0; i < config.size_count; i++) {
        const dataset *data = dataset_of(config.sizes[i]);
        bool stated = data->count == 1000;
        writer ours = open_ours(data, "unsynced", FLAGSTORE_SYNC_NONE);
        writer bare = open_writer(data, "unsynced-bare", false);
        writer reference = open_reference(data);
        contestant all[] = {writing("ours", ours_set, &ours), writing("bare write + rename", bare_set, &bare),
                            writing("the Python reference", reference_set, &reference)};
        measure(all, COUNT(all), 1);
        report(7, "file set, SYNC_NONE", data->count, &all[0], &all[1], stated ? MOST(1.1) : NONE);
        /* ext4 flushes when a file is renamed over another, which takes most of the time. */
        report(7, "file set, SYNC_NONE", data->count, &all[0], &all[2], stated && !rename_flushes() ? LEAST(14) : RATE);
        /* The reference replaces its file as well: no replacement can be faster than this. */
        report(7, "(bare write + rename)", data->count, &all[1], &all[2], RATE);
        close_reference(&reference);
        close_writer(&bare);
        close_writer(&ours);
    }
}

void sync_full_row(void) {
    for (size_t i = 0; i < config.size_count; i++) {
        const dataset *data = dataset_of(config.sizes[i]);
        writer ours = open_ours(data, "synced", FLAGSTORE_SYNC_FULL), bare = open_writer(data, "synced-bare", true);
        contestant all[] = {writing("ours", ours_set, &ours),
                            writing("bare write + fsync + rename + fsync(dir)", bare_set, &bare)};
        measure(all, COUNT(all), 3);
        report(8, "file set, SYNC_FULL", data->count, &all[0], &all[1], MOST(data->count <= 10000 ? 1.1 : 1.3));
        close_writer(&bare);
        close_writer(&ours);
    }
}
