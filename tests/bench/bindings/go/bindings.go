// Row 14 in Go: GetBool of the package, and the same call made bare. Prints the ns of both for each round.
// Usage: bindings FILE ROUNDS NANOSECONDS
package main

/*
#include <flagstore.h>

static flagstore_t *bare_open(_GoString_ path) {
	flagstore_file_options_t options = {.size = sizeof options, .read_mode = FLAGSTORE_READ_WATCHED};
	char name[4096] = {0};
	for (size_t i = 0; i < _GoStringLen(path) && i + 1 < sizeof name; i++) name[i] = _GoStringPtr(path)[i];
	return flagstore_file_open_with(name, &options, NULL);
}

static bool bare_get_bool(const void *store, _GoString_ key) {
	return flagstore_get_bool_n(store, _GoStringPtr(key), _GoStringLen(key), false, NULL);
}
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"os"
	"strconv"
	"time"
	"unsafe"

	"flagstore"
)

const warmUp = 100 * time.Millisecond // a file that has just been written is cached a little later

func fastest(run func(), calls int, atLeast time.Duration) float64 {
	var best time.Duration
	for end := time.Now().Add(atLeast); ; {
		start := time.Now()
		run()
		took := time.Since(start)
		if best == 0 || took < best {
			best = took
		}
		if time.Now().After(end) {
			return float64(best) / float64(calls)
		}
	}
}

func keysOf(path string) (keys []string) {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var flags map[string]any
	if err := json.Unmarshal(text, &flags); err != nil {
		log.Fatal(err)
	}
	for key, value := range flags {
		if _, isBool := value.(bool); isBool {
			keys = append(keys, key)
		}
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}

func main() {
	path := os.Args[1]
	rounds, _ := strconv.Atoi(os.Args[2])
	nanoseconds, _ := strconv.Atoi(os.Args[3])
	keys := keysOf(path)
	store, err := flagstore.OpenFileWith(path, flagstore.FileOptions{ReadMode: flagstore.Watched})
	if err != nil {
		log.Fatal(err)
	}
	bare := unsafe.Pointer(C.bare_open(path))
	runs := []func(){
		func() {
			for _, key := range keys {
				store.GetBool(key, false)
			}
		},
		func() {
			for _, key := range keys {
				C.bare_get_bool(bare, key)
			}
		},
	}
	for _, run := range runs {
		fastest(run, len(keys), warmUp)
	}
	for ; rounds > 0; rounds-- {
		for _, run := range runs {
			fmt.Printf("%.2f ", fastest(run, len(keys), time.Duration(nanoseconds)))
		}
		fmt.Println()
	}
}
