package torch

/*
#cgo noescape af_enter
#cgo nocallback af_enter
#cgo noescape af_grad
#cgo nocallback af_grad
#cgo noescape af_free
#cgo nocallback af_free
#cgo noescape af_last_error
#cgo nocallback af_last_error
#include "shim/shim.h"
*/
import "C"

import (
	"runtime"
	"sync/atomic"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

var (
	scopes atomic.Uint64 // number of scopes so far; a scope's number marks the tensors it owns
	live   atomic.Int64
)

// Live is the number of tensors that exist now, in scopes and kept ones. Tests use it to find leaks.
func Live() int64 { return live.Load() }

// Scope owns tensors: it frees what was made through it when it ends. It belongs to the goroutine that runs
// the function it was handed to.
type Scope struct {
	id    uint64
	owned []*Tensor
	pins  runtime.Pinner // Go memory that tensors of the scope look at (Wrap)
	grad  bool
}

// Do runs f with a new scope, autograd off. It holds the OS thread meanwhile. It returns what f returns, or the
// *[Error] of the operator that failed, or why libtorch could not be opened. Calls may be nested.
func Do(f func(s *Scope) error) error { return do(false, f) }

// DoGrad is [Do] with autograd on: operators on what depends on a [Scope.Param] are recorded for [Scope.Backward].
func DoGrad(f func(s *Scope) error) error { return do(true, f) }

func do(grad bool, f func(s *Scope) error) (err error) {
	if err := load(); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was := C.af_enter(flag(grad), C.int(threads.Load()))
	defer C.af_grad(was)
	s := newScope(grad)
	defer s.end()
	defer recoverError(&err)
	return f(s)
}

func recoverError(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}

func flag(on bool) C.int {
	if on {
		return 1
	}
	return 0
}

func newScope(grad bool) *Scope { return &Scope{id: scopes.Add(1), grad: grad} }

// Sub runs f with an inner scope: what f makes is freed when it returns, but for its result, which s owns from
// then on.
func (s *Scope) Sub(f func(s *Scope) *Tensor) *Tensor {
	inner := newScope(s.grad)
	defer inner.end()
	t := f(inner)
	s.adopt(inner, t)
	return t
}

// Give hands tensors of s to the scope outer, for an inner scope with several results.
func (s *Scope) Give(outer *Scope, ts ...*Tensor) {
	for _, t := range ts {
		outer.adopt(s, t)
	}
}

func (s *Scope) adopt(from *Scope, t *Tensor) {
	if t != nil && t.owner == from.id {
		t.owner = s.id
		s.owned = append(s.owned, t)
	}
}

// Keep takes t out of its scope and returns it: it lives until [Tensor.Free].
func (s *Scope) Keep(t *Tensor) *Tensor {
	t.owner = 0
	return t
}

// NoGrad runs f with autograd off, for example for an optimizer's step inside [DoGrad].
func (s *Scope) NoGrad(f func()) {
	C.af_grad(0)
	defer C.af_grad(flag(s.grad))
	was := s.grad
	s.grad = false
	defer func() { s.grad = was }()
	f()
}

func (s *Scope) end() {
	cs := make([]unsafe.Pointer, 0, len(s.owned))
	for _, t := range s.owned {
		if t.owner == s.id && t.c != nil {
			cs = append(cs, unsafe.Pointer(t.c))
			t.c = nil
		}
	}
	freeAll(cs)
	s.owned = nil
	s.pins.Unpin()
}

func freeAll(cs []unsafe.Pointer) {
	if len(cs) > 0 {
		C.af_free(&cs[0], C.int(len(cs)))
		live.Add(-int64(len(cs)))
	}
}

// own makes s the owner of a tensor that libtorch has just made. A nil one means that op failed.
func (s *Scope) own(op string, t *Tensor) *Tensor {
	if t.c == nil {
		checkLast(op)
		fail(op, "no result")
	}
	t.owner = s.id
	s.owned = append(s.owned, t)
	live.Add(1)
	return t
}

// The helpers below call an operator of gotch with the tensors it takes.

func (s *Scope) unary(op string, f func(*lib.Ctensor, lib.Ctensor), x *Tensor) *Tensor {
	t := new(Tensor)
	f(&t.c, x.in(op))
	return s.own(op, t)
}

func (s *Scope) binary(op string, f func(*lib.Ctensor, lib.Ctensor, lib.Ctensor), a, b *Tensor) *Tensor {
	t := new(Tensor)
	f(&t.c, a.in(op), b.in(op))
	return s.own(op, t)
}

// made owns the result of an operator of the shim.
func (s *Scope) made(op string, t *Tensor, msg *C.char) *Tensor {
	check(op, msg)
	return s.own(op, t)
}
