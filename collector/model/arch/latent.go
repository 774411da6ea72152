package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// latentDesign is multi-head latent attention (DeepSeek-V2, 2024): keys and values of all heads are made of one narrow
// vector, and a part of each key, which alone turns, is the same in all heads. Its site Wqkv is [q | narrow | turning part].
type latentDesign struct {
	queryRank      int // width of the vector that queries are made of; 0: they are made of the states
	rank           int // width of the narrow vector
	still, turning int // channels of a query or key that do not turn, and that do
	value          int // channels of a value
	bias           bool
}

// latentEps is the epsilon of the norms of the narrow vectors, whatever config.json says of others.
const latentEps = 1e-6

// latentAttention is one with its weights.
type latentAttention struct {
	attentionDesign
	queryDown, queryUp   layer.Linear // queryDown has no weight without queryRank
	queryNorm, valueNorm layer.Norm
	down, up, out        layer.Linear
}

func (l *loader) latent(d attentionDesign) selfAttention {
	a, n, m, hidden := latentAttention{attentionDesign: d}, l.names.Latent, d.latent, l.shape.Hidden
	heads, wide := d.heads.Query, d.heads.QueryWidth()
	if m.queryRank > 0 {
		a.queryDown = l.linear(hidden, []string{n.QueryDown}, []int{m.queryRank}, m.bias)
		a.queryNorm = l.rmsNorm(n.QueryNorm, m.queryRank, latentEps)
		a.queryUp = l.linear(m.queryRank, []string{n.QueryUp}, []int{wide}, false)
	} else {
		a.queryUp = l.linear(hidden, []string{l.names.Q}, []int{wide}, false)
	}
	a.down = l.linear(hidden, []string{n.Down}, []int{m.rank + m.turning}, m.bias)
	a.valueNorm = l.rmsNorm(n.Norm, m.rank, latentEps)
	a.up = l.linear(m.rank, []string{n.Up}, []int{heads * (m.still + m.value)}, false)
	a.out = l.linear(heads*m.value, []string{l.names.Out}, []int{hidden}, m.bias)
	return a
}

func (l *loader) rmsNorm(name string, width int, eps float64) (n layer.Norm) {
	if l.err == nil {
		n, l.err = layer.LoadRMSNorm(l.s, l.src, l.at+name, width, eps, 0)
	}
	return n
}

func (a latentAttention) forward(s *torch.Scope, h *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor {
	m, wide := a.latent, int64(a.heads.QueryWidth())
	joined := emit(tap.Wqkv, s.Cat([]*torch.Tensor{a.queries(s, h), a.down.Forward(s, h)}, 2))
	q := a.heads.ByHead(s, s.Narrow(joined, 2, 0, wide))
	narrow := a.valueNorm.Forward(s, s.Narrow(joined, 2, wide, int64(m.rank)))
	turning := s.Unsqueeze(s.Narrow(joined, 2, wide+int64(m.rank), int64(m.turning)), 1) // [B, 1, T, C]
	kv := layer.Heads{Width: m.still + m.value}.ByHead(s, a.up.Forward(s, narrow))
	v := s.Narrow(kv, 3, int64(m.still), int64(m.value))
	k := a.joinKeys(s, s.Narrow(kv, 3, 0, int64(m.still)), a.rotary.Forward(s, turning, c))
	turned := a.rotary.Forward(s, s.Narrow(q, 3, int64(m.still), int64(m.turning)), c)
	q = s.Cat([]*torch.Tensor{s.Narrow(q, 3, 0, int64(m.still)), turned}, 3)
	z := emit(tap.Z, a.heads.Causal(s, q, k, s.Contiguous(v), a.scores, c))
	return emit(tap.OutProj, a.out.Forward(s, z))
}

func (a latentAttention) queries(s *torch.Scope, h *torch.Tensor) *torch.Tensor {
	if a.queryNorm == nil {
		return a.queryUp.Forward(s, h)
	}
	return a.queryUp.Forward(s, a.queryNorm.Forward(s, a.queryDown.Forward(s, h)))
}

// joinKeys puts the part [B, 1, T, C] that all heads share behind each head's own.
func (a latentAttention) joinKeys(s *torch.Scope, own, common *torch.Tensor) *torch.Tensor {
	return s.Cat([]*torch.Tensor{own, s.Expand(common, -1, own.Shape()[1], -1, -1)}, 3)
}

func (a latentAttention) width(site tap.Site) int {
	if site == tap.Z {
		return a.heads.Query * a.latent.value
	}
	return a.heads.QueryWidth() + a.latent.rank + a.latent.turning
}

func (a latentAttention) linears(f func(layer.Linear) layer.Linear) selfAttention {
	if a.queryNorm != nil {
		a.queryDown = f(a.queryDown)
	}
	a.queryUp, a.down, a.up, a.out = f(a.queryUp), f(a.down), f(a.up), f(a.out)
	return a
}
