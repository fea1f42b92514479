package flagstore_test

import (
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"flagstore"
)

// Every kind of store keeps the same promises: a new one is one more line.
var kinds = []struct {
	name string
	open func(t *testing.T) (*flagstore.Store, error)
}{
	{"memory", func(t *testing.T) (*flagstore.Store, error) { return flagstore.OpenMemory() }},
	{"file", func(t *testing.T) (*flagstore.Store, error) { return flagstore.OpenFile(flagFile(t)) }},
	{"file checked", func(t *testing.T) (*flagstore.Store, error) { return openCached(t, flagstore.Checked) }},
	{"file watched", func(t *testing.T) (*flagstore.Store, error) { return openCached(t, flagstore.Watched) }},
	{"memory over file", func(t *testing.T) (*flagstore.Store, error) {
		memory, err := flagstore.OpenMemory()
		must(t, err)
		file, err := openCached(t, flagstore.Fresh)
		must(t, err)
		return flagstore.OpenLayered(1, memory, file)
	}},
	{"backend", openForward},
	{"basic", func(t *testing.T) (*flagstore.Store, error) {
		return flagstore.OpenBackendWith(basic{newEngine()}, remote(flagstore.Fresh))
	}},
	{"engine", func(t *testing.T) (*flagstore.Store, error) {
		return flagstore.OpenBackendWith(complete{basic{newEngine()}}, remote(flagstore.Fresh))
	}},
	{"engine checked", func(t *testing.T) (*flagstore.Store, error) {
		return flagstore.OpenBackendWith(complete{basic{newEngine()}}, remote(flagstore.Checked))
	}},
	{"engine watched", func(t *testing.T) (*flagstore.Store, error) {
		return flagstore.OpenBackendWith(complete{basic{newEngine()}}, remote(flagstore.Watched))
	}},
}

func flagFile(t *testing.T) string { return filepath.Join(t.TempDir(), "flags.json") }

func openCached(t *testing.T, mode flagstore.ReadMode) (*flagstore.Store, error) {
	options := flagstore.FileOptions{ReadMode: mode, Durability: flagstore.SyncNone}
	return flagstore.OpenFileWith(flagFile(t), options)
}

func onEachKind(t *testing.T, check func(t *testing.T, store *flagstore.Store)) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			store, err := kind.open(t)
			must(t, err)
			t.Cleanup(func() { store.Close() })
			check(t, store)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expect[V any](t *testing.T, what string, got V, err error, want V) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %#v and error %v, expected %#v", what, got, err, want)
	}
}

func expectJSON(t *testing.T, store *flagstore.Store, key, want string) {
	t.Helper()
	got, err := store.Get(key)
	expect(t, "Get "+strconv.Quote(key), string(got), err, want)
}

func TestAValueComesBackAsCompactSortedJSONWithItsDigits(t *testing.T) {
	deepest := strings.Repeat("[", 127) + strings.Repeat("]", 127)
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		for _, value := range []struct{ given, want string }{
			{"true", "true"},
			{" \r\n\tfalse ", "false"},
			{"null", "null"},
			{"1.10", "1.10"},
			{"1e5", "1e5"},
			{"-0", "-0"},
			{"1e400", "1e400"},
			{"12345678901234567890123", "12345678901234567890123"},
			{`""`, `""`},
			{`"naïve 日本語 😀"`, `"naïve 日本語 😀"`},
			{`"\u00e9\ud83d\ude00\/"`, `"é😀/"`},
			{`"half an emoji \uD83D"`, `"half an emoji \ud83d"`},
			{`"a\u0000b"`, `"a\u0000b"`},
			{`"\"\\\n"`, `"\"\\\n"`},
			{"[1, [ ] ,{ }]", "[1,[],{}]"},
			{`{"b": 1, "a": {"z": 1, "y": 2}}`, `{"a":{"y":2,"z":1},"b":1}`},
			{`{"😀": 4, "\uffee": 3, "é": 2, "z": 1}`, `{"z":1,"é":2,"` + "\uffee" + `":3,"😀":4}`},
			{`{"a": 1, "a": 2}`, `{"a":2}`},
			{deepest, deepest},
		} {
			must(t, store.Set("key", json.RawMessage(value.given)))
			expectJSON(t, store, "key", value.want)
		}
	})
}

func TestAnyUTF8TextIsAKeyOfItsOwn(t *testing.T) {
	keys := []string{
		"", "plain", "with space", "naïve", "日本語", "😀", "\uffee", "a\x00b", "a\x00", "\x00", `"quoted\"`,
		"line\nbreak", "\u007f", "\u2028", strings.Repeat("long", 5000),
	}
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		want := map[string]json.RawMessage{}
		for i, key := range keys {
			want[key] = json.RawMessage(strconv.Itoa(i))
			must(t, store.Set(key, want[key]))
		}
		all, err := store.ListAll()
		expect(t, "ListAll", all, err, want)
		for i, key := range keys {
			expectJSON(t, store, key, strconv.Itoa(i))
			got, err := store.GetInt64(key, -1)
			expect(t, "GetInt64 "+strconv.Quote(key), got, err, int64(i))
			existed, err := store.Delete(key)
			expect(t, "first Delete "+strconv.Quote(key), existed, err, true)
			existed, err = store.Delete(key)
			expect(t, "second Delete "+strconv.Quote(key), existed, err, false)
			expectJSON(t, store, key, "")
			count, err := store.Len()
			expect(t, "Len", count, err, len(keys)-i-1)
		}
	})
}

