/* Backends that forward every call to another store, which they own: the contract, once more through a custom backend
   with four functions, and through one with all of them. Included by check.h. */
#ifndef FORWARD_H
#define FORWARD_H

#include "flagstore.h"

static inline bool forward_get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply,
                               flagstore_error_t **error) {
    size_t len = 0;
    char *json = flagstore_get_n(context, key, key_len, &len, error);
    if (json) flagstore_reply(reply, NULL, 0, json, len);
    flagstore_free(json);
    return *error == NULL;
}

static inline bool forward_set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                               flagstore_error_t **error) {
    return flagstore_set_n(context, key, key_len, json, json_len, error);
}

static inline bool forward_remove(void *context, const char *key, size_t key_len, bool *existed,
                                  flagstore_error_t **error) {
    *existed = flagstore_delete_n(context, key, key_len, error);
    return *error == NULL;
}

static inline bool forward_list_all(void *context, flagstore_reply_t *reply, flagstore_error_t **error) {
    flagstore_snapshot_t *all = flagstore_snapshot(context, error);
    for (size_t i = flagstore_snapshot_count(all); i-- > 0;) { /* backwards: the order of replies is free */
        size_t key_len = 0, json_len = 0;
        const char *key = flagstore_snapshot_key(all, i, &key_len);
        const char *json = flagstore_snapshot_value(all, i, &json_len);
        flagstore_reply(reply, key, key_len, json, json_len);
    }
    flagstore_free(all);
    return *error == NULL;
}

static inline void forward_close(void *context) { flagstore_free(context); }

static inline flagstore_t *open_forwarding(flagstore_t *store, flagstore_error_t **error) {
    flagstore_backend_t backend = {
        .size = sizeof backend, .context = store, .get = forward_get, .set = forward_set,
        .remove = forward_remove, .list_all = forward_list_all, .close = forward_close,
    };
    return store ? flagstore_backend_open(&backend, error) : NULL;
}

static inline bool forward_commit(void *context, const flagstore_batch_t *batch, uint64_t *revision,
                                  flagstore_error_t **error) {
    /* One call at a time: nobody has changed it in between. */
    if (!flagstore_commit(context, batch, error)) return false;
    *revision = flagstore_revision(context, NULL);
    return true;
}

static inline bool forward_load(void *context, uint64_t *revision, bool *same, flagstore_reply_t *reply,
                                flagstore_error_t **error) {
    uint64_t before = flagstore_revision(context, error);
    *same = before != 0 && before == *revision;
    *revision = before; /* the flags may be newer, which the next load finds out */
    return before != 0 && (*same || forward_list_all(context, reply, error));
}

/* Times out at once, as nobody could wake it. */
static inline bool forward_wait(void *context, uint64_t *revision, int32_t timeout_ms, flagstore_error_t **error) {
    return flagstore_wait(context, revision, timeout_ms < 10 ? timeout_ms : 10, error);
}

static inline flagstore_t *open_forwarding_all(flagstore_t *store, int32_t read_mode, flagstore_error_t **error) {
    flagstore_backend_t backend = {
        .size = sizeof backend, .context = store, .get = forward_get, .set = forward_set, .remove = forward_remove,
        .list_all = forward_list_all, .close = forward_close, .commit = forward_commit, .load = forward_load,
        .wait = forward_wait,
    };
    flagstore_remote_options_t options = {.size = sizeof options, .read_mode = read_mode, .call_timeout_ms = 60000,
                                          .open_timeout_ms = 60000, .spread_ms = -1};
    return store ? flagstore_backend_open_with(&backend, &options, error) : NULL;
}

#endif
