package stream

import (
	"context"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"actfleet/internal/mapped"
	"actfleet/shard"
	"actfleet/shard/run"
)

// Key says where a row comes from.
type Key struct {
	Run    int32 // index of the Source
	Unit   int32 // unit of its plan
	Prompt int64 // row of the data set
	Pos    int32 // token position
}

// shuffleWindow is the row groups mixed together, with its kept rows in their final order.
type shuffleWindow struct {
	epoch, index int
	span, before int               // its span, and the windows of the epoch before that
	unread       map[int]run.Tally // rows of a ring's units that are not kept
	slots        []slot
	refs         []ref
	leftOut
}

// leftOut counts rows that are not handed out as they are.
type leftOut struct {
	dropped  int // because a value is not finite
	overNorm int // because they are longer than MaxNorm says
	sinks    int // because they are sinks, or would be if these were not clipped or kept
}

func (l *leftOut) add(b leftOut) {
	l.dropped, l.overNorm, l.sinks = l.dropped+b.dropped, l.overNorm+b.overNorm, l.sinks+b.sinks
}

// slot is one group of a window.
type slot struct {
	part *part
	raw  [][]byte // each column, row after row; views of the shard or of buf
	buf  [][]byte // kept from window to window
	rows []int64
	pos  []int32

	kept   []int32   // rows that are handed out
	sink   []bool    // of every row that was judged
	unread run.Tally // of a ring, the rows that are not kept
	leftOut
}

// ref names a row of a window.
type ref struct{ slot, row int32 }

// loaders bounds the groups of a window that are read at once: enough for a disk's
// queue and for a bucket's latency.
const loaders = 8

// load reads the groups into w and permutes their kept rows.
func (w *shuffleWindow) load(ctx context.Context, groups []group, which []int, cfg Config, epoch, index int) error {
	w.epoch, w.index, w.refs, w.leftOut = epoch, index, w.refs[:0], leftOut{}
	for len(w.slots) < len(which) {
		w.slots = append(w.slots, slot{})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(loaders)
	for i, at := range which {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := w.slots[i].load(groups[at], cfg); err != nil {
				return fmt.Errorf("unit %d row group %d: %w", groups[at].part.number, groups[at].index, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	w.unread = nil
	for i, at := range which {
		s := &w.slots[i]
		if cfg.once {
			w.unread = merge(w.unread, map[int]run.Tally{groups[at].part.number: s.unread})
		}
		for _, row := range s.kept {
			w.refs = append(w.refs, ref{int32(i), row})
		}
		w.add(s.leftOut)
	}
	shuffle(rng(cfg.Seed, epoch, index), w.refs)
	return nil
}

// load reads a group's kept rows.
func (s *slot) load(g group, cfg Config) (err error) {
	defer mapped.Guard(&err)()
	s.kept, s.leftOut = s.kept[:0], leftOut{}
	p := g.part
	cols, err := p.Scalars(g.index, p.match.columns...)
	if err != nil {
		return err
	}
	if cfg.once {
		defer func() { s.unread = tallyOthers(g.rows, s.kept, cols[colRow].([]int64), cols[colPos].([]int32)) }()
	}
	for r := range g.rows {
		if p.match.keep(cols, r) {
			s.kept = append(s.kept, int32(r))
		}
	}
	if len(s.kept) == 0 {
		return nil
	}
	s.part, s.rows, s.pos = p, cols[colRow].([]int64), cols[colPos].([]int32)
	for len(s.buf) < len(p.columns) {
		s.buf, s.raw = append(s.buf, nil), append(s.raw, nil)
	}
	for c, col := range p.columns {
		if s.buf[c], s.raw[c], err = p.read(g, col, s.buf[c]); err != nil {
			return err
		}
	}
	return s.leaveOut(cfg)
}

// leaveOut removes the kept rows whose vectors are not finite, or of a length that is to be left out.
func (s *slot) leaveOut(cfg Config) error {
	if s.part.checkFinite {
		all := len(s.kept)
		s.kept = slices.DeleteFunc(s.kept, func(row int32) bool { return !s.finite(row) })
		if s.dropped = all - len(s.kept); s.dropped > 0 && cfg.FailNonFinite {
			return fmt.Errorf("%d rows: %w", s.dropped, ErrNonFinite)
		}
	}
	if cfg.judges() {
		s.judge(cfg)
	}
	return nil
}

// read fetches a column of a group: a view where the shard is mapped, else into buf.
func (p *part) read(g group, c column, buf []byte) (newBuf, raw []byte, err error) {
	size := g.rows * c.bytes()
	if cap(buf) < size { // room for the page headers too, or the reader grows it anew each time
		buf = make([]byte, size, size+size/8+1<<16)
	}
	raw, err = p.Vector(g.index, c.index, buf[:size])
	if err == nil && len(raw) != size {
		err = fmt.Errorf("column %d holds %d bytes, want %d: %w", c.index, len(raw), size, shard.ErrCorrupt)
	}
	if err != nil {
		return buf, nil, err
	}
	return buf, raw, mapped.Touch(raw) // in file order, before rows are read in a random one
}

// bytes is the stored vector of a row in column c of the part.
func (s *slot) bytes(c int, row int32) []byte {
	n := s.part.columns[c].bytes()
	return s.raw[c][int(row)*n : (int(row)+1)*n]
}

// finite tells whether all vectors of a row are.
func (s *slot) finite(row int32) bool {
	for c, col := range s.part.columns {
		if !finite(s.bytes(c, row), col.dtype) {
			return false
		}
	}
	return true
}

// finite looks at the exponent bits: all ones is an Inf or a NaN.
func finite(raw []byte, d shard.Dtype) bool {
	if d == shard.F16 {
		for i := 1; i < len(raw); i += 2 {
			if raw[i]&0x7c == 0x7c {
				return false
			}
		}
		return true
	}
	for i := 0; i < len(raw); i += 4 {
		v := math.Float32frombits(le32(raw[i:]))
		if v-v != 0 {
			return false
		}
	}
	return true
}

func le32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// decode writes the vectors of a row as float32.
func (s *slot) decode(dst []float32, row int32) {
	for c, col := range s.part.columns {
		col.dtype.Unpack(dst[:col.width], s.bytes(c, row))
		dst = dst[col.width:]
	}
}

// judge finds the sinks among the kept rows, and removes those that are to be left out.
func (s *slot) judge(cfg Config) {
	s.sink = slices.Grow(s.sink[:0], len(s.rows))[:len(s.rows)]
	x := make([]float32, s.part.width)
	s.kept = slices.DeleteFunc(s.kept, func(row int32) bool {
		s.decode(x, row)
		over, sink := false, false
		s.eachNorm(x, func(c int, norm float64, _ []float32) {
			n := cfg.Norms[c]
			over = over || cfg.MaxNorm > 0 && norm > cfg.MaxNorm*n.Median
			sink = sink || cfg.Sinks != "" && n.Sink(norm, s.pos[row])
		})
		s.sink[row] = sink
		switch {
		case sink:
			s.sinks++
		case over:
			s.overNorm++
		}
		return over || sink && cfg.Sinks == DropSinks
	})
}
