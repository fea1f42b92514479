package flagstore

// #include "calls.h"
import "C"

import (
	"encoding/json"
	"unsafe"
)

// Type is the JSON type of a value.
type Type int32

const (
	Absent Type = C.FLAGSTORE_TYPE_ABSENT
	Null   Type = C.FLAGSTORE_TYPE_NULL
	Bool   Type = C.FLAGSTORE_TYPE_BOOL
	Number Type = C.FLAGSTORE_TYPE_NUMBER
	String Type = C.FLAGSTORE_TYPE_STRING
	Array  Type = C.FLAGSTORE_TYPE_ARRAY
	Object Type = C.FLAGSTORE_TYPE_OBJECT
)

// GetBool, like all typed getters, returns the fallback if the key is absent; and with an error if the value has
// another type (TypeMismatch) or cannot be read.
func (s *Store) GetBool(key string, fallback bool) (bool, error) {
	if !s.enter() {
		return fallback, ErrClosed
	}
	a := C.get_bool(s.pointer, key, C.bool(fallback))
	s.leave()
	return bool(a.value), failure(a.error)
}

// GetInt64 takes integral numbers in range, written in any way (3, 3.0, 3e2).
func (s *Store) GetInt64(key string, fallback int64) (int64, error) {
	if !s.enter() {
		return fallback, ErrClosed
	}
	a := C.get_int64(s.pointer, key, C.int64_t(fallback))
	s.leave()
	return int64(a.value), failure(a.error)
}

// GetDouble takes any number that a double can hold.
func (s *Store) GetDouble(key string, fallback float64) (float64, error) {
	if !s.enter() {
		return fallback, ErrClosed
	}
	a := C.get_double(s.pointer, key, C.double(fallback))
	s.leave()
	return float64(a.value), failure(a.error)
}

// GetString returns the text of a string, which may contain NULs.
func (s *Store) GetString(key string, fallback string) (string, error) {
	if !s.enter() {
		return fallback, ErrClosed
	}
	defer s.leave()
	a := C.get_string(s.pointer, key)
	if a.text == nil {
		return fallback, failure(a.error)
	}
	return string(take(a)), nil
}

// GetInto decodes the value as json.Unmarshal does, into what the pointer points at. If the key is absent nothing
// happens; if the value does not fit, the error is a TypeMismatch with encoding/json's behind it.
func (s *Store) GetInto(key string, pointer any) (found bool, err error) {
	value, err := s.Get(key)
	if value == nil {
		return false, err
	}
	if err := json.Unmarshal(value, pointer); err != nil {
		return true, mismatch(key, err)
	}
	return true, nil
}

// GetAs is a typed getter for any type that encoding/json knows: the fallback comes back whole if the key is absent,
// and with an error if the value does not fit.
func GetAs[T any](store *Store, key string, fallback T) (T, error) {
	var value T
	found, err := store.GetInto(key, &value)
	if !found || err != nil {
		return fallback, err
	}
	return value, nil
}

// SetFrom stores what json.Marshal makes of the value.
func (s *Store) SetFrom(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return newError(InvalidArgument, err.Error(), err)
	}
	return s.Set(key, text)
}

// Type tells the type of a value without reading it, Absent if there is none. The key must not contain NULs.
func (s *Store) Type(key string) (Type, error) {
	name, err := cString(key)
	if err != nil {
		return -1, err
	}
	defer C.free(unsafe.Pointer(name))
	if !s.enter() {
		return -1, ErrClosed
	}
	defer s.leave()
	var failed *C.flagstore_error_t
	found := C.flagstore_get_type(s.c(), name, &failed)
	return Type(found), failure(failed)
}

// SetBool and the other typed setters need keys and strings without NULs; Set takes them all.
func (s *Store) SetBool(key string, value bool) error {
	return s.setTyped(key, func(name *C.char, failed **C.flagstore_error_t) {
		C.flagstore_set_bool(s.c(), name, C.bool(value), failed)
	})
}

func (s *Store) SetInt64(key string, value int64) error {
	return s.setTyped(key, func(name *C.char, failed **C.flagstore_error_t) {
		C.flagstore_set_int64(s.c(), name, C.int64_t(value), failed)
	})
}

// SetDouble stores finite numbers only.
func (s *Store) SetDouble(key string, value float64) error {
	return s.setTyped(key, func(name *C.char, failed **C.flagstore_error_t) {
		C.flagstore_set_double(s.c(), name, C.double(value), failed)
	})
}

func (s *Store) SetString(key string, value string) error {
	text, err := cString(value)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(text))
	return s.setTyped(key, func(name *C.char, failed **C.flagstore_error_t) {
		C.flagstore_set_string(s.c(), name, text, failed)
	})
}

// setTyped makes a change that has no form with a length: its key is copied and ends with a NUL.
func (s *Store) setTyped(key string, call func(*C.char, **C.flagstore_error_t)) error {
	name, err := cString(key)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(name))
	return s.change(nil, func() error {
		var failed *C.flagstore_error_t
		call(name, &failed)
		return failure(failed)
	})
}
