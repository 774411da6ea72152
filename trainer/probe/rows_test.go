package probe

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"actfleet/shard"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/mem"
	"actfleet/trainer/stream"
)

// sourcesOf writes runs, each into a store of its own.
func sourcesOf(t *testing.T, runs ...shardtest.Run) (out []stream.Source) {
	t.Helper()
	for _, r := range runs {
		st := mem.New(time.Now)
		out = append(out, stream.Source{Store: st, Plan: r.Write(t, st)})
	}
	return out
}

// Row 7 of one run and row 7 of another are two prompts: as groups of their own they may lie in two splits.
func TestRowsOfSeveralRunsAreNotMixedUp(t *testing.T) {
	other := planted(func(r *shardtest.Run) {
		r.Rows, r.Units = r.Rows[:400], 2 // another plan
		for i := range r.Rows {
			r.Rows[i].Group = "other " + r.Rows[i].Group
			r.Rows[i].Split = "elsewhere"
		}
	})
	for _, group := range []string{"group", Prompt} {
		c := config()
		c.Scalars.Group = group
		rep, err := Fit(t.Context(), sourcesOf(t, planted(nil), other), c)
		if err != nil {
			t.Errorf("by %s: %v", group, err)
			continue
		}
		if n := len(rep.Rows.In("elsewhere")); n != 400 || rep.Rows.Group[7] == rep.Rows.Group[607] || rep.Rows.Row[7] != rep.Rows.Row[607] {
			t.Errorf("by %s: %d rows elsewhere, groups %q and %q", group, n, rep.Rows.Group[7], rep.Rows.Group[607])
		}
	}
	other.Rows[9].Group = "g2"
	_, err := Fit(t.Context(), sourcesOf(t, planted(nil), other), config())
	if !errors.Is(err, ErrLeak) || !strings.Contains(err.Error(), "row 9 of ") {
		t.Errorf("one group in the splits of two runs: %v", err)
	}
}

