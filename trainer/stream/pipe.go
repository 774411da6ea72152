package stream

import (
	"context"
	"fmt"

	"actfleet/internal/mapped"
)

// loader reads window after window from a cursor on and closes loaded at the end.
func (s *Stream) loader(ctx context.Context, p *pipe, from Cursor) (err error) {
	defer func() {
		p.failed = err != nil
		close(p.loaded)
	}()
	for e := from.Epoch; s.cfg.Epochs == 0 || e < s.cfg.Epochs; e++ {
		if e > from.Epoch {
			from = Cursor{Epoch: e}
		}
		first := from.Window
		kept, last, err := s.loadEpoch(ctx, p, from)
		if err != nil {
			return err
		}
		if first > last {
			return fmt.Errorf("read %s: %w", s.cfg.Column, ErrCursor)
		}
		if kept == 0 && first == 0 {
			return fmt.Errorf("read %s: %w", s.cfg.Column, ErrEmpty)
		}
	}
	return nil
}

// loadEpoch reads the windows of an epoch from a cursor's on, and returns the rows it kept and
// how many windows there are.
func (s *Stream) loadEpoch(ctx context.Context, p *pipe, from Cursor) (kept, last int, err error) {
	epoch, last := from.Epoch, from.Before
	for n := from.Span; n < s.spans(); n++ {
		parts, before := s.span(epoch, n), last
		if err := s.ensure(ctx, parts); err != nil {
			return 0, 0, err
		}
		groups := listGroups(parts)
		order := spanOrder(s.cfg.Seed, epoch, n, len(groups))
		for i := range windows(len(groups), s.cfg.ShuffleWindow) {
			if last++; last <= from.Window {
				continue
			}
			w, err := receive(ctx, p.spent)
			if err != nil {
				return 0, 0, err
			}
			if err := w.load(ctx, groups, nth(order, i, s.cfg.ShuffleWindow), s.cfg, epoch, last-1); err != nil {
				return 0, 0, fmt.Errorf("read %s: %w", s.cfg.Column, err)
			}
			w.span, w.before = n, before
			kept += len(w.refs)
			if err := send(ctx, p.loaded, w); err != nil {
				return 0, 0, err
			}
		}
	}
	return kept, last, nil
}

// packer decodes the rows of windows into batches and closes full at the end.
func (s *Stream) packer(ctx context.Context, p *pipe, from Cursor) error {
	defer close(p.full)
	at := from
	for w := range p.loaded {
		if w.epoch != at.Epoch {
			if err := p.flush(ctx); err != nil {
				return err
			}
			at = Cursor{Epoch: w.epoch}
		}
		if at.Offset > len(w.refs) {
			return fmt.Errorf("read %s: %w", s.cfg.Column, ErrCursor)
		}
		if err := s.closeBefore(w.span); err != nil {
			return err
		}
		at.Window, at.Span, at.Before = w.index, w.span, w.before
		if w.epoch == 0 && at.Offset == 0 {
			p.leftOut.add(w.leftOut)
			p.unread = merge(p.unread, w.unread)
		}
		for at.Offset < len(w.refs) {
			if err := s.fill(ctx, p, w, &at); err != nil {
				return err
			}
		}
		at.Window, at.Offset = w.index+1, 0
		if err := send(ctx, p.spent, w); err != nil {
			return err
		}
	}
	if p.current != nil {
		p.current.LeftOut, p.unread = merge(p.current.LeftOut, p.unread), nil
	}
	if p.failed { // a short batch is for the end of an epoch only
		return nil
	}
	return p.flush(ctx)
}

// fill decodes rows of w from the cursor on until the batch is full or w is empty.
func (s *Stream) fill(ctx context.Context, p *pipe, w *shuffleWindow, at *Cursor) (err error) {
	defer mapped.Guard(&err)()
	if p.current == nil {
		b, err := receive(ctx, p.free)
		if err != nil {
			return err
		}
		b.X, b.Keys, b.Sink, b.N, b.Dropped, b.OverNorm, b.Sinks, b.LeftOut = b.X[:0], b.Keys[:0], b.Sink[:0], 0, 0, 0, 0, nil
		p.current = b
	}
	b := p.current
	b.Dropped, b.OverNorm, b.Sinks = b.Dropped+p.leftOut.dropped, b.OverNorm+p.leftOut.overNorm, b.Sinks+p.leftOut.sinks
	p.leftOut = leftOut{}
	b.LeftOut, p.unread = merge(b.LeftOut, p.unread), nil
	first, past := s.share()
	end := min(len(w.refs), at.Offset+s.cfg.Batch-len(b.Keys))
	for _, r := range w.refs[at.Offset:end] {
		if place := len(b.Keys); place >= first && place < past {
			lo := b.N * b.D
			b.X = b.X[:lo+b.D]
			s.put(b, b.X[lo:], &w.slots[r.slot], r.row)
			b.N++
		}
		b.Keys = append(b.Keys, w.key(r))
	}
	at.Offset = end
	b.Epoch, b.end = w.epoch, *at
	if len(b.Keys) == s.cfg.Batch {
		return p.flush(ctx)
	}
	return nil
}

// share is the places in a full batch of the rows that are handed out.
func (s *Stream) share() (lo, hi int) { return Part(s.cfg.Batch, s.part, max(s.of, 1)) }

// Part is the places lo to hi in a full batch of the rows of part i of n.
func Part(batch, i, n int) (lo, hi int) { return i * batch / n, (i + 1) * batch / n }

// put decodes a row, as what becomes of sinks says.
func (s *Stream) put(b *Batch, x []float32, from *slot, row int32) {
	from.decode(x, row)
	switch s.cfg.Sinks {
	case ClipSinks:
		if from.sink[row] {
			from.clip(x, s.cfg.Norms)
		}
	case KeepSinks:
		b.Sink = append(b.Sink, from.sink[row])
	}
}

// flush hands the current batch on, if there is one.
func (p *pipe) flush(ctx context.Context) error {
	if p.current == nil {
		return nil
	}
	b := p.current
	p.current = nil
	return send(ctx, p.full, b)
}

func send[T any](ctx context.Context, c chan<- T, v T) error {
	select {
	case c <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func receive[T any](ctx context.Context, c <-chan T) (T, error) {
	select {
	case v := <-c:
		return v, nil
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

func (w *shuffleWindow) key(r ref) Key {
	s := &w.slots[r.slot]
	return Key{int32(s.part.run), int32(s.part.number), s.rows[r.row], s.pos[r.row]}
}

// spanOrder is the permutation of the n groups of a span in an epoch.
func spanOrder(seed uint64, epoch, span, n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	shuffle(rng(seed, epoch, groupsOf-span), p)
	return p
}
