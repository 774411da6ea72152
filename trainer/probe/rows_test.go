package probe

import (
	"errors"
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
