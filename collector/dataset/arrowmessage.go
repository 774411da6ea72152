package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// maxArrow bounds one buffer of an Arrow file, and with twice what the file has, all that are held at a time. It is a
// variable for the fuzz target, whose processes share a machine.
var maxArrow int64 = 4 << 30

// boundedMemory allocates what one record batch may take and no more: a damaged file names any size, and as many columns
// as it likes lie in the same bytes of it.
type boundedMemory struct {
	memory.Allocator
	held *atomic.Int64 // bytes allocated and not freed
	has  func() int64  // bytes of the file, as far as they are known
}

func newBoundedMemory(has func() int64) boundedMemory {
	return boundedMemory{memory.NewGoAllocator(), new(atomic.Int64), has}
}

func (m boundedMemory) Allocate(size int) []byte {
	m.take(size, size)
	return m.Allocator.Allocate(size)
}

func (m boundedMemory) Reallocate(size int, b []byte) []byte {
	m.take(size, size-len(b))
	return m.Allocator.Reallocate(size, b)
}

// Free gives back what Allocate or Reallocate returned.
func (m boundedMemory) Free(b []byte) {
	m.held.Add(-int64(len(b)))
	m.Allocator.Free(b)
}

// take counts more bytes; a buffer of so many is refused with a panic, which rescueArrow makes an error.
func (m boundedMemory) take(size, more int) {
	if held := m.held.Add(int64(more)); int64(size) > maxArrow || held > maxArrow+2*m.has() {
		panic(fmt.Sprintf("a buffer of %d bytes", size))
	}
}

// arrowMessages reads the messages of a stream. The library's own reader allocates what a message says it has; here
// what is there decides.
type arrowMessages struct {
	in    io.Reader
	read  atomic.Int64 // bytes
	begun bool         // the first message, which has the schema, was read
}

// Message reads the next message; io.EOF at the end.
func (r *arrowMessages) Message() (*ipc.Message, error) {
	size, err := r.length()
	if err != nil {
		return nil, err
	}
	if size > maxArrowSchema {
		return nil, fmt.Errorf("metadata of %d bytes", size)
	}
	metadata, err := r.bytes(int64(size))
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if !r.begun {
		r.begun = true
		if err := checkSchema(metadata, messageHeader); err != nil {
			return nil, err
		}
	}
	message := flatbuffers.Table{Bytes: metadata, Pos: flatbuffers.GetUOffsetT(metadata)}
	length := message.GetInt64Slot(messageBody, 0)
	if length < 0 || length > maxArrow {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	body, err := r.bytes(length)
	if err != nil {
		return nil, fmt.Errorf("a message: %w", err)
	}
	return ipc.NewMessage(memory.NewBufferBytes(metadata), memory.NewBufferBytes(body)), nil
}

// length is that of the next message's metadata; io.EOF where the stream ends, with a mark or without.
func (r *arrowMessages) length() (uint32, error) {
	word := func() (uint32, error) {
		var b [4]byte
		n, err := io.ReadFull(r.in, b[:])
		r.read.Add(int64(n))
		return binary.LittleEndian.Uint32(b[:]), err
	}
	size, err := word()
	if err == nil && size == arrowContinues {
		if size, err = word(); errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}
	if err == nil && size == 0 {
		err = io.EOF
	}
	return size, err
}

// atOnce is how much is allocated for bytes that a message says it has, before they are there.
const atOnce = 16 << 20

// bytes reads n bytes.
func (r *arrowMessages) bytes(n int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(n, atOnce)))
	got, err := io.CopyN(&b, r.in, n)
	r.read.Add(got)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b.Bytes(), err
}

// Retain and Release are for readers that share their memory.
func (r *arrowMessages) Retain()  {}
func (r *arrowMessages) Release() {}
