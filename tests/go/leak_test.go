package flagstore_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"flagstore"
)

func residentMiB(t *testing.T) int {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	var total, resident int
	text, err := os.ReadFile("/proc/self/statm")
	must(t, err)
	_, err = fmt.Sscan(string(text), &total, &resident)
	must(t, err)
	return resident * os.Getpagesize() >> 20
}

// Each of these would leave 100 MiB behind, were what the library hands out not freed. Long keys are cheap to store.
func TestNothingHandedOutLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector's own memory would hide it")
	}
	long := strings.Repeat("x", 1<<20)
	store, err := flagstore.OpenMemory()
	must(t, err)
	defer store.Close()
	must(t, store.SetString(long, long))
	for what, call := range map[string]func() error{
		"Get":       func() error { _, err := store.Get(long); return err },
		"GetString": func() error { _, err := store.GetString(long, ""); return err },
		"an error that names a long key": func() error {
			_, err := store.GetBool(long, true)
			if errors.Is(err, flagstore.TypeMismatch) && strings.Contains(err.Error(), long) {
				return nil
			}
			return fmt.Errorf("expected a mismatch that names the key, got %.200v", err)
		},
		"a forgotten store": func() error {
			forgotten, err := flagstore.OpenMemory()
			must(t, err)
			runtime.GC()
			return forgotten.SetBool(long, true)
		},
	} {
		before := residentMiB(t)
		for i := 0; i < 100; i++ {
			must(t, call())
		}
		grown := residentMiB(t) - before
		for end := time.Now().Add(10 * time.Second); grown > 50 && time.Now().Before(end); {
			grown = residentMiB(t) - before // finalizers run in their own time
		}
		if grown > 50 {
			t.Errorf("%s: 100 times left %d MiB behind", what, grown)
		}
	}
}
