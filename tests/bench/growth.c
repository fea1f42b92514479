/* How the cost of a call grows with the number of flags, the size of the values, threads and processes.
   Usage: growth --dir DIR --json FILE [--quick]; run.sh --growth calls it. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LANES = 32, MAX_POINTS = 64, BATCH = 16, TEXT_FLAGS = 100 };

typedef struct {
    const char *name;
    int32_t read_mode, durability;
    bool memory, set;
} kind;

static const kind kinds[] = {{.name = "get, memory store", .memory = true},
                             {.name = "get, WATCHED", .read_mode = FLAGSTORE_READ_WATCHED},
                             {.name = "get, CHECKED", .read_mode = FLAGSTORE_READ_CHECKED},
                             {.name = "get, FRESH", .read_mode = FLAGSTORE_READ_FRESH},
                             {.name = "set, SYNC_NONE", .durability = FLAGSTORE_SYNC_NONE, .set = true},
                             {.name = "set, SYNC_FULL", .durability = FLAGSTORE_SYNC_FULL, .set = true}};

/* What the lanes share, be they threads or processes. */
typedef struct {
    pthread_barrier_t start;
    atomic_bool stop;
    size_t runs; /* no run writes what an earlier one wrote */
    struct {
        uint64_t done;
        double start, end; /* by its own clock: whoever waits for it may wake late */
    } lanes[MAX_LANES];
} shared;

typedef struct {
    const kind *kind;
    const dataset *data;
    size_t text_len; /* 0: booleans, else strings of this length */
    size_t lanes, x;
    bool processes;
    const char *path;
    flagstore_t *store;
    bool *flags;
    shared *shared;
    double rates[MAX_ROUNDS];
} point;

/* ---- a lane: calls until it is told to stop ---- */

static uint64_t get_once(const point *it, const flagstore_t *store, size_t turn) {
    flagstore_error_t *error = NULL;
    uint64_t answer;
    if (it->text_len) {
        char *json = flagstore_get(store, it->data->keys[turn % TEXT_FLAGS], &error);
        answer = json ? (unsigned char)json[1] : 0;
        flagstore_free(json);
    } else answer = flagstore_get_bool(store, it->data->order[turn % ORDER], false, &error);
    must("get", error);
    return answer;
}

/* Lanes change flags of their own, and every call changes the file. */
static void set_once(const point *it, flagstore_t *store, size_t lane, size_t turn, char *text) {
    flagstore_error_t *error = NULL;
    if (it->text_len) {
        snprintf(text, 9, "%08x", (unsigned)(it->shared->runs << 20 | turn));
        text[8] = '.';
        flagstore_set_string(store, it->data->keys[turn % TEXT_FLAGS], text, &error);
    } else {
        size_t own = (it->data->bool_count - lane + it->lanes - 1) / it->lanes;
        size_t flag = it->data->bools[lane + turn % own * it->lanes];
        it->flags[flag] = !it->flags[flag];
        flagstore_set_bool(store, it->data->keys[flag], it->flags[flag], &error);
    }
    must("set", error);
}

static char *new_text(size_t len) {
    char *text = allocate(len + 16);
    memset(text, '.', len);
    return text;
}

static void run_lane(const point *it, flagstore_t *store, size_t lane) {
    char *text = new_text(it->text_len);
    /* Looking whether to stop must cost nothing beside the calls. */
    size_t batch = it->kind->memory || it->kind->read_mode ? BATCH : 1, turn = lane * 7919;
    uint64_t done = 0, sum = get_once(it, store, turn); /* what a store does once is not measured */
    pthread_barrier_wait(&it->shared->start);
    it->shared->lanes[lane].start = now_ns();
    do {
        for (size_t i = 0; i < batch; i++, turn++) {
            if (it->kind->set) set_once(it, store, lane, turn, text);
            else sum += get_once(it, store, turn);
        }
        done += batch;
    } while (!atomic_load_explicit(&it->shared->stop, memory_order_relaxed));
    it->shared->lanes[lane].end = now_ns();
    it->shared->lanes[lane].done = done;
    keep(sum);
    free(text);
}

static void run_thread(void *state, size_t lane, size_t count) {
    (void)count;
    const point *it = state;
    run_lane(it, it->store, lane);
}

static flagstore_t *open_point(const point *it) {
    return open_file(it->path, it->kind->read_mode, it->kind->durability);
}

static void *run_threads(void *state) {
    const point *it = state;
    in_threads(it->lanes, run_thread, state, 0);
    return NULL;
}

static void start_processes(point *it, pid_t *children) {
    for (size_t lane = 0; lane < it->lanes; lane++) {
        children[lane] = fork();
        if (children[lane] < 0) die("cannot fork");
        if (children[lane]) continue;
        run_lane(it, open_point(it), lane);
        _exit(0);
    }
}

/* Calls per second, from the first lane's start to the last lane's end. */
static double rate_together(const shared *shared, size_t lanes) {
    uint64_t done = 0;
    double start = shared->lanes[0].start, end = shared->lanes[0].end;
    for (size_t i = 0; i < lanes; i++) {
        done += shared->lanes[i].done;
        if (shared->lanes[i].start < start) start = shared->lanes[i].start;
        if (shared->lanes[i].end > end) end = shared->lanes[i].end;
    }
    return (double)done * 1e9 / (end - start);
}

