/* Rows 4 to 6: reading one boolean of a file, with and without a cache. */
#include "bench.h"
#include "parsers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct {
    const dataset *data;
    const char *path;
    flagstore_t *store;
    buffer buffer;
    const parser *parser;
    const char *other; /* another version of the file, which changes places with it before each read */
} reader;

static void ours_bool(void *state, size_t count) {
    const reader *it = state;
    uint64_t trues = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        flagstore_error_t *error = NULL;
        trues += flagstore_get_bool(it->store, it->data->order[i % ORDER], false, &error);
        if (error) must("get_bool", error);
    }
    keep(trues);
}

static void bare(void *state, size_t count) {
    reader *it = state;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += bare_read(it->path, &it->buffer);
    keep(sum);
}

static void exchange(const reader *it) {
    if (renameat2(AT_FDCWD, it->path, AT_FDCWD, it->other, RENAME_EXCHANGE)) die("cannot exchange %s", it->path);
}

static void ours_changed(void *state, size_t count) {
    const reader *it = state;
    uint64_t trues = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        flagstore_error_t *error = NULL;
        exchange(it);
        trues += flagstore_get_bool(it->store, it->data->order[i % ORDER], false, &error);
        if (error) must("get_bool", error);
    }
    keep(trues);
}

static void bare_changed(void *state, size_t count) {
    reader *it = state;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        exchange(it);
        sum += bare_read(it->path, &it->buffer);
    }
    keep(sum);
}

static void parse(void *state, size_t count) {
    reader *it = state;
    uint64_t trues = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++)
        trues += it->parser->get_bool(it->path, &it->buffer, it->data->order[i % ORDER]);
    keep(trues);
}

static void parse_changed(void *state, size_t count) {
    reader *it = state;
    uint64_t trues = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        exchange(it);
        trues += it->parser->get_bool(it->path, &it->buffer, it->data->order[i % ORDER]);
    }
    keep(trues);
}

static void bare_stat(void *state, size_t count) {
    const reader *it = state;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct stat about;
        if (stat(it->path, &about)) die("cannot stat %s", it->path);
        sum += (uint64_t)about.st_size;
    }
    keep(sum);
}

/* ---- 4 ---- */

static void flip_a_flag(const reader *it) {
    const dataset *data = it->data;
    size_t flag = data->bools[0];
    flagstore_t *other = open_file(it->other, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_NONE);
    flagstore_error_t *error = NULL;
    flagstore_set_bool(other, data->keys[flag], data->values[flag][0] != 't', &error);
    must(it->other, error);
    flagstore_free(other);
}

static goal fresh_goal(size_t flags) {
    if (flags <= 100) return MOST(1.15);
    return MOST(flags <= 1000 ? 1.25 : 2);
}

/* yyjson is the fastest parser there is; ours does not build a tree of a large file. */
static goal changed_goal(size_t flags) {
    if (flags < 1000) return NONE;
    return MOST(flags == 1000 ? 1.25 : 1);
}

/* Whoever remembers what he read last must take the file apart again when it has changed. */
static void changed_size(const dataset *data) {
    reader readers[2 + MAX_PARSERS] = {
        {.data = data, .path = file_of(data, "changed"), .other = file_of(data, "changed-other")}};
    flip_a_flag(&readers[0]);
    contestant all[2 + MAX_PARSERS] = {{.name = "ours", .run = ours_changed},
                                       {.name = "bare rename + read", .run = bare_changed}};
    size_t count = 2 + (have_yyjson ? YYJSONS : 0);
    for (size_t i = 0; i < count; i++) {
        readers[i] = readers[0];
        all[i].state = &readers[i];
        if (i < 2) continue;
        readers[i].parser = &parsers[i - 2];
        all[i].name = parsers[i - 2].name;
        all[i].run = parse_changed;
    }
    readers[0].store = open_file(readers[0].path, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_FULL);
    measure(all, count, 1);
    for (size_t i = 1; i < count; i++)
        report(4, "file get_bool, FRESH, changed before each", data->count, &all[0], &all[i],
               i == 3 ? changed_goal(data->count) : NONE);
    flagstore_free(readers[0].store);
    for (size_t i = 0; i < count; i++) free(readers[i].buffer.data);
}

static void fresh_size(size_t flags) {
    const dataset *data = dataset_of(flags);
    const char *path = file_of(data, "fresh");
    reader readers[2 + MAX_PARSERS];
    contestant all[2 + MAX_PARSERS] = {{.name = "ours", .run = ours_bool},
                                       {.name = "bare open+fstat+read+close", .run = bare}};
    for (size_t i = 0; i < 2 + parser_count; i++) {
        readers[i] = (reader){.data = data, .path = path};
        all[i].state = &readers[i];
    }
    readers[0].store = open_file(path, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_FULL);
    for (size_t i = 0; i < parser_count; i++) {
        readers[2 + i].parser = &parsers[i];
        all[2 + i].name = parsers[i].name;
        all[2 + i].run = parse;
    }
    measure(all, 2 + parser_count, 1);
    report(4, "file get_bool, FRESH", flags, &all[0], &all[1], fresh_goal(flags));
    changed_size(data);
    for (size_t i = 0; i < parser_count; i++)
        report(4, "file get_bool, FRESH", flags, &all[0], &all[2 + i], MOST(1));
    if (!have_yyjson) report_missing(4, "file get_bool, FRESH / yyjson", flags, MOST(1), "yyjson is not here");
    flagstore_free(readers[0].store);
    for (size_t i = 0; i < 2 + parser_count; i++) free(readers[i].buffer.data);
}

void fresh_row(void) {
    for (size_t i = 0; i < config.size_count; i++) fresh_size(config.sizes[i]);
}

/* ---- 5 and 6 ---- */

static goal checked_goal(size_t flags) {
    return MOST(flags <= 10000 ? 1.1 : 1.3);
}

void checked_row(void) {
    for (size_t i = 0; i < config.size_count; i++) {
        const dataset *data = dataset_of(config.sizes[i]);
        reader it = {.data = data, .path = file_of(data, "checked")};
        it.store = open_file(it.path, FLAGSTORE_READ_CHECKED, FLAGSTORE_SYNC_FULL);
        if (!it.store) {
            report_missing(5, "file get_bool, CHECKED / bare stat", data->count, checked_goal(data->count), "not built");
            continue;
        }
        contestant all[] = {{.name = "ours", .run = ours_bool, .state = &it},
                            {.name = "bare stat", .run = bare_stat, .state = &it}};
        measure(all, COUNT(all), 1);
        report(5, "file get_bool, CHECKED", data->count, &all[0], &all[1], checked_goal(data->count));
        flagstore_free(it.store);
    }
}

void watched_row(void) {
    for (size_t i = 0; i < config.size_count; i++) {
        const dataset *data = dataset_of(config.sizes[i]);
        reader it = {.data = data, .path = file_of(data, "watched")}, memory = {.data = data};
        it.store = open_file(it.path, FLAGSTORE_READ_WATCHED, FLAGSTORE_SYNC_FULL);
        if (!it.store) {
            report_missing(6, "file get_bool, WATCHED / memory get_bool", data->count, MOST(1.5), "not built");
            continue;
        }
        memory.store = memory_of(data);
        contestant all[] = {{.name = "ours", .run = ours_bool, .state = &it},
                            {.name = "memory get_bool", .run = ours_bool, .state = &memory}};
        measure(all, COUNT(all), 1);
        report(6, "file get_bool, WATCHED", data->count, &all[0], &all[1], MOST(1.5));
        flagstore_free(it.store);
        flagstore_free(memory.store);
    }
}
