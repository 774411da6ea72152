package probe

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"actfleet/shard"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/mem"
	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const width = 12

// source commits a run to a store in memory.
func source(tb testing.TB, r shardtest.Run) stream.Source {
	st := mem.New(time.Now)
	return stream.Source{Store: st, Plan: r.Write(tb, st)}
}

// planted is a run of 600 prompts in 150 groups; the label shifts fc2_1 along
// direction(j), says nothing in fc2_0, and feature 3 of fc2_1 is constant. Tokens
// that are not the last carry noise of another label.
func planted(change func(*shardtest.Run)) shardtest.Run {
	r := rand.New(rand.NewPCG(3, 3))
	run := shardtest.Run{Tokens: "all", Units: 3, Rows: make([]shardtest.Row, 600),
		Vectors: []shard.Vector{{Name: "fc2_0", Width: width, Dtype: shard.F32}, {Name: "fc2_1", Width: width, Dtype: shard.F32}}}
	noise := make([]float32, 600*width)
	for i := range noise {
		noise[i] = float32(r.NormFloat64())
	}
	for i := range run.Rows {
		run.Rows[i] = shardtest.Row{Tokens: 3, Label: int32(r.IntN(2)), Group: fmt.Sprint("g", i/4), PYes: float32(r.Float64())}
		run.Rows[i].Split = []string{"train", "train", "train", "val", "test"}[i/4%5]
	}
	run.Fill = func(c int, row int64, pos int32, dst []float32) {
		for j := range dst {
			dst[j] = 50 + noise[int(row)*width+j]
			if c == 1 && pos == 2 {
				dst[j] += 2 * (float32(run.Rows[row].Label) - 0.5) * direction(j)
			}
		}
		if c == 1 {
			dst[3] = 7
		}
	}
	if change != nil {
		change(&run)
	}
	return run
}

func direction(j int) float32 { return float32(math.Sin(float64(j)*2.3) * 1.2) }

func config() Config {
	return Config{Columns: []string{"fc2_0", "fc2_1"}, Kinds: []string{Logistic, MassMean}, L2: []float64{1e-3, 1e-2, .1, 1},
		MaxIter: 500, Filter: stream.Filter{Tokens: "last"}, Scalars: Columns{Label: "label", Group: "group", Split: "split"}}
}

func fitRun(t testing.TB, run shardtest.Run, c Config) (*Report, error) {
	t.Helper()
	return Fit(t.Context(), []stream.Source{source(t, run)}, c)
}

func linearOf(p Probe) *Linear { return p.Model.(*Linear) }

// accuracy of scores over a split.
func accuracy(r *Report, scores []float64, split string) float64 {
	rows, right := r.Rows.In(split), 0
	for _, i := range rows {
		if scores[i] > 0.5 == r.Rows.Label[i] {
			right++
		}
	}
	return float64(right) / float64(len(rows))
}

func TestFindsPlantedDirection(t *testing.T) {
	var seen []string
	c := config()
	c.Each = func(column string, x []float32, d int, rows *Rows) error {
		seen = append(seen, column)
		if d != width || len(x) != 600*width || rows.Len() != 600 {
			t.Errorf("%s: %d values of %d for %d rows", column, len(x), d, rows.Len())
		}
		return nil
	}
	rep, err := fitRun(t, planted(nil), c)
	if err != nil {
		t.Fatal(err)
	}
	if n := []int{len(rep.Rows.In(Train)), len(rep.Rows.In(Val)), len(rep.Rows.In(Test))}; !slices.Equal(n, []int{360, 120, 120}) {
		t.Errorf("splits %v", n)
	}
	for i, p := range rep.Probes {
		if !p.Converged {
			t.Fatalf("%s did not converge: gradient %v", p.ID, p.Gradient)
		}
		acc := accuracy(rep, rep.Scores[i], Test)
		if strings.HasSuffix(p.ID, "fc2_0") {
			if acc > 0.65 || p.ValLoss < 0.6 {
				t.Errorf("%s finds something in noise: accuracy %.2f", p.ID, acc)
			}
			continue
		}
		w := linearOf(p).W
		if acc < 0.9 || w[3] != 0 && p.Kind == MassMean {
			t.Errorf("%s: accuracy %.2f, weight of a constant %v", p.ID, acc, w[3])
		}
		var dot, ww, dd float64
		for j, w := range w {
			v := float64(direction(j))
			if j == 3 {
				v = 0
			}
			dot, ww, dd = dot+w*v, ww+w*w, dd+v*v
		}
		if cos := dot / math.Sqrt(ww*dd); cos < 0.9 {
			t.Errorf("%s points elsewhere: cosine %.2f", p.ID, cos)
		}
	}
	if best := rep.Best(); rep.Probes[best].Column != "fc2_1" {
		t.Errorf("best is %s", rep.Probes[best].ID)
	}
	slices.Sort(seen)
	if !slices.Equal(seen, []string{"fc2_0", "fc2_1"}) {
		t.Errorf("Each saw %v", seen)
	}
	if names := []string{rep.Baselines[0].Name, rep.Baselines[1].Name, rep.Baselines[2].Name}; !slices.Equal(names, []string{"n_tokens", "token_id", "p_yes"}) {
		t.Errorf("baselines %v", names)
	}
	if len(rep.Baselines[2].Scores) != 600 {
		t.Error("the model's answer is missing")
	}
}

