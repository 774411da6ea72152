package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// loader reads a block's parts, or those outside of blocks. After the first error it reads nothing more.
type loader struct {
	s   *torch.Scope
	src *layer.Source
	design
	at  string // what the names begin with
	err error
}

func (l *loader) block(d blockDesign) (b block) {
	n, hidden := l.names, l.shape.Hidden
	b.attnNorm, b.mlpNorm = l.norm(n.AttnNorm, hidden), l.norm(n.MLPNorm, hidden)
	b.postAttn, b.postMLP = l.norm(n.PostAttn, hidden), l.norm(n.PostMLP, hidden)
	b.attn, b.mlp = l.attention(d.attention), l.mlp(d.mlp)
	return b
}

func (l *loader) attention(d attentionDesign) selfAttention {
	if d.latent != nil {
		return l.latent(d)
	}
	a, n, h := attention{attentionDesign: d}, l.names, d.heads
	if n.QKV != "" {
		a.qkv = l.linear(l.shape.Hidden, []string{n.QKV}, []int{h.FusedWidth()}, d.qkvBias)
	} else {
		a.qkv = l.linear(l.shape.Hidden, []string{n.Q, n.K, n.V}, []int{h.QueryWidth(), h.KeyWidth(), h.KeyWidth()}, d.qkvBias)
	}
	if n.Grouped && l.err == nil {
		a.qkv = a.qkv.Ungrouped(l.s, h)
	}
	a.out = l.linear(h.QueryWidth(), []string{n.Out}, []int{l.shape.Hidden}, d.outBias)
	switch d.qkNorm {
	case normHeads:
		a.qNorm, a.kNorm = l.norm(n.QNorm, h.Width), l.norm(n.KNorm, h.Width)
	case normEachHead:
		a.qNorm, a.kNorm = l.headNorms(n.QNorm, h.Query, h.Width), l.headNorms(n.KNorm, h.KeyValue, h.Width)
	case normAllHeads:
		a.qNorm, a.kNorm = l.norm(n.QNorm, h.QueryWidth()), l.norm(n.KNorm, h.KeyWidth())
	}
	if d.sinks {
		if sinks := l.fp32(n.Sinks, h.Query); l.err == nil {
			a.scores.Sinks = l.s.Keep(l.s.View(sinks, int64(h.KeyValue), int64(h.Query/h.KeyValue), 1))
		}
	}
	return a
}

func (l *loader) mlp(d mlpDesign) feedForward {
	if d.experts != nil {
		return l.experts(d)
	}
	m, n, hidden := mlp{mlpDesign: d, gated: l.hasGate()}, l.names, l.shape.Hidden
	switch {
	case n.GateUp != "":
		m.fc1 = l.linear(hidden, []string{n.GateUp}, []int{2 * d.inner}, d.bias)
	case n.Gate != "":
		m.fc1 = l.linear(hidden, []string{n.Gate, n.Up}, []int{d.inner, d.inner}, d.bias)
	default:
		m.fc1 = l.linear(hidden, []string{n.FC1}, []int{d.inner}, d.bias)
	}
	m.fc2 = l.linear(d.inner, []string{n.FC2}, []int{hidden}, d.bias)
	return m
}

// linear reads maps of the same input as one whose output is theirs side by side.
func (l *loader) linear(in int, names []string, outs []int, bias bool) (out layer.Linear) {
	if l.err != nil {
		return out
	}
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = l.at + name
	}
	if l.conv1D {
		out, l.err = layer.LoadConv1D(l.s, l.src, full[0], in, outs[0])
	} else {
		out, l.err = layer.LoadFused(l.s, l.src, full, in, outs, bias)
	}
	return out
}

// norm reads a norm; one without a name is none.
func (l *loader) norm(name string, width int) (n layer.Norm) {
	if l.err != nil || name == "" {
		return nil
	}
	k := l.design.norm
	switch {
	case k.plain:
		n = layer.LayerNorm{Eps: k.eps}
	case k.rms:
		n, l.err = layer.LoadRMSNorm(l.s, l.src, l.at+name, width, k.eps, k.offset)
	default:
		n, l.err = layer.LoadLayerNorm(l.s, l.src, l.at+name, width, k.eps, k.bias)
	}
	return n
}

// headNorms reads a LayerNorm without a bias for each of n heads.
func (l *loader) headNorms(name string, heads, width int) (n layer.Norm) {
	if l.err == nil {
		n, l.err = layer.LoadHeadNorms(l.s, l.src, l.at+name, heads, width, l.design.norm.eps)
	}
	return n
}
