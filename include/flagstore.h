/* flagstore: feature flags in one JSON file that people can read.

   A store maps a flag's key to one JSON value. These rules hold for every function:

    1. Names begin with flagstore_, types end in _t, constants begin with FLAGSTORE_. Constants are
       plain numbers, no enums: later versions may add to them.
    2. A function that can fail takes `flagstore_error_t **error` as its last argument, which may
       be NULL. Otherwise the function stores NULL there first, and an error object only on failure:
       the variable need not be initialised, and it is NULL after success. There is no hidden "last
       error", and errno means nothing after a call.
    3. What comes back as `char *` or as a handle belongs to the caller, who releases it with
       flagstore_free, never with free(). What comes back as `const char *` is borrowed: its comment
       says for how long it lives. Whatever the caller passes in stays the caller's; the library
       copies what it keeps.
    4. NULL for a pointer that is not said to be optional, text that is not UTF-8, and a handle of
       another kind are FLAGSTORE_INVALID_ARGUMENT, never a crash. A handle that was freed, or a
       pointer to anything else, is a bug of the caller, as everywhere in C.
    5. A store may be used from any number of threads at once without locking. `const flagstore_t *`
       marks calls that only read. An object is freed when no other thread is inside a call with it.
    6. Nothing is printed unless logging was asked for, no signal is raised, and a bug in the
       library is FLAGSTORE_INTERNAL, not an abort. No function may be called from a signal handler.
    7. JSON that comes back is compact and in UTF-8 (non-ASCII unescaped), with sorted keys at every
       level, a NUL at the end and none inside. Numbers keep the exact digits that were stored. JSON
       that goes in may have any layout, up to 127 levels deep; of a key that an object repeats, the
       last value counts.
    8. Structs that the caller fills begin with their size. One of an older header is shorter and
       works; in a newer one the fields that this library does not know must be zero. Zero means
       the default in every field.
    9. No function is a cancellation point: pthread_cancel takes effect after it has returned. Files
       and threads that the library opens are its own; a host that closes its descriptors makes its
       calls fail, not hang.
   10. Callbacks get their userdata first, are never called with a lock held, and must return: no
       exception, no longjmp, no pthread_exit.
   11. Any number of processes may share a file. A store that was opened before fork works in the
       child. The library stays loaded after dlclose.

   The file is one JSON object, written as Python's json.dump(flags, file, indent=2, sort_keys=True)
   writes it, with a newline at the end. A change takes a lock (the file .NAME.lock beside it, which
   stays), writes .NAME.tmp, syncs it, renames it over the file and syncs the directory. Other
   programs should replace the file too, not overwrite it in place.

   This header is generated from the library's source by its build: do not edit it. */

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

/* ---- The library ---- */

/* Any thread may call these functions at any time. */

/* The number of the binary interface that this header describes. */
#define FLAGSTORE_ABI_VERSION 2

/* The version of the library that is loaded, "MAJOR.MINOR.PATCH". The string is static. It
   cannot fail. */
const char *flagstore_version(void);

/* The number of the loaded library's binary interface. Header and library fit together if it
   equals FLAGSTORE_ABI_VERSION; a host that loads the library with dlopen asks this first. It
   cannot fail. */
uint32_t flagstore_abi_version(void);

/* Whether the loaded library has the feature of that name: "memory", "file", "backend", "layered"
   and "redis" (the kinds of store), "checked" and "watched" (the read modes), "snapshot", "batch",
   "watch", "status". false for a name that it does not know, and for NULL. */
bool flagstore_has_feature(const char *name);

/* Releases what the library handed out as `char *` or as a handle: a string, an error, a store,
   a snapshot, a batch, a watch. NULL is allowed and does nothing. It returns nothing and cannot
   fail.

   No other thread may be inside a call that uses the object. What was borrowed from the object
   (`const char *`) is gone with it; a snapshot or a watch of a freed store lives on.

   A pointer that is none of these, or that was freed before, is a bug of the host: the library
   writes one line to standard error and calls abort(). */
void flagstore_free(void *object);

/* ---- Errors ---- */

/* A call that fails logs the error (see "The log"), stores an error object in *error unless
   `error` is NULL, and returns the value that its comment names. The caller frees the object
   with flagstore_free.

   A code keeps its number for ever. Later versions may add codes: be ready for one that is not
   listed here. */

/* No error; the code of a NULL error object. */
#define FLAGSTORE_OK 0

/* The caller's mistake: NULL, text that is not UTF-8, a handle of another kind, an option out of
   range. */
#define FLAGSTORE_INVALID_ARGUMENT 1

/* The text given as a value is not one JSON value; the message has line and column. */
#define FLAGSTORE_INVALID_JSON 2

/* The stored text is not one JSON object; the message has path, line and column. Nothing is
   overwritten. */
#define FLAGSTORE_CORRUPT 3

/* The system refused; flagstore_error_os_code has its errno. Also: no memory (ENOMEM), or more
   than max_bytes (EFBIG). */
#define FLAGSTORE_IO 4

/* The lock was not free within the timeout. Nothing was written. */
#define FLAGSTORE_LOCKED 5

/* The store was opened read-only. */
#define FLAGSTORE_READ_ONLY 6

/* The backend does not provide the call. */
#define FLAGSTORE_NOT_IMPLEMENTED 7

/* A typed getter found another type, or a number out of range. */
#define FLAGSTORE_TYPE_MISMATCH 8

/* An expectation of a batch does not hold. Nothing was changed. */
#define FLAGSTORE_CONFLICT 9

/* A backend failed, or replied what is not a key or not JSON. */
#define FLAGSTORE_BACKEND 10

/* The change was made and is visible, but the last fsync failed: it may not survive a power cut.
   Making the change again is safe. */
#define FLAGSTORE_NOT_DURABLE 11

/* A store that is elsewhere was not reached in time. Nothing was changed: try again later. */
#define FLAGSTORE_UNAVAILABLE 12

/* The answer of a store that is elsewhere did not come: the change may have been made or not, or
   a part of changes that a backend makes one by one. Making it again may make it twice. Read what
   is there, or commit a batch with expectations: it fails with FLAGSTORE_CONFLICT if the first
   attempt was successful. */
