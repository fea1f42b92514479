package flagstore_test

import (
	"errors"
	"strings"
	"testing"

	"flagstore"
)

// Each kind of call is made so often that fifty bytes forgotten by it would be 5 MiB.
func TestAMillionCallsLeaveNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector's own memory would hide it")
	}
	store, err := flagstore.OpenMemory()
	must(t, err)
	defer store.Close()
	must(t, store.SetString("text", strings.Repeat("x", 40)))
	must(t, store.SetBool("on", true))
	batch := flagstore.NewBatch()
	defer batch.Close()
	must(t, batch.Set("on", raw("true")))
	calls := []func() error{
		func() error { _, err := store.Get("text"); return err },
		func() error { _, err := store.GetBool("on", false); return err },
		func() error { _, err := store.GetString("text", ""); return err },
		func() error { _, err := store.GetInt64("absent", 3); return err },
		func() error { return store.SetBool("on", true) },
		func() error { return store.SetContext(background, "on", raw("true")) },
		func() error { return store.Commit(batch) },
		func() error { _, err := store.Delete("absent"); return err },
		func() error {
			if err := store.Set("on", raw("tru")); !errors.Is(err, flagstore.InvalidJSON) {
				return err
			}
			return nil
		},
		func() error {
			snapshot, err := store.Snapshot()
			if err == nil && string(snapshot.Find("on")) != "true" {
				err = errors.New("the snapshot lacks a flag")
			}
			snapshot.Close()
			return err
		},
	}
	round := func(times int) {
		for i := 0; i < times; i++ {
			for _, call := range calls {
				must(t, call())
			}
		}
	}
	round(1000) // what is kept is allocated
	before := residentMiB(t)
	round(1_000_000 / len(calls))
	if grown := residentMiB(t) - before; grown > 4 {
		t.Errorf("a million calls left %d MiB behind", grown)
	}
}
