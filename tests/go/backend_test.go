package flagstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"flagstore"
)

// forward is a backend that hands everything on to another store.
type forward struct{ *flagstore.Store }

func (f forward) Remove(key string) (bool, error) { return f.Delete(key) }

func openForward(t *testing.T) (*flagstore.Store, error) {
	file, err := flagstore.OpenFile(flagFile(t))
	must(t, err)
	return flagstore.OpenBackend(forward{file})
}

// puppet is a backend that answers as it is told.
type puppet struct {
	answer func() error
	value  json.RawMessage
	all    map[string]json.RawMessage
	closes int
}

func (p *puppet) Get(string) (json.RawMessage, error)          { return p.value, p.answer() }
func (p *puppet) Set(string, json.RawMessage) error            { return p.answer() }
func (p *puppet) Remove(string) (bool, error)                  { return true, p.answer() }
func (p *puppet) ListAll() (map[string]json.RawMessage, error) { return p.all, p.answer() }
func (p *puppet) Close() error                                 { p.closes++; return nil }

func fine() error { return nil }

func openPuppet(t *testing.T, backend *puppet) *flagstore.Store {
	t.Helper()
	store, err := flagstore.OpenBackend(backend)
	must(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

func TestABackendsErrorsComeThroughWithCodeAndMessage(t *testing.T) {
	for _, failing := range []struct {
		answer func() error
		code   flagstore.Code
		text   string
	}{
		{func() error { return errors.New("out of luck: é") }, flagstore.Backend, "out of luck: é"},
		{func() error { return &flagstore.Error{Code: flagstore.Locked, Message: "busy"} }, flagstore.Locked, "busy"},
		{func() error {
			return fmt.Errorf("twice: %w", &flagstore.Error{Code: flagstore.ReadOnly, Message: "no"})
		}, flagstore.ReadOnly, "twice:"},
		{func() error { return flagstore.NotImplemented }, flagstore.NotImplemented, "FLAGSTORE_NOT_IMPLEMENTED"},
		{func() error { return fmt.Errorf("is away: %w", flagstore.Unavailable) }, flagstore.Unavailable, "is away: "},
		{func() error { return flagstore.Uncertain }, flagstore.Uncertain, "FLAGSTORE_UNCERTAIN"},
		{func() error { panic("at the disco") }, flagstore.Backend, "panic: at the disco"},
	} {
		store := openPuppet(t, &puppet{answer: failing.answer})
		for _, calls := range []map[string]func(*flagstore.Store) error{keyless, {
			"Get":    func(s *flagstore.Store) error { return keyed["Get"](s, "key") },
			"Set":    func(s *flagstore.Store) error { return keyed["Set"](s, "key") },
			"Delete": func(s *flagstore.Store) error { return keyed["Delete"](s, "key") },
		}} {
			for name, call := range calls {
				err := call(store)
				expectCode(t, name, err, failing.code)
				if err == nil || !strings.Contains(err.Error(), failing.text) {
					t.Errorf("%s: got %v, expected %q in it", name, err, failing.text)
				}
			}
		}
	}
}

func TestWhatABackendAnswersIsChecked(t *testing.T) {
	for _, bad := range []puppet{
		{value: raw(""), all: map[string]json.RawMessage{"key": raw("")}},
		{value: raw("[1"), all: map[string]json.RawMessage{"key": raw("[1")}},
		{value: raw("1\x00"), all: map[string]json.RawMessage{"key": nil}},
		{value: raw("\"\xff\""), all: map[string]json.RawMessage{"\xff": raw("1")}},
	} {
		bad.answer = fine
		store := openPuppet(t, &bad)
		_, err := store.Get("key")
		expectCode(t, fmt.Sprintf("Get of %q", bad.value), err, flagstore.Backend)
		_, err = store.ListAll()
		expectCode(t, fmt.Sprintf("ListAll of %q", bad.all), err, flagstore.Backend)
	}
}

func TestABackendIsClosedOnceWithItsStoreAndTheLastWatch(t *testing.T) {
	backend := &puppet{answer: fine}
	store, err := flagstore.OpenBackend(backend)
	must(t, err)
	watch, err := store.WatchAll(func(string, []byte, []byte) {})
	must(t, err)
	must(t, store.Close())
	must(t, store.Close())
	expect(t, "closes while there is a watch", backend.closes, nil, 0)
	must(t, watch.Close())
	expect(t, "closes", backend.closes, nil, 1)
}

func TestABackendThatCallsItsOwnStoreIsToldSo(t *testing.T) {
	var store *flagstore.Store
	backend := &puppet{answer: func() error { _, err := store.Get("key"); return err }}
	store = openPuppet(t, backend)
	_, err := store.Get("key")
	expectCode(t, "Get", err, flagstore.Backend)
}
