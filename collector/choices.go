package collector

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrChoice says that a choice is not one token of the model's vocabulary.
var ErrChoice = errors.New("choice is not a token")

// choices are the token ids that count as "no" and as "yes".
type choices struct {
	no, yes []int32
	said    answers
}

// odds is the model's own answer to one prompt: P_k = Σ p over the choice's tokens,
// yes = P₁/(P₀+P₁+1e-12), no = 1 − yes, cov = P₀+P₁ (how much of the mass the choices cover).
type odds struct{ no, yes, cov float32 }

// parseChoices maps the words for no and yes to token ids; no words give nil. A choice stands for itself and for its forms after a space
// and after a line break, as far as these are single tokens.
func parseChoices(words []string, encode func(text string) []int32) (*choices, error) {
	if len(words) == 0 {
		return nil, nil
	}
	if len(words) != 2 {
		return nil, fmt.Errorf("--choices %s: want two words, the one that means no first, such as no,yes", strings.Join(words, ","))
	}
	var c choices
	for i, into := range []*[]int32{&c.no, &c.yes} {
		for _, form := range []string{" ", "", "\n"} {
			if ids := encode(form + words[i]); len(ids) == 1 {
				*into = append(*into, ids[0])
			}
		}
		if len(*into) == 0 {
			return nil, fmt.Errorf("%w: %q (with or without a space before it); choose words the model's vocabulary holds whole", ErrChoice, words[i])
		}
	}
	return &c, nil
}

// odds reads the answers from next-token logits [B][Vocab].
func (c *choices) odds(logits [][]float32) []odds {
	if c == nil {
		return nil
	}
	out := make([]odds, len(logits))
	for b, row := range logits {
		top := math.Inf(-1)
		for _, v := range row {
			top = max(top, float64(v))
		}
		var total float64
		for _, v := range row {
			total += math.Exp(float64(v) - top)
		}
		mass := func(ids []int32) (m float64) {
			for _, id := range ids {
				m += math.Exp(float64(row[id])-top) / total
			}
			return m
		}
		no, yes := mass(c.no), mass(c.yes)
		p := yes / (no + yes + 1e-12)
		out[b] = odds{no: float32(1 - p), yes: float32(p), cov: float32(no + yes)}
		c.said.add(row, top, total, no+yes)
	}
	return out
}
