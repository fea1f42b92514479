package flagstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"sort"

	"flagstore"
)

func open() *flagstore.Store {
	flags, err := flagstore.OpenMemory()
	if err != nil {
		log.Fatal(err)
	}
	return flags
}

func Example() {
	directory, err := os.MkdirTemp("", "flagstore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	flags, err := flagstore.OpenFile(filepath.Join(directory, "flags.json"))
	if err != nil {
		log.Fatal(err)
	}
	defer flags.Close()

	if err := flags.SetBool("dark-mode", true); err != nil {
		log.Fatal(err)
	}
	dark, err := flags.GetBool("dark-mode", false)
	fmt.Println(dark, err)
	items, err := flags.GetInt64("max-items", 10)
	fmt.Println(items, err)
	// Output:
	// true <nil>
	// 10 <nil>
}

func ExampleGetAs() {
	type rollout struct {
		Percent int
		To      []string
	}
	flags := open()
	defer flags.Close()
	flags.SetFrom("rollout", rollout{25, []string{"AT", "CH"}})
	got, err := flagstore.GetAs(flags, "rollout", rollout{})
	fmt.Println(got, err)
	percent, err := flagstore.GetAs(flags, "rollout", 5)
	fmt.Println(percent, errors.Is(err, flagstore.TypeMismatch))
	// Output:
	// {25 [AT CH]} <nil>
	// 5 true
}

func ExampleError() {
	_, err := flagstore.OpenFileWith("missing.json", flagstore.FileOptions{OpenExisting: true})
	var failed *flagstore.Error
	fmt.Println(errors.As(err, &failed), failed.Name)
	fmt.Println(errors.Is(err, flagstore.IO), errors.Is(err, fs.ErrNotExist))
	// Output:
	// true FLAGSTORE_IO
	// true true
}

func ExampleStore_SetContext() {
	flags := open()
	defer flags.Close()
	ctx, cancel := context.WithCancel(context.Background())
	fmt.Println(flags.SetContext(ctx, "max-items", json.RawMessage("12")))
	cancel()
	fmt.Println(flags.SetContext(ctx, "max-items", json.RawMessage("13")))
	// Output:
	// <nil>
	// context canceled
}

func ExampleStore_Changes() {
	flags := open()
	defer flags.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changes, err := flags.Changes(ctx)
	if err != nil {
		log.Fatal(err)
	}
	flags.SetInt64("max-items", 12)
	for change := range changes {
		fmt.Printf("%s: %q, now %q\n", change.Key, change.Old, change.New)
		cancel() // ends the loop
	}
	// Output:
	// max-items: "", now "12"
}

func ExampleStore_Commit() {
	flags := open()
	defer flags.Close()
	flags.SetInt64("max-items", 12)

	batch := flagstore.NewBatch()
	defer batch.Close()
	batch.Expect("max-items", json.RawMessage("12"))
	batch.Set("max-items", json.RawMessage("24"))
	fmt.Println(flags.Commit(batch))
	fmt.Println(errors.Is(flags.Commit(batch), flagstore.Conflict))
	// Output:
	// <nil>
	// true
}

func ExampleSnapshot_Range() {
	flags := open()
	defer flags.Close()
	flags.SetBool("ui.dark", true)
	flags.SetInt64("ui.items", 12)
	flags.SetBool("zoom", true)

	snapshot, err := flags.Snapshot()
	if err != nil {
		log.Fatal(err)
	}
	defer snapshot.Close()
	snapshot.Range("ui.", func(key string, value json.RawMessage) bool {
		fmt.Printf("%s is %s\n", key, value)
		return true
	})
	// Output:
	// ui.dark is true
	// ui.items is 12
}

// table is a backend that keeps the flags in a map. The library never calls it twice at once.
type table map[string]json.RawMessage

func (t table) Get(key string) (json.RawMessage, error)      { return t[key], nil }
func (t table) Set(key string, value json.RawMessage) error  { t[key] = value; return nil }
func (t table) ListAll() (map[string]json.RawMessage, error) { return t, nil }
func (t table) Close() error                                 { return nil }
func (t table) Remove(key string) (existed bool, err error) {
	_, existed = t[key]
	delete(t, key)
	return existed, nil
}

func ExampleOpenBackend() {
	flags, err := flagstore.OpenBackend(table{"zoom": json.RawMessage("true")})
	if err != nil {
		log.Fatal(err)
	}
	defer flags.Close()
	flags.SetBool("dark", false)
	all, err := flags.ListAll()
	var keys []string
	for key := range all {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	fmt.Println(keys, err)
	// Output:
	// [dark zoom] <nil>
}

func ExampleOpenLayered() {
	overrides, defaults := open(), open()
	defaults.SetInt64("max-items", 10)
	defaults.SetBool("dark-mode", false)
	flags, err := flagstore.OpenLayered(0, overrides, defaults)
	if err != nil {
		log.Fatal(err)
	}
	defer flags.Close()
	overrides.Close() // the layers are held
	defaults.Close()
	flags.SetBool("dark-mode", true)
	dark, err := flags.GetBool("dark-mode", false)
	fmt.Println(dark, err)
	items, err := flags.GetInt64("max-items", 0)
	fmt.Println(items, err)
	// Output:
	// true <nil>
	// 10 <nil>
}

// It needs a server, and a library with the feature "redis".
func ExampleOpenRedisWith() {
	options := flagstore.RedisOptions{Hash: "shop", PasswordFile: "/run/secrets/redis"}
	options.ReadMode = flagstore.Watched
	options.FallbackPath = "/var/lib/shop/flags.json"
	flags, err := flagstore.OpenRedisWith("redis://redis.example.org", options)
	if errors.Is(err, flagstore.NotImplemented) {
		flags, err = flagstore.OpenFile(options.FallbackPath)
	}
	if err != nil {
		log.Fatal(err)
	}
	defer flags.Close()
	fmt.Println(flags.GetBool("dark-mode", false))
}
