package flagstore_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"flagstore"
)

const (
	goroutines = 64
	rounds     = 8
)

// flag is a value long enough to be torn, which shows whether it is whole.
type flag struct {
	Owner int
	Round int
	Text  string
}

func newFlag(owner, round int) flag {
	return flag{owner, round, strings.Repeat(fmt.Sprintf("%d-%d ", owner, round), 20)}
}

func keyOf(owner int) string { return fmt.Sprintf("goroutine \x00 %d", owner) }

func writeFlag(store *flagstore.Store, owner, round int) error {
	text, err := json.Marshal(newFlag(owner, round))
	if err != nil {
		return err
	}
	return store.Set(keyOf(owner), text)
}

// readWhole fails if what an owner wrote is torn, older than least, or lost.
func readWhole(text json.RawMessage, owner, least int) (round int, err error) {
	if text == nil && least < 0 {
		return least, nil
	}
	var got flag
	if err := json.Unmarshal(text, &got); err != nil {
		return 0, fmt.Errorf("flag of %d is %q: %w", owner, text, err)
	}
	if got != newFlag(owner, got.Round) || got.Round < least {
		return 0, fmt.Errorf("flag of %d is %q, expected it whole and of round %d or later", owner, text, least)
	}
	return got.Round, nil
}

// work writes its own flag round by round, and reads the others', which may only get newer.
func work(store *flagstore.Store, self int) error {
	var seen [goroutines]int
	for i := range seen {
		seen[i] = -1
	}
	for round := 0; round < rounds; round++ {
		if err := writeFlag(store, self, round); err != nil {
			return err
		}
		seen[self] = round
		all, err := store.ListAll()
		if err != nil {
			return err
		}
		for owner := range seen {
			if seen[owner], err = readWhole(all[keyOf(owner)], owner, seen[owner]); err != nil {
				return fmt.Errorf("ListAll: %w", err)
			}
		}
		for i := 0; i < 8; i++ {
			owner := (self + i*(round+1)) % goroutines
			text, err := store.Get(keyOf(owner))
			if err != nil {
				return err
			}
			if seen[owner], err = readWhole(text, owner, seen[owner]); err != nil {
				return fmt.Errorf("Get: %w", err)
			}
		}
	}
	return nil
}

func TestManyGoroutinesLoseNothingAndReadOnlyWholeValues(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		var all sync.WaitGroup
		for self := 0; self < goroutines; self++ {
			all.Add(1)
			go func(self int) {
				defer all.Done()
				if err := work(store, self); err != nil {
					t.Errorf("goroutine %d: %v", self, err)
				}
			}(self)
		}
		all.Wait()
		count, err := store.Len()
		expect(t, "Len", count, err, goroutines)
		for owner := 0; owner < goroutines; owner++ {
			text, err := store.Get(keyOf(owner))
			must(t, err)
			if _, err := readWhole(text, owner, rounds-1); err != nil {
				t.Error(err)
			}
		}
	})
}
