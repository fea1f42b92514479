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
	calls   atomic.Int64 // that are under way; about closed once it is closed, about freed once it is freed
}

// Far below zero, and far from each other: calls that come too late count for a moment too.
const (
	closed = math.MinInt64 / 4
	freed  = 2 * closed
)

// enter begins a call, unless the object is closed. It and leave are small enough to be inlined.
func (o *object) enter() bool { return o.calls.Add(1) > 0 || o.refuse() }

func (o *object) refuse() bool {
	o.leave()
	return false
}

// leave ends a call. Being called, it also keeps the garbage collector off the object until then.
func (o *object) leave() {
	if o.calls.Add(-1) == closed {
		o.free()
	}
}

// free is called by whoever finds the object closed and nobody inside; of several, one frees it.
func (o *object) free() {
	if o.calls.CompareAndSwap(closed, freed) {
		C.flagstore_free(o.pointer)
	}
}

// close lets no more calls in.
func (o *object) close() {
	for calls := o.calls.Load(); calls >= 0; calls = o.calls.Load() {
		if o.calls.CompareAndSwap(calls, calls+closed) {
			if calls == 0 {
				o.free()
			}
			return
		}
	}
}