/* Lets all lanes call for at least `window_ns`. */
static double rate_of(point *it, double window_ns) {
    pthread_t threads;
    pid_t children[MAX_LANES];
    pthread_barrierattr_t across;
    pthread_barrierattr_init(&across);
    pthread_barrierattr_setpshared(&across, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&it->shared->start, &across, (unsigned)it->lanes + 1);
    it->shared->stop = false;
    it->shared->runs++;
    if (it->processes) start_processes(it, children);
    else if (pthread_create(&threads, NULL, run_threads, it)) die("pthread_create failed");
    pthread_barrier_wait(&it->shared->start);
    struct timespec window = {(time_t)(window_ns / 1e9), (long)window_ns % 1000000000};
    nanosleep(&window, NULL);
    it->shared->stop = true;
    for (size_t lane = 0; it->processes && lane < it->lanes; lane++) {
        int status;
        if (waitpid(children[lane], &status, 0) < 0 || status) die("a process failed");
    }
    if (!it->processes) pthread_join(threads, NULL);
    pthread_barrier_destroy(&it->shared->start);
    return rate_together(it->shared, it->lanes);
}

/* ---- points and panels ---- */

static flagstore_t *fill_texts(flagstore_t *store, const dataset *data, size_t len) {
    char *text = new_text(len);
    for (size_t i = 0; i < TEXT_FLAGS; i++) {
        flagstore_error_t *error = NULL;
        flagstore_set_string(store, data->keys[i], text, &error);
        must("set_string", error);
    }
    free(text);
    return store;
}

static void prepare_file(point *it) {
    static size_t number;
    it->path = file_of(it->data, text_of("growth-%zu", number++));
    if (!it->text_len) return;
    if (unlink(it->path)) die("cannot remove %s", it->path);
    flagstore_free(fill_texts(open_file(it->path, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_NONE), it->data, it->text_len));
}

/* false: this library does not have it. */
static bool prepare(point *it) {
    it->shared = mmap(NULL, sizeof *it->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    it->flags = mmap(NULL, it->data->count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (it->shared == MAP_FAILED || it->flags == MAP_FAILED) die("out of memory");
    for (size_t i = 0; i < it->data->count; i++) it->flags[i] = it->data->values[i][0] == 't';
    if (it->kind->memory) {
        bool texts = it->text_len > 0;
        it->store = texts ? fill_texts(flagstore_memory_open(NULL), it->data, it->text_len) : memory_of(it->data);
        return true;
    }
    prepare_file(it);
    it->store = open_point(it);
    return it->store != NULL;
}

/* Of what only computes the fastest of some times counts, as in measure.c. */
static double round_of(point *it) {
    if (it->kind->set) {
        settle_disk();
        return rate_of(it, config.sample_ns * 12);
    }
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double rate = rate_of(it, config.sample_ns * (it->lanes == 1 ? 0.25 : 1));
        if (rate > best) best = rate;
    }
    return best;
}

static void put_panel(FILE *json, const char *name, point *points, size_t count) {
    for (size_t round = 0; round < config.rounds; round++)
        for (size_t i = 0; i < count; i++) points[i].rates[round] = round_of(&points[i]);
    fprintf(json, ",\n  \"%s\": [", name);
    for (size_t i = 0; i < count; i++) {
        double rate = median(points[i].rates, config.rounds);
        fprintf(json, "%s\n    {\"kind\": \"%s\", \"x\": %zu, \"per_second\": %.6g}", i ? "," : "",
                points[i].kind->name, points[i].x, rate);
        printf("%-10s %-18s %7zu  %12.0f calls/s\n", name, points[i].kind->name, points[i].x, rate);
        flagstore_free(points[i].store);
    }
    fprintf(json, "\n  ]");
    fflush(stdout);
}

typedef struct {
    const char *name;
    enum { FLAGS, VALUE_BYTES, THREADS, PROCESSES } axis;
    size_t xs[5], count;
} panel;

static const panel panels[] = {{"flags", FLAGS, {10, 100, 1000, 10000, 100000}, 5},
                               {"value_bytes", VALUE_BYTES, {16, 256, 4096, 65536}, 4},
                               {"threads", THREADS, {1, 2, 4, 8, 32}, 5},
                               {"processes", PROCESSES, {1, 2, 4}, 3}};

static void measure_panel(FILE *json, const panel *panel) {
    static point points[MAX_POINTS];
    size_t count = 0, xs = config.quick && panel->count > 3 ? 3 : panel->count;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        if (kinds[k].memory && panel->axis == PROCESSES) continue; /* each has its own */
        for (size_t i = 0; i < xs; i++) {
            size_t x = panel->xs[i];
            point it = {.kind = &kinds[k], .x = x, .lanes = 1, .data = dataset_of(panel->axis == FLAGS ? x : 1000)};
            if (panel->axis == VALUE_BYTES) it.text_len = x;
            if (panel->axis == THREADS || panel->axis == PROCESSES) it.lanes = x;
            it.processes = panel->axis == PROCESSES;
            if (prepare(&it)) points[count++] = it;
            else printf("%-10s %-18s %7zu  not built\n", panel->name, kinds[k].name, x);
        }
    }
    put_panel(json, panel->name, points, count);
}

int main(int argc, char **argv) {
    const char *path = NULL;
    config.rounds = 7;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--quick")) {
            config.quick = true;
            config.rounds = 1;
            config.sample_ns = 2e6;
        } else if (i + 1 < argc && !strcmp(argv[i], "--dir")) config.dir = argv[++i];
        else if (i + 1 < argc && !strcmp(argv[i], "--json")) path = argv[++i];
        else die("no such option: %s", argv[i]);
    }
    FILE *json = path ? fopen(path, "w") : NULL;
    if (!json) die("--json wants a file to write");
    fprintf(json, "{\n  ");
    put_machine(json);
    for (size_t i = 0; i < COUNT(panels); i++) measure_panel(json, &panels[i]);
    fprintf(json, "\n}\n");
    if (fclose(json)) die("cannot write %s", path);
}
