package layer

import "actfleet/internal/torch"

// LayerNorm is (x − mean)/√(var + ε) ⊙ w + b over the last dimension (Ba et al. 2016).
type LayerNorm struct {
	Weight, Bias *torch.Tensor
	Eps          float64
}

// LoadLayerNorm reads name.weight and name.bias, both [width].
func LoadLayerNorm(s *torch.Scope, src *Source, name string, width int, eps float64) (LayerNorm, error) {
	w, err := src.Tensor(s, name+".weight", width)
	if err != nil {
		return LayerNorm{}, err
	}
	b, err := src.Tensor(s, name+".bias", width)
	return LayerNorm{Weight: w, Bias: b, Eps: eps}, err
}

// Forward normalises x [.., width].
func (n LayerNorm) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.LayerNorm(x, n.Weight, n.Bias, n.Eps)
}
