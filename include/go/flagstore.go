package flagstore

// #include "calls.h"
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

func init() {
	if got := C.flagstore_abi_version(); got != C.FLAGSTORE_ABI_VERSION {
		panic(fmt.Sprintf("flagstore: built for ABI %d, but the library has ABI %d", C.FLAGSTORE_ABI_VERSION, got))
	}
}

// Version is the version of the library in use, such as "0.2.0".
func Version() string { return C.GoString(C.flagstore_version()) }

// HasFeature tells whether the library in use has a feature: "memory", "file", "backend", "layered", "redis",
// "checked", "watched", "snapshot", "batch", "watch", "status".
func HasFeature(name string) bool {
	text, err := cString(name)
	if err != nil {
		return false
	}
	defer C.free(unsafe.Pointer(text))
	return bool(C.flagstore_has_feature(text))
}

// Store holds flags. Any number of goroutines may use it at once, and Close too.
type Store struct {
	object
	attempts int // how often a change tries for the lock of a file; 0: there is none to wait for
}

// OpenMemory opens an empty store of its own.
func OpenMemory() (*Store, error) {
	var failed *C.flagstore_error_t
	return adopt(C.flagstore_memory_open(&failed), failed)
}

func adopt(handle *C.flagstore_t, failed *C.flagstore_error_t) (*Store, error) {
	if handle == nil {
		return nil, failure(failed)
	}
	store := &Store{object: object{pointer: unsafe.Pointer(handle)}}
	runtime.SetFinalizer(store, (*Store).Close)
	return store, nil
}

// c is the store for a call that is not made often; see calls.h.
func (s *Store) c() *C.flagstore_t { return (*C.flagstore_t)(s.pointer) }

// Close lets no more calls in: they fail with ErrClosed. It waits for nobody; the last call that is under way
// releases the store. Whoever waits, for a change or for a lock, is told within a fifth of a second. It never fails,
// and may be called again.
func (s *Store) Close() error {
	runtime.SetFinalizer(s, nil)
	s.close()
	return nil
}

// Get returns the value as compact JSON, nil if the key is absent. (A stored null is "null".)
func (s *Store) Get(key string) (json.RawMessage, error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.leave()
	a := C.get(s.pointer, key)
	return take(a), failure(a.error)
}

// Set stores one JSON value.
func (s *Store) Set(key string, value json.RawMessage) error { return s.set(nil, key, value) }

// SetContext is Set that waits for the lock of a file until the context is done, whatever LockTimeout says.
func (s *Store) SetContext(ctx context.Context, key string, value json.RawMessage) error {
	return s.set(ctx, key, value)
}

func (s *Store) set(ctx context.Context, key string, value json.RawMessage) error {
	text := *(*string)(unsafe.Pointer(&value)) // the same bytes, uncopied
	return s.change(ctx, func() error { return failure(C.set(s.pointer, key, text).error) })
}

// Delete removes a key and tells whether it was there.
func (s *Store) Delete(key string) (existed bool, err error) { return s.remove(nil, key) }

// DeleteContext is Delete that waits for the lock of a file until the context is done, whatever LockTimeout says.
func (s *Store) DeleteContext(ctx context.Context, key string) (existed bool, err error) {
	return s.remove(ctx, key)
}

func (s *Store) remove(ctx context.Context, key string) (existed bool, err error) {
	err = s.change(ctx, func() error {
		a := C.delete(s.pointer, key)
		existed = bool(a.yes)
		return failure(a.error)
	})
	return existed, err
}

// ListAll returns every key with its value as compact JSON.
func (s *Store) ListAll() (flags map[string]json.RawMessage, err error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.leave()
	a := C.list_all(s.pointer)
	if err = failure(a.error); err == nil {
		err = json.Unmarshal(take(a), &flags)
	}
	return flags, err
}

// Len counts the keys.
func (s *Store) Len() (int, error) {
	if !s.enter() {
		return -1, ErrClosed
	}
	defer s.leave()
	var failed *C.flagstore_error_t
	count := C.flagstore_len(s.c(), &failed)
	return int(count), failure(failed)
}

// cString copies a text for C, which would silently end at its first NUL.
func cString(text string) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, newError(InvalidArgument, fmt.Sprintf("%q contains a NUL", text), nil)
	}
	return C.CString(text), nil
}

// take copies a text of the library into Go's memory and frees it; nil stays nil.
func take(a C.answer) []byte {
	if a.text == nil {
		return nil
	}
	defer C.flagstore_free(unsafe.Pointer(a.text))
	return copied(a.text, a.len)
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
