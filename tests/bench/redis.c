/* The rows of Redis, on a redis-server of their own, beside hiredis.
   Usage: redis --dir DIR --scripts DIR [--quick] [--rows 15,19] [--json FILE] [--plain LIBRARY]
   [--instructions NUMBER]; run.sh calls it. LIBRARY is the one that was built without Redis. NUMBER is that of a
   contestant of the one row that is wanted: callgrind counts what it takes. */
#include "redis.h"

#include <stdlib.h>
#include <string.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#endif

enum { FIRST = 15, LAST = 23, COUNTED = 1000 };

static bool wanted[LAST + 1];

static void choose_rows(const char *list) {
    memset(wanted, 0, sizeof wanted);
    for (const char *at = list; *at;) {
        char *end;
        long row = strtol(at, &end, 10);
        if (end == at || row < FIRST || row > LAST) die("--rows wants %d to %d, not %s", FIRST, LAST, list);
        wanted[row] = true;
        at = *end == ',' ? end + 1 : end;
    }
}

static long counted = -1;

void redis_measure(contestant *contestants, size_t count, double factor) {
    if (counted < 0) {
        measure(contestants, count, factor);
        return;
    }
    if ((size_t)counted >= count) die("--instructions: there are only %zu", count);
    const contestant *it = &contestants[counted];
    it->run(it->state, COUNTED); /* whatever is done once */
    CALLGRIND_TOGGLE_COLLECT;
    it->run(it->state, COUNTED);
    CALLGRIND_TOGGLE_COLLECT;
    printf("%d\n", COUNTED);
    exit(0);
}

static void be_quick(void) {
    config.quick = true;
    config.rounds = 3;
    config.sample_ns = 2e6;
}

int main(int argc, char **argv) {
    static void (*const rows[])(redis_server *) = {
        redis_get_row,   redis_set_row,    redis_snapshot_row, redis_watched_row,
        redis_delay_row, redis_outage_row, redis_herd_row,     redis_deadline_row};
    const char *json = NULL, *plain = NULL;
    memset(wanted, true, sizeof wanted);
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(option, "--quick")) {
            be_quick();
            continue;
        }
        if (!value) die("%s is no option, or needs a value", option);
        if (!strcmp(option, "--rows")) choose_rows(value);
        else if (!strcmp(option, "--dir")) config.dir = value;
        else if (!strcmp(option, "--json")) json = value;
        else if (!strcmp(option, "--plain")) plain = value;
        else if (!strcmp(option, "--instructions")) counted = strtol(value, NULL, 10);
        else if (!strcmp(option, "--scripts")) config.scripts = value;
        else die("no such option: %s", option);
        i++;
    }
    if (!flagstore_has_feature("redis")) {
        printf("the rows of Redis are left out: this library was built without it\n");
        return 0;
    }
    if (counted < 0) report_machine();
    redis_server *server = redis_start();
    for (size_t i = 0; i < COUNT(rows); i++)
        if (wanted[FIRST + i]) rows[i](server);
    redis_end(server);
    if (wanted[LAST]) redis_size_row(plain);
    report_summary();
    if (json) report_json(json);
}
