package collector

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/arch"
	"actfleet/collector/model/modeltest"
	"actfleet/shard/tap"
)

// A whole list of sites leaves out what a model lacks, one that is asked for by name is refused there; a site that holds
// what another one holds is stored under that one's name, if that is asked for too.
func TestPlannedTaps(t *testing.T) {
	shape := arch.Shape{Layers: 3, Hidden: 4, Vocab: 100, MaxPositions: 64}
	m := named{&modeltest.Fake{Shape: shape}, model.Info{Name: "fake", Arch: "fake", Shape: shape}}
	for _, c := range []struct {
		ask     Ask
		columns string // of the plan
		same    string
		says    string // of an error
	}{
		{Ask{Sites: tap.Sites, Layers: []int{2}, Loose: true}, "Wqkv_2 out_proj_2 fc1_2 fc2_2 resid_2", "", ""},
		{Ask{Sites: tap.Every, Layers: []int{0, 1}, Loose: true}, "embed_0 attn_in_0 Wqkv_0 z_0 out_proj_0 fc1_0 act_0 fc2_0 resid_0 " +
			"attn_in_1 Wqkv_1 z_1 out_proj_1 fc1_1 act_1 fc2_1 resid_1", "attn_out=out_proj mlp_in=attn_in mlp_out=fc2", ""},
		{Ask{Sites: []tap.Site{tap.MLPOut}, Layers: []int{1}}, "mlp_out_1", "", ""},
		{Ask{Sites: []tap.Site{tap.FC2, tap.MLPOut}, Layers: []int{1}}, "fc2_1", "mlp_out=fc2", ""},
		{Ask{Sites: []tap.Site{tap.Embed, tap.Final, tap.Resid}, Layers: []int{0, 1, 2}}, "embed_0 resid_0 resid_1 resid_2 final_2", "", ""},
		{Ask{Sites: []tap.Site{tap.Embed, tap.Resid}, Layers: []int{1}}, "", "", "fake (fake) has embed at layer 0, not"},
		{Ask{Sites: []tap.Site{tap.Final}, Layers: []int{1}}, "", "", "has final at layer 2, not"},
		{Ask{Sites: []tap.Site{tap.ResidMid}, Layers: []int{1}}, "", "", "fake (fake) has no resid_mid"},
		{Ask{Taps: []tap.Tap{{Site: tap.ResidMid, Layer: 1}}}, "", "", "has no resid_mid"},
		{Ask{Taps: []tap.Tap{{Site: tap.Resid, Layer: 7}}}, "", "", "has resid at layers 0-2, not"},
		{Ask{Sites: []tap.Site{tap.FC1}, Layers: []int{2}, Taps: []tap.Tap{{Site: tap.Z, Layer: 0}}}, "z_0 fc1_2", "", ""},
	} {
		c.ask.Dtype = "f16"
		p, err := NewPlan(c.ask, m, prompts(3), "d.jsonl", "input/x")
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: error %v, want %q", c.ask, err, c.says)
			}
			continue
		}
		var columns, same []string
		for _, v := range p.Vectors {
			columns = append(columns, v.Name)
		}
		for _, site := range slices.Sorted(maps.Keys(p.Same)) {
			same = append(same, fmt.Sprintf("%s=%s", site, p.Same[site]))
		}
		if err != nil || strings.Join(columns, " ") != c.columns || strings.Join(same, " ") != c.same || p.Validate() != nil {
			t.Errorf("%+v: %v, %v, %v, %v", c.ask, columns, same, err, p.Validate())
		}
		for site, stored := range p.Same {
			if got := p.Column(tap.Tap{Site: site, Layer: 1}.Column("ia3")); got != (tap.Tap{Site: stored, Layer: 1}).Column("ia3") {
				t.Errorf("%s of layer 1 is said to be in %s", site, got)
			}
		}
	}
}
