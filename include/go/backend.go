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
extern bool flagstoreGoCommit(uintptr_t context, flagstore_batch_t *batch, uint64_t *revision,
                              flagstore_error_t **error);
extern bool flagstoreGoLoad(uintptr_t context, uint64_t *revision, bool *same, flagstore_reply_t *reply,
                            flagstore_error_t **error);
extern bool flagstoreGoWait(uintptr_t context, uint64_t *revision, int32_t timeout_ms, flagstore_error_t **error);
extern void flagstoreGoWake(uintptr_t context);
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

static bool on_commit(void *context, const flagstore_batch_t *batch, uint64_t *revision, flagstore_error_t **error) {
	return flagstoreGoCommit((uintptr_t)context, (flagstore_batch_t *)batch, revision, error);
}

static bool on_load(void *context, uint64_t *revision, bool *same, flagstore_reply_t *reply,
                    flagstore_error_t **error) {
	return flagstoreGoLoad((uintptr_t)context, revision, same, reply, error);
}

static bool on_wait(void *context, uint64_t *revision, int32_t timeout_ms, flagstore_error_t **error) {
	return flagstoreGoWait((uintptr_t)context, revision, timeout_ms, error);
}

static void on_wake(void *context) { flagstoreGoWake((uintptr_t)context); }

static void on_close(void *context) { flagstoreGoClose((uintptr_t)context); }

static flagstore_t *backend_open(uintptr_t context, uint32_t flags, bool commits, bool loads, bool waits,
                                 const flagstore_remote_options_t *options, flagstore_error_t **error) {
	flagstore_backend_t backend = {
		.size = sizeof backend, .context = (void *)context, .get = on_get, .set = on_set, .remove = on_remove,
		.list_all = on_list_all, .close = on_close, .flags = flags, .commit = commits ? on_commit : NULL,
		.load = loads ? on_load : NULL, .wait = waits ? on_wait : NULL, .wake = waits ? on_wake : NULL,
	};
	return options ? flagstore_backend_open_with(&backend, options, error) : flagstore_backend_open(&backend, error);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/cgo"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Implementation is a backend of your own. One that is also a Committer, a Loader and a Waiter is as good as what the
// library has. Values are compact JSON. The calls of one store never overlap, unless the backend is Concurrent, and
// must not use that store; a Wait overlaps all others.
//
// An Error's code and message come through to the caller of the store, and so does a Code alone (return NotImplemented);
// other errors, and panics, have the code Backend. Unavailable says that the backend was not reached, so that nothing
// has changed, Uncertain that a change was sent and not answered.
//
// A revision is a number of the backend's own. It is never 0, and differs where the content does.
type Implementation interface {
	Get(key string) (json.RawMessage, error) // nil: absent
	Set(key string, value json.RawMessage) error
	Remove(key string) (existed bool, err error)
	ListAll() (map[string]json.RawMessage, error)
	Close() error // called once, when the store and its watches are closed and no call is left; its error is not told
}

// Committer is an Implementation whose batches are atomic.
type Committer interface {
	// Commit makes all changes of the batch and returns the revision after it, 0 if it is not known. Or it makes none,
	// with Conflict if an expectation does not hold (see JSONEqual). The batch is read only, and until Commit returns.
	Commit(batch *Batch) (revision uint64, err error)
}

// Loader is an Implementation that reads every flag as of one moment.
type Loader interface {
	// Load returns every flag with their revision, 0 if it is not known. If the revision is still the one that was seen,
	// nil flags will do. ErrGone says that what was stored has vanished, which is not the same as no flags.
	Load(seen uint64) (flags map[string]json.RawMessage, revision uint64, err error)
}

// Waiter is an Implementation that knows when somebody else has changed it.
type Waiter interface {
	// Wait blocks until the revision is no longer the one that was seen, and returns it. When the context is done, which
	// it is after a few seconds or when the store is closed, it returns the one that was seen, or the context's error.
	// One Wait at a time is under way. (That of a Store will do.)
	Wait(ctx context.Context, seen uint64) (revision uint64, err error)
}

// Concurrent is an Implementation that says whether its calls may overlap.
type Concurrent interface {
	Concurrent() bool
}

// ErrGone is what a Loader returns when what was stored has vanished.
var ErrGone = errors.New("flagstore: the content is gone")

// OpenBackend opens a store over a backend. Reads ask the backend, and a call takes as long as the backend does.
func OpenBackend(backend Implementation) (*Store, error) { return openBackend(backend, nil) }

// hosted is a backend with what it can do.
type hosted struct {
	Implementation
	committer Committer
	loader    Loader
	waiter    Waiter
	isTaken   atomic.Bool // by the library, which closes it

	mu   sync.Mutex
	wake context.CancelFunc // of the wait under way
}

func openBackend(backend Implementation, options *C.flagstore_remote_options_t) (*Store, error) {
	host := &hosted{Implementation: backend}
	host.committer, _ = backend.(Committer)
	host.loader, _ = backend.(Loader)
	host.waiter, _ = backend.(Waiter)
	var flags C.uint32_t
	if concurrent, ok := backend.(Concurrent); ok && concurrent.Concurrent() {
		flags = C.FLAGSTORE_BACKEND_CONCURRENT
	}
	handle := cgo.NewHandle(host)
	var failed *C.flagstore_error_t
	store, err := adopt(C.backend_open(C.uintptr_t(handle), flags, host.committer != nil, host.loader != nil,
		host.waiter != nil, options, &failed), failed)
	if err != nil && !host.isTaken.Load() {
		flagstoreGoClose(C.uintptr_t(handle))
	}
	return store, err
}

//export flagstoreGoGet
func flagstoreGoGet(context C.uintptr_t, key *C.char, keyLen C.size_t, reply *C.flagstore_reply_t,
	failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend *hosted) error {
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
	return serve(context, failed, func(backend *hosted) error {
		return backend.Set(string(copied(key, keyLen)), copied(value, valueLen))
	})
}

//export flagstoreGoRemove
func flagstoreGoRemove(context C.uintptr_t, key *C.char, keyLen C.size_t, existed *C.bool,
	failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend *hosted) error {
		found, err := backend.Remove(string(copied(key, keyLen)))
		*existed = C.bool(found)
		return err
	})
}

