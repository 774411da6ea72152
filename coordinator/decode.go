package coordinator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// reader takes fields off b; after the first error every field reads as zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) state() *State {
	if string(r.take(len(magic))) != magic {
		r.fail("no %q at the start", magic)
		return nil
	}
	plan := r.str()
	units := r.int(maxWireUnits)
	if r.err != nil {
		return nil
	}
	s := NewState(plan, units)
	r.done(s)
	for range r.int(MaxNodes) {
		n := r.node(units)
		if r.err != nil {
			return nil
		}
		s.nodes[n.Node] = &n
	}
	return s
}

func (r *reader) done(s *State) {
	switch kind := r.byte(); kind {
	case doneBitmap:
		r.doneBitmap(s)
	case doneList:
		r.doneList(s)
	default:
		r.fail("done set of kind %d", kind)
	}
}

func (r *reader) doneBitmap(s *State) {
	bits := r.take(len(s.done))
	if r.err != nil {
		return
	}
	s.done = slices.Clone(bits)
	if tail := s.units % 8; tail != 0 && s.done[len(s.done)-1]>>tail != 0 {
		r.fail("done units beyond %d", s.units)
	}
}

func (r *reader) doneList(s *State) {
	at := 0
	for i := range r.int(s.units) {
		gap := r.int(s.units)
		at += gap
		if r.err != nil {
			return
		}
		if at >= s.units || i > 0 && gap == 0 {
			r.fail("done units out of order or beyond %d", s.units)
			return
		}
		s.done.set(at)
	}
}

func (r *reader) node(units int) NodeState {
	n := NodeState{Node: NodeID(r.str()), Host: r.str(), Started: r.time(), Seq: r.uvarint(), Beat: r.time(), Speed: r.speed()}
	if n.Node == "" {
		r.fail("a node without an id")
	}
	n.UnitTime = time.Duration(r.int(int(maxTime)))
	n.Done, n.Lost, n.Speculative = r.int(math.MaxInt32), r.int(math.MaxInt32), r.int(math.MaxInt32)
	flags := r.byte()
	if flags&^(flagWaiting|flagLeft|flagPaused|flagPercent) != 0 {
		r.fail("unknown node flags %#x", flags)
	}
	n.Waiting, n.Left, n.Paused = flags&flagWaiting != 0, flags&flagLeft != 0, flags&flagPaused != 0
	for range r.int(MaxClaims) {
		c := Claim{Unit: r.int(units - 1), Attempt: r.int(maxAttempt), Started: r.time()}
		if flags&flagPercent != 0 {
			c.Percent = r.int(100)
		}
		if r.err != nil {
			break
		}
		n.Claims = append(n.Claims, c)
	}
	return n
}

var errShort = errors.New("ends early")

func (r *reader) take(n int) []byte {
	if r.err == nil && len(r.b) < n {
		r.err = errShort
	}
	if r.err != nil {
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err = errShort
		return 0
	}
	r.b = r.b[n:]
	return v
}

// int reads an integer in [0, max].
func (r *reader) int(max int) int {
	v := r.uvarint()
	if r.err == nil && (max < 0 || v > uint64(max)) {
		r.fail("%d where at most %d is allowed", v, max)
	}
	if r.err != nil {
		return 0
	}
	return int(v)
}

// str reads a name.
func (r *reader) str() string {
	s := string(r.take(r.int(MaxNameLen)))
	if !ValidName(s) {
		r.fail("a name that cannot be printed")
		return ""
	}
	return s
}

func (r *reader) time() time.Time {
	if r.err != nil {
		return time.Time{}
	}
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.err = errShort
		return time.Time{}
	}
	r.b = r.b[n:]
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(0, v)
}

// maxSpeed bounds a speed, in units per second, so that the speeds of all nodes have a finite sum. Real ones are less: a
// node works on MaxClaims units at a time, and each takes a nanosecond or more.
const maxSpeed = 1e12

// speed reads one that is not negative.
func (r *reader) speed() float64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(b))
	if !(v >= 0 && v <= maxSpeed) || math.Signbit(v) {
		r.fail("speed %v", v)
		return 0
	}
	return v
}
