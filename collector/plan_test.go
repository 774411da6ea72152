package collector

import (
	"errors"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/arch"
	"actfleet/collector/model/modeltest"
	"actfleet/shard/tap"
)

// named is a model that says of itself what a test wants.
type named struct {
	*modeltest.Fake
	info model.Info
}

func (m named) Info() model.Info { return m.info }

func TestThePlanHoldsTheKeysThatWerePassedOver(t *testing.T) {
	shape := arch.Shape{Layers: 2, Hidden: 4, Vocab: 100, MaxPositions: 64}
	fake := &modeltest.Fake{Shape: shape}
	ask := Ask{Sites: []tap.Site{tap.FC2}, Layers: []int{0}, Dtype: "f16"}
	plan := func(info model.Info) string {
		info.Shape = shape
		p, err := NewPlan(ask, named{fake, info}, prompts(3), "d.jsonl", "input/x")
		if err != nil {
			t.Fatal(err)
		}
		return string(p.Bytes())
	}
	if text := plan(model.Info{Name: "m"}); strings.Contains(text, "accept") || strings.Contains(text, "unit_prompts") {
		t.Errorf("a plan without accepted keys or units of a size speaks of them: %s", text)
	}
	if text := plan(model.Info{Name: "m", Accept: []string{"trained_with"}}); !strings.Contains(text, `"trained_with"`) {
		t.Errorf("the plan lacks the accepted key: %s", text)
	}
}

func TestChoicesNeedAHead(t *testing.T) {
	shape := arch.Shape{Layers: 2, Hidden: 4, Vocab: 100, MaxPositions: 64, NoHead: true}
	ask := Ask{Sites: []tap.Site{tap.FC2}, Layers: []int{0}, Choices: []string{"no", "yes"}}
	_, err := NewPlan(ask, named{&modeltest.Fake{Shape: shape}, model.Info{Shape: shape}}, prompts(3), "d.jsonl", "input/x")
	if !errors.Is(err, model.ErrNoHead) || !strings.Contains(err.Error(), "lm_head") {
		t.Errorf("error %v", err)
	}
}

// How many tokens go through a GPU at once follows its memory, the longest prompt, and what the rows of a batch weigh on
// the host; a CPU's plan is what it was.
func TestBatchTokensOnAGPU(t *testing.T) {
	wide := &modeltest.Fake{Shape: arch.Shape{Layers: 32, Hidden: 4096, Vocab: 100, MaxPositions: 8192}}
	plan := func(memory int64, rule string, layers, length int) int {
		in := prompts(3)
		for i := range in.IDs {
			in.IDs[i] = make([]int32, length)
		}
		a := ask(t, rule)
		a.Memory, a.Layers = memory, nil
		for l := range layers {
			a.Layers = append(a.Layers, l)
		}
		p, err := NewPlan(a, wide, in, "d.jsonl", "input/x")
		if err != nil {
			t.Fatal(err)
		}
		return p.BatchTokens
	}
	for what, c := range map[string]struct{ got, want int }{
		"the CPU":                       {plan(0, "last", 1, 100), 512},
		"139 GiB, short prompts":        {plan(139<<30, "last", 32, 100), 16384},
		"a little more":                 {plan(140<<30, "last", 32, 100), 16384},
		"24 GiB":                        {plan(24<<30, "last", 32, 100), 4096},
		"139 GiB, long prompts":         {plan(139<<30, "last", 32, 4096), 4096},
		"every tap of every token":      {plan(139<<30, "all", 32, 100), 512},
		"every tap of a layer":          {plan(139<<30, "all", 1, 100), 8192},
		"less than a small batch needs": {plan(1<<28, "last", 1, 100), 512},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d tokens, want %d", what, c.got, c.want)
		}
	}
}
