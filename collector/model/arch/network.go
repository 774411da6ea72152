package arch

import (
	"fmt"
	"slices"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// network is a design with its weights.
type network struct {
	design
	target    layer.Target
	embed     *torch.Tensor // [Vocab, Hidden]
	positions *torch.Tensor // [MaxPositions, Hidden]; nil: none are learned
	blocks    []block
	embedNorm layer.Norm // of the embedding; nil: none
	last      layer.Norm
	head      layer.Linear // [Vocab, Hidden]
}

// load reads the weights of a design.
func (d design) load(s *torch.Scope, src *layer.Source) (*network, error) {
	n := &network{design: d}
	n.shape.PrefixLimit = d.prefixLimit()
	v := vocabulary{embed: d.names.Embed, head: d.names.Head, tied: d.tied, size: d.shape.Vocab, width: d.shape.Hidden}
	var err error
	if n.embed, n.head.Weight, err = v.load(s, src); err != nil {
		return nil, err
	}
	if n.shape.NoHead = n.head.Weight == nil; !n.shape.NoHead && d.headBias {
		if n.head.Bias, err = src.Tensor(s, d.names.Head+".bias", d.shape.Vocab); err != nil {
			return nil, err
		}
	}
	if d.names.Positions != "" {
		if n.positions, err = src.Tensor(s, d.names.Positions+".weight", d.shape.MaxPositions+d.positionsOffset, d.shape.Hidden); err != nil {
			return nil, err
		}
	}
	n.target = src.Cut(len(d.layers), d.blockOf())
	for i, b := range d.layers {
		at := d.blockName(i)
		l := &loader{s: s, src: src.Block(i), design: d, at: at}
		n.blocks = append(n.blocks, l.block(b))
		if l.err != nil {
			return nil, l.err
		}
	}
	l := &loader{s: s, src: src, design: d}
	n.embedNorm, n.last = l.norm(d.names.EmbedNorm, d.shape.Hidden), l.norm(d.names.Norm, d.shape.Hidden)
	return n, l.err
}

// blockName is what the names of block i's weights begin with.
func (d design) blockName(i int) string { return fmt.Sprintf(d.names.Block+".", i+d.names.First) }

// blockOf says which block a weight belongs to, by its name; −1: none.
func (d design) blockOf() func(name string) int {
	var begin []string
	for i := range d.layers {
		begin = append(begin, d.blockName(i))
	}
	return func(name string) int {
		return slices.IndexFunc(begin, func(b string) bool { return strings.HasPrefix(name, b) })
	}
}

// prefixLimit is the lowest limit of the blocks' rotations; 0: none has one.
func (d design) prefixLimit() (limit int) {
	for _, b := range d.layers {
		if r := b.attention.rotary; r != nil && r.Limit() > 0 && (limit == 0 || r.Limit() < limit) {
			limit = r.Limit()
		}
	}
	return limit
}

func (n *network) Shape() Shape { return n.shape }

func (n *network) Device(i int) torch.Device { return n.target.Block(i) }

func (n *network) Width(t tap.Tap) int {
	if t.Layer < 0 || t.Layer >= len(n.blocks) {
		return 0
	}
	b := n.blocks[t.Layer]
	switch t.Site {
	case tap.Wqkv, tap.Z:
		return b.attn.width(t.Site)
	case tap.Router, tap.Experts, tap.FC1, tap.Act:
		return b.mlp.width(t.Site)
	}
	lacks := t.Site == tap.Embed && t.Layer > 0 || t.Site == tap.Final && t.Layer < len(n.blocks)-1 || t.Site == tap.ResidMid && n.parallel
	if lacks {
		return 0
	}
	return n.shape.Hidden
}

func (n *network) Same(site tap.Site) tap.Site {
	plain := n.residualScale == 0
	switch {
	case site == tap.AttnOut && plain && n.names.PostAttn == "":
		return tap.OutProj
	case site == tap.MLPOut && plain && n.names.PostMLP == "":
		return tap.FC2
	case site == tap.MLPIn && n.names.MLPNorm == "" && n.parallel:
		return tap.AttnIn
	case site == tap.MLPIn && n.names.MLPNorm == "":
		return tap.ResidMid
	}
	return site
}

func (n *network) Alike(few, many int) bool {
	for _, b := range n.layers {
		if r := b.attention.rotary; r != nil && !r.Alike(few, many) {
			return false
		}
	}
	return true
}

func (n *network) Modules() tap.Modules { return n.names }

func (n *network) Embed(s *torch.Scope, ids *torch.Tensor, c layer.Context) *torch.Tensor {
	x := s.Embedding(n.embed, ids)
	if n.embedScale != 0 {
		x = s.MulScalar(x, n.embedScale)
	}
	if n.positions != nil {
		offset := int64(n.positionsOffset)
		table := s.Narrow(n.positions, 0, offset, n.positions.Shape()[0]-offset)
		x = s.Add(x, c.Rows(s, table, int(ids.Shape()[1])))
	}
	return normed(s, n.embedNorm, x)
}

func (n *network) Final(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return normed(s, n.last, x) }

func (n *network) Logits(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	logits := n.head.Forward(s, x)
	if n.logitScale != 0 {
		logits = s.MulScalar(logits, n.logitScale)
	}
	if n.logitCap > 0 {
		logits = layer.Softcap(s, logits, n.logitCap)
	}
	return logits
}
