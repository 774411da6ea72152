package torch

/*
#include <stdlib.h>
#include "shim/shim.h"
*/
import "C"

import (
	"errors"
	"strings"
	"unsafe"
)

// Error is a failure of libtorch, or a misuse of this package, in operator Op. [Do] returns it.
type Error struct {
	Op  string // the method's name, for example "MatMul"
	Msg string // one line
}

// Error says what failed and why.
func (e *Error) Error() string { return "torch: " + e.Op + ": " + e.Msg }

// OutOfMemory reports whether err is libtorch's not finding the memory for a tensor on a GPU.
func OutOfMemory(err error) bool {
	var e *Error
	return errors.As(err, &e) && strings.Contains(e.Msg, "CUDA out of memory")
}

// fail panics with an *Error, which Do recovers.
func fail(op, msg string) {
	panic(&Error{Op: op, Msg: oneLine(msg)})
}

// check fails with a message of the shim, which it frees; nil means that all went well.
func check(op string, msg *C.char) {
	if msg != nil {
		fail(op, take(msg))
	}
}

// checkLast fails with gotch's last error of this OS thread, if there is one.
func checkLast(op string) {
	if msg := C.af_last_error(); msg != nil {
		fail(op, take(msg))
	}
}

func take(msg *C.char) string {
	defer C.free(unsafe.Pointer(msg))
	return C.GoString(msg)
}

// oneLine drops the C++ stack that libtorch appends to its messages.
func oneLine(msg string) string {
	msg, _, _ = strings.Cut(msg, "\nException raised from")
	return strings.Join(strings.Fields(msg), " ")
}
