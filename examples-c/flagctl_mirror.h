/* What the two files of flagctl mirror share. */
#ifndef FLAGCTL_MIRROR_H
#define FLAGCTL_MIRROR_H

#include <flagstore.h>

/* The file that is kept equal. Set the path, and everything else to zero. */
typedef struct {
    const char *path;
    flagstore_t *store; /* NULL: not open, or to be opened anew */
    uint64_t equal_here, equal_there; /* the revisions at which file and remote store were equal */
    size_t unreadable; /* how many flags keep the value that they have in the file, for that in the store is not JSON */
} mirror_file_t;

/* False, with *error set, if the file could never be written: its directory is missing or is not writable, or something
 * that is no file stands in its place. It creates nothing. */
bool mirror_file_check(mirror_file_t *file, flagstore_error_t **error);

/* Whether the file has any flags, as far as is known: a corrupt one may have had some. */
bool mirror_file_has_flags(const mirror_file_t *file);

/* Makes the file equal to `flags`, which `remote` had at `revision`, in one write if any is needed. */
bool mirror_file_update(mirror_file_t *file, const flagstore_t *remote, const flagstore_snapshot_t *flags,
                        uint64_t revision, flagstore_error_t **error);

#endif
