package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"actfleet/internal/mapped"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/trainer/stream"
)

// Errors of the data.
var (
	// ErrLeak says that a group lies in two splits.
	ErrLeak = errors.New("a group lies in two splits")
	// ErrLabel says that the runs have no usable label.
	ErrLabel = errors.New("no usable label")
)

// piece is the chosen rows of one row group.
type piece struct {
	reader *shard.Reader
	group  int
	rows   []int // in the row group
	at     int   // index of the first of them in Rows
}

// data is the rows with the open shards they lie in.
type data struct {
	Rows
	labels   labels
	polarity labels
	want     wanted // of the runs that are fitted on
	readers  []*shard.Reader
	pieces   []piece

	position string // Mean or Max, where one row stands for the vectors of a prompt
	of       []int  // then the row of each vector
}

func (d *data) close() error {
	var errs []error
	for _, r := range d.readers {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// collect reads the scalar columns of the rows a filter keeps. Nothing is fitted on the runs behind the first fitted ones.
func collect(ctx context.Context, runs []stream.Source, fitted int, f stream.Filter, c Columns) (d *data, err error) {
	d = &data{Rows: Rows{Answers: map[string][]float64{}, Coverage: map[string][]float64{}, runs: names(runs)}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.want, err = columnsOf(runs[:fitted], c, &d.Rows); err != nil {
		return d, err
	}
	for i, src := range runs {
		w := d.want
		if i >= fitted {
			if w, err = w.of(src); err != nil {
				return d, err
			}
		}
		if w.plan = ""; len(runs) > 1 {
			w.plan = src.Plan.ID()
		}
		if err := d.run(ctx, src, int32(i), f, w); err != nil {
			return d, err
		}
	}
	maps.DeleteFunc(d.Coverage, func(_ string, v []float64) bool { return len(v) != d.Len() })
	if d.Len() == 0 {
		return d, fmt.Errorf("%w: tokens is %s, and the runs kept what --tokens of collect said (tokens=all reads all of that)", stream.ErrEmpty, f.Tokens)
	}
	return d, nil
}

// names are what messages call the runs; nil where there is one.
func names(runs []stream.Source) (out []string) {
	if len(runs) > 1 {
		for _, r := range runs {
			out = append(out, fmt.Sprint(r.Store))
		}
	}
	return out
}

// run adds the chosen rows of a run.
func (d *data) run(ctx context.Context, src stream.Source, i int32, f stream.Filter, w wanted) error {
	for _, u := range src.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := shard.Open(ctx, src.Store, run.UnitKey(u))
		if err != nil {
			return fmt.Errorf("open unit %d of %s: %w", u, src.Store, err)
		}
		d.readers = append(d.readers, r)
		if err := d.unit(r, i, int32(u), f, w); err != nil {
			return fmt.Errorf("unit %d of %s: %w", u, src.Store, err)
		}
	}
	return nil
}

// unit adds the chosen rows of a unit.
func (d *data) unit(r *shard.Reader, run, unit int32, f stream.Filter, w wanted) error {
	for g := range r.NumGroups() {
		rows, err := stream.Select(r, g, f)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		d.pieces = append(d.pieces, piece{r, g, rows, d.Len()})
		for range rows {
			d.Run, d.Unit = append(d.Run, run), append(d.Unit, unit)
		}
		if err := d.scalars(r, g, rows, w); err != nil {
			return err
		}
	}
	return nil
}

func (d *data) scalars(r *shard.Reader, g int, rows []int, w wanted) error {
	cols, err := r.Scalars(g, "row", "pos", "n_tokens", "token_id", w.label)
	if err != nil {
		return err
	}
	d.Row = append(d.Row, pick(cols[0].([]int64), rows)...)
	d.Pos = append(d.Pos, pick(cols[1].([]int32), rows)...)
	d.NTokens = append(d.NTokens, pick(cols[2].([]int32), rows)...)
	d.TokenID = append(d.TokenID, pick(cols[3].([]int32), rows)...)
	for _, i := range rows {
		d.labels.add(cols[4], i)
	}
	if err := d.polarities(r, g, rows, w); err != nil {
		return err
	}
	if err := d.texts(r, g, rows, w); err != nil {
		return err
	}
	return d.answers(r, g, rows, w)
}

// polarities reads those of the runs that are fitted on; of others that lack them nothing is asked.
func (d *data) polarities(r *shard.Reader, g int, rows []int, w wanted) error {
	switch {
	case d.want.polarity == "":
		return nil
	case w.polarity == "":
		for range rows {
			d.polarity.add([]string{"0"}, 0)
		}
		return nil
	}
	cols, err := r.Scalars(g, w.polarity)
	if err != nil {
		return err
	}
	for _, i := range rows {
		d.polarity.add(cols[0], i)
	}
	return nil
}

// setLabels decides about every row's label once all are read.
func (d *data) setLabels(column string, entries []string) error {
	mapped, err := ParseLabelMap(entries)
	if err != nil {
		return err
	}
	if v, found := d.labels.unused(mapped); found {
		return fmt.Errorf("%w: label_map speaks of %s, which no row of column %q has", ErrLabel, shownLabel(v), column)
	}
	var bad []int
	if d.Label, bad = d.labels.resolve(mapped); len(bad) > 0 {
		return d.labels.refuse(column, bad, d.name)
	}
	d.LabelsSaid = d.labels.said(mapped)
	return nil
}

// setPolarity decides about every row's polarity, where a kind needs it.
func (d *data) setPolarity() error {
	if len(d.polarity.of) == 0 {
		return nil
	}
	var bad []int
	if d.Polarity, bad = d.polarity.resolve(nil); len(bad) > 0 {
		return fmt.Errorf("%w: %d rows have a polarity that is neither 0 nor 1, false nor true, -1 nor 1, the first %s", ErrPairs, len(bad), d.name(bad[0]))
	}
	return nil
}

// texts reads what is optional.
func (d *data) texts(r *shard.Reader, g int, rows []int, w wanted) error {
	for _, c := range []struct {
		name, fitted string // of this run, and of those that are fitted on
		to           *[]string
	}{{w.group, "", &d.Group}, {w.split, d.want.split, &d.Split}, {w.text, d.want.text, &d.Texts}, {w.pair, d.want.pair, &d.Pair}} {
		if c.name == "" && c.fitted != "" {
			*c.to = append(*c.to, make([]string, len(rows))...)
		}
		if c.name == "" {
			continue
		}
		cols, err := r.Scalars(g, c.name)
		if err != nil {
			return err
		}
		for _, i := range rows {
			*c.to = append(*c.to, textOf(cols[0], i))
		}
	}
	if w.group == "" { // a prompt is its own group
		for _, i := range d.Row[len(d.Group):] {
			group := fmt.Sprint("row ", i)
			if w.plan != "" {
				group += " of " + w.plan
			}
			d.Group = append(d.Group, group)
		}
	}
	return nil
}

// answers reads the model's own answers and how much of the probability they are of.
func (d *data) answers(r *shard.Reader, g int, rows []int, w wanted) error {
	for _, name := range w.answers {
		coverage := "choice_cov" + strings.TrimPrefix(name, "p_yes")
		for column, to := range map[string]map[string][]float64{name: d.Answers, coverage: d.Coverage} {
			if !has(r.Schema(), column) {
				if column == name || len(to[name]) > 0 { // a run that nothing is fitted on
					to[name] = append(to[name], slices.Repeat([]float64{math.NaN()}, len(rows))...)
				}
				continue
			}
			cols, err := r.Scalars(g, column)
			if err != nil {
				return err
			}
			for _, i := range rows {
				to[name] = append(to[name], floatOf(cols[0], i))
			}
		}
	}
	return nil
}

func pick[T any](col []T, rows []int) []T {
	out := make([]T, len(rows))
	for j, i := range rows {
		out[j] = col[i]
	}
	return out
}

// vectors reads one column of all rows, [N, D].
func (d *data) vectors(column string) (x []float32, width int, err error) {
	defer mapped.Guard(&err)()
	var one []float32
	var all *pooled // where a row stands for several vectors
	for _, p := range d.pieces {
		s := p.reader.Schema()
		col, ok := s.VectorIndex(column)
		if !ok {
			return nil, 0, fmt.Errorf("no vector column %q", column)
		}
		v := s.Vectors[col]
		if x == nil {
			width = v.Width
			x, one = make([]float32, d.Len()*width), make([]float32, width)
			if d.of != nil {
				all = newPooled(d.position, d.Len(), width)
			}
		}
		if v.Width != width {
			return nil, 0, fmt.Errorf("column %s is %d wide in one run and %d in another", column, width, v.Width)
		}
		raw, err := p.reader.Vector(p.group, col, nil)
		if err != nil {
			return nil, 0, err
		}
		for j, i := range p.rows {
			bytes := raw[i*v.RowBytes() : (i+1)*v.RowBytes()]
			if all != nil {
				v.Dtype.Unpack(one, bytes)
				all.add(d.of[p.at+j], one)
				continue
			}
			at := (p.at + j) * width
			v.Dtype.Unpack(x[at:at+width], bytes)
		}
	}
	if all != nil {
		all.into(x)
	}
	return x, width, nil
}

func floatOf(col any, i int) float64 {
	switch c := col.(type) {
	case []int64:
		return float64(c[i])
	case []int32:
		return float64(c[i])
	case []float32:
		return float64(c[i])
	case []float64:
		return c[i]
	}
	return 0
}

func textOf(col any, i int) string {
	switch c := col.(type) {
	case []string:
		return c[i]
	case []bool:
		return fmt.Sprint(c[i])
	case []int64:
		return fmt.Sprint(c[i])
	}
	return fmt.Sprint(floatOf(col, i))
}
