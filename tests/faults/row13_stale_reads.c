/* Row 13: edits a file and reads it through the library right after each edit.

     row13_stale_reads MODE EDIT PATH BESIDE EDITS

   MODE is a FLAGSTORE_READ_*. EDIT is one of rename, rewrite, resize, recreate, link, truncate, leave. PATH is where the library finds
   the file, BESIDE where the edits are made: the same, or what lies under a file system that does not notice. A thread
   reads all the time, so that there is always something to be stale.

   Prints READS LATE LONGEST_MS NAIVE: reads after an edit; how many of them saw the one before, and until when at
   most; and how many a cache would have got wrong that goes by inode, size and times.

   The file holds a number of ten digits, so that all edits but resize keep its size. */
#include "store.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

static const char *beside;
static char new_name[4096];
static long edits_made;

/* ---- edits ---- */

static void check(bool done, const char *what) {
    if (!done) die("%s %s: %s", what, beside, strerror(errno));
}

static int text_of(char to[200], long number, const char *filler) {
    return sprintf(to, "{\"fill\": \"%s\", \"number\": %ld}\n", filler, 1000000000 + number);
}

/* Writes the file at once, as a new one or into what is there. */
static void put(const char *path, int flags, const char *text, int len) {
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
    check(fd >= 0 && write(fd, text, (size_t)len) == len, "write");
    if (!(flags & O_CREAT)) check(ftruncate(fd, len) == 0, "truncate");
    close(fd);
}

/* Gives the file the time of modification that another has, as cp -p, rsync and tar do. */
static void keep_time(const char *path, const char *of) {
    struct stat status;
    check(stat(of, &status) == 0, "stat");
    struct timespec times[2] = {status.st_atim, status.st_mtim};
    check(utimensat(AT_FDCWD, path, times, 0) == 0, "utimensat");
}

static void replace(const char *text, int len) {
    put(new_name, O_CREAT | O_TRUNC, text, len);
    if (edits_made % 2) keep_time(new_name, beside);
    check(rename(new_name, beside) == 0, "rename");
}

static void rewrite(const char *text, int len) { put(beside, 0, text, len); }

static void recreate(const char *text, int len) {
    check(unlink(beside) == 0, "unlink");
    put(beside, O_CREAT | O_EXCL, text, len);
}

enum { GAP_US = 2000 };

/* As whoever opens a file for writing: it is empty for a while. */
static void truncate_first(const char *text, int len) {
    check(truncate(beside, 0) == 0, "truncate");
    sleep_us(GAP_US);
    put(beside, 0, text, len);
}

/* As git and install: it is away for a while. */
static void recreate_later(const char *text, int len) {
    check(unlink(beside) == 0, "unlink");
    sleep_us(GAP_US);
    put(beside, O_CREAT | O_EXCL, text, len);
}

/* The file is a link to one of two others: the other one is written, then the link is replaced. */
static void swap_link(const char *text, int len) {
    char target[4100];
    snprintf(target, sizeof target, "%s.%ld", beside, edits_made % 2);
    put(target, O_CREAT | O_TRUNC, text, len);
    if (edits_made > 1) keep_time(target, beside);
    unlink(new_name);
    check(symlink(strrchr(target, '/') + 1, new_name) == 0, "link");
    check(rename(new_name, beside) == 0, "rename the link");
}

static const struct edit {
    const char *name;
    void (*make)(const char *text, int len);
} KINDS[] = {
    {"rename", replace}, {"rewrite", rewrite}, {"resize", rewrite}, {"recreate", recreate}, {"link", swap_link},
    {"truncate", truncate_first}, {"leave", recreate_later}};

static long make(const struct edit *kind) {
    static const char filler[] = "ffffffffffffffffffffffffffffffffffffffffffffffff";
    char text[200];
    bool resized = strcmp(kind->name, "resize") == 0;
    edits_made++;
    int len = text_of(text, edits_made, filler + (resized ? edits_made * 7 % 40 : 0));
    kind->make(text, len);
    return 1000000000 + edits_made;
}

/* ---- reads ---- */

static flagstore_t *store;
static atomic_bool ended;

/* An in-place edit may be caught half-way, which the library settles, or tells if it lasts. */
static void *read_all_the_time(void *argument) {
    (void)argument;
    while (!ended) flagstore_free(flagstore_list_all(store, NULL));
    return NULL;
}

/* How long the read took to see it, 0 if the first one did. */
static double seen_after(long number) {
    double start = now_ms();
    for (bool first = true;; first = false) {
        int64_t found = get_number(store, "number");
        if (found > number) die("read %lld before it was written", (long long)found);
        if (found == number) return first ? 0 : now_ms() - start;
        if (now_ms() - start > LOCK_TIMEOUT_MS) die("stale for ever: %lld instead of %ld", (long long)found, number);
    }
}

/* What a cache that goes by these would take for the same file. */
static bool same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) == 0 &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim) == 0;
}

static void edit_and_read(const char *path, const struct edit *kind, long edits) {
    long late = 0, naive = 0;
    double longest = 0;
    struct stat before, after;
    for (long i = 0; i < edits; i++) {
        /* Now and then the file comes to rest, and may be taken for settled. */
        if (i % 10 == 0) sleep_us(30000);
        get_number(store, "number");
        check(stat(path, &before) == 0, "stat");
        long number = make(kind);
        check(stat(path, &after) == 0, "stat");
        double delay = seen_after(number);
        naive += same(&before, &after);
        late += delay > 0;
        if (delay > longest) longest = delay;
    }
    printf("%ld %ld %.2f %ld\n", edits, late, longest, naive);
}

int main(int count, char **arguments) {
    const struct edit *kind = KINDS, *end = KINDS + sizeof KINDS / sizeof *KINDS;
    if (count != 6) die("see the top of row13_stale_reads.c");
    while (kind < end && strcmp(kind->name, arguments[2]) != 0) kind++;
    if (kind == end) die("no such edit: %s", arguments[2]);
    beside = arguments[4];
    snprintf(new_name, sizeof new_name, "%s.new", beside);
    if (strcmp(kind->name, "link") == 0) make(kind);

    flagstore_error_t *error = NULL;
    flagstore_file_options_t options = {
        .size = sizeof options, .read_mode = atoi(arguments[1]), .flags = FLAGSTORE_OPEN_EXISTING};
    store = flagstore_file_open_with(arguments[3], &options, &error);
    must("open", error);
    pthread_t reader;
    pthread_create(&reader, NULL, read_all_the_time, NULL);
    edit_and_read(arguments[3], kind, atol(arguments[5]));
    ended = true;
    pthread_join(reader, NULL);
    flagstore_free(store);
    return 0;
}
