/* What the files of flagctl share. */
#ifndef FLAGCTL_H
#define FLAGCTL_H

#include <stdio.h>

#include <flagstore.h>

/* How a file is opened that is not to be changed. */
#define READING (FLAGSTORE_OPEN_EXISTING | FLAGSTORE_OPEN_READ_ONLY)

enum { DONE = 0, ABSENT = 1, CONFLICT = 1, DIFFERENT = 1, FAILED = 2 };

/* Says why, frees the error, and gives the exit status. */
int fail(flagstore_error_t *error);

/* False, after saying so, if no file was named. */
bool has_file(const char *file);

/* Everything `input` holds and a NUL, to be freed with free; NULL, after saying why, if that fails. */
char *read_all(FILE *input, const char *name, size_t *len);

/* Opens one file. NULL, with *error set, if that fails. */
flagstore_t *open_file(const char *path, uint32_t how, flagstore_error_t **error);

/* The same of several files, NULL at the end: the flags of all, the first file on top. */
flagstore_t *open_files(char **files, uint32_t how, flagstore_error_t **error);

/* Commands: each gets the words behind its name, NULL at the end. */
int apply_batch(flagstore_t *flags, char **words);
int import_all(flagstore_t *flags, char **words);
int watch_changes(flagstore_t *flags, char **words);

/* Commands that open the files themselves. */
int check_files(char **files, char **words);
int mirror(char **files, char **words);
int why(char **files, char **words);

#endif
