#include "parsers.h"

#include <cjson/cJSON.h>
#include <jansson.h>

#ifdef HAVE_YYJSON
#include <string.h>
#include <yyjson.h>

static bool answer_of(yyjson_doc *doc, const char *key) {
    yyjson_val *value = yyjson_obj_get(yyjson_doc_get_root(doc), key);
    if (!yyjson_is_bool(value)) die("yyjson does not find %s", key);
    bool answer = yyjson_get_bool(value);
    yyjson_doc_free(doc);
    return answer;
}

/* As a program would do it that has no special needs. */
static bool with_yyjson(const char *path, buffer *buffer, const char *key) {
    (void)buffer;
    return answer_of(yyjson_read_file(path, 0, NULL, NULL), key);
}

/* The fastest way there is: strings stay in the buffer, which is used again. */
static bool with_yyjson_in_place(const char *path, buffer *buffer, const char *key) {
    size_t len = bare_read(path, buffer);
    memset(buffer->data + len, 0, YYJSON_PADDING_SIZE);
    return answer_of(yyjson_read_opts(buffer->data, len, YYJSON_READ_INSITU, NULL, NULL), key);
}
#endif

static bool with_jansson(const char *path, buffer *buffer, const char *key) {
    size_t len = bare_read(path, buffer);
    json_t *root = json_loadb(buffer->data, len, 0, NULL);
    json_t *value = json_object_get(root, key);
    if (!json_is_boolean(value)) die("jansson does not find %s", key);
    bool answer = json_is_true(value);
    json_decref(root);
    return answer;
}

static bool with_cjson(const char *path, buffer *buffer, const char *key) {
    size_t len = bare_read(path, buffer);
    cJSON *root = cJSON_ParseWithLength(buffer->data, len);
    cJSON *value = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!cJSON_IsBool(value)) die("cJSON does not find %s", key);
    bool answer = cJSON_IsTrue(value);
    cJSON_Delete(root);
    return answer;
}

const parser parsers[MAX_PARSERS] = {
#ifdef HAVE_YYJSON
    {"yyjson", with_yyjson},
    {"yyjson in place, bare read into one buffer", with_yyjson_in_place},
#endif
    {"jansson", with_jansson},
    {"cJSON", with_cjson},
};

#ifdef HAVE_YYJSON
const bool have_yyjson = true;
const size_t parser_count = 4;
#else
const bool have_yyjson = false;
const size_t parser_count = 2;
#endif
