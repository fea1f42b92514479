/*
 * flagstore: feature flags in one JSON file that people can read.
 *
 * A store maps a flag's key to any JSON value. Rules that hold for every function:
 *
 *  1. Every function that can fail takes a last argument `flagstore_error_t **error`, which may be NULL. Otherwise
 *     NULL is stored there first, and an error object only on failure: the variable need not be initialised.
 *  2. flagstore_free releases everything the library hands out. Never give it to free(), nor the library what it
 *     did not hand out.
 *  3. NULL for a required pointer, text that is not UTF-8, and a handle of another kind are
 *     FLAGSTORE_INVALID_ARGUMENT, never a crash.
 *  4. A store may be used from any number of threads at once, without locking by the caller. `const flagstore_t *`
 *     marks the calls that only read.
 *  5. JSON handed out is compact, in UTF-8 (non-ASCII unescaped), object keys sorted at every level, NUL-terminated,
 *     without raw NUL bytes. Numbers keep the exact digits that were stored. JSON handed in may have any layout; a
 *     value may nest 127 levels. An object that repeats a key means its last value.
 *  6. Structs that callers fill begin with their size and may be shorter than the library knows; zero means the
 *     default in every field.
 *  7. Callbacks get their userdata first, are never called with a lock held, and must not throw.
 *  8. Nothing is printed unless logging is asked for. A bug in the library is FLAGSTORE_INTERNAL, no abort. errno is
 *     not part of the contract. No function may be called from a signal handler.
 *  9. Threads, processes and fork: any number of processes may share a file. A store opened before fork works in the
 *     child. The library stays loaded after dlclose.
 *
 * The file is one JSON object, written as Python's json.dump(flags, file, indent=2, sort_keys=True) writes it, with a
 * newline at the end. A change takes a lock (the file .NAME.lock beside it, which stays), writes .NAME.tmp, syncs it,
 * renames it over the file and syncs the directory. Other programs should replace the file too, not overwrite it in
 * place.
 *
 * This file is generated from the library's source by its build: do not edit it.
 */

#ifndef FLAGSTORE_H
#define FLAGSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header, as text. */
#define FLAGSTORE_VERSION "0.2.0"
/* The same as numbers: what changes the interface, */
#define FLAGSTORE_VERSION_MAJOR 0
/* what adds to it, */
#define FLAGSTORE_VERSION_MINOR 2
/* and what does neither. While MAJOR is 0, MINOR may change it too. */
#define FLAGSTORE_VERSION_PATCH 0

/* ---- Library. ---- */

/* The number of the binary interface that this header describes. */
#define FLAGSTORE_ABI_VERSION 2

/* The version of the library, "MAJOR.MINOR.PATCH". Static. */
const char *flagstore_version(void);

/* The number of the library's binary interface: it fits a program if it equals the FLAGSTORE_ABI_VERSION of the
   header that the program was compiled with. A host that loads the library with dlopen asks this first. */
uint32_t flagstore_abi_version(void);

/* Whether this build has the feature: "memory", "file", "backend", "snapshot", "batch", "watch",
   "checked" and "watched" (the read modes). False for a name it does not know, and for NULL. */
bool flagstore_has_feature(const char *name);

/* Frees whatever the library handed out: a string, an error, a store, a snapshot, a batch, a watch. NULL is
   allowed. No thread may be inside a call
   that uses the object. A pointer that is none of these, or was freed before, prints one line and aborts. */
void flagstore_free(void *object);

/* ---- Errors: every function that can fail takes a last argument `error`, which may be NULL. Otherwise NULL is stored ---- */

/* there first, and on failure an error object, which the caller frees. */

/* No error. */
#define FLAGSTORE_OK 0

/* NULL, text that is not UTF-8, a handle of another kind, an option out of range. */
#define FLAGSTORE_INVALID_ARGUMENT 1

/* The text given as a value is not one JSON value; the message has line and column. */
#define FLAGSTORE_INVALID_JSON 2

/* What is stored is not one JSON object; the message has path, line and column. Nothing is overwritten. */
#define FLAGSTORE_CORRUPT 3

/* The system refused; `flagstore_error_os_code` has errno. */
#define FLAGSTORE_IO 4

