package trainer

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"actfleet/trainer/ranks"
	"actfleet/trainer/stream"
)

// A training on several processes is the same training on each of them, but for the rows that are computed and for
// what is written, which is rank 0's alone. Rank 0 begins, or reads the checkpoint, and broadcasts what it has.

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

// distribute makes the learner one of several.
func (t *training) distribute() {
	t.ranks = ranksOf(t.Job)
	if ranks.Distributed(t.ranks) {
		t.ranks = timed{t.ranks, t.Now, &t.AllReduceSeconds}
	}
	from, _ := stream.Part(t.Recipe.Loop.Batch, t.ranks.Rank(), t.ranks.World())
	t.learner.Distribute(t.ranks, from)
}

// writes tells whether this process writes metrics, checkpoints and the coder.
func (t *training) writes() bool { return t.ranks.Rank() == 0 }

// broadcast brings where rank 0 begins, or why it cannot, to all ranks.
func (t *training) broadcast(err error) error {
	if !ranks.Distributed(t.ranks) {
		return err
	}
	if err := ranks.Agree(t.ranks, err); err != nil {
		return err
	}
	if err := t.broadcastProgress(); err != nil {
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

// broadcastProgress takes over where rank 0 is.
func (t *training) broadcastProgress() error {
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

// agree brings what failed on any rank since the last step to all of them, at the end at once, else with the next
// step.
func (t *training) agree() {
	switch {
	case !ranks.Distributed(t.ranks):
	case t.last():
		t.failed = ranks.Agree(t.ranks, errors.Join(t.pending, t.failed))
	default:
		t.pending, t.failed = errors.Join(t.pending, t.failed), nil
	}
}
