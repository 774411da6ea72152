package measure

import (
	"fmt"
	"slices"

	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
)

// form is how a coder's rows and reconstructions are made of columns.
type form struct {
	columns []string
	widths  []int // of each; a row is all of them side by side
	out     []int // numbers of the columns that a reconstruction is made of, side by side
}

// Columns are the vector columns that a row of the coder is made of, its own first.
func Columns(c coder.Card) ([]string, error) {
	cfg, err := recipe.Of(c)
	return append([]string{c.Column}, cfg.Beside()...), err
}

// formOf an autoencoder or tokenizer is one column; a transcoder reconstructs the second, a crosscoder all.
func formOf(c coder.Card) (f form, err error) {
	f.columns, err = Columns(c)
	f.widths, f.out = []int{c.DIn}, []int{0}
	switch {
	case c.DOut > 0:
		f.widths, f.out = []int{c.DIn, c.DOut}, []int{1}
	case len(c.Parts) > 0:
		f.widths, f.out = c.Parts, nil
		for i := range c.Parts {
			f.out = append(f.out, i)
		}
	}
	if err == nil && len(f.widths) != len(f.columns) {
		err = fmt.Errorf("the coder's config names %d columns and has %d lengths", len(f.columns), len(f.widths))
	}
	return f, err
}

// outputs is the length of a reconstruction.
func (f form) outputs() (n int) {
	for _, i := range f.out {
		n += f.widths[i]
	}
	return n
}

// rowsOf are the rows of a batch of prompts, prompt after prompt, which columns are put into as the model computes them.
type rowsOf struct {
	form
	patchBatch
	x     []float32
	first []int // row of each prompt's first position; behind the last, their number
	seen  []int // numbers of the columns, in their order
}

func (f form) rows(b patchBatch) *rowsOf {
	r := &rowsOf{form: f, patchBatch: b, first: []int{0}}
	for i, p := range b.prompts {
		r.first = append(r.first, r.first[i]+len(p.at))
	}
	r.x = make([]float32, r.first[len(b.prompts)]*r.row())
	return r
}

// row is the length of a row.
func (f form) row() (n int) {
	for _, w := range f.widths {
		n += w
	}
	return n
}

// each hands over the positions of a prompt that the coder reads: the vector in x, which begins with the first of them, and
// the number of the row.
func (r *rowsOf) each(prompt int, x []float32, d int, use func(x []float32, row int)) {
	positions := r.prompts[prompt].at
	for i, pos := range positions {
		at := int(pos-positions[0]) * d
		use(x[at:at+d], r.first[prompt]+i)
	}
}

// gather copies the vectors of a prompt. What replaces a vector cannot depend on one that is computed later.
func (r *rowsOf) gather(column, prompt int, x []float32) (wrote bool, err error) {
	if len(r.out) == 1 && !slices.Contains(r.seen, column) && slices.Contains(r.seen, r.out[0]) {
		return false, fmt.Errorf("the model computes %s before %s: what is predicted of it cannot take its place", r.columns[r.out[0]], r.columns[column])
	}
	if !slices.Contains(r.seen, column) {
		r.seen = append(r.seen, column)
	}
	d, from, all := r.widths[column], 0, r.row()
	for _, w := range r.widths[:column] {
		from += w
	}
	r.each(prompt, x, d, func(x []float32, row int) { copy(r.x[row*all+from:row*all+from+d], x) })
	return false, nil
}

// put replaces the column out[i] of every prompt by its part of the reconstructions.
func (r *rowsOf) put(i int, xhat []float32) func(column, prompt int, x []float32) (wrote bool, err error) {
	from, all, d := 0, r.outputs(), r.widths[r.out[i]]
	for _, j := range r.out[:i] {
		from += r.widths[j]
	}
	return func(column, prompt int, x []float32) (wrote bool, err error) {
		if wrote = column == r.out[i]; wrote {
			r.each(prompt, x, d, func(x []float32, row int) { copy(x, xhat[row*all+from:row*all+from+d]) })
		}
		return wrote, nil
	}
}
