package layer

import (
	"slices"

	"actfleet/internal/torch"
)

// Mixture is Σ w·expert(x) over the experts that each token chose, of states x [N, D]: ids and weights are [N, k]. Only
// chosen experts are computed, each once, on the rows of its tokens; one after the other in the order of their numbers, so
// that the sums have the same bits again. expert maps rows [n, D] to [n, D].
func Mixture(s *torch.Scope, x, ids, weights *torch.Tensor, expert func(s *torch.Scope, number int, rows *torch.Tensor) *torch.Tensor) *torch.Tensor {
	out := s.Zeros(torch.F32, x.Device(), x.Shape()...)
	flat := s.View(weights, -1, 1)
	chosen := s.ToDevice(s.Contiguous(ids), torch.CPU).Int64s()
	tokens, slots := byExpert(chosen, int(ids.Shape()[1]))
	for number := range tokens {
		if len(tokens[number]) == 0 {
			continue
		}
		s.Sub(func(s *torch.Scope) *torch.Tensor {
			at := index(s, tokens[number], x.Device())
			y := expert(s, number, s.IndexSelect(x, 0, at))
			s.IndexAddTo(out, 0, at, s.Mul(y, s.IndexSelect(flat, 0, index(s, slots[number], x.Device()))))
			return nil
		})
	}
	return out
}

// byExpert turns the choices [N·k] around: of each expert the tokens that chose it, and where in the choices they did.
func byExpert(chosen []int64, k int) (tokens, slots [][]int64) {
	if len(chosen) == 0 {
		return nil, nil
	}
	most := slices.Max(chosen) + 1
	tokens, slots = make([][]int64, most), make([][]int64, most)
	for slot, e := range chosen {
		tokens[e] = append(tokens[e], int64(slot/k))
		slots[e] = append(slots[e], int64(slot))
	}
	return tokens, slots
}

func index(s *torch.Scope, at []int64, d torch.Device) *torch.Tensor {
	return s.ToDevice(torch.FromInt64(s, at, int64(len(at))), d)
}

// Routing says how a token's experts and their weights come about from the router's logits.
type Routing struct {
	Chosen  int     // experts of a token
	Sigmoid bool    // scores are sigmoids of the logits; else their softmax
	After   bool    // softmax over the chosen logits alone
	Norm    bool    // the chosen weights are divided by their sum
	Scale   float64 // on the weights; 0 is none
	// Groups cut the experts into equal groups, of which the best Allowed are chosen from, by the sum of their best Best
	// scores; 0: all experts are chosen from.
	Groups, Allowed, Best int
	// Correction [E] is added to the scores for the choice, not for the weights; nil: none.
	Correction *torch.Tensor
}

// Choose maps logits [N, E] to the experts that each token goes through and their weights, [N, Chosen] both.
func (r Routing) Choose(s *torch.Scope, logits *torch.Tensor) (ids, weights *torch.Tensor) {
	scores := logits
	switch {
	case r.Sigmoid:
		scores = s.Sigmoid(logits)
	case !r.After:
		scores = s.Softmax(logits, -1)
	}
	ranked := scores
	if r.Correction != nil {
		ranked = s.Add(scores, r.Correction)
	}
	_, ids = s.TopK(r.allowed(s, ranked), int64(r.Chosen), -1)
	weights = s.Gather(scores, 1, ids)
	if r.After {
		weights = s.Softmax(weights, -1)
	}
	if r.Norm {
		weights = s.Div(weights, s.AddScalar(s.SumDim(weights, -1, true), 1e-20))
	}
	if r.Scale != 0 {
		weights = s.MulScalar(weights, r.Scale)
	}
	return ids, weights
}

// Ranked are the experts that Choose gave, [N, k], as floats: the one with the greatest weight first, and of equal weights
// the one with the lower number.
func Ranked(s *torch.Scope, ids, weights *torch.Tensor) *torch.Tensor {
	ids, order := s.Sort(ids, -1, false)
	_, rank := s.Sort(s.Gather(weights, 1, order), -1, true) // stable on a CPU
	return s.To(s.Gather(ids, 1, rank), torch.F32)
}

// allowed are the scores [N, E], and −∞ outside of a token's best groups.
func (r Routing) allowed(s *torch.Scope, scores *torch.Tensor) *torch.Tensor {
	if r.Groups == 0 {
		return scores
	}
	n, e := scores.Shape()[0], scores.Shape()[1]
	byGroup := s.View(scores, n, int64(r.Groups), e/int64(r.Groups))
	best, _ := s.TopK(byGroup, int64(r.Best), -1)
	_, groups := s.TopK(s.SumDim(best, -1, false), int64(r.Allowed), -1)
	out := s.Full(float64(minusInf), torch.F32, scores.Device(), n, int64(r.Groups))
	out = s.Scatter(out, 1, groups, s.Zeros(torch.F32, scores.Device(), groups.Shape()...))
	return s.View(s.Add(byGroup, s.Unsqueeze(out, 2)), n, e)
}
