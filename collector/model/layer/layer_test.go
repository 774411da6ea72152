package layer

import (
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"actfleet/internal/safetensors"
	"actfleet/internal/torch"
)

// do runs f in a scope and fails the test with its error.
func do(t *testing.T, f func(s *torch.Scope)) {
	t.Helper()
	if err := torch.Do(func(s *torch.Scope) error { f(s); return nil }); err != nil {
		t.Fatal(err)
	}
}

func near(t *testing.T, what string, got []float32, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i, w := range want {
		if math.Abs(float64(got[i])-w) > 1e-6*(1+math.Abs(w)) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

func TestRMSNorm(t *testing.T) {
	do(t, func(s *torch.Scope) {
		n := RMSNorm{Weight: torch.FromFloat32(s, []float32{2, 1}, 2), Eps: 0.5}
		// mean of squares (9+16)/2 = 12.5, with ε 13
		out := n.Forward(s, torch.FromFloat32(s, []float32{3, 4}, 1, 2))
		near(t, "norm", out.Float32s(), 6/math.Sqrt(13), 4/math.Sqrt(13))
	})
}

func TestRMSNormOffset(t *testing.T) {
	src := source(t, safetensors.Tensor{Name: "n.weight", Dtype: safetensors.F16, Shape: []int64{2}, Data: []byte{0, 0x3c, 0, 0xb8}}) // 1, −0.5
	do(t, func(s *torch.Scope) {
		n, err := LoadRMSNorm(s, src, "n", 2, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "weight", n.Weight.Float32s(), 2, 0.5)
	})
}

func source(t *testing.T, tensors ...safetensors.Tensor) *Source {
	t.Helper()
	dir := t.TempDir()
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	ckpt, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ckpt.Close() })
	return NewSource(ckpt, Target{})
}

func TestConv1D(t *testing.T) {
	f16 := map[float64][]byte{0: {0, 0}, 1: {0, 0x3c}, 2: {0, 0x40}, 3: {0, 0x42}, 4: {0, 0x44}}
	bytes := func(v ...float64) (out []byte) {
		for _, x := range v {
			out = append(out, f16[x]...)
		}
		return out
	}
	src := source(t, safetensors.Tensor{Name: "c.weight", Dtype: safetensors.F16, Shape: []int64{2, 3}, Data: bytes(1, 2, 3, 4, 0, 1)},
		safetensors.Tensor{Name: "c.bias", Dtype: safetensors.F16, Shape: []int64{3}, Data: bytes(0, 1, 2)})
	do(t, func(s *torch.Scope) {
		l, err := LoadConv1D(s, src, "c", 2, 3)
		if err != nil {
			t.Fatal(err)
		}
		// [1 10] · [[1 2 3] [4 0 1]] + [0 1 2]
		near(t, "out", l.Forward(s, torch.FromFloat32(s, []float32{1, 10}, 1, 2)).Float32s(), 41, 3, 15)
	})
}

