package flagstore

// #include <stdlib.h>
// #include <flagstore.h>
import "C"

import (
	"context"
	"math"
	"time"
	"unsafe"
)

// WhenLost says what reads of a Watched store get while its backend is lost.
type WhenLost int32

const (
	LostServe WhenLost = C.FLAGSTORE_LOST_SERVE // the last good flags
	LostFail  WhenLost = C.FLAGSTORE_LOST_FAIL  // Unavailable
)

// RemoteOptions says how to open a store over a backend or on Redis; zero is the default in every field.
type RemoteOptions struct {
	ReadMode     ReadMode      // Fresh asks at every read, Checked whether the flags are still the same, Watched follows
	WhenLost     WhenLost      // of a Watched store
	ReadOnly     bool          // every change fails with ReadOnly
	Lazy         bool          // opening a Watched store does not wait for its flags
	OpenTimeout  time.Duration // how long it does wait; 0: 2 s
	CallTimeout  time.Duration // the deadline of a whole call; 0: 0.5 s
	MaxStale     time.Duration // LostServe becomes LostFail after so long; 0: never
	Verify       time.Duration // how often to look unasked; 0: 1 min where changes are announced (by a Waiter), else 5 s
	Spread       time.Duration // a re-read begins after a random part of this; 0: 0.1 s, negative: at once
	RetryMax     time.Duration // the longest delay between attempts to reach a lost backend; 0: 1 s
	MaxBytes     uint64        // a larger result fails with EFBIG; 0: 256 MiB
	FallbackPath string        // a file that keeps the last good flags, read if the backend is not reached at open
}

// OpenBackendWith opens a store over a backend as the options say. A call then keeps its deadline whatever the backend
// does: one that does not return in time is left to itself. It fails with Unavailable if the first flags of a Watched
// store do not come in time and there is no fallback file. After any failure the backend is closed, as soon as no call
// is inside of it.
func OpenBackendWith(backend Implementation, options RemoteOptions) (*Store, error) {
	var texts cTexts
	defer texts.free()
	given := options.c(&texts)
	defer C.free(unsafe.Pointer(given))
	if texts.err != nil {
		backend.Close()
		return nil, texts.err
	}
	return openBackend(backend, given)
}

// c is for C to point to: in its memory, to be freed, and its text is one of the texts.
func (o RemoteOptions) c(texts *cTexts) *C.flagstore_remote_options_t {
	given := (*C.flagstore_remote_options_t)(C.malloc(C.sizeof_flagstore_remote_options_t))
	*given = C.flagstore_remote_options_t{
		size:            C.sizeof_flagstore_remote_options_t,
		read_mode:       C.int32_t(o.ReadMode),
		when_lost:       C.int32_t(o.WhenLost),
		open_timeout_ms: limitedMilliseconds(o.OpenTimeout),
		call_timeout_ms: limitedMilliseconds(o.CallTimeout),
		max_stale_ms:    limitedMilliseconds(o.MaxStale),
		verify_ms:       limitedMilliseconds(o.Verify),
		spread_ms:       limitedMilliseconds(o.Spread),
		retry_max_ms:    limitedMilliseconds(o.RetryMax),
		max_bytes:       C.uint64_t(o.MaxBytes),
		fallback_path:   texts.add("FallbackPath", o.FallbackPath),
	}
	if o.ReadOnly {
		given.flags |= C.FLAGSTORE_OPEN_READ_ONLY
	}
	if o.Lazy {
		given.flags |= C.FLAGSTORE_OPEN_LAZY
	}
	return given
}

// limitedMilliseconds is -1 for what is negative, and the most that C takes for what is more.
func limitedMilliseconds(d time.Duration) C.int32_t {
	switch {
	case d < 0:
		return -1
	case d >= math.MaxInt32*time.Millisecond:
		return math.MaxInt32
	default:
		return milliseconds(d)
	}
}

// OpenLayered opens a store over stores. A read asks the first layer, and the next where a key is absent; a stored null
// is a value. Changes, and what a batch expects, are for layers[writeTo] alone. The store holds its layers: they may be
// closed.
func OpenLayered(writeTo int, layers ...*Store) (*Store, error) {
	if writeTo < 0 || writeTo >= len(layers) {
		return nil, newError(InvalidArgument, "writeTo is none of the layers", nil)
	}
	size := C.size_t(len(layers)) * C.size_t(unsafe.Sizeof((*C.flagstore_t)(nil)))
	handles := (**C.flagstore_t)(C.malloc(size))
	defer C.free(unsafe.Pointer(handles))
	all := unsafe.Slice(handles, len(layers))
	for i, layer := range layers {
		if !layer.enter() {
			return nil, ErrClosed
		}
		defer layer.leave()
		all[i] = layer.c()
	}
	var failed *C.flagstore_error_t
	store, err := adopt(C.flagstore_layered_open(handles, C.size_t(len(layers)), C.size_t(writeTo), &failed), failed)
	if err == nil {
		store.attempts = layers[writeTo].attempts
	}
	return store, err
}

type (
	State int32 // how old the flags are that a store serves
	Push  int32 // how a store hears of changes by others
)

const (
	Live         State = C.FLAGSTORE_STATE_LIVE     // what is served is what the store holds; so it is of memory and files
	Stale        State = C.FLAGSTORE_STATE_STALE    // the last good flags are served: the backend is not reached
	FromFallback State = C.FLAGSTORE_STATE_FALLBACK // those of the fallback file: it has not been reached yet
	Lost         State = C.FLAGSTORE_STATE_LOST     // there is nothing to serve, or what was stored has vanished

	PushNone      Push = C.FLAGSTORE_PUSH_NONE      // by looking
	PushAnnounced Push = C.FLAGSTORE_PUSH_ANNOUNCED // they are announced
	PushTracked   Push = C.FLAGSTORE_PUSH_TRACKED   // the server tracks what was read
)

// Status is the state of a store at one moment.
type Status struct {
	State      State
	Push       Push
	Age        time.Duration // since what is served was last known to be what the store holds; 0: it always is
	Revision   uint64
	Reconnects uint64 // how often the backend was reached again
	Refreshes  uint64 // how often the flags were read again because of a change
}

// Status tells how old the flags are that reads get. It asks nobody.
func (s *Store) Status() (Status, error) {
	if !s.enter() {
		return Status{}, ErrClosed
	}
	defer s.leave()
	found := C.flagstore_status_t{size: C.sizeof_flagstore_status_t}
	var failed *C.flagstore_error_t
	if !C.flagstore_status(s.c(), &found, &failed) {
		return Status{}, failure(failed)
	}
	return Status{
		State:      State(found.state),
		Push:       Push(found.push),
		Age:        time.Duration(found.age_ms) * time.Millisecond,
		Revision:   uint64(found.revision),
		Reconnects: uint64(found.reconnects),
		Refreshes:  uint64(found.refreshes),
	}, nil
}

// Sync returns once reads see everything that was finished, by anybody, before the call. It fails with Unavailable if
// the backend is not reached, or with the error of the context; a question that is under way then goes on unheard.
func (s *Store) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.enter() {
		return ErrClosed
	}
	limit := C.int32_t(-1)
	if end, ok := ctx.Deadline(); ok {
		limit = limitedMilliseconds(time.Until(end))
		if limit < 1 {
			limit = 1
		}
	}
	ended := make(chan error, 1)
	go func() {
		defer s.leave()
		var failed *C.flagstore_error_t
		C.flagstore_sync(s.c(), limit, &failed)
		ended <- failure(failed)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
