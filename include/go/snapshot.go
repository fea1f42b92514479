package flagstore

// #include <flagstore.h>
import "C"

import (
	"encoding/json"
	"runtime"
	"strings"
	"unsafe"
)

// Snapshot holds every flag as of one moment, in the byte order of the keys. It may outlive its store. Any number of
// goroutines may use it at once; once closed it is empty.
type Snapshot struct{ object }

// Snapshot takes a picture of all flags.
func (s *Store) Snapshot() (*Snapshot, error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.leave()
	var failed *C.flagstore_error_t
	handle := C.flagstore_snapshot(s.c(), &failed)
	if handle == nil {
		return nil, failure(failed)
	}
	snapshot := &Snapshot{object{pointer: unsafe.Pointer(handle)}}
	runtime.SetFinalizer(snapshot, (*Snapshot).Close)
	return snapshot, nil
}

// Count counts the flags.
func (s *Snapshot) Count() int {
	if !s.enter() {
		return 0
	}
	defer s.leave()
	return int(C.flagstore_snapshot_count(s.c()))
}

// Key returns the key at an index from 0, "" past the end.
func (s *Snapshot) Key(index int) string {
	if !s.enter() {
		return ""
	}
	defer s.leave()
	var length C.size_t
	key := C.flagstore_snapshot_key(s.c(), C.size_t(index), &length)
	return string(copied(key, length))
}

// Value returns the value at an index as compact JSON, nil past the end.
func (s *Snapshot) Value(index int) json.RawMessage {
	if !s.enter() {
		return nil
	}
	defer s.leave()
	var length C.size_t
	value := C.flagstore_snapshot_value(s.c(), C.size_t(index), &length)
	return copied(value, length)
}

// Find returns the value under a key as compact JSON, nil if there is none.
func (s *Snapshot) Find(key string) json.RawMessage {
	if !s.enter() {
		return nil
	}
	defer s.leave()
	var length C.size_t
	value := C.flagstore_snapshot_find_n(s.c(), borrowed(key), C.size_t(len(key)), &length)
	return copied(value, length)
}

// Seek returns the index of the first key that is not less than the given one, the count if there is none.
func (s *Snapshot) Seek(key string) int {
	if !s.enter() {
		return 0
	}
	defer s.leave()
	return int(C.flagstore_snapshot_seek(s.c(), borrowed(key), C.size_t(len(key))))
}

// Range calls back for each flag whose key starts with the prefix, until the call returns false.
func (s *Snapshot) Range(prefix string, call func(key string, value json.RawMessage) bool) {
	for i := s.Seek(prefix); i < s.Count(); i++ {
		if key := s.Key(i); !strings.HasPrefix(key, prefix) || !call(key, s.Value(i)) {
			return
		}
	}
}

// All is Range for the loops of Go 1.23 and later: for key, value := range snapshot.All("ui.") { ... }
func (s *Snapshot) All(prefix string) func(yield func(key string, value json.RawMessage) bool) {
	return func(yield func(key string, value json.RawMessage) bool) { s.Range(prefix, yield) }
}

// Close releases the snapshot, or leaves that to the last call under way. It never fails.
func (s *Snapshot) Close() error {
	runtime.SetFinalizer(s, nil)
	s.close()
	return nil
}

func (s *Snapshot) c() *C.flagstore_snapshot_t { return (*C.flagstore_snapshot_t)(s.pointer) }