/* The lock was not free within the timeout; nothing was written. */
#define FLAGSTORE_LOCKED 5

/* The store was opened read-only. */
#define FLAGSTORE_READ_ONLY 6

/* This backend does not provide the call. */
#define FLAGSTORE_NOT_IMPLEMENTED 7

/* A typed getter found another type, or a number out of range. */
#define FLAGSTORE_TYPE_MISMATCH 8

/* A batch expectation did not hold. */
#define FLAGSTORE_CONFLICT 9

/* A custom or remote backend failed. */
#define FLAGSTORE_BACKEND 10

/* The change is visible, but the last fsync failed: it may not survive a power cut. Setting again is safe. */
#define FLAGSTORE_NOT_DURABLE 11

/* A remote store was not reached in time; nothing was changed. Reserved: no store of this version gives it by itself. */
#define FLAGSTORE_UNAVAILABLE 12

/* A remote store's answer did not come: the change may or may not have been made. Reserved, as above. */
#define FLAGSTORE_UNCERTAIN 13

/* A bug in flagstore, caught at the boundary. */
#define FLAGSTORE_INTERNAL 99

/* Why a call failed. Immutable; any thread may read it. Free it with `flagstore_free`. */
typedef struct flagstore_error_t flagstore_error_t;

/* The code of the error, FLAGSTORE_OK for NULL, FLAGSTORE_INVALID_ARGUMENT for what is not an error object. */
int32_t flagstore_error_code(const flagstore_error_t *error);

/* The message in English, in UTF-8, with the path, key, line and column it is about; lines and columns count from 1,
   columns in characters. It lives as long as the error object. "" for NULL and for what is not an error object. */
const char *flagstore_error_message(const flagstore_error_t *error);

/* The system's error number (errno) behind FLAGSTORE_IO or FLAGSTORE_NOT_DURABLE, else 0. */
int32_t flagstore_error_os_code(const flagstore_error_t *error);

/* The name of an error code, such as "FLAGSTORE_CORRUPT"; "FLAGSTORE_UNKNOWN" for a code this version does not have.
   Static. */
const char *flagstore_error_name(int32_t code);

/* A new error object, to be returned by a backend or freed with `flagstore_free`. A NULL message is "", one that is
   not UTF-8 is repaired. NULL for the code FLAGSTORE_OK, which is no error. */
flagstore_error_t *flagstore_error_new(int32_t code,
                                       const char *message);

/* ---- Log: errors and warnings as they happen. Nothing is printed unless a callback is set here or the environment ---- */

/* variable FLAGSTORE_LOG names a level (error, warn, info, debug), which sends the lines to standard error. */

/* A call failed by the system's doing or by a bug. */
#define FLAGSTORE_LOG_ERROR 1

/* A call failed by its caller's doing, or something is not as it should be. */
#define FLAGSTORE_LOG_WARN 2

/* Something worth knowing. */
#define FLAGSTORE_LOG_INFO 3

/* Details for finding bugs. */
#define FLAGSTORE_LOG_DEBUG 4

/* Takes one log message. `message` is valid during the call only. It may come from any thread that is inside a call
   of the library, and may itself call the library; it must not throw. */
typedef void (*flagstore_log_fn)(void *userdata, int32_t level, const char *message);

/* Sends every message of `level` and graver to `callback`, instead of wherever they went before. A NULL callback
   turns the log off. A call that is under way in another thread may still use the callback that was set before.

   `level` is one of FLAGSTORE_LOG_ERROR to FLAGSTORE_LOG_DEBUG; 0 or less is off, more is as DEBUG. Each error is
   logged once, before the call that failed returns. */
void flagstore_set_log(flagstore_log_fn callback,
                       void *userdata,
                       int32_t level);

/* ---- Open. ---- */

/* Every read reads the file (the default). Nothing is kept between reads. */
#define FLAGSTORE_READ_FRESH 0

/* A read is one stat of the file; it is read again only if its size, times or inode differ from what was kept. Reads
   see what FLAGSTORE_READ_FRESH would see. It costs memory for the flags and one open descriptor of the file, but no
   thread. What is kept is used only where a later change is sure to show in the file's times: until they are 20 ms
   old (2.1 s where they are whole seconds) every read reads the file, except on ext4, XFS, btrfs and tmpfs of Linux
   6.13 and later; and always on network file systems and FUSE. What changes no time, as a store through mmap may not,
   is not seen. */
