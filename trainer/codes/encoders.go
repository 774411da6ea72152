package codes

import (
	"fmt"
	"slices"
	"strconv"

	"actfleet/shard"
	"actfleet/trainer/coder"
	"actfleet/trainer/probe"
	"actfleet/trainer/sae"
	"actfleet/trainer/vq"
)

// keyed is a schema with the key and more scalars.
func keyed(more ...shard.Scalar) shard.Schema {
	return shard.Schema{Scalars: append([]shard.Scalar{{Name: "row", Type: shard.Int64}, {Name: "pos", Type: shard.Int32}}, more...)}
}

// squaredErrors is ‖x−x̂‖² of n rows.
func squaredErrors(x, xhat []float32, n int, out []float32) {
	d := len(x) / n
	for i := range n {
		var sum float64
		for j := i * d; j < (i+1)*d; j++ {
			r := float64(x[j]) - float64(xhat[j])
			sum += r * r
		}
		out[i] = float32(sum)
	}
}

type vqEncoder struct {
	coder  vq.Coder
	column string
	ids    []int32 // work, [n, T]
}

func (e *vqEncoder) columns() []string { return []string{e.column} }

// noCode stands for every id of a row that has a value that is not finite.
const noCode = -1

// codeColumns names the columns of the ids of a row.
func codeColumns(d vq.Dims) (names []string) {
	if d.Ids == 1 {
		return []string{"code"}
	}
	for t := range d.Ids {
		names = append(names, "code_"+strconv.Itoa(t))
	}
	return names
}

func (e *vqEncoder) schema() shard.Schema {
	var own []shard.Scalar
	for _, name := range codeColumns(e.coder.Dims()) {
		own = append(own, shard.Scalar{Name: name, Type: shard.Int32})
	}
	return keyed(append(own, shard.Scalar{Name: "err", Type: shard.Float32})...)
}

func (e *vqEncoder) encode(x [][]float32, n int, b *shard.Block) error {
	d := e.coder.Dims()
	if len(x[0]) != n*d.Row {
		return fmt.Errorf("column %s has vectors of %d, the tokenizer was trained on vectors of %d", e.column, len(x[0])/n, d.Row)
	}
	e.ids = slices.Grow(e.ids[:0], n*d.Ids)[:n*d.Ids]
	if err := e.coder.Encode(x[0], n, e.ids); err != nil {
		return err
	}
	for i := range n {
		known := finite(x[0][i*d.Row : (i+1)*d.Row])
		for t := range d.Ids {
			id := int32(noCode)
			if known {
				id = e.ids[i*d.Ids+t]
			}
			b.Scalars[2+t].([]int32)[i] = id
		}
	}
	xhat := make([]float32, n*d.Row)
	if err := e.coder.Decode(e.ids, n, xhat); err != nil {
		return err
	}
	squaredErrors(x[0], xhat, n, b.Scalars[2+d.Ids].([]float32))
	return nil
}

type saeEncoder struct {
	model *sae.Model
	reads []string
	codes sae.Codes
}

func (e *saeEncoder) columns() []string { return e.reads }

func (e *saeEncoder) schema() shard.Schema {
	s := keyed(shard.Scalar{Name: "l0", Type: shard.Int32}, shard.Scalar{Name: "err", Type: shard.Float32})
	s.Vectors = []shard.Vector{{Name: "latents", Width: e.model.K, Dtype: shard.F32}, {Name: "values", Width: e.model.K, Dtype: shard.F32}}
	return s
}

func (e *saeEncoder) encode(x [][]float32, n int, b *shard.Block) error {
	rows := sideBySide(x, n)
	aim := e.model.Target(rows, n)
	xhat := make([]float32, len(aim))
	if err := e.model.Reconstruct(rows, xhat, n, &e.codes); err != nil {
		return err
	}
	squaredErrors(aim, xhat, n, b.Scalars[3].([]float32))
	k := e.model.K
	latents, values := make([]float32, n*k), make([]float32, n*k)
	for i := range n {
		b.Scalars[2].([]int32)[i] = e.codes.Count[i]
		e.list(i, latents[i*k:(i+1)*k], values[i*k:(i+1)*k])
	}
	shard.PackF32(b.Vectors[0], latents)
	shard.PackF32(b.Vectors[1], values)
	return nil
}

// sideBySide puts the vectors of n rows behind each other.
func sideBySide(x [][]float32, n int) []float32 {
	if len(x) == 1 {
		return x[0]
	}
	var out []float32
	for b := range n {
		for _, v := range x {
			d := len(v) / n
			out = append(out, v[b*d:(b+1)*d]...)
		}
	}
	return out
}

// list writes the active latents of a row by rising index, the greatest when there are more than fit.
func (e *saeEncoder) list(row int, latents, values []float32) {
	idx, val := e.codes.Row(row)
	least := float32(0)
	if len(idx) > len(latents) {
		sorted := slices.Sorted(slices.Values(val))
		least = sorted[len(sorted)-len(latents)]
	}
	n := 0
	for j, v := range val {
		if v >= least && n < len(latents) {
			latents[n], values[n] = float32(idx[j]), v
			n++
		}
	}
	for ; n < len(latents); n++ {
		latents[n] = -1
	}
}

type probeEncoder struct {
	probes []probe.Probe // converged
	reads  []string
	best   int
}

func newProbeEncoder(path string, c coder.Card) (*probeEncoder, error) {
	probes, err := probe.Load(path, c.Probes)
	if err != nil {
		return nil, err
	}
	e := &probeEncoder{best: -1}
	for _, p := range probes {
		if !p.Converged {
			continue
		}
		if e.best < 0 || p.ValLoss < e.probes[e.best].ValLoss {
			e.best = len(e.probes)
		}
		e.probes = append(e.probes, p)
		if !slices.Contains(e.reads, p.Column) {
			e.reads = append(e.reads, p.Column)
		}
	}
	if e.best < 0 {
		return nil, fmt.Errorf("%s: no probe converged", path)
	}
	return e, nil
}

func (e *probeEncoder) columns() []string { return e.reads }

func (e *probeEncoder) schema() shard.Schema {
	s := keyed(shard.Scalar{Name: "score", Type: shard.Float32})
	for _, p := range e.probes {
		s.Scalars = append(s.Scalars, shard.Scalar{Name: "score_" + p.ID, Type: shard.Float32})
	}
	for _, p := range e.probes {
		if _, ok := p.Model.(uncertain); ok {
			s.Scalars = append(s.Scalars, shard.Scalar{Name: "variance_" + p.ID, Type: shard.Float32})
		}
	}
	return s
}

// uncertain is a probe that knows the variance of its log-odds.
type uncertain interface {
	Variance(x []float32) []float64
}

func (e *probeEncoder) encode(x [][]float32, n int, b *shard.Block) error {
	next := 3 + len(e.probes) // column of the next variance
	for i, p := range e.probes {
		v := x[slices.Index(e.reads, p.Column)]
		if len(v) != n*p.D {
			return fmt.Errorf("probe %s reads vectors of %d, the run has %d", p.ID, p.D, len(v)/n)
		}
		proba := p.Proba(v)
		put32(b.Scalars[3+i], proba)
		if i == e.best {
			put32(b.Scalars[2], proba)
		}
		if u, ok := p.Model.(uncertain); ok {
			put32(b.Scalars[next], u.Variance(v))
			next++
		}
	}
	return nil
}

// put32 writes values into a column.
func put32(column any, values []float64) {
	to := column.([]float32)
	for j, v := range values {
		to[j] = float32(v)
	}
}
