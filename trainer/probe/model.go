package probe

import (
	"fmt"
	"slices"

	"actfleet/trainer/coder"
	"actfleet/trainer/state"
)

// Model is what a fit gives. Scores and Proba rank rows alike.
type Model interface {
	// Scores is the log-odds of label 1 of each row of x [n, D].
	Scores(x []float32) []float64
	// Proba is P(y=1) of each row of x [n, D].
	Proba(x []float32) []float64
	// arrays declares what coder.safetensors holds of the model, under names that end in id.
	arrays(s *state.Set, id string)
	// check refuses arrays that no fit gives.
	check() error
}

// Probe is a fitted probe: what its card says, and the model, which is nil where the fit did not converge.
type Probe struct {
	coder.Fit
	Model
}

// Linear is P(y=1) = σ(W·x + B).
type Linear struct {
	W []float64 // [D]
	B []float64 // [1]

	mean, std []float64 // of the train rows, of Logistic; nil else
}

func newLinear(w []float64, b float64) *Linear { return &Linear{W: w, B: []float64{b}} }

func emptyLinear(f coder.Fit) Model { return newLinear(make([]float64, f.D), 0) }

// Scores is W·x + B of each row.
func (m *Linear) Scores(x []float32) []float64 {
	d := len(m.W)
	out := make([]float64, len(x)/max(d, 1))
	for i := range out {
		out[i] = project(x[i*d:(i+1)*d], m.W) + m.B[0]
	}
	return out
}

// Proba is σ of the scores.
func (m *Linear) Proba(x []float32) []float64 { return sigmoids(m.Scores(x)) }

func (m *Linear) arrays(s *state.Set, id string) {
	state.Add(s, "w_"+id, m.W)
	state.Add(s, "b_"+id, m.B)
	if m.std != nil {
		state.Add(s, "mean_"+id, m.mean)
		state.Add(s, "std_"+id, m.std)
	}
}

func (m *Linear) check() error {
	if at := slices.IndexFunc(m.std, func(v float64) bool { return !(v > 0) }); at >= 0 {
		return fmt.Errorf("value %d of std is %v, must be above 0", at, m.std[at])
	}
	return nil
}

// sigmoids is σ of each value, in place.
func sigmoids(v []float64) []float64 {
	for i, t := range v {
		v[i] = sigmoid(t)
	}
	return v
}

func project(x []float32, w []float64) (sum float64) {
	for j, v := range x {
		sum += float64(v) * w[j]
	}
	return sum
}