#define FLAGSTORE_READ_CHECKED 1

/* A read is a look into memory: a thread of the library takes the flags anew when the system tells of a change.
   What this store itself changes is seen at once. What others change is seen when that thread has run, commonly
   within a millisecond, and after a second at the latest where no event tells (a directory further up is renamed). In
   between, and wherever there are no events (their number is limited, network file systems have none: one warning in
   the log), reads are those of FLAGSTORE_READ_CHECKED. It costs what that costs, one thread and two descriptors more,
   which flagstore_free ends. A child of fork has no such thread: there the store reads as FLAGSTORE_READ_CHECKED. */
#define FLAGSTORE_READ_WATCHED 2

/* A change is on stable storage before the call returns (the default). */
#define FLAGSTORE_SYNC_FULL 0

/* No fsync: atomic for readers and killed processes only. After a power cut the file may be empty or torn. */
#define FLAGSTORE_SYNC_NONE 1

/* Never torn by a power cut, but the last changes may be missing after it. */
#define FLAGSTORE_SYNC_ORDERED 2

/* A missing file is an error at open (FLAGSTORE_IO, ENOENT). */
#define FLAGSTORE_OPEN_EXISTING 1

/* Every change is FLAGSTORE_READ_ONLY, and nothing is created. */
#define FLAGSTORE_OPEN_READ_ONLY 2

/* A store of flags. Any number of threads may use it at once, without locking by the caller. Free it with
   `flagstore_free` when no thread is inside a call on it. */
typedef struct flagstore_t flagstore_t;

/* Options of a file store. Set all of it to zero, then `size` to sizeof(flagstore_file_options_t); zero means the
   default in every field. */
typedef struct {
  /* sizeof(flagstore_file_options_t) */
  size_t size;
  /* FLAGSTORE_READ_* */
  int32_t read_mode;
  /* FLAGSTORE_SYNC_FULL, FLAGSTORE_SYNC_NONE (may be empty or torn after a power cut) or FLAGSTORE_SYNC_ORDERED */
  int32_t durability;
  /* FLAGSTORE_OPEN_*, added up */
  uint32_t flags;
  /* how long a change waits for the lock, in milliseconds; 0: 5000; -1: for ever; then FLAGSTORE_LOCKED */
  int32_t lock_timeout_ms;
  /* permission bits of a created file; 0: 0666 less the umask */
  uint32_t mode;
  /* 0 */
  uint32_t reserved;
  /* a larger file or result is FLAGSTORE_IO (EFBIG); 0: 256 MiB; at most 4 GiB are ever read */
  uint64_t max_bytes;
} flagstore_file_options_t;

/* Opens an empty store in memory, for the life of the process. To be freed; NULL on failure. */
flagstore_t *flagstore_memory_open(flagstore_error_t **error);

/* Opens the JSON file at `path` with the default options; creates it ("{}") if it is missing. To be freed; NULL on
   failure: FLAGSTORE_IO for a missing directory, a link to nowhere, a path that is not a regular file, a refusal.

   The content is not read yet: a corrupt file is reported by the first call that needs it. A relative path is
   resolved now, so that a later change of directory does no harm. */
flagstore_t *flagstore_file_open(const char *path,
                                 flagstore_error_t **error);

/* The same with options; NULL options are the defaults. FLAGSTORE_INVALID_ARGUMENT for a value out of range, and for
   a larger struct of a newer header that asks for what this library does not have. */
flagstore_t *flagstore_file_open_with(const char *path,
                                      const flagstore_file_options_t *options,
                                      flagstore_error_t **error);

/* ---- The contract: the five calls that every store answers. Keys and JSON are NUL-terminated UTF-8. ---- */

/* The flag's value as compact JSON text, to be freed. NULL with *error NULL: there is no such flag; NULL with *error
   set: the call failed. A stored null is the text "null". */
char *flagstore_get(const flagstore_t *store,
                    const char *key,
                    flagstore_error_t **error);

/* Stores the JSON value that `json` spells under `key`. true: done; false: failed, and nothing has changed, except
   under FLAGSTORE_NOT_DURABLE. FLAGSTORE_INVALID_JSON if the text is not one JSON value. */
