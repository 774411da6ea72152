package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"actfleet/shard/run"
	"actfleet/trainer/coder"
)

// Config says what a Stream reads and in which order.
type Config struct {
	Column        string   // vector column, as tap.Tap.Column spells it
	Beside        []string // more columns, whose vectors stand behind Column's in a row of a batch
	Batch         int      // rows of a batch
	ShuffleWindow int      // row groups mixed together
	Span          int      // units mixed with each other; 0 is all
	Seed          uint64
	Epochs        int // passes over the data; 0 is without end
	Filter        Filter

	// MaxNorm leaves out rows whose norm is above so many times the median norm; 0 leaves out none.
	MaxNorm float64
	// Sinks is what becomes of rows with an extreme norm: DropSinks, ClipSinks or KeepSinks. Without it no row is one.
	Sinks string
	// Norms are what is ordinary in each column. Where MaxNorm or Sinks need them and they are nil, Open looks at a
	// sample of the first span.
	Norms []coder.Norms
	// FailNonFinite ends the stream at a row with a value that is not finite; without it
	// such rows are left out.
	FailNonFinite bool

	Prefetch int // batches read ahead; it never changes what is handed out
	// Wait, when set, is called while a unit that is needed next is not there yet, and
	// returns when it is time to look again. Without it a missing unit is an error.
	Wait func(ctx context.Context, unit int) error

	once bool // a ring is read: batches tell what was left out, and units are closed behind the cursor
}

// Cursor is a place in the order of rows: Offset kept rows of window Window of
// epoch Epoch have been handed out. The window is of span Span, before which the epoch
// has Before windows; no unit of an earlier span is needed to go on. Zeros stand for
// the first span: then windows are counted from there.
type Cursor struct {
	Epoch  int `json:"epoch"`
	Window int `json:"window"`
	Offset int `json:"offset"`
	Span   int `json:"span,omitempty"`
	Before int `json:"before,omitempty"`
}

// Batch is rows of one column, or of several side by side: all of a batch, or after Share the N of them from From on.
// It is valid until the next call of Next.
type Batch struct {
	X     []float32 // [N, D]
	Keys  []Key     // of all rows of the batch; that of X's row i is Keys[From+i]
	N, D  int
	From  int
	Epoch int

	Sink []bool // [N] whether a row is a sink, with KeepSinks; else nil

	// Rows met before or within it, each once and so in the first epoch alone: Dropped because a value was not finite,
	// OverNorm because of MaxNorm, and Sinks, which are left out too unless the Config has another way with them.
	Dropped, OverNorm, Sinks int
	// LeftOut are the rows of a ring's units that were left out before or within it, for whatever reason.
	LeftOut map[int]run.Tally

	end Cursor
}

// Stream hands out batches. One goroutine uses it.
type Stream struct {
	cfg    Config
	runs   []Source
	parts  []*part  // units in the order of the first epoch
	first  []column // the columns of the first unit
	cursor Cursor
	part   int    // of every batch that is handed out
	of     int    // so many parts; 0 is 1
	last   *Batch // handed out, to be recycled
	pipe   *pipe  // nil when nothing is read ahead

	mu     sync.Mutex
	opened []*part // the loader opens units while others count rows
}

// Errors of Next.
var (
	// ErrEmpty says that the filter keeps no row of the runs.
	ErrEmpty = errors.New("the filter keeps no row")
	// ErrCursor says that the cursor belongs to other runs or another Config.
	ErrCursor = errors.New("the cursor is not of this stream")
	// ErrNonFinite says that a value is not finite where that is to end the stream.
	ErrNonFinite = errors.New("a value is not finite")
)