#define FLAGSTORE_UNCERTAIN 13

/* A bug in flagstore, caught before it could harm the host. Please report it. */
#define FLAGSTORE_INTERNAL 99

/* Why a call failed. It does not change: any thread may read it. Free it with flagstore_free. */
typedef struct flagstore_error_t flagstore_error_t;

/* The code of the error: one of the above, or what a backend gave. FLAGSTORE_OK (0) for NULL,
   FLAGSTORE_INVALID_ARGUMENT for what is not an error object. */
int32_t flagstore_error_code(const flagstore_error_t *error);

/* The message in English, in UTF-8. It names the path, key, line and column that it is about;
   lines and columns count from 1, columns in characters. It may contain anything that a path or
   key contains, and FLAGSTORE_CONFLICT shows the beginning of the stored value: escape it before
   it goes to a terminal or a log.

   The string is borrowed from the error object and lives until that is freed. Never NULL: "" for
   NULL and for what is not an error object. */
const char *flagstore_error_message(const flagstore_error_t *error);

/* The system's error number (errno) behind FLAGSTORE_IO or FLAGSTORE_NOT_DURABLE. 0 if there is
   none, for NULL, and for what is not an error object. */
int32_t flagstore_error_os_code(const flagstore_error_t *error);

/* The name of an error code, such as "FLAGSTORE_CORRUPT". The string is static. It cannot fail:
   a code that this version does not have is "FLAGSTORE_UNKNOWN". */
const char *flagstore_error_name(int32_t code);

/* A new error object with a code and a copy of `message`. It is for the functions of a backend,
   which store it in *error; otherwise free it with flagstore_free. Any code will do but
   FLAGSTORE_OK, which is no error: then NULL. A NULL message is "", one that is not UTF-8 is
   repaired. */
flagstore_error_t *flagstore_error_new(int32_t code, const char *message);

/* ---- The log ---- */

/* Nothing is logged or printed unless somebody asks for it: the program with flagstore_set_log,
   or its user with the environment variable FLAGSTORE_LOG, which names a level (error, warn,
   info or debug) and sends lines to standard error. The variable is read once, at the first call
   of the library, and does not count in a program that runs with rights its user lacks (setuid,
   setgid).

   Each error is logged once, before the call that failed returns; what happens in a thread of
   the library, where nobody gets an error, is logged there. A message is one line of UTF-8. It
   names paths and keys, with control characters escaped, and never shows a stored value. */

/* The system's doing or a bug: FLAGSTORE_IO, FLAGSTORE_NOT_DURABLE, FLAGSTORE_INTERNAL. */
#define FLAGSTORE_LOG_ERROR 1

/* The caller's or somebody else's doing: all other errors; and what works less well than asked
   for. */
#define FLAGSTORE_LOG_WARN 2

/* Something worth knowing. */
#define FLAGSTORE_LOG_INFO 3

/* Details for finding bugs. */
#define FLAGSTORE_LOG_DEBUG 4

/* Takes one message of a FLAGSTORE_LOG_* level. `message` is valid during the call only. The
   call comes from a thread that is inside a call of the library, or from a thread of the
   library, and may come from several at once. No lock is held: it may call the library. It must
   not throw. */
typedef void (*flagstore_log_fn)(void *userdata, int32_t level, const char *message);

/* Sends every message of `level` and graver to `callback`, instead of wherever they went before.
   A NULL callback turns the log off. `level` is one of FLAGSTORE_LOG_*; 0 or less turns the log
   off too, more than FLAGSTORE_LOG_DEBUG is as that. It returns nothing and cannot fail.

   `userdata` is handed to the callback as it is. A call that is under way in another thread may
   still use the callback and the userdata that were set before. */
void flagstore_set_log(flagstore_log_fn callback, void *userdata, int32_t level);

/* ---- Opening a store ---- */

/* A store is opened, used from any thread, and freed with flagstore_free when no thread is
   inside a call on it. Any number of stores, in any number of processes, may be open on one
   file.

   A change of a file takes the lock of .NAME.lock beside it. All who may write the directory can
   take that lock, and nobody else. A change replaces the file: hard links to it keep the old
   flags, and a single file that is bind-mounted cannot be changed (mount its directory). The log
   warns of both. */

/* Every read reads the file (the default). The last content is kept, so that an
   unchanged file is not parsed again. */
#define FLAGSTORE_READ_FRESH 0

/* A read is one stat of the file; the file is read again if its size, times or inode have
   changed. Reads see what FLAGSTORE_READ_FRESH would see. It costs memory for the flags and one
   open descriptor, but no thread.

   The cache is used only if a later write is certain to change the timestamps: at once on what is
   mounted as ext4, XFS, btrfs or tmpfs by Linux 6.13 or later, on other local file systems when
   the last change is 20 ms old (2.1 s where times are whole seconds). Elsewhere (network file
   systems, FUSE, what is not known) every read reads the file. A write that changes no time, as a
   store through mmap may not, is not seen. */
#define FLAGSTORE_READ_CHECKED 1

/* A read takes the flags from memory: a thread of the library reads the file when the system
   announces a change. This store's own changes are seen at once. Changes of others are seen
   when that thread has run, commonly within a millisecond, and after a second at the latest
   where no event announces them (a directory further up is renamed). Until then, and where
   there are no events (their number is limited, network file systems have none: one warning in
   the log), reads are as with FLAGSTORE_READ_CHECKED. Where no thread is to be had, the store
   opens as such a one.

   It costs what that costs, and one thread and two descriptors, which flagstore_free ends. A
   forked child has no such thread: there the store reads as with FLAGSTORE_READ_CHECKED. */
#define FLAGSTORE_READ_WATCHED 2

/* A change is on stable storage before the call returns (the default). */
#define FLAGSTORE_SYNC_FULL 0

/* No fsync. Readers and killed processes never leave or see half a file, but after a power cut
   it may be empty or torn. */
#define FLAGSTORE_SYNC_NONE 1

/* Never torn by a power cut, but the last changes may be missing after it. */
#define FLAGSTORE_SYNC_ORDERED 2

