/* Rows 11 and 12: the shared library itself: its size, the time to load it; and the memory of 100 000 flags. */
#include "bench.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOADS = 31, MEMORY_RUNS = 3, READERS = 16 };

static const char *file_behind(void *function) {
    Dl_info about;
    if (!dladdr(function, &about)) die("dladdr failed");
    return realpath(about.dli_fname, NULL);
}

static const char *our_library(void) {
    return file_behind((void *)(uintptr_t)flagstore_version);
}

/* The last number that a child program prints. */
static double answer_of(const char *command) {
    double number = -1;
    FILE *pipe = popen(command, "r");
    if (!pipe || fscanf(pipe, "%lf", &number) != 1 || pclose(pipe)) die("failed: %s", command);
    return number;
}

static void report_size(void) {
    const char *stripped = text_of("%s/stripped.so", config.dir);
    struct stat about;
    if (system(text_of("strip -o '%s' '%s'", stripped, our_library())) || stat(stripped, &about)) die("strip failed");
    double size = (double)about.st_size, limit = 850e3, ratio = size / limit;
    report_values(11, "the stripped shared library / 850 KB", 0, "B", size, limit, &ratio, 1, MOST(1));
}

/* dlopen resolves and relocates once per process, so each time is a fresh one. */
static void report_loading(void) {
    const char *ours = text_of("'%s/load' '%s' flagstore_version", config.programs, our_library());
    const char *sqlite = text_of("'%s/load' libsqlite3.so.0 sqlite3_libversion", config.programs);
    double loads[LOADS], peers[LOADS], ratios[LOADS];
    size_t count = config.quick ? 3 : LOADS;
    for (size_t i = 0; i < count; i++) {
        loads[i] = answer_of(ours);
        peers[i] = answer_of(sqlite);
        ratios[i] = loads[i] / 1e6;
    }
    report_values(11, "dlopen in a fresh process / 1 ms", 0, "ns", median(loads, count), 1e6, ratios, count, MOST(1));
    for (size_t i = 0; i < count; i++) ratios[i] = loads[i] / peers[i];
    report_values(11, "dlopen in a fresh process / SQLite's", 0, "ns", median(loads, count), median(peers, count),
                  ratios, count, NONE);
}

/* ---- memory, in a process of its own ---- */

static double resident(void) {
    long pages = 0, total;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &total, &pages) != 2) die("cannot read /proc/self/statm");
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static flagstore_t *open_kind(const char *kind, const char *path) {
    if (!strcmp(kind, "CHECKED")) return open_file(path, FLAGSTORE_READ_CHECKED, FLAGSTORE_SYNC_FULL);
    if (!strcmp(kind, "WATCHED")) return open_file(path, FLAGSTORE_READ_WATCHED, FLAGSTORE_SYNC_FULL);
    return open_file(path, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_FULL);
}

static void read_thrice(void *store, size_t lane, size_t count) {
    (void)lane;
    for (size_t i = 0; i < count; i++) flagstore_get_bool(store, "no such flag", false, NULL);
}

/* A small store first: what any store costs (code, threads, locks) is not what flags cost. */
static double file_growth(const char *kind, const char *path) {
    const char *small = text_of("%s.small", path);
    FILE *file = fopen(small, "w");
    if (!file || fputs("{\n  \"a\": true\n}\n", file) < 0 || fclose(file)) die("cannot write %s", small);
    flagstore_t *first = open_kind(kind, small);
    in_threads(READERS, read_thrice, first, 1);
    double before = resident();
    flagstore_error_t *error = NULL;
    flagstore_t *store = open_kind(kind, path);
    flagstore_get_bool(store, "no such flag", false, &error);
    must(path, error);
    in_threads(READERS, read_thrice, store, 3);
    return resident() - before;
}

/* What the batch took on the way is given back before the end. */
static double memory_growth(size_t flags) {
    const dataset *data = dataset_of(flags);
    flagstore_free(memory_of(dataset_of(10)));
    double before = resident();
    memory_of(data);
    malloc_trim(0);
    return resident() - before;
}

int print_memory(const char *kind, const char *what) {
    bool file = strcmp(kind, "memory") != 0;
    printf("%.0f\n", file ? file_growth(kind, what) : memory_growth(strtoul(what, NULL, 10)));
    return 0;
}

static void report_growth(const char *kind, const char *argument, const dataset *data, goal goal) {
    double growth[MEMORY_RUNS], ratios[MEMORY_RUNS], bytes = (double)data->len;
    const char *command = text_of("'%s/bench' --memory %s '%s'", config.programs, kind, argument);
    for (size_t i = 0; i < MEMORY_RUNS; i++) {
        growth[i] = answer_of(command);
        ratios[i] = growth[i] / bytes;
    }
    report_values(12, text_of("resident memory, %s store, 16 threads / bytes of its file", kind), data->count, "B",
                  median(growth, MEMORY_RUNS), bytes, ratios, MEMORY_RUNS, goal);
}

static void report_file(const char *kind, const dataset *data, goal goal) {
    const char *path = file_of(data, text_of("resident-%s", kind));
    flagstore_t *probe = open_kind(kind, path);
    const char *what = text_of("resident memory, %s store / bytes of its file", kind);
    if (probe) report_growth(kind, path, data, goal);
    else report_missing(12, what, data->count, goal, "not built");
    flagstore_free(probe);
}

void library_row(void) {
    report_size();
    report_loading();
}

void footprint_row(void) {
    const dataset *data = dataset_of(config.quick ? 10000 : 100000);
    report_file("CHECKED", data, MOST(1.4));
    report_file("WATCHED", data, MOST(1.4));
    report_file("FRESH", data, MOST(2.9));
    report_growth("memory", text_of("%zu", data->count), data, MOST(2.5));
}
