package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// block is one block's parts with their weights; a norm that is nil is not there.
type block struct {
	attnNorm, mlpNorm layer.Norm // of what attention and MLP read
	postAttn, postMLP layer.Norm // of what they give, before it is added
	attn              selfAttention
	mlp               feedForward
}

// selfAttention mixes the states of positions.
type selfAttention interface {
	// forward maps states h [B, T, Hidden], each position seeing itself and those before it.
	forward(s *torch.Scope, h *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor
	// width is the number of channels at Wqkv and z.
	width(site tap.Site) int
}

// feedForward is an MLP, or what stands in its place.
type feedForward interface {
	// forward maps states h [B, T, Hidden] position by position.
	forward(s *torch.Scope, h *torch.Tensor, emit Emit) *torch.Tensor
	// width is the number of channels at router, experts, fc1 and act; 0 where it has none.
	width(site tap.Site) int
}

// Block is x + attention + MLP. One after the other, the MLP reads what attention has been added to; side by side, both
// read x, normed once where there is no second norm.
func (n *network) Block(s *torch.Scope, i int, x *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor {
	b := n.blocks[i]
	h := normed(s, b.attnNorm, x)
	attn := b.attn.forward(s, emit(tap.AttnIn, h), c, emit)
	attn = emit(tap.AttnOut, n.added(s, b.postAttn, attn))
	if n.parallel {
		if b.mlpNorm != nil {
			h = b.mlpNorm.Forward(s, x)
		}
		return s.Add(s.Add(attn, n.feed(s, b, h, emit)), x)
	}
	x = emit(tap.ResidMid, s.Add(x, attn))
	return s.Add(x, n.feed(s, b, normed(s, b.mlpNorm, x), emit))
}

// feed is what the MLP adds, of what it reads.
func (n *network) feed(s *torch.Scope, b block, h *torch.Tensor, emit Emit) *torch.Tensor {
	out := b.mlp.forward(s, emit(tap.MLPIn, h), emit)
	return emit(tap.MLPOut, n.added(s, b.postMLP, out))
}

// added is what the residual stream gets of a part's output.
func (n *network) added(s *torch.Scope, post layer.Norm, out *torch.Tensor) *torch.Tensor {
	out = normed(s, post, out)
	if n.residualScale != 0 {
		out = s.MulScalar(out, n.residualScale)
	}
	return out
}

func normed(s *torch.Scope, n layer.Norm, x *torch.Tensor) *torch.Tensor {
	if n == nil {
		return x
	}
	return n.Forward(s, x)
}