/* A missing file is an error at open (FLAGSTORE_IO, ENOENT). */
#define FLAGSTORE_OPEN_EXISTING 1

/* Every change fails with FLAGSTORE_READ_ONLY, and nothing is created. */
#define FLAGSTORE_OPEN_READ_ONLY 2

/* A store of flags. Any number of threads may use it at once without locking. Calls that take it
   as `const` only read. Free it with flagstore_free when no thread is inside a call on it. */
typedef struct flagstore_t flagstore_t;

/* Options of a file store. Set all of it to zero, then `size` to
   sizeof(flagstore_file_options_t), then what you want; zero means the default in every field. */
typedef struct {
  /* sizeof(flagstore_file_options_t) */
  size_t size;
  /* one of FLAGSTORE_READ_* */
  int32_t read_mode;
  /* one of FLAGSTORE_SYNC_* */
  int32_t durability;
  /* FLAGSTORE_OPEN_*, added up */
  uint32_t flags;
  /* how long a change waits for the lock, in milliseconds, before it fails with
     FLAGSTORE_LOCKED; 0: 5000; -1: for ever */
  int32_t lock_timeout_ms;
  /* permission bits of a created file; 0: 0666 less the umask */
  uint32_t mode;
  /* must be 0 */
  uint32_t reserved;
  /* a larger file or result fails with FLAGSTORE_IO (EFBIG); 0: 256 MiB; at most 4 GiB are
     ever read */
  uint64_t max_bytes;
} flagstore_file_options_t;

/* Opens an empty store in memory, which ends with the handle: nothing is written anywhere. The
   caller frees it with flagstore_free. NULL on failure. */
flagstore_t *flagstore_memory_open(flagstore_error_t **error);

/* Opens the JSON file at `path` with the default options, and creates it ("{}") if it is
   missing. The caller frees the store with flagstore_free. NULL on failure: FLAGSTORE_IO for a
   missing directory, a link to nowhere, a path that is not a regular file, or a refusal.

   The content is not read yet: a corrupt file is reported by the first call that needs it. A
   relative path is resolved now: a later chdir does no harm. */
flagstore_t *flagstore_file_open(const char *path, flagstore_error_t **error);

/* As flagstore_file_open, with options; NULL options are the defaults. The caller frees the
   store with flagstore_free. NULL on failure: also FLAGSTORE_INVALID_ARGUMENT for an option out
   of range, and for the larger struct of a newer header that asks for what this library does not
   have. */
flagstore_t *flagstore_file_open_with(const char *path,
                                      const flagstore_file_options_t *options,
                                      flagstore_error_t **error);

/* ---- The contract ---- */

/* Five calls that every store answers. Keys and JSON are UTF-8 text that ends with a NUL. A key
   is any text, the empty one included; a value is one JSON value. Each call is atomic: other
   threads and processes see all of it or nothing. */

/* The flag's value as compact JSON text. The caller frees it with flagstore_free. NULL with
   *error NULL: there is no such flag. NULL with *error set: the call failed. A stored null is
   the text "null", not NULL. */
char *flagstore_get(const flagstore_t *store, const char *key, flagstore_error_t **error);

/* Stores the JSON value that `json` spells under `key`, whatever was there before; both are
   copied. true: done. false: the call failed and nothing has changed, except under
   FLAGSTORE_NOT_DURABLE. FLAGSTORE_INVALID_JSON if the text is not one JSON value. */
bool flagstore_set(flagstore_t *store,
                   const char *key,
                   const char *json,
                   flagstore_error_t **error);

/* Removes the flag. true: it existed. false with *error NULL: it did not. false with *error set:
   the call failed, and nothing has changed, except under FLAGSTORE_NOT_DURABLE. */
bool flagstore_delete(flagstore_t *store, const char *key, flagstore_error_t **error);

/* Every flag as of one moment, as one compact JSON object with sorted keys. The caller frees it
   with flagstore_free. NULL: the call failed. */
char *flagstore_list_all(const flagstore_t *store, flagstore_error_t **error);

/* The number of flags. -1: the call failed. */
int64_t flagstore_len(const flagstore_t *store, flagstore_error_t **error);

/* ---- Typed values ---- */

/* Each getter returns the value, or `fallback` if it has no value to return: the flag is absent,
   which is no error; its value is of another type or out of range, FLAGSTORE_TYPE_MISMATCH; or
   the call failed.

   Only flagstore_get_string allocates memory that the caller frees. */

/* There is no such flag. */
#define FLAGSTORE_TYPE_ABSENT 0

/* null */
#define FLAGSTORE_TYPE_NULL 1

/* true or false */
#define FLAGSTORE_TYPE_BOOL 2

/* any number */
#define FLAGSTORE_TYPE_NUMBER 3

/* a string */
#define FLAGSTORE_TYPE_STRING 4

/* an array */
#define FLAGSTORE_TYPE_ARRAY 5

/* an object */
#define FLAGSTORE_TYPE_OBJECT 6

/* The boolean under `key`; `fallback` if there is none, or on failure. */
bool flagstore_get_bool(const flagstore_t *store,
                        const char *key,
                        bool fallback,
                        flagstore_error_t **error);

/* The integer under `key`: any JSON number that is integral and in range, also 3.0 and 3e2.
   `fallback` if there is none, or on failure. */
int64_t flagstore_get_int64(const flagstore_t *store,
                            const char *key,
                            int64_t fallback,
                            flagstore_error_t **error);

/* The number under `key` as the nearest double; one that is too large for a double (1e400) is
   FLAGSTORE_TYPE_MISMATCH. `fallback` if there is none, or on failure. */
double flagstore_get_double(const flagstore_t *store,
                            const char *key,
                            double fallback,
                            flagstore_error_t **error);

/* The string under `key`, without its quotes and escapes; a copy of `fallback` if there is none,
   or on failure. The caller frees either with flagstore_free. `fallback` may be NULL: then NULL
   is returned. A string that contains U+0000, which a C string cannot carry, is
   FLAGSTORE_TYPE_MISMATCH: see flagstore_get_string_n. So is one with the escape of a lone
   surrogate (half an emoji), which UTF-8 cannot hold: flagstore_get hands it out as JSON. */
