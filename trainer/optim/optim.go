package optim

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// ErrNonFinite says that an Inf or NaN turned up in training.
var ErrNonFinite = errors.New("not finite")

// Param is an array that is trained and the gradient it gets, of equal length.
type Param struct {
	Name        string
	Shape       []int
	Value, Grad []float32
}

// rowLen is the number of values under one index of the first dimension.
func (p Param) rowLen() int { return len(p.Value) / p.Shape[0] }

// Optimizer moves a fixed list of parameters.
type Optimizer interface {
	// Step moves the parameters by their gradients times scale.
	Step(lr, scale float64)
	// StepOn is Step for parameters whose values, gradients and State are tensors.
	StepOn(on Tensors, lr float64)
	// Steps is the number of steps taken.
	Steps() int
	// State is all that a next step depends on but for parameters and gradients.
	State() *state.Set
	// Forget zeroes what is remembered of one index of a parameter's first dimension.
	Forget(name string, row int)
}

// Tensors is where a step finds arrays that are not in the host's memory.
type Tensors struct {
	*torch.Scope
	Value, Grad map[string]*torch.Tensor // by the names of the parameters
	State       map[string]*torch.Tensor // the arrays of 32-bit floats by their names in State
	Scale       *torch.Tensor            // what gradients are multiplied by, one element
}

// scaled is a parameter's gradient times Scale.
func (t Tensors) scaled(name string) *torch.Tensor { return t.Mul(t.Grad[name], t.Scale) }

// each runs f for every parameter and frees what it made.
func (t Tensors) each(params []Param, f func(t Tensors, p Param)) {
	for _, p := range params {
		t.Sub(func(s *torch.Scope) *torch.Tensor {
			inner := t
			inner.Scope = s
			f(inner, p)
			return nil
		})
	}
}

// Averager is an Optimizer whose result is another point than the one gradients are taken at.
type Averager interface {
	// Average writes the result for every parameter to dst.
	Average(dst [][]float32)
}

// Name is the name of an optimizer.
type Name string

// The optimizers; the package doc has their equations.
const (
	ByAdam       Name = "adam"
	ByAdamW      Name = "adamw"
	BySparseAdam Name = "sparse_adam"
	BySGD        Name = "sgd"
	ByAdafactor  Name = "adafactor"
	BySignSGD    Name = "signsgd"
)

// Names are all optimizers, in the order they are shown.
var Names = []Name{ByAdam, ByAdamW, BySparseAdam, BySGD, ByAdafactor, BySignSGD}

// Config says which optimizer and its constants.
type Config struct {
	Name         Name    // "" is adam
	Beta1, Beta2 float64 // of the Adams; Beta1 is the momentum of sgd and signsgd
	Decay        float64 // of the weights, times the learning rate; of adamw, sgd and adafactor
}

// Default is the constants that an optimizer is published with.
func Default(n Name) Config {
	c := Config{Name: n, Beta1: 0.9, Beta2: 0.999}
	switch n {
	case ByAdamW:
		c.Decay = 0.01
	case BySignSGD:
		c.Beta1 = 0.95
	}
	return c
}

// ParseName reads the name of an optimizer.
func ParseName(name string) (Name, error) {
	var all []string
	for _, n := range Names {
		if string(n) == name {
			return n, nil
		}
		all = append(all, string(n))
	}
	return "", fmt.Errorf("unknown optimizer %q: want %s", name, strings.Join(all, ", "))
}

// New makes an optimizer of the parameters.
func New(c Config, params []Param) (Optimizer, error) {
	if c.Name == "" {
		c = Default(ByAdam)
	}
	if _, err := ParseName(string(c.Name)); err != nil {
		return nil, err
	}
	if !(c.Beta1 >= 0 && c.Beta1 < 1 && c.Beta2 >= 0 && c.Beta2 < 1 && c.Decay >= 0) {
		return nil, fmt.Errorf("optimizer %s: beta1 %v, beta2 %v and decay %v do not fit", c.Name, c.Beta1, c.Beta2, c.Decay)
	}
	switch c.Name {
	case BySGD:
		return newSGD(c, params), nil
	case ByAdafactor:
		return newAdafactor(c, params), nil
	case BySignSGD:
		if c.Beta1 == 0 {
			return nil, errors.New("optimizer signsgd: beta1 must be above 0")
		}
		return newSignSGD(c, params), nil
	}
	a := NewAdam(params)
	a.Beta1, a.Beta2, a.sparse = c.Beta1, c.Beta2, c.Name == BySparseAdam
	if c.Name == ByAdamW {
		a.Decay = c.Decay
	}
	return a, nil
}

// moments are arrays as long as the parameters.
func moments(params []Param) (out [][]float32) {
	for _, p := range params {
		out = append(out, make([]float32, len(p.Value)))
	}
	return out
}

// forget zeroes a row of arrays as long as the parameters.
func forget(params []Param, arrays [][]float32, name string, row int) {
	for i, p := range params {
		if n := p.rowLen(); p.Name == name {
			clear(arrays[i][row*n : (row+1)*n])
		}
	}
}

// save adds arrays as long as the parameters to a State.
func save(s *state.Set, prefix string, params []Param, arrays [][]float32) {
	for i, p := range params {
		state.Add(s, prefix+p.Name, arrays[i], p.Shape...)
	}
}

// Norm is the Euclidean norm of all gradients together.
func Norm(params []Param) float64 {
	var sum float64
	for _, p := range params {
		sum += square(p.Grad)
	}
	return math.Sqrt(sum)
}

func square(v []float32) float64 {
	return parallel.Sum(len(v), func(lo, hi int) (sum float64) {
		for _, x := range v[lo:hi] {
			sum += float64(x) * float64(x)
		}
		return sum
	})
}

// NonFinite names the first parameter whose gradient holds an Inf or NaN, or "".
func NonFinite(params []Param) string {
	for _, p := range params {
		if n := square(p.Grad); math.IsNaN(n) || math.IsInf(n, 0) {
			return p.Name
		}
	}
	return ""
}

// Clip is the factor that brings a gradient of the given norm to at most limit;
// a limit of 0 is none.
func Clip(norm, limit float64) float64 {
	if limit <= 0 || norm <= limit {
		return 1
	}
	return limit / norm
}
