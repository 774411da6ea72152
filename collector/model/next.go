package model

import (
	"fmt"
	"math"
	"slices"

	"actfleet/internal/torch"
)

// Next asks what comes after each prompt's last token in a few numbers a prompt. A GPU computes them where the logits
// are, which then do not come to the host.
type Next struct {
	// Sets are token ids: the probability that one of a set comes next is wanted of each.
	Sets [][]int32
	// Top is how many of the likeliest tokens are wanted.
	Top int
	// Emit receives the chances after every prompt, in the order of IDs, when all blocks are computed.
	Emit func(Chances)
}

// Chances are probabilities of tokens to come next.
type Chances struct {
	Sets []float64 // of each set that was asked for, its tokens together
	Top  []Chance  // the likeliest tokens, the likeliest first; on the CPU the smaller id is first of equal ones
}

// Chance is a token and its probability.
type Chance struct {
	ID int32
	P  float64
}

// Of are the chances that logits [Vocab] give.
func (n *Next) Of(logits []float32) (c Chances) {
	top := math.Inf(-1)
	for _, v := range logits {
		top = max(top, float64(v))
	}
	var total float64
	for _, v := range logits {
		total += math.Exp(float64(v) - top)
	}
	p := func(id int32) float64 { return math.Exp(float64(logits[id])-top) / total }
	for _, set := range n.Sets {
		var mass float64
		for _, id := range set {
			mass += p(id)
		}
		c.Sets = append(c.Sets, mass)
	}
	for _, id := range likeliest(logits, n.Top) {
		c.Top = append(c.Top, Chance{id, p(id)})
	}
	return c
}

// likeliest are the ids of the n greatest logits, the greatest first; of equal ones the smaller id is first.
func likeliest(logits []float32, n int) []int32 {
	ids := make([]int32, 0, n+1)
	for id, v := range logits {
		if len(ids) == n && (n == 0 || !(v > logits[ids[n-1]])) {
			continue
		}
		at := len(ids)
		for at > 0 && v > logits[ids[at-1]] {
			at--
		}
		ids = slices.Insert(ids, at, int32(id))
		ids = ids[:min(len(ids), n)]
	}
	return ids
}

// onDevice are the chances that logits [B, Vocab] on a GPU give, in fp32; ids are those of all sets, one after another.
func (n *Next) onDevice(s *torch.Scope, logits, ids *torch.Tensor) (all []Chances) {
	total := s.LogSumExp(logits, -1, true)
	p := func(x *torch.Tensor) *torch.Tensor { return s.Exp(s.Minus(x, total)) }
	var columns []*torch.Tensor
	from := 0
	for _, set := range n.Sets {
		at := s.Narrow(ids, 0, int64(from), int64(len(set)))
		columns = append(columns, s.SumDim(p(s.IndexSelect(logits, 1, at)), -1, true))
		from += len(set)
	}
	if n.Top > 0 {
		values, at := s.TopK(logits, int64(n.Top), -1)
		columns = append(columns, p(values), s.To(at, torch.F32)) // which holds every id: Next.check
	}
	if len(columns) == 0 {
		return make([]Chances, logits.Shape()[0])
	}
	for row := range slices.Chunk(s.ToDevice(s.Cat(columns, 1), torch.CPU).Float32s(), len(n.Sets)+2*n.Top) {
		var c Chances
		for i := range n.Sets {
			c.Sets = append(c.Sets, float64(row[i]))
		}
		values, at := row[len(n.Sets):][:n.Top], row[len(n.Sets)+n.Top:]
		for i := range values {
			c.Top = append(c.Top, Chance{int32(at[i]), float64(values[i])})
		}
		all = append(all, c)
	}
	return all
}

// exactInF32 is the first integer after which fp32 has gaps.
const exactInF32 = 1 << 24

// check refuses tokens that a model does not have.
func (n *Next) check(info Info) error {
	if n.Top < 0 || n.Top > info.Vocab || info.Vocab > exactInF32 {
		return fmt.Errorf("the %d likeliest tokens are asked for, %s has %d", n.Top, info.Name, info.Vocab)
	}
	for _, set := range n.Sets {
		for _, id := range set {
			if id < 0 || int(id) >= info.Vocab {
				return fmt.Errorf("the probability of token %d is asked for, the vocabulary of %s is 0..%d", id, info.Name, info.Vocab-1)
			}
		}
	}
	return nil
}