char *flagstore_get_string(const flagstore_t *store,
                           const char *key,
                           const char *fallback,
                           flagstore_error_t **error);

/* The type of the value under `key`, one of FLAGSTORE_TYPE_*; FLAGSTORE_TYPE_ABSENT (0) if there
   is no such flag. -1: the call failed. */
int32_t flagstore_get_type(const flagstore_t *store, const char *key, flagstore_error_t **error);

/* Stores a boolean. true: done. false: failed, as flagstore_set. */
bool flagstore_set_bool(flagstore_t *store, const char *key, bool value, flagstore_error_t **error);

/* Stores an integer. true: done. false: failed, as flagstore_set. */
bool flagstore_set_int64(flagstore_t *store,
                         const char *key,
                         int64_t value,
                         flagstore_error_t **error);

/* Stores a double with the shortest digits that mean it, as Python spells them (0.1, 1e+16,
   100000.0). true: done. false: failed, as flagstore_set; FLAGSTORE_INVALID_ARGUMENT for NaN and
   the infinities, which JSON lacks. */
bool flagstore_set_double(flagstore_t *store,
                          const char *key,
                          double value,
                          flagstore_error_t **error);

/* Stores a string, given as plain UTF-8 text (not as JSON), which is copied. true: done. false:
   failed, as flagstore_set. */
bool flagstore_set_string(flagstore_t *store,
                          const char *key,
                          const char *value,
                          flagstore_error_t **error);

/* ---- The same by pointer and length ---- */

/* For C++ string_view, Go strings, and keys that contain U+0000. Lengths count bytes. The text
   needs no NUL behind it, and no byte past its length is read. NULL is refused even with length
   0: pass "" for the empty key. What is returned ends with a NUL that its length does not count. */

/* As flagstore_get: the JSON text, to be freed with flagstore_free, or NULL if there is no such
   flag or the call failed. Its length goes to `json_len`, which may be NULL; it is 0 with NULL. */
char *flagstore_get_n(const flagstore_t *store,
                      const char *key,
                      size_t key_len,
                      size_t *json_len,
                      flagstore_error_t **error);

/* As flagstore_set. true: done. false: failed. */
bool flagstore_set_n(flagstore_t *store,
                     const char *key,
                     size_t key_len,
                     const char *json,
                     size_t json_len,
                     flagstore_error_t **error);

/* As flagstore_delete. true: the flag existed. false: it did not, or the call failed and *error
   is set. */
bool flagstore_delete_n(flagstore_t *store,
                        const char *key,
                        size_t key_len,
                        flagstore_error_t **error);

/* As flagstore_get_bool: the value, or `fallback`. */
bool flagstore_get_bool_n(const flagstore_t *store,
                          const char *key,
                          size_t key_len,
                          bool fallback,
                          flagstore_error_t **error);

/* As flagstore_get_int64: the value, or `fallback`. */
int64_t flagstore_get_int64_n(const flagstore_t *store,
                              const char *key,
                              size_t key_len,
                              int64_t fallback,
                              flagstore_error_t **error);

/* As flagstore_get_double: the value, or `fallback`. */
double flagstore_get_double_n(const flagstore_t *store,
                              const char *key,
                              size_t key_len,
                              double fallback,
                              flagstore_error_t **error);

/* The string under `key`, without its quotes and escapes; it may contain NULs. The caller frees
   it with flagstore_free. Its length goes to `value_len`, which may be NULL. NULL with *error
   NULL: there is no such flag. NULL with *error set: the call failed, with
   FLAGSTORE_TYPE_MISMATCH if the value is not a string. */
char *flagstore_get_string_n(const flagstore_t *store,
                             const char *key,
                             size_t key_len,
                             size_t *value_len,
                             flagstore_error_t **error);

/* ---- Snapshots ---- */

/* Every flag as of one moment, to be read without parsing JSON. A snapshot does not change, may
   outlive its store, and may be read by any number of threads at once.

   Its strings are borrowed: they live until the snapshot is freed, are not freed themselves, and
   end with a NUL that their length does not count. These functions log what they are given wrong
   and return the value that their comment names; they have no error argument. */

/* Every flag of a store as of one moment. Free it with flagstore_free when nobody uses its
   strings any more. */
typedef struct flagstore_snapshot_t flagstore_snapshot_t;

/* Takes a snapshot of the store. The caller frees it with flagstore_free. NULL: the call failed.
   A snapshot of a memory store shares the flags with it and copies nothing. */
flagstore_snapshot_t *flagstore_snapshot(const flagstore_t *store, flagstore_error_t **error);

/* The number of flags. 0 for NULL and for what is not a snapshot. */
size_t flagstore_snapshot_count(const flagstore_snapshot_t *snapshot);

/* The key at `index`, which counts from 0 in byte order. Its length goes to `len`, which may be
   NULL. The string is borrowed from the snapshot. NULL past the end. */
const char *flagstore_snapshot_key(const flagstore_snapshot_t *snapshot, size_t index, size_t *len);

/* The compact JSON text of the value at `index`, with its length in `len`, which may be NULL.
   The string is borrowed from the snapshot. NULL past the end. */
const char *flagstore_snapshot_value(const flagstore_snapshot_t *snapshot,
                                     size_t index,
                                     size_t *len);

/* The compact JSON text of the value under `key`, with its length in `len`, which may be NULL.
   The string is borrowed from the snapshot. NULL if there is no such flag, and for a key that is
   NULL or not UTF-8. */
const char *flagstore_snapshot_find(const flagstore_snapshot_t *snapshot,
                                    const char *key,
                                    size_t *len);

/* As flagstore_snapshot_find, for a key of `key_len` bytes, which may contain U+0000. NULL if
   there is no such flag. */
const char *flagstore_snapshot_find_n(const flagstore_snapshot_t *snapshot,
                                      const char *key,
                                      size_t key_len,
                                      size_t *len);

