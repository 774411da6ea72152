package measure

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/recon"
	"actfleet/trainer/stream"
)

// scripted is a meter whose latents of row b are scripted.
type scripted struct {
	latents [][]int32
	values  [][]float32
}

func (s scripted) Active(b int) ([]int32, []float32) { return s.latents[b], s.values[b] }
func (s scripted) Firing() recon.Firing              { return recon.Firing{N: 1, Count: make([]int64, 9)} }

// The greatest of each latent are kept, one of a prompt, equal values once.
func TestGallery(t *testing.T) {
	var g gallery
	for row := range 10 {
		v := float32(row)
		g.add(scripted{[][]int32{{3}, {3, 5}}, [][]float32{{v}, {v + .5, 1}}},
			[]stream.Key{{Prompt: int64(row), Pos: 0}, {Prompt: int64(row), Pos: 1}})
	}
	var got []float32
	for _, h := range g.best[3] {
		got = append(got, h.value)
		if h.key.Pos != 1 {
			t.Errorf("%v of row %d: the lesser position of the prompt", h.value, h.key.Prompt)
		}
	}
	if want := []float32{9.5, 8.5, 7.5, 6.5, 5.5, 4.5}; !slices.Equal(got, want) {
		t.Errorf("latent 3: %v, want %v", got, want)
	}
	g.add(scripted{[][]int32{{3}}, [][]float32{{9.5}}}, []stream.Key{{Prompt: 99}}) // begins like row 9
	if g.best[3][1].value != 8.5 {
		t.Errorf("latent 3: %v twice", g.best[3][1].value)
	}
	if len(g.best[5]) != 1 {
		t.Errorf("latent 5: %d rows of one value", len(g.best[5]))
	}
}

// Text goes to both sides until a neighbour is missing, and says where it was cut.
func TestContext(t *testing.T) {
	tokens := map[int32]string{}
	for i, s := range []string{"a", "b", "c", "", "e", "f"} {
		if s != "" {
			tokens[int32(i)] = s
		}
	}
	r := reader{tokens: map[promptOf]map[int32]string{{0, 7}: tokens}}
	for pos, want := range map[int32]coder.Context{1: {Before: "a", Token: "b", After: "c"}, 4: {Before: "…", Token: "e", After: "f"}} {
		c := r.context(hit{key: stream.Key{Prompt: 7, Pos: pos}})
		if c.Before != want.Before || c.Token != want.Token || c.After != want.After {
			t.Errorf("position %d: %q %q %q", pos, c.Before, c.Token, c.After)
		}
	}
}

// linear is a host of one linear map: logits = 2·x, x the one-hot of the token; the states are the logits.
type linear struct {
	begun, runs, ran int       // batches that are not freed, runs of all, and prompts that ran
	ids              [][]int32 // by row; nil is always the same
}

func (h *linear) Prompt(_ int, row int64) ([]int32, error) {
	if h.ids != nil {
		return h.ids[row], nil
	}
	return []int32{0, 2, 2, 2}, nil
}

func (h *linear) one(ids []int32) []float32 {
	x := make([]float32, 3*len(ids))
	for t, id := range ids {
		x[3*t+int(id)] = 2
	}
	return x
}

func (h *linear) Begin(_ context.Context, prompts [][]int32, _ int, from []int32) (PatchedBatch, error) {
	h.begun++
	return &linearBatch{h, behind(prompts, from)}, nil
}

// behind is what of the prompts matters.
func behind(prompts [][]int32, from []int32) (out [][]int32) {
	for i, ids := range prompts {
		out = append(out, ids[from[i]:])
	}
	return out
}

type linearBatch struct {
	*linear
	prompts [][]int32
}

func (h *linearBatch) Free() { h.begun-- }

func (h *linearBatch) Run(_ context.Context, at func(column, prompt int, x []float32) (bool, error)) (out [][]float32, err error) {
	h.runs++
	for i, ids := range h.prompts {
		h.ran++
		x := h.one(ids)
		_, failed := at(0, i, x)
		out, err = append(out, x), errors.Join(err, failed)
	}
	return out, err
}

func (h *linear) Readout(states []float32, n int) ([]float32, error) { return states, nil }

var oneColumn = form{columns: []string{"resid_0"}, widths: []int{3}, out: []int{0}}

// twice is a host of two columns, 2·x and 3·x, whose sum is the logits.
type twice struct{ linear }

func (h *twice) Begin(_ context.Context, prompts [][]int32, _ int, from []int32) (PatchedBatch, error) {
	h.begun++
	return &twiceBatch{linearBatch{&h.linear, behind(prompts, from)}}, nil
}

type twiceBatch struct{ linearBatch }

