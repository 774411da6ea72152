package model

import (
	"fmt"
	"sync"

	"actfleet/internal/torch"
)

// Kept asks for some rows of every tap, as a shard stores them, where the taps lie on a GPU: the rows are gathered and
// rounded there, and come to the host while the GPU goes on computing. Any other model takes no notice of it.
type Kept struct {
	// At are the places b·T + t of the rows, T being the padded length of IDs.
	At []int32
	// F32 says of each tap whether its rows are wanted in fp32; else they are rounded to fp16, to nearest, ties to even.
	F32 []bool
	// Emit takes Request.Emit's place. It is called by another goroutine than Forward's, once at a time.
	Emit func(i int, rows Rows) error
}

// Rows are the rows of one tap that were asked for, in the order of Kept.At; they are valid only inside the Emit call
// that received them.
type Rows struct {
	F16 []byte // [N, D] little-endian fp16; nil where fp32 was asked for
	F32 []float32
	D   int
}

// View is the fp32 rows as one prompt of N positions.
func (r Rows) View() View { return View{Data: r.F32, T: r.Len(), D: r.D} }

// Len is the number of rows N.
func (r Rows) Len() int {
	if r.F16 != nil {
		return len(r.F16) / 2 / r.D
	}
	return len(r.F32) / r.D
}

// Slice is the rows from..to−1.
func (r Rows) Slice(from, to int) Rows {
	if r.F16 != nil {
		r.F16 = r.F16[2*from*r.D : 2*to*r.D]
	} else {
		r.F32 = r.F32[from*r.D : to*r.D]
	}
	return r
}

// slabBytes is the size of a slab: a few of them must hold what a pass gives, so that the host waits for the GPU once or
// twice a pass, and not at every tap.
const slabBytes = 128 << 20

// slab is pinned memory that rows are copied into, one tap's after another's.
type slab struct {
	memory *torch.Tensor
	bytes  []byte // of memory
	used   int64
	parts  []part
	done   map[torch.Device]*torch.Event // the last copy from each device
}

// part is one tap's rows in a slab.
type part struct {
	tap  int
	rows Rows
}

// take is n bytes of the slab; false where it has not so many left.
func (sl *slab) take(n int64) ([]byte, bool) {
	from := (sl.used + 63) / 64 * 64
	if from+n > int64(len(sl.bytes)) {
		return nil, false
	}
	sl.used = from + n
	return sl.bytes[from:sl.used:sl.used], true
}

// event is that of the last copy from a device.
func (sl *slab) event(d torch.Device) *torch.Event {
	if sl.done[d] == nil {
		sl.done[d] = new(torch.Event)
	}
	return sl.done[d]
}

// wait returns when the slab holds what was to be copied, and nothing is copied from it any more.
func (sl *slab) wait() error {
	return torch.Do(func(*torch.Scope) error {
		for _, e := range sl.done {
			e.Wait()
		}
		return nil
	})
}

// slabs lends pinned memory of one model, and the streams that copy into it.
type slabs struct {
	mu      sync.Mutex
	back    sync.Cond
	free    []*slab
	made    int
	most    int // of them, so that their memory is bounded: while one pass fills a slab, another one's is emptied
	streams map[torch.Device]*torch.Stream
}

func newSlabs(most int) *slabs {
	p := &slabs{most: most, streams: map[torch.Device]*torch.Stream{}}
	p.back.L = &p.mu
	return p
}

// take waits for a free slab, the one used last: what a pass needs was made in the first. It has room for need bytes.
func (p *slabs) take(s *torch.Scope, need int64) *slab {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.free) == 0 && p.made == p.most {
		p.back.Wait()
	}
	sl := &slab{done: map[torch.Device]*torch.Event{}}
	if n := len(p.free); n > 0 {
		sl, p.free = p.free[n-1], p.free[:n-1]
	} else {
		p.made++
	}
	if int64(len(sl.bytes)) < need {
		sl.memory.Free()
		sl.memory = s.Keep(s.Pinned(torch.U8, max(need, slabBytes)))
		sl.bytes = sl.memory.Bytes()
	}
	return sl
}