/* The index of the first key that is not less than the `key_len` bytes at `key`, in byte order;
   the count if there is none. The keys that begin with `key` stand in a row from there. On
   failure, for a key that is NULL or not UTF-8, the count too; 0 for what is not a snapshot. */
size_t flagstore_snapshot_seek(const flagstore_snapshot_t *snapshot,
                               const char *key,
                               size_t key_len);

/* ---- Batches ---- */

/* Several changes in one atomic write, with conditions. One thread at a time may build a batch.
   Calls that take it as `const` only read it: then any number of threads may use it at once, and
   commit it again and elsewhere.

   What is given is copied. The last word on a key counts: a later set or delete replaces an
   earlier one, a later expectation an earlier one. The batch is as it was after a call that
   failed. */

/* Changes that are made together, and what they expect of the store. Free it with
   flagstore_free. */
typedef struct flagstore_batch_t flagstore_batch_t;

/* An empty batch. The caller frees it with flagstore_free. NULL only by a bug of the library. */
flagstore_batch_t *flagstore_batch_new(void);

/* Will store the JSON value under `key`. true: noted. false: failed, with FLAGSTORE_INVALID_JSON
   if the text is not one JSON value. */
bool flagstore_batch_set(flagstore_batch_t *batch,
                         const char *key,
                         const char *json,
                         flagstore_error_t **error);

/* As flagstore_batch_set, by pointer and length. true: noted. false: failed. */
bool flagstore_batch_set_n(flagstore_batch_t *batch,
                           const char *key,
                           size_t key_len,
                           const char *json,
                           size_t json_len,
                           flagstore_error_t **error);

/* Will remove the flag, if there is one. true: noted. false: failed. */
bool flagstore_batch_delete(flagstore_batch_t *batch, const char *key, flagstore_error_t **error);

/* As flagstore_batch_delete, by pointer and length. true: noted. false: failed. */
bool flagstore_batch_delete_n(flagstore_batch_t *batch,
                              const char *key,
                              size_t key_len,
                              flagstore_error_t **error);

/* Will remove every flag before the other changes of the batch are made, whenever this is
   called. true: noted. false: failed. */
bool flagstore_batch_clear(flagstore_batch_t *batch, flagstore_error_t **error);

/* The commit will succeed only if the flag then equals `json` as a JSON value: white space and
   the order of keys do not matter, 1 and 1.0 differ. NULL json: only if there is no such flag.
   The store is compared as it is before the batch's own changes. true: noted. false: failed, with
   FLAGSTORE_INVALID_JSON if the text is not one JSON value. */
bool flagstore_batch_expect(flagstore_batch_t *batch,
                            const char *key,
                            const char *json,
                            flagstore_error_t **error);

/* As flagstore_batch_expect, by pointer and length; NULL json with length 0: only if there is no
   such flag. true: noted. false: failed. */
bool flagstore_batch_expect_n(flagstore_batch_t *batch,
                              const char *key,
                              size_t key_len,
                              const char *json,
                              size_t json_len,
                              flagstore_error_t **error);

/* Makes all changes of the batch in one write, or none. true: done. false: failed, with
   FLAGSTORE_CONFLICT if an expectation does not hold; then nothing has changed, except under
   FLAGSTORE_NOT_DURABLE. The batch stays the caller's and may be committed again.

   On a backend of your own without `commit` the changes are made one after another, under the
   store's lock: other users of this handle see all or none, but a call that fails half-way leaves
   the earlier changes, and another process may see some. If that backend then says that nothing
   has changed (FLAGSTORE_UNAVAILABLE), the caller gets FLAGSTORE_UNCERTAIN. */
bool flagstore_commit(flagstore_t *store,
                      const flagstore_batch_t *batch,
                      flagstore_error_t **error);

/* Whether the batch first removes every flag. false also for NULL and for what is not a batch.

   With this and the functions below a program reads what a batch will do. */
bool flagstore_batch_clears(const flagstore_batch_t *batch);

/* The number of flags that the batch stores or removes one by one. 0 also for NULL and for what
   is not a batch. */
size_t flagstore_batch_count(const flagstore_batch_t *batch);

/* The key of the change at `index`, which counts from 0 in byte order; each key comes once. Its
   length goes to `len`, which may be NULL. The string is borrowed from the batch and lives until
   the batch is changed or freed; it ends with a NUL that the length does not count. NULL past
   the end. */
const char *flagstore_batch_key(const flagstore_batch_t *batch, size_t index, size_t *len);

/* The compact JSON text that the change at `index` stores, borrowed as from flagstore_batch_key,
   with its length in `len`, which may be NULL. NULL if the change removes the flag, and past the
   end. */
const char *flagstore_batch_value(const flagstore_batch_t *batch, size_t index, size_t *len);

/* The number of flags of which the batch expects something. 0 also for NULL and for what is not
   a batch. */
size_t flagstore_batch_expect_count(const flagstore_batch_t *batch);

/* The key of the expectation at `index`, in the order, and borrowed, as from
   flagstore_batch_key, with its length in `len`, which may be NULL. NULL past the end. */
const char *flagstore_batch_expect_key(const flagstore_batch_t *batch, size_t index, size_t *len);

/* The compact JSON text that the flag must equal, borrowed as from flagstore_batch_key, with its
   length in `len`, which may be NULL. NULL if there must be no such flag, and past the end. */
const char *flagstore_batch_expect_value(const flagstore_batch_t *batch, size_t index, size_t *len);

/* Whether two texts spell the same JSON value, as flagstore_batch_expect compares them: for
   backends that commit by themselves. false also if either is NULL, not UTF-8 or not one JSON
   value. */
bool flagstore_json_equal(const char *a, size_t a_len, const char *b, size_t b_len);

/* ---- Changes ---- */

/* A file's changes by anybody are noticed: this program, another one, a person with an
   editor. What is noticed in a backend of your own is up to its `load` and `wait`, and to the
   options that the store was opened with. */

/* Calls back for each change until it is freed with flagstore_free. */
typedef struct flagstore_watch_t flagstore_watch_t;

