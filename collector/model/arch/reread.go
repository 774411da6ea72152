package arch

import (
	"slices"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// Reread implements Network.
func (n *network) Reread(s *torch.Scope, src *layer.Source, weights []string, tied bool) (Network, int, error) {
	own := func(module string) bool {
		return module != "" && slices.ContainsFunc(weights, func(w string) bool { return strings.HasPrefix(w, module) })
	}
	src = src.On(n.target)
	out, first := *n, n.shape.Layers
	out.blocks = slices.Clone(n.blocks)
	for i := range out.blocks {
		if !own(n.blockName(i)) {
			continue
		}
		b, err := n.loadBlock(s, src, i)
		if err != nil {
			return nil, 0, err
		}
		out.blocks[i], first = b, min(first, i)
	}
	m := n.names
	if own(m.Norm + ".") {
		first = min(first, n.shape.Layers-1)
	}
	if own(m.Embed+".") || own(dotted(m.Positions)) || own(dotted(m.EmbedNorm)) {
		first = -1
	}
	return &out, first, out.rereadOutside(s, src, own, tied)
}

// rereadOutside reads what lies outside of blocks and has weights of its own.
func (n *network) rereadOutside(s *torch.Scope, src *layer.Source, own func(module string) bool, tied bool) (err error) {
	m, l := n.names, &loader{s: s, src: src, design: n.design}
	if own(m.Embed + ".") {
		n.embed = l.fp32(m.Embed+".weight", n.shape.Vocab, n.shape.Hidden)
		if tied && n.tied && !own(m.Head+".") {
			n.head.Weight = n.embed
		}
	}
	if own(m.Head + ".") {
		n.head.Weight, n.shape.NoHead = l.fp32(m.Head+".weight", n.shape.Vocab, n.shape.Hidden), false
		if n.headBias {
			n.head.Bias = l.fp32(m.Head+".bias", n.shape.Vocab)
		}
	}
	if own(dotted(m.Positions)) {
		n.positions = l.fp32(m.Positions+".weight", n.shape.MaxPositions+n.positionsOffset, n.shape.Hidden)
	}
	if own(dotted(m.EmbedNorm)) {
		n.embedNorm = l.norm(m.EmbedNorm, n.shape.Hidden)
	}
	if own(m.Norm + ".") {
		n.last = l.norm(m.Norm, n.shape.Hidden)
	}
	return l.err
}

// dotted is what the names of a module's weights begin with; "" of no module.
func dotted(module string) string {
	if module == "" {
		return ""
	}
	return module + "."
}
