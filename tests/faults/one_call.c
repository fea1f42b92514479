/* Makes one call on a store and says on one line what came of it: CODE ERRNO GREW RESULT.

       one_call [-m MAX_BYTES] [-d DURABILITY] [-p MODE] [-u] [-w OTHER] [-b] [-r] [-n] PATH CALL [KEY [VALUE]]

   GREW is by how many KiB the call's peak exceeded the memory before it (-r, else 0), RESULT the answer or the message.
   Between open and the call -u removes the file, -w puts OTHER in its place. -n sets the flag "next" on the same store
   after the call, which must work. With -b the clock is an hour behind the file's stamps: all of them are young for as
   long as the library looks, so that it makes the same system calls however slowly it is traced. A VALUE like @string:N, @nested:N, @members:N is made up in that size.

   getppid marks where the call begins and ends, for whoever injects faults: nothing else here or in the library calls
   it, and the line is written by writev, which the library does not use. */
#include "store.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/uio.h>

struct request {
    const char *path, *call, *key, *value, *other;
    flagstore_file_options_t options;
    bool remove_after_open, report_memory, set_next;
};

/* ---- the library's clock_gettime goes through here ---- */

static long behind_s;

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
    int result = next(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec -= behind_s;
    return result;
}

/* ---- the call ---- */

struct answer {
    flagstore_t *store;
    char *text;
    double number;
    flagstore_error_t *error;
};

static bool is(const struct request *request, const char *call) { return strcmp(request->call, call) == 0; }

static void make_call(const struct request *request, flagstore_t *store, struct answer *answer) {
    flagstore_error_t **error = &answer->error;
    const char *key = request->key;
    if (is(request, "open")) answer->store = flagstore_file_open_with(request->path, &request->options, error);
    else if (is(request, "get")) answer->text = flagstore_get(store, key, error);
    else if (is(request, "get_bool")) answer->number = flagstore_get_bool(store, key, false, error);
    else if (is(request, "get_int64")) answer->number = (double)flagstore_get_int64(store, key, 0, error);
    else if (is(request, "get_double")) answer->number = flagstore_get_double(store, key, 0, error);
    else if (is(request, "get_string")) answer->text = flagstore_get_string(store, key, NULL, error);
    else if (is(request, "get_type")) answer->number = flagstore_get_type(store, key, error);
    else if (is(request, "list_all")) answer->text = flagstore_list_all(store, error);
    else if (is(request, "len")) answer->number = (double)flagstore_len(store, error);
    else if (is(request, "set")) answer->number = flagstore_set(store, key, request->value, error);
    else if (is(request, "set_string")) answer->number = flagstore_set_string(store, key, request->value, error);
    else if (is(request, "delete")) answer->number = flagstore_delete(store, key, error);
    else die("no such call: %s", request->call);
}

/* ---- what it is given ---- */

static char *repeated(const char *before, const char *part, size_t count, const char *after, const char *part_after) {
    char *text = malloc(strlen(before) + count * (strlen(part) + strlen(part_after)) + strlen(after) + 1), *at = text;
    at = stpcpy(at, before);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, part);
    at = stpcpy(at, after);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, part_after);
    return text;
}

static char *members(size_t count) {
    char *text = malloc(count * 24 + 3), *at = stpcpy(text, "{");
    for (size_t i = 0; i < count; i++) at += sprintf(at, "\"%zx\":1,", i);
    strcpy(count ? at - 1 : at, "}");
    return text;
}

static const char *made_up(const char *value) {
    size_t count = 0;
    if (sscanf(value, "@string:%zu", &count) == 1) return repeated("\"", "x", count, "\"", "");
    if (sscanf(value, "@nested:%zu", &count) == 1) return repeated("", "[", count, "", "]");
    if (sscanf(value, "@members:%zu", &count) == 1) return members(count);
    return value;
}

static struct request parse(int argc, char **argv) {
    struct request request = {.options = {.size = sizeof request.options}, .key = "flag", .value = ""};
    for (int option; (option = getopt(argc, argv, "m:d:p:uw:brn")) != -1;) {
        if (option == 'm') request.options.max_bytes = strtoull(optarg, NULL, 10);
        else if (option == 'd') request.options.durability = atoi(optarg);
        else if (option == 'p') request.options.mode = (uint32_t)strtoul(optarg, NULL, 8);
        else if (option == 'u') request.remove_after_open = true;
        else if (option == 'w') request.remove_after_open = true, request.other = optarg;
        else if (option == 'b') behind_s = 3600;
        else if (option == 'r') request.report_memory = true;
        else if (option == 'n') request.set_next = true;
        else exit(2);
    }
    if (argc - optind < 2) die("one_call [OPTIONS] PATH CALL [KEY [VALUE]]");
    request.path = argv[optind], request.call = argv[optind + 1];
    if (argc - optind > 2) request.key = argv[optind + 2];
    if (argc - optind > 3) request.value = made_up(argv[optind + 3]);
    return request;
}

/* ---- what it says ---- */

static void forget_peak(void) {
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file == -1 || write(file, "5", 1) != 1) die("cannot reset the peak of memory: %s", strerror(errno));
    close(file);
}

static long memory(const char *field) {
    char text[4096] = "";
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (file == -1 || read(file, text, sizeof text - 1) < 0) die("cannot read the memory in use: %s", strerror(errno));
    close(file);
    const char *at = strstr(text, field);
    return at ? atol(at + strlen(field)) : -1;
}

static void say(const struct answer *answer, long grew) {
    char line[1024], number[32];
    const flagstore_error_t *error = answer->error;
    snprintf(number, sizeof number, "%.17g", answer->number);
    const char *result = error ? flagstore_error_message(error) : answer->text ? answer->text : number;
    int length = snprintf(line, sizeof line - 1, "%" PRId32 " %" PRId32 " %ld %.800s", flagstore_error_code(error),
                          flagstore_error_os_code(error), grew, result);
    line[length] = '\n';
    struct iovec part = {line, (size_t)length + 1};
    if (writev(STDOUT_FILENO, &part, 1) < 0) _exit(3);
}

int main(int argc, char **argv) {
    struct request request = parse(argc, argv);
    struct answer answer = {0};
    flagstore_t *store = NULL;
    if (!is(&request, "open")) {
        store = flagstore_file_open_with(request.path, &request.options, &answer.error);
        if (answer.error) {
            say(&answer, 0);
            return 0;
        }
        if (request.remove_after_open && unlink(request.path) != 0) die("cannot remove it: %s", strerror(errno));
        if (request.other && rename(request.other, request.path) != 0) die("cannot replace it: %s", strerror(errno));
    }
    if (request.report_memory) forget_peak();
    long before = request.report_memory ? memory("VmRSS:") : 0;
    (void)getppid();
    make_call(&request, store, &answer);
    (void)getppid();
    say(&answer, request.report_memory ? memory("VmHWM:") - before : 0);
    if (request.set_next) set(store ? store : open_store(request.path, FLAGSTORE_SYNC_NONE), "next", "1");
    return 0;
}