bool flagstore_set(flagstore_t *store,
                   const char *key,
                   const char *json,
                   flagstore_error_t **error);

/* Removes the flag. true: it existed; false with *error NULL: it did not; false with *error set: the call failed. */
bool flagstore_delete(flagstore_t *store,
                      const char *key,
                      flagstore_error_t **error);

/* Every flag as of one moment, as one compact JSON object, to be freed; NULL: failed. */
char *flagstore_list_all(const flagstore_t *store, flagstore_error_t **error);

/* The number of flags; -1: failed. */
int64_t flagstore_len(const flagstore_t *store, flagstore_error_t **error);

/* ---- Typed values: the getters answer `fallback` if the flag is absent (no error), of another type or out of range ---- */

/* (FLAGSTORE_TYPE_MISMATCH), or unreadable (the error). */

/* The flag does not exist. */
#define FLAGSTORE_TYPE_ABSENT 0

/* null */
#define FLAGSTORE_TYPE_NULL 1

/* true or false */
#define FLAGSTORE_TYPE_BOOL 2

/* Any number. */
#define FLAGSTORE_TYPE_NUMBER 3

/* A string. */
#define FLAGSTORE_TYPE_STRING 4

/* An array. */
#define FLAGSTORE_TYPE_ARRAY 5

/* An object. */
#define FLAGSTORE_TYPE_OBJECT 6

/* The boolean under `key`. */
bool flagstore_get_bool(const flagstore_t *store,
                        const char *key,
                        bool fallback,
                        flagstore_error_t **error);

/* The integer under `key`: any JSON number that is integral and in range, also 3.0 and 3e2. */
int64_t flagstore_get_int64(const flagstore_t *store,
                            const char *key,
                            int64_t fallback,
                            flagstore_error_t **error);

/* The number under `key` as the nearest double; one too large for a double (1e400) is FLAGSTORE_TYPE_MISMATCH. */
double flagstore_get_double(const flagstore_t *store,
                            const char *key,
                            double fallback,
                            flagstore_error_t **error);

/* The string under `key`, without quotes and escapes, or a copy of `fallback`; to be freed. A NULL fallback gives
   NULL. A string that contains U+0000 is FLAGSTORE_TYPE_MISMATCH: see `flagstore_get_string_n`. So is one with the
   escape of a lone surrogate (half an emoji), which UTF-8 cannot hold: `flagstore_get` hands out the escape. */
char *flagstore_get_string(const flagstore_t *store,
                           const char *key,
                           const char *fallback,
                           flagstore_error_t **error);

/* The type of the value under `key`, one of FLAGSTORE_TYPE_*; FLAGSTORE_TYPE_ABSENT (0) if there is none; -1: failed. */
int32_t flagstore_get_type(const flagstore_t *store,
                           const char *key,
                           flagstore_error_t **error);

/* Stores a boolean. Returns and fails as `flagstore_set`. */
bool flagstore_set_bool(flagstore_t *store, const char *key, bool value, flagstore_error_t **error);

/* Stores an integer. Returns and fails as `flagstore_set`. */
bool flagstore_set_int64(flagstore_t *store,
                         const char *key,
                         int64_t value,
                         flagstore_error_t **error);

/* Stores a double with the shortest digits that mean it, as Python's repr spells them (0.1, 1e+16, 100000.0).
   FLAGSTORE_INVALID_ARGUMENT for NaN and the infinities. Returns and fails as `flagstore_set` otherwise. */
bool flagstore_set_double(flagstore_t *store,
                          const char *key,
                          double value,
                          flagstore_error_t **error);

/* Stores a string, given as plain UTF-8 text (not JSON). Returns and fails as `flagstore_set`. */
bool flagstore_set_string(flagstore_t *store,
                          const char *key,
                          const char *value,
                          flagstore_error_t **error);

/* ---- The same by pointer and length, for C++ string_view, Go strings, and keys that contain U+0000. A NULL pointer is ---- */

/* refused even with length 0. */

/* As `flagstore_get`. The length of the result in bytes, without its NUL, goes to `json_len`, which may be NULL. */
char *flagstore_get_n(const flagstore_t *store,
                      const char *key,
                      size_t key_len,
                      size_t *json_len,
                      flagstore_error_t **error);

