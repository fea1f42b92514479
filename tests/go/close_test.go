package flagstore_test

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flagstore"
)

func expectClosed(t *testing.T, what string, err error) {
	t.Helper()
	expectCode(t, what, err, flagstore.InvalidArgument)
	if !errors.Is(err, flagstore.ErrClosed) || !errors.Is(err, fs.ErrClosed) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: got %v, expected what is closed", what, err)
	}
}

func TestAClosedStoreRefusesEveryCall(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.Close())
		must(t, store.Close())
		for name, call := range keyed {
			expectClosed(t, name, call(store, "key"))
		}
		for name, call := range keyless {
			expectClosed(t, name, call(store))
		}
		on, _ := store.GetBool("key", true)
		expect(t, "the fallback", on, nil, true)
	})
}

func TestAClosedBatchAddsNothingAndIsNotCommitted(t *testing.T) {
	store, err := flagstore.OpenMemory()
	must(t, err)
	defer store.Close()
	batch := flagstore.NewBatch()
	must(t, batch.Close())
	must(t, batch.Close())
	expectClosed(t, "Set", batch.Set("key", raw("1")))
	expectClosed(t, "Delete", batch.Delete("key"))
	expectClosed(t, "Clear", batch.Clear())
	expectClosed(t, "Expect", batch.Expect("key", nil))
	expectClosed(t, "Commit", store.Commit(batch))
	expect(t, "Changes", len(batch.Changes())+len(batch.Expectations()), nil, 0)
}

func TestCloseBesideHammeringReadersLetsNoneReadWhatIsFreed(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.SetBool("on", true))
		var running, all sync.WaitGroup
		running.Add(goroutines)
		for i := 0; i < goroutines; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				on, err := store.GetBool("on", false)
				expect(t, "GetBool before Close", on, err, true)
				running.Done()
				for err == nil {
					on, err = store.GetBool("on", false)
				}
				if on || !errors.Is(err, flagstore.ErrClosed) {
					t.Errorf("got %v and error %v, expected the fallback and a closed store", on, err)
				}
			}()
		}
		running.Wait()
		must(t, store.Close())
		all.Wait()
	})
}

// A goroutine that is inside of a call for long, and one that closes the store meanwhile, are nothing to the others.
func TestCloseWaitsForNobodyAndStopsNobodyInsideACall(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	var closes atomic.Int32
	store, err := flagstore.OpenBackend(slow{&puppet{value: raw("1"), answer: func() error {
		entered <- true
		<-leave
		return nil
	}}, &closes})
	must(t, err)
	got := make(chan error, 1)
	go func() {
		value, err := store.Get("key")
		if err == nil && string(value) != "1" {
			err = errors.New("expected 1, got " + string(value))
		}
		got <- err
	}()
	soon(t, "a call", entered)
	closed := make(chan error, 1)
	go func() { closed <- store.Close() }()
	must(t, soon(t, "Close beside a call", closed))
	_, err = store.Get("other")
	expectClosed(t, "Get", err)
	expect(t, "closes of the backend during a call", closes.Load(), nil, 0)
	leave <- true
	must(t, soon(t, "the call", got))
	for end := time.Now().Add(patience); closes.Load() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // Get frees the store on its way out
	}
	expect(t, "closes of the backend", closes.Load(), nil, 1)
}

type slow struct {
	*puppet
	closes *atomic.Int32
}

func (s slow) Close() error { s.closes.Add(1); return nil }

func TestABackendMayCloseTheStoreThatItServes(t *testing.T) {
	var store *flagstore.Store
	backend := &puppet{value: raw("1"), answer: func() error { return store.Close() }}
	store, err := flagstore.OpenBackend(backend)
	must(t, err)
	value, err := store.Get("key")
	expect(t, "Get", string(value), err, "1")
	expect(t, "closes", backend.closes, nil, 1)
	_, err = store.Get("key")
	expectClosed(t, "Get", err)
}

func TestManyClosesAtOnceFreeOnce(t *testing.T) {
	for round := 0; round < 200; round++ {
		backend := &puppet{answer: fine}
		store, err := flagstore.OpenBackend(backend)
		must(t, err)
		var all sync.WaitGroup
		for i := 0; i < 8; i++ {
			all.Add(1)
			go func(i int) {
				defer all.Done()
				if i%2 == 0 {
					store.Close()
				} else if _, err := store.Len(); err != nil && !errors.Is(err, flagstore.ErrClosed) {
					t.Error(err)
				}
			}(i)
		}
		all.Wait()
		expect(t, "closes", backend.closes, nil, 1)
	}
}

func TestASnapshotIsClosedBesideItsReaders(t *testing.T) {
	store, err := flagstore.OpenMemory()
	must(t, err)
	defer store.Close()
	must(t, store.SetBool("on", true))
	snapshot, err := store.Snapshot()
	must(t, err)
	var running, all sync.WaitGroup
	running.Add(8)
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			value := snapshot.Find("on")
			running.Done()
			for value != nil {
				if value = snapshot.Find("on"); value != nil && string(value) != "true" {
					t.Errorf("got %q", value)
				}
			}
		}()
	}
	running.Wait()
	must(t, snapshot.Close())
	all.Wait()
}
