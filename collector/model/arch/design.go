package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/shard/tap"
)

// design is the table of a network's parts: all that a config.json says about it. Which parts there are, and where norms
// stand, follows from names: a part without a name does not exist.
type design struct {
	names  tap.Modules // empty: those of the family (tap.ModulesOf)
	shape  Shape       // without NoHead, which the weights decide
	conv1D bool        // the matrices of blocks lie in the file as [in, out]

	embedScale      float64 // on the embedding; 0 is none
	positionsOffset int     // rows of the positions' matrix before that of position 0

	norm          normKind // of every norm
	parallel      bool     // attention and MLP read the same residual stream, side by side
	residualScale float64  // on what attention and MLP add; 0 is none
	layers        []blockDesign

	tied       bool    // one matrix may be embedding and head
	headBias   bool    // of the output matrix
	logitScale float64 // on the logits; 0 is none
	logitCap   float64 // logits become cap·tanh(logit/cap); 0 is none
}

// blockDesign is what may differ from block to block.
type blockDesign struct {
	attention attentionDesign
	mlp       mlpDesign
}

// attentionDesign is one block's attention.
type attentionDesign struct {
	heads            layer.Heads
	scores           layer.Scores
	rotary           *layer.Rotary // nil: queries and keys do not turn
	qkvBias, outBias bool
	clip             float64       // queries, keys and values are kept within ±clip; 0 is none
	sinks            bool          // names.Sinks has one more score for each head
	latent           *latentDesign // keys and values come from a narrower vector; nil: they do not
	qkNorm           qkNorm
}

// qkNorm is where queries and keys are normed, always before they turn.
type qkNorm int

const (
	noQKNorm     qkNorm = iota
	normHeads           // each head by itself, with the same weights
	normAllHeads        // all heads of a position together
	normEachHead        // each head by itself, with weights of its own (names.QNorm and KNorm have a %d)
)

// mlpDesign is one block's MLP. It has a gate where names.Gate or names.GateUp says so.
type mlpDesign struct {
	inner int // channels between its two projections
	act   layer.Activation
	bias  bool

	clamped *clampedGate   // in act's place; nil: none
	experts *expertsDesign // in the MLP's place; nil: none
}

// normKind is a LayerNorm, or an RMSNorm.
type normKind struct {
	rms    bool
	eps    float64
	bias   bool    // of a LayerNorm
	offset float64 // added to an RMSNorm's weight; a LayerNorm has none
	plain  bool    // a LayerNorm has neither weight nor bias
}

// uniform is n blocks of one design.
func uniform(n int, b blockDesign) []blockDesign {
	out := make([]blockDesign, n)
	for i := range out {
		out[i] = b
	}
	return out
}

// hasGate says whether the MLPs of the design are down(act(gate x) ⊙ up x).
func (d *design) hasGate() bool { return d.names.Gate != "" || d.names.GateUp != "" }
