package trainer

import (
	"actfleet/shard/tap"
	"actfleet/trainer/coder"
)

// newCoder describes a training before it begins.
func newCoder(j Job, c Config, widths []int) coder.Card {
	out := coder.Card{Kind: j.Kind, Column: j.Column, DIn: widths[0], Seed: c.Seed, Config: c.Effective(j.Kind), Program: j.Program}
	if t, variant, ok := tap.ParseColumn(j.Column); ok {
		out.Site, out.Layer, out.Variant = string(t.Site), t.Layer, variant
	}
	switch j.Kind {
	case coder.SAE:
		out.Arch, out.Width, out.K = c.Arch, c.Width, c.K
		if c.Target != "" {
			out.DOut = widths[1]
		}
		if len(c.Beside) > 0 {
			out.Parts = widths
		}
		for _, w := range out.Parts[min(1, len(out.Parts)):] {
			out.DIn += w
		}
	case coder.VQ:
		out.Arch, out.Width, out.Ids = c.Arch, c.Codes, c.Ids
	}
	for _, s := range j.Runs {
		out.PlanIDs, out.Units = append(out.PlanIDs, s.Plan.ID()), append(out.Units, len(s.All()))
	}
	return out
}
