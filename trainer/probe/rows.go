package probe

import (
	"fmt"

	"actfleet/trainer/stream"
)

// Rows are the rows that probes are fitted and measured on, one entry of every slice
// for each.
type Rows struct {
	Run, Unit []int32 // index of the source, unit of its plan
	Row       []int64
	Pos       []int32
	NTokens   []int32
	TokenID   []int32
	Label     []bool
	Group     []string
	Split     []string
	Pair      []string             // "" of a row without the other of its pair; nil where no kind needs pairs
	Polarity  []bool               // nil where no kind needs them
	Texts     []string             // nil where the runs do not keep them
	Answers   map[string][]float64 // columns p_yes and p_yes__<adapter>: the model's own answer
	Coverage  map[string][]float64 // of the same names: the probability of both choices together

	GroupBy    string // the column of Group; Prompt where each prompt is its own group
	SplitBy    string // the column of Split; "" where groups are split by hash
	LabelsSaid string // what the label's values were taken for, where they are not 0, 1, true and false

	Frozen  map[string]bool // the splits that are whole other runs, which nothing is fitted on
	LeftOut map[string]int  // of these, how many rows are left out, since train or val has their group

	runs []string // names of the runs where there are several
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.Row) }

// In are the indices of the rows of a split.
func (r *Rows) In(split string) (at []int) {
	for i, s := range r.Split {
		if s == split {
			at = append(at, i)
		}
	}
	return at
}

// name is how a row is called in messages.
func (r *Rows) name(i int) string {
	if len(r.runs) == 0 {
		return fmt.Sprint("row ", r.Row[i])
	}
	return fmt.Sprintf("row %d of %s", r.Row[i], r.runs[r.Run[i]])
}

// The splits a fit uses. Runs may name others; they are only measured on. A row with no split is left out.
const (
	Train = "train"
	Val   = "val"
	Test  = "test"
)

// assignSplits gives every row a split where the runs do not, and a validation split
// where there is none, by a hash of the group; the runs behind the first fitted ones are a split each, with its
// name in frozen. Then it checks them.
func (r *Rows) assignSplits(seed uint64, frozen []string, fitted int) error {
	if len(r.Split) == 0 {
		r.Split = make([]string, r.Len())
		for i := range r.Split {
			r.Split[i] = splitOf(r.Group[i], seed)
		}
	}
	r.Frozen = map[string]bool{}
	for i, run := range r.Run {
		if at := int(run) - fitted; at >= 0 {
			r.Split[i] = frozen[at]
			r.Frozen[frozen[at]] = true
		}
	}
	if len(r.In(Val)) == 0 {
		val := stream.Holdout{Fraction: 0.2, Seed: seed ^ 0x76616c}
		for i, s := range r.Split {
			if s == Train && val.Held(r.Group[i]) {
				r.Split[i] = Val
			}
		}
	}
	if err := r.leaveOut(frozen); err != nil {
		return err
	}
	return r.check()
}

// leaveOut takes those rows out of the frozen runs whose group the fit or its choice has seen.
func (r *Rows) leaveOut(frozen []string) error {
	seen := map[string]bool{}
	for i, split := range r.Split {
		if split == Train || split == Val {
			seen[r.Group[i]] = true
		}
	}
	r.LeftOut = map[string]int{}
	for i, split := range r.Split {
		if r.Frozen[split] && seen[r.Group[i]] {
			r.LeftOut[split]++
			r.Split[i] = ""
		}
	}
	for _, split := range frozen {
		if len(r.In(split)) == 0 {
			return fmt.Errorf("%w: every group of %s is in train or val, or it has no rows", ErrLeak, split)
		}
	}
	return nil
}

// splitOf is 60 % train, 20 % val, 20 % test.
func splitOf(group string, seed uint64) string {
	switch {
	case stream.Holdout{Fraction: 0.2, Seed: seed}.Held(group):
		return Test
	case stream.Holdout{Fraction: 0.25, Seed: seed ^ 0x76616c}.Held(group):
		return Val
	}
	return Train
}

// check refuses groups that cross splits, and splits that cannot be fitted on.
func (r *Rows) check() error {
	of := map[string]int{}
	for i, g := range r.Group {
		first, ok := of[g]
		if !ok {
			of[g] = i
			continue
		}
		if r.Split[first] != r.Split[i] && !r.Frozen[r.Split[first]] && !r.Frozen[r.Split[i]] && r.Split[i] != "" && r.Split[first] != "" {
			return fmt.Errorf("%w: group %.60q has %s in %s and %s in %s", ErrLeak, g, r.name(first), r.Split[first], r.name(i), r.Split[i])
		}
	}
	for _, split := range []string{Train, Val} {
		var n [2]int
		for _, i := range r.In(split) {
			n[class(r.Label[i])]++
		}
		if n[0] == 0 || n[1] == 0 {
			return fmt.Errorf("%w: the %s split has %d rows of label 0 and %d of label 1", ErrLabel, split, n[0], n[1])
		}
	}
	return nil
}

func class(label bool) int {
	if label {
		return 1
	}
	return 0
}
