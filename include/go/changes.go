package flagstore

// Snapshots, batches and changes: copy this file beside flagstore.go, which does without it.

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
	"encoding/json"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Snapshot holds every flag as of one moment, in the byte order of the keys. It may outlive its store. Any number of
// goroutines may use it at once; once closed it is empty.
type Snapshot struct {
	mu     sync.RWMutex
	handle *C.flagstore_snapshot_t
}

// Snapshot takes a picture of all flags.
func (s *Store) Snapshot() (*Snapshot, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var failed *C.flagstore_error_t
	handle := C.flagstore_snapshot(s.handle, &failed)
	if handle == nil {
		return nil, failure(failed)
	}
	snapshot := &Snapshot{handle: handle}
	runtime.SetFinalizer(snapshot, (*Snapshot).Close)
	return snapshot, nil
}

// Count counts the flags.
func (s *Snapshot) Count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return int(C.flagstore_snapshot_count(s.handle))
}

// Key returns the key at an index from 0, "" past the end.
func (s *Snapshot) Key(index int) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var length C.size_t
	key := C.flagstore_snapshot_key(s.handle, C.size_t(index), &length)
	return string(copied(key, length))
}

// Value returns the value at an index as compact JSON, nil past the end.
func (s *Snapshot) Value(index int) json.RawMessage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var length C.size_t
	value := C.flagstore_snapshot_value(s.handle, C.size_t(index), &length)
	return copied(value, length)
}

// Find returns the value under a key as compact JSON, nil if there is none.
func (s *Snapshot) Find(key string) json.RawMessage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var length C.size_t
	value := C.flagstore_snapshot_find_n(s.handle, borrowed(key), C.size_t(len(key)), &length)
	return copied(value, length)
}

// Seek returns the index of the first key that is not less than the given one, the count if there is none.
func (s *Snapshot) Seek(key string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return int(C.flagstore_snapshot_seek(s.handle, borrowed(key), C.size_t(len(key))))
}

// Range calls back for each flag whose key starts with the prefix, until the call returns false.
func (s *Snapshot) Range(prefix string, call func(key string, value json.RawMessage) bool) {
	for i := s.Seek(prefix); i < s.Count(); i++ {
		if key := s.Key(i); !strings.HasPrefix(key, prefix) || !call(key, s.Value(i)) {
			return
		}
	}
}

// Close releases the snapshot. It never fails.
func (s *Snapshot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	runtime.SetFinalizer(s, nil)
	C.flagstore_free(unsafe.Pointer(s.handle))
	s.handle = nil
	return nil
}

// Batch collects changes to be made in one write. Its last word on a key counts.
type Batch struct {
	mu     sync.Mutex
	handle *C.flagstore_batch_t
}

// NewBatch returns an empty batch.
func NewBatch() *Batch {
	batch := &Batch{handle: C.flagstore_batch_new()}
	runtime.SetFinalizer(batch, (*Batch).Close)
	return batch
}

// Set will store one JSON value.
func (b *Batch) Set(key string, value json.RawMessage) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := string(value)
	var failed *C.flagstore_error_t
	C.flagstore_batch_set_n(b.handle, borrowed(key), C.size_t(len(key)), borrowed(text), C.size_t(len(text)), &failed)
	return failure(failed)
}

// Delete will remove a key, if it is there.
func (b *Batch) Delete(key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed *C.flagstore_error_t
	C.flagstore_batch_delete_n(b.handle, borrowed(key), C.size_t(len(key)), &failed)
	return failure(failed)
}

// Clear will remove everything before the batch's changes are made.
func (b *Batch) Clear() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed *C.flagstore_error_t
	C.flagstore_batch_clear(b.handle, &failed)
	return failure(failed)
}

// Expect lets Commit fail with Conflict unless the key then has this JSON value; nil: unless it is absent.
func (b *Batch) Expect(key string, value json.RawMessage) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var text *C.char
	if value != nil {
		text = borrowed(string(value))
	}
	var failed *C.flagstore_error_t
	C.flagstore_batch_expect_n(b.handle, borrowed(key), C.size_t(len(key)), text, C.size_t(len(value)), &failed)
	return failure(failed)
}

// Item is what a batch says of a key: compact JSON, or nil: the key is deleted, or must be absent.
type Item struct {
	Key   string
	Value json.RawMessage
}

// Clears tells whether everything is removed first.
func (b *Batch) Clears() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bool(C.flagstore_batch_clears(b.handle))
}

