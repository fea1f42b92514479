/* The benchmark: how fast the library is, against the peers that a C program could use instead.
   Usage: bench --dir DIR [--quick] [--rows 4,7] [--json FILE] [--scripts DIR] [--programs DIR]; run.sh calls it. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 14 };

static const size_t quick_sizes[] = {10, 1000};

static void choose_rows(bool *rows, const char *list) {
    memset(rows, 0, (ROWS + 1) * sizeof *rows);
    for (const char *at = list; *at;) {
        char *end;
        long row = strtol(at, &end, 10);
        if (end == at || row < 1 || row > ROWS) die("--rows wants numbers from 1 to %d, not %s", ROWS, list);
        rows[row] = true;
        at = *end == ',' ? end + 1 : end;
    }
}

int main(int argc, char **argv) {
    static void (*const measured[ROWS + 1])(void) = {
        NULL,        memory_bool_row, memory_threads_row, memory_copies_row, fresh_row, checked_row,
        watched_row, sync_none_row,   sync_full_row,      group_row,         list_row,  library_row,
        footprint_row, process_row, bindings_row};
    bool rows[ROWS + 1];
    const char *json = NULL;
    memset(rows, true, sizeof rows);
    if (argc == 4 && !strcmp(argv[1], "--memory")) return print_memory(argv[2], argv[3]);
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(option, "--quick")) {
            config.quick = true;
            config.rounds = 3;
            config.sample_ns = 2e6;
            config.sizes = quick_sizes;
            config.size_count = COUNT(quick_sizes);
            continue;
        }
        if (!value) die("%s is no option, or needs a value", option);
        if (!strcmp(option, "--rows")) choose_rows(rows, value);
        else if (!strcmp(option, "--dir")) config.dir = value;
        else if (!strcmp(option, "--json")) json = value;
        else if (!strcmp(option, "--programs")) config.programs = value;
        else if (!strcmp(option, "--scripts")) config.scripts = value;
        else die("no such option: %s", option);
        i++;
    }
    report_machine();
    for (int row = 1; row <= ROWS; row++)
        if (rows[row] && measured[row]) measured[row]();
    report_summary();
    if (json) report_json(json);
}
