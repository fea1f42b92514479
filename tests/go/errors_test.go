package flagstore_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"flagstore"
)

func expectCode(t *testing.T, what string, err error, code flagstore.Code) {
	t.Helper()
	var failure *flagstore.Error
	if !errors.As(err, &failure) {
		t.Errorf("%s: got %v, expected %v", what, err, code)
		return
	}
	if failure.Code != code || failure.Name != code.Error() || failure.Message == "" || !errors.Is(err, code) {
		t.Errorf("%s: got code %d, %v, expected %v with a message", what, failure.Code, err, code)
	}
	if errors.Is(err, flagstore.Internal) {
		t.Errorf("%s: %v also claims to be an internal error", what, err)
	}
}

func TestEveryRefusalHasItsCodeAndChangesNothing(t *testing.T) {
	set := func(value string) func(*flagstore.Store) error {
		return func(s *flagstore.Store) error { return s.Set("key", json.RawMessage(value)) }
	}
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.Set("key", json.RawMessage(`"kept"`)))
		for _, refusal := range []struct {
			what string
			code flagstore.Code
			call func(*flagstore.Store) error
		}{
			{"no JSON", flagstore.InvalidJSON, set("")},
			{"blank JSON", flagstore.InvalidJSON, set(" \n")},
			{"half an object", flagstore.InvalidJSON, set(`{"a":`)},
			{"two values", flagstore.InvalidJSON, set("1 2")},
			{"a NUL after the value", flagstore.InvalidJSON, set("1\x00")},
			{"NaN", flagstore.InvalidJSON, set("NaN")},
			{"half an escape", flagstore.InvalidJSON, set(`"\ud80"`)},
			{"a control character in a string", flagstore.InvalidJSON, set("\"a\nb\"")},
			{"128 levels", flagstore.InvalidJSON, set(strings.Repeat("[", 128) + strings.Repeat("]", 128))},
			{"JSON that is not UTF-8", flagstore.InvalidArgument, set("\"\xff\"")},
			{"NaN as a double", flagstore.InvalidArgument,
				func(s *flagstore.Store) error { return s.SetDouble("key", math.NaN()) }},
			{"infinity as a double", flagstore.InvalidArgument,
				func(s *flagstore.Store) error { return s.SetDouble("key", math.Inf(-1)) }},
			{"a string that is not UTF-8", flagstore.InvalidArgument,
				func(s *flagstore.Store) error { return s.SetString("key", "\xc3") }},
			{"a string with a NUL for C", flagstore.InvalidArgument,
				func(s *flagstore.Store) error { return s.SetString("key", "a\x00b") }},
			{"a key with a NUL for C", flagstore.InvalidArgument,
				func(s *flagstore.Store) error { return s.SetBool("key\x00", true) }},
			{"a value of another type", flagstore.TypeMismatch,
				func(s *flagstore.Store) error { _, err := s.GetBool("key", true); return err }},
		} {
			expectCode(t, refusal.what, refusal.call(store), refusal.code)
			all, err := store.ListAll()
			expect(t, "ListAll after "+refusal.what, all, err, map[string]json.RawMessage{"key": json.RawMessage(`"kept"`)})
		}
	})
}

// Every call that takes a key, as far as its error.
var keyed = map[string]func(store *flagstore.Store, key string) error{
	"Get":       func(s *flagstore.Store, key string) error { _, err := s.Get(key); return err },
	"Set":       func(s *flagstore.Store, key string) error { return s.Set(key, json.RawMessage("1")) },
	"Delete":    func(s *flagstore.Store, key string) error { _, err := s.Delete(key); return err },
	"GetBool":   func(s *flagstore.Store, key string) error { _, err := s.GetBool(key, true); return err },
	"GetInt64":  func(s *flagstore.Store, key string) error { _, err := s.GetInt64(key, 1); return err },
	"GetDouble": func(s *flagstore.Store, key string) error { _, err := s.GetDouble(key, 1); return err },
	"GetString": func(s *flagstore.Store, key string) error { _, err := s.GetString(key, ""); return err },
	"GetInto":   func(s *flagstore.Store, key string) error { var any any; _, err := s.GetInto(key, &any); return err },
	"GetAs":     func(s *flagstore.Store, key string) error { _, err := flagstore.GetAs(s, key, 1); return err },
	"Type":      func(s *flagstore.Store, key string) error { _, err := s.Type(key); return err },
	"SetBool":   func(s *flagstore.Store, key string) error { return s.SetBool(key, true) },
	"SetInt64":  func(s *flagstore.Store, key string) error { return s.SetInt64(key, 1) },
	"SetDouble": func(s *flagstore.Store, key string) error { return s.SetDouble(key, 1) },
	"SetString": func(s *flagstore.Store, key string) error { return s.SetString(key, "") },
	"SetFrom":   func(s *flagstore.Store, key string) error { return s.SetFrom(key, 1) },

	"SetContext":    func(s *flagstore.Store, key string) error { return s.SetContext(background, key, raw("1")) },
	"DeleteContext": func(s *flagstore.Store, key string) error { _, err := s.DeleteContext(background, key); return err },
}

// And those that take none.
var keyless = map[string]func(store *flagstore.Store) error{
	"ListAll": func(s *flagstore.Store) error { _, err := s.ListAll(); return err },
	"Len":     func(s *flagstore.Store) error { _, err := s.Len(); return err },
}

func TestAKeyThatIsNotUTF8IsRefusedByEveryCall(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		for name, call := range keyed {
			for _, key := range []string{"\xff", "caf\xc3", "\xed\xa0\x80"} {
				expectCode(t, name, call(store, key), flagstore.InvalidArgument)
			}
		}
		count, err := store.Len()
		expect(t, "Len", count, err, 0)
	})
}

func TestInvalidJSONIsNamedByLineAndColumn(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		err := store.Set("key", json.RawMessage("{\n  \"a\": !\n}"))
		expectCode(t, "Set", err, flagstore.InvalidJSON)
		if text := err.Error(); !strings.Contains(text, "line 2") || !strings.Contains(text, "column 8") {
			t.Errorf("got %q, expected line 2 and column 8 in it", text)
		}
	})
}
