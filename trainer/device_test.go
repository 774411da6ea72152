package trainer

import (
	"strings"
	"testing"

	"actfleet/internal/torch"
	"actfleet/trainer/coder"
	"actfleet/trainer/ranks/rankstest"
	"actfleet/trainer/recipe"
)

func TestDevice(t *testing.T) {
	two := rankstest.New(2)[0]
	for _, c := range []struct {
		job   Job
		fails string
	}{
		{Job{Recipe: recipe.Recipe{Kind: coder.SAE}}, ""},
		{Job{Device: "cpu", Recipe: recipe.Recipe{Kind: coder.SAE}}, ""},
		{Job{Device: Auto, Recipe: recipe.Recipe{Kind: coder.VQ}}, ""},
		{Job{Device: Auto, Recipe: recipe.Recipe{Kind: coder.SAE}, Ranks: two}, ""},
		{Job{Device: "cuda:99", Recipe: recipe.Recipe{Kind: coder.SAE}}, "cuda:99"},
		{Job{Device: "tpu", Recipe: recipe.Recipe{Kind: coder.SAE}}, "use auto, cpu, cuda or cuda:0"},
	} {
		at, err := c.job.device()
		if c.fails == "" && (err != nil || at != torch.CPU) || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s of %q: %s, %v", c.job.Recipe.Kind, c.job.Device, at, err)
		}
	}
}
