package adapter

import (
	"fmt"
	"slices"

	"actfleet/internal/torch"
)

// Kind is how a module's arrays change its linear map y = W x + b, by the name PEFT gives it. DoRA is a LoRA that also
// has the array lora_magnitude_vector.
type Kind string

// The kinds, with Gain as s. W is [out, in].
const (
	// LoRA adds s·B(A x) (Hu et al. 2021); with a magnitude m it is DoRA: (m/‖W + s·BA‖ by rows) ⊙ (W x + s·BA x) + b (Liu et
	// al. 2024).
	LoRA Kind = "LORA"
	// AdaLoRA adds s·B((A ⊙ E) x), E a factor for each rank (Zhang et al. 2023).
	AdaLoRA Kind = "ADALORA"
	// IA3 is ℓ ⊙ (W x + b), or with Input W(ℓ ⊙ x) + b (Liu et al. 2022).
	IA3 Kind = "IA3"
	// LoHa adds s·((w1_a w1_b) ⊙ (w2_a w2_b)) x (Hyeon-Woo et al. 2022).
	LoHa Kind = "LOHA"
	// LoKr adds s·(w1 ⊗ w2) x, each factor perhaps a product of two (Yeh et al. 2024).
	LoKr Kind = "LOKR"
	// OFT turns x block by block before W reads it, by R = (I − Q)(I + Q)⁻¹ of a skew Q, or by I + 2Q + 2Q² + … + Qⁿ⁻¹, which
	// turns the other way (Qiu et al. 2023).
	OFT Kind = "OFT"
	// VeRA adds λ_b ⊙ B(λ_d ⊙ A x) with A and B that all modules share (Kopiczko et al. 2024).
	VeRA Kind = "VERA"
	// Bias adds a vector to y.
	Bias Kind = "BEFT"
)

// form is what a kind knows: its arrays, and what they do.
type form struct {
	// shapes are those of the arrays a module has, for a map of so many inputs and outputs; the error names what cannot be.
	shapes func(m Module, in, out int) (map[string][]int, error)
	// effect computes what the forward pass of a map of so many inputs needs of the arrays; rows are in the module's order.
	effect func(s *torch.Scope, m Module, a arrays, in int64) effect
}

// arrays are a module's, on a device.
type arrays map[string]*torch.Tensor

var forms = map[Kind]form{
	LoRA:    {loraShapes, loraEffect},
	AdaLoRA: {adaShapes, adaEffect},
	IA3:     {ia3Shapes, ia3Effect},
	LoHa:    {lohaShapes, lohaEffect},
	LoKr:    {lokrShapes, lokrEffect},
	OFT:     {oftShapes, oftEffect},
	VeRA:    {veraShapes, veraEffect},
	Bias:    {biasShapes, biasEffect},
}

// rank is the size of an array along a dimension, at least 1.
func rank(m Module, name string, dim int) (int, error) {
	a, ok := m.array(name)
	switch {
	case !ok:
		return 0, fmt.Errorf("%w: %s has no %s", ErrCorrupt, m.Name, name)
	case len(a.Shape) != 2:
		return 0, fmt.Errorf("%w: %s of %s is %s, want a matrix", ErrMismatch, name, m.Name, shapeText(a.Shape))
	case a.Shape[dim] < 1:
		return 0, fmt.Errorf("%w: %s of %s has rank 0", ErrCorrupt, name, m.Name)
	}
	return a.Shape[dim], nil
}

// has says whether a module has an array.
func has(m Module, name string) bool { _, ok := m.array(name); return ok }

func loraShapes(m Module, in, out int) (map[string][]int, error) {
	r, err := rank(m, "lora_A", 0)
	want := map[string][]int{"lora_A": {r, in}, "lora_B": {out, r}}
	if has(m, "lora_B.bias") {
		want["lora_B.bias"] = []int{out}
	}
	if has(m, "lora_magnitude_vector") {
		want["lora_magnitude_vector"] = []int{out}
	}
	return want, err
}

