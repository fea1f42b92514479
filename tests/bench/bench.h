/* What the files of the benchmark share: data, timing, and one table of results. */
#ifndef BENCH_H
#define BENCH_H

#include "flagstore.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- settings and what every program needs (common.c) ---- */

typedef struct {
    size_t rounds;       /* every contestant runs once in each */
    double sample_ns;    /* a run takes at least as long */
    bool quick;          /* a smoke run */
    const char *dir;     /* where the files are */
    const char *scripts; /* where the Python stand-in is */
    const char *programs; /* where bench itself, load, flagctl and cjson_get are */
    const size_t *sizes; /* numbers of flags */
    size_t size_count;
} settings;

extern settings config;

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);
/* Ends the program if a call of the library failed. */
void must(const char *what, flagstore_error_t *error);
void *allocate(size_t bytes);
/* `format` printed into memory that is never freed. */
__attribute__((format(printf, 1, 2))) char *text_of(const char *format, ...);

/* ---- data (data.c) ---- */

enum { ORDER = 1 << 17 }; /* random accesses before they repeat */

typedef struct {
    size_t count;
    char **keys;        /* in byte order */
    char **values;      /* compact JSON */
    char *text;         /* the file, as Python's json.dump(indent=2, sort_keys=True) writes it */
    size_t len;
    size_t *bools;      /* which flags are booleans */
    size_t bool_count;
    const char **order; /* ORDER keys of booleans at random */
    const char **any;   /* ORDER keys at random */
} dataset;

/* Where in the random order the next `count` accesses begin: nobody reads the same few flags again and again. */
size_t take_places(size_t count);
/* Made once for each number of flags. */
const dataset *dataset_of(size_t flags);
uint32_t next_random(uint32_t *state);
/* Writes the data's text to a new file in config.dir; answers its path. */
char *file_of(const dataset *data, const char *name);
/* A memory store with all flags of `data`. */
flagstore_t *memory_of(const dataset *data);
/* NULL: this library does not have the mode. */
flagstore_t *open_file(const char *path, int32_t read_mode, int32_t durability);

/* ---- the bare system calls (bare.c) ---- */

typedef struct {
    char *data;
    size_t capacity;
} buffer;

/* open, fstat, read to the end, close. */
size_t bare_read(const char *path, buffer *into);
/* write and rename; `synced`: with fsync of the file and of the directory `dir_fd`. */
void bare_replace(const char *path, const char *temporary, const char *text, size_t len, bool synced, int dir_fd);

/* ---- timing (measure.c) ---- */

enum { MAX_ROUNDS = 64 };

/* One way to do a thing. */
typedef struct {
    const char *name;
    void (*run)(void *state, size_t count); /* does it `count` times */
    void *state;
    size_t lanes;          /* how many do it at once (0: one) */
    bool writes;           /* files: the disk has settled before each run */
    bool cpu;              /* timed by what the first of its threads takes of a processor (see in_threads) */
    double ns[MAX_ROUNDS]; /* per operation, in each round */
    size_t count;
} contestant;

/* Takes an answer, so that no call is optimised away. Any thread may give one. */
void keep(uint64_t answer);
double now_ns(void);
/* Waits until what others have written is on the disk, so that nobody's fsync pays for it. */
void settle_disk(void);
double median(const double *values, size_t count);
double quantile(const double *values, size_t count, double at);
/* Runs the contestants in turn, in every round, for config.sample_ns * `factor` each. */
void measure(contestant *contestants, size_t count, double factor);
/* Starts `lanes` threads at once; each calls work(state, lane, count). The processor time of the first is kept. */
void in_threads(size_t lanes, void (*work)(void *state, size_t lane, size_t count), void *state, size_t count);

/* ---- results (report.c) ---- */

typedef struct {
    enum { NO_GOAL, NO_GOAL_RATE, AT_MOST, AT_LEAST } kind;
    double ratio;
} goal;

/* Ratios are of times with NONE and MOST, of rates with RATE and LEAST. */
#define NONE ((goal){NO_GOAL, 0})
#define RATE ((goal){NO_GOAL_RATE, 0})
#define MOST(r) ((goal){AT_MOST, r})
#define LEAST(r) ((goal){AT_LEAST, r})

void report_machine(void);
void put_machine(FILE *json);
/* A contestant against another one. */
void report(int row, const char *what, size_t flags, const contestant *ours, const contestant *peer, goal goal);
/* Any two numbers of one unit: "ns", "GB/s", "/s", "B". `ratios`: one per round. */
void report_values(int row, const char *what, size_t flags, const char *unit, double ours, double peer,
                   const double *ratios, size_t count, goal goal);
/* A row that cannot be measured here, and why. */
void report_missing(int row, const char *what, size_t flags, goal goal, const char *why);
/* How many goals are met. */
void report_summary(void);
void report_json(const char *path);

/* ---- the rows ---- */

void memory_bool_row(void);    /* 1 */
void memory_threads_row(void); /* 2 */
void memory_copies_row(void);  /* 3 */
void fresh_row(void);          /* 4 */
void checked_row(void);        /* 5 */
void watched_row(void);        /* 6 */
void sync_none_row(void);      /* 7 */
void sync_full_row(void);      /* 8 */
void group_row(void);          /* 9 */
void list_row(void);           /* 10 */
void library_row(void);        /* 11 */
void footprint_row(void);      /* 12 */
void process_row(void);        /* 13 */
void bindings_row(void);       /* 14 */
/* The program as a child of row 12: prints the bytes that a store takes. `what`: a file, or a number of flags for
   the kind "memory". */
int print_memory(const char *kind, const char *what);

#endif
