package flagstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flagstore"
)

// engine is somewhere else that flags are kept in; it fails or blocks on command.
type engine struct {
	mu       sync.Mutex
	changed  *sync.Cond
	flags    map[string]json.RawMessage
	revision uint64
	failure  error // not nil: every call fails with it
	blocked  bool  // calls do not return; a wait does not count
	inside   int   // calls that are blocked
	sets     int
	commits  int
	closes   int
}

func newEngine() *engine {
	e := &engine{flags: map[string]json.RawMessage{}, revision: 1}
	e.changed = sync.NewCond(&e.mu)
	return e
}

// with does something to the engine, as somebody else would.
func (e *engine) with(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
	e.changed.Broadcast()
}

func (e *engine) put(key, value string) {
	e.with(func() {
		e.flags[key] = raw(value)
		e.revision++
	})
}

// count reads a counter of the engine.
func (e *engine) count(of *int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return *of
}

func (e *engine) reach(call func()) (err error) {
	e.with(func() {
		e.inside++
		for e.blocked {
			e.changed.Wait()
		}
		e.inside--
		if err = e.failure; err == nil {
			call()
		}
	})
	return err
}

func (e *engine) all() map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	for key, value := range e.flags {
		all[key] = value
	}
	return all
}

// basic is a backend on an engine with the methods that every backend has.
type basic struct{ *engine }

func (b basic) Get(key string) (value json.RawMessage, err error) {
	err = b.reach(func() { value = b.flags[key] })
	return value, err
}

func (b basic) Set(key string, value json.RawMessage) error {
	return b.reach(func() {
		b.sets++
		b.flags[key] = value
		b.revision++
	})
}

func (b basic) Remove(key string) (existed bool, err error) {
	err = b.reach(func() {
		if _, existed = b.flags[key]; existed {
			delete(b.flags, key)
			b.revision++
		}
	})
	return existed, err
}

func (b basic) ListAll() (flags map[string]json.RawMessage, err error) {
	err = b.reach(func() { flags = b.all() })
	return flags, err
}

func (b basic) Close() error {
	b.with(func() { b.closes++ })
	return nil
}

// complete has everything.
type complete struct{ basic }

func (c complete) Concurrent() bool { return true }

func (c complete) Commit(batch *flagstore.Batch) (revision uint64, err error) {
	reached := c.reach(func() {
		c.commits++
		for _, item := range batch.Expectations() {
			found := c.flags[item.Key]
			if (found == nil) != (item.Value == nil) || found != nil && !flagstore.JSONEqual(found, item.Value) {
				err = &flagstore.Error{Code: flagstore.Conflict, Message: item.Key + " is another"}
				return
			}
		}
		if batch.Clears() {
			c.flags = map[string]json.RawMessage{}
		}
		for _, item := range batch.Changes() {
			if item.Value == nil {
				delete(c.flags, item.Key)
			} else {
				c.flags[item.Key] = item.Value
			}
		}
		c.revision++
		revision = c.revision
	})
	if reached != nil {
		err = reached
	}
	return revision, err
}

func (c complete) Load(seen uint64) (flags map[string]json.RawMessage, revision uint64, err error) {
	err = c.reach(func() {
		if revision = c.revision; revision != seen {
			flags = c.all()
		}
	})
	return flags, revision, err
}