func loraEffect(s *torch.Scope, m Module, a arrays, _ int64) effect {
	e := effect{down: a["lora_A"], up: s.MulScalar(a["lora_B"], m.Gain), magnitude: a["lora_magnitude_vector"]}
	if b := a["lora_B.bias"]; b != nil {
		e.shift = s.MulScalar(b, m.Gain)
	}
	return e
}

func adaShapes(m Module, in, out int) (map[string][]int, error) {
	r, err := rank(m, "lora_A", 0)
	return map[string][]int{"lora_A": {r, in}, "lora_B": {out, r}, "lora_E": {r, 1}}, err
}

func adaEffect(s *torch.Scope, m Module, a arrays, _ int64) effect {
	return effect{down: s.Mul(a["lora_A"], a["lora_E"]), up: s.MulScalar(a["lora_B"], m.Gain)}
}

func ia3Shapes(m Module, in, out int) (map[string][]int, error) {
	if m.Input {
		return map[string][]int{"ia3_l": {1, in}}, nil
	}
	return map[string][]int{"ia3_l": {out, 1}}, nil
}

func ia3Effect(s *torch.Scope, m Module, a arrays, _ int64) effect {
	l := s.View(a["ia3_l"], -1)
	if m.Input {
		return effect{in: l}
	}
	return effect{scale: l}
}

func lohaShapes(m Module, in, out int) (map[string][]int, error) {
	r, err := rank(m, "hada_w1_b", 0)
	return map[string][]int{"hada_w1_a": {out, r}, "hada_w1_b": {r, in}, "hada_w2_a": {out, r}, "hada_w2_b": {r, in}}, err
}

func lohaEffect(s *torch.Scope, m Module, a arrays, _ int64) effect {
	product := s.Mul(s.MatMul(a["hada_w1_a"], a["hada_w1_b"]), s.MatMul(a["hada_w2_a"], a["hada_w2_b"]))
	return effect{delta: s.MulScalar(product, m.Gain)}
}

// lokrShapes has each factor whole, or as two of a common rank; the first one's sizes divide the map's.
func lokrShapes(m Module, in, out int) (map[string][]int, error) {
	want := map[string][]int{}
	factor := func(name string) (rows, columns int, err error) {
		if a, ok := m.array(name); ok && len(a.Shape) == 2 {
			want[name] = a.Shape
			return a.Shape[0], a.Shape[1], nil
		}
		if rows, err = rank(m, name+"_a", 0); err != nil {
			return 0, 0, err
		}
		r, err := rank(m, name+"_a", 1)
		if err != nil {
			return 0, 0, err
		}
		columns, err = rank(m, name+"_b", 1)
		want[name+"_a"], want[name+"_b"] = []int{rows, r}, []int{r, columns}
		return rows, columns, err
	}
	rows, columns, err := factor("lokr_w1")
	if err != nil {
		return nil, err
	}
	rows2, columns2, err := factor("lokr_w2")
	if err == nil && (rows*rows2 != out || columns*columns2 != in) {
		err = fmt.Errorf("%w: the factors of %s make a map of [%d, %d], the model's is [%d, %d]", ErrMismatch, m.Name, rows*rows2, columns*columns2, out, in)
	}
	return want, err
}

func lokrEffect(s *torch.Scope, m Module, a arrays, _ int64) effect {
	factor := func(name string) *torch.Tensor {
		if w := a[name]; w != nil {
			return w
		}
		return s.MatMul(a[name+"_a"], a[name+"_b"])
	}
	w1, w2 := factor("lokr_w1"), factor("lokr_w2")
	one, two := w1.Shape(), w2.Shape()
	kron := s.Mul(s.View(w1, one[0], 1, one[1], 1), s.View(w2, 1, two[0], 1, two[1]))
	return effect{delta: s.MulScalar(s.Reshape(kron, one[0]*two[0], one[1]*two[1]), m.Gain)}
}

