/* Row 10: everything at once, against one get and a copy of the result. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const dataset *data;
    flagstore_t *store;
    const char *all; /* what list_all answers */
    size_t len;
} lister;

static void list(void *state, size_t count) {
    const lister *it = state;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        flagstore_error_t *error = NULL;
        char *all = flagstore_list_all(it->store, &error);
        if (!all) must("list_all", error);
        sum += (unsigned char)all[1];
        flagstore_free(all);
    }
    keep(sum);
}

static void snapshot(void *state, size_t count) {
    const lister *it = state;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        flagstore_error_t *error = NULL;
        flagstore_snapshot_t *all = flagstore_snapshot(it->store, &error);
        if (!all) must("snapshot", error);
        sum += flagstore_snapshot_count(all);
        flagstore_free(all);
    }
    keep(sum);
}

static void get_and_copy(void *state, size_t count) {
    const lister *it = state;
    uint64_t sum = 0;
    size_t place = take_places(count);
    for (size_t i = place; i < place + count; i++) {
        flagstore_error_t *error = NULL;
        char *json = flagstore_get(it->store, it->data->any[i % ORDER], &error);
        if (!json) die("a flag is missing");
        char *copy = malloc(it->len + 1);
        memcpy(copy, it->all, it->len + 1);
        sum += (unsigned char)json[0] + (unsigned char)copy[it->len / 2];
        free(copy);
        flagstore_free(json);
    }
    keep(sum);
}

void list_row(void) {
    for (size_t i = 0; i < config.size_count; i++) {
        const dataset *data = dataset_of(config.sizes[i]);
        lister it = {.data = data, .store = open_file(file_of(data, "list"), FLAGSTORE_READ_FRESH, FLAGSTORE_SYNC_FULL)};
        char *text = flagstore_list_all(it.store, NULL);
        it.all = text;
        it.len = strlen(text);
        contestant all[] = {{.name = "list_all", .run = list, .state = &it},
                            {.name = "snapshot", .run = snapshot, .state = &it},
                            {.name = "one get + a copy of the result", .run = get_and_copy, .state = &it}};
        measure(all, COUNT(all), 1);
        report(10, "file list_all, FRESH", data->count, &all[0], &all[2], MOST(2));
        report(10, "file snapshot, FRESH", data->count, &all[1], &all[2], MOST(2));
        flagstore_free(text);
        flagstore_free(it.store);
    }
}
