package flagstore_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flagstore"
)

// holdLock takes the lock of a file, as another program would, until the test lets go of it.
func holdLock(t *testing.T, path string) (release func()) {
	t.Helper()
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
	lock, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE, 0o644)
	must(t, err)
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	t.Cleanup(func() { lock.Close() })
	return func() { must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_UN)) }
}

// refusals gets a message for each time that somebody did not get the lock: so a test knows that it is waited for.
func refusals(t *testing.T) <-chan string {
	t.Helper()
	messages := make(chan string, 10000)
	flagstore.SetLog(flagstore.LogWarn, func(_ flagstore.LogLevel, message string) {
		if strings.Contains(message, "locked by") {
			messages <- message
		}
	})
	t.Cleanup(func() { flagstore.SetLog(0, nil) })
	return messages
}

func expectStopped(t *testing.T, what string, err error, reason error) {
	t.Helper()
	if !errors.Is(err, reason) {
		t.Errorf("%s: got %v, expected %v", what, err, reason)
	}
}

// Each change that takes a context.
var changesWithContext = map[string]func(ctx context.Context, store *flagstore.Store) error{
	"SetContext": func(ctx context.Context, s *flagstore.Store) error { return s.SetContext(ctx, "on", raw("2")) },
	"DeleteContext": func(ctx context.Context, s *flagstore.Store) error {
		_, err := s.DeleteContext(ctx, "on")
		return err
	},
	"CommitContext": func(ctx context.Context, s *flagstore.Store) error {
		batch := flagstore.NewBatch()
		defer batch.Close()
		if err := batch.Set("on", raw("3")); err != nil {
			return err
		}
		return s.CommitContext(ctx, batch)
	},
}

func TestAContextThatIsDoneChangesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	cancel()
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.Set("on", raw("1")))
		for name, change := range changesWithContext {
			expectStopped(t, name, change(ctx, store), context.Canceled)
		}
		_, err := store.Wait(ctx, 0)
		expectStopped(t, "Wait", err, context.Canceled)
		_, err = store.Changes(ctx)
		expectStopped(t, "Changes", err, context.Canceled)
		expectJSON(t, store, "on", "1")
	})
	path := flagFile(t)
	_, err := flagstore.OpenFileContext(ctx, path, flagstore.FileOptions{})
	expectStopped(t, "OpenFileContext", err, context.Canceled)
	_, err = os.Stat(path)
	expectStopped(t, "Stat", err, os.ErrNotExist)
}