/* Takes one change: the flag, its JSON before (NULL: it is new) and now (NULL: it was deleted).
   The strings are valid during the call only. A key that contains U+0000 seems to end there.

   It is called by a thread of the library, one call at a time for each watch, with every signal
   blocked and no lock held. It may call the library, also to free its own watch. It must return:
   no exception, no longjmp, no pthread_exit. */
typedef void (*flagstore_watch_fn)(void *userdata,
                                   const char *key,
                                   const char *old_json,
                                   const char *new_json);

/* A number that is never 0 and differs from an earlier answer of this store whenever the content
   may have changed since. For a file that has been at rest it costs one stat. It means nothing
   to another store or process. 0: the call failed. */
uint64_t flagstore_revision(const flagstore_t *store, flagstore_error_t **error);

/* Blocks the calling thread until the revision is no longer *revision, then stores the new one
   there and returns true. false with *error NULL: `timeout_ms` milliseconds have passed; 0 does
   not block, -1 waits for ever. false with *error set: the call failed. There is no callback:
   any thread of any language may call it, and a memory or file store needs no other thread for it.

   A file is watched by file-system events. Where there are none (network file systems, exhausted
   limits) it is looked at every 50 ms, which the log tells at FLAGSTORE_LOG_INFO. A store that
   has been waited on keeps one descriptor for that until it is freed. */
bool flagstore_wait(const flagstore_t *store,
                    uint64_t *revision,
                    int32_t timeout_ms,
                    flagstore_error_t **error);

/* Calls `callback` from now on for each change of the flag `key`, or of every flag if `key` is
   NULL. The caller frees the watch with flagstore_free. NULL: the call failed.

   Changes in quick succession are reported as one, from the value that was last reported to the
   value now. A file that cannot be read for a while, or is corrupt, is logged; the watch keeps
   its last good snapshot and recovers by itself.

   No call runs after flagstore_free has returned: it waits for one that is under way, except
   when it is called from inside that very callback. `userdata` must stay valid until then. The
   store may be freed before its watches. In a forked child nothing is called; it may free its
   copy. Free the watches of an interpreter before it ends. */
flagstore_watch_t *flagstore_watch(flagstore_t *store,
                                   const char *key,
                                   flagstore_watch_fn callback,
                                   void *userdata,
                                   flagstore_error_t **error);

/* ---- Backends ---- */

/* A store over functions of the program: flags that live anywhere, in a database or behind a
   service, with everything else in this header on top. Four functions make a store, the others
   make it as good as those of the library. */

/* The calls of the backend may overlap. Without it a store makes one call at a time, `wait`
   excepted, which overlaps all others. */
#define FLAGSTORE_BACKEND_CONCURRENT 1

/* While the backend is lost, reads get the last good snapshot (the default). */
#define FLAGSTORE_LOST_SERVE 0

/* While the backend is lost, reads fail with FLAGSTORE_UNAVAILABLE. */
#define FLAGSTORE_LOST_FAIL 1

/* Opening does not wait for the first snapshot: reads fail with FLAGSTORE_UNAVAILABLE until it is
   there. */
#define FLAGSTORE_OPEN_LAZY 4

/* Where a backend puts its answer with flagstore_reply. The library owns it, and it is valid
   during the call that it came with. */
typedef struct flagstore_reply_t flagstore_reply_t;

/* The functions of a backend. Set all of it to zero, then `size`, then the functions. Each
   returns true, or false with an error object in *error, made by flagstore_error_new or by a
   call on another store: the library frees it, and the store's caller gets its code and message.

   `get`, `set`, `remove` and `list_all` make a store. One that is NULL makes the calls that need
   it fail with FLAGSTORE_NOT_IMPLEMENTED, unless another will do: `commit` for a set, `load` for
   a list. Everything after them is optional, and a struct that ends earlier works as if it were
   zero. `commit` makes batches atomic, `load` snapshots; with `wait` changes by others are known
   at once.

   Keys and JSON come by pointer and length, in UTF-8, with a NUL behind them, and are valid
   during the call. Calls come from whatever thread uses the store, and from threads of the
   library. They must not throw. They may call the library for other stores, but not for their
   own, which fails with FLAGSTORE_BACKEND.

   A backend that was not reached, so that nothing has changed, answers FLAGSTORE_UNAVAILABLE. A
   change that was sent and not answered is FLAGSTORE_UNCERTAIN.

   A revision is a number of the backend's own. It is never 0 and differs where the content does.
   A backend that counts its changes one by one spares the library a read after each of its own. */
typedef struct {
  /* sizeof(flagstore_backend_t) */
  size_t size;
  /* handed to every function as it is; it must stay valid until `close` is called */
  void *context;
  /* replies the flag's value; without a reply there is no such flag */
  bool (*get)(void *context,
              const char *key,
              size_t key_len,
              flagstore_reply_t *reply,
              flagstore_error_t **error);
  /* stores compact JSON under the key */
  bool (*set)(void *context,
              const char *key,
              size_t key_len,
              const char *json,
              size_t json_len,
              flagstore_error_t **error);
  /* removes the flag and stores in *existed whether there was one; *existed is false before */
  bool (*remove)(void *context,
                 const char *key,
                 size_t key_len,
                 bool *existed,
                 flagstore_error_t **error);
  /* replies every flag, in any order; without `load` flagstore_len, snapshots, watches and clear
     need it too. No reply where there were flags, which the store itself did not remove: they
     have vanished, as with `load` */
  bool (*list_all)(void *context, flagstore_reply_t *reply, flagstore_error_t **error);
  /* called once, when the store and its last watch have been freed, and after every other call:
     one that hangs delays it, but not the freeing for long; may be NULL */
  void (*close)(void *context);
  /* FLAGSTORE_BACKEND_*, added up */
  uint32_t flags;
  /* must be 0 */
  uint32_t reserved;
  /* makes all changes of the batch, or none if an expectation does not hold, which is
     FLAGSTORE_CONFLICT; stores the revision after it in *revision, or leaves it 0. The functions
     from flagstore_batch_clears to flagstore_json_equal read the batch. NULL: the changes are
     made one by one */
  bool (*commit)(void *context,
                 const flagstore_batch_t *batch,
                 uint64_t *revision,
                 flagstore_error_t **error);
  /* replies every flag as of one moment and stores their revision in *revision. If that is still
     *revision it may set *same instead, and reply nothing. No reply with a revision: there are no
     flags. No reply with *revision 0: the content has vanished, which is not believed to be
     empty */
  bool (*load)(void *context,
               uint64_t *revision,
               bool *same,
               flagstore_reply_t *reply,
               flagstore_error_t **error);
  /* blocks until the revision is no longer *revision, then stores the new one there and returns
     true. false with *error NULL: `timeout_ms`, a few seconds at most, have passed, or `wake` was
     called. One wait at a time is under way, beside any other calls */
  bool (*wait)(void *context, uint64_t *revision, int32_t timeout_ms, flagstore_error_t **error);
  /* makes a wait that is under way return. Without it the freeing of a store may take as long as
     that wait does */
  void (*wake)(void *context);
  /* called in a forked child before any other function: close the copies of the parent's
     descriptors, without a word to the server, and nothing else. Locks may be held by threads
     that the child does not have */
  void (*forked)(void *context);
} flagstore_backend_t;

