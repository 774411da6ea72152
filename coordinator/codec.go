package coordinator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// ErrDecode means that bytes are not an encoded State.
var ErrDecode = errors.New("coordinator: not a fleet state")

// The encoding. Integers are unsigned varints unless said; a string is its length
// and its bytes; a time is a signed varint of Unix nanoseconds, 0 for the zero time.
//
//	"AFS1" | plan string | units | done | number of nodes | node …
//	done   0 | n | first unit | gap … (gap = distance to the unit before, >= 1)
//	       1 | bitmap of ceil(units/8) bytes, speculative bits zero
//	node   id string | host string | started time | seq | beat time | speed float64 LE
//	       | unit time (ns) | done | lost | speculative | flags (1 waiting, 2 left, 4 paused, 8 percents) | n | claim …
//	claim  unit | attempt | started time, and with flag 8 percent
//
// Nodes stand in ascending order of id. A delta is the same thing with few units
// and nodes, so that one decoder serves both. These values are part of the wire
// format and must not change within "AFS1".
const (
	magic       = "AFS1"
	doneList    = 0
	doneBitmap  = 1
	flagWaiting = 1
	flagLeft    = 2
	flagPaused  = 4
	flagPercent = 8 // one claim at least has come some way
)

// Encode returns the state as bytes.
func (s *State) Encode() []byte {
	b := appendHead(nil, s.plan, s.units)
	b = s.appendDone(b)
	b = binary.AppendUvarint(b, uint64(len(s.nodes)))
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		b = appendNode(b, s.nodes[id])
	}
	return b
}

// EncodeDelta returns a delta of a plan's state as bytes that DecodeState reads.
func EncodeDelta(plan string, units int, d Delta) []byte {
	s := NewState(plan, 0)
	s.units = units
	b := appendHead(nil, plan, units)
	b = appendUnits(b, d.Done, units)
	s.Apply(Delta{Nodes: d.Nodes})
	b = binary.AppendUvarint(b, uint64(len(s.nodes)))
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		b = appendNode(b, s.nodes[id])
	}
	return b
}

func appendHead(b []byte, plan string, units int) []byte {
	b = append(b, magic...)
	b = appendString(b, plan)
	return binary.AppendUvarint(b, uint64(units))
}

// appendDone writes the done set in the shorter of the two forms.
func (s *State) appendDone(b []byte) []byte {
	if s.done.count() > len(s.done)/2 {
		b = append(b, doneBitmap)
		return append(b, s.done...)
	}
	var list []int
	for u := range s.units {
		if s.done.has(u) {
			list = append(list, u)
		}
	}
	return appendUnits(b, list, s.units)
}

// appendUnits writes units as a list, leaving out what is out of range.
func appendUnits(b []byte, units []int, n int) []byte {
	list := slices.Clone(units)
	slices.Sort(list)
	list = slices.Compact(list)
	list = slices.DeleteFunc(list, func(u int) bool { return u < 0 || u >= n })
	b = append(b, doneList)
	b = binary.AppendUvarint(b, uint64(len(list)))
	last := 0
	for _, u := range list {
		b = binary.AppendUvarint(b, uint64(u-last))
		last = u
	}
	return b
}

func appendNode(b []byte, n *NodeState) []byte {
	b = appendString(b, string(n.Node))
	b = appendString(b, n.Host)
	b = appendTime(b, n.Started)
	b = binary.AppendUvarint(b, n.Seq)
	b = appendTime(b, n.Beat)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(n.Speed))
	for _, v := range []int{int(n.UnitTime), n.Done, n.Lost, n.Speculative} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	flags := n.flags()
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(len(n.Claims)))
	for _, c := range n.Claims {
		b = binary.AppendUvarint(b, uint64(c.Unit))
		b = binary.AppendUvarint(b, uint64(c.Attempt))
		b = appendTime(b, c.Started)
		if flags&flagPercent != 0 {
			b = binary.AppendUvarint(b, uint64(c.Percent))
		}
	}
	return b
}

func (n *NodeState) flags() (flags byte) {
	if n.Waiting {
		flags |= flagWaiting
	}
	if n.Left {
		flags |= flagLeft
	}
	if n.Paused {
		flags |= flagPaused
	}
	if slices.ContainsFunc(n.Claims, func(c Claim) bool { return c.Percent > 0 }) {
		flags |= flagPercent
	}
	return flags
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixNano())
}

// DecodeState reads what Encode or EncodeDelta wrote. The bytes may be hostile:
// what is allocated is bounded by maxWireUnits, MaxNodes and the length of b, and
// every fault is an ErrDecode that says where.
func DecodeState(b []byte) (*State, error) {
	r := &reader{b: b}
	s := r.state()
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: byte %d: %w", ErrDecode, len(b)-len(r.b), r.err)
	}
	return s, nil
}
