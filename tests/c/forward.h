/* A backend that forwards every call to another store, which it owns: the contract, once more through a custom backend.
   Included by check.h. */
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

#endif
