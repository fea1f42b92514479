package flagstore

// #include <stdlib.h>
// #include <flagstore.h>
import "C"

import (
	"context"
	"io/fs"
	"math"
	"time"
	"unsafe"
)

type (
	ReadMode   int32 // how reads reach a file
	Durability int32 // what a change to a file survives once the call has returned
)

const (
	Fresh   ReadMode = C.FLAGSTORE_READ_FRESH   // every read reads the file
	Checked ReadMode = C.FLAGSTORE_READ_CHECKED // every read looks at its size and times
	Watched ReadMode = C.FLAGSTORE_READ_WATCHED // a thread is told of changes; a read looks into memory

	SyncFull    Durability = C.FLAGSTORE_SYNC_FULL    // power loss
	SyncNone    Durability = C.FLAGSTORE_SYNC_NONE    // a killed process; after power loss the file may be empty or torn
	SyncOrdered Durability = C.FLAGSTORE_SYNC_ORDERED // power loss, though the last changes may be missing
)

// FileOptions says how to open a file; zero is the default in every field.
type FileOptions struct {
	ReadMode     ReadMode
	Durability   Durability
	OpenExisting bool          // a missing file is an error
	ReadOnly     bool          // every change fails with ReadOnly, nothing is created
	LockTimeout  time.Duration // how long a change waits for other processes; 0: 5 s, negative: for ever
	Mode         fs.FileMode   // permission bits of a created file; 0: 0666 less the umask
	MaxBytes     uint64        // a larger file or result fails with EFBIG; 0: 256 MiB
}

// slices cuts the time that a change waits for the lock, for contexts and Close to be noticed in between.
func (o FileOptions) slices() (attempts int, each time.Duration) {
	switch timeout := o.LockTimeout; {
	case timeout < 0:
		return math.MaxInt, slice
	case timeout == 0:
		return int(5 * time.Second / slice), slice
	default:
		count := (timeout-1)/slice + 1
		return int(count), timeout / count
	}
}

func (o FileOptions) c(lockTimeout time.Duration) *C.flagstore_file_options_t {
	options := &C.flagstore_file_options_t{
		size:            C.sizeof_flagstore_file_options_t,
		read_mode:       C.int32_t(o.ReadMode),
		durability:      C.int32_t(o.Durability),
		lock_timeout_ms: milliseconds(lockTimeout),
		mode:            C.uint32_t(o.Mode),
		max_bytes:       C.uint64_t(o.MaxBytes),
	}
	if o.OpenExisting {
		options.flags |= C.FLAGSTORE_OPEN_EXISTING
	}
	if o.ReadOnly {
		options.flags |= C.FLAGSTORE_OPEN_READ_ONLY
	}
	return options
}

// milliseconds rounds up: a part of one must not become 0, which to the library is the default.
func milliseconds(d time.Duration) C.int32_t {
	return C.int32_t((d + time.Millisecond - 1) / time.Millisecond)
}

// OpenFile opens a JSON file, created if missing.
func OpenFile(path string) (*Store, error) { return OpenFileWith(path, FileOptions{}) }

// OpenFileWith opens a JSON file as the options say.
func OpenFileWith(path string, options FileOptions) (*Store, error) {
	return openFile(nil, path, options)
}

// OpenFileContext is OpenFileWith for a file that may have to be created while others hold its lock: it waits until
// the context is done, whatever LockTimeout says.
func OpenFileContext(ctx context.Context, path string, options FileOptions) (*Store, error) {
	return openFile(ctx, path, options)
}

func openFile(ctx context.Context, path string, options FileOptions) (store *Store, err error) {
	name, err := cString(path)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(name))
	attempts, each := options.slices()
	err = patiently(ctx, attempts, func() (err error) {
		var failed *C.flagstore_error_t
		store, err = adopt(C.flagstore_file_open_with(name, options.c(each), &failed), failed)
		return err
	})
	if err == nil {
		store.attempts = attempts
	}
	return store, err
}