func TestAnEmptyStoreListsNothing(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		all, err := store.ListAll()
		expect(t, "ListAll", all, err, map[string]json.RawMessage{})
		count, err := store.Len()
		expect(t, "Len", count, err, 0)
	})
}

// The typed getters, each with its fallback; the columns of the table below are in this order.
var getters = []struct {
	name     string
	fallback any
	get      func(store *flagstore.Store, key string) (any, error)
}{
	{"GetBool", true, func(s *flagstore.Store, key string) (any, error) { return s.GetBool(key, true) }},
	{"GetInt64", int64(-99), func(s *flagstore.Store, key string) (any, error) { return s.GetInt64(key, -99) }},
	{"GetDouble", 0.25, func(s *flagstore.Store, key string) (any, error) { return s.GetDouble(key, 0.25) }},
	{"GetString", "else", func(s *flagstore.Store, key string) (any, error) { return s.GetString(key, "else") }},
}

func TestTypedGettersTakeTheirTypeOrSayMismatchAndFallBack(t *testing.T) {
	type wants [4]any // nil: of another type
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		for _, value := range []struct {
			json string
			kind flagstore.Type
			want wants
		}{
			{"true", flagstore.Bool, wants{true}},
			{"false", flagstore.Bool, wants{false}},
			{"3", flagstore.Number, wants{nil, int64(3), 3.0}},
			{"-7", flagstore.Number, wants{nil, int64(-7), -7.0}},
			{"3.0", flagstore.Number, wants{nil, int64(3), 3.0}},
			{"3e2", flagstore.Number, wants{nil, int64(300), 300.0}},
			{"1.5", flagstore.Number, wants{nil, nil, 1.5}},
			{"9223372036854775807", flagstore.Number, wants{nil, int64(math.MaxInt64), 0x1p63}},
			{"-9223372036854775808", flagstore.Number, wants{nil, int64(math.MinInt64), -0x1p63}},
			{"9223372036854775808", flagstore.Number, wants{nil, nil, 0x1p63}},
			{"1e400", flagstore.Number, wants{}},
			{`"on"`, flagstore.String, wants{nil, nil, nil, "on"}},
			{`""`, flagstore.String, wants{nil, nil, nil, ""}},
			{`"a\u0000é😀"`, flagstore.String, wants{nil, nil, nil, "a\x00é😀"}},
			{"null", flagstore.Null, wants{}},
			{"[true]", flagstore.Array, wants{}},
			{`{"a":1}`, flagstore.Object, wants{}},
		} {
			must(t, store.Set("k\u00e9y", json.RawMessage(value.json)))
			kind, err := store.Type("k\u00e9y")
			expect(t, "Type of "+value.json, kind, err, value.kind)
			for i, getter := range getters {
				got, err := getter.get(store, "k\u00e9y")
				if what := getter.name + " of " + value.json; value.want[i] != nil {
					expect(t, what, got, err, value.want[i])
				} else if got != getter.fallback || !errors.Is(err, flagstore.TypeMismatch) {
					t.Errorf("%s: got %v and error %v, expected the fallback and a mismatch", what, got, err)
				}
			}
		}
	})
}

func TestTypedGettersFallBackWithoutErrorOnAnAbsentKey(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		for _, getter := range getters {
			got, err := getter.get(store, "absent")
			expect(t, getter.name, got, err, getter.fallback)
		}
		no, err := store.GetBool("absent", false)
		expect(t, "GetBool", no, err, false)
		kind, err := store.Type("absent")
		expect(t, "Type", kind, err, flagstore.Absent)
	})
}

func TestTypedSettersWriteTheirJSON(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		for _, setter := range []struct {
			want string
			err  error
		}{
			{"true", store.SetBool("true", true)},
			{"false", store.SetBool("false", false)},
			{"-9223372036854775808", store.SetInt64("-9223372036854775808", math.MinInt64)},
			{"9223372036854775807", store.SetInt64("9223372036854775807", math.MaxInt64)},
			{"0.1", store.SetDouble("0.1", 0.1)},
			{"100000.0", store.SetDouble("100000.0", 100000)},
			{"1e+16", store.SetDouble("1e+16", 1e16)},
			{"1e-05", store.SetDouble("1e-05", 1e-5)},
			{"1.7976931348623157e+308", store.SetDouble("1.7976931348623157e+308", math.MaxFloat64)},
			{`""`, store.SetString(`""`, "")},
			{`"\"naïve\"\n\\ 😀"`, store.SetString(`"\"naïve\"\n\\ 😀"`, "\"naïve\"\n\\ 😀")},
		} {
			must(t, setter.err)
			expectJSON(t, store, setter.want, setter.want) // the key says what is to be stored
		}
	})
}
