/* run: plain valgrind */
/* The end of a store whose backend hangs. */
#include "fault_backend.h"

static flagstore_t *open_hasty(struct backend *backend, int32_t mode) {
    flagstore_remote_options_t options = options_of(mode);
    options.call_timeout_ms = 50;
    return open_table(table_of(backend), options);
}

static void *end_with_a_call_under_way(void *argument) {
    struct engine *engine = argument;
    struct backend *backend = new_backend(engine);
    flagstore_t *store = open_hasty(backend, FLAGSTORE_READ_FRESH);
    FAULT(backend, OP_GET, blocks, 1);
    do
        CHECK_INT(FLAGSTORE_UNAVAILABLE, code_of_get(store, "flag"));
    while (NOW(backend->blocked) == 0);
    flagstore_free(store);
    CHECK_INT(1, NOW(backend->blocked));
    CHECK_INT(0, NOW(backend->closes));
    FAULT(backend, OP_GET, blocks, 0);
    CHECK_EVENTUALLY(NOW(backend->closes) == 1);
    free(backend);
    return NULL;
}

static void *end_with_a_wait_under_way(void *argument) {
    struct engine *engine = argument;
    struct backend *backend = new_backend(engine);
    FAULT(backend, OP_WAIT, blocks, 1);
    flagstore_t *store = open_hasty(backend, FLAGSTORE_READ_WATCHED);
    CHECK_EVENTUALLY(NOW(backend->blocked) == 1);
    flagstore_free(store);
    CHECK_INT(1, NOW(backend->blocked));
    CHECK_INT(0, NOW(backend->closes));
    FAULT(backend, OP_WAIT, blocks, 0);
    CHECK_EVENTUALLY(NOW(backend->closes) == 1);
    free(backend);
    return NULL;
}

static void *end_without_wake(void *argument) {
    struct engine *engine = argument;
    struct backend *backend = new_backend(engine);
    flagstore_backend_t table = table_of(backend);
    table.wake = NULL;
    flagstore_t *store = open_table(table, options_of(FLAGSTORE_READ_WATCHED));
    CHECK_EVENTUALLY(NOW(backend->calls[OP_WAIT]) == 1);
    end_backend(backend, store);
    return NULL;
}

/* Side by side, for each takes seconds. */
static void a_store_ends_though_its_backend_hangs(void) {
    void *(*const ends[])(void *) = {end_with_a_call_under_way, end_with_a_wait_under_way, end_without_wake};
    struct engine *engine = new_engine();
    pthread_t threads[COUNT(ends)];
    for (size_t i = 0; i < COUNT(ends); i++)
        pthread_create(&threads[i], NULL, ends[i], engine);
    for (size_t i = 0; i < COUNT(ends); i++)
        pthread_join(threads[i], NULL);
    CHECK_EVENTUALLY(count_threads_named("flagstore") == 0);
    free_engine(engine);
}

int main(void) {
    RUN(a_store_ends_though_its_backend_hangs);
    return check_summary("remote_ends");
}
