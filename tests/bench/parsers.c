#include "parsers.h"
#include "bench.h"

#include <cjson/cJSON.h>
#include <jansson.h>

#ifdef HAVE_YYJSON
#include <string.h>
#include <yyjson.h>

static bool with_yyjson(char *text, size_t len, const char *key) {
    memset(text + len, 0, YYJSON_PADDING_SIZE);
    yyjson_doc *doc = yyjson_read_opts(text, len, YYJSON_READ_INSITU, NULL, NULL);
    yyjson_val *value = yyjson_obj_get(yyjson_doc_get_root(doc), key);
    if (!yyjson_is_bool(value)) die("yyjson does not find %s", key);
    bool answer = yyjson_get_bool(value);
    yyjson_doc_free(doc);
    return answer;
}
#endif

static bool with_jansson(char *text, size_t len, const char *key) {
    json_t *root = json_loadb(text, len, 0, NULL);
    json_t *value = json_object_get(root, key);
    if (!json_is_boolean(value)) die("jansson does not find %s", key);
    bool answer = json_is_true(value);
    json_decref(root);
    return answer;
}

static bool with_cjson(char *text, size_t len, const char *key) {
    cJSON *root = cJSON_ParseWithLength(text, len);
    cJSON *value = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!cJSON_IsBool(value)) die("cJSON does not find %s", key);
    bool answer = cJSON_IsTrue(value);
    cJSON_Delete(root);
    return answer;
}

const parser parsers[MAX_PARSERS] = {
#ifdef HAVE_YYJSON
    {"yyjson", with_yyjson},
#endif
    {"jansson", with_jansson},
    {"cJSON", with_cjson},
};

#ifdef HAVE_YYJSON
const bool have_yyjson = true;
const size_t parser_count = 3;
#else
const bool have_yyjson = false;
const size_t parser_count = 2;
#endif