/* As `flagstore_set`. */
bool flagstore_set_n(flagstore_t *store,
                     const char *key,
                     size_t key_len,
                     const char *json,
                     size_t json_len,
                     flagstore_error_t **error);

/* As `flagstore_delete`. */
bool flagstore_delete_n(flagstore_t *store,
                        const char *key,
                        size_t key_len,
                        flagstore_error_t **error);

/* As `flagstore_get_bool`. */
bool flagstore_get_bool_n(const flagstore_t *store,
                          const char *key,
                          size_t key_len,
                          bool fallback,
                          flagstore_error_t **error);

/* As `flagstore_get_int64`. */
int64_t flagstore_get_int64_n(const flagstore_t *store,
                              const char *key,
                              size_t key_len,
                              int64_t fallback,
                              flagstore_error_t **error);

/* As `flagstore_get_double`. */
double flagstore_get_double_n(const flagstore_t *store,
                              const char *key,
                              size_t key_len,
                              double fallback,
                              flagstore_error_t **error);

/* The string under `key`, to be freed, its length in bytes in `value_len`, which may be NULL; the string may contain
   NULs and ends with one more. NULL with *error NULL: there is no such flag; NULL with *error set: the call failed,
   with FLAGSTORE_TYPE_MISMATCH if the value is not a string. */
char *flagstore_get_string_n(const flagstore_t *store,
                             const char *key,
                             size_t key_len,
                             size_t *value_len,
                             flagstore_error_t **error);

/* ---- Snapshots: a consistent picture, read without parsing JSON. The strings are borrowed from the snapshot: they live ---- */

/* until it is freed, and end with a NUL that is not counted. Any number of threads may read one. */

/* Every flag of a store as of one moment. Immutable; may outlive the store. Free it with `flagstore_free`. */
typedef struct flagstore_snapshot_t flagstore_snapshot_t;

/* Takes a snapshot, to be freed; NULL: failed. One of a memory store shares the flags with it and copies nothing. */
flagstore_snapshot_t *flagstore_snapshot(const flagstore_t *store,
                                         flagstore_error_t **error);

/* The number of flags; 0 for NULL. */
size_t flagstore_snapshot_count(const flagstore_snapshot_t *snapshot);

/* The key at `index`, counted from 0 in byte order, its length in bytes in `len`, which may be NULL. NULL past the
   end. */
const char *flagstore_snapshot_key(const flagstore_snapshot_t *snapshot,
                                   size_t index,
                                   size_t *len);

/* The compact JSON text of the value at `index`, as `flagstore_snapshot_key`. */
const char *flagstore_snapshot_value(const flagstore_snapshot_t *snapshot,
                                     size_t index,
                                     size_t *len);

/* The compact JSON text of the value under `key`, its length in `len`, which may be NULL. NULL: no such flag. */
const char *flagstore_snapshot_find(const flagstore_snapshot_t *snapshot,
                                    const char *key,
                                    size_t *len);

/* As `flagstore_snapshot_find`, for a key of `key_len` bytes, which may contain U+0000. */
const char *flagstore_snapshot_find_n(const flagstore_snapshot_t *snapshot,
                                      const char *key,
                                      size_t key_len,
                                      size_t *len);

/* The index of the first key that is not less than the `key_len` bytes at `key`, in byte order; the count if there is
   none. The keys that begin with `key` stand in a row from there. The count too for a key that is NULL or not UTF-8;
   0 for a NULL snapshot. */
size_t flagstore_snapshot_seek(const flagstore_snapshot_t *snapshot,
                               const char *key,
                               size_t key_len);

/* ---- Batches: several changes in one atomic write, with conditions. One thread at a time may build a batch; commit only ---- */

/* reads it, and may be called again. */

/* Changes that are made together, and what they expect. Free it with `flagstore_free`. */
typedef struct flagstore_batch_t flagstore_batch_t;

/* An empty batch, to be freed. */
flagstore_batch_t *flagstore_batch_new(void);

/* Will store the JSON value under `key`; the batch's last word on a key counts. false: failed, with
   FLAGSTORE_INVALID_JSON if the text is not one JSON value, and the batch is as it was. */
