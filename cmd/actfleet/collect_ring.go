package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"actfleet/shard/run"
	"actfleet/shard/store"
)

// ringOptions are the flags of a run whose shards are deleted once they are read.
type ringOptions struct {
	size    string
	readers []string
}

func (o *ringOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.size, "ring", "", "a stream larger than the disk: keep at most so much, such as 20GB, delete what all --readers have read, and wait for them")
	f.StringSliceVar(&o.readers, "readers", nil, "with --ring: names of the trainings that read it (train --follow --reader NAME)")
}

func (o ringOptions) check() error {
	if o.size == "" && len(o.readers) == 0 {
		return nil
	}
	if n, err := humanize.ParseBytes(o.size); err != nil || n == 0 || n > math.MaxInt64 {
		return fmt.Errorf("%w: --ring %q: want a size such as 20GB", errUsage, o.size)
	}
	if len(o.readers) == 0 {
		return fmt.Errorf("%w: --ring needs --readers: the names of the trainings that must have read a unit before it is deleted", errUsage)
	}
	return nil
}

// ring is what is asked of the plan; nil: that every shard stays.
func (o ringOptions) ring() *run.Ring {
	if o.size == "" {
		return nil
	}
	n, _ := humanize.ParseBytes(o.size) // check has seen it
	return &run.Ring{Bytes: int64(n), Readers: o.readers}
}

// printReaders says what the readers of a ring have read.
func printReaders(out io.Writer, r run.Report) {
	if len(r.Readers) > 0 {
		fmt.Fprintf(out, "  a ring: %d units are read by all and deleted\n", r.Gone)
	}
	for _, reader := range r.Readers {
		line := fmt.Sprintf("  reader %s read %d of the rows, each exactly once", reader.Reader, reader.Rows)
		switch left := r.Rows - reader.Rows; {
		case left == 0:
			line = fmt.Sprintf("  reader %s read every row exactly once", reader.Reader)
		case reader.Ended:
			line += fmt.Sprintf(", and ended before the other %d", left)
		default:
			line += fmt.Sprintf("; it has %d more to read", left)
		}
		fmt.Fprintln(out, line)
	}
}

// ringLine says what the ring of a run waits for, if it has one and that is full.
func ringLine(ctx context.Context, st store.Store, plan run.Plan) (string, error) {
	if plan.Ring == nil {
		return "", nil
	}
	s, err := run.LookRing(ctx, st, plan)
	if err != nil {
		return "", err
	}
	reader, unit, waits := s.Waits()
	if !waits {
		return "", nil
	}
	return fmt.Sprintf("the ring of %d units is full: waiting for reader %s to read unit %d", plan.Ring.Units, reader, unit), nil
}
