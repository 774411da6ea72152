package probe

// Which of a prompt's vectors a probe reads.
const (
	Last = "last" // that of the last position, or of each that Filter.Tokens names
	Mean = "mean" // the mean of those that Filter keeps
	Max  = "max"  // the greatest value of each feature among them
)

// pool leaves one row of each prompt, its last, and remembers which prompt every vector is of.
func (d *data) pool() {
	type prompt struct {
		run int32
		row int64
	}
	at, last := map[prompt]int{}, []int(nil)
	d.of = make([]int, d.Len())
	for i, row := range d.Row {
		key := prompt{d.Run[i], row}
		j, ok := at[key]
		switch {
		case !ok:
			j = len(last)
			at[key], last = j, append(last, i)
		case d.Pos[i] > d.Pos[last[j]]:
			last[j] = i
		}
		d.of[i] = j
	}
	d.Rows = d.Rows.only(last)
	d.labels.of, d.polarity.of = only(d.labels.of, last), only(d.polarity.of, last)
}

// only is the rows at some indices.
func (r Rows) only(at []int) Rows {
	r.Run, r.Unit, r.Row, r.Pos = only(r.Run, at), only(r.Unit, at), only(r.Row, at), only(r.Pos, at)
	r.NTokens, r.TokenID = only(r.NTokens, at), only(r.TokenID, at)
	r.Group, r.Split, r.Pair, r.Texts = only(r.Group, at), only(r.Split, at), only(r.Pair, at), only(r.Texts, at)
	for _, columns := range []map[string][]float64{r.Answers, r.Coverage} {
		for name, v := range columns {
			columns[name] = only(v, at)
		}
	}
	return r
}

// only is the values at some indices; nil of none.
func only[T any](v []T, at []int) []T {
	if v == nil {
		return nil
	}
	return pick(v, at)
}

// pooled puts vectors [n, width] together, one for each row.
type pooled struct {
	position string
	width    int
	sum      []float64 // [rows, width] or the greatest so far
	count    []float64 // [rows]
}

func newPooled(position string, rows, width int) *pooled {
	return &pooled{position, width, make([]float64, rows*width), make([]float64, rows)}
}

func (p *pooled) add(row int, x []float32) {
	to := p.sum[row*p.width : (row+1)*p.width]
	for j, v := range x {
		if p.position == Mean {
			to[j] += float64(v)
		} else if p.count[row] == 0 || float64(v) > to[j] || v != v {
			to[j] = float64(v)
		}
	}
	p.count[row]++
}

// into writes one vector of each row, [rows, width].
func (p *pooled) into(x []float32) {
	for i, v := range p.sum {
		if p.position == Mean {
			v /= p.count[i/p.width]
		}
		x[i] = float32(v)
	}
}
