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
	// Sum replaces every number by its sum over the ranks, to the same bits on all of them. The lengths are the same
	// on every rank.
	Sum(narrow [][]float32, wide []float64) error
	// Share replaces data by rank 0's, which is as long.
	Share(data []byte) error
	// Ends tells whether these ranks end after the step that the last Sum belongs to, because one of them leaves or
	// another one comes. All get the same answer.
	Ends() bool
}

// Alone is a training on one process.
type Alone struct{}

// Rank is 0.
func (Alone) Rank() int { return 0 }

// World is 1.
func (Alone) World() int { return 1 }

// Sum leaves the numbers.
func (Alone) Sum([][]float32, []float64) error { return nil }

// Share leaves the bytes.
func (Alone) Share([]byte) error { return nil }

// Ends is false.
func (Alone) Ends() bool { return false }

// Many tells whether there are others.
func Many(r Ranks) bool { return r.World() > 1 }

// Agree returns an error on every rank when there is one on any: its own, or ErrOther.
func Agree(r Ranks, own error) error {
	if !Many(r) {
		return own
	}
	failed := []float64{0}
	if own != nil {
		failed[0] = 1
	}
	if err := r.Sum(nil, failed); err != nil {
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
	err := r.Sum(nil, sum)
	return int(sum[0]), err
}
