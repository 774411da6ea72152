package layer

import (
	"fmt"

	"actfleet/internal/torch"
)

// Norm is a LayerNorm or an RMSNorm.
type Norm interface {
	// Forward normalises x [.., width] over its last dimension.
	Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor
}

// LayerNorm is (x − mean)/√(var + ε) ⊙ w + b over the last dimension (Ba et al. 2016). Weight and Bias
// may be nil.
type LayerNorm struct {
	Weight, Bias *torch.Tensor
	Eps          float64
}

// LoadLayerNorm reads name.weight and, with bias set, name.bias, both [width].
func LoadLayerNorm(s *torch.Scope, src *Source, name string, width int, eps float64, bias bool) (LayerNorm, error) {
	w, err := src.Tensor(s, name+".weight", width)
	if err != nil || !bias {
		return LayerNorm{Weight: w, Eps: eps}, err
	}
	b, err := src.Tensor(s, name+".bias", width)
	return LayerNorm{Weight: w, Bias: b, Eps: eps}, err
}

// Forward normalises x [.., width].
func (n LayerNorm) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.LayerNorm(x, n.Weight, n.Bias, n.Eps)
}

// RMSNorm is x/√(mean x² + ε) ⊙ w over the last dimension (Zhang and Sennrich 2019).
type RMSNorm struct {
	Weight *torch.Tensor
	Eps    float64
}

// LoadRMSNorm reads name.weight, [width], and adds offset to it: Gemma's files hold w − 1.
func LoadRMSNorm(s *torch.Scope, src *Source, name string, width int, eps, offset float64) (RMSNorm, error) {
	w, err := src.Tensor(s, name+".weight", width)
	if err != nil || offset == 0 {
		return RMSNorm{Weight: w, Eps: eps}, err
	}
	moved := s.Keep(s.AddScalar(w, offset))
	w.Free()
	return RMSNorm{Weight: moved, Eps: eps}, nil
}

// Forward normalises x [.., width].
func (n RMSNorm) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.RMSNorm(x, n.Weight, n.Eps)
}

// HeadNorms are LayerNorms without a bias of the heads [B, H, T, C], each with weights of its own.
type HeadNorms struct {
	Weight *torch.Tensor // [H, 1, C]
	Eps    float64
}

// LoadHeadNorms reads the weights [width] of all heads; name has a %d for the number of the head.
func LoadHeadNorms(s *torch.Scope, src *Source, name string, heads, width int, eps float64) (HeadNorms, error) {
	var all []*torch.Tensor
	for h := range heads {
		w, err := src.Tensor(s, fmt.Sprintf(name, h)+".weight", width)
		if err != nil {
			return HeadNorms{}, err
		}
		all = append(all, w)
	}
	weight := s.Keep(s.Contiguous(s.Unsqueeze(s.Stack(all, 0), 1)))
	for _, w := range all {
		w.Free()
	}
	return HeadNorms{Weight: weight, Eps: eps}, nil
}

// Forward normalises x [B, H, T, C].
func (n HeadNorms) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Mul(LayerNorm{Eps: n.Eps}.Forward(s, x), n.Weight)
}
