// One process of rows 9 and 20 in Go; what it does is said in worker.c.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"flagstore"
)

const ownKeys = 3

func die(words ...any) {
	fmt.Fprintln(os.Stderr, append([]any{"VIOLATION in Go process", os.Getpid()}, words...)...)
	os.Exit(1)
}

func must(what string, err error) {
	if err != nil {
		die(what, err)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	must(text, err)
	return n
}

func open(path, durability string) *flagstore.Store {
	options := flagstore.FileOptions{ReadMode: flagstore.ReadMode(number(os.Getenv("READ_MODE"))),
		Durability: flagstore.Durability(number(durability)), LockTimeout: time.Minute}
	store, err := flagstore.OpenFileWith(path, options)
	must(path, err)
	return store
}

func count(store *flagstore.Store, name string, thread, turns int) {
	for turn := 1; turn <= turns; turn++ {
		key, last := fmt.Sprintf("%s.%d.%d", name, thread, turn%ownKeys), 0
		if turn > ownKeys {
			last = turn - ownKeys
		}
		found, err := store.GetInt64(key, 0)
		must(key, err)
		if int(found) != last {
			die("lost update:", key, "is", found, "was set to", last)
		}
		must(key, store.SetInt64(key, int64(turn)))
	}
}

var counters = []string{"c", "go", "python", "ruby"}

// next reads everything; it must be a whole document, in which no counter has gone back since last but by an edit.
func next(store *flagstore.Store, last map[string]int64) map[string]int64 {
	flags, err := store.ListAll()
	must("list_all", err)
	now := map[string]int64{}
	for _, key := range append(counters, "edition") {
		must(fmt.Sprintf("%s of %s", key, flags), json.Unmarshal(flags[key], new(int64)))
		n, _ := strconv.ParseInt(string(flags[key]), 10, 64)
		now[key] = n
	}
	payload := strings.Repeat(fmt.Sprint(now["edition"], "."), int(now["edition"]%50)+1)
	if len(flags) != 6 || string(flags["payload"]) != `"`+payload+`"` {
		die("not a whole document:", fmt.Sprintf("%s", flags))
	}
	for _, key := range counters {
		if last != nil && last["edition"] == now["edition"] && now[key] < last[key] {
			die("counter", key, "went back:", last, "to", now)
		}
	}
	return now
}

// setIn sets only in the edition that was read, as worker.c has it.
func setIn(store *flagstore.Store, edition int64, name string, value int64) error {
	batch := flagstore.NewBatch()
	defer batch.Close()
	must("expect", batch.Expect("edition", []byte(fmt.Sprint(edition))))
	must("set", batch.Set(name, []byte(fmt.Sprint(value))))
	return store.Commit(batch)
}

func soak(path, name, durability string) {
	go func() {
		store := open(path, durability)
		for last := next(store, nil); ; {
			last = next(store, last)
		}
	}()
	store := open(path, durability)
	for last := next(store, nil); ; last = next(store, last) {
		if err := setIn(store, last["edition"], name, last[name]+1); err == nil {
			last[name]++
			os.Stdout.WriteString(".")
		} else if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, flagstore.Conflict) {
			die("commit", err)
		}
	}
}

func main() {
	switch role, a := os.Args[1], os.Args[2:]; role {
	case "count":
		store := open(a[0], a[4])
		var all sync.WaitGroup
		for thread := 0; thread < number(a[2]); thread++ {
			all.Add(1)
			go func(thread int) {
				defer all.Done()
				count(store, a[1], thread, number(a[3]))
			}(thread)
		}
		all.Wait()
	case "soak":
		soak(a[0], a[1], a[2])
	}
}
