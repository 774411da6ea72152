package stream

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
)

// Config says what a Stream reads and in which order.
type Config struct {
	Column string   // vector column, as tap.Tap.Column spells it
	Beside []string // more columns, whose vectors stand behind Column's in a row of a batch
	Batch  int      // rows of a batch
	Window int      // row groups mixed together
	Seed   uint64
	Epochs int // passes over the data; 0 is without end
	Filter Filter

	Prefetch int // batches read ahead; it never changes what is handed out
}

// Cursor is a place in the order of rows: Offset kept rows of window Window of
// epoch Epoch have been handed out.
type Cursor struct {
	Epoch  int `json:"epoch"`
	Window int `json:"window"`
	Offset int `json:"offset"`
}

// Batch is N rows of one column, or of several side by side. It is valid until the next call of Next.
type Batch struct {
	X     []float32 // [N, D]
	Rows  []Key     // [N]
	N, D  int
	Epoch int

	Dropped int // rows left out before or within it because a value was not finite

	end Cursor
}

// Stream hands out batches. One goroutine uses it.
type Stream struct {
	cfg     Config
	parts   []*part
	groups  []group
	cursor  Cursor
	dropped int
	last    *Batch // handed out, to be recycled
	pipe    *pipe  // nil when nothing is read ahead
}

// Errors of Next.
var (
	// ErrEmpty says that the filter keeps no row of the runs.
	ErrEmpty = errors.New("the filter keeps no row")
	// ErrCursor says that the cursor belongs to other runs or another Config.
	ErrCursor = errors.New("the cursor is not of this stream")
)

// Open opens every unit of the runs and reads their footers, but no row.
func Open(ctx context.Context, runs []Source, cfg Config) (*Stream, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	parts, err := openParts(ctx, runs, cfg)
	if err != nil {
		return nil, err
	}
	s, err := newStream(parts, cfg)
	if err != nil {
		return nil, errors.Join(err, closeParts(parts))
	}
	return s, nil
}

// names are the columns in the order of a row.
func (c Config) names() []string { return append([]string{c.Column}, c.Beside...) }

func (c Config) check() error {
	if c.Batch < 1 || c.Window < 1 || c.Epochs < 0 || c.Prefetch < 0 {
		return fmt.Errorf("stream: batch %d and window %d must be at least 1, epochs %d and prefetch %d at least 0",
			c.Batch, c.Window, c.Epochs, c.Prefetch)
	}
	if f := c.Filter.Holdout.Fraction; !(f >= 0 && f < 1) {
		return fmt.Errorf("stream: holdout fraction %v is not in [0, 1)", f)
	}
	return nil
}

func newStream(parts []*part, cfg Config) (*Stream, error) {
	s := &Stream{cfg: cfg, parts: parts, groups: listGroups(parts)}
	if len(s.groups) == 0 {
		return nil, fmt.Errorf("stream of %s: the runs have no rows", cfg.Column)
	}
	for _, p := range parts {
		for i, c := range p.columns {
			if first := parts[0].columns[i].width; c.width != first {
				return nil, fmt.Errorf("column %s is %d wide in one run and %d in another", cfg.names()[i], first, c.width)
			}
		}
	}
	return s, nil
}

// Width is D, the length of a row: of its vectors together.
func (s *Stream) Width() int { return s.parts[0].width }

// Widths are the lengths of a row's vectors, in the order of Column and Beside.
func (s *Stream) Widths() (w []int) {
	for _, c := range s.parts[0].columns {
		w = append(w, c.width)
	}
	return w
}

// Rows is the number of rows of the runs before the filter.
func (s *Stream) Rows() int64 {
	var n int64
	for _, g := range s.groups {
		n += int64(g.rows)
	}
	return n
}

// Units is the number of units the stream reads.
func (s *Stream) Units() int { return len(s.parts) }

// Dropped is the number of rows left out so far because a value was not finite.
func (s *Stream) Dropped() int { return s.dropped }

// Cursor is the place after the last batch handed out.
func (s *Stream) Cursor() Cursor { return s.cursor }

// Seek continues at a cursor of a stream with the same runs and Config.
func (s *Stream) Seek(c Cursor) error {
	if c.Epoch < 0 || c.Offset < 0 || c.Window < 0 || c.Window > windows(len(s.groups), s.cfg.Window) {
		return fmt.Errorf("%w: %+v is outside %d windows", ErrCursor, c, windows(len(s.groups), s.cfg.Window))
	}
	err := s.stop()
	s.cursor = c
	return err
}

// Next returns the next batch, or io.EOF after the last epoch. It waits for data
// or for ctx.
func (s *Stream) Next(ctx context.Context) (*Batch, error) {
	if s.pipe == nil {
		s.pipe = s.start()
	}
	if s.last != nil {
		s.pipe.free <- s.last
		s.last = nil
	}
	select {
	case b, ok := <-s.pipe.full:
		if !ok {
			return nil, s.finish()
		}
		s.last, s.cursor = b, b.end
		s.dropped += b.Dropped
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// finish is the reason why the pipe ended.
func (s *Stream) finish() error {
	if err := s.stop(); err != nil {
		return err
	}
	return io.EOF
}

// stop ends the goroutines and waits for them.
func (s *Stream) stop() error {
	if s.pipe == nil {
		return nil
	}
	s.pipe.cancel()
	err := s.pipe.group.Wait()
	s.pipe, s.last = nil, nil
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Close ends the goroutines and closes the units.
func (s *Stream) Close() error {
	return errors.Join(s.stop(), closeParts(s.parts))
}

// pipe is the two goroutines that read ahead: one loads windows, one packs batches.
type pipe struct {
	cancel  context.CancelFunc
	group   *errgroup.Group
	loaded  chan *window // loader → packer
	spent   chan *window // packer → loader, to be used again
	full    chan *Batch  // packer → Next
	free    chan *Batch  // Next → packer
	current *Batch       // being packed
	failed  bool         // the loader ended early; read after loaded is closed
}

// start begins at the cursor. The owner of the goroutines is the Stream: stop
// cancels them and waits.
func (s *Stream) start() *pipe {
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	n := s.cfg.Prefetch + 2
	p := &pipe{cancel: cancel, group: g, loaded: make(chan *window), spent: make(chan *window, 2),
		full: make(chan *Batch, s.cfg.Prefetch), free: make(chan *Batch, n)}
	p.spent <- &window{}
	p.spent <- &window{}
	for range n {
		p.free <- &Batch{D: s.Width(), X: make([]float32, 0, s.cfg.Batch*s.Width()), Rows: make([]Key, 0, s.cfg.Batch)}
	}
	from := s.cursor
	g.Go(func() error { return s.loader(ctx, p, from) })
	g.Go(func() error { return s.packer(ctx, p, from) })
	return p
}
