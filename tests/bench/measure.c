/* Timing: contestants take turns, so that whatever else the machine does hits all of them alike. */
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t sink;

void keep(uint64_t answer) {
    __atomic_store_n(&sink, answer, __ATOMIC_RELAXED);
}

double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double thread_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void settle_disk(void) {
    static int fd = -1;
    if (fd < 0) fd = open(config.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd)) die("cannot sync %s", config.dir);
}

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double quantile(const double *values, size_t count, double at) {
    double sorted[MAX_ROUNDS];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, by_value);
    double place = at * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (sorted[above] - sorted[below]) * (place - (double)below);
}

double median(const double *values, size_t count) {
    return quantile(values, count, 0.5);
}

static double first_lane_ns; /* of processor time, in the last in_threads */

static double time_of(const contestant *it, size_t count) {
    double start = now_ns();
    it->run(it->state, count);
    return it->cpu ? first_lane_ns : now_ns() - start;
}

/* The fastest of three, unless the first is short enough to tell: a run that another process interrupted looks long. */
static double time_at_least(const contestant *it, double sample_ns) {
    double fastest = time_of(it, it->count);
    for (int i = 0; i < 2 && fastest >= sample_ns; i++) {
        double took = time_of(it, it->count);
        if (took < fastest) fastest = took;
    }
    return fastest;
}

/* Finds the number of operations that take `sample_ns`; this also warms the caches. */
static void calibrate(contestant *it, double sample_ns) {
    it->count = 1;
    for (;;) {
        double took = time_at_least(it, sample_ns);
        if (took >= sample_ns) return;
        double wanted = (double)it->count * sample_ns * 1.1 / (took + 1);
        double most = (double)it->count * 10;
        size_t next = (size_t)(wanted < most ? wanted : most);
        it->count = next > it->count ? next : it->count + 1;
    }
}

/* What only computes is timed in parts, of which the fastest counts: in the others another process may have had the
   processor. Writes are timed as a whole: waiting for the disk belongs to them. */
static double time_of_one(const contestant *it) {
    enum { PARTS = 8 };
    size_t lanes = it->lanes ? it->lanes : 1;
    if (it->writes) return time_of(it, it->count) / (double)(it->count * lanes);
    size_t parts = it->count < PARTS ? it->count : PARTS, part = it->count / parts;
    double fastest = 0;
    for (size_t i = 0; i < parts; i++) {
        double took = time_of(it, part) / (double)(part * lanes);
        if (i == 0 || took < fastest) fastest = took;
    }
    return fastest;
}

void measure(contestant *contestants, size_t count, double factor) {
    for (size_t i = 0; i < count; i++) calibrate(&contestants[i], config.sample_ns * factor);
    for (size_t round = 0; round < config.rounds; round++) {
        for (size_t turn = 0; turn < count; turn++) {
            /* Another one begins each round: nobody always runs after the same neighbour's last. */
            contestant *it = &contestants[(round + turn) % count];
            if (it->writes) settle_disk();
            it->ns[round] = time_of_one(it);
        }
    }
}

typedef struct {
    void (*work)(void *state, size_t lane, size_t count);
    void *state;
    size_t lane, count;
    double took;
    pthread_barrier_t *start;
} lane;

static void *run_lane(void *argument) {
    lane *it = argument;
    pthread_barrier_wait(it->start);
    double start = thread_ns();
    it->work(it->state, it->lane, it->count);
    it->took = thread_ns() - start;
    return NULL;
}

void in_threads(size_t lanes, void (*work)(void *, size_t, size_t), void *state, size_t count) {
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)lanes);
    pthread_t *threads = allocate(lanes * sizeof *threads);
    lane *each = allocate(lanes * sizeof *each);
    for (size_t i = 0; i < lanes; i++) {
        each[i] = (lane){.work = work, .state = state, .lane = i, .count = count, .start = &start};
        if (pthread_create(&threads[i], NULL, run_lane, &each[i])) die("pthread_create failed");
    }
    for (size_t i = 0; i < lanes; i++) pthread_join(threads[i], NULL);
    first_lane_ns = each[0].took;
    pthread_barrier_destroy(&start);
    free(each);
    free(threads);
}