// What the test rows hold never changes a probe.
func TestTestRowsDoNotMatter(t *testing.T) {
	a, err := fitRun(t, planted(nil), config())
	if err != nil {
		t.Fatal(err)
	}
	b, err := fitRun(t, planted(func(r *shardtest.Run) {
		fill := r.Fill
		r.Fill = func(c int, row int64, pos int32, dst []float32) {
			fill(c, row, pos, dst)
			if r.Rows[row].Split == "test" {
				for j := range dst {
					dst[j] = float32(row) * -3
				}
			}
		}
		for i := range r.Rows {
			if r.Rows[i].Split == "test" {
				r.Rows[i].Label = 1 - r.Rows[i].Label
			}
		}
	}), config())
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Probes {
		if !slices.Equal(linearOf(a.Probes[i]).W, linearOf(b.Probes[i]).W) || linearOf(a.Probes[i]).B[0] != linearOf(b.Probes[i]).B[0] {
			t.Errorf("%s depends on the test rows", a.Probes[i].ID)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*shardtest.Run)
		want   error
	}{
		"group in two splits": {func(r *shardtest.Run) { r.Rows[1].Split = "test" }, ErrLeak},
		"label of 2":          {func(r *shardtest.Run) { r.Rows[17].Label = 2 }, ErrLabel},
		"one class":           {func(r *shardtest.Run) { relabel(r, 1) }, ErrLabel},
	} {
		if _, err := fitRun(t, planted(c.change), config()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Config){
		"column":    func(c *Config) { c.Columns = []string{"fc9_9"} },
		"label":     func(c *Config) { c.Scalars.Label = "nope" },
		"group":     func(c *Config) { c.Scalars.Group = "gruop" },
		"split":     func(c *Config) { c.Scalars.Split = "spilt" },
		"map":       func(c *Config) { c.LabelMap = []string{"no=2"} },
		"mapped":    func(c *Config) { c.LabelMap = []string{"never=1"} },
		"kind":      func(c *Config) { c.Kinds = []string{"svn"} },
		"no rows":   func(c *Config) { c.Filter.Where = []string{"split=x"} },
		"no column": func(c *Config) { c.Columns = nil },
	} {
		c := config()
		change(&c)
		if _, err := fitRun(t, planted(nil), c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := fitRun(t, planted(func(r *shardtest.Run) {
		fill := r.Fill
		r.Fill = func(c int, row int64, pos int32, dst []float32) {
			if fill(c, row, pos, dst); row == 5 {
				dst[1] = float32(math.Inf(1))
			}
		}
	}), config())
	if err == nil || !strings.Contains(err.Error(), "row 5 at pos 2 is not finite") {
		t.Errorf("an infinite vector: %v", err)
	}
}

func relabel(r *shardtest.Run, label int32) {
	for i := range r.Rows {
		r.Rows[i].Label = label
	}
}

// A fit that is stopped early says so, has no scores and is not saved.
func TestUnconverged(t *testing.T) {
	c := config()
	c.MaxIter = 1
	rep, err := fitRun(t, planted(nil), c)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range rep.Probes {
		if p.Kind == Logistic && (p.Converged || rep.Scores[i] != nil || p.Gradient <= gradientLimit) {
			t.Errorf("%s: converged %v, gradient %v", p.ID, p.Converged, p.Gradient)
		}
	}
	if rep.Probes[rep.Best()].Kind != MassMean {
		t.Error("an unconverged probe is the best")
	}
}

// Without a split column groups are split by hash, whole, the same for every order.
func TestHashedSplits(t *testing.T) {
	c := config()
	c.Scalars.Split = ""
	rep, err := fitRun(t, planted(nil), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := rep.Rows.check(); err != nil {
		t.Error(err)
	}
	for split, want := range map[string]float64{Train: .6, Val: .2, Test: .2} {
		if share := float64(len(rep.Rows.In(split))) / 600; math.Abs(share-want) > 0.1 {
			t.Errorf("%s is %.2f of the rows, want %.2f", split, share, want)
		}
	}
	c.Scalars.Group = Prompt
	if rep, err = fitRun(t, planted(nil), c); err != nil || rep.Rows.GroupBy != Prompt || rep.Rows.Group[7] != "row 7" {
		t.Errorf("ungrouped: %v", err)
	}
	// A run without val: a part of train becomes val.
	rep, err = fitRun(t, planted(func(r *shardtest.Run) {
		for i := range r.Rows {
			if r.Rows[i].Split == "val" {
				r.Rows[i].Split = "ood"
			}
		}
	}), config())
	if err != nil || len(rep.Rows.In(Val)) == 0 || len(rep.Rows.In("ood")) != 120 {
		t.Errorf("without val: %v", err)
	}
}

// The gradient agrees with finite differences of the loss.
func TestLogisticGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const n, d = 30, 4
	z := make([]float64, n*d)
	for i := range z {
		z[i] = r.NormFloat64()
	}
	label := make([]bool, n)
	for i := range label {
		label[i] = r.IntN(2) == 1
	}
	p := newMargin(z, n, d, label, logisticLoss)
	p.l2 = 0.3
	theta, grad := make([]float64, d+1), make([]float64, d+1)
	for i := range theta {
		theta[i] = r.NormFloat64()
	}
	p.gradient(grad, theta)
	for i := range theta {
		const h = 1e-6
		up, down := slices.Clone(theta), slices.Clone(theta)
		up[i] += h
		down[i] -= h
		if want := (p.objective(up) - p.objective(down)) / (2 * h); math.Abs(grad[i]-want) > 1e-7 {
			t.Errorf("∂%d = %v, want %v", i, grad[i], want)
		}
	}
}

// Two points: by symmetry b = 0, and w solves w·l2 = σ(−w).
func TestLogisticByHand(t *testing.T) {
	p := newMargin([]float64{1, -1}, 2, 1, []bool{true, false}, logisticLoss)
	theta := []float64{0, 0}
	f := p.minimise(0.5, theta, 100)
	if !f.Converged || math.Abs(theta[1]) > 1e-5 || math.Abs(0.5*theta[0]-sigmoid(-theta[0])) > 1e-5 {
		t.Errorf("θ = %v, %+v", theta, f)
	}
}

// By hand: classes at 1±1 and 5±1 have θ = 4, midpoint 3, and variance 16 along θ.
func TestMassMeanByHand(t *testing.T) {
	m, _ := massMean([]float32{0, 2, 4, 6}, 1, []int{0, 1, 2, 3}, []bool{false, false, true, true})
	if m.W[0] != 4 || m.B[0] != -12 {
		t.Errorf("w %v, b %v; want 4 and -12", m.W, m.B)
	}
	if _, same := massMean([]float32{1, 1}, 1, []int{0, 1}, []bool{false, true}); same.Converged {
		t.Error("classes with one mean have a direction")
	}
}

func TestRates(t *testing.T) {
	d := data{Rows: Rows{Row: make([]int64, 4), Label: []bool{true, true, false, false}, Split: []string{Train, Train, Train, Test}}}
	got := d.rates([]int32{5, 5, 6, 9})
	want := []float64{(2 + 4./3) / 4, (2 + 4./3) / 4, (4. / 3) / 3, 2. / 3}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// A coder's folder may come from anyone: a network without a hidden unit does not know how long its rows are.
func TestAnEmptyNetworkIsRefused(t *testing.T) {
	if newNetwork(0, width).check() == nil || newNetwork(1, width).check() != nil {
		t.Error("want a hidden unit, and no more")
	}
}

func TestSaveLoad(t *testing.T) {
	c := config()
	c.Kinds, c.Hidden, c.K = Kinds(), 4, 6
	rep, x := fitPairs(t, c)
	path := filepath.Join(t.TempDir(), "coder.safetensors")
	if err := rep.Save(path); err != nil {
		t.Fatal(err)
	}
	var fits []coder.Fit
	for _, p := range rep.Probes {
		fits = append(fits, p.Fit)
	}
	back, err := Load(path, fits)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range back {
		if !slices.Equal(p.Scores(x), rep.Probes[i].Scores(x)) {
			t.Errorf("%s comes back differently", p.ID)
		}
	}
}