func (c complete) Wait(ctx context.Context, seen uint64) (uint64, error) {
	go func() {
		<-ctx.Done()
		c.with(func() {})
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.revision == seen && c.failure == nil && ctx.Err() == nil {
		c.changed.Wait()
	}
	if c.failure != nil {
		return 0, c.failure
	}
	return c.revision, ctx.Err()
}

// remote are options that nothing but the engine's doing can end.
func remote(mode flagstore.ReadMode) flagstore.RemoteOptions {
	return flagstore.RemoteOptions{ReadMode: mode, OpenTimeout: patience, CallTimeout: patience, Spread: -1,
		RetryMax: 20 * time.Millisecond}
}

func openEngine(t *testing.T, on *engine, options flagstore.RemoteOptions) *flagstore.Store {
	t.Helper()
	store, err := flagstore.OpenBackendWith(complete{basic{on}}, options)
	must(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

// eventually waits for what another thread brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func stateOf(t *testing.T, store *flagstore.Store) flagstore.State {
	t.Helper()
	status, err := store.Status()
	must(t, err)
	return status.State
}

func batchOf(t *testing.T, build ...error) {
	t.Helper()
	for _, err := range build {
		must(t, err)
	}
}

func TestABatchReachesABackendAsAWhole(t *testing.T) {
	for _, mode := range []flagstore.ReadMode{flagstore.Fresh, flagstore.Checked, flagstore.Watched} {
		on := newEngine()
		store := openEngine(t, on, remote(mode))
		first, second, third := flagstore.NewBatch(), flagstore.NewBatch(), flagstore.NewBatch()
		batchOf(t, first.Set("a", raw("1")), first.Set("b", raw("{}")), first.Expect("a", nil))
		must(t, store.Commit(first))
		expect(t, "commits", on.count(&on.commits), nil, 1)
		batchOf(t, second.Set("b", raw("2")), second.Expect("a", raw("1.0")))
		err := store.Commit(second)
		expectCode(t, "Commit", err, flagstore.Conflict)
		if err == nil || !strings.Contains(err.Error(), "a is another") {
			t.Errorf("got %v, expected the backend's own words", err)
		}
		batchOf(t, third.Clear(), third.Set("c", raw("[]")), third.Expect("b", raw(" { } ")))
		must(t, store.Commit(third))
		all, err := store.ListAll()
		expect(t, "ListAll", all, err, map[string]json.RawMessage{"c": raw("[]")})
		expect(t, "sets", on.count(&on.sets), nil, 0)
	}
}

// keeper commits as it should, and keeps the batch, which it should not.
type keeper struct {
	complete
	kept *flagstore.Batch
}

func (k *keeper) Commit(batch *flagstore.Batch) (uint64, error) {
	k.kept = batch
	return k.complete.Commit(batch)
}

func TestALentBatchIsGoneAfterTheCommit(t *testing.T) {
	backend := &keeper{complete: complete{basic{newEngine()}}}
	store, err := flagstore.OpenBackend(backend)
	must(t, err)
	defer store.Close()
	batch := flagstore.NewBatch()
	must(t, batch.Set("a", raw("1")))
	must(t, store.Commit(batch))
	expect(t, "Changes", backend.kept.Changes(), nil, nil)
	expectClosed(t, "Set", backend.kept.Set("a", raw("2")))
	must(t, backend.kept.Close())
	expectJSON(t, store, "a", "1")
}

func TestAChangeByOthersReachesWaitAndWatch(t *testing.T) {
	on := newEngine()
	store := openEngine(t, on, remote(flagstore.Watched))
	calls := make(chan change, 100)
	watch, err := store.WatchAll(told(calls))
	must(t, err)
	defer watch.Close()
	before, err := store.Revision()
	must(t, err)
	on.put("key", "1")
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	_, err = store.Wait(ctx, before)
	must(t, err)
	expect(t, "the watch", soon(t, "the watch", calls), nil, change{"key", "absent", "1"})
	expectJSON(t, store, "key", "1")
	eventually(t, "a push and a refresh", func() bool {
		status, err := store.Status()
		return err == nil && status.Push == flagstore.PushAnnounced && status.Refreshes > 0
	})
}

func TestTheStoreOfABackendThatIsAStoreHearsOfItsChanges(t *testing.T) {
	below, err := flagstore.OpenMemory()
	must(t, err)
	// It has the Wait of a Store.
	store, err := flagstore.OpenBackendWith(forward{below}, remote(flagstore.Watched))
	must(t, err)
	defer store.Close()
	must(t, below.Set("key", raw("1")))
	eventually(t, "the change", func() bool { value, _ := store.GetInt64("key", 0); return value == 1 })
}

func TestALostBackendIsStaleAndThenLiveAgain(t *testing.T) {
	on := newEngine()
	on.put("key", "1")
	store := openEngine(t, on, remote(flagstore.Watched))
	options := remote(flagstore.Watched)
	options.WhenLost = flagstore.LostFail
	strict := openEngine(t, on, options)
	expect(t, "state", stateOf(t, store), nil, flagstore.Live)
	on.with(func() { on.failure = flagstore.Unavailable })
	eventually(t, "stale", func() bool { return stateOf(t, store) == flagstore.Stale })
	expectJSON(t, store, "key", "1")
	expectCode(t, "Set", store.Set("key", raw("2")), flagstore.Unavailable)
	eventually(t, "lost", func() bool { return stateOf(t, strict) != flagstore.Live })
	_, err := strict.Get("key")
	expectCode(t, "Get", err, flagstore.Unavailable)
	on.with(func() {
		on.failure = nil
		on.flags["key"] = raw("3")
		on.revision++
	})
	eventually(t, "live", func() bool {
		value, err := store.GetInt64("key", 0)
		return err == nil && value == 3 && stateOf(t, store) == flagstore.Live
	})
	status, err := store.Status()
	must(t, err)
	revision, err := store.Revision()
	expect(t, "revision", status.Revision, err, revision)
	expect(t, "reconnects", status.Reconnects, nil, 1)
}

func TestACallEndsAtItsDeadlineWhateverTheBackendDoes(t *testing.T) {
	for code, call := range map[flagstore.Code]func(*flagstore.Store) error{
		flagstore.Unavailable: func(store *flagstore.Store) error { _, err := store.Get("key"); return err },
		flagstore.Uncertain:   func(store *flagstore.Store) error { return store.Set("key", raw("1")) },
	} {
		on := newEngine()
		on.blocked = true
		options := remote(flagstore.Fresh)
		options.CallTimeout = 200 * time.Millisecond
		store := openEngine(t, on, options)
		expectCode(t, "the call", call(store), code)
		expect(t, "calls inside", on.count(&on.inside), nil, 1)
		on.with(func() { on.blocked = false })
		must(t, store.Close())
		eventually(t, "the close", func() bool { return on.count(&on.closes) == 1 })
	}
}

func TestCallsOverlapIfTheBackendSaysSo(t *testing.T) {
	on := newEngine()
	on.blocked = true
	store := openEngine(t, on, remote(flagstore.Fresh))
	ended := make(chan error, 2)
	for i := 0; i < 2; i++ {
		go func() { _, err := store.Get("key"); ended <- err }()
	}
	eventually(t, "two calls", func() bool { return on.count(&on.inside) == 2 })
	on.with(func() { on.blocked = false })
	must(t, soon(t, "a call", ended))
	must(t, soon(t, "the other", ended))
}

func TestAfterAFailedOpenTheBackendIsClosed(t *testing.T) {
	on := newEngine()
	bad := remote(flagstore.Watched)
	bad.Verify = -1
	_, err := flagstore.OpenBackendWith(complete{basic{on}}, bad)
	expectCode(t, "a bad option", err, flagstore.InvalidArgument)
	bad = flagstore.RemoteOptions{FallbackPath: "a\x00b"}
	_, err = flagstore.OpenBackendWith(complete{basic{on}}, bad)
	expectCode(t, "a bad path", err, flagstore.InvalidArgument)
	expect(t, "closes", on.count(&on.closes), nil, 2)
	on.failure = flagstore.InvalidArgument
	_, err = flagstore.OpenBackendWith(complete{basic{on}}, remote(flagstore.Watched))
	expectCode(t, "the backend's own", err, flagstore.InvalidArgument)
	expect(t, "closes", on.count(&on.closes), nil, 3)
	options := remote(flagstore.Watched)
	options.Lazy, options.ReadOnly = true, true
	store := openEngine(t, on, options)
	_, err = store.Get("key")
	expectCode(t, "Get", err, flagstore.Unavailable)
	expectCode(t, "Set", store.Set("key", raw("1")), flagstore.ReadOnly)
}

func TestWhatHasVanishedIsNotBelievedToBeEmpty(t *testing.T) {
	on := newEngine()
	on.put("key", "1")
	store := openEngine(t, on, remote(flagstore.Watched))
	on.with(func() { on.failure = flagstore.ErrGone }) // which only Load may return
	eventually(t, "lost", func() bool { return stateOf(t, store) == flagstore.Lost })
	expectJSON(t, store, "key", "1")
}

func TestTheFallbackFileServesUntilTheBackendIsReached(t *testing.T) {
	on := newEngine()
	on.put("key", "1")
	options := remote(flagstore.Watched)
	options.FallbackPath = filepath.Join(t.TempDir(), "fallback.json")
	openEngine(t, on, options)
	eventually(t, "the file", func() bool {
		text, _ := os.ReadFile(options.FallbackPath)
		return strings.Contains(string(text), `"key": 1`)
	})
	on.with(func() { on.failure = flagstore.Unavailable })
	options.OpenTimeout = time.Microsecond
	store := openEngine(t, on, options)
	expect(t, "state", stateOf(t, store), nil, flagstore.FromFallback)
	expectJSON(t, store, "key", "1")
	on.with(func() { on.failure = nil })
	eventually(t, "live", func() bool { return stateOf(t, store) == flagstore.Live })
}

func TestAfterASyncReadsSeeWhatWasDoneBefore(t *testing.T) {
	on := newEngine()
	options := remote(flagstore.Watched)
	options.Spread = patience // by itself it would be late
	store := openEngine(t, on, options)
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	for _, value := range []string{"1", "2", "3", "4", "5"} {
		on.put("key", value)
		must(t, store.Sync(ctx))
		expectJSON(t, store, "key", value)
	}
	must(t, store.Sync(background))
	on.with(func() { on.blocked = true })
	short, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- store.Sync(short) }()
	eventually(t, "a question", func() bool { return on.count(&on.inside) > 0 })
	stop()
	if err := soon(t, "Sync", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, expected the context's error", err)
	}
	on.with(func() { on.blocked, on.failure = false, flagstore.Unavailable })
	brief, end := context.WithTimeout(ctx, 500*time.Millisecond) // it is tried until then
	defer end()
	if err := store.Sync(brief); !errors.Is(err, flagstore.Unavailable) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, expected that the backend is away", err)
	}
	must(t, store.Close())
	expectClosed(t, "Sync", store.Sync(ctx))
	_, err := store.Status()
	expectClosed(t, "Status", err)
}

