package adapter

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// merged is the map's weight w [out, in] and bias (nil: none) with the effect in them, fp32.
func (e effect) merged(s *torch.Scope, w, b *torch.Tensor) (weight, bias *torch.Tensor) {
	w = s.To(w, torch.F32)
	if b != nil {
		b = s.To(b, torch.F32)
	}
	if e.in != nil {
		w = s.Mul(w, e.in)
	}
	if e.rotate != nil { // y = (x R) Wᵀ = x (W Rᵀ)ᵀ
		w = turn(s, w, s.Contiguous(s.Transpose(e.rotate, 1, 2)))
	}
	if e.down != nil {
		w = s.Add(w, s.MatMul(e.up, e.down))
	}
	if e.delta != nil {
		w = s.Add(w, e.delta)
	}
	if e.magnitude != nil {
		w = s.Mul(w, s.Unsqueeze(e.magnitude, 1))
	}
	if e.scale != nil {
		w = s.Mul(w, s.Unsqueeze(e.scale, 1))
		if b != nil {
			b = s.Mul(b, e.scale)
		}
	}
	switch {
	case e.shift != nil && b != nil:
		b = s.Add(b, e.shift)
	case e.shift != nil:
		b = e.shift
	}
	return w, b
}

// What a change gives on the way is what a map with the change in its weight gives, of every kind and with a bias.
func TestMergedGivesTheSame(t *testing.T) {
	folders, err := filepath.Glob("testdata/*")
	if err != nil || len(folders) == 0 {
		t.Fatal(folders, err)
	}
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			set, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range set.Modules {
				if in, out := sizes(m); in > 0 && i < 6 {
					sameMerged(t, m, in, out)
				}
			}
		})
	}
}

// sizes are those of a map that a module's arrays fit; 0 where they leave it open.
func sizes(m Module) (in, out int64) {
	size := func(name string, dim int) int64 {
		a, ok := m.array(name)
		if !ok {
			return 0
		}
		return int64(a.Shape[dim])
	}
	switch m.Kind {
	case LoRA, AdaLoRA:
		return size("lora_A", 1), size("lora_B", 0)
	case IA3:
		if m.Input {
			return size("ia3_l", 1), 7
		}
		return 9, size("ia3_l", 0)
	case LoHa:
		return size("hada_w1_b", 1), size("hada_w1_a", 0)
	case OFT:
		return size("oft_R", 0) * int64(blockSize(int(size("oft_R", 1)))), 7
	case Bias:
		return 9, size("beft_bias", 1)
	case VeRA:
		return size("vera_A", 1), size("vera_lambda_b", 0)
	}
	return 0, 0
}

func sameMerged(t *testing.T, m Module, in, out int64) {
	t.Helper()
	err := torch.Do(func(s *torch.Scope) error {
		l := layer.Linear{Weight: s.Randn(1, out, in), Bias: s.Randn(2, out)}
		x := s.Randn(3, 5, in)
		b := binder{s: s}
		p := piece{width: out, live: true, module: m, arrays: arrays{}}
		for _, a := range m.Arrays {
			p.arrays[a.Name] = b.tensor(a, torch.CPU)
		}
		hooked := (&wrapped{pieces: []piece{p}}).Forward(s, l, x).Float32s()
		w, bias := p.effect(s, l).merged(s, l.Weight, l.Bias)
		merged := s.Linear(x, w, bias).Float32s()
		for i, want := range merged {
			if off := math.Abs(float64(hooked[i] - want)); off > 1e-5*max(1, math.Abs(float64(want)))*math.Sqrt(float64(in)) {
				return fmt.Errorf("%s: element %d is %v, merged %v", strings.ToLower(string(m.Kind)), i, hooked[i], want)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", m.Name, err)
	}
}
