/* run: plain */
/* A file that holds what the last read found is compared with that in pieces, and not parsed again: the read takes no
   memory of the file's size. */
#include "check.h"

enum { FLAGS = 20000, PIECE = 128 << 10 };

/* ---- the library's memory comes from here ---- */

static size_t largest;

#ifdef __GLIBC__
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static size_t noted(size_t size) {
    if (size > largest) largest = size;
    return size;
}

void *malloc(size_t size) { return __libc_malloc(noted(size)); }
void *calloc(size_t count, size_t size) { return __libc_calloc(count, noted(count * size) / (count ? count : 1)); }
void *realloc(void *memory, size_t size) { return __libc_realloc(memory, noted(size)); }
#endif

/* ---- the promise ---- */

static void put_flags(int last) {
    FILE *file = fopen(FLAGS_FILE, "wb");
    CHECK(file != NULL);
    for (int i = 0; file && i < FLAGS; i++)
        fprintf(file, "%s  \"flag-%05d\": \"some text of the flag\"", i ? ",\n" : "{\n", i);
    CHECK(file && fprintf(file, ",\n  \"last\": %d\n}\n", last) > 0 && fclose(file) == 0);
}

/* The most that one of the call's blocks took. */
static size_t most_of_a_read(const flagstore_t *store, const char *expected) {
    largest = 0;
    char *json = flagstore_get(store, "last", NULL);
    size_t most = largest;
    CHECK_OWNED(expected, json);
    return most;
}

static void an_unchanged_file_is_not_parsed_again(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = open_mode(FLAGS_FILE, FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_NONE, &error);
    CHECK_OK(error);
    for (int last = 0; last < 2; last++) {
        put_flags(last);
        const char *expected = last ? "1" : "0";
        size_t size = (size_t)STATUS_OF(FLAGS_FILE).st_size, first = most_of_a_read(store, expected);
        CHECK_THAT(first >= size, "another file of %zu bytes is read with %zu", size, first);
        most_of_a_read(store, expected); /* what is read again is worth an index */
        for (int i = 0; i < 3; i++) {
            size_t again = most_of_a_read(store, expected);
            CHECK_THAT(again <= PIECE, "the same file of %zu bytes is read with %zu", size, again);
        }
    }
    flagstore_free(store);
}

int main(void) {
#ifdef __GLIBC__
    RUN(an_unchanged_file_is_not_parsed_again);
#else
    printf("unchanged: only with glibc, whose malloc can be replaced\n");
#endif
    return check_summary("unchanged");
}