func TestColumnsThatAreNamedMustBeThere(t *testing.T) {
	for _, c := range []struct {
		scalars      Columns
		group, split string // as found; the error where there is one
		err          string
	}{
		{Columns{Label: "label", Group: Auto, Split: Auto}, "group", "split", ""},
		{Columns{Label: "label", Group: "split", Split: ""}, "split", "", ""},
		{Columns{Label: "label", Group: Prompt, Split: "split"}, Prompt, "split", ""},
		{Columns{Label: "label", Group: "", Split: "split"}, Prompt, "split", ""},
		{Columns{Label: "label", Group: "gruop", Split: Auto}, "", "", `has no column "gruop" for group; its data has label, group, split, p_yes; name one with --set group=COLUMN`},
		{Columns{Label: "label", Group: Auto, Split: "spilt"}, "", "", `has no column "spilt" for split`},
		{Columns{Label: "truth", Group: Auto, Split: Auto}, "", "", `has no column "truth" for label; its data has label, group`},
	} {
		var rows Rows
		_, err := columnsOf(sourcesOf(t, planted(nil)), c.scalars, &rows)
		switch {
		case c.err == "" && (err != nil || rows.GroupBy != c.group || rows.SplitBy != c.split):
			t.Errorf("%v: by %q and %q, %v", c.scalars, rows.GroupBy, rows.SplitBy, err)
		case c.err != "" && (!errors.Is(err, ErrColumn) || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%v: %v, want %q", c.scalars, err, c.err)
		}
	}
	bare := sourcesOf(t, planted(nil))
	bare[0].Plan.Scalars = slices.DeleteFunc(slices.Clone(bare[0].Plan.Scalars), func(c shard.Scalar) bool { return c.Name == "group" || c.Name == "split" })
	var rows Rows
	if _, err := columnsOf(append(sourcesOf(t, planted(nil)), bare...), Columns{Label: "label", Group: Auto, Split: Auto}, &rows); err != nil || rows.GroupBy != Prompt || rows.SplitBy != "" {
		t.Errorf("a run without: by %q and %q, %v", rows.GroupBy, rows.SplitBy, err)
	}
}

// L3: what is measured on other data was fitted before, and on none of them. What a frozen run holds never changes a probe; its rows whose group train or val has are left out, whatever its own
// splits say, and it needs neither groups nor pairs.
func TestNeverAgainL3NothingIsFittedOnAnotherRun(t *testing.T) {
	other := func(sign float32) shardtest.Run {
		return planted(func(r *shardtest.Run) {
			r.Rows, r.Units = r.Rows[:400], 2
			fill := r.Fill
			r.Fill = func(c int, row int64, pos int32, dst []float32) {
				fill(c, row, pos, dst)
				for j := range dst {
					dst[j] *= sign
				}
			}
			for i := range r.Rows[40:] { // the first ten groups are those of the run that is fitted on
				r.Rows[i+40].Group = "other " + r.Rows[i+40].Group
			}
		})
	}
	alone, err := fitRun(t, planted(nil), config())
	if err != nil {
		t.Fatal(err)
	}
	for _, sign := range []float32{1, -1} {
		c := config()
		c.Frozen = []string{"b"}
		rep, err := Fit(t.Context(), sourcesOf(t, planted(nil), other(sign)), c)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range rep.Probes {
			if !slices.Equal(linearOf(p).W, linearOf(alone.Probes[i]).W) {
				t.Errorf("%s depends on the frozen run", p.ID)
			}
		}
		// 8 of the first 10 groups are in train or val; the other 2 and 90 of its own are left
		if n := len(rep.Rows.In("b")); n != 368 || rep.Rows.LeftOut["b"] != 32 || !rep.Rows.Frozen["b"] || len(rep.Rows.In(Test)) != 120 {
			t.Errorf("%d rows are measured, %d left out", n, rep.Rows.LeftOut["b"])
		}
		if acc := accuracy(rep, rep.Scores[2], "b"); sign > 0 != (acc > 0.9) {
			t.Errorf("vectors times %v: accuracy %.2f", sign, acc)
		}
	}
	c := config()
	c.Frozen = []string{"b"}
	if _, err := Fit(t.Context(), sourcesOf(t, planted(nil), planted(func(r *shardtest.Run) { r.Rows = r.Rows[:12] })), c); !errors.Is(err, ErrLeak) {
		t.Errorf("a run of nothing but train groups: %v", err)
	}
}

// L4: the forms of one example, a truth and a lie, never lie in two splits, by hash or by column.
func TestNeverAgainL4ExamplesStayTogether(t *testing.T) {
	c := config()
	c.Scalars.Split = ""
	rep, err := fitRun(t, planted(nil), c)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{}
	for i, g := range rep.Rows.Group {
		if of[g] == "" {
			of[g] = rep.Rows.Split[i]
		}
		if of[g] != rep.Rows.Split[i] {
			t.Fatalf("group %s is in %s and %s", g, of[g], rep.Rows.Split[i])
		}
	}
	if _, err := fitRun(t, planted(func(r *shardtest.Run) { r.Rows[5].Split = "elsewhere" }), config()); !errors.Is(err, ErrLeak) {
		t.Errorf("a column that divides a group: %v", err)
	}
}

// L11: a probe over the rows' own units says exactly what it says over standardised rows.
func TestNeverAgainL11StandardisationIsUndone(t *testing.T) {
	rows, x := pairedData(20, width)
	s := newScaling(x, width, rows.In(Train))
	theta := make([]float64, width+1)
	for j := range theta {
		theta[j] = float64(j%5) - 1.7
	}
	w, b := s.fold(theta)
	all := make([]int, rows.Len())
	for i := range all {
		all[i] = i
	}
	z := s.apply(x, width, all)
	for i, got := range newLinear(w, b).Scores(x) {
		if want := dot(theta[:width], z[i*width:(i+1)*width]) + theta[width]; math.Abs(got-want) > 1e-9 {
			t.Fatalf("row %d: %v, over standardised rows %v", i, got, want)
		}
	}
}

// What spoils a probe is one clear line or a flagged number.
func TestBadRows(t *testing.T) {
	few := func(r *shardtest.Run) { r.Rows, r.Units = r.Rows[:10], 1 }
	for name, c := range map[string]struct {
		change func(*shardtest.Run)
		scalar Columns
		want   string // in the error; "" where there is none
	}{
		"one class in val": {func(r *shardtest.Run) {
			for i := range r.Rows {
				if r.Rows[i].Split == "val" {
					r.Rows[i].Label = 1
				}
			}
		}, Columns{Label: "label", Group: "group", Split: "split"}, "val split has 0 rows of label 0"},
		"ten rows": {few, Columns{Label: "label", Group: "group", Split: ""}, "split has "},
		"1:300": {func(r *shardtest.Run) {
			relabel(r, 0)
			for i := range r.Rows {
				if i == 3 || i == 290 || r.Rows[i].Split == "val" && i%50 == 12 {
					r.Rows[i].Label = 1
				}
			}
		}, Columns{Label: "label", Group: "group", Split: "split"}, ""},
		"every group alone": {func(r *shardtest.Run) {
			for i := range r.Rows {
				r.Rows[i].Group = fmt.Sprint(i)
			}
		}, Columns{Label: "label", Group: "group", Split: "split"}, ""},
		"not a number": {func(r *shardtest.Run) {
			fill := r.Fill
			r.Fill = func(c int, row int64, pos int32, dst []float32) {
				if fill(c, row, pos, dst); row == 9 {
					dst[0] = float32(math.NaN())
				}
			}
		}, Columns{Label: "label", Group: "group", Split: "split"}, "row 9 at pos 2 is not finite"},
	} {
		k := config()
		k.Scalars, k.Balanced = c.scalar, true
		k.Kinds = []string{Logistic, LogisticL1, Ridge, SVM, LDA, MassMean, MassMeanIID, MLP, Laplace, BayesRidge, Sparse}
		k.Hidden, k.K = 3, 4
		rep, err := fitRun(t, planted(c.change), k)
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "":
			for i, p := range rep.Probes {
				if p.Converged && nonFinite64(rep.Scores[i]) {
					t.Errorf("%s: %s gives what is no number", name, p.ID)
				}
			}
		}
	}
}

