package mapped

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// ErrLost says that bytes of a mapped file are no longer there.
var ErrLost = errors.New("it was cut short, or its disk failed, while it was read")

// Guard makes a function return ErrLost, with the name of the file, where it touches mapped bytes that are no longer
// there:
//
//	func (r *Reader) sum() (n int, err error) {
//		defer mapped.Guard(&err)()
//		…
//
// It holds for the goroutine it is called in, until the function returns, and costs less than a microsecond. What the
// function itself opens must not be closed by its own defers, or the name is gone: guard what is called between opening
// and closing. Any other panic passes.
func Guard(err *error) (release func()) {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			*err = lost(r)
		}
	}
}

// Touch reads a byte of every page of data, in order, under a Guard: what is then handed to C, to the system or to a
// library is there, and is read from the disk in one sweep.
func Touch(data []byte) (err error) {
	defer Guard(&err)()
	var sum byte
	for i := 0; i < len(data); i += pageSize {
		sum += data[i]
	}
	touched.Store(int32(sum))
	return nil
}

const pageSize = 4 << 10

// touched keeps the compiler from leaving the reads out.
var touched atomic.Int32

// lost is the error of a fault in a map; it panics again with anything else.
func lost(r any) error {
	fault, ok := r.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !ok {
		panic(r)
	}
	path, ok := fileAt(fault.Addr())
	if !ok {
		panic(r)
	}
	return fmt.Errorf("%s: %w", path, ErrLost)
}
