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

func TestProducts(t *testing.T) {
	for _, c := range []struct {
		compute  string
		at       torch.Device
		products torch.Dtype
		tf32     bool
		fails    string
	}{
		{"", torch.CPU, torch.F32, false, ""},
		{Auto, 0, torch.F32, true, ""},
		{"f32", 0, torch.F32, false, ""},
		{"tf32", 0, torch.F32, true, ""},
		{"bf16", 0, torch.BF16, true, ""},
		{"bf16", torch.CPU, 0, false, "the CPU"},
		{"f16", 0, 0, false, "use auto, f32, tf32 or bf16"},
	} {
		products, tf32, err := Job{Compute: c.compute}.products(c.at)
		if products != c.products || tf32 != c.tf32 || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%q on %s: %s, %t, %v", c.compute, c.at, products, tf32, err)
		}
	}
}
