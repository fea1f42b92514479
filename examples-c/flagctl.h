/* What the files of flagctl share. */
#ifndef FLAGCTL_H
#define FLAGCTL_H

#include <stdio.h>

#include <flagstore.h>

enum { DONE = 0, ABSENT = 1, CONFLICT = 1, DIFFERENT = 1, FAILED = 2 };

/* Says why, frees the error, and gives the exit status. */
int fail(flagstore_error_t *error);

/* False, after saying so, if no file was named. */
bool has_file(const char *file);

/* Everything `input` holds and a NUL, to be freed with free; NULL, after saying why, if that fails. */
char *read_all(FILE *input, const char *name, size_t *len);

/* Commands: each gets the words behind its name, NULL at the end. */
int apply_batch(flagstore_t *flags, char **words);
int import_all(flagstore_t *flags, char **words);
int watch_changes(flagstore_t *flags, char **words);

/* The one command of several files: those of the words, or else `file`. */
int check_files(const char *file, char **words);

#endif
