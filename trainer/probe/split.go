package probe

import (
	"fmt"

	"actfleet/trainer/stream"
)

// The splits a fit uses. Runs may name others; they are only measured on.
const (
	Train = "train"
	Val   = "val"
	Test  = "test"
)

// assignSplits gives every row a split where the runs do not, and a validation split
// where there is none, by a hash of the group; then it checks them.
func (r *Rows) assignSplits(seed uint64) error {
	if len(r.Split) == 0 {
		r.Split = make([]string, r.Len())
		for i := range r.Split {
			r.Split[i] = splitOf(r.Group[i], seed)
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
	return r.check()
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
		if r.Split[first] != r.Split[i] {
			return fmt.Errorf("%w: group %.60q has row %d in %s and row %d in %s", ErrLeak, g, r.Row[first], r.Split[first], r.Row[i], r.Split[i])
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
