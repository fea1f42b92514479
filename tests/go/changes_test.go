package flagstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sort"
	"strconv"
	"sync"
	"testing"
	"time"

	"flagstore"
)

const patience = 60 * time.Second

var background = context.Background()

// soon takes what comes through a channel, and ends the test if nothing does.
func soon[V any](t *testing.T, what string, channel <-chan V) (got V) {
	t.Helper()
	select {
	case got = <-channel:
	case <-time.After(patience):
		t.Fatalf("%s: nothing within %v", what, patience)
	}
	return got
}

func raw(text string) json.RawMessage { return json.RawMessage(text) }

func TestASnapshotStaysAsItIs(t *testing.T) {
	flags := map[string]string{"": "0", "a": `{"b":[1.10]}`, "a\x00": "1", "a\x00b": "2", "null": "null", "é": `"😀"`}
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		var keys []string
		for key, value := range flags {
			must(t, store.Set(key, raw(value)))
			keys = append(keys, key)
		}
		sort.Strings(keys)
		snapshot, err := store.Snapshot()
		must(t, err)
		must(t, store.SetBool("a", true))
		must(t, store.SetBool("new", true))
		_, err = store.Delete("é")
		must(t, err)
		must(t, store.Close())
		expect(t, "Count", snapshot.Count(), nil, len(keys))
		for i, key := range keys {
			expect(t, "Key", snapshot.Key(i), nil, key)
			expect(t, "Value", string(snapshot.Value(i)), nil, flags[key])
			expect(t, "Find "+strconv.Quote(key), string(snapshot.Find(key)), nil, flags[key])
		}
		for _, key := range []string{"new", "a\x00a", "z\x00", "\xff"} {
			expect(t, "Find "+strconv.Quote(key), snapshot.Find(key), nil, nil)
		}
		expect(t, "Value past the end", snapshot.Value(len(keys)), nil, nil)
		expect(t, "Value before the start", snapshot.Value(-1), nil, nil)
		must(t, snapshot.Close())
		must(t, snapshot.Close())
		expect(t, "Seek once closed", snapshot.Seek(""), nil, 0)
		expect(t, "Range once closed", keysOf(snapshot, ""), nil, nil)
		expect(t, "Count once closed", snapshot.Count(), nil, 0)
		expect(t, "Find once closed", snapshot.Find("a"), nil, nil)
	})
}

// keysOf are the keys that Range calls back for.
func keysOf(snapshot *flagstore.Snapshot, prefix string) (keys []string) {
	snapshot.Range(prefix, func(key string, _ json.RawMessage) bool { keys = append(keys, key); return true })
	return keys
}

func TestASnapshotIsSearchedByPrefix(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		keys := []string{"ui", "ui\x00", "ui\x00a", "ui.a", "ui.é", "v"}
		for i, key := range keys {
			must(t, store.Set(key, raw(strconv.Itoa(i))))
		}
		snapshot, err := store.Snapshot()
		must(t, err)
		defer snapshot.Close()
		for _, row := range []struct {
			prefix string
			index  int
			keys   []string
		}{
			{"", 0, keys}, {"u", 0, keys[:5]}, {"ui", 0, keys[:5]}, {"ui\x00", 1, keys[1:3]}, {"ui\x00b", 3, nil},
			{"ui.", 3, keys[3:5]}, {"ui.é", 4, keys[4:5]}, {"v", 5, keys[5:]}, {"va", 6, nil}, {"é", 6, nil},
		} {
			expect(t, "Seek "+strconv.Quote(row.prefix), snapshot.Seek(row.prefix), nil, row.index)
			expect(t, "Range "+strconv.Quote(row.prefix), keysOf(snapshot, row.prefix), nil, row.keys)
		}
		var values []string
		snapshot.Range("ui", func(_ string, value json.RawMessage) bool {
			values = append(values, string(value))
			return len(values) < 2
		})
		expect(t, "values until the second call returned false", values, nil, []string{"0", "1"})
	})
}

