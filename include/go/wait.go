package flagstore

// #include <flagstore.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// slice is how long the library is left to wait: C knows of no context, and nothing of a Close.
const slice = 200 * time.Millisecond

// change makes a change, again while another process has the lock of the file.
func (s *Store) change(ctx context.Context, attempt func() error) error {
	return patiently(ctx, s.attempts, func() error {
		if !s.enter() {
			return ErrClosed
		}
		defer s.leave()
		return attempt()
	})
}

// patiently repeats what fails with Locked, which changes nothing: so many times, or until the context is done. Without
// attempts the code is that of a backend, which has done its own waiting.
func patiently(ctx context.Context, attempts int, attempt func() error) error {
	if ctx == nil {
		ctx = context.Background()
	} else if err := ctx.Err(); err != nil {
		return err
	} else if attempts > 0 {
		attempts = math.MaxInt
	}
	for tried := 1; ; tried++ {
		err := attempt()
		var locked *Error
		if err == nil || attempts == 0 || !errors.As(err, &locked) || locked.Code != Locked {
			return err
		}
		if locked.cause = ctx.Err(); locked.cause != nil {
			locked.Message += fmt.Sprintf(", and again: %v", locked.cause)
			return locked
		}
		if tried >= attempts {
			if attempts > 1 {
				locked.Message += fmt.Sprintf(", %d times in a row", attempts)
			}
			return locked
		}
	}
}

// Revision is never 0, and differs from an earlier answer whenever the content may have changed since.
func (s *Store) Revision() (uint64, error) {
	if !s.enter() {
		return 0, ErrClosed
	}
	defer s.leave()
	var failed *C.flagstore_error_t
	revision := C.flagstore_revision(s.c(), &failed)
	return uint64(revision), failure(failed)
}

// Wait blocks until the revision differs from the given one and returns it; with an error, that of the context or
// another, it returns the given one. Each call that waits keeps a thread of the system.
func (s *Store) Wait(ctx context.Context, revision uint64) (uint64, error) {
	for {
		if err := ctx.Err(); err != nil {
			return revision, err
		}
		limit := slice
		if end, ok := ctx.Deadline(); ok && time.Until(end) < limit {
			limit = time.Until(end)
		}
		now, err := s.waitFor(revision, limit)
		if err != nil || now != revision {
			return now, err
		}
	}
}

func (s *Store) waitFor(revision uint64, limit time.Duration) (uint64, error) {
	if limit < time.Millisecond {
		limit = time.Millisecond
	}
	if !s.enter() {
		return revision, ErrClosed
	}
	defer s.leave()
	now := C.uint64_t(revision)
	var failed *C.flagstore_error_t
	C.flagstore_wait(s.c(), &now, milliseconds(limit), &failed)
	return uint64(now), failure(failed)
}
