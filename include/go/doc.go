// Package flagstore reads and writes feature flags: keys to JSON values, in memory, in one JSON file that people can
// read, in Redis, or in a backend of your own.
//
//	flags, err := flagstore.OpenFile("flags.json")
//	if err != nil { ... }
//	defer flags.Close()
//	if on, _ := flags.GetBool("dark-mode", false); on { ... }
//
// # Goroutines
//
// Any number of goroutines may use a store at once, and any number of processes a file. Close may be called at any
// time: it stops nobody who is inside a call. Later calls fail with ErrClosed at once, and what the store holds is
// released by the last call to return.
//
// # Errors
//
// Every failing call returns an *Error. Its Code is an error too, for errors.Is; behind IO stands the errno, so that
// errors.Is(err, fs.ErrNotExist) works:
//
//	if errors.Is(err, flagstore.Locked) { ... }
//
// # Contexts
//
// A call that may have to wait takes a context in its form with one: Wait, Sync, SetContext, DeleteContext,
// CommitContext and OpenFileContext. It notices within a fifth of a second that the context is done. A change that ended
// so was not made.
//
// # Backends and layers
//
// OpenBackend makes a store of an Implementation, flags that live anywhere. With OpenBackendWith its calls have a
// deadline, and a Watched store keeps the flags in memory: Status says how old they are. OpenLayered puts one store over
// another. OpenRedis keeps the flags of many machines in one Redis, if the library was built with it.
//
// # Building
//
// The package needs cgo, a C compiler, flagstore.h and libflagstore.so. Three ways lead to the library:
//
//   - It is installed where the C compiler looks: nothing is to be done.
//   - CGO_CFLAGS=-I... and CGO_LDFLAGS="-L... -Wl,-rpath,..." say where it is.
//   - go build -tags flagstore_pkgconfig asks pkg-config, with PKG_CONFIG_PATH if need be. Go's cache does not notice
//     when its answer changes: then build once with -a.
package flagstore