func (p *slabs) give(sl *slab) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sl.used, sl.parts = 0, nil
	p.free = append(p.free, sl)
	p.back.Signal()
}

// stream is the one that copies from a device.
func (p *slabs) stream(s *torch.Scope, d torch.Device) *torch.Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams[d] == nil {
		p.streams[d] = s.NewStream(d)
	}
	return p.streams[d]
}

// fetcher brings the kept rows of one pass to the host. The pass's own thread launches copies; a goroutine waits for them,
// slab by slab, and hands the rows on.
type fetcher struct {
	slabs *slabs
	kept  *Kept
	open  *slab // being filled; nil: none
	full  chan *slab
	ended chan struct{}

	mu  sync.Mutex
	err error // the first of Emit
}

func newFetcher(p *slabs, k *Kept) *fetcher {
	f := &fetcher{slabs: p, kept: k, full: make(chan *slab, p.most), ended: make(chan struct{})}
	go f.deliver()
	return f
}

// room is n bytes of the open slab, of the next one where it is full.
func (f *fetcher) room(s *torch.Scope, n int64) []byte {
	if f.open != nil {
		if data, ok := f.open.take(n); ok {
			return data
		}
		f.flush()
	}
	f.open = f.slabs.take(s, n)
	data, _ := f.open.take(n)
	return data
}

// upload is a copy of values on a device, which need not be waited for.
func (f *fetcher) upload(s *torch.Scope, values []int64, d torch.Device) *torch.Tensor {
	n := int64(len(values))
	from := torch.Wrap(s, f.room(s, 8*n), torch.I64, n)
	copy(from.Int64s(), values)
	to := s.Zeros(torch.I64, d, n)
	s.Upload(to, from, f.open.event(d))
	return to
}

// fetch begins to copy rows [N, D] of tap i, in the type that is wanted of it.
func (f *fetcher) fetch(s *torch.Scope, i int, rows *torch.Tensor) {
	dtype, shape := torch.F16, rows.Shape()
	if f.kept.F32[i] {
		dtype = torch.F32
	}
	data := f.room(s, rows.Len()*dtype.Size())
	out := Rows{D: int(shape[1]), F16: data}
	if len(data) > 0 {
		rows = s.To(rows, dtype)
		to, d := torch.Wrap(s, data, dtype, shape...), rows.Device()
		s.Fetch(f.slabs.stream(s, d), to, rows, f.open.event(d))
		if dtype == torch.F32 {
			out.F16, out.F32 = nil, to.Float32s()
		}
	}
	f.open.parts = append(f.open.parts, part{i, out})
}

// flush hands the open slab on.
func (f *fetcher) flush() {
	if f.open != nil {
		f.full <- f.open
		f.open = nil
	}
}

// deliver is the goroutine that hands rows on. After an error it only waits, so that no slab is lent again while it is
// copied into.
func (f *fetcher) deliver() {
	defer close(f.ended)
	for sl := range f.full {
		if err := sl.wait(); err != nil {
			f.fail(err)
		}
		for _, p := range sl.parts {
			if f.failed() == nil {
				f.fail(f.kept.Emit(p.tap, p.rows))
			}
		}
		f.slabs.give(sl)
	}
}

func (f *fetcher) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

// failed is the first error of Emit so far.
func (f *fetcher) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// end waits until every row has been handed on.
func (f *fetcher) end() error {
	f.flush()
	close(f.full)
	<-f.ended
	return f.failed()
}

// everything says whether all places of a batch are asked for, in their order.
func (k *Kept) everything(places int) bool {
	if len(k.At) != places {
		return false
	}
	for i, at := range k.At {
		if int(at) != i {
			return false
		}
	}
	return true
}

// check refuses places that are not in the batch.
func (k *Kept) check(taps, places int) error {
	if len(k.F32) != taps {
		return fmt.Errorf("rows of %d taps are asked for, the request has %d", len(k.F32), taps)
	}
	return inBatch(k.At, places)
}

// inBatch refuses places that a batch of so many positions has not.
func inBatch(at []int32, places int) error {
	for _, at := range at {
		if at < 0 || int(at) >= places {
			return fmt.Errorf("row %d is asked for of a batch of %d positions", at, places)
		}
	}
	return nil
}
