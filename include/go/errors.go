package flagstore

// #include <flagstore.h>
import "C"

import (
	"fmt"
	"io/fs"
	"syscall"
	"unsafe"
)

// Code says what kind of failure an Error is. It is an error itself, so that errors.Is(err, flagstore.Locked) works.
type Code int32

const (
	InvalidArgument Code = C.FLAGSTORE_INVALID_ARGUMENT // text that is not UTF-8, an option out of range, what is closed
	InvalidJSON     Code = C.FLAGSTORE_INVALID_JSON     // what is to be stored is not one JSON value
	Corrupt         Code = C.FLAGSTORE_CORRUPT          // what is stored is not one JSON object; it is left as it is
	IO              Code = C.FLAGSTORE_IO               // the system refused; OSCode has its errno
	Locked          Code = C.FLAGSTORE_LOCKED           // the lock was not free in time; nothing was written
	ReadOnly        Code = C.FLAGSTORE_READ_ONLY        // the store was opened read-only
	NotImplemented  Code = C.FLAGSTORE_NOT_IMPLEMENTED  // the backend does not provide the call
	TypeMismatch    Code = C.FLAGSTORE_TYPE_MISMATCH    // the value has another type, or is out of range
	Conflict        Code = C.FLAGSTORE_CONFLICT         // what a batch expected does not hold; nothing was changed
	Backend         Code = C.FLAGSTORE_BACKEND          // a backend failed
	NotDurable      Code = C.FLAGSTORE_NOT_DURABLE      // the change was made, but may not survive a power cut
	Unavailable     Code = C.FLAGSTORE_UNAVAILABLE      // a remote store was not reached in time; nothing was changed
	Uncertain       Code = C.FLAGSTORE_UNCERTAIN        // the change may have been made or not
	Internal        Code = C.FLAGSTORE_INTERNAL         // a bug in flagstore
)

// Error is the name of the code, such as "FLAGSTORE_CORRUPT".
func (c Code) Error() string { return C.GoString(C.flagstore_error_name(C.int32_t(c))) }

// Error is what every failing call returns. It matches its Code, and what stands behind it: the errno (and so
// fs.ErrNotExist), the error of the context that ended it, or encoding/json's.
type Error struct {
	Code    Code
	Name    string // "FLAGSTORE_CORRUPT"
	Message string // names the path, key, line and column
	OSCode  syscall.Errno
	cause   error
}

// ErrClosed is the error of calls on what was closed. It matches InvalidArgument and fs.ErrClosed too.
var ErrClosed error = newError(InvalidArgument, "it is closed", fs.ErrClosed)

func (e *Error) Error() string        { return e.Name + ": " + e.Message }
func (e *Error) Is(target error) bool { return target == e.Code }

func (e *Error) Unwrap() error {
	if e.cause == nil && e.OSCode != 0 {
		return e.OSCode
	}
	return e.cause
}

func newError(code Code, message string, cause error) *Error {
	return &Error{Code: code, Name: code.Error(), Message: message, cause: cause}
}

// failure turns an error object of the library into a Go error and frees it; NULL is nil.
func failure(failed *C.flagstore_error_t) error {
	if failed == nil {
		return nil
	}
	return errorOf(failed)
}

func errorOf(failed *C.flagstore_error_t) error {
	defer C.flagstore_free(unsafe.Pointer(failed))
	err := newError(Code(C.flagstore_error_code(failed)), C.GoString(C.flagstore_error_message(failed)), nil)
	err.OSCode = syscall.Errno(C.flagstore_error_os_code(failed))
	return err
}

func mismatch(key string, cause error) error {
	return newError(TypeMismatch, fmt.Sprintf("flag %q: %v", key, cause), cause)
}
