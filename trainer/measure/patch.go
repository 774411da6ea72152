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

// rowsOf are rows of a form that columns are put into as the model computes them.
type rowsOf struct {
	form
	x    []float32
	seen []int // numbers of the columns, in their order
}

func (f form) rows(n int) *rowsOf {
	row := 0
	for _, w := range f.widths {
		row += w
	}
	return &rowsOf{form: f, x: make([]float32, n*row)}
}

// gather copies the vectors at some positions. What replaces a vector cannot depend on one that is computed later.
func (r *rowsOf) gather(at []int32) func(column int, x []float32) error {
	return func(column int, x []float32) error {
		if len(r.out) == 1 && slices.Contains(r.seen, r.out[0]) {
			return fmt.Errorf("the model computes %s before %s: what is predicted of it cannot take its place", r.columns[r.out[0]], r.columns[column])
		}
		r.seen = append(r.seen, column)
		d, from, row := r.widths[column], 0, len(r.x)/len(at)
		for _, w := range r.widths[:column] {
			from += w
		}
		for i, pos := range at {
			copy(r.x[i*row+from:i*row+from+d], x[int(pos)*d:(int(pos)+1)*d])
		}
		return nil
	}
}

// put replaces the column out[i] at some positions by its part of the reconstructions.
func (f form) put(i int, at []int32, xhat []float32) func(column int, x []float32) error {
	from, all, d := 0, f.outputs(), f.widths[f.out[i]]
	for _, j := range f.out[:i] {
		from += f.widths[j]
	}
	return func(column int, x []float32) error {
		if column != f.out[i] {
			return nil
		}
		for b, pos := range at {
			copy(x[int(pos)*d:(int(pos)+1)*d], xhat[b*all+from:b*all+from+d])
		}
		return nil
	}
}
