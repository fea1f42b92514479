package flagstore

/*
#include <stdlib.h>
#include <string.h>
#include <flagstore.h>

// Go's side of the callback, exported below. The context is a cgo.Handle: a number, and never a pointer to Go.
extern void flagstoreGoChange(uintptr_t context, char *key, char *before, char *after);

static size_t text_len(const char *text) { return text ? strlen(text) : 0; }

static void on_change(void *context, const char *key, const char *before, const char *after) {
	flagstoreGoChange((uintptr_t)context, (char *)key, (char *)before, (char *)after);
}

static flagstore_watch_t *watch(void *store, const char *key, uintptr_t context, flagstore_error_t **error) {
	return flagstore_watch(store, key, on_change, (void *)context, error);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// Watch calls back for changes until it is closed, also when nobody holds it any more, and when its store is closed.
type Watch struct {
	mu     sync.Mutex
	handle *C.flagstore_watch_t
	call   cgo.Handle
}

// Watch calls back for each change of a key from now on, with its JSON before (nil: it is new) and now (nil: it was
// deleted). The calls come one at a time; what changes during one is reported after it, as one change for each key.
// The key must not contain NULs. A panic in the call ends the process.
func (s *Store) Watch(key string, call func(key string, old, new []byte)) (*Watch, error) {
	name, err := cString(key)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(name))
	return s.watch(name, call)
}

// WatchAll calls back for each change of every key. A key that contains a NUL seems to end there.
func (s *Store) WatchAll(call func(key string, old, new []byte)) (*Watch, error) {
	return s.watch(nil, call)
}

func (s *Store) watch(name *C.char, call func(key string, old, new []byte)) (*Watch, error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.leave()
	watch := &Watch{call: cgo.NewHandle(call)}
	var failed *C.flagstore_error_t
	watch.handle = C.watch(s.pointer, name, C.uintptr_t(watch.call), &failed)
	if watch.handle == nil {
		watch.call.Delete()
		return nil, failure(failed)
	}
	return watch, nil
}

// Close stops the watch: it waits for a call that is under way, unless it comes from inside of it. It never fails.
func (w *Watch) Close() error {
	w.mu.Lock()
	handle := w.handle
	w.handle = nil
	w.mu.Unlock() // not held while waiting: the call under way may close the watch too
	if handle != nil {
		C.flagstore_free(unsafe.Pointer(handle))
		w.call.Delete()
	}
	return nil
}

// Change is one change of a key: its compact JSON before (nil: it is new) and now (nil: it was deleted).
type Change struct {
	Key      string
	Old, New json.RawMessage
}

// Changes is WatchAll as a channel, which is closed when the context is done; that must happen at some time, also when
// the store is closed. Nothing is lost on a slow receiver: several changes of a key come as one.
func (s *Store) Changes(ctx context.Context) (<-chan Change, error) {
	return channel(ctx, s.WatchAll)
}

// ChangesOf is Watch as a channel, in the way of Changes.
func (s *Store) ChangesOf(ctx context.Context, key string) (<-chan Change, error) {
	return channel(ctx, func(call func(key string, old, new []byte)) (*Watch, error) { return s.Watch(key, call) })
}

type startWatch func(call func(key string, old, new []byte)) (*Watch, error)

func channel(ctx context.Context, start startWatch) (<-chan Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	changes := make(chan Change)
	watch, err := start(func(key string, old, new []byte) {
		select {
		case changes <- Change{key, old, new}:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return nil, err
	}
	go func() {
		<-ctx.Done()
		watch.Close()
		close(changes) // nobody sends any more
	}()
	return changes, nil
}

//export flagstoreGoChange
func flagstoreGoChange(context C.uintptr_t, key, before, after *C.char) {
	call := cgo.Handle(context).Value().(func(key string, old, new []byte))
	call(C.GoString(key), copied(before, C.text_len(before)), copied(after, C.text_len(after)))
}
