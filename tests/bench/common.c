#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t all_sizes[] = {10, 100, 1000, 10000, 100000};

settings config = {.rounds = 15, .sample_ns = 20e6, .dir = ".", .scripts = ".", .programs = ".",
                   .sizes = all_sizes, .size_count = COUNT(all_sizes)};

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

void must(const char *what, flagstore_error_t *error) {
    if (error) die("%s: %s", what, flagstore_error_message(error));
}

void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory) die("out of memory");
    return memory;
}

char *text_of(const char *format, ...) {
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0) die("out of memory");
    return text;
}
