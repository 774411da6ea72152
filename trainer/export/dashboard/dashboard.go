// Package dashboard is what a page about an autoencoder's latents shows, the prompts in which each is most active and how
// often it is, written as the folder that Neuronpedia takes in.
//
// Vocabulary. A latent's examples are the prompts of a run with its greatest values, one value for every token. The
// folder is MODEL/SOURCE with release.jsonl, model.jsonl, sourceset.jsonl and source.jsonl, one object each, and
// features/batch-N.jsonl.gz and activations/batch-N.jsonl.gz, an object a line.
//
// Guaranteed: one reading of the run; memory for the examples alone and one unit; the same run, coder and time give the
// same bytes; the folder appears complete or not at all. Not guaranteed: what needs the model's head, logits and
// their histograms, and correlations with neurons, is left empty.
package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
)

// maxExamples of a latent are kept.
const maxExamples = 20

// Set is what was seen of all latents.
type Set struct {
	Latents       []Latent // of all, in their order
	Rows, Prompts int64
}

// Latent is what was seen of one.
type Latent struct {
	Fires    int64     // rows on which it was active
	Examples []Example // by falling greatest value
}

// Example is a prompt in which a latent is active.
type Example struct {
	Tokens []string // shared by the latents of a prompt
	At     []int    // tokens on which it is active, ascending
	Values []float32
	Max    float32
}

// Gather reads a column of a run and keeps what an autoencoder's latents do on it.
func Gather(ctx context.Context, m *sae.Model, column string, src stream.Source) (*Set, error) {
	if len(m.Parts) > 0 {
		return nil, errors.New("crosscoders read several columns, and a page here is of one")
	}
	s := &Set{Latents: make([]Latent, m.M)}
	for _, u := range src.All() {
		if err := s.unit(ctx, m, column, src, u); err != nil {
			return nil, fmt.Errorf("unit %d of %s: %w", u, src.Store, err)
		}
	}
	return s, nil
}

// seen is one row: its place, its token and what is active on it.
type seen struct {
	row     int64
	pos     int32
	token   string
	latents []int32
	values  []float32
}

func (s *Set) unit(ctx context.Context, m *sae.Model, column string, src stream.Source, u int) (err error) {
	r, err := shard.Open(ctx, src.Store, run.UnitKey(u))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var rows []seen
	for g := range r.NumGroups() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if rows, err = group(m, column, r, g, rows); err != nil {
			return fmt.Errorf("row group %d: %w", g, err)
		}
	}
	slices.SortFunc(rows, func(a, b seen) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.pos, b.pos)) })
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && rows[to].row == rows[from].row {
			to++
		}
		s.prompt(rows[from:to])
		from = to
	}
	return nil
}

// group appends the rows of a row group.
func group(m *sae.Model, column string, r *shard.Reader, g int, rows []seen) ([]seen, error) {
	key, err := r.Scalars(g, "row", "pos", "token")
	if err != nil {
		return nil, err
	}
	n := r.GroupRows(g)
	x, err := vectors(m, column, r, g, n)
	if err != nil {
		return nil, err
	}
	var c sae.Codes
	if err := m.Reconstruct(x, make([]float32, n*m.Outputs()), n, &c); err != nil {
		return nil, err
	}
	for i := range n {
		one := seen{row: key[0].([]int64)[i], pos: key[1].([]int32)[i], token: key[2].([]string)[i]}
		if finite(x[i*m.Row() : i*m.Row()+m.D]) {
			latents, values := c.Row(i)
			for j, v := range values {
				if v > 0 { // lists of a fixed length are filled up
					one.latents, one.values = append(one.latents, latents[j]), append(one.values, v)
				}
			}
		}
		rows = append(rows, one)
	}
	return rows, nil
}

// vectors are the n rows of a row group as the model reads them; a transcoder's targets play no part and are 0.
func vectors(m *sae.Model, column string, r *shard.Reader, g, n int) ([]float32, error) {
	col, ok := r.VectorIndex(column)
	if !ok {
		return nil, fmt.Errorf("no vector column %q", column)
	}
	v := r.Schema().Vectors[col]
	if v.Width != m.D {
		return nil, fmt.Errorf("%s is %d wide, and the autoencoder reads %d values", column, v.Width, m.D)
	}
	raw, err := r.Vector(g, col, nil)
	if err != nil {
		return nil, err
	}
	x := make([]float32, n*m.Row())
	for i := range n {
		v.Dtype.Unpack(x[i*m.Row():i*m.Row()+m.D], raw[i*v.RowBytes():(i+1)*v.RowBytes()])
	}
	return x, nil
}

func finite(v []float32) bool {
	return !slices.ContainsFunc(v, func(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) })
}

// prompt takes up the rows of one prompt.
func (s *Set) prompt(rows []seen) {
	s.Prompts++
	s.Rows += int64(len(rows))
	tokens := make([]string, len(rows))
	examples := map[int32]*Example{}
	var order []int32
	for at, r := range rows {
		tokens[at] = r.token
		for j, i := range r.latents {
			e := examples[i]
			if e == nil {
				e = &Example{Tokens: tokens}
				examples[i], order = e, append(order, i)
			}
			e.At, e.Values, e.Max = append(e.At, at), append(e.Values, r.values[j]), max(e.Max, r.values[j])
			s.Latents[i].Fires++
		}
	}
	for _, i := range order {
		s.Latents[i].keep(*examples[i])
	}
}

// keep puts an example in its place if it is one of the greatest.
func (l *Latent) keep(e Example) {
	at := len(l.Examples)
	for at > 0 && l.Examples[at-1].Max < e.Max {
		at--
	}
	if at == maxExamples {
		return
	}
	if len(l.Examples) == maxExamples {
		l.Examples = l.Examples[:maxExamples-1]
	}
	l.Examples = slices.Insert(l.Examples, at, e)
}