// Open opens every unit of the runs and reads their footers, but no row. With Wait it
// opens the units of the first span, for which it waits.
func Open(ctx context.Context, runs []Source, cfg Config) (s *Stream, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := cfg.checkRing(runs); err != nil {
		return nil, err
	}
	s = &Stream{cfg: cfg, runs: runs, parts: listParts(runs)}
	need := s.parts
	if cfg.Wait != nil {
		need = s.span(0, 0)
	} else if err := unchanged(ctx, runs); err != nil {
		return nil, err
	}
	if err = s.ensure(ctx, need); err == nil && s.Rows() == 0 {
		err = fmt.Errorf("stream of %s: the runs have no rows", cfg.Column)
	}
	if err == nil && cfg.judges() && cfg.Norms == nil {
		s.cfg.Norms, err = scan(ctx, listGroups(s.span(0, 0)), cfg.names())
	}
	if err == nil && cfg.judges() && len(s.cfg.Norms) != len(s.first) {
		err = fmt.Errorf("stream of %s: norms of %d columns for rows of %d", cfg.Column, len(s.cfg.Norms), len(s.first))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// names are the columns in the order of a row.
func (c Config) names() []string { return append([]string{c.Column}, c.Beside...) }

func (c Config) check() error {
	if c.Batch < 1 || c.ShuffleWindow < 1 || c.Epochs < 0 || c.Prefetch < 0 || c.Span < 0 || !(c.MaxNorm >= 0) {
		return fmt.Errorf("stream: batch %d and window %d must be at least 1, span %d, epochs %d, prefetch %d and max norm %v at least 0",
			c.Batch, c.ShuffleWindow, c.Span, c.Epochs, c.Prefetch, c.MaxNorm)
	}
	if c.Sinks != "" && c.Sinks != DropSinks && c.Sinks != ClipSinks && c.Sinks != KeepSinks {
		return fmt.Errorf("stream: sinks %q is none of %s, %s, %s", c.Sinks, DropSinks, ClipSinks, KeepSinks)
	}
	if f := c.Filter.Holdout.Fraction; !(f >= 0 && f < 1) {
		return fmt.Errorf("stream: holdout fraction %v is not in [0, 1)", f)
	}
	return nil
}

// Width is D, the length of a row: of its vectors together.
func (s *Stream) Width() (d int) {
	for _, c := range s.first {
		d += c.width
	}
	return d
}

// Widths are the lengths of a row's vectors, in the order of Column and Beside.
func (s *Stream) Widths() (w []int) {
	for _, c := range s.first {
		w = append(w, c.width)
	}
	return w
}

// Rows is the number of rows of the units opened so far, before the filter.
func (s *Stream) Rows() (n int64) {
	for _, g := range listGroups(s.here()) {
		n += int64(g.rows)
	}
	return n
}

// Norms are those of the columns, in the order of a row; nil unless the Config asks what is ordinary.
func (s *Stream) Norms() []coder.Norms { return s.cfg.Norms }

// Units is the number of units the stream reads.
func (s *Stream) Units() int { return len(s.parts) }

// Mixed is the number of units whose rows may meet in a window.
func (s *Stream) Mixed() int { return min(len(s.parts), s.spanUnits()) }

// Cursor is the place after the last batch handed out.
func (s *Stream) Cursor() Cursor { return s.cursor }

// Seek continues at a cursor of a stream with the same runs and Config.
func (s *Stream) Seek(c Cursor) error {
	if c.Epoch < 0 || c.Offset < 0 || c.Window < 0 || c.Window > s.mostWindows() ||
		c.Before < 0 || c.Before > c.Window || c.Span < 0 || c.Span >= s.spans() {
		return fmt.Errorf("%w: %+v is outside %d windows", ErrCursor, c, s.mostWindows())
	}
	err := s.stop()
	s.cursor = c
	return err
}

// Share makes the stream hand out one part of every batch, part i of n that are as even as can be, and read no vectors
// of the other rows. A batch at the end of an epoch is cut at the same places as a full one. What was read ahead is
// dropped.
func (s *Stream) Share(i, n int) error {
	err := s.Seek(s.cursor)
	s.part, s.of = i, n
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
	return errors.Join(s.stop(), closeParts(s.here()))
}

// pipe is the two goroutines that read ahead: one loads windows, one packs batches.
type pipe struct {
	cancel  context.CancelFunc
	group   *errgroup.Group
	loaded  chan *shuffleWindow // loader → packer
	spent   chan *shuffleWindow // packer → loader, to be used again
	full    chan *Batch         // packer → Next
	free    chan *Batch         // Next → packer
	current *Batch              // being packed
	leftOut leftOut             // in the first epoch, of windows since a batch was begun
	unread  map[int]run.Tally   // likewise, of a ring, whatever left them out
	failed  bool                // the loader ended early; read after loaded is closed
}

// start begins at the cursor. The owner of the goroutines is the Stream: stop
// cancels them and waits.
func (s *Stream) start() *pipe {
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	n := s.cfg.Prefetch + 2
	p := &pipe{cancel: cancel, group: g, loaded: make(chan *shuffleWindow), spent: make(chan *shuffleWindow, 2),
		full: make(chan *Batch, s.cfg.Prefetch), free: make(chan *Batch, n)}
	p.spent <- &shuffleWindow{}
	p.spent <- &shuffleWindow{}
	lo, hi := s.share()
	most := s.mostRows()
	for range n {
		p.free <- &Batch{D: s.Width(), From: lo, X: make([]float32, 0, min(hi-lo, most)*s.Width()), Keys: make([]Key, 0, min(s.cfg.Batch, most))}
	}
	from := s.cursor
	g.Go(func() error { return s.loader(ctx, p, from) })
	g.Go(func() error { return s.packer(ctx, p, from) })
	return p
}

// Head hands batches of at least limit rows together from the beginning of the stream, or all of its first epoch, to
// use, with the number of rows before each. It leaves the stream at its beginning with nothing read ahead.
func (s *Stream) Head(ctx context.Context, limit int, use func(b *Batch, before int) error) error {
	if err := s.Seek(Cursor{}); err != nil {
		return err
	}
	for rows := 0; rows < limit; {
		b, err := s.Next(ctx)
		if errors.Is(err, ErrEmpty) {
			break
		}
		if err != nil {
			return err
		}
		if b.Epoch > 0 {
			break
		}
		if err := use(b, rows); err != nil {
			return err
		}
		rows += b.N
	}
	return s.Seek(Cursor{})
}
