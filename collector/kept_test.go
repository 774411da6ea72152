package collector

import (
	"slices"
	"strings"
	"testing"
	"time"

	"actfleet/collector/dataset"
	"actfleet/collector/model/modeltest"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store/mem"
)

// marked says of prompts which positions are kept: of every fourth none, of others every third one; and where their
// tokens stand in the text.
func marked(in *dataset.Input) *dataset.Input {
	for i, ids := range in.IDs {
		kept, starts, ends := []int32{}, []int32{}, []int32{}
		for pos := range int32(len(ids)) {
			if i%4 > 0 && (pos+int32(i))%3 == 0 {
				kept = append(kept, pos)
			}
			starts, ends = append(starts, 2*pos), append(ends, 2*pos+1)
		}
		in.Kept, in.Starts, in.Ends = append(in.Kept, kept), append(in.Starts, starts), append(in.Ends, ends)
	}
	return in
}

func TestRowsThatThePromptsAskFor(t *testing.T) {
	for name, in := range map[string]*dataset.Input{"each alone": marked(prompts(200)), "with a common beginning": marked(shots(prompts(200), 20))} {
		t.Run(name, func(t *testing.T) {
			st, a := mem.New(time.Now), ask(t, "mask:m")
			a.Offsets = true
			cfg := config(t, st, modeltest.NewFake(), a, in)
			if _, err := Collect(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			wantValues(t, st, cfg.Plan, in)
			var rows int64
			for _, kept := range in.Kept {
				rows += int64(len(kept))
			}
			report, err := run.Check(t.Context(), st, run.CheckOptions{Positions: func(lo, hi int64) ([][]int32, error) { return in.Kept[lo:hi], nil }})
			if err != nil || !report.Sound() || report.Rows != rows {
				t.Errorf("%+v, %v; want %d rows", report, err, rows)
			}
			e, err := Predict(t.Context(), cfg, nil)
			if err != nil || e.Rows != rows {
				t.Errorf("%d rows expected, %v; want %d", e.Rows, err, rows)
			}
			wantOffsets(t, st, cfg.Plan)
		})
	}
}

func wantOffsets(t *testing.T, st *mem.Store, plan run.Plan) {
	t.Helper()
	for u := range plan.NumUnits() {
		r, err := shard.Open(t.Context(), st, run.UnitKey(u))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for g := range r.NumGroups() {
			cols, err := r.Scalars(g, "pos", "start", "end")
			if err != nil {
				t.Fatal(err)
			}
			for i, pos := range cols[0].([]int32) {
				if start, end := cols[1].([]int32)[i], cols[2].([]int32)[i]; start != 2*pos || end != 2*pos+1 {
					t.Fatalf("the token at %d stands for %d to %d", pos, start, end)
				}
			}
		}
	}
}

func TestPromptsMustSayWhatTheRuleAsks(t *testing.T) {
	m, in := modeltest.NewFake(), prompts(20)
	if _, err := NewPlan(ask(t, "assistant"), m, in, "d", "k"); err == nil || !strings.Contains(err.Error(), "do not say which positions the token rule assistant keeps") {
		t.Errorf("no kept positions: %v", err)
	}
	a := ask(t, "not-special")
	a.Ring = &run.Ring{Bytes: 1 << 40, Readers: []string{"r"}}
	plan, err := NewPlan(a, m, marked(in), "d", "k")
	rows := 0
	for _, kept := range in.Kept {
		rows += len(kept)
	}
	if err != nil || plan.Tokens != "not-special" || plan.Ring.Rows != int64(rows) || slices.ContainsFunc(plan.Scalars, func(s shard.Scalar) bool { return s.Name == "start" }) {
		t.Errorf("%+v, %v", plan, err)
	}
	for i := range in.Kept {
		in.Kept[i] = nil
	}
	if _, err := NewPlan(a, m, in, "d", "k"); err == nil || !strings.Contains(err.Error(), "keeps no position of any prompt") {
		t.Errorf("nothing kept: %v", err)
	}
	a.Tokens, a.Offsets, in.Starts = ask(t, "all").Tokens, true, nil
	cfg := Config{Input: in, Model: m, Lanes: func() int { return 1 }}
	if cfg.Plan, err = NewPlan(a, m, in, "d", "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := newUnits(cfg); err == nil || !strings.Contains(err.Error(), "offsets") {
		t.Errorf("no offsets: %v", err)
	}
}
