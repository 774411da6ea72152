package collector

import (
	"actfleet/collector/dataset"
	"actfleet/shard"
)

// scalars fills the scalar columns of a batch's rows.
type scalars struct {
	*units
	input *dataset.Input // the unit's prompts
	batch batch
	odds  []odds // per prompt of the batch; empty without choices
}

// segment fills the rows of one segment, in the order of plan.Scalars.
func (f scalars) segment(s segment) {
	for k, at := range s.flat {
		row := f.batch.rows[int(at)/f.batch.steps]
		pos := int(at) % f.batch.steps
		f.row(s.group.Block, s.at+k, row, pos, int(at)/f.batch.steps)
	}
}

func (f scalars) row(b *shard.Block, at, row, pos, prompt int) {
	ids := f.input.IDs[row-f.input.First]
	for c, column := range f.plan.Scalars {
		switch column.Name {
		case "row":
			b.Scalars[c].([]int64)[at] = int64(row)
		case "pos":
			b.Scalars[c].([]int32)[at] = int32(pos)
		case "n_tokens":
			b.Scalars[c].([]int32)[at] = int32(len(ids))
		case "token_id":
			b.Scalars[c].([]int32)[at] = ids[pos]
		case "token":
			b.Scalars[c].([]string)[at] = f.token(ids[pos])
		case "p_no":
			b.Scalars[c].([]float32)[at] = f.odds[prompt].no
		case "p_yes":
			b.Scalars[c].([]float32)[at] = f.odds[prompt].yes
		case "choice_cov":
			b.Scalars[c].([]float32)[at] = f.odds[prompt].cov
		default:
			copyCell(b.Scalars[c], at, own(f.input, column.Name), row-f.input.First)
		}
	}
}
