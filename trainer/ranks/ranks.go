package ranks

import "errors"

// ErrOther says that a training ended because it failed on another rank.
var ErrOther = errors.New("failed on another rank, whose message says why")

// Ranks are the processes of a training, as one of them sees the others.
type Ranks interface {
	// Rank is this process, from 0 to World−1.
	Rank() int
	// World is the number of processes.
	World() int
	// AllReduce replaces every number by its sum over the ranks, to the same bits on all of them. The lengths are the
	// same on every rank.
	AllReduce(f32 [][]float32, f64 []float64) error
	// Broadcast replaces data by rank 0's, which is as long.
	Broadcast(data []byte) error
	// Regrouping tells whether these ranks end after the step that the last AllReduce belongs to, because one of them
	// leaves or another one joins. All get the same answer.
	Regrouping() bool
}

// Alone is a training on one process.
type Alone struct{}

// Rank is 0.
func (Alone) Rank() int { return 0 }

// World is 1.
func (Alone) World() int { return 1 }

// AllReduce leaves the numbers.
func (Alone) AllReduce([][]float32, []float64) error { return nil }

// Broadcast leaves the bytes.
func (Alone) Broadcast([]byte) error { return nil }

// Regrouping is false.
func (Alone) Regrouping() bool { return false }

// Distributed tells whether there are others.
func Distributed(r Ranks) bool { return r.World() > 1 }

// Agree returns an error on every rank when there is one on any: its own, or ErrOther.
func Agree(r Ranks, own error) error {
	if !Distributed(r) {
		return own
	}
	failed := []float64{0}
	if own != nil {
		failed[0] = 1
	}
	if err := r.AllReduce(nil, failed); err != nil {
		return errors.Join(own, err)
	}
	if own == nil && failed[0] > 0 {
		return ErrOther
	}
	return own
}

// Total is the sum of n over the ranks.
func Total(r Ranks, n int) (int, error) {
	sum := []float64{float64(n)}
	err := r.AllReduce(nil, sum)
	return int(sum[0]), err
}
