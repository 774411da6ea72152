package evaluate

import (
	"math"
	"testing"
)

// answers are those to n statements, of which the first right are correct when told the truth, and the first lies when
// told to lie; a statement in two is true.
func answers(n, right, lies int) (out []Said) {
	for row := range n {
		s := Said{Row: row, Group: int32(row / 2), Label: row%2 == 0, PNo: 0.25, PYes: 0.75, Coverage: 0.5}
		s.Correct, s.Known = row < right, row < right
		out = append(out, s)
		s.Lie, s.Correct = true, row < lies
		out = append(out, s)
	}
	return out
}

func TestBehave(t *testing.T) {
	b := Behave(answers(40, 30, 10), 0.95)
	if b.N != 80 || b.Acc.Value != 0.75 || b.Acc.N != 40 || b.LieAcc.Value != 0.25 || b.KnownLie.N != 30 || math.Abs(b.KnownLie.Value-1.0/3) > 1e-12 {
		t.Errorf("%+v", b)
	}
	for _, p := range [][2]float64{{b.Balance, 0.5}, {b.PNo, 0.25}, {b.PYes, 0.75}, {b.Coverage, 0.5}} {
		if math.Abs(p[0]-p[1]) > 1e-12 {
			t.Errorf("%v, want %v: %+v", p[0], p[1], b)
		}
	}
	for _, s := range []Share{b.Acc, b.LieAcc, b.KnownLie} {
		if plain := Wilson(s.Value*float64(s.N), float64(s.N), 0.95); !s.Interval.Contains(s.Value) || s.Interval.Hi-s.Interval.Lo < plain.Hi-plain.Lo {
			t.Errorf("%+v: rows of a group are alike, so the interval is no narrower than %v", s, plain)
		}
	}
	if none := Behave(nil, 0.95); none.Acc.N != 0 || none.Acc.Interval.Defined() || none.N != 0 {
		t.Errorf("%+v", none)
	}
	truthful := Behave([]Said{{Correct: true}}, 0.95)
	if truthful.LieAcc.N != 0 || truthful.LieAcc.Interval.Defined() || truthful.Acc.Value != 1 {
		t.Errorf("%+v", truthful)
	}
}

func TestCompareAnswers(t *testing.T) {
	base, one := answers(40, 30, 10), answers(38, 20, 16)
	p := Compare(base, one)
	if p.N != 76 || p.OnlyBase != 10 || p.OnlyOne != 6 || p.P != McNemar(10, 6) {
		t.Errorf("%+v", p)
	}
	if self := Compare(base, base); self.OnlyBase+self.OnlyOne != 0 || self.P != 1 {
		t.Errorf("%+v", self)
	}
}
