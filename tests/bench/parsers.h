/* JSON libraries for C, as peers for reading one flag of a file. */
#ifndef PARSERS_H
#define PARSERS_H

#include "bench.h"

typedef struct {
    const char *name;
    /* Reads the file, into `buffer` if the library takes text. */
    bool (*get_bool)(const char *path, buffer *buffer, const char *key);
} parser;

enum { MAX_PARSERS = 4, YYJSONS = 2 };

/* Those of yyjson first, where it is. */
extern const parser parsers[MAX_PARSERS];
extern const size_t parser_count;
extern const bool have_yyjson;

#endif