/* Options of a store that is elsewhere. Set all of it to zero, then `size` to
   sizeof(flagstore_remote_options_t), then what you want; zero means the default in every field.
   Times are in milliseconds. */
typedef struct {
  /* sizeof(flagstore_remote_options_t) */
  size_t size;
  /* FLAGSTORE_READ_FRESH asks the backend at every read; FLAGSTORE_READ_CHECKED asks at every
     read whether the snapshot is still the same; FLAGSTORE_READ_WATCHED serves a snapshot from
     memory, which a thread of the library keeps up to date */
  int32_t read_mode;
  /* one of FLAGSTORE_LOST_*, for FLAGSTORE_READ_WATCHED */
  int32_t when_lost;
  /* FLAGSTORE_OPEN_READ_ONLY and FLAGSTORE_OPEN_LAZY, added up */
  uint32_t flags;
  /* how long opening with FLAGSTORE_READ_WATCHED waits for the first snapshot; 0: 2000 */
  int32_t open_timeout_ms;
  /* the deadline of a whole call; 0: 500 */
  int32_t call_timeout_ms;
  /* FLAGSTORE_LOST_SERVE becomes FLAGSTORE_LOST_FAIL after so long; 0: never */
  int32_t max_stale_ms;
  /* how often to look although nothing was announced; 0: 60000 where changes are announced, 5000
     where not */
  int32_t verify_ms;
  /* a re-read begins after a random part of this, so that many clients do not all read at once;
     0: 100; -1: at once */
  int32_t spread_ms;
  /* the longest delay between attempts to reach a lost backend; 0: 1000 */
  int32_t retry_max_ms;
  /* must be 0 */
  uint32_t reserved;
  /* a larger result fails with FLAGSTORE_IO (EFBIG); 0: 256 MiB */
  uint64_t max_bytes;
  /* for FLAGSTORE_READ_WATCHED: a flags file that keeps the last good snapshot, and is read when
     the backend is not reached at open, with FLAGSTORE_OPEN_LAZY after the first failure. One
     process writes it, once a second at most; it is created with mode 0600; NULL: none. The
     string is copied */
  const char *fallback_path;
} flagstore_remote_options_t;

/* Opens a store over the caller's functions; the struct is copied. Reads ask the backend, and a
   call takes as long as the backend does. The caller frees the store with flagstore_free. NULL:
   the call failed, and `close` is not called.

   Changes that others make in the backend are noticed only if it has `load` or `wait`. */
flagstore_t *flagstore_backend_open(const flagstore_backend_t *backend, flagstore_error_t **error);

/* As flagstore_backend_open, with options; NULL options are the defaults. Then a call keeps its
   deadline whatever the backend does: the backend is called in a thread of the library, and one
   that does not return in time is left to itself. The caller frees the store with
   flagstore_free. NULL: the call failed, with FLAGSTORE_UNAVAILABLE if a WATCHED store's first
   snapshot did not come in time and there is no fallback file; then `close` is called, at once or
   when the last call has returned. */
flagstore_t *flagstore_backend_open_with(const flagstore_backend_t *backend,
                                         const flagstore_remote_options_t *options,
                                         flagstore_error_t **error);

/* Hands one value over to the call that `reply` came with; key and JSON are copied. In a `get`
   the key is known: it may be NULL. It returns nothing and cannot fail: a key that is not UTF-8
   or not the one that was asked for, or a value that is not JSON, makes the call that `reply`
   came with fail with FLAGSTORE_BACKEND. */
void flagstore_reply(flagstore_reply_t *reply,
                     const char *key,
                     size_t key_len,
                     const char *json,
                     size_t json_len);

/* ---- Stores over stores ---- */

/* Overrides in memory over a file, a file over a store that is elsewhere, a file over the
   defaults that a program ships: one handle, and all calls in this header. */

/* Opens a store over the `count` stores in `layers`. A read asks layers[0] first, and the next
   where a flag is absent; a stored null is a value. Lists and snapshots have the flags of all
   layers. Changes and the expectations of a batch are for layers[write_to] alone: a set that a
   layer above hides succeeds and is logged at FLAGSTORE_LOG_INFO, a delete tells whether that
   layer had the flag. A layer that cannot be read fails the call; it is never skipped, though
   a layer above that has the flag answers without asking it.

   The revision changes when that of any layer does. The first wait or watch starts one thread of
   the library for each layer, which hears of its changes as a wait for that layer would; a watch
   calls back for what can be seen through all layers. flagstore_status tells the worst state, the
   oldest age, the weakest push of the layers that are elsewhere, and the sums of the counters;
   flagstore_sync is for all layers, within one timeout.

   The store holds the layers: the caller may free the handles, and use them as well; a layer may
   be layered itself, and may stand in `layers` twice. The caller frees the store with
   flagstore_free, which ends its threads. NULL: the call failed, with FLAGSTORE_INVALID_ARGUMENT
   for no layer, a layer that is NULL or no store, or `write_to` past the last one. */
flagstore_t *flagstore_layered_open(flagstore_t *const *layers,
                                    size_t count,
                                    size_t write_to,
                                    flagstore_error_t **error);