func TestUngrouped(t *testing.T) {
	do(t, func(s *torch.Scope) {
		rows := []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
		for _, c := range []struct {
			heads Heads
			want  []float64
		}{
			{Heads{Query: 2, KeyValue: 2, Width: 2}, []float64{0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}}, // q q k k v v, and again
			{Heads{Query: 4, KeyValue: 2, Width: 1}, []float64{0, 1, 4, 5, 2, 6, 3, 7}},               // q q k v, and again
			{Heads{Query: 4, KeyValue: 1, Width: 2}, []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		} {
			n := int64(len(c.want))
			l := Linear{Weight: s.Keep(torch.FromFloat32(s, rows[:n], n, 1)), Bias: s.Keep(torch.FromFloat32(s, rows[:n], n)), Parts: []Part{{Width: int(n)}}}.Ungrouped(s, c.heads)
			near(t, "weight", l.Weight.Float32s(), c.want...)
			near(t, "bias", l.Bias.Float32s(), c.want...)
			for i, at := range l.Parts[0].Order {
				if float64(at) != c.want[i] {
					t.Errorf("%+v: output %d is said to be the module's %d, it is %v", c.heads, i, at, c.want[i])
				}
			}
		}
	})
}

// A window of 2: each row sees itself and the one before.
func TestMask(t *testing.T) {
	for want, m := range map[string]mask{
		"0---00--000-0000": {steps: 4},
		"0---00---00---00": {steps: 4, window: 2},
		"0----0----0----0": {steps: 4, window: 1},
		"000-0000":         {steps: 2, before: 2},
		"-00---00":         {steps: 2, before: 2, window: 2},
	} {
		got := ""
		for _, x := range m.values() {
			got += map[bool]string{true: "0", false: "-"}[x == 0]
		}
		if got != want {
			t.Errorf("%+v: %s, want %s", m, got, want)
		}
	}
	do(t, func(s *torch.Scope) {
		masks := NewMasks(s)
		if masks.get(torch.CPU, 2, 2, 4) != masks.get(torch.CPU, 2, 2, 0) || masks.get(torch.CPU, 2, 2, 3) == masks.get(torch.CPU, 2, 2, 0) {
			t.Error("a window is no window when no row outgrows it, and only then")
		}
	})
}

// Attention of one head of one channel, written out: scores 2·q·k, capped at 3, position 2 sees 1 and 2.
func TestCausalScores(t *testing.T) {
	q, k, v := []float64{1, -1, 2}, []float64{0.5, 1, -1.5}, []float64{3, 5, 7}
	score := func(i, j int) float64 { return math.Exp(3 * math.Tanh(2*q[i]*k[j]/3)) }
	mix := func(i int, js ...int) float64 {
		var sum, weight float64
		for _, j := range js {
			sum, weight = sum+score(i, j)*v[j], weight+score(i, j)
		}
		return sum / weight
	}
	do(t, func(s *torch.Scope) {
		tensor := func(x []float64) *torch.Tensor {
			return torch.FromFloat32(s, []float32{float32(x[0]), float32(x[1]), float32(x[2])}, 1, 1, 3, 1)
		}
		h := Heads{Query: 1, KeyValue: 1, Width: 1}
		out := h.Causal(s, tensor(q), tensor(k), tensor(v), Scores{Scale: 2, Cap: 3, Window: 2}, Context{Masks: NewMasks(s)})
		near(t, "mixed", out.Float32s(), 3, mix(1, 0, 1), mix(2, 1, 2))
	})
}

func TestFrequencies(t *testing.T) {
	near(t, "even", Frequencies(4, 100), 1, 0.1)
	near(t, "odd", Frequencies(3, 1000), 1, 0.01)
	near(t, "linear", LinearScaling([]float32{1, 0.5}, 4), 0.25, 0.125)
}

func TestLlama3Scaling(t *testing.T) {
	// Wavelengths 10, 50, 200 of 100 positions: below 100/4 stays, above 100/1 is divided, and 50 is
	// blended with smooth = (100/50 − 1)/(4 − 1) = 1/3: f·(2/3/8 + 1/3) = f·5/12.
	freq := func(wave float64) float32 { return float32(2 * math.Pi / wave) }
	got := Llama3Scaling{Factor: 8, Low: 1, High: 4, Original: 100}.Apply([]float32{freq(10), freq(50), freq(200)})
	near(t, "llama3", got, 2*math.Pi/10, 2*math.Pi/50*5/12, 2*math.Pi/200/8)
}

func TestYarnScaling(t *testing.T) {
	// Base e² and 8 channels: pair c turns x times in L positions where c = 2·ln(L/2πx). With
	// L = 2π·e^1.5 and x = 1 and e, the ramp goes from 1 to 3: pair 2 is half-way.
	y := YarnScaling{Factor: 4, Fast: math.E, Slow: 1, Original: 2 * math.Pi * math.Exp(1.5)}
	got := y.Apply([]float32{1, 1, 1, 1}, 8, math.Exp(2))
	near(t, "yarn", got, 1, 1, 0.5+0.5/4, 0.25)
	near(t, "gain", []float32{float32(YarnGain(math.E, 1)), float32(YarnGain(math.E, 0.5)), float32(YarnGain(0.5, 1))}, 1.1, 1.05, 1)
}

func TestYarnTruncate(t *testing.T) {
	// Corners at 0.6 and 2.4 become 0 and 3.
	y := YarnScaling{Factor: 2, Fast: math.Exp(0.9), Slow: 1, Original: 2 * math.Pi * math.Exp(1.2), Truncate: true}
	got := y.Apply([]float32{1, 1, 1, 1}, 8, math.Exp(2))
	near(t, "yarn", got, 1, 1-0.5/3, 1-1.0/3, 0.5)
}

// A prompt longer than the table makes it grow, also when several goroutines ask at once.
func TestRotaryGrows(t *testing.T) {
	r := NewRotary([]float32{0.01}, 2)
	var wg sync.WaitGroup
	for _, steps := range []int{3, firstRows + 1, 5 * firstRows} {
		wg.Go(func() {
			do(t, func(s *torch.Scope) {
				x := make([]float32, 3*steps)
				for i := range steps {
					x[3*i], x[3*i+2] = 1, 9
				}
				out := r.Forward(s, torch.FromFloat32(s, x, 1, 1, int64(steps), 3), Context{}).Float32s()
				last := float64(float32(steps-1) * 0.01)
				near(t, "turned", out[3*steps-3:], 2*math.Cos(last), 2*math.Sin(last), 9)
			})
		})
	}
	wg.Wait()
}

func TestMain(m *testing.M) {
	torch.SetThreads(1)
	os.Exit(m.Run())
}
