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
	if text := plan(model.Info{Name: "m"}); strings.Contains(text, "accept") {
		t.Errorf("a plan without accepted keys speaks of them: %s", text)
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