// Changes returns what becomes of each key that the batch changes, in byte order of the keys.
func (b *Batch) Changes() (items []Item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := C.size_t(0); i < C.flagstore_batch_count(b.handle); i++ {
		var keyLen, valueLen C.size_t
		key := C.flagstore_batch_key(b.handle, i, &keyLen)
		value := C.flagstore_batch_value(b.handle, i, &valueLen)
		items = append(items, Item{string(copied(key, keyLen)), copied(value, valueLen)})
	}
	return items
}

// Expectations returns what is expected of each key, in byte order of the keys.
func (b *Batch) Expectations() (items []Item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := C.size_t(0); i < C.flagstore_batch_expect_count(b.handle); i++ {
		var keyLen, valueLen C.size_t
		key := C.flagstore_batch_expect_key(b.handle, i, &keyLen)
		value := C.flagstore_batch_expect_value(b.handle, i, &valueLen)
		items = append(items, Item{string(copied(key, keyLen)), copied(value, valueLen)})
	}
	return items
}

// JSONEqual tells whether both spell the same JSON value, by the rule of Expect; false if one of them is no JSON.
func JSONEqual(a, b json.RawMessage) bool {
	return bool(C.flagstore_json_equal(borrowed(string(a)), C.size_t(len(a)), borrowed(string(b)), C.size_t(len(b))))
}

// Close releases the batch; later calls fail with InvalidArgument. It never fails.
func (b *Batch) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	runtime.SetFinalizer(b, nil)
	C.flagstore_free(unsafe.Pointer(b.handle))
	b.handle = nil
	return nil
}

// Commit makes all changes of the batch in one write, or none. The batch stays as it is.
func (s *Store) Commit(batch *Batch) error {
	batch.mu.Lock()
	defer batch.mu.Unlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	var failed *C.flagstore_error_t
	C.flagstore_commit(s.handle, batch.handle, &failed)
	return failure(failed)
}

// Revision is never 0, and differs from an earlier answer whenever the content may have changed since.
func (s *Store) Revision() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var failed *C.flagstore_error_t
	revision := C.flagstore_revision(s.handle, &failed)
	return uint64(revision), failure(failed)
}

// Wait blocks until the revision differs from the given one and returns it; the given one when the time is up
// (negative: never). It looks up every second, for Close to come in between.
func (s *Store) Wait(revision uint64, timeout time.Duration) (uint64, error) {
	end := time.Now().Add(timeout)
	for {
		left := time.Second
		if rest := time.Until(end); timeout >= 0 && rest < left {
			left = rest
		}
		now, err := s.waitFor(revision, left)
		if err != nil || now != revision || timeout >= 0 && !time.Now().Before(end) {
			return now, err
		}
	}
}

func (s *Store) waitFor(revision uint64, timeout time.Duration) (uint64, error) {
	if timeout < 0 {
		timeout = 0
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := C.uint64_t(revision)
	var failed *C.flagstore_error_t
	C.flagstore_wait(s.handle, &now, milliseconds(timeout), &failed)
	return uint64(now), failure(failed)
}

// Watch calls back for changes until it is closed, also when nobody holds it any more.
type Watch struct {
	mu     sync.Mutex
	handle *C.flagstore_watch_t
	call   cgo.Handle
}

// Watch calls back for each change of a key from now on, with its JSON before (nil: it is new) and now (nil: it was
// deleted). The calls come one at a time. The key must not contain NULs. A panic in the call ends the process.
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
	s.mu.RLock()
	defer s.mu.RUnlock()
	watch := &Watch{call: cgo.NewHandle(call)}
	var failed *C.flagstore_error_t
	watch.handle = C.watch(unsafe.Pointer(s.handle), name, C.uintptr_t(watch.call), &failed)
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

//export flagstoreGoChange
func flagstoreGoChange(context C.uintptr_t, key, before, after *C.char) {
	call := cgo.Handle(context).Value().(func(key string, old, new []byte))
	call(C.GoString(key), copied(before, C.text_len(before)), copied(after, C.text_len(after)))
}

// copied takes a text of the library's into Go's memory; NULL is nil.
func copied(text *C.char, length C.size_t) []byte {
	if text == nil {
		return nil
	}
	return append([]byte{}, unsafe.Slice((*byte)(unsafe.Pointer(text)), int(length))...)
}

// borrowed points at a text for the length of a call, and at something even if it is empty.
func borrowed(text string) *C.char {
	if text == "" {
		text = "\x00"
	}
	return (*C.char)(*(*unsafe.Pointer)(unsafe.Pointer(&text)))
}
