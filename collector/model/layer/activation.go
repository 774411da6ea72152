package layer

import (
	"fmt"

	"actfleet/internal/torch"
)

// Activation is an elementwise non-linearity, by the name config.json gives it.
type Activation string

// The activations of the families here. gelu is exact (erf); gelu_new, gelu_pytorch_tanh and
// gelu_fast are its tanh approximation (Hendrycks and Gimpel 2016).
const (
	Gelu     Activation = "gelu"
	GeluTanh Activation = "gelu_tanh"
	Silu     Activation = "silu"
	Relu     Activation = "relu"
	Relu2    Activation = "relu2" // the square of relu
)

// ParseActivation maps Hugging Face's names to activations.
func ParseActivation(name string) (Activation, error) {
	switch name {
	case "gelu_new", "gelu_pytorch_tanh", "gelu_fast":
		return GeluTanh, nil
	case "gelu":
		return Gelu, nil
	case "silu", "swish":
		return Silu, nil
	case "relu", "relu2":
		return Activation(name), nil
	}
	return "", fmt.Errorf("unknown activation %q", name)
}

// Forward applies the activation to every element of x.
func (a Activation) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	switch a {
	case GeluTanh:
		return s.Gelu(x, true)
	case Gelu:
		return s.Gelu(x, false)
	case Silu:
		return s.Silu(x)
	case Relu2:
		return s.Square(s.Relu(x))
	}
	return s.Relu(x)
}

// Gated is the activation of each row's first half times its second half, of x [.., 2W]: [.., W].
func (a Activation) Gated(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	switch a {
	case GeluTanh:
		return s.GeluMul(x)
	case Silu:
		return s.SiluMul(x)
	}
	shape := x.Shape()
	last := len(shape) - 1
	half := shape[last] / 2
	return s.Mul(a.Forward(s, s.Narrow(x, last, 0, half)), s.Narrow(x, last, half, half))
}
