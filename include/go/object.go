package flagstore

// #include <flagstore.h>
import "C"

import (
	"math"
	"sync/atomic"
	"unsafe"
)

// object is something of the library's, which is freed when it is closed and no call is inside of it any more.
// A lock would do the same, but let a Close that waits for one long call keep out all others.
type object struct {
	pointer unsafe.Pointer
	calls   atomic.Int64 // that are under way; far below zero once it is closed
}

const closed = math.MinInt64 / 2

// enter begins a call, unless the object is closed.
func (o *object) enter() bool {
	for {
		calls := o.calls.Load()
		if calls < 0 {
			return false
		}
		if o.calls.CompareAndSwap(calls, calls+1) {
			return true
		}
	}
}

// leave ends a call. Being called, it also keeps the garbage collector off the object until then.
func (o *object) leave() {
	if o.calls.Add(-1) == closed {
		C.flagstore_free(o.pointer)
	}
}

// close lets no more calls in.
func (o *object) close() {
	if o.enter() {
		for {
			calls := o.calls.Load()
			if calls < 0 || o.calls.CompareAndSwap(calls, calls+closed) {
				break
			}
		}
		o.leave()
	}
}