func TestABatchIsMadeAsAWholeOrNotAtAll(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.Set("old", raw(`{"a":1,"b":2}`)))
		batch := flagstore.NewBatch()
		must(t, batch.Set("new", raw("[1, 2]")))
		must(t, batch.Set("gone", raw("1")))
		must(t, batch.Delete("gone"))
		must(t, batch.Clear())
		must(t, batch.Expect("old", raw(`{"b": 2, "a": 1}`)))
		must(t, batch.Expect("new", nil))
		must(t, store.Commit(batch))
		want := map[string]json.RawMessage{"new": raw("[1,2]")}
		all, err := store.ListAll()
		expect(t, "ListAll after Commit", all, err, want)
		expectCode(t, "Commit again", store.Commit(batch), flagstore.Conflict)
		all, err = store.ListAll()
		expect(t, "ListAll after a conflict", all, err, want)
		expectCode(t, "Set no JSON", batch.Set("key", nil), flagstore.InvalidJSON)
		expectCode(t, "Expect half a value", batch.Expect("key", raw("[")), flagstore.InvalidJSON)
		expectCode(t, "Set a value behind which is a NUL", batch.Set("key", raw("1\x00")), flagstore.InvalidJSON)
		expectCode(t, "a key that is not UTF-8", batch.Delete("\xff"), flagstore.InvalidArgument)
		must(t, batch.Close())
		must(t, batch.Close())
		expectCode(t, "Commit of a closed batch", store.Commit(batch), flagstore.InvalidArgument)
		expectCode(t, "Set in a closed batch", batch.Set("key", raw("1")), flagstore.InvalidArgument)
	})
}

func TestABatchTakesKeysWithNULs(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.Set("a", raw("1")))
		must(t, store.Set("a\x00", raw("2")))
		batch := flagstore.NewBatch()
		defer batch.Close()
		must(t, batch.Expect("a\x00", raw("2")))
		must(t, batch.Expect("\x00", nil))
		must(t, batch.Delete("a\x00"))
		must(t, batch.Set("\x00", raw("3")))
		must(t, batch.Set("", raw("4")))
		must(t, store.Commit(batch))
		all, err := store.ListAll()
		expect(t, "ListAll", all, err, map[string]json.RawMessage{"": raw("4"), "\x00": raw("3"), "a": raw("1")})
	})
}

func TestABatchCanBeReadBack(t *testing.T) {
	batch := flagstore.NewBatch()
	expect(t, "Changes of an empty batch", batch.Changes(), nil, nil)
	expect(t, "Expectations of an empty batch", batch.Expectations(), nil, nil)
	must(t, batch.Set("é", raw(`{"y": null, "x": 1.10}`)))
	must(t, batch.Set("b", raw("1")))
	must(t, batch.Delete("b"))
	must(t, batch.Delete("a\x00"))
	must(t, batch.Set("", raw(" null ")))
	must(t, batch.Expect("e", raw("[ ]")))
	must(t, batch.Expect("d\x00", nil))
	expect(t, "Changes", batch.Changes(), nil, []flagstore.Item{
		{Key: "", Value: raw("null")},
		{Key: "a\x00"},
		{Key: "b"},
		{Key: "é", Value: raw(`{"x":1.10,"y":null}`)},
	})
	expect(t, "Expectations", batch.Expectations(), nil, []flagstore.Item{{Key: "d\x00"}, {Key: "e", Value: raw("[]")}})
	expect(t, "Clears", batch.Clears(), nil, false)
	must(t, batch.Clear())
	expect(t, "Clears after Clear", batch.Clears(), nil, true)
	must(t, batch.Close())
	expect(t, "Changes once closed", batch.Changes(), nil, nil)
	expect(t, "Clears once closed", batch.Clears(), nil, false)
}

func TestJSONIsEqualAsValues(t *testing.T) {
	for _, row := range []struct {
		a, b  string
		equal bool
	}{
		{`{"a": 1, "b": "\u00e9"}`, `{"b":"é","a":1}`, true},
		{"null", " null\n", true},
		{"1", "1.0", false},
		{"[1,2]", "[2,1]", false},
		{"tru", "tru", false},
		{"", "", false},
		{"1\x00", "1\x00", false},
	} {
		expect(t, row.a+" and "+row.b, flagstore.JSONEqual(raw(row.a), raw(row.b)), nil, row.equal)
	}
}

// increment adds one to a counter, again and again until nobody came in between.
func increment(store *flagstore.Store, end time.Time) error {
	for {
		before, err := store.Get("counter")
		if err != nil {
			return err
		}
		value, _ := strconv.Atoi(string(before))
		batch := flagstore.NewBatch()
		defer batch.Close()
		if err = batch.Expect("counter", before); err == nil {
			err = batch.Set("counter", raw(strconv.Itoa(value+1)))
		}
		if err != nil {
			return err
		}
		err = store.Commit(batch)
		if !errors.Is(err, flagstore.Conflict) || time.Now().After(end) {
			return err
		}
	}
}

func TestExpectAndCommitLoseNoUpdate(t *testing.T) {
	const counting, times = 8, 8
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		end := time.Now().Add(patience)
		var all sync.WaitGroup
		for i := 0; i < counting; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for n := 0; n < times; n++ {
					if err := increment(store, end); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		all.Wait()
		expectJSON(t, store, "counter", strconv.Itoa(counting*times))
	})
}

