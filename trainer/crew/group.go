package crew

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"actfleet/coordinator/rendezvous"
	"actfleet/internal/torch/reduce"
	"actfleet/trainer"
	"actfleet/trainer/parallel"
	"actfleet/trainer/ranks"
)

// group is the ranks.Ranks of a process: sums go through Gloo, and who is lost is known by the rendezvous.
type group struct {
	met  *rendezvous.Group
	gloo *reduce.Group // nil for a group of one
	ctx  context.Context
	busy sync.WaitGroup // calls that Gloo has not returned from

	bucket []float32
	wide   []float64
	ends   bool
}

var _ ranks.Ranks = (*group)(nil)

// silence is how long Gloo waits for another rank: longer than any evaluation. Ranks that die are noticed by their
// connections' ends.
const silence = time.Hour

// joinGroup connects this rank to the others.
func joinGroup(ctx context.Context, met *rendezvous.Group, ip string) (*group, error) {
	g := &group{met: met, ctx: ctx}
	if met.World == 1 {
		return g, nil
	}
	var made *reduce.Group
	err := g.guard(func() (err error) {
		made, err = reduce.Join(met.Rank, met.World, ip, silence, reduce.Link{Tell: met.Tell, Hear: met.Cards()})
		return err
	})
	g.gloo = made
	return g, err
}

// guard runs a call of Gloo and returns with it, or as soon as a rank is known to be lost; the call then goes on by
// itself and fails when Gloo finds out.
func (g *group) guard(call func() error) error {
	ended := make(chan error, 1)
	g.busy.Go(func() { ended <- call() })
	select {
	case err := <-ended:
		if err == nil {
			return nil
		}
		return g.blame(err)
	case <-g.met.Gone():
		return g.met.Why()
	}
}

// told is how long a rank whose connections failed waits to be told who is lost.
const told = 5 * time.Second

// blame is why a call failed: the rank that was lost, if one was.
func (g *group) blame(err error) error {
	select {
	case <-g.met.Gone():
		return g.met.Why()
	case <-time.After(told):
		return fmt.Errorf("%w: %w", rendezvous.ErrGone, err)
	}
}

// Rank is this process's.
func (g *group) Rank() int { return g.met.Rank }

// World is the number of processes.
func (g *group) World() int { return g.met.World }

// AllReduce adds up over the ranks. The gradients go in one piece; with the other numbers goes whether this rank wants the
// group to end.
func (g *group) AllReduce(narrow [][]float32, wide []float64) error {
	if g.World() == 1 {
		return nil
	}
	g.wide = append(append(g.wide[:0], wide...), 0)
	if g.wants() {
		g.wide[len(wide)] = 1
	}
	g.flatten(narrow)
	bucket, sums := g.bucket, g.wide
	err := g.guard(func() error {
		if err := g.gloo.SumFloat32s(bucket); err != nil {
			return err
		}
		return g.gloo.SumFloat64s(sums)
	})
	if err != nil {
		g.bucket, g.wide = nil, nil // a call that goes on may still write there
		return err
	}
	g.ends = g.ends || sums[len(wide)] > 0
	copy(wide, sums)
	g.unflatten(narrow)
	return nil
}

// copyGrain is the least number of values worth a goroutine of their own.
const copyGrain = 1 << 16

func (g *group) flatten(narrow [][]float32) {
	n := 0
	for _, v := range narrow {
		n += len(v)
	}
	if cap(g.bucket) < n {
		g.bucket = make([]float32, n)
	}
	g.bucket = g.bucket[:n]
	g.eachPiece(narrow, func(piece, v []float32) { copy(piece, v) })
}

func (g *group) unflatten(narrow [][]float32) {
	g.eachPiece(narrow, func(piece, v []float32) { copy(v, piece) })
}

// eachPiece hands over the pieces of the bucket and of the arrays that belong together.
func (g *group) eachPiece(narrow [][]float32, do func(piece, v []float32)) {
	at := 0
	for _, v := range narrow {
		piece := g.bucket[at : at+len(v)]
		parallel.For(len(v), copyGrain, func(lo, hi int) { do(piece[lo:hi], v[lo:hi]) })
		at += len(v)
	}
}

// Broadcast gives rank 0's bytes to all.
func (g *group) Broadcast(data []byte) error {
	if g.World() == 1 {
		return nil
	}
	own := append([]byte(nil), data...)
	err := g.guard(func() error { return g.gloo.Share(own) })
	if err == nil {
		copy(data, own)
	}
	return err
}

// wants tells whether this rank wants the group to end: it was asked to leave, or others wait while ranks are missing.
func (g *group) wants() bool {
	return g.ctx.Err() != nil || g.met.Rank == 0 && g.met.World < g.met.Wanted && g.met.Waiting() > 0
}

// Regrouping tells whether a rank wanted so in the last AllReduce.
func (g *group) Regrouping() bool {
	if g.World() == 1 {
		return g.ctx.Err() == nil && g.wants()
	}
	return g.ends
}

// close leaves the group after a training that ended with err. Ranks that end alike wait for each other, so that none
// is taken for lost.
func (g *group) close(err error) {
	reason := ""
	switch {
	case err == nil, errors.Is(err, trainer.ErrRegroup), errors.Is(err, ranks.ErrOther), errors.Is(err, trainer.ErrInterrupted) && g.Regrouping():
		g.met.Done()
	case g.met.Why() == nil:
		reason = err.Error()
	}
	g.met.Close(reason)
	go func() {
		g.busy.Wait()
		if g.gloo != nil {
			g.gloo.Close()
		}
	}()
}
