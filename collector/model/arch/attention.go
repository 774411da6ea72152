package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// attention is one block's causal self-attention.
type attention struct {
	attentionDesign
	qkv, out     layer.Linear // to [q|k|v], and from the heads back
	qNorm, kNorm layer.Norm   // nil without qkNorm
}

// forward mixes the states h [B, T, Hidden] of the positions before each.
func (a attention) forward(s *torch.Scope, h *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor {
	q, k, v := a.heads.Split(s, emit(tap.Wqkv, a.qkv.Forward(s, h)))
	if a.qkNorm == normAllHeads {
		q, k = a.qNorm.Forward(s, q), a.kNorm.Forward(s, k)
	}
	if a.clip > 0 {
		q, k, v = s.Clamp(q, -a.clip, a.clip), s.Clamp(k, -a.clip, a.clip), s.Clamp(v, -a.clip, a.clip)
	}
	q, k, v = a.heads.ByHead(s, q), a.heads.ByHead(s, k), a.heads.ByHead(s, v)
	if a.qkNorm == normHeads || a.qkNorm == normEachHead {
		q, k = a.qNorm.Forward(s, q), a.kNorm.Forward(s, k)
	}
	if a.rotary != nil {
		q, k = a.rotary.Forward(s, q, c), a.rotary.Forward(s, k, c)
	}
	z := emit(tap.Z, a.heads.Causal(s, q, k, v, a.scores, c))
	return emit(tap.OutProj, a.out.Forward(s, z))
}

func (a attention) width(site tap.Site) int {
	if site == tap.Z {
		return a.heads.QueryWidth()
	}
	return a.heads.FusedWidth()
}

func (a attention) linears(f func(layer.Linear) layer.Linear) selfAttention {
	a.qkv, a.out = f(a.qkv), f(a.out)
	return a
}
