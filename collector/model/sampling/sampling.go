// Package sampling chooses the next token of a prompt from its logits.
//
// A Rule says how: the likeliest token, or one drawn from a part of the distribution. A Sampler draws for one prompt; what
// it draws is a function of the rule, a seed, the prompt's number and the logits it is shown, so that other prompts make
// no difference.
package sampling

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Rule says how the next token is chosen. The zero value takes the likeliest.
type Rule struct {
	Temperature float64 // logits are divided by it before the softmax; 0: the likeliest token is taken
	TopK        int     // only so many of the likeliest tokens are drawn from; 0: all
	// TopP: only the likeliest tokens are drawn from, as many as it takes for their probabilities, after TopK, to reach
	// it together (Holtzman et al. 2019); 0 and 1: all.
	TopP float64
}

// Check refuses a rule that means nothing.
func (r Rule) Check() error {
	switch {
	case !(r.Temperature >= 0) || math.IsInf(r.Temperature, 0):
		return fmt.Errorf("a temperature of %g: want 0 (the likeliest token) or more", r.Temperature)
	case r.TopK < 0:
		return fmt.Errorf("the %d likeliest tokens: want 1 or more, or 0 for all", r.TopK)
	case !(r.TopP >= 0 && r.TopP <= 1):
		return fmt.Errorf("the likeliest tokens up to a probability of %g: want 0 to 1", r.TopP)
	case r.Temperature == 0 && (r.TopK > 0 || r.TopP > 0):
		return fmt.Errorf("without a temperature the likeliest token is taken: there is nothing to draw from the likeliest ones")
	}
	return nil
}

// Sampler chooses the tokens of one prompt, one after another.
type Sampler struct {
	rule   Rule
	random *rand.Rand
}

// New is the sampler of a prompt by its number.
func New(r Rule, seed uint64, prompt int64) *Sampler {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(prompt))
	return &Sampler{rule: r, random: rand.New(rand.NewChaCha8(key))}
}

// candidate is a token that may be drawn, with its weight: its probability times a factor common to all.
type candidate struct {
	id     int32
	weight float64
}

// Next chooses a token; none of the logits may be NaN. Of equal logits the smaller id goes first.
func (s *Sampler) Next(logits []float32) int32 {
	if s.rule.Temperature == 0 {
		return likeliest(logits)
	}
	all := s.rule.candidates(logits)
	var total float64
	for _, c := range all {
		total += c.weight
	}
	at := s.random.Float64() * total
	for _, c := range all {
		if at -= c.weight; at < 0 {
			return c.id
		}
	}
	return all[0].id // rounding: the weights add up to a little less than their sum
}

// likeliest is the id of the greatest logit.
func likeliest(logits []float32) (best int32) {
	for id, v := range logits {
		if v > logits[best] {
			best = int32(id)
		}
	}
	return best
}

// candidates are the tokens that may be drawn, the likeliest first.
func (r Rule) candidates(logits []float32) []candidate {
	top := float64(logits[likeliest(logits)])
	all := make([]candidate, len(logits))
	for id, v := range logits {
		all[id] = candidate{int32(id), math.Exp((float64(v) - top) / r.Temperature)}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id)) })
	if r.TopK > 0 {
		all = all[:min(r.TopK, len(all))]
	}
	if r.TopP == 0 || r.TopP == 1 {
		return all
	}
	var total, sum float64
	for _, c := range all {
		total += c.weight
	}
	for i, c := range all {
		if sum += c.weight; sum >= r.TopP*total {
			return all[:i+1]
		}
	}
	return all
}
