package coordinator

import (
	"encoding/binary"
	"math/bits"
)

// bitmap is a set of units; bit u of byte u/8 is unit u.
type bitmap []byte

func newBitmap(n int) bitmap { return make(bitmap, (n+7)/8) }

func (b bitmap) has(i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }

// set adds i and reports whether it was new.
func (b bitmap) set(i int) bool {
	if b.has(i) {
		return false
	}
	b[i>>3] |= 1 << (i & 7)
	return true
}

func (b bitmap) count() int {
	n := 0
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// union adds all of o and reports whether anything was new.
func (b bitmap) union(o bitmap) bool {
	changed := false
	for ; len(o) >= 8; b, o = b[8:], o[8:] {
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(o)
		if y&^x != 0 {
			binary.LittleEndian.PutUint64(b, x|y)
			changed = true
		}
	}
	for i, x := range o {
		if x&^b[i] != 0 {
			b[i] |= x
			changed = true
		}
	}
	return changed
}