//export flagstoreGoListAll
func flagstoreGoListAll(context C.uintptr_t, reply *C.flagstore_reply_t, failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend *hosted) error {
		backend.isTaken.Store(true)
		all, err := backend.ListAll()
		replyAll(reply, all)
		return err
	})
}

func replyAll(reply *C.flagstore_reply_t, flags map[string]json.RawMessage) {
	for key, value := range flags {
		C.flagstore_reply(reply, borrowed(key), C.size_t(len(key)), borrowed(string(value)), C.size_t(len(value)))
	}
}

//export flagstoreGoCommit
func flagstoreGoCommit(context C.uintptr_t, lent *C.flagstore_batch_t, revision *C.uint64_t,
	failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend *hosted) error {
		batch := &Batch{handle: lent, isLent: true}
		defer batch.Close()
		after, err := backend.committer.Commit(batch)
		*revision = C.uint64_t(after)
		return err
	})
}

//export flagstoreGoLoad
func flagstoreGoLoad(context C.uintptr_t, revision *C.uint64_t, same *C.bool, reply *C.flagstore_reply_t,
	failed **C.flagstore_error_t) C.bool {
	return serve(context, failed, func(backend *hosted) error {
		backend.isTaken.Store(true)
		seen := uint64(*revision)
		all, now, err := backend.loader.Load(seen)
		if errors.Is(err, ErrGone) {
			all, now, err = nil, 0, nil
		}
		*revision = C.uint64_t(now)
		*same = all == nil && seen != 0 && now == seen
		replyAll(reply, all)
		return err
	})
}

//export flagstoreGoWait
func flagstoreGoWait(handle C.uintptr_t, revision *C.uint64_t, timeout C.int32_t,
	failed **C.flagstore_error_t) (changed C.bool) {
	done := serve(handle, failed, func(backend *hosted) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(timeout)*time.Millisecond)
		defer cancel()
		backend.wakeBy(cancel)
		defer backend.wakeBy(nil)
		now, err := backend.waiter.Wait(ctx, uint64(*revision))
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil
		}
		changed = err == nil && now != uint64(*revision)
		*revision = C.uint64_t(now)
		return err
	})
	return changed && done
}

func (h *hosted) wakeBy(cancel context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake = cancel
}

//export flagstoreGoWake
func flagstoreGoWake(context C.uintptr_t) {
	backend := cgo.Handle(context).Value().(*hosted)
	backend.mu.Lock()
	defer backend.mu.Unlock()
	if backend.wake != nil {
		backend.wake()
	}
}

//export flagstoreGoClose
func flagstoreGoClose(context C.uintptr_t) {
	backend := cgo.Handle(context).Value().(*hosted)
	backend.isTaken.Store(true)
	cgo.Handle(context).Delete()
	backend.Close()
}

// serve makes a call of the backend. A panic must not run on through the library, which would keep its locks.
func serve(context C.uintptr_t, failed **C.flagstore_error_t, call func(*hosted) error) (done C.bool) {
	defer func() {
		if reason := recover(); reason != nil {
			*failed, done = errorObject(fmt.Errorf("panic: %v", reason)), false
		}
	}()
	if err := call(cgo.Handle(context).Value().(*hosted)); err != nil {
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
