package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"actfleet/internal/mapped"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/trainer/stream"
)

// Rows are the rows that probes are fitted and measured on, one entry of every slice
// for each.
type Rows struct {
	Run, Unit []int32 // index of the source, unit of its plan
	Row       []int64
	Pos       []int32
	NTokens   []int32
	TokenID   []int32
	Label     []bool
	Group     []string
	Split     []string
	Texts     []string             // nil where the runs do not keep them
	Answers   map[string][]float64 // columns p_yes and p_yes__<adapter>: the model's own answer
	Grouped   bool                 // false where the runs have no group column and each prompt is its own group
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.Row) }

// In are the indices of the rows of a split.
func (r *Rows) In(split string) (at []int) {
	for i, s := range r.Split {
		if s == split {
			at = append(at, i)
		}
	}
	return at
}

// Columns names the scalar columns that are read.
type Columns struct{ Label, Group, Split string }

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
	readers []*shard.Reader
	pieces  []piece
}

func (d *data) close() error {
	var errs []error
	for _, r := range d.readers {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// collect reads the scalar columns of the rows a filter keeps.
func collect(ctx context.Context, runs []stream.Source, f stream.Filter, c Columns) (d *data, err error) {
	d = &data{Rows: Rows{Answers: map[string][]float64{}, Grouped: true}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	want, err := columnsOf(runs, c, &d.Rows)
	if err != nil {
		return d, err
	}
	for i, src := range runs {
		for _, u := range src.All() {
			if err := ctx.Err(); err != nil {
				return d, err
			}
			r, err := shard.Open(ctx, src.Store, run.UnitKey(u))
			if err != nil {
				return d, fmt.Errorf("open unit %d of %s: %w", u, src.Store, err)
			}
			d.readers = append(d.readers, r)
			if err := d.unit(r, int32(i), int32(u), f, want); err != nil {
				return d, fmt.Errorf("unit %d of %s: %w", u, src.Store, err)
			}
		}
	}
	if d.Len() == 0 {
		return d, stream.ErrEmpty
	}
	return d, nil
}

// wanted are the columns to read; "" is one the runs do not have.
type wanted struct {
	label, group, split, text string
	answers                   []string
}

// columnsOf looks which columns every run has.
func columnsOf(runs []stream.Source, c Columns, rows *Rows) (w wanted, err error) {
	has := func(name string) bool {
		return name != "" && !slices.ContainsFunc(runs, func(s stream.Source) bool {
			_, ok := s.Plan.Schema().ScalarIndex(name)
			return !ok
		})
	}
	orNone := func(name string) string {
		if has(name) {
			return name
		}
		return ""
	}
	if !has(c.Label) {
		return w, fmt.Errorf("%w: a run has no column %q; choose another with --set label=COLUMN (there are %s)", ErrLabel, c.Label, ownColumns(runs[0]))
	}
	w = wanted{label: c.Label, group: orNone(c.Group), split: orNone(c.Split), text: orNone("text")}
	rows.Grouped = w.group != ""
	for _, s := range runs[0].Plan.Scalars {
		if (s.Name == "p_yes" || strings.HasPrefix(s.Name, "p_yes__")) && has(s.Name) {
			w.answers = append(w.answers, s.Name)
		}
	}
	return w, nil
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
		v, err := binary(cols[4], i)
		if err != nil {
			return fmt.Errorf("column %q: %w", w.label, err)
		}
		d.Label = append(d.Label, v)
	}
	return d.texts(r, g, rows, w)
}

// texts reads what is optional.
func (d *data) texts(r *shard.Reader, g int, rows []int, w wanted) error {
	for _, c := range []struct {
		name string
		to   *[]string
	}{{w.group, &d.Group}, {w.split, &d.Split}, {w.text, &d.Texts}} {
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
			d.Group = append(d.Group, fmt.Sprint("row ", i))
		}
	}
	for _, name := range w.answers {
		cols, err := r.Scalars(g, name)
		if err != nil {
			return err
		}
		for _, i := range rows {
			d.Answers[name] = append(d.Answers[name], floatOf(cols[0], i))
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
	for _, p := range d.pieces {
		s := p.reader.Schema()
		col, ok := s.VectorIndex(column)
		if !ok {
			return nil, 0, fmt.Errorf("no vector column %q", column)
		}
		v := s.Vectors[col]
		if x == nil {
			width = v.Width
			x = make([]float32, d.Len()*width)
		}
		if v.Width != width {
			return nil, 0, fmt.Errorf("column %s is %d wide in one run and %d in another", column, width, v.Width)
		}
		raw, err := p.reader.Vector(p.group, col, nil)
		if err != nil {
			return nil, 0, err
		}
		unpack := shard.UnpackF16
		if v.Dtype == shard.F32 {
			unpack = shard.UnpackF32
		}
		for j, i := range p.rows {
			at := (p.at + j) * width
			unpack(x[at:at+width], raw[i*v.RowBytes():(i+1)*v.RowBytes()])
		}
	}
	return x, width, nil
}

// mapLabels says what to do about labels that are not two classes.
const mapLabels = "a probe tells two classes apart: collect with --label COLUMN and --label-map no=0,yes=1, without the rows of other classes"

// ownColumns lists the columns that a run has from its data set.
func ownColumns(s stream.Source) string {
	var names []string
	for _, c := range s.Plan.Scalars[min(len(s.Plan.Scalars), len(shard.BaseScalars())):] {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// binary is a label that is 0 or 1, false or true.
func binary(col any, i int) (bool, error) {
	if b, ok := col.([]bool); ok {
		return b[i], nil
	}
	if s, ok := col.([]string); ok {
		switch strings.ToLower(s[i]) {
		case "0", "false", "no":
			return false, nil
		case "1", "true", "yes":
			return true, nil
		}
		return false, fmt.Errorf("%w: %.40q is neither 0 nor 1; %s", ErrLabel, s[i], mapLabels)
	}
	switch v := floatOf(col, i); v {
	case 0, 1:
		return v == 1, nil
	default:
		return false, fmt.Errorf("%w: %v is neither 0 nor 1; %s", ErrLabel, v, mapLabels)
	}
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
