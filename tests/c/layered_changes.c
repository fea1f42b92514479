/* run: plain valgrind sanitizers */
/* Stores over stores notice the changes of every layer: revision, wait, watch. */
#include "layers.h"

/* ---- the revision ---- */

static void the_revision_changes_with_that_of_any_layer(void) {
    flagstore_t *layers[] = {new_memory(), new_file(FLAGS_FILE), new_memory()};
    flagstore_t *inner = LAYERED(0, layers[1], layers[2]), *store = LAYERED(1, layers[0], inner);
    uint64_t before = revision_of(store);
    CHECK_INT((long long)before, (long long)revision_of(store));
    for (size_t i = 0; i < COUNT(layers); i++) {
        SET(layers[i], "flag", "1"); /* hidden or not */
        uint64_t now = revision_of(store), waited = before;
        CHECK_THAT(now != before, "expected another revision after a change of layer %zu", i);
        CHECK(flagstore_wait(store, &waited, 0, NULL));
        CHECK_INT((long long)now, (long long)waited);
        before = now;
    }
    replace_flags("{\"flag\": 2}");
    CHECK_THAT(revision_of(store) != before, "expected another revision after a change by others");
    flagstore_free(store), flagstore_free(inner);
    for (size_t i = 0; i < COUNT(layers); i++)
        flagstore_free(layers[i]);
}

/* ---- waits ---- */

static int64_t now_in_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

enum { ROUNDS = 5 };

static void a_change_of_any_layer_ends_every_wait(void) {
    static const char *const names[] = {"memory", "fresh file", "watched file", "custom", "layered"};
    flagstore_t *below = new_memory(), *layers[COUNT(names)] = {
        new_memory(), new_file(FLAGS_FILE), open_watched_file("watched.json"),
        open_forwarding(new_memory(), NULL), LAYERED(0, below),
    };
    flagstore_t *store = open_layered(__FILE__, __LINE__, 0, layers, COUNT(layers));
    for (size_t i = 0; i < COUNT(layers); i++) {
        int64_t longest = 0;
        check_row = names[i];
        for (int round = 0; round < ROUNDS; round++) {
            struct waiter waiters[2];
            for (size_t j = 0; j < COUNT(waiters); j++)
                start_waiter(&waiters[j], store);
            int64_t changed = now_in_us();
            CHECK(flagstore_set_int64(i == 4 ? below : layers[i], "flag", round, NULL));
            for (size_t j = 0; j < COUNT(waiters); j++)
                CHECK(pthread_join(waiters[j].handle, NULL) == 0);
            int64_t took = now_in_us() - changed;
            longest = took > longest ? took : longest;
        }
        printf("layered_changes: a change of a %s layer ends a wait after at most %lld us\n", names[i],
               (long long)longest);
    }
    fflush(stdout);
    flagstore_free(store), flagstore_free(below);
    for (size_t i = 0; i < COUNT(layers); i++)
        flagstore_free(layers[i]);
}

static void a_wait_fails_as_the_layer_does(void) {
    flagstore_error_t *error = GARBAGE;
    CHECK(mkdir("mounted", 0777) == 0);
    flagstore_t *top = new_memory(), *bottom = new_file("mounted/" FLAGS_FILE), *store = LAYERED(0, top, bottom);
    uint64_t revision = revision_of(store);
    CHECK(!flagstore_wait(store, &revision, 1, &error));
    CHECK_OK(error);
    CHECK(rename("mounted", "away") == 0);
    put("mounted", "no directory");
    CHECK(flagstore_revision(store, &error) == 0);
    CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
    CHECK(!flagstore_wait(store, &revision, -1, &error));
    CHECK_ERROR(FLAGSTORE_IO, FLAGS_FILE, error);
    CHECK(unlink("mounted") == 0 && rename("away", "mounted") == 0);
    struct waiter waiter;
    start_waiter(&waiter, store);
    SET(bottom, "flag", "1");
    CHECK(pthread_join(waiter.handle, NULL) == 0);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
}

/* ---- watches ---- */

static void a_watch_tells_of_what_is_seen_through_all_layers(void) {
    struct recorder *all = new_recorder(), *one = new_recorder();
    flagstore_t *top = new_memory(), *middle = new_file(FLAGS_FILE), *bottom = new_memory();
    flagstore_t *store = LAYERED(1, top, middle, bottom);
    flagstore_watch_t *watch = WATCH(store, NULL, all), *other = WATCH(store, "fence", one);
    SET(bottom, "flag", "3");
    CHECK_RECORDED("flag:->3;", all);
    SET(top, "flag", "null");
    CHECK_RECORDED("flag:3>null;", all);
    SET(store, "flag", "2"); /* hidden, as are the next two */
    SET(bottom, "flag", "4");
    replace_flags("{\"flag\": 5}");
    SET(bottom, "fence", "1");
    CHECK_RECORDED("fence:->1;", all);
    CHECK(flagstore_delete(top, "flag", NULL));
    CHECK_RECORDED("flag:null>5;", all);
    replace_flags("{\"flag\": 6}");
    CHECK_RECORDED("flag:5>6;", all);
    CHECK(unlink(FLAGS_FILE) == 0);
    CHECK_RECORDED("flag:6>4;", all);
    flagstore_free(store), flagstore_free(bottom); /* the watch holds them */
    SET(top, "flag", "1");
    CHECK_RECORDED("flag:4>1;", all);
    CHECK_RECORDED("fence:->1;", one);
    end_watch(watch, all), end_watch(other, one);
    CHECK_EVENTUALLY(count_followers() == 0);
    flagstore_free(top), flagstore_free(middle);
    free_recorder(all), free_recorder(one);
}

static void a_watch_outlasts_a_layer_that_is_corrupt_for_a_while(void) {
    struct recorder *all = new_recorder();
    put(FLAGS_FILE, "{\"flag\": 1}");
    flagstore_t *top = new_memory(), *bottom = new_file(FLAGS_FILE), *store = LAYERED(0, top, bottom);
    flagstore_watch_t *watch = WATCH(store, NULL, all);
    replace_flags("{\"flag\": 2");
    CHECK_THAT(flagstore_len(store, NULL) == -1, "expected the layer's error");
    replace_flags("{\"flag\": 3}");
    CHECK_RECORDED("flag:1>3;", all);
    end_watch(watch, all);
    flagstore_free(store), flagstore_free(top), flagstore_free(bottom);
    free_recorder(all);
}

int main(void) {
    RUN(the_revision_changes_with_that_of_any_layer);
    RUN(a_change_of_any_layer_ends_every_wait);
    RUN(a_wait_fails_as_the_layer_does);
    RUN(a_watch_tells_of_what_is_seen_through_all_layers);
    RUN(a_watch_outlasts_a_layer_that_is_corrupt_for_a_while);
    return check_summary("layered_changes");
}