func TestLayersAreReadFromTheTopAndOneIsWritten(t *testing.T) {
	top, bottom := openWith(t, flagFile(t), flagstore.FileOptions{}), openWith(t, flagFile(t), flagstore.FileOptions{})
	must(t, bottom.Set("a", raw("1")))
	must(t, bottom.Set("b", raw("1")))
	must(t, top.Set("b", raw("null")))
	store, err := flagstore.OpenLayered(1, top, bottom)
	must(t, err)
	defer store.Close()
	must(t, top.Close()) // the layers are held
	all, err := store.ListAll()
	expect(t, "ListAll", all, err, map[string]json.RawMessage{"a": raw("1"), "b": raw("null")})
	must(t, store.Set("b", raw("2")))
	expectJSON(t, store, "b", "null")
	expectJSON(t, bottom, "b", "2")
	existed, err := store.Delete("a")
	expect(t, "Delete", existed, err, true)
	expectJSON(t, bottom, "a", "")
	expect(t, "state", stateOf(t, store), nil, flagstore.Live)
	must(t, store.Sync(background))
	_, err = flagstore.OpenLayered(0)
	expectCode(t, "no layer", err, flagstore.InvalidArgument)
	_, err = flagstore.OpenLayered(2, bottom, bottom)
	expectCode(t, "past the last", err, flagstore.InvalidArgument)
	_, err = flagstore.OpenLayered(0, top)
	expectClosed(t, "a closed layer", err)
}

func TestAContextEndsAChangeOfALayerThatWaitsForALock(t *testing.T) {
	path := flagFile(t)
	file := openWith(t, path, flagstore.FileOptions{LockTimeout: -1})
	memory, err := flagstore.OpenMemory()
	must(t, err)
	defer memory.Close()
	store, err := flagstore.OpenLayered(1, memory, file)
	must(t, err)
	defer store.Close()
	refused := refusals(t)
	holdLock(t, path)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- store.SetContext(ctx, "on", raw("1")) }()
	soon(t, "a refusal", refused)
	soon(t, "another", refused)
	cancel()
	expectStopped(t, "SetContext", soon(t, "SetContext", ended), context.Canceled)
}
