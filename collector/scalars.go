package collector

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/shard"
)

// scalars fills the scalar columns of rows.
type scalars struct {
	columns []shard.Scalar // of the plan, in order
	offsets bool           // start and end are columns of our own
	token   func(id int32) string
}

// fill fills the rows of one segment of a batch; answers has one for each of its prompts, or none at all.
func (f scalars) fill(b batch, answers []odds, s segment) {
	for k, at := range s.kept {
		i, pos := int(at)/b.steps, int(at)%b.steps
		var answer odds
		if len(answers) > 0 {
			answer = answers[i]
		}
		f.fillRow(s.group.block, s.first+k, b, i, pos, answer)
	}
}

// fillRow fills one row of a block, that of a position of the batch's prompt i.
func (f scalars) fillRow(b *shard.Block, row int, of batch, i, pos int, answer odds) {
	ids := of.ids(i)
	for c, column := range f.columns {
		if f.offsets && slices.Contains(dataset.OffsetColumns[:], column.Name) {
			b.Scalars[c].([]int32)[row] = of.offset(i, pos, column.Name)
			continue
		}
		switch column.Name {
		case "row":
			b.Scalars[c].([]int64)[row] = int64(of.prompts[i])
		case "pos":
			b.Scalars[c].([]int32)[row] = int32(pos)
		case "n_tokens":
			b.Scalars[c].([]int32)[row] = int32(len(ids))
		case "token_id":
			b.Scalars[c].([]int32)[row] = ids[pos]
		case "token":
			b.Scalars[c].([]string)[row] = f.token(ids[pos])
		case "p_no":
			b.Scalars[c].([]float32)[row] = answer.no
		case "p_yes":
			b.Scalars[c].([]float32)[row] = answer.yes
		case "choice_cov":
			b.Scalars[c].([]float32)[row] = answer.cov
		default:
			copyCell(b.Scalars[c], row, own(of.input, column.Name), of.prompts[i]-of.input.First)
		}
	}
}

// offset is where the token at a position of the batch's prompt i begins in the text, or where it ends.
func (b batch) offset(i, pos int, name string) int32 {
	at := b.prompts[i] - b.input.First
	if name == dataset.OffsetColumns[0] {
		return b.input.Starts[at][pos]
	}
	return b.input.Ends[at][pos]
}

// own is an input's values for a column of the plan, one per prompt.
func own(in *dataset.Input, name string) any {
	for _, c := range in.Columns {
		if c.Name == name {
			return c.Values
		}
	}
	return in.Text
}

// copyCell copies a prompt's value of a data-set column to a row of a block's column of the same type.
func copyCell(dst any, row int, src any, prompt int) {
	switch d := dst.(type) {
	case []int64:
		d[row] = src.([]int64)[prompt]
	case []float64:
		d[row] = src.([]float64)[prompt]
	case []bool:
		d[row] = src.([]bool)[prompt]
	case []string:
		d[row] = src.([]string)[prompt]
	}
}

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

// parseChoices maps the words for no and yes to token ids; no words give nil. A choice stands for itself and for its
// forms after a space and after a line break, as far as these are single tokens.
func parseChoices(words []string, encode func(text string) []int32) (*choices, error) {
	if len(words) == 0 {
		return nil, nil
	}
	if len(words) != 2 {
		return nil, fmt.Errorf("--choices %s: want two words, the one that means no first, such as no,yes", strings.Join(words, ","))
	}
	var c choices
	for i, into := range []*[]int32{&c.no, &c.yes} {
		if *into = ChoiceIDs(words[i], encode); len(*into) == 0 {
			return nil, fmt.Errorf("%w: %q (with or without a space before it); choose words the model's vocabulary holds whole", ErrChoice, words[i])
		}
	}
	return &c, nil
}

// ChoiceIDs are the tokens that stand for a choice: the word and its forms after a space and after a line break, as far as
// these are single tokens; none where no form is.
func ChoiceIDs(word string, encode func(text string) []int32) (ids []int32) {
	for _, form := range []string{" ", "", "\n"} {
		if one := encode(form + word); len(one) == 1 {
			ids = append(ids, one[0])
		}
	}
	return ids
}

// next asks a model for what odds reads, and throws it away; nil of no choices.
func (c *choices) next() *model.Next {
	if c == nil {
		return nil
	}
	return &model.Next{Sets: [][]int32{c.no, c.yes}, Top: c.said.top(), Emit: func(model.Chances) {}}
}

// odds reads the answers to prompts from what comes after them.
func (c *choices) odds(all []model.Chances) (out []odds) {
	for _, after := range all {
		no, yes := after.Sets[0], after.Sets[1]
		p := yes / (no + yes + 1e-12)
		out = append(out, odds{no: float32(1 - p), yes: float32(p), cov: float32(no + yes)})
		c.said.add(no+yes, after.Top)
	}
	return out
}