func (h *twiceBatch) Run(_ context.Context, at func(column, prompt int, x []float32) (bool, error)) (out [][]float32, err error) {
	h.runs++
	var a, b [][]float32
	for i, ids := range h.prompts {
		a, b = append(a, h.one(ids)), append(b, h.one(ids))
		for j := range b[i] {
			b[i][j] *= 1.5
		}
	}
	for column, x := range [][][]float32{a, b} {
		for i := range a {
			if _, err := at(column, i, x[i]); err != nil {
				return nil, err
			}
		}
	}
	for i := range a {
		for j, v := range b[i] {
			a[i][j] += v
		}
	}
	return a, nil
}

// halved reconstructs half of a vector.
type halved struct{ Meter }

func (halved) Reconstruct(x, xhat []float32, n int) error {
	for i, v := range x {
		xhat[i] = v / 2
	}
	return nil
}

// The numbers are those of the definitions, computed by hand for logits (2,0,0), (1,0,0) and 0.
func TestRecovered(t *testing.T) {
	h := &linear{}
	m, _, err := recovered(t.Context(), h, halved{}, oneColumn, sampled{order: []promptOf{{0, 4}}, at: map[promptOf][]int32{{0, 4}: {2, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	// Positions 1 and 2 are replaced, 3 is not; 1 and 2 have a next token, which is the likeliest.
	z := func(a float64) float64 { return math.Log(math.Exp(a) + 2) }
	p := math.Exp(2) / (math.Exp(2) + 2)
	kl := func(a float64) float64 { return p*(2-z(2)-a+z(a)) + (1-p)*(-z(2)+z(a)) }
	want := map[string]float64{"prompts": 1, "ce_clean": z(2) - 2, "ce_coder": z(1) - 1, "ce_zero": z(0),
		"loss_recovered": (z(0) - z(1) + 1) / (z(0) - z(2) + 2), "kl_coder": 2 * kl(1) / 3, "kl_zero": 2 * kl(0) / 3, "kl_score": 1 - kl(1)/kl(0)}
	for name, v := range want {
		if math.Abs(m[name]-v) > 1e-9 {
			t.Errorf("%s = %v, want %v", name, m[name], v)
		}
	}
	if len(m) != len(want) || h.runs != 3 {
		t.Errorf("%d metrics, %d runs", len(m), h.runs)
	}
	// (8 − 3.5)/(8 − 3.2) is the vector of the definition.
	l := losses{tokens: 1, positions: 1, zero: 8, coder: 3.5, clean: 3.2}
	if got := l.lossRecovered(); math.Abs(got-.9375) > 1e-12 {
		t.Errorf("loss recovered %v, want .9375", got)
	}
}

// Each column of a crosscoder is replaced by itself; the means are over both.
func TestRecoveredOfCrosscoder(t *testing.T) {
	h := &twice{}
	two := form{columns: []string{"fc1_0", "fc2_0"}, widths: []int{3, 3}, out: []int{0, 1}}
	m, _, err := recovered(t.Context(), h, halved{}, two, sampled{order: []promptOf{{}}, at: map[promptOf][]int32{{}: {1, 2}}})
	if err != nil {
		t.Fatal(err)
	}
	ce := func(a float64) float64 { return math.Log(math.Exp(a)+2) - a } // of logits (a, 0, 0)
	of := func(coder, zero float64) float64 { return (ce(zero) - ce(coder)) / (ce(zero) - ce(5)) }
	want := map[string]float64{"ce_clean": ce(5), "ce_coder": (ce(4) + ce(3.5)) / 2, "ce_zero": (ce(3) + ce(2)) / 2,
		"loss_recovered@fc1_0": of(4, 3), "loss_recovered@fc2_0": of(3.5, 2)}
	for name, v := range want {
		if math.Abs(m[name]-v) > 1e-9 {
			t.Errorf("%s = %v, want %v", name, m[name], v)
		}
	}
	if h.runs != 5 || m["kl_score@fc1_0"] == 0 {
		t.Errorf("%d runs, %v", h.runs, m)
	}
}

// threefold predicts the second column from the first.
type threefold struct{ Meter }

func (threefold) Reconstruct(x, xhat []float32, n int) error {
	for b := range n {
		for j := range 3 {
			xhat[b*3+j] = x[b*6+j] * 3 / 2
		}
	}
	return nil
}

// A transcoder's prediction takes the place of its target, if the model computes that later.
func TestRecoveredOfTranscoder(t *testing.T) {
	f := form{columns: []string{"resid_0", "fc2_1"}, widths: []int{3, 3}, out: []int{1}}
	m, _, err := recovered(t.Context(), &twice{}, threefold{}, f, sampled{order: []promptOf{{}}, at: map[promptOf][]int32{{}: {1}}})
	if err != nil || m["loss_recovered"] != 1 || m["kl_coder"] != 0 || len(m) != 8 {
		t.Errorf("%v, %v", m, err)
	}
	f.out = []int{0} // as if the target came first
	if _, _, err = recovered(t.Context(), &twice{}, threefold{}, f, sampled{order: []promptOf{{}}, at: map[promptOf][]int32{{}: {1}}}); err == nil || !strings.Contains(err.Error(), "computes resid_0 before fc2_1") {
		t.Errorf("a target that is computed first: %v", err)
	}
}

// A prompt that is shorter than what the run holds of it is another prompt.
func TestRecoveredRefusesOtherPrompts(t *testing.T) {
	_, _, err := recovered(t.Context(), &linear{}, halved{}, oneColumn, sampled{order: []promptOf{{}}, at: map[promptOf][]int32{{}: {4}}})
	if err == nil {
		t.Error("accepted")
	}
}

// Prompts that go through the model together give what they give one by one.
func TestRecoveredOfBatches(t *testing.T) {
	long := func(n int) (ids []int32) {
		for i := range n {
			ids = append(ids, int32(i*i%3))
		}
		return ids
	}
	h := &linear{ids: [][]int32{long(300), long(12), long(700), long(40), long(41), long(9)}}
	s := sampled{at: map[promptOf][]int32{}}
	for row := range h.ids {
		p := promptOf{prompt: int64(row)}
		s.order = append(s.order, p)
		s.at[p] = []int32{8}
		if n := len(h.ids[row]); n > 20 {
			s.at[p] = append(s.at[p], int32(n-1), 14)
		}
	}
	together, _, err := recovered(t.Context(), h, halved{}, oneColumn, s)
	if err != nil {
		t.Fatal(err)
	}
	if h.runs != 9 || h.ran != 18 || h.begun != 0 { // 700; 300, 41, 40; 12, 9: three times each
		t.Errorf("%d runs of %d prompts, %d batches not freed", h.runs, h.ran, h.begun)
	}
	var parts []losses
	for _, p := range s.order {
		alone := sampled{order: []promptOf{p}, at: s.at}
		prompts, _ := alone.prompts(h)
		if err := oneColumn.patch(t.Context(), h, halved{}, patchBatch{prompts: prompts}); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, prompts[0].lost[0])
	}
	want, _ := total(parts).metrics()
	for name, v := range shares(parts) {
		want[name] = v
	}
	for name, v := range want {
		if math.Abs(together[name]-v) > 1e-9 {
			t.Errorf("%s: %v together, %v one by one", name, together[name], v)
		}
	}
	if b := batches(mustPrompts(t, s, h)); b[1].shared != 8 {
		t.Errorf("the prompts share %d tokens", b[1].shared)
	}
}

func mustPrompts(t *testing.T, s sampled, h PatchedModel) []*patchedPrompt {
	p, err := s.prompts(h)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The interval holds the value, is wider for fewer prompts, and is the same every time; a share above 1 and one that is
// not defined are explained.
func TestSharesOfPrompts(t *testing.T) {
	var few, many []losses
	for i := range 400 {
		l := losses{tokens: 1, positions: 1, clean: 1, coder: 1 + float64(i%10)/10, zero: 3, divergedCoder: float64(i % 7), divergedZero: 20}
		many = append(many, l)
		if i < 20 {
			few = append(few, l)
		}
	}
	a, b := shares(few), shares(many)
	for _, name := range []string{"loss_recovered", "kl_score"} {
		for _, m := range []map[string]float64{a, b} {
			if !(m[name+"_low"] < m[name] && m[name] < m[name+"_high"]) {
				t.Errorf("%s %v is not between %v and %v", name, m[name], m[name+"_low"], m[name+"_high"])
			}
		}
		if !(b[name+"_high"]-b[name+"_low"] < a[name+"_high"]-a[name+"_low"]) {
			t.Errorf("%s: %v of 400 prompts, %v of 20", name, b, a)
		}
	}
	if again := shares(few); !maps.Equal(a, again) {
		t.Errorf("%v, then %v", a, again)
	}
	if alone := shares(few[:1]); len(alone) != 2 {
		t.Errorf("an interval of one prompt: %v", alone)
	}
	if m, notes := (losses{tokens: 1, positions: 1, clean: 3, coder: 2, zero: 4, divergedZero: 1}).metrics(); m["loss_recovered"] != 2 || notes["loss_recovered"] == "" {
		t.Errorf("%v, %v", m, notes)
	}
	if m, notes := (losses{tokens: 1, positions: 1, clean: 3, coder: 3.5, zero: 2, divergedZero: 1}).metrics(); len(m) != 6 || notes["loss_recovered"] == "" {
		t.Errorf("%v, %v", m, notes)
	}
}
