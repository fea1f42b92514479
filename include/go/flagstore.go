// Package flagstore reads and writes feature flags: keys to JSON values, in memory or in one JSON file.
//
// One file to copy into a project. It needs cgo, flagstore.h and libflagstore.so; where they are not installed,
// CGO_CFLAGS=-I... and CGO_LDFLAGS="-L... -Wl,-rpath,..." say where they are.
package flagstore

/*
#cgo LDFLAGS: -lflagstore
#include <stdlib.h>
#include <string.h>
#include <flagstore.h>

// What a call answers, by value: no Go memory is handed out for it. And stores come as void *, for cgo allocates
// memory at each call to check a pointer to a type that it cannot see into.
typedef struct {
	flagstore_error_t *error;
	char *text;
	size_t len;
	int64_t integer;
	double number;
	bool yes;
} answer;

// An empty Go string may point nowhere; to the library NULL would be a missing argument.
static const char *at(_GoString_ s) { return _GoStringLen(s) ? _GoStringPtr(s) : ""; }

static answer get(const void *store, _GoString_ key) {
	answer a = {0};
	a.text = flagstore_get_n(store, at(key), _GoStringLen(key), &a.len, &a.error);
	return a;
}

static answer set(void *store, _GoString_ key, _GoString_ json) {
	answer a = {0};
	a.yes = flagstore_set_n(store, at(key), _GoStringLen(key), at(json), _GoStringLen(json), &a.error);
	return a;
}

static answer delete(void *store, _GoString_ key) {
	answer a = {0};
	a.yes = flagstore_delete_n(store, at(key), _GoStringLen(key), &a.error);
	return a;
}

#define GETTER(name, type, field) \
	static answer name(const void *store, _GoString_ key, type fallback) { \
		answer a = {0}; \
		a.field = flagstore_##name##_n(store, at(key), _GoStringLen(key), fallback, &a.error); \
		return a; \
	}
GETTER(get_bool, bool, yes)
GETTER(get_int64, int64_t, integer)
GETTER(get_double, double, number)

static answer get_string(const void *store, _GoString_ key) {
	answer a = {0};
	a.text = flagstore_get_string_n(store, at(key), _GoStringLen(key), &a.len, &a.error);
	return a;
}

static answer list_all(const void *store) {
	answer a = {0};
	a.text = flagstore_list_all(store, &a.error);
	a.len = a.text ? strlen(a.text) : 0;
	return a;
}
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

func init() {
	if got := C.flagstore_abi_version(); got != C.FLAGSTORE_ABI_VERSION {
		panic(fmt.Sprintf("flagstore: built for ABI %d, but the library has ABI %d", C.FLAGSTORE_ABI_VERSION, got))
	}
}

// Version is the version of the library in use, such as "0.2.0".
func Version() string { return C.GoString(C.flagstore_version()) }

// Code says what kind of failure an Error is. It is an error itself, so that errors.Is(err, flagstore.Locked) works.
type Code int32

const (
	InvalidArgument Code = C.FLAGSTORE_INVALID_ARGUMENT
	InvalidJSON     Code = C.FLAGSTORE_INVALID_JSON
	Corrupt         Code = C.FLAGSTORE_CORRUPT
	IO              Code = C.FLAGSTORE_IO
	Locked          Code = C.FLAGSTORE_LOCKED
	ReadOnly        Code = C.FLAGSTORE_READ_ONLY
	NotImplemented  Code = C.FLAGSTORE_NOT_IMPLEMENTED
	TypeMismatch    Code = C.FLAGSTORE_TYPE_MISMATCH
	Conflict        Code = C.FLAGSTORE_CONFLICT
	Backend         Code = C.FLAGSTORE_BACKEND
	NotDurable      Code = C.FLAGSTORE_NOT_DURABLE
	Internal        Code = C.FLAGSTORE_INTERNAL
)

// Error is the name of the code, such as "FLAGSTORE_CORRUPT".
func (c Code) Error() string { return C.GoString(C.flagstore_error_name(C.int32_t(c))) }

// Error is what every failing call returns. It matches its Code and, behind IO, the errno (and so fs.ErrNotExist).
type Error struct {
	Code    Code
	Name    string // "FLAGSTORE_CORRUPT"
	Message string // names the path, key, line and column
	OSCode  syscall.Errno
}

func (e *Error) Error() string        { return e.Name + ": " + e.Message }
func (e *Error) Is(target error) bool { return target == e.Code }

func (e *Error) Unwrap() error {
	if e.OSCode == 0 {
		return nil
	}
	return e.OSCode
}

type (
	Type       int32 // the JSON type of a value
	ReadMode   int32 // how reads reach a file
	Durability int32 // what a change to a file survives once the call has returned
)

const (
	Absent Type = C.FLAGSTORE_TYPE_ABSENT
	Null   Type = C.FLAGSTORE_TYPE_NULL
	Bool   Type = C.FLAGSTORE_TYPE_BOOL
	Number Type = C.FLAGSTORE_TYPE_NUMBER
	String Type = C.FLAGSTORE_TYPE_STRING
	Array  Type = C.FLAGSTORE_TYPE_ARRAY
	Object Type = C.FLAGSTORE_TYPE_OBJECT

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

func (o FileOptions) c() *C.flagstore_file_options_t {
	options := &C.flagstore_file_options_t{
		size:            C.sizeof_flagstore_file_options_t,
		read_mode:       C.int32_t(o.ReadMode),
		durability:      C.int32_t(o.Durability),
		lock_timeout_ms: milliseconds(o.LockTimeout),
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

// milliseconds rounds up: a part of one must not become 0, the default.
func milliseconds(d time.Duration) C.int32_t {
	if d < 0 {
		return -1
	} else if d > math.MaxInt32*time.Millisecond {
		return math.MaxInt32
	}
	return C.int32_t((d + time.Millisecond - 1) / time.Millisecond)
}

// Store holds flags. Any number of goroutines may use it at once, and Close too.
type Store struct {
	mu     sync.RWMutex // read-held inside a call, so that Close waits for it; not a lock on the flags
	handle *C.flagstore_t
}

// OpenMemory opens an empty store of its own.
func OpenMemory() (*Store, error) {
	var failed *C.flagstore_error_t
	return adopt(C.flagstore_memory_open(&failed), failed)
}

// OpenFile opens a JSON file, created if missing.
func OpenFile(path string) (*Store, error) { return OpenFileWith(path, FileOptions{}) }

// OpenFileWith opens a JSON file as the options say.
func OpenFileWith(path string, options FileOptions) (*Store, error) {
	name, err := cString(path)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(name))
	var failed *C.flagstore_error_t
	return adopt(C.flagstore_file_open_with(name, options.c(), &failed), failed)
}

func adopt(handle *C.flagstore_t, failed *C.flagstore_error_t) (*Store, error) {
	if handle == nil {
		return nil, failure(failed)
	}
	store := &Store{handle: handle}
	runtime.SetFinalizer(store, (*Store).Close)
	return store, nil
}

// Close waits for running calls and releases the store; later calls fail with InvalidArgument. It never fails.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	runtime.SetFinalizer(s, nil)
	C.flagstore_free(unsafe.Pointer(s.handle))
	s.handle = nil
	return nil
}

// Get returns the value as compact JSON, nil if the key is absent. (A stored null is "null".)
func (s *Store) Get(key string) (json.RawMessage, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := C.get(unsafe.Pointer(s.handle), key)
	return take(a), failure(a.error)
}

// Set stores one JSON value.
func (s *Store) Set(key string, value json.RawMessage) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	text := *(*string)(unsafe.Pointer(&value)) // the same bytes, uncopied
	return failure(C.set(unsafe.Pointer(s.handle), key, text).error)
}

// Delete removes a key and tells whether it was there.
func (s *Store) Delete(key string) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := C.delete(unsafe.Pointer(s.handle), key)
	return bool(a.yes), failure(a.error)
}

// ListAll returns every key with its value as compact JSON.
func (s *Store) ListAll() (flags map[string]json.RawMessage, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := C.list_all(unsafe.Pointer(s.handle))
	if err = failure(a.error); err == nil {
		err = json.Unmarshal(take(a), &flags)
	}
	return flags, err
}

// Len counts the keys.
func (s *Store) Len() (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var failed *C.flagstore_error_t
	count := C.flagstore_len(s.handle, &failed)
	return int(count), failure(failed)
}

// GetBool, like all typed getters, returns the fallback if the key is absent; and with an error if the value has
// another type (TypeMismatch) or cannot be read.
func (s *Store) GetBool(key string, fallback bool) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := C.get_bool(unsafe.Pointer(s.handle), key, C.bool(fallback))
	return bool(a.yes), failure(a.error)
}

// GetInt64 takes integral numbers in range, written in any way (3, 3.0, 3e2).
func (s *Store) GetInt64(key string, fallback int64) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := C.get_int64(unsafe.Pointer(s.handle), key, C.int64_t(fallback))
	return int64(a.integer), failure(a.error)
}

// GetDouble takes any number that a double can hold.
func (s *Store) GetDouble(key string, fallback float64) (float64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := C.get_double(unsafe.Pointer(s.handle), key, C.double(fallback))
	return float64(a.number), failure(a.error)
}

// GetString returns the text of a string, which may contain NULs.
func (s *Store) GetString(key string, fallback string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := C.get_string(unsafe.Pointer(s.handle), key)
	if a.text == nil {
		return fallback, failure(a.error)
	}
	return string(take(a)), nil
}

// Type tells the type of a value without reading it, Absent if there is none. The key must not contain NULs.
func (s *Store) Type(key string) (Type, error) {
	found := Type(-1)
	err := s.withText(key, func(name *C.char, failed **C.flagstore_error_t) {
		found = Type(C.flagstore_get_type(s.handle, name, failed))
	})
	return found, err
}

// SetBool and the other typed setters need keys and strings without NULs; Set takes them all.
func (s *Store) SetBool(key string, value bool) error {
	return s.withText(key, func(name *C.char, failed **C.flagstore_error_t) {
		C.flagstore_set_bool(s.handle, name, C.bool(value), failed)
	})
}

func (s *Store) SetInt64(key string, value int64) error {
	return s.withText(key, func(name *C.char, failed **C.flagstore_error_t) {
		C.flagstore_set_int64(s.handle, name, C.int64_t(value), failed)
	})
}

// SetDouble stores finite numbers only.
func (s *Store) SetDouble(key string, value float64) error {
	return s.withText(key, func(name *C.char, failed **C.flagstore_error_t) {
		C.flagstore_set_double(s.handle, name, C.double(value), failed)
	})
}

func (s *Store) SetString(key string, value string) error {
	text, err := cString(value)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(text))
	return s.withText(key, func(name *C.char, failed **C.flagstore_error_t) {
		C.flagstore_set_string(s.handle, name, text, failed)
	})
}

// withText makes a call that has no form with a length: its key is copied and ends with a NUL.
func (s *Store) withText(key string, call func(*C.char, **C.flagstore_error_t)) error {
	name, err := cString(key)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(name))
	s.mu.RLock()
	defer s.mu.RUnlock()
	var failed *C.flagstore_error_t
	call(name, &failed)
	return failure(failed)
}

// cString copies a text for C, which would silently end at its first NUL.
func cString(text string) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		message := fmt.Sprintf("%q contains a NUL", text)
		return nil, &Error{Code: InvalidArgument, Name: InvalidArgument.Error(), Message: message}
	}
	return C.CString(text), nil
}

// take copies a text of the library into Go's memory and frees it; nil stays nil.
func take(a C.answer) []byte {
	if a.text == nil {
		return nil
	}
	defer C.flagstore_free(unsafe.Pointer(a.text))
	return append([]byte{}, unsafe.Slice((*byte)(unsafe.Pointer(a.text)), int(a.len))...)
}

// failure turns an error object of the library into a Go error and frees it; NULL is nil.
func failure(failed *C.flagstore_error_t) error {
	if failed == nil {
		return nil
	}
	defer C.flagstore_free(unsafe.Pointer(failed))
	code := Code(C.flagstore_error_code(failed))
	return &Error{
		Code:    code,
		Name:    code.Error(),
		Message: C.GoString(C.flagstore_error_message(failed)),
		OSCode:  syscall.Errno(C.flagstore_error_os_code(failed)),
	}
}
