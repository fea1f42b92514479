/* JSON libraries for C, as peers for reading one flag of a file. */
#ifndef PARSERS_H
#define PARSERS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *name;
    /* Parses `text`, which may be overwritten and has 64 bytes to spare behind it. */
    bool (*get_bool)(char *text, size_t len, const char *key);
} parser;

enum { MAX_PARSERS = 3 };

extern const parser parsers[MAX_PARSERS];
extern const size_t parser_count;
extern const bool have_yyjson;

#endif