func nonFinite64(v []float64) bool {
	return slices.ContainsFunc(v, func(x float64) bool { return x-x != 0 })
}

// The mean and the max of a prompt's three vectors: only the last of planted's says anything, so that the mean keeps a third
// of it, and both are one row a prompt.
func TestPositions(t *testing.T) {
	for _, position := range []string{Last, Mean, Max} {
		c := config()
		c.Position, c.Columns = position, []string{"fc2_1"}
		c.Each = func(_ string, x []float32, d int, rows *Rows) error {
			if len(x) != 600*width || rows.Len() != 600 || rows.Pos[599] != 2 {
				t.Errorf("%s: %d values for %d rows", position, len(x), rows.Len())
			}
			return nil
		}
		rep, err := fitRun(t, planted(nil), c)
		if err != nil {
			t.Fatal(err)
		}
		if acc := accuracy(rep, rep.Scores[0], Test); acc < 0.65 || len(rep.Rows.Answers["p_yes"]) != 600 || len(rep.Rows.Label) != 600 {
			t.Errorf("%s: accuracy %.2f, %d labels", position, acc, len(rep.Rows.Label))
		}
	}
	p := newPooled(Mean, 2, 2)
	q := newPooled(Max, 2, 2)
	for _, r := range []struct {
		row int
		x   []float32
	}{{0, []float32{1, -4}}, {1, []float32{-3, 2}}, {0, []float32{3, -2}}} {
		p.add(r.row, r.x)
		q.add(r.row, r.x)
	}
	mean, most := make([]float32, 4), make([]float32, 4)
	p.into(mean)
	q.into(most)
	if !slices.Equal(mean, []float32{2, -3, -3, 2}) || !slices.Equal(most, []float32{3, -2, -3, 2}) {
		t.Errorf("by hand: mean %v, max %v", mean, most)
	}
}