bool flagstore_batch_set(flagstore_batch_t *batch,
                         const char *key,
                         const char *json,
                         flagstore_error_t **error);

/* As `flagstore_batch_set`, by pointer and length. */
bool flagstore_batch_set_n(flagstore_batch_t *batch,
                           const char *key,
                           size_t key_len,
                           const char *json,
                           size_t json_len,
                           flagstore_error_t **error);

/* Will remove the flag, if there is one; the batch's last word on a key counts. */
bool flagstore_batch_delete(flagstore_batch_t *batch, const char *key, flagstore_error_t **error);

/* As `flagstore_batch_delete`, by pointer and length. */
bool flagstore_batch_delete_n(flagstore_batch_t *batch,
                              const char *key,
                              size_t key_len,
                              flagstore_error_t **error);

/* Will remove everything before the changes of the batch are made, whether they were added before or after this. */
bool flagstore_batch_clear(flagstore_batch_t *batch,
                           flagstore_error_t **error);

/* Commit only if the flag then equals `json` as a JSON value: white space and the order of keys do not matter, `1`
   and `1.0` differ. NULL json: only if there is no such flag. What is expected is of the store before the batch. The
   last expectation of a key counts. */
bool flagstore_batch_expect(flagstore_batch_t *batch,
                            const char *key,
                            const char *json,
                            flagstore_error_t **error);

/* As `flagstore_batch_expect`, by pointer and length; NULL json of length 0: only if there is no such flag. */
bool flagstore_batch_expect_n(flagstore_batch_t *batch,
                              const char *key,
                              size_t key_len,
                              const char *json,
                              size_t json_len,
                              flagstore_error_t **error);

/* Makes all changes of the batch in one write, or none. true: done; false: failed, with FLAGSTORE_CONFLICT if an
   expectation did not hold; then nothing was written.

   On a custom backend the changes are made one after another, under the store's lock: other users of this handle see
   all or none, but a call that fails half-way leaves the earlier changes, and another process may see some. */
bool flagstore_commit(flagstore_t *store,
                      const flagstore_batch_t *batch,
                      flagstore_error_t **error);

/* Whether the batch first removes everything; false for NULL. */
bool flagstore_batch_clears(const flagstore_batch_t *batch);

/* The number of flags that the batch stores or removes, besides what it clears; 0 for NULL. */
size_t flagstore_batch_count(const flagstore_batch_t *batch);

/* The key of the change at `index`, counted from 0 in byte order, each key once; its length in bytes in `len`, which
   may be NULL. NULL past the end. The string is the batch's and lives until the batch is changed or freed. */
const char *flagstore_batch_key(const flagstore_batch_t *batch,
                                size_t index,
                                size_t *len);

/* The compact JSON text that the change at `index` stores, as `flagstore_batch_key`. NULL, of length 0, if it removes
   the flag, and past the end. */
const char *flagstore_batch_value(const flagstore_batch_t *batch,
                                  size_t index,
                                  size_t *len);

/* The number of flags of which the batch expects something; 0 for NULL. */
size_t flagstore_batch_expect_count(const flagstore_batch_t *batch);

/* The key of the expectation at `index`, as `flagstore_batch_key`. */
const char *flagstore_batch_expect_key(const flagstore_batch_t *batch, size_t index, size_t *len);

/* The compact JSON text that the flag must equal, as `flagstore_batch_key`. NULL, of length 0, if there must be no
   such flag, and past the end. */
const char *flagstore_batch_expect_value(const flagstore_batch_t *batch,
                                         size_t index,
                                         size_t *len);

/* Whether two texts are the same JSON value, as `flagstore_batch_expect` compares them. false if either is NULL or not
   one JSON value. */
bool flagstore_json_equal(const char *a,
                          size_t a_len,
                          const char *b,
                          size_t b_len);

/* ---- RevisionCounter: whoever makes them. A file's changes by any process and person are seen, a custom backend's only if made ---- */

/* through the same handle. */

/* Calls back for changes until it is freed with `flagstore_free`. */
typedef struct flagstore_watch_t flagstore_watch_t;

/* Takes one change: the flag, its JSON before (NULL: it is new) and now (NULL: it was deleted). The strings are valid
   during the call only. It comes from a thread of the library, one call at a time per watch; it may call the library,
   also to free its own watch, and must not throw. A key that contains U+0000 seems to end there. */
