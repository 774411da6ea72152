package optim

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/internal/torch"
	"actfleet/trainer/state"
)

// reference is testdata/reference.json, which scripts/ref/optim_ref.py makes with torch.
type reference struct {
	Rates []float64 // of each step
	Start map[string][]float32
	Shape map[string][]int
	Grads map[string][][]float32 // by step
	Ends  map[string]struct {
		Decay  float64
		Values map[string][]float32
	}
}

func readReference(t *testing.T) (r reference) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "reference.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// params are the parameters at the start.
func (r reference) params() (out []Param) {
	for _, name := range []string{"matrix", "vector"} {
		out = append(out, Param{Name: name, Shape: r.Shape[name], Value: slices.Clone(r.Start[name]), Grad: make([]float32, len(r.Start[name]))})
	}
	return out
}

// stepOn is Step by StepOn, with tensors over the same memory.
func stepOn(t *testing.T, opt Optimizer, params []Param, lr, scale float64) {
	t.Helper()
	err := torch.Do(func(s *torch.Scope) error {
		on := Tensors{Scope: s, Scale: s.Full(scale, torch.F32, torch.CPU, 1),
			Value: map[string]*torch.Tensor{}, Grad: map[string]*torch.Tensor{}, State: map[string]*torch.Tensor{}}
		arrays := &state.Set{}
		save(arrays, "value.", params, values(params, func(p Param) []float32 { return p.Value }))
		save(arrays, "grad.", params, values(params, func(p Param) []float32 { return p.Grad }))
		arrays.Join("", opt.State())
		arrays.EachFloat32(func(name string, shape []int64, data []float32) {
			kind, of, _ := strings.Cut(name, ".")
			array := torch.WrapFloat32(s, data, shape...)
			switch kind {
			case "value":
				on.Value[of] = array
			case "grad":
				on.Grad[of] = array
			default:
				on.State[name] = array
			}
		})
		opt.StepOn(on, lr)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func values(params []Param, f func(Param) []float32) (out [][]float32) {
	for _, p := range params {
		out = append(out, f(p))
	}
	return out
}

// Every optimizer takes torch's steps, also on tensors and when it is saved and read back after each.
func TestAgainstTorch(t *testing.T) {
	for form, step := range map[string]func(t *testing.T, opt Optimizer, params []Param, lr, scale float64){
		"arrays":  func(_ *testing.T, opt Optimizer, _ []Param, lr, scale float64) { opt.Step(lr, scale) },
		"tensors": stepOn,
	} {
		t.Run(form, func(t *testing.T) { testAgainstTorch(t, step) })
	}
}

func testAgainstTorch(t *testing.T, take func(t *testing.T, opt Optimizer, params []Param, lr, scale float64)) {
	r := readReference(t)
	for _, n := range Names {
		end, ok := r.Ends[string(n)]
		if !ok {
			t.Fatalf("no reference of %s", n)
		}
		c := Default(n)
		c.Decay = end.Decay
		params := r.params()
		opt, err := New(c, params)
		if err != nil {
			t.Fatal(err)
		}
		for step, rate := range r.Rates {
			for _, p := range params {
				for j, g := range r.Grads[p.Name][step] {
					p.Grad[j] = 4 * g
				}
			}
			take(t, opt, params, rate, 0.25)
			opt = reloaded(t, c, params, opt)
		}
		if a, ok := opt.(Averager); ok {
			x := moments(params)
			a.Average(x)
			for i, p := range params {
				copy(p.Value, x[i])
			}
		}
		for _, p := range params {
			for j, v := range p.Value {
				if want := end.Values[p.Name][j]; math.Abs(float64(v-want)) > 2e-6*(1+math.Abs(float64(want))) {
					t.Errorf("%s: %s[%d] = %v, want %v", n, p.Name, j, v, want)
				}
			}
		}
	}
}

// reloaded is the optimizer as its State gives it.
func reloaded(t *testing.T, c Config, params []Param, from Optimizer) Optimizer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.safetensors")
	to, err := New(c, params)
	if err == nil {
		err = from.State().Save(path, nil)
	}
	if err == nil {
		err = to.State().Load(path)
	}
	if err != nil || to.Steps() != from.Steps() {
		t.Fatal(err, to.Steps())
	}
	return to
}

// What is forgotten of a row is gone, and of others is not.
func TestForget(t *testing.T) {
	for _, n := range Names {
		grad := []float32{1, -1, 2, -2, 3, -3}
		run := func(forget bool) []float32 {
			p := []Param{{Name: "w", Shape: []int{3, 2}, Value: make([]float32, 6), Grad: slices.Clone(grad)}}
			opt, err := New(Default(n), p)
			if err != nil {
				t.Fatal(err)
			}
			opt.Step(0.1, 1)
			if forget {
				opt.Forget("w", 1)
			}
			clear(p[0].Grad)
			p[0].Grad[0] = 1e-3
			opt.Step(0.1, 1)
			return p[0].Value
		}
		with, without := run(true), run(false)
		if n == ByAdam && slices.Equal(with[2:4], without[2:4]) {
			t.Errorf("%s: row 1 remembers", n)
		}
		if n != ByAdafactor && (!slices.Equal(with[:2], without[:2]) || !slices.Equal(with[4:], without[4:])) {
			t.Errorf("%s: other rows changed: %v and %v", n, with, without)
		}
	}
}

// The average begins with the first weights and follows with 1−β.
func TestEMA(t *testing.T) {
	p := []Param{{Name: "w", Shape: []int{1}, Value: []float32{2}, Grad: make([]float32, 1)}}
	e, out := NewEMA(p, 0.75), [][]float32{{0}}
	e.Average(out)
	first := out[0][0]
	e.Add()
	p[0].Value[0] = 6
	e.Add()
	e.Average(out)
	if first != 2 || out[0][0] != 3 {
		t.Errorf("averages %v and %v, want 2 and 3", first, out[0][0])
	}
}
