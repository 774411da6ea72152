package codes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"actfleet/internal/mapped"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/trainer/coder"
	"actfleet/trainer/probe"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
)

// encoder makes codes of the rows of one row group.
type encoder interface {
	// schema is the columns of the code shards: row, pos, then the coder's own.
	schema() shard.Schema
	// columns are the vector columns the coder reads.
	columns() []string
	// encode fills the block's own columns from x[i] [n, D], one for every column.
	encode(x [][]float32, n int, b *shard.Block) error
}

// Encode writes what a coder makes of every row its token rule and conditions keep,
// as shards RUN/codes/<id>/unit-….parquet keyed by the same (row, pos), and returns
// the id. Units whose codes are there already are left as they are: the id holds the
// hash of the weights.
//
//	vq     code int32, or with T ids code_0 … code_<T−1>; err float32 (‖x−x̂‖²);
//	       of rows that are not finite −1 and no finite err
//	sae    l0 int32, err float32, and lists latents and values of length k as f32,
//	       filled with −1 and 0 behind the active ones; of more than k the greatest
//	probe  score float32 of the best probe on val, score_<probe id> of each, and
//	       variance_<probe id> of the log-odds of those that know it (laplace)
func Encode(ctx context.Context, dir string, src stream.Source, progress func(done, units int)) (id string, err error) {
	id, err = coder.ID(dir)
	if err != nil {
		return "", err
	}
	c, err := coder.ReadCard(dir)
	if err != nil {
		return "", err
	}
	e, err := newEncoder(dir, c)
	if err != nil {
		return "", err
	}
	cfg, err := recipe.Of(c)
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	if c.Kind == coder.Probe && cfg.Probe.Position != probe.Last {
		return "", fmt.Errorf("%s: its probes read the %s of a prompt's vectors; they have no score of a row", dir, cfg.Probe.Position)
	}
	if err := stream.NoRing([]stream.Source{src}); err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	f := stream.Filter{Tokens: cfg.Data.Tokens, Where: cfg.Data.Where}
	units := src.All()
	for i, u := range units {
		if err := encodeUnit(ctx, src, u, id, e, f); err != nil {
			return id, fmt.Errorf("encode unit %d of %s: %w", u, src.Store, err)
		}
		if progress != nil {
			progress(i+1, len(units))
		}
	}
	return id, nil
}

func newEncoder(dir string, c coder.Card) (encoder, error) {
	path := filepath.Join(dir, coder.WeightsFile)
	switch c.Kind {
	case coder.SAE:
		cfg, err := recipe.Of(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		m, err := LoadSAE(dir, c)
		return &saeEncoder{model: m, reads: append([]string{c.Column}, cfg.Beside()...)}, err
	case coder.VQ:
		m, err := LoadTokenizer(path, c)
		return &vqEncoder{coder: m, column: c.Column}, err
	case coder.Probe:
		return newProbeEncoder(path, c)
	}
	return nil, fmt.Errorf("%s holds a coder of unknown kind %q", dir, c.Kind)
}

// encodeUnit writes the codes of one unit unless they are there.
func encodeUnit(ctx context.Context, src stream.Source, u int, id string, e encoder, f stream.Filter) (err error) {
	key := run.CodesKey(id, u)
	if there, err := store.Exists(ctx, src.Store, key); there || err != nil {
		return err
	}
	r, err := shard.Open(ctx, src.Store, run.UnitKey(u))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return put(ctx, src.Store, key, func(out io.Writer) error {
		return writeCodes(ctx, out, r, e, f, src.Plan.Identity(u))
	})
}

// put commits what write writes under a key, unless another process was first: what
// it wrote was made by the same weights.
func put(ctx context.Context, st store.Store, key string, write func(out io.Writer) error) error {
	if err := store.PutFrom(ctx, st, key, write); !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

// writeCodes encodes row group by row group and writes full blocks.
func writeCodes(ctx context.Context, out io.Writer, r *shard.Reader, e encoder, f stream.Filter, id shard.Identity) error {
	s := e.schema()
	w, err := shard.NewWriter(out, s, id)
	if err != nil {
		return err
	}
	t := transcriber{reader: r, encoder: e, writer: w, schema: s, part: shard.NewBlock(s), full: shard.NewBlock(s)}
	for g := range r.NumGroups() {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := stream.Select(r, g, f)
		if err == nil && len(rows) > 0 {
			err = t.group(g, rows)
		}
		if err != nil {
			return fmt.Errorf("row group %d: %w", g, err)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err = w.Close()
	return err
}

// transcriber turns row groups of activations into row groups of codes, which are
// full although a filter left rows out.
type transcriber struct {
	reader  *shard.Reader
	encoder encoder
	writer  *shard.Writer
	schema  shard.Schema
	part    *shard.Block // codes of one row group
	full    *shard.Block // what is written next
}

// group encodes the given rows of row group g.
func (t *transcriber) group(g int, rows []int) error {
	key, err := t.reader.Scalars(g, "row", "pos")
	if err != nil {
		return err
	}
	row, pos := t.part.Scalars[0].([]int64), t.part.Scalars[1].([]int32)
	for j, i := range rows {
		row[j], pos[j] = key[0].([]int64)[i], key[1].([]int32)[i]
	}
	var x [][]float32
	for _, name := range t.encoder.columns() {
		v, err := readVectors(t.reader, g, name, rows)
		if err != nil {
			return err
		}
		x = append(x, v)
	}
	if err := t.encoder.encode(x, len(rows), t.part); err != nil {
		return err
	}
	t.part.Rows = len(rows)
	return t.append()
}

// readVectors is the given rows of a column of row group g, [n, D].
func readVectors(r *shard.Reader, g int, name string, rows []int) (x []float32, err error) {
	defer mapped.Guard(&err)()
	col, ok := r.VectorIndex(name)
	if !ok {
		return nil, fmt.Errorf("no vector column %q", name)
	}
	v := r.Schema().Vectors[col]
	raw, err := r.Vector(g, col, nil)
	if err != nil {
		return nil, err
	}
	x = make([]float32, len(rows)*v.Width)
	for j, i := range rows {
		v.Dtype.Unpack(x[j*v.Width:(j+1)*v.Width], raw[i*v.RowBytes():(i+1)*v.RowBytes()])
	}
	return x, nil
}

// append moves part's rows to full, writing whenever that is complete.
func (t *transcriber) append() error {
	for from := 0; from < t.part.Rows; {
		n := min(t.part.Rows-from, shard.RowGroupRows-t.full.Rows)
		for c := range t.full.Scalars {
			copyRows(t.full.Scalars[c], t.full.Rows, t.part.Scalars[c], from, n)
		}
		for c, v := range t.schema.Vectors {
			b := v.RowBytes()
			copy(t.full.Vectors[c][t.full.Rows*b:], t.part.Vectors[c][from*b:(from+n)*b])
		}
		t.full.Rows += n
		from += n
		if t.full.Rows == shard.RowGroupRows {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *transcriber) flush() error {
	t.full.Measure(t.schema)
	err := t.writer.WriteBlock(t.full)
	t.full.Rows = 0
	return err
}

func copyRows(dst any, at int, src any, from, n int) {
	switch d := dst.(type) {
	case []int64:
		copy(d[at:], src.([]int64)[from:from+n])
	case []int32:
		copy(d[at:], src.([]int32)[from:from+n])
	case []float32:
		copy(d[at:], src.([]float32)[from:from+n])
	}
}