typedef void (*flagstore_watch_fn)(void *userdata,
                                   const char *key,
                                   const char *old_json,
                                   const char *new_json);

/* A number that is never 0 on success and differs from an earlier answer of this store whenever the content may have
   changed since; 0: failed. Of a file that has been at rest it costs one stat. It means nothing to another process. Of a custom backend it
   counts the changes made through the same handle. */
uint64_t flagstore_revision(const flagstore_t *store,
                            flagstore_error_t **error);

/* Blocks the calling thread until the revision differs from *revision, then updates it and returns true. false with
   *error NULL: `timeout_ms` milliseconds have passed (-1: never do); false with *error set: failed. There is no
   callback and no other thread, so any thread of any language may call it.

   A file is watched by file-system events; where there are none (network file systems, exhausted limits) it is
   looked at every 50 ms, which the log tells at level INFO. A store that has been waited on keeps its source of
   events, one descriptor, until it is freed. */
bool flagstore_wait(const flagstore_t *store,
                    uint64_t *revision,
                    int32_t timeout_ms,
                    flagstore_error_t **error);

/* Calls `callback` for each change of the flag `key`, or of every flag if `key` is NULL, from now on; to be freed,
   NULL: failed. RevisionCounter in quick succession come as one, from the value that was last reported to the value now. A
   file that cannot be read for a while, or is corrupt, is logged, keeps its last good picture, and recovers by itself.

   Freeing the watch stops it: no call runs after `flagstore_free` returns, which waits for one that is under way,
   except where it is called from inside the callback. The store may be freed before its watches. A forked child is
   never called; it may free its copy. Free the watches of an interpreter before it ends. */
flagstore_watch_t *flagstore_watch(flagstore_t *store,
                                   const char *key,
                                   flagstore_watch_fn callback,
                                   void *userdata,
                                   flagstore_error_t **error);

/* ---- A backend of your own: the four methods, from C. ---- */

/* Where a backend puts its answer, with `flagstore_reply`, during the call only. */
typedef struct flagstore_reply_t flagstore_reply_t;

/* The functions of a backend. Each returns true, or false with an error object of `flagstore_error_new` (or of
   another store's call) in *error, whose code and message the caller of the store gets. A function left NULL makes
   the calls that need it fail with FLAGSTORE_NOT_IMPLEMENTED; `len` needs list_all.

   Keys and JSON come by pointer and length, in UTF-8, with a NUL behind them, and are valid during the call. The calls of one store never
   overlap, but come from whatever thread uses the store. They must not throw. A backend may call the library for
   other stores, not for its own. */
typedef struct {
  /* sizeof(flagstore_backend_t) */
  size_t size;
  /* given to every function */
  void *context;
  /* replies the flag's value; no reply: there is no such flag */
  bool (*get)(void *context,
              const char *key,
              size_t key_len,
              flagstore_reply_t *reply,
              flagstore_error_t **error);
  /* stores compact JSON */
  bool (*set)(void *context,
              const char *key,
              size_t key_len,
              const char *json,
              size_t json_len,
              flagstore_error_t **error);
  /* removes the flag and says whether it existed */
  bool (*remove)(void *context,
                 const char *key,
                 size_t key_len,
                 bool *existed,
                 flagstore_error_t **error);
  /* replies every flag, in any order */
  bool (*list_all)(void *context, flagstore_reply_t *reply, flagstore_error_t **error);
  /* called once, when the store and its last watch are freed; may be NULL */
  void (*close)(void *context);
} flagstore_backend_t;

/* Opens a store over the caller's functions, which are copied; to be freed. NULL: failed, and `close` is not called. */
flagstore_t *flagstore_backend_open(const flagstore_backend_t *backend,
                                    flagstore_error_t **error);

/* Hands one value over to the call that `reply` came with; key and JSON are copied. In a `get` the key is known and
   may be NULL. A key that is not UTF-8 or a value that is not JSON makes that call fail with FLAGSTORE_BACKEND. */
void flagstore_reply(flagstore_reply_t *reply,
                     const char *key,
                     size_t key_len,
                     const char *json,
                     size_t json_len);

#ifdef __cplusplus
}
#endif

#endif /* FLAGSTORE_H */
