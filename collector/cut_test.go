package collector

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"actfleet/collector/model"
	"actfleet/collector/model/arch"
	"actfleet/collector/model/modeltest"
	"actfleet/shard/tap"
)

// shapes of models people have.
var (
	smolLM = model.Info{Shape: arch.Shape{Layers: 30, Hidden: 576}}
	llama7 = model.Info{Shape: arch.Shape{Layers: 32, Hidden: 4096}}
	tiny   = model.Info{Shape: arch.Shape{Layers: 4, Hidden: 64}}
)

// equalPrompts are n prompts of as many tokens each.
func equalPrompts(n int, tokens int32) []int32 { return slices.Repeat([]int32{tokens}, n) }

// under measures prompts of so many tokens under a token rule.
func under(t testing.TB, rule string, lengths []int32) measures {
	r, err := tap.ParseRule(rule)
	if err != nil {
		t.Fatal(err)
	}
	m := measures{tokens: lengths}
	for _, n := range lengths {
		m.rows = append(m.rows, int32(len(r.Positions(int(n)))))
	}
	return m
}

// scaleFor is the scale of one site of the last layer in fp16.
func scaleFor(info model.Info, device string) scale {
	return scaleOf(Ask{Layers: []int{info.Layers - 1}, Device: device}, info, int64(2*info.Hidden))
}

func TestUnitsAreCutByWorkAsWellAsByBytes(t *testing.T) {
	for _, tc := range []struct {
		name         string
		prompts      int
		tokens       int32
		info         model.Info
		rule, device string
		least, most  int // units
	}{
		{"one site, last tokens, short prompts: the commonest probing job", 5584, 12, smolLM, "last", "cpu", 48, 48},
		{"50,000 of them", 50_000, 12, smolLM, "last", "cpu", 48, 48},
		{"just enough prompts for 48 units", 48 * 64, 12, smolLM, "last", "cpu", 48, 48},
		{"one prompt too few", 48*64 - 1, 12, smolLM, "last", "cpu", 47, 47},
		{"a hundred prompts are one unit", 100, 12, smolLM, "last", "cpu", 1, 1},
		{"a hundred and twenty-eight are two", 128, 12, smolLM, "last", "cpu", 2, 2},
		{"one prompt", 1, 12, smolLM, "last", "cpu", 1, 1},
		{"a hundred long prompts of a large model are work enough for many", 100, 1000, llama7, "last", "cpu", 50, 100},
		{"but not on a GPU", 100, 1000, llama7, "last", "cuda", 1, 1},
		{"a million of them on a GPU", 1_000_000, 1000, llama7, "last", "cuda", 5500, 7000},
		{"bytes of a tiny model", 1_000_000, 32, tiny, "all", "cpu", 48, 60},
		{"bytes of a large one", 100_000, 500, llama7, "all", "cuda", 1500, 2200},
		{"never too many for gossip", 10_000_000, 500, llama7, "last", "cpu", 90_000, 100_000},
	} {
		cuts := cutUnits(under(t, tc.rule, equalPrompts(tc.prompts, tc.tokens)), scaleFor(tc.info, tc.device))
		if n := len(cuts) - 1; n < tc.least || n > tc.most {
			t.Errorf("%s: %d units, want %d to %d", tc.name, n, tc.least, tc.most)
		}
	}
}

func TestUnitsAreWholeAndFair(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lengths := rapid.SliceOfN(rapid.Int32Range(1, 2000), 1, 5000).Draw(rt, "lengths")
		if rapid.Bool().Draw(rt, "sorted") {
			slices.Sort(lengths)
		}
		info := rapid.SampledFrom([]model.Info{smolLM, llama7, tiny}).Draw(rt, "model")
		s := scaleFor(info, "cpu")
		prompts := under(t, rapid.SampledFrom([]string{"last", "all", "every:7", "pos:100"}).Draw(rt, "rule"), lengths)
		if rapid.Bool().Draw(rt, "by the data") {
			for i, n := range lengths {
				prompts.rows[i] = n * (n % 3) / 2
			}
		}
		cuts := cutUnits(prompts, s)
		if cuts == nil {
			if slices.Max(prompts.rows) > 0 {
				rt.Fatal("no units")
			}
			return
		}
		checkCuts(rt, cuts, prompts, s)
	})
}

// checkCuts checks what cutUnits promises.
func checkCuts(t *rapid.T, cuts []int64, prompts measures, s scale) {
	lengths := prompts.tokens
	if cuts[0] != 0 || cuts[len(cuts)-1] != int64(len(lengths)) {
		t.Fatalf("units from %d to %d of %d prompts", cuts[0], cuts[len(cuts)-1], len(lengths))
	}
	everywhere := !slices.Contains(prompts.rows, 0)
	if want := min(48, len(lengths)/64); everywhere && len(cuts)-1 < want {
		t.Fatalf("%d units of %d prompts, want %d", len(cuts)-1, len(lengths), want)
	}
	for u, lo := range cuts[:len(cuts)-1] {
		unit := lengths[lo:cuts[u+1]]
		var size, kept, largest int64
		for i, n := range unit {
			rows := prompts.rows[int(lo)+i]
			size, kept, largest = size+s.size(n, rows), kept+int64(rows), max(largest, s.size(n, rows))
		}
		last := u == len(cuts)-2
		switch {
		case kept == 0:
			t.Fatalf("unit %d of %d prompts has no rows", u, len(unit))
		case everywhere && size >= maxUnitSize+largest:
			t.Fatalf("unit %d is of size %d", u, size)
		case everywhere && len(unit) < 64 && size < maxUnitSize && !last:
			t.Fatalf("unit %d has %d prompts of size %d", u, len(unit), size)
		}
	}
}

// Units of equal prompts differ by one prompt at most.
func TestEqualPromptsMakeEqualUnits(t *testing.T) {
	cuts := cutUnits(under(t, "last", equalPrompts(5584, 12)), scaleFor(smolLM, "cpu"))
	for u, lo := range cuts[:len(cuts)-1] {
		if n := cuts[u+1] - lo; n < 116 || n > 117 {
			t.Errorf("unit %d has %d prompts of 5,584 in 48 units", u, n)
		}
	}
}

func TestTheUserSaysHowManyPromptsAUnitHas(t *testing.T) {
	shape := arch.Shape{Layers: 2, Hidden: 4, Vocab: 100, MaxPositions: 64}
	ask := Ask{Sites: []tap.Site{tap.FC2}, Layers: []int{0}, Dtype: "f16", UnitPrompts: 10}
	p, err := NewPlan(ask, named{&modeltest.Fake{Shape: shape}, model.Info{Shape: shape}}, prompts(25), "d.jsonl", "input/x")
	if err != nil || p.UnitPrompts != 10 || !slices.Equal(p.Units, []int64{0, 10, 20, 25}) {
		t.Errorf("units %v of %d prompts each, %v", p.Units, p.UnitPrompts, err)
	}
	if _, err := cutEvery(2_000_000, 1); err == nil {
		t.Error("two million units were accepted")
	}
}
