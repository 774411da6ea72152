package collector

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"actfleet/collector/dataset"
	"actfleet/collector/model/modeltest"
	"actfleet/coordinator"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// prompts makes n prompts of 1 to 40 tokens with the columns a truth data set has.
func prompts(n int) *dataset.Input {
	in := &dataset.Input{Digest: "digest"}
	label, group := make([]int64, n), make([]string, n)
	for i := range n {
		ids := make([]int32, 1+(i*i+3*i)%40)
		for t := range ids {
			ids[t] = int32((i*13 + t*5) % 100)
		}
		in.IDs = append(in.IDs, ids)
		in.Text = append(in.Text, fmt.Sprintf("prompt %d", i))
		label[i], group[i] = int64(i%2), fmt.Sprintf("g%d", i/2)
	}
	in.Columns = []dataset.Column{{Name: "label", Type: dataset.Int64, Values: label}, {Name: "group", Type: dataset.String, Values: group}}
	return in
}

func ask(t *testing.T, rule string) Ask {
	t.Helper()
	r, err := tap.ParseRule(rule)
	if err != nil {
		t.Fatal(err)
	}
	return Ask{Sites: tap.Sites, Layers: []int{0, 2}, Tokens: r, Dtype: "auto", Template: "none"}
}

// config is a node of its own over st; several may share st.
func config(t *testing.T, st store.Store, m Model, a Ask, in *dataset.Input) Config {
	t.Helper()
	plan, err := NewPlan(a, m, in, "data.jsonl", run.InputKey("x"))
	if err != nil {
		t.Fatal(err)
	}
	plan.Units = []int64{0, 50, 51, 120, int64(len(in.IDs))}
	if err := plan.Validate(); err != nil {
		t.Fatal(err)
	}
	if _, err := run.CreatePlan(t.Context(), st, plan); err != nil {
		t.Fatal(err)
	}
	return nodeOf(t, st, plan, in, m)
}

// nodeOf is a node of its own that works on a plan.
func nodeOf(t *testing.T, st store.Store, plan run.Plan, in *dataset.Input, m Model) Config {
	t.Helper()
	return Config{
		Node: "me", Store: st, Plan: plan, Input: in, Model: m, Fleet: alone(t, st, plan),
		Encode:  func(text string) []int32 { return map[string][]int32{" no": {5}, "yes": {6}, " yes": {7}}[text] },
		Token:   func(id int32) string { return fmt.Sprintf("<%d>", id) },
		Observe: func(Event) {}, Now: time.Now, Lanes: func() int { return 2 },
	}
}

