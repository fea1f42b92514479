/* A disk that loses power: a FUSE file to put under a loop device. It logs every write and flush, and afterwards shows
   what the disk may hold if the power went between two flushes. It also refuses writes and flushes with EIO.

       power_disk MOUNTPOINT MEGABYTES

   MOUNTPOINT/disk     the disk, all zeros at first
   MOUNTPOINT/log      what has been logged: per entry its offset and length, two 64-bit numbers; length 0 is a flush
   MOUNTPOINT/control  takes lines of commands:
       record             what is on the disk is safe; forget the log and begin it anew
       stop               log no more
       safe N             the disk holds the first N entries of the log and nothing else; N may only grow
       apply E FIRST N    and N 512-byte sectors of the entry E, from its FIRST on
       fail WHAT AFTER N  of the writes (WHAT 1), the flushes (2) or both (3) let AFTER pass and refuse the next N
                       reads as the number of refusals so far */
#define FUSE_USE_VERSION 31
#include <fuse.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, SECTOR = 512 };

struct entry { uint64_t offset, length; };

/* The safe blocks and over them those that the next power cut may undo; NULL: not written. */
static unsigned char **safe, **fresh;
static size_t *freshened, freshened_count, block_count;

static bool recording;
static struct entry *log_entries;
static unsigned char **log_data;
static size_t log_count, log_room, log_applied;

static unsigned fail_what, fail_after, fail_count, failed;

static void *need(void *memory) {
    if (memory) return memory;
    fputs("power_disk: out of memory\n", stderr);
    exit(1);
}

static unsigned char *block_to_write(unsigned char **layer, size_t number) {
    if (!layer[number]) {
        layer[number] = need(malloc(BLOCK));
        if (layer == fresh && safe[number])
            memcpy(layer[number], safe[number], BLOCK);
        else
            memset(layer[number], 0, BLOCK);
        if (layer == fresh) freshened[freshened_count++] = number;
    }
    return layer[number];
}

static void put(unsigned char **layer, uint64_t offset, const unsigned char *bytes, size_t length) {
    while (length > 0) {
        size_t within = offset % BLOCK, part = BLOCK - within < length ? BLOCK - within : length;
        memcpy(block_to_write(layer, offset / BLOCK) + within, bytes, part);
        offset += part, bytes += part, length -= part;
    }
}

static void keep_fresh(bool keep) {
    while (freshened_count > 0) {
        size_t number = freshened[--freshened_count];
        unsigned char **drop = keep ? &safe[number] : &fresh[number], *kept = fresh[number];
        free(*drop);
        fresh[number] = NULL;
        if (keep) safe[number] = kept;
    }
}

static void log_entry(uint64_t offset, const void *bytes, size_t length) {
    if (!recording) return;
    if (log_count == log_room) {
        log_room = log_room ? 2 * log_room : 1024;
        log_entries = need(realloc(log_entries, log_room * sizeof *log_entries));
        log_data = need(realloc(log_data, log_room * sizeof *log_data));
    }
    log_data[log_count] = length ? memcpy(need(malloc(length)), bytes, length) : NULL;
    log_entries[log_count++] = (struct entry){offset, length};
}

static void forget_log(void) {
    while (log_count > 0) free(log_data[--log_count]);
    log_applied = 0;
}

static bool refuse(unsigned what) {
    if (!(fail_what & what) || fail_count == 0) return false;
    if (fail_after > 0) return fail_after--, false;
    fail_count--, failed++;
    return true;
}

/* ---- commands ---- */

static int make_safe(size_t entries) {
    if (recording || entries > log_count || entries < log_applied) return -EINVAL;
    keep_fresh(false);
    for (; log_applied < entries; log_applied++)
        put(safe, log_entries[log_applied].offset, log_data[log_applied], log_entries[log_applied].length);
    return 0;
}

static int apply(size_t number, size_t first, size_t sectors) {
    if (number >= log_count || (first + sectors) * SECTOR > log_entries[number].length) return -EINVAL;
    put(fresh, log_entries[number].offset + first * SECTOR, log_data[number] + first * SECTOR, sectors * SECTOR);
    return 0;
}

static int command(const char *line) {
    size_t number, first, sectors;
    if (strcmp(line, "record") == 0)
        keep_fresh(true), forget_log(), recording = true;
    else if (strcmp(line, "stop") == 0)
        recording = false;
    else if (sscanf(line, "safe %zu", &number) == 1)
        return make_safe(number);
    else if (sscanf(line, "apply %zu %zu %zu", &number, &first, &sectors) == 3)
        return apply(number, first, sectors);
    else if (sscanf(line, "fail %u %u %u", &fail_what, &fail_after, &fail_count) != 3)
        return -EINVAL;
    return 0;
}