func TestARevisionMovesWithTheContentAndAClosedStoreHasNone(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		before, err := store.Revision()
		must(t, err)
		must(t, store.SetBool("on", true))
		after, err := store.Revision()
		must(t, err)
		if before == 0 || after == 0 || before == after {
			t.Errorf("got revisions %d and, after a change, %d", before, after)
		}
		now, err := store.Wait(background, before)
		expect(t, "Wait for what has happened", now, err, after)
		must(t, store.Close())
		_, err = store.Revision()
		expectClosed(t, "Revision", err)
		_, err = store.Wait(background, before)
		expectClosed(t, "Wait", err)
		_, err = store.Snapshot()
		expectClosed(t, "Snapshot", err)
		_, err = store.WatchAll(func(string, []byte, []byte) {})
		expectClosed(t, "WatchAll", err)
	})
}

func TestAWaitIsWokenByWhoeverChangesTheFile(t *testing.T) {
	for what, change := range map[string]func(path string) error{
		"a set by another handle": func(path string) error {
			other := openWith(t, path, flagstore.FileOptions{})
			return other.SetBool("on", true)
		},
		"a rename over the file": func(path string) error {
			write(t, path+".new", `{"on": true}`)
			return os.Rename(path+".new", path)
		},
	} {
		path := flagFile(t)
		store := openWith(t, path, flagstore.FileOptions{})
		before, err := store.Revision()
		must(t, err)
		woken := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(background, patience)
			defer cancel()
			_, err := store.Wait(ctx, before)
			woken <- err
		}()
		must(t, change(path))
		if err := soon(t, what, woken); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		expectJSON(t, store, "on", "true")
	}
}

type change struct{ key, old, new string }

// told is a callback for a watch that puts what it is told into a channel; "absent" stands for nil.
func told(channel chan<- change) func(key string, old, new []byte) {
	or := func(text []byte) string {
		if text == nil {
			return "absent"
		}
		return string(text)
	}
	return func(key string, old, new []byte) { channel <- change{key, or(old), or(new)} }
}

func TestAWatchTellsEachChangeOnceAndNoneOnceClosed(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.Set("a", raw("1")))
		all, one := make(chan change, 100), make(chan change, 100)
		every, err := store.WatchAll(told(all))
		must(t, err)
		only, err := store.Watch("b", told(one))
		must(t, err)
		_, err = store.Watch("\xff", told(one))
		expectCode(t, "Watch", err, flagstore.InvalidArgument)
		batch := flagstore.NewBatch()
		defer batch.Close()
		must(t, batch.Set("b", raw("null")))
		must(t, store.Commit(batch))
		expect(t, "new", soon(t, "new", all), nil, change{"b", "absent", "null"})
		expect(t, "new", soon(t, "new", one), nil, change{"b", "absent", "null"})
		must(t, store.Set("a", raw("[ 2 ]")))
		expect(t, "changed", soon(t, "changed", all), nil, change{"a", "1", "[2]"})
		_, err = store.Delete("b")
		must(t, err)
		expect(t, "deleted", soon(t, "deleted", all), nil, change{"b", "null", "absent"})
		expect(t, "deleted", soon(t, "deleted", one), nil, change{"b", "null", "absent"})
		must(t, every.Close())
		must(t, every.Close())
		must(t, store.Set("b", raw("3"))) // which the other watch, once told, shows to be seen
		expect(t, "after a Close", soon(t, "after a Close", one), nil, change{"b", "absent", "3"})
		must(t, only.Close())
		expect(t, "calls after Close", len(all)+len(one), nil, 0)
	})
}

func TestAWatchMayBeClosedFromItsOwnCallAndOutlivesItsStore(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		calls, itself := make(chan change, 100), make(chan *flagstore.Watch, 1)
		tell := told(calls)
		watch, err := store.WatchAll(func(key string, old, new []byte) {
			(<-itself).Close()
			tell(key, old, new)
		})
		must(t, err)
		itself <- watch
		must(t, store.SetBool("on", true))
		expect(t, "call", soon(t, "call", calls), nil, change{"on", "absent", "true"})
		other, err := store.WatchAll(tell)
		must(t, err)
		must(t, store.SetBool("on", false))
		expect(t, "other call", soon(t, "other call", calls), nil, change{"on", "true", "false"})
		must(t, store.Close())
		must(t, other.Close())
		expect(t, "further calls", len(calls), nil, 0)
	})
}