// oftShapes has the upper triangles of the blocks that the inputs are cut into, or of one that they share.
func oftShapes(m Module, in, _ int) (map[string][]int, error) {
	blocks, err := rank(m, "oft_R", 0)
	if err != nil {
		return nil, err
	}
	n, err := rank(m, "oft_R", 1)
	if err != nil {
		return nil, err
	}
	k := blockSize(n)
	if k*(k-1)/2 != n || in%k != 0 || blocks != 1 && blocks != in/k {
		return nil, fmt.Errorf("%w: oft_R of %s is [%d, %d], which are no blocks of %d inputs", ErrMismatch, m.Name, blocks, n, in)
	}
	return map[string][]int{"oft_R": {blocks, n}}, nil
}

// blockSize is k where n = k(k−1)/2.
func blockSize(n int) int {
	k := 2
	for k*(k-1)/2 < n {
		k++
	}
	return k
}

func oftEffect(s *torch.Scope, m Module, a arrays, _ int64) effect {
	v := a["oft_R"]
	if m.Radius > 0 {
		v = constrained(s, v, m.Radius)
	}
	q := skew(s, v)
	if m.Terms > 0 {
		return effect{rotate: neumann(s, q, m.Terms)}
	}
	return effect{rotate: cayley(s, q)}
}

func veraShapes(m Module, in, out int) (map[string][]int, error) {
	want := map[string][]int{"vera_lambda_b": {out}}
	a, okA := m.array("vera_A")
	b, okB := m.array("vera_B")
	if !okA || !okB || len(a.Shape) != 2 || len(b.Shape) != 2 {
		return nil, fmt.Errorf("%w: the projections vera_A and vera_B of %s are not there", ErrCorrupt, m.Name)
	}
	if a.Shape[0] < 1 || a.Shape[0] != b.Shape[1] || a.Shape[1] < in || b.Shape[0] < out {
		return nil, fmt.Errorf("%w: vera_A is %s and vera_B %s, %s is a map of [%d, %d]", ErrMismatch, shapeText(a.Shape), shapeText(b.Shape), m.Name, out, in)
	}
	want["vera_A"], want["vera_B"], want["vera_lambda_d"] = a.Shape, b.Shape, []int{a.Shape[0]}
	return want, nil
}

func veraEffect(s *torch.Scope, _ Module, a arrays, in int64) effect {
	out := a["vera_lambda_b"].Shape()[0]
	d, b := s.Unsqueeze(a["vera_lambda_d"], 1), s.Unsqueeze(a["vera_lambda_b"], 1)
	return effect{down: s.Mul(d, s.Narrow(a["vera_A"], 1, 0, in)), up: s.Mul(b, s.Narrow(a["vera_B"], 0, 0, out))}
}

func biasShapes(m Module, _, out int) (map[string][]int, error) {
	return map[string][]int{"beft_bias": {1, out}}, nil
}

func biasEffect(s *torch.Scope, _ Module, a arrays, _ int64) effect {
	return effect{shift: s.View(a["beft_bias"], -1)}
}

// check refuses a module whose arrays do not fit a map of so many inputs and outputs, or that are not finite.
func (m Module) check(in, out int) error {
	f, ok := forms[m.Kind]
	if !ok {
		return fmt.Errorf("%w: kind %q of %s", ErrUnsupported, m.Kind, m.Name)
	}
	want, err := f.shapes(m, in, out)
	if err != nil {
		return err
	}
	for name, shape := range want {
		a, ok := m.array(name)
		switch {
		case !ok:
			return fmt.Errorf("%w: %s has no %s", ErrCorrupt, m.Name, name)
		case !slices.Equal(a.Shape, shape):
			return fmt.Errorf("%w: %s of %s is %s, a map of [%d, %d] asks for %s; is it an adapter of another base?",
				ErrMismatch, name, m.Name, shapeText(a.Shape), out, in, shapeText(shape))
		}
	}
	for _, a := range m.Arrays {
		if want[a.Name] == nil {
			return fmt.Errorf("%w: nothing uses %s of %s", ErrCorrupt, a.Name, m.Name)
		}
		if err := finite(m.Name, a); err != nil {
			return err
		}
	}
	if len(m.Arrays) > len(want) { // PEFT has had two endings for some
		return fmt.Errorf("%w: %s has an array twice", ErrCorrupt, m.Name)
	}
	return nil
}