static int commands(const char *text, size_t length) {
    char *copy = need(strndup(text, length)), *rest = copy, *line;
    int result = 0;
    while (result == 0 && (line = strsep(&rest, "\n")))
        if (*line) result = command(line);
    free(copy);
    return result < 0 ? result : (int)length;
}

/* ---- the three files ---- */

enum { DISK, LOG, CONTROL, FILES };
static const char *const names[FILES] = {"/disk", "/log", "/control"};

static int file_named(const char *path) {
    int file = 0;
    while (file < FILES && strcmp(path, names[file]) != 0) file++;
    return file;
}

static int on_getattr(const char *path, struct stat *status, struct fuse_file_info *info) {
    (void)info;
    int file = file_named(path);
    *status = (struct stat){.st_nlink = 1, .st_mode = file == FILES ? S_IFDIR | 0700 : S_IFREG | 0600};
    if (file == FILES) return strcmp(path, "/") == 0 ? 0 : -ENOENT;
    if (file == DISK) status->st_size = (off_t)(block_count * BLOCK);
    if (file == LOG) status->st_size = (off_t)(log_count * sizeof *log_entries);
    return 0;
}

static int on_open(const char *path, struct fuse_file_info *info) {
    info->fh = (uint64_t)file_named(path);
    info->direct_io = 1; /* nothing between the loop device and this program */
    return 0;
}

static int read_from(const void *all, size_t all_length, char *bytes, size_t length, size_t offset) {
    if (offset >= all_length) return 0;
    if (length > all_length - offset) length = all_length - offset;
    memcpy(bytes, (const char *)all + offset, length);
    return (int)length;
}

static int on_read(const char *path, char *bytes, size_t length, off_t offset, struct fuse_file_info *info) {
    (void)path;
    if (info->fh == LOG) return read_from(log_entries, log_count * sizeof *log_entries, bytes, length, (size_t)offset);
    if (info->fh == CONTROL) {
        char text[32];
        return read_from(text, (size_t)snprintf(text, sizeof text, "%u\n", failed), bytes, length, (size_t)offset);
    }
    size_t done = 0, end = block_count * BLOCK;
    while (done < length && (size_t)offset + done < end) {
        size_t at = (size_t)offset + done, within = at % BLOCK;
        size_t part = BLOCK - within < length - done ? BLOCK - within : length - done;
        const unsigned char *block = fresh[at / BLOCK] ? fresh[at / BLOCK] : safe[at / BLOCK];
        if (block)
            memcpy(bytes + done, block + within, part);
        else
            memset(bytes + done, 0, part);
        done += part;
    }
    return (int)done;
}

static int on_write(const char *path, const char *bytes, size_t length, off_t offset, struct fuse_file_info *info) {
    (void)path;
    if (info->fh == CONTROL) return commands(bytes, length);
    if (info->fh != DISK) return -EACCES;
    if ((size_t)offset + length > block_count * BLOCK) return -ENOSPC;
    if (refuse(1)) return -EIO;
    put(fresh, (uint64_t)offset, (const unsigned char *)bytes, length);
    log_entry((uint64_t)offset, bytes, length);
    return (int)length;
}

static int on_fsync(const char *path, int data_only, struct fuse_file_info *info) {
    (void)path, (void)data_only;
    if (info->fh != DISK) return 0;
    if (refuse(2)) return -EIO;
    log_entry(0, NULL, 0);
    return 0;
}

static void *on_init(struct fuse_conn_info *connection, struct fuse_config *config) {
    (void)connection;
    config->attr_timeout = 0; /* the log grows */
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    block_count = (size_t)atol(argv[2]) * ((1 << 20) / BLOCK);
    safe = need(calloc(block_count, sizeof *safe));
    fresh = need(calloc(block_count, sizeof *fresh));
    freshened = need(calloc(block_count, sizeof *freshened));
    static const struct fuse_operations operations = {
        .init = on_init, .getattr = on_getattr, .open = on_open, .read = on_read, .write = on_write, .fsync = on_fsync,
    };
    char *arguments[] = {argv[0], "-f", "-s", argv[1], NULL}; /* one thread: what is logged first happened first */
    return fuse_main(4, arguments, &operations, NULL);
}
