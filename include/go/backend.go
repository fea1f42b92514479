package flagstore

/*
#include <stdlib.h>
#include <flagstore.h>

// Go's side of each callback, exported below. The context is a cgo.Handle: a number, and never a pointer to Go.
extern bool flagstoreGoGet(uintptr_t context, char *key, size_t key_len, flagstore_reply_t *reply,
                           flagstore_error_t **error);
extern bool flagstoreGoSet(uintptr_t context, char *key, size_t key_len, char *json, size_t json_len,
                           flagstore_error_t **error);
extern bool flagstoreGoRemove(uintptr_t context, char *key, size_t key_len, bool *existed, flagstore_error_t **error);
extern bool flagstoreGoListAll(uintptr_t context, flagstore_reply_t *reply, flagstore_error_t **error);
extern void flagstoreGoClose(uintptr_t context);

// An empty key may point nowhere, which Go's stack must not hold.
static char *some(const char *text, size_t len) { return (char *)(len ? text : ""); }

static bool on_get(void *context, const char *key, size_t key_len, flagstore_reply_t *reply,
                   flagstore_error_t **error) {
	return flagstoreGoGet((uintptr_t)context, some(key, key_len), key_len, reply, error);
}

static bool on_set(void *context, const char *key, size_t key_len, const char *json, size_t json_len,
                   flagstore_error_t **error) {
	return flagstoreGoSet((uintptr_t)context, some(key, key_len), key_len, (char *)json, json_len, error);
}

static bool on_remove(void *context, const char *key, size_t key_len, bool *existed, flagstore_error_t **error) {
	return flagstoreGoRemove((uintptr_t)context, some(key, key_len), key_len, existed, error);
}

static bool on_list_all(void *context, flagstore_reply_t *reply, flagstore_error_t **error) {
	return flagstoreGoListAll((uintptr_t)context, reply, error);
}

static void on_close(void *context) { flagstoreGoClose((uintptr_t)context); }

static flagstore_t *backend_open(uintptr_t context, flagstore_error_t **error) {
	flagstore_backend_t backend = {
		.size = sizeof backend, .context = (void *)context, .get = on_get, .set = on_set, .remove = on_remove,
		.list_all = on_list_all, .close = on_close,
	};
	return flagstore_backend_open(&backend, error);
}
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/cgo"
	"strings"
	"unsafe"
)

// Implementation is a backend of your own. Values are compact JSON. The calls of one store never overlap, and must
// not use that store. An Error's code and message come through to the caller of the store, and so does a Code alone
// (return NotImplemented); other errors, and panics, have the code Backend.
type Implementation interface {
	Get(key string) (json.RawMessage, error) // nil: absent
	Set(key string, value json.RawMessage) error
	Remove(key string) (existed bool, err error)
	ListAll() (map[string]json.RawMessage, error)
	Close() error // called once, when the store and its watches are closed and no call is left; its error is not told
}

// OpenBackend opens a store over a backend.
func OpenBackend(backend Implementation) (*Store, error) {
	context := cgo.NewHandle(backend)
	var failed *C.flagstore_error_t
	store, err := adopt(C.backend_open(C.uintptr_t(context), &failed), failed)
	if err != nil {
		context.Delete()
	}
	return store, err
}

//export flagstoreGoGet
func flagstoreGoGet(context C.uintptr_t, key *C.char, keyLen C.size_t, reply *C.flagstore_reply_t,
	failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend Implementation) error {
		value, err := backend.Get(string(copied(key, keyLen)))
		if err == nil && value != nil {
			C.flagstore_reply(reply, nil, 0, borrowed(string(value)), C.size_t(len(value)))
		}
		return err
	})
}

//export flagstoreGoSet
func flagstoreGoSet(context C.uintptr_t, key *C.char, keyLen C.size_t, value *C.char, valueLen C.size_t,
	failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend Implementation) error {
		return backend.Set(string(copied(key, keyLen)), copied(value, valueLen))
	})
}

//export flagstoreGoRemove
func flagstoreGoRemove(context C.uintptr_t, key *C.char, keyLen C.size_t, existed *C.bool,
	failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend Implementation) error {
		found, err := backend.Remove(string(copied(key, keyLen)))
		*existed = C.bool(found)
		return err
	})
}

//export flagstoreGoListAll
func flagstoreGoListAll(context C.uintptr_t, reply *C.flagstore_reply_t, failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend Implementation) error {
		all, err := backend.ListAll()
		for key, value := range all {
			C.flagstore_reply(reply, borrowed(key), C.size_t(len(key)), borrowed(string(value)), C.size_t(len(value)))
		}
		return err
	})
}

//export flagstoreGoClose
func flagstoreGoClose(context C.uintptr_t) {
	cgo.Handle(context).Value().(Implementation).Close()
	cgo.Handle(context).Delete()
}

// serve makes a call of the backend. A panic must not run on through the library, which would keep its locks.
func serve(context C.uintptr_t, failed **C.flagstore_error_t, call func(Implementation) error) (done C.bool) {
	defer func() {
		if reason := recover(); reason != nil {
			*failed, done = errorObject(fmt.Errorf("panic: %v", reason)), false
		}
	}()
	if err := call(cgo.Handle(context).Value().(Implementation)); err != nil {
		*failed = errorObject(err)
		return false
	}
	return true
}

func errorObject(err error) *C.flagstore_error_t {
	code, text := Backend, err.Error()
	var ours *Error
	if errors.As(err, &code) {
		// A Code alone: it has been taken.
	} else if errors.As(err, &ours) {
		code, text = ours.Code, strings.TrimPrefix(text, ours.Name+": ")
	}
	message := C.CString(text)
	defer C.free(unsafe.Pointer(message))
	return C.flagstore_error_new(C.int32_t(code), message)
}