func alone(t *testing.T, st store.Store, plan run.Plan) *coordinator.Coordinator {
	t.Helper()
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Units, cfg.PlanID = coordinator.NodeID(fmt.Sprintf("n%p", &cfg)), plan.NumUnits(), plan.ID()
	c, err := coordinator.New(cfg, Ledger{Store: st, Plan: plan}, coordinator.Alone(cfg.Node, "host", plan.ID(), plan.NumUnits()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryRowOnceWithTheModelsValues(t *testing.T) {
	for _, rule := range []string{"all", "last", "every:7", "pos:-2"} {
		t.Run(rule, func(t *testing.T) {
			st, in := mem.New(time.Now), prompts(200)
			cfg := config(t, st, modeltest.NewFake(), ask(t, rule), in)
			sum, err := Collect(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if sum.Won != 4 || sum.Lost != 0 {
				t.Errorf("won %d, lost %d units, want 4 and 0", sum.Won, sum.Lost)
			}
			if _, _, err := run.Finish(t.Context(), st, cfg.Plan); err != nil {
				t.Fatal(err)
			}
			wantClean(t, st)
			wantValues(t, st, cfg.Plan, in)
		})
	}
}

func wantClean(t *testing.T, st store.Store) {
	t.Helper()
	report, err := run.Check(t.Context(), st, run.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range report.Damage {
		t.Errorf("check: %v", d)
	}
}

// wantValues compares every stored vector with the fake model's closed form.
func wantValues(t *testing.T, st store.Store, plan run.Plan, in *dataset.Input) {
	t.Helper()
	rule, _ := tap.ParseRule(plan.Tokens)
	seen := map[[2]int64]bool{}
	for u := range plan.NumUnits() {
		r, err := shard.Open(t.Context(), st, run.UnitKey(u))
		if err != nil {
			t.Fatal(err)
		}
		for g := range r.NumGroups() {
			wantGroup(t, r, g, plan, in, seen)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	prompts, err := measure(in, rule)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, rows := range prompts.rows {
		want += int(rows)
	}
	if len(seen) != want {
		t.Errorf("%d rows, want %d", len(seen), want)
	}
}

func wantGroup(t *testing.T, r *shard.Reader, g int, plan run.Plan, in *dataset.Input, seen map[[2]int64]bool) {
	t.Helper()
	cols, err := r.Scalars(g, "row", "pos", "token_id", "group")
	if err != nil {
		t.Fatal(err)
	}
	rows, pos, ids, groups := cols[0].([]int64), cols[1].([]int32), cols[2].([]int32), cols[3].([]string)
	for i := range rows {
		seen[[2]int64{rows[i], int64(pos[i])}] = true
		if ids[i] != in.IDs[rows[i]][pos[i]] || groups[i] != fmt.Sprintf("g%d", rows[i]/2) {
			t.Fatalf("row %d pos %d: token %d, group %s", rows[i], pos[i], ids[i], groups[i])
		}
	}
	for c, v := range plan.Vectors {
		at, _, _ := tap.ParseColumn(v.Name)
		raw, err := r.Vector(g, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(raw)/2)
		shard.UnpackF16(got, raw)
		for i := range rows {
			for d := range v.Width {
				if want := modeltest.Value(at, ids[i], int(pos[i]), d); got[i*v.Width+d] != want {
					t.Fatalf("%s of row %d pos %d channel %d is %v, want %v", v.Name, rows[i], pos[i], d, got[i*v.Width+d], want)
				}
			}
		}
	}
}

func TestSameBytesFromOneAndThreeNodes(t *testing.T) {
	in := prompts(200)
	one := mem.New(time.Now)
	if _, err := Collect(t.Context(), config(t, one, modeltest.NewFake(), ask(t, "all"), in)); err != nil {
		t.Fatal(err)
	}
	three := mem.New(time.Now)
	var wg sync.WaitGroup
	won := make([]Summary, 3)
	for i := range won {
		cfg := config(t, three, modeltest.NewFake(), ask(t, "all"), in)
		wg.Go(func() {
			var err error
			if won[i], err = Collect(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if total := won[0].Won + won[1].Won + won[2].Won; total != 4 {
		t.Errorf("three nodes committed %d units, want 4", total)
	}
	for u := range 4 {
		if a, b := sum(t, one, u), sum(t, three, u); a != b {
			t.Errorf("unit %d: %x from one node, %x from three", u, a[:4], b[:4])
		}
	}
}

func sum(t *testing.T, st store.Store, u int) [32]byte {
	t.Helper()
	o, err := st.Open(t.Context(), run.UnitKey(u))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	b := make([]byte, o.Size())
	if _, err := o.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func TestNaNIsNamedAndLeavesNothing(t *testing.T) {
	m := modeltest.NewFake()
	bad := tap.Tap{Site: tap.FC1, Layer: 2}
	m.Spoil = func(at tap.Tap, id int32, pos, d int, x float32) float32 {
		if at == bad && id == 13 && pos == 0 && d == 5 {
			return float32(math.NaN())
		}
		return x
	}
	st := mem.New(time.Now)
	_, err := Collect(t.Context(), config(t, st, m, ask(t, "all"), prompts(200)))
	if !errors.Is(err, ErrNonFinite) || !strings.Contains(err.Error(), "position 0: fc1 of layer 2, channel 5 is NaN") {
		t.Fatalf("error %v does not name the value", err)
	}
	wantNotCommitted(t, st, 0, 2) // the units of rows 1 and 101, which start with token 13
}

func wantNotCommitted(t *testing.T, st store.Store, units ...int) {
	t.Helper()
	for _, u := range units {
		if _, err := st.Open(t.Context(), run.UnitKey(u)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unit %d: %v, want nothing there", u, err)
		}
	}
}

func TestOverflow(t *testing.T) {
	m := modeltest.NewFake()
	m.Spoil = func(at tap.Tap, id int32, pos, d int, x float32) float32 {
		if at.Site == tap.Resid && at.Layer == 2 && d == 3 {
			return 70000
		}
		return x
	}
	in := prompts(130)
	t.Run("auto stores the column in fp32", func(t *testing.T) {
		st := mem.New(time.Now)
		if _, err := Collect(t.Context(), config(t, st, m, ask(t, "all"), in)); err != nil {
			t.Fatal(err)
		}
		r, err := shard.Open(t.Context(), st, run.UnitKey(0))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, v := range r.Schema().Vectors {
			if want := v.Name == "resid_2"; (v.Dtype == shard.F32) != want {
				t.Errorf("%s is %v", v.Name, v.Dtype)
			}
		}
		wantClean(t, st)
	})
	t.Run("f16 stops", func(t *testing.T) {
		a := ask(t, "all")
		a.Dtype = "f16"
		st := mem.New(time.Now)
		if _, err := Collect(t.Context(), config(t, st, m, a, in)); !errors.Is(err, ErrOverflow) {
			t.Errorf("error %v, want ErrOverflow", err)
		}
		wantNotCommitted(t, st, 0, 1, 2, 3)
	})
}

// L8: the probabilities of the choices are each row's own, whatever stands beside it in a batch, and renormalised over the
// choices.
func TestNeverAgainL8ChoicesAreOfTheirOwnRow(t *testing.T) {
	st, in := mem.New(time.Now), prompts(130)
	in.IDs[3] = []int32{1, 4} // the fake's next token is then 5, " no"
	in.IDs[4] = []int32{1, 6} // 7, " yes"
	a := ask(t, "last")
	a.Choices = []string{"no", "yes"}
	cfg := config(t, st, modeltest.NewFake(), a, in)
	if _, err := Collect(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	r, err := shard.Open(t.Context(), st, run.UnitKey(0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cols, err := r.Scalars(0, "row", "p_yes", "p_no", "choice_cov")
	if err != nil {
		t.Fatal(err)
	}
	e3 := math.Exp(3)
	for i, row := range cols[0].([]int64) {
		yes, no := cols[1].([]float32)[i], cols[2].([]float32)[i]
		switch want := map[int64]float64{3: 2 / (e3 + 2), 4: (e3 + 1) / (e3 + 2)}[row]; {
		case want != 0 && math.Abs(float64(yes)-want) > 1e-6:
			t.Errorf("row %d: p_yes %v, want %v", row, yes, want)
		case math.Abs(float64(yes+no)-1) > 1e-6:
			t.Errorf("row %d: p_yes + p_no = %v", row, yes+no)
		}
	}
}

// Every operation on the store fails once, before or after it was done; the same run again finishes.
func TestStoreFaultsLeaveNothingAndTheNextRunFinishes(t *testing.T) {
	in := prompts(200)
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			st := mem.New(time.Now)
			cfg := config(t, st, modeltest.NewFake(), ask(t, "last"), in)
			broken := fault.Wrap(st, fault.Faults{FailAt: at, After: after})
			cfg.Store, cfg.Fleet = broken, alone(t, broken, cfg.Plan)
			_, err := Collect(t.Context(), cfg)
			if !broken.Fired() {
				break
			}
			if err != nil && !errors.Is(err, fault.ErrInjected) {
				t.Fatalf("operation %d: %v", at, err)
			}
			cfg.Store, cfg.Fleet = st, alone(t, st, cfg.Plan)
			if _, err := Collect(t.Context(), cfg); err != nil {
				t.Fatalf("after operation %d failed: %v", at, err)
			}
			wantClean(t, st)
		}
	}
}

func TestFullDisk(t *testing.T) {
	st := mem.New(time.Now)
	cfg := config(t, st, modeltest.NewFake(), ask(t, "all"), prompts(200))
	full := fault.Wrap(st, fault.Faults{Space: 100_000})
	cfg.Store, cfg.Fleet = full, alone(t, full, cfg.Plan)
	_, err := Collect(t.Context(), cfg)
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want one line that says the disk is full", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := modeltest.NewFake()
	var calls atomic.Int32
	m.Before = func(context.Context) error {
		if calls.Add(1) == 2 {
			cancel()
		}
		return nil
	}
	st := mem.New(time.Now)
	_, err := Collect(ctx, config(t, st, m, ask(t, "all"), prompts(200)))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