func TestAContextThatIsNotDoneIsNoHindrance(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		for name, change := range changesWithContext {
			if err := change(background, store); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestAContextEndsTheWaitForALockAndNothingIsWritten(t *testing.T) {
	for name, change := range changesWithContext {
		path := flagFile(t)
		store := openWith(t, path, flagstore.FileOptions{LockTimeout: -1})
		must(t, store.Set("on", raw("1")))
		refused, release := refusals(t), holdLock(t, path)
		ctx, cancel := context.WithCancel(background)
		ended := make(chan error, 1)
		go func() { ended <- change(ctx, store) }()
		soon(t, name, refused)
		cancel()
		err := soon(t, name, ended)
		expectStopped(t, name, err, context.Canceled)
		expectCode(t, name, err, flagstore.Locked)
		release()
		expectFile(t, path, "{\n  \"on\": 1\n}\n")
		must(t, store.SetBool("on", false))
	}
}

func TestADeadlineEndsTheWaitForALock(t *testing.T) {
	path := flagFile(t)
	store := openWith(t, path, flagstore.FileOptions{})
	holdLock(t, path)
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	err := store.SetContext(ctx, "on", raw("1"))
	expectStopped(t, "SetContext", err, context.DeadlineExceeded)
	expectCode(t, "SetContext", err, flagstore.Locked)
}

func TestAContextOutlastsTheTimeoutOfTheStore(t *testing.T) {
	path := flagFile(t)
	store := openWith(t, path, flagstore.FileOptions{LockTimeout: time.Millisecond})
	refused, release := refusals(t), holdLock(t, path)
	ended := make(chan error, 1)
	go func() { ended <- store.SetContext(background, "on", raw("1")) }()
	for i := 0; i < 5; i++ {
		soon(t, "SetContext", refused)
	}
	release()
	must(t, soon(t, "SetContext", ended))
	expectJSON(t, store, "on", "1")
}

func TestAFileIsOpenedOnceItsLockIsFree(t *testing.T) {
	path := flagFile(t)
	refused, release := refusals(t), holdLock(t, path)
	_, err := flagstore.OpenFileWith(path, flagstore.FileOptions{LockTimeout: time.Millisecond})
	expectCode(t, "OpenFileWith", err, flagstore.Locked)
	soon(t, "OpenFileWith", refused)
	ctx, cancel := context.WithCancel(background)
	ended := make(chan error, 1)
	open := func(ctx context.Context) {
		store, err := flagstore.OpenFileContext(ctx, path, flagstore.FileOptions{LockTimeout: time.Millisecond})
		if err == nil {
			err = store.Close()
		}
		ended <- err
	}
	go open(ctx)
	soon(t, "OpenFileContext", refused)
	cancel()
	expectStopped(t, "OpenFileContext", soon(t, "OpenFileContext", ended), context.Canceled)
	go open(background)
	for i := 0; i < 5; i++ {
		soon(t, "OpenFileContext", refused)
	}
	release()
	must(t, soon(t, "OpenFileContext", ended))
	expectFile(t, path, "{}\n")
}

func TestAChangeWaitsForTheLockNoLongerThanTold(t *testing.T) {
	for _, row := range []struct {
		timeout  time.Duration
		attempts int
		message  string
	}{{50 * time.Millisecond, 1, "50 ms"}, {500 * time.Millisecond, 3, "167 ms, 3 times in a row"}} {
		path := flagFile(t)
		store := openWith(t, path, flagstore.FileOptions{LockTimeout: row.timeout})
		must(t, store.SetBool("on", true))
		refused, release := refusals(t), holdLock(t, path)
		err := store.SetBool("on", false)
		expectCode(t, "SetBool", err, flagstore.Locked)
		if !strings.HasSuffix(err.Error(), row.message) {
			t.Errorf("got %q, expected it to end with %q", err, row.message)
		}
		expect(t, "attempts", len(refused), nil, row.attempts)
		expectJSON(t, store, "on", "true")
		release()
		must(t, store.SetBool("on", false))
		expectJSON(t, store, "on", "false")
	}
}

func TestCloseEndsTheWaitForALockAndForAChange(t *testing.T) {
	path := flagFile(t)
	store := openWith(t, path, flagstore.FileOptions{LockTimeout: -1})
	refused, _ := refusals(t), holdLock(t, path)
	revision, err := store.Revision()
	must(t, err)
	ended := make(chan error, 2)
	go func() { ended <- store.SetBool("on", true) }()
	go func() { _, err := store.Wait(background, revision); ended <- err }()
	soon(t, "SetBool", refused)
	must(t, store.Close())
	expectClosed(t, "one", soon(t, "one", ended))
	expectClosed(t, "the other", soon(t, "the other", ended))
}

func TestALockedBackendIsNotAskedAgain(t *testing.T) {
	asked := 0
	store := openPuppet(t, &puppet{answer: func() error { asked++; return flagstore.Locked }})
	expectCode(t, "SetContext", store.SetContext(background, "on", raw("1")), flagstore.Locked)
	expect(t, "calls of the backend", asked, nil, 1)
}

func TestAContextEndsAWait(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		revision, err := store.Revision()
		must(t, err)
		ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
		defer cancel()
		now, err := store.Wait(ctx, revision)
		expect(t, "the revision", now, nil, revision)
		expectStopped(t, "Wait", err, context.DeadlineExceeded)

		ctx, cancel = context.WithCancel(background)
		ended := make(chan error, 1)
		go func() { _, err := store.Wait(ctx, revision); ended <- err }()
		cancel()
		expectStopped(t, "Wait", soon(t, "Wait", ended), context.Canceled)
		now, err = store.Wait(background, math.MaxUint64)
		expect(t, "Wait for another", now, err, revision)
	})
}

func TestChangesComeThroughAChannelUntilTheContextIsDone(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.Set("a", raw("1")))
		ctx, cancel := context.WithCancel(background)
		all, err := store.Changes(ctx)
		must(t, err)
		one, err := store.ChangesOf(ctx, "b")
		must(t, err)
		_, err = store.ChangesOf(ctx, "\xff")
		expectCode(t, "ChangesOf", err, flagstore.InvalidArgument)
		must(t, store.Set("a", raw("[ 2 ]")))
		expect(t, "all", soon(t, "all", all), nil, flagstore.Change{Key: "a", Old: raw("1"), New: raw("[2]")})
		must(t, store.Set("b", raw("null")))
		expect(t, "all", soon(t, "all", all), nil, flagstore.Change{Key: "b", New: raw("null")})
		expect(t, "one", soon(t, "one", one), nil, flagstore.Change{Key: "b", New: raw("null")})
		_, err = store.Delete("b")
		must(t, err)
		expect(t, "one", soon(t, "one", one), nil, flagstore.Change{Key: "b", Old: raw("null")})
		cancel() // although nobody has received the last one from all
		for what, channel := range map[string]<-chan flagstore.Change{"all": all, "one": one} {
			for end := time.After(patience); ; {
				select {
				case _, open := <-channel:
					if open {
						continue
					}
				case <-end:
					t.Errorf("%s: not closed within %v", what, patience)
				}
				break
			}
		}
	})
}

func TestASlowReceiverGetsTheNewestOfManyChanges(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		changes, err := store.Changes(ctx)
		must(t, err)
		for i := int64(1); i <= 50; i++ {
			must(t, store.SetInt64("count", i))
		}
		var last flagstore.Change
		for before := raw(""); string(last.New) != "50"; before = last.New {
			last = soon(t, "a change", changes)
			expect(t, "the value before", string(last.Old), nil, string(before))
		}
	})
}
