package modeltest

import (
	"errors"
	"math"
	"path/filepath"
	"testing"

	"actfleet/internal/safetensors"
	"actfleet/shard/tap"
)

func TestReference(t *testing.T) {
	for name, c := range map[string]struct {
		layers, vocab int
		width         map[tap.Site]int
	}{
		"phi-a": {3, 97, map[tap.Site]int{tap.Wqkv: 48 + 2*16, tap.OutProj: 48, tap.FC1: 192, tap.FC2: 48, tap.Resid: 48}},
		"phi-b": {2, 61, map[tap.Site]int{tap.Wqkv: 120, tap.OutProj: 40, tap.FC1: 72, tap.FC2: 40, tap.Resid: 40}},
		"phi-c": {2, 320, map[tap.Site]int{tap.Wqkv: 192, tap.OutProj: 64, tap.FC1: 256, tap.FC2: 64, tap.Resid: 64}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := OpenReference(filepath.Join("testdata", name, "ref.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if len(r.Prompts) != 4 || len(r.Prompts[3]) != 19 {
				t.Fatalf("prompts %v", r.Prompts)
			}
			layers, _ := tap.ParseLayers("all", c.layers)
			for p, ids := range r.Prompts {
				for _, tp := range tap.Cross(tap.Sites, layers) {
					values, width, err := r.Activation(p, tp)
					if err != nil || width != c.width[tp.Site] || len(values) != len(ids)*width {
						t.Errorf("prompt %d, %s: width %d, %d values, %v", p, tp, width, len(values), err)
					}
				}
				if logits, err := r.Logits(p); err != nil || len(logits) != c.vocab {
					t.Errorf("prompt %d: %d logits, %v", p, len(logits), err)
				}
			}
			if _, _, err := r.Activation(0, tap.Tap{Site: tap.FC1, Layer: c.layers}); !errors.Is(err, safetensors.ErrNoTensor) {
				t.Errorf("a layer too many: %v", err)
			}
		})
	}
}

// TestResidAddsUp checks the reference against itself: in Phi's parallel block
// resid(i) = resid(i−1) + out_proj(i) + fc2(i).
func TestResidAddsUp(t *testing.T) {
	r, err := OpenReference("testdata/phi-a/ref.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at := func(s tap.Site, layer int) []float32 {
		v, _, err := r.Activation(3, tap.Tap{Site: s, Layer: layer})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	sum := at(tap.Resid, 0)
	for layer := 1; layer < 3; layer++ {
		attn, mlp := at(tap.OutProj, layer), at(tap.FC2, layer)
		for i := range sum {
			sum[i] += attn[i] + mlp[i]
		}
		if e := MaxRelRMS(sum, at(tap.Resid, layer)); e > 1e-6 {
			t.Errorf("layer %d: %g", layer, e)
		}
	}
}

func TestOpenReferenceRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ref.safetensors")
	if err := safetensors.Write(path, []safetensors.Tensor{{Name: "p0/ids", Dtype: safetensors.I64, Shape: []int64{1}, Data: make([]byte, 8)}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReference(path); !errors.Is(err, safetensors.ErrCorrupt) {
		t.Errorf("ids of I64: %v", err)
	}
}

func TestMaxRelRMS(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		got, want []float32
		is        float64
	}{
		{nil, nil, 0},
		{[]float32{1, 2}, []float32{1, 2}, 0},
		{[]float32{3, 4.5}, []float32{3, 4}, 0.5 / math.Sqrt(12.5)},
		{[]float32{1}, []float32{1, 2}, math.Inf(1)},
		{[]float32{nan}, []float32{1}, math.Inf(1)},
		{[]float32{inf}, []float32{1}, math.Inf(1)},
		{[]float32{1}, []float32{0}, math.Inf(1)},
	} {
		if got := MaxRelRMS(c.got, c.want); got != c.is {
			t.Errorf("%v against %v: %v, want %v", c.got, c.want, got, c.is)
		}
	}
}
