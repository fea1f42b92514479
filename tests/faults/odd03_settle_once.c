/* Reads a file again and again, whatever comes of it.

     odd03_settle_once PATH READ_MODE READS [LINES]

   and then on until there are so many LINES in the log, at level WARN. Prints how many reads failed, and how many lines
   there are. getppid marks where the counted reads begin and end, for who counts their system calls. */
#include "store.h"

enum { WAIT_MS = 20000 };

static int lines;

static void count_line(void *userdata, int32_t level, const char *message) {
    (void)userdata, (void)level, (void)message;
    __atomic_add_fetch(&lines, 1, __ATOMIC_SEQ_CST);
}

static bool fails(const flagstore_t *store) {
    flagstore_error_t *error = NULL;
    flagstore_free(flagstore_get(store, "flag", &error));
    bool failed = error != NULL;
    flagstore_free(error);
    return failed;
}

int main(int count, char **arguments) {
    if (count != 4 && count != 5) die("see the top of odd03_settle_once.c");
    int wanted = count > 4 ? atoi(arguments[4]) : 0;
    flagstore_error_t *error = NULL;
    flagstore_file_options_t options = {
        .size = sizeof options, .read_mode = atoi(arguments[2]), .flags = FLAGSTORE_OPEN_READ_ONLY};
    flagstore_set_log(count_line, NULL, FLAGSTORE_LOG_WARN);
    flagstore_t *store = flagstore_file_open_with(arguments[1], &options, &error);
    must("open", error);
    long failed = 0;
    (void)getppid();
    for (long i = atol(arguments[3]); i > 0; i--) failed += fails(store);
    (void)getppid();
    for (double end = now_ms() + WAIT_MS; __atomic_load_n(&lines, __ATOMIC_SEQ_CST) < wanted; sleep_us(1000)) {
        if (now_ms() > end) die("there are %d lines in the log, not %d", lines, wanted);
        failed += fails(store);
    }
    flagstore_free(store);
    printf("%ld %d\n", failed, lines);
    return 0;
}
