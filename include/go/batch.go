package flagstore

// #include <flagstore.h>
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"sync"
	"unsafe"
)

// Batch collects changes to be made in one write. Its last word on a key counts.
type Batch struct {
	mu     sync.Mutex
	handle *C.flagstore_batch_t
	isLent bool // by the library, to a Committer
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
	if b.handle == nil {
		return ErrClosed
	}
	text := string(value)
	var failed *C.flagstore_error_t
	C.flagstore_batch_set_n(b.handle, borrowed(key), C.size_t(len(key)), borrowed(text), C.size_t(len(text)), &failed)
	return failure(failed)
}

// Delete will remove a key, if it is there.
func (b *Batch) Delete(key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.handle == nil {
		return ErrClosed
	}
	var failed *C.flagstore_error_t
	C.flagstore_batch_delete_n(b.handle, borrowed(key), C.size_t(len(key)), &failed)
	return failure(failed)
}

// Clear will remove everything before the batch's changes are made.
func (b *Batch) Clear() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.handle == nil {
		return ErrClosed
	}
	var failed *C.flagstore_error_t
	C.flagstore_batch_clear(b.handle, &failed)
	return failure(failed)
}

// Expect lets Commit fail with Conflict unless the key then has this JSON value; nil: unless it is absent.
func (b *Batch) Expect(key string, value json.RawMessage) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.handle == nil {
		return ErrClosed
	}
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

// Close releases the batch; later calls fail with ErrClosed. It never fails.
func (b *Batch) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	runtime.SetFinalizer(b, nil)
	if !b.isLent {
		C.flagstore_free(unsafe.Pointer(b.handle))
	}
	b.handle = nil
	return nil
}

// Commit makes all changes of the batch in one write, or none. The batch stays as it is.
func (s *Store) Commit(batch *Batch) error { return s.commit(nil, batch) }

// CommitContext is Commit that waits for the lock of a file until the context is done, whatever LockTimeout says.
func (s *Store) CommitContext(ctx context.Context, batch *Batch) error { return s.commit(ctx, batch) }

func (s *Store) commit(ctx context.Context, batch *Batch) error {
	return s.change(ctx, func() error {
		batch.mu.Lock()
		defer batch.mu.Unlock()
		if batch.handle == nil {
			return ErrClosed
		}
		var failed *C.flagstore_error_t
		C.flagstore_commit(s.c(), batch.handle, &failed)
		return failure(failed)
	})
}