/* ---- Flags on Redis ---- */

/* Flags of many machines in one Redis, or Valkey, with all calls in this header. The flags are a
   hash that people can read and edit with redis-cli (HGETALL flagstore, HSET flagstore dark-mode
   true): a field is a key, its value is JSON. A second hash, {flagstore}:meta, counts the changes.

   A change is one script on the server: all of a batch or none of it. A change whose answer is lost
   is settled with the server within the call's deadline; only if that fails too it is
   FLAGSTORE_UNCERTAIN. A field that is not JSON makes that flag FLAGSTORE_CORRUPT: a list leaves it
   out, with a warning in the log.

   Only a library built with the feature "redis" has it: see flagstore_has_feature. */

/* Options of a store on Redis. Set all of it to zero, then `size` to
   sizeof(flagstore_redis_options_t), then what you want; zero means the default in every field.
   Everything is copied. */
typedef struct {
  /* sizeof(flagstore_redis_options_t) */
  size_t size;
  /* deadlines, read mode and the like; NULL: the defaults */
  const flagstore_remote_options_t *remote;
  /* the name of the hash; NULL: "flagstore". Braces in it must be a hash tag of Redis Cluster */
  const char *hash;
  /* the user and his password, which stand before those in the URL; NULL: those, or none */
  const char *username;
  /* see `username` */
  const char *password;
  /* a file with the password, which is read at each connect; a newline at its end does not count;
     NULL: none */
  const char *password_file;
  /* a PEM file of the authorities that are trusted; NULL: those of the system */
  const char *tls_ca_file;
  /* a PEM file with the certificate that the server wants to see; NULL: none */
  const char *tls_cert_file;
  /* a PEM file with its key */
  const char *tls_key_file;
  /* the name that the server's certificate must have; NULL: the host in the URL */
  const char *tls_server_name;
  /* the name of the primary that the Sentinels in the URL know; a user and password in the URL are
     then for the Sentinels; NULL: the URL names the server itself */
  const char *sentinel_master;
  /* how many connections there are for changes and reads at most; one more announces changes to a
     FLAGSTORE_READ_WATCHED store; 0: 4 */
  int32_t connections;
  /* a change that so many replicas have not confirmed within `wait_ms` fails with
     FLAGSTORE_NOT_DURABLE, though it is made; 0: replicas are not asked */
  int32_t wait_replicas;
  /* see `wait_replicas`, in milliseconds; 0: 100 */
  int32_t wait_ms;
  /* must be 0 */
  int32_t reserved;
} flagstore_redis_options_t;

/* Opens a store of the flags on the Redis at `url`:
   redis://[USER[:PASSWORD]@]HOST[:6379][/DATABASE], rediss:// for TLS, or
   redis+unix:///PATH/OF/SOCKET[?db=DATABASE]. Several hosts, separated by commas, are nodes of a
   cluster, or Sentinels with `sentinel_master`. NULL options are the defaults. The caller frees
   the store with flagstore_free.

   Only a store with FLAGSTORE_READ_WATCHED connects now; it has threads of the library, others
   none until they are waited on or watched. NULL: the call failed, with
   FLAGSTORE_INVALID_ARGUMENT for a URL or an option that cannot be, FLAGSTORE_IO for a file that
   cannot be read, FLAGSTORE_UNAVAILABLE if the first snapshot did not come in time,
   FLAGSTORE_BACKEND with the words of a server that refuses, and FLAGSTORE_NOT_IMPLEMENTED by a
   library without the feature "redis". No message has a password. */
flagstore_t *flagstore_redis_open(const char *url,
                                  const flagstore_redis_options_t *options,
                                  flagstore_error_t **error);

/* ---- State ---- */

/* How old the flags are that a store serves. A memory or file store is always live. */

/* What is served is what the store holds. */
#define FLAGSTORE_STATE_LIVE 1

/* The last good snapshot is served, for the store is not reached at the moment. */
#define FLAGSTORE_STATE_STALE 2

/* The snapshot of the fallback file is served, for the store has not been reached since it was
   opened. */
#define FLAGSTORE_STATE_FALLBACK 3

/* There is nothing to serve: reads fail. Or the flags have vanished from where they were stored,
   and FLAGSTORE_LOST_SERVE serves the last that were there. */
#define FLAGSTORE_STATE_LOST 4

/* Changes by others are found by looking. */
#define FLAGSTORE_PUSH_NONE 0

/* Changes by others are announced. */
#define FLAGSTORE_PUSH_ANNOUNCED 1

/* The server tracks what was read, and tells when it changes. */
#define FLAGSTORE_PUSH_TRACKED 2

/* The state of a store at one moment. */
typedef struct {
  /* sizeof(flagstore_status_t), set by the caller */
  size_t size;
  /* one of FLAGSTORE_STATE_* */
  int32_t state;
  /* one of FLAGSTORE_PUSH_* */
  int32_t push;
  /* milliseconds since what is served was last known to be what the store holds; 0: it always is */
  int64_t age_ms;
  /* as flagstore_revision */
  uint64_t revision;
  /* how often the store was reached again after it had been lost */
  uint64_t reconnects;
  /* how often the flags were read again because of a change */
  uint64_t refreshes;
} flagstore_status_t;

/* Stores the state of the store in *status, whose `size` the caller has set: no more than so many
   bytes are written. true: done. false: the call failed. It does not ask a store that is
   elsewhere anything. */
bool flagstore_status(const flagstore_t *store,
                      flagstore_status_t *status,
                      flagstore_error_t **error);

/* Returns true once reads through this handle see everything that was finished, by anybody,
   before the call. false: the call failed, with FLAGSTORE_UNAVAILABLE if the store was not
   reached within `timeout_ms` milliseconds; -1 waits for ever. There is something to wait for
   only with FLAGSTORE_READ_WATCHED: one stat of a file, or one question to a store that is
   elsewhere. */
bool flagstore_sync(flagstore_t *store, int32_t timeout_ms, flagstore_error_t **error);

#ifdef __cplusplus
}
#endif

#endif /* FLAGSTORE_H */
