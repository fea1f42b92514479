/* run: plain */
/* A long life leaves the resident size flat: whatever the calls hand out and the caller frees is gone. */
#define NO_REMOTE_KINDS
#include "check.h"

#include <malloc.h>

enum { WARM_UP = 2000, CALLS = 100000, GROWTH_KB = 512, SMALLEST_BLOCK = 32 };

static long resident_kb(void) {
    char line[256];
    long kb = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld kB", &kb) == 1) break;
    if (status) fclose(status);
    CHECK(kb > 0);
    return kb;
}

static void get_and_free(flagstore_t *store, int i) {
    (void)i;
    flagstore_free(flagstore_get(store, "object", NULL));
}

static void list_and_free(flagstore_t *store, int i) {
    (void)i;
    flagstore_free(flagstore_list_all(store, NULL));
}

static void typed_reads(flagstore_t *store, int i) {
    flagstore_get_int64(store, "number", i, NULL);
    flagstore_free(flagstore_get_string(store, "text", NULL, NULL));
    flagstore_free(flagstore_get_string(store, "absent", "fall back", NULL));
}

static void errors(flagstore_t *store, int i) {
    flagstore_error_t *error;
    flagstore_set(store, "flag", i % 2 ? "[1,2,{\"a\":?}]" : "?", &error);
    flagstore_free(error);
    flagstore_get_bool(store, "text", true, &error);
    flagstore_free(error);
    flagstore_get_bool(store, NULL, true, NULL);
}

static void opens(flagstore_t *store, int i) {
    (void)store, (void)i;
    flagstore_t *other = flagstore_memory_open(NULL);
    flagstore_set(other, "flag", "{\"a\":[1,2,3]}", NULL);
    flagstore_free(other);
}

static void failed_opens(flagstore_t *store, int i) {
    (void)store, (void)i;
    flagstore_error_t *error;
    flagstore_file_open("missing/flags.json", &error);
    flagstore_free(error);
}

static void changes(flagstore_t *store, int i) {
    char key[32];
    snprintf(key, sizeof key, "flag-%d", i % 3);
    flagstore_set_int64(store, key, i, NULL);
    if (i % 5 == 0) flagstore_delete(store, key, NULL);
}

static bool fail(void *context, const char *key, size_t key_len, flagstore_reply_t *reply, flagstore_error_t **error) {
    (void)context, (void)key, (void)key_len, (void)reply;
    *error = flagstore_error_new(FLAGSTORE_UNAVAILABLE, "a message that takes some memory");
    return false;
}

static void failed_gets(flagstore_t *store, int i) {
    (void)i;
    flagstore_error_t *error;
    CHECK(!flagstore_get(store, "flag", &error) && flagstore_error_code(error) == FLAGSTORE_UNAVAILABLE);
    flagstore_free(error);
}

static size_t in_use_of_malloc(void) {
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
    return mallinfo2().uordblks;
#endif
#endif
    return 0; /* others do not count */
}

/* What malloc counts as in use tells a block lost by every other call, however few the calls (its caches make it
   jump by some kB); the resident size tells finer over many calls, and of memory that is not malloc's. */
static void check_flat(const char *name, flagstore_t *store, int calls, void (*call)(flagstore_t *, int)) {
    check_row = name;
    check_deadline(300);
    for (int i = 0; i < WARM_UP; i++)
        call(store, i);
    long resident = resident_kb();
    size_t in_use = in_use_of_malloc();
    for (int i = 0; i < calls; i++)
        call(store, i);
    long more_in_use = (long)(in_use_of_malloc() - in_use), more_resident = resident_kb() - resident;
    CHECK_THAT(more_in_use < calls * SMALLEST_BLOCK / 2, "%d calls: expected no more in use, got %ld bytes",
               calls, more_in_use);
    CHECK_THAT(more_resident < GROWTH_KB, "%d calls: expected less than %d kB more resident, got %ld kB",
               calls, GROWTH_KB, more_resident);
}

static void calls_leave_the_resident_size_flat(flagstore_t *store) {
    bool is_file = access(FLAGS_FILE, F_OK) == 0; /* a read is a file read, a change is a file written and synced */
    int reads = is_file ? CALLS / 10 : CALLS, writes = is_file ? CALLS / 50 : CALLS;
    SET(store, "object", "{\"text\":\"some text to copy\",\"array\":[1,2,3,4,5,6,7,8,9]}");
    SET(store, "number", "42");
    SET(store, "text", "\"some text with \\u00fc and \\n in it\"");
    check_flat("get", store, reads, get_and_free);
    check_flat("list_all", store, reads, list_and_free);
    check_flat("typed", store, reads, typed_reads);
    check_flat("errors", store, reads, errors);
    check_flat("changes", store, writes, changes);
}

static void stores_leave_the_resident_size_flat(void) {
    check_flat("opens", NULL, CALLS, opens);
    check_flat("failed opens", NULL, CALLS, failed_opens);
}

static void errors_of_a_backend_leave_the_resident_size_flat(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_backend_t backend = {.size = sizeof backend, .get = fail};
    flagstore_t *store = flagstore_backend_open(&backend, &error);
    CHECK_OK(error);
    check_flat("failed gets", store, CALLS / 10, failed_gets);
    flagstore_free(store);
}

int main(void) {
    RUN_ON_EVERY_KIND(calls_leave_the_resident_size_flat);
    RUN(stores_leave_the_resident_size_flat);
    RUN(errors_of_a_backend_leave_the_resident_size_flat);
    return check_summary("flat_memory");
}
