package sae

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
)

// onTensors makes a learner train with tensors, on the CPU.
func onTensors(t testing.TB, l *Learner) *Learner {
	t.Helper()
	l.device = newOnDevice(l, torch.CPU, torch.F32)
	if err := l.device.put(); err != nil {
		t.Fatal(err)
	}
	return l
}

// all are the families and TopK alone.
func all() []family { return append([]family{{"topk", func(*Config) {}}}, families...) }

// drawnRows are n rows without equal pre-activations, whose order is libtorch's affair.
func drawnRows(seed uint64, n, d int) []float32 {
	r, x := rand.New(rand.NewPCG(seed, 2)), make([]float32, n*d)
	for i := range x {
		x[i] = float32(normal(r)) / 2
	}
	return x
}

// The written-out gradients equal autograd's of the equations in tensors, and so does the loss.
func TestArchGradients(t *testing.T) {
	for _, f := range all() {
		t.Run(f.name, func(t *testing.T) {
			const d, n, first = 6, 40, 13
			l, m := f.exact(t, 1, d), onTensors(t, f.exact(t, 1, d))
			x := drawnRows(2, n, d)
			give(t, l, x, n)
			give(t, m, x[:first*d], first)
			give(t, m, x[first*d:], n-first)
			if err := l.variant.flush(); err != nil {
				t.Fatal(err)
			}
			l.finishGradients()
			want := l.metrics(0)
			if err := m.device.flush(); err != nil {
				t.Fatal(err)
			}
			err := torch.Do(func(s *torch.Scope) error {
				got := m.device.gradients(s)
				for _, p := range l.params {
					if squareNorm(p.Grad) == 0 {
						t.Errorf("the gradient of %s is not exercised", p.Name)
					}
					if diff := relative(s.Contiguous(got[p.Name]).Float32s(), p.Grad); diff > 1e-5 {
						t.Errorf("gradient of %s differs by %.2g", p.Name, diff)
					}
				}
				m.device.collect(s)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			sameMetrics(t, m.metrics(0), want)
		})
	}
}

func give(t *testing.T, l *Learner, x []float32, n int) {
	t.Helper()
	if err := l.Micro(x, n); err != nil {
		t.Fatal(err)
	}
}

func sameMetrics(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		if math.Abs(got[name]-v) > 1e-5*(1e-6+math.Abs(v)) {
			t.Errorf("%s is %v, want %v", name, got[name], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("metrics %v, want %v", got, want)
	}
}

// A training on tensors takes the steps of one on arrays, with every optimizer and with an average.
func TestTensorsTrainAlike(t *testing.T) {
	trainings := all()
	for _, n := range optim.Names {
		trainings = append(trainings, family{string(n), func(c *Config) { c.Optimizer, c.EMA = optim.Default(n), 0.5 }})
	}
	trainings = append(trainings, family{"resampling", func(c *Config) { c.Resample, c.Steps = 2, 20 }})
	for _, f := range trainings {
		t.Run(f.name, func(t *testing.T) {
			const d, n = 6, 40
			l, m := f.exact(t, 1, d), onTensors(t, f.exact(t, 1, d))
			for step := range 3 {
				x := drawnRows(uint64(step), n, d)
				give(t, l, x, n)
				give(t, m, x, n)
				want, err := l.Step(1e-4)
				if err != nil {
					t.Fatal(err)
				}
				got, err := m.Step(1e-4)
				if err != nil {
					t.Fatal(err)
				}
				sameMetrics(t, got, want)
			}
			if err := m.Fetch(); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(l.since, m.since) {
				t.Errorf("rows since latents fired: %v, want %v", m.since, l.since)
			}
			want := map[string][]float32{}
			l.State().EachFloat32(func(name string, _ []int64, v []float32) { want[name] = v })
			m.State().EachFloat32(func(name string, _ []int64, v []float32) {
				if diff := relative(v, want[name]); diff > 1e-4 {
					t.Errorf("%s differs by %.2g", name, diff)
				}
			})
		})
	}
}

// With the encoder's product in bf16, autoencoders reconstruct as well as with fp32, within a hundredth.
func TestRoundedProducts(t *testing.T) {
	for _, f := range all() {
		switch f.name {
		case "topk", "batchtopk", "relu", "jumprelu":
		default:
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			fvu := map[torch.Dtype]float64{}
			for _, products := range []torch.Dtype{torch.F32, torch.BF16} {
				l, dict := trainOn(t, f.plan(), 150, 5e-3, func(l *Learner) { l.device = newOnDevice(l, torch.CPU, products) })
				if err := l.Fetch(); err != nil {
					t.Fatal(err)
				}
				e := Eval{Model: l.Export()}
				if err := e.Add(planted(rand.New(rand.NewPCG(8, 8)), dict, l.D, 3, 1000), 1000); err != nil {
					t.Fatal(err)
				}
				fvu[products] = e.Metrics()["fvu"]
			}
			if a, b := fvu[torch.F32], fvu[torch.BF16]; math.Abs(a-b) > 0.01 {
				t.Errorf("fvu is %.4f in fp32 and %.4f in bf16", a, b)
			} else {
				t.Logf("fvu is %.4f in fp32 and %.4f in bf16", a, b)
			}
		})
	}
}
