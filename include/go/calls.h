/* The calls that a program makes often, as Go calls them. */
#include <stdlib.h>
#include <string.h>
#include <flagstore.h>

/* What a call answers, by value: no Go memory is handed out for it. And stores come as void *, for cgo allocates
   memory at each call to check a pointer to a type that it cannot see into. */
typedef struct {
	flagstore_error_t *error;
	char *text;
	size_t len;
	bool yes;
} answer;

/* An empty Go string may point nowhere; to the library NULL would be a missing argument. */
static const char *at(_GoString_ s) { return _GoStringLen(s) ? _GoStringPtr(s) : ""; }

static inline answer get(const void *store, _GoString_ key) {
	answer a = {0};
	a.text = flagstore_get_n(store, at(key), _GoStringLen(key), &a.len, &a.error);
	return a;
}

static inline answer set(void *store, _GoString_ key, _GoString_ json) {
	answer a = {0};
	a.yes = flagstore_set_n(store, at(key), _GoStringLen(key), at(json), _GoStringLen(json), &a.error);
	return a;
}

static inline answer delete(void *store, _GoString_ key) {
	answer a = {0};
	a.yes = flagstore_delete_n(store, at(key), _GoStringLen(key), &a.error);
	return a;
}

/* Few bytes for what is called most: Go copies them. */
#define GETTER(name, type) \
	typedef struct { \
		flagstore_error_t *error; \
		type value; \
	} name##_answer; \
	static inline name##_answer name(const void *store, _GoString_ key, type fallback) { \
		name##_answer a = {0}; \
		a.value = flagstore_##name##_n(store, at(key), _GoStringLen(key), fallback, &a.error); \
		return a; \
	}
GETTER(get_bool, bool)
GETTER(get_int64, int64_t)
GETTER(get_double, double)

static inline answer get_string(const void *store, _GoString_ key) {
	answer a = {0};
	a.text = flagstore_get_string_n(store, at(key), _GoStringLen(key), &a.len, &a.error);
	return a;
}

static inline answer list_all(const void *store) {
	answer a = {0};
	a.text = flagstore_list_all(store, &a.error);
	a.len = a.text ? strlen(a.text) : 0;
	return a;
}
