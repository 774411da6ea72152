package trainer

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"actfleet/trainer/ranks"
	"actfleet/trainer/stream"
)

// A training on several processes is the same training on each of them, but for the rows that are computed and for
// what is written, which is rank 0's alone. Rank 0 begins, or reads the checkpoint, and shares what it has.

// ErrRegroup says that the ranks ended together at a checkpoint, because one of them leaves or another one comes, and
// that the training goes on from there.
var ErrRegroup = errors.New("the ranks change")

// timed measures how long all-reduces take, waiting for the others included.
type timed struct {
	ranks.Ranks
	now   func() time.Time
	spent *float64 // seconds
}

// AllReduce measures that of the ranks.
func (t timed) AllReduce(f32 [][]float32, f64 []float64) error {
	began := t.now()
	err := t.Ranks.AllReduce(f32, f64)
	*t.spent += t.now().Sub(began).Seconds()
	return err
}

// ranksOf are the processes of a job.
func ranksOf(j Job) ranks.Ranks {
	if j.Ranks == nil {
		return ranks.Alone{}
	}
	return j.Ranks
}

// join makes the learner one of several.
func (t *training) join() {
	t.ranks = ranksOf(t.Job)
	if ranks.Distributed(t.ranks) {
		t.ranks = timed{t.ranks, t.Now, &t.AllReduceSeconds}
	}
	from, _ := stream.Part(t.Recipe.Loop.Batch, t.ranks.Rank(), t.ranks.World())
	t.learner.Distribute(t.ranks, from)
}

// writes tells whether this process writes metrics, checkpoints and the coder.
func (t *training) writes() bool { return t.ranks.Rank() == 0 }

// begin begins as rank 0 does.
func (t *training) begin(ctx context.Context) (err error) {
	t.saved, t.kept = t.Now(), -1
	if t.writes() {
		err = t.beginHere(ctx)
	}
	if !ranks.Distributed(t.ranks) {
		return err
	}
	if err := ranks.Agree(t.ranks, err); err != nil {
		return err
	}
	if err := t.shareProgress(); err != nil {
		return err
	}
	for _, array := range t.learner.State().Bytes() {
		if err := t.ranks.Broadcast(array); err != nil {
			return err
		}
	}
	if t.writes() {
		return nil
	}
	return t.learner.Restored()
}

// maxProgress bounds what rank 0 says of where it is.
const maxProgress = 1 << 20

// shareProgress takes over where rank 0 is.
func (t *training) shareProgress() error {
	text, err := json.Marshal(t.progress)
	if err != nil {
		return err
	}
	size := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	if err := t.ranks.Broadcast(size); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(size)
	if n > maxProgress {
		return fmt.Errorf("rank 0 says that its progress takes %d bytes", n)
	}
	text = append(text, make([]byte, n)...)[:n]
	if err := t.ranks.Broadcast(text); err != nil {
		return err
	}
	if t.writes() {
		return nil
	}
	return json.Unmarshal(text, &t.progress)
}

// settle brings what failed on any rank since the last step to all of them, at the end at once, else with the next
// step.
func (t *training) settle() {
	switch {
	case !ranks.Distributed(t.ranks):
	case t.last():
		t.failed = ranks.Agree(t.ranks, errors.Join(t.pending, t.failed))
	default:
		t.pending, t.failed = errors.Join(t.pending, t.failed), nil
	}
}

// later keeps an error that the other ranks do not know of until it is settled.
func (t *training) later(err error) error {
	if !ranks.Distributed(t.ranks) {
		return err
	}
	t.pending = err
	return nil
}

// micros gives the rows of a batch to the learner in micro-batches.
func (t *training) micros(b *stream.Batch) error {
	if t.pending != nil {
		return t.pending
	}
	for lo := 0; lo < b.N; lo += t.Recipe.Loop.Micro {
		hi := min(lo+t.Recipe.Loop.Micro, b.N)
		if err := t.learner.Micro(b.X[lo*b.D:hi*b.D], hi-lo); err != nil {
			return err
		}
	}
	return nil
}

// ends ends trainings whose ranks end, at a checkpoint that all have waited for. It tells whether they do.
func (f *feed) ends(ctx context.Context) bool {
	all := f.learning()
	if !all[0].ranks.Regrouping() {
		return false
	}
	for _, t := range all {
		switch err := ranks.Agree(t.ranks, t.checkpoint(ctx)); {
		case err != nil:
			t.failed = err
		case ctx.Err() != nil:
			t.failed = fmt.Errorf("step %d of %d: %w", t.Step, t.Recipe.Loop.Steps, ErrInterrupted)
		default:
			t.failed = ErrRegroup
		}
	}
	return true
}
