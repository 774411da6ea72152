package codes

import (
	"context"
	"errors"
	"fmt"
	"io"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/trainer/coder"
	"actfleet/trainer/recon"
	"actfleet/trainer/stream"
)

// Decoded is what came of decoding a run's codes.
type Decoded struct {
	ID      string        `json:"id"` // the vectors lie in RUN/codes/<id>
	Rows    int64         `json:"rows"`
	Left    int64         `json:"left"`    // rows not measured because a value of the vector is not finite
	Cut     int64         `json:"cut"`     // rows with more active latents than their codes list
	Metrics coder.Metrics `json:"metrics"` // recon's, against the run's own vectors
}

// Decode writes the vectors that a coder's codes in a run stand for, as shards
// RUN/codes/<coder>_decoded/unit-….parquet with row, pos and the coder's vector
// column as f32, and measures them against the vectors of the same rows. Units that
// are there already are read and measured again but left as they are.
func Decode(ctx context.Context, dir string, src stream.Source, progress func(done, units int)) (Decoded, error) {
	id, err := coder.ID(dir)
	if err != nil {
		return Decoded{}, err
	}
	c, err := coder.ReadCard(dir)
	if err != nil {
		return Decoded{}, err
	}
	dec, err := newDecoder(dir, c)
	if err != nil {
		return Decoded{}, err
	}
	d := decoding{decoder: dec, column: c.Column, from: id, to: id + "_decoded"}
	units := src.All()
	for i, u := range units {
		if err := d.unit(ctx, src, u); err != nil {
			return Decoded{}, fmt.Errorf("decode unit %d of %s: %w", u, src.Store, err)
		}
		if progress != nil {
			progress(i+1, len(units))
		}
	}
	return Decoded{ID: d.to, Rows: d.sums.N + d.left, Left: d.left, Cut: dec.cut(), Metrics: d.sums.Metrics()}, nil
}

// decoding turns code shards into shards of vectors.
type decoding struct {
	decoder  decoder
	column   string
	from, to string // folders below RUN/codes
	sums     recon.Sums
	left     int64
}

func (d *decoding) schema() shard.Schema {
	s := keyed()
	s.Vectors = []shard.Vector{{Name: d.column, Width: d.decoder.width(), Dtype: shard.F32}}
	return s
}

func (d *decoding) unit(ctx context.Context, src stream.Source, u int) (err error) {
	codes, err := shard.Open(ctx, src.Store, run.CodesKey(d.from, u))
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no %s: write the codes with encode first", run.CodesKey(d.from, u))
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, codes.Close()) }()
	acts, err := shard.Open(ctx, src.Store, run.UnitKey(u))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, acts.Close()) }()
	return put(ctx, src.Store, run.CodesKey(d.to, u), func(out io.Writer) error {
		w, err := shard.NewWriter(out, d.schema(), src.Plan.Identity(u))
		if err != nil {
			return err
		}
		o := originals{reader: acts, column: d.column, width: d.decoder.width(), group: -1}
		for g := range codes.NumGroups() {
			if err := errors.Join(ctx.Err(), d.group(codes, g, &o, w)); err != nil {
				return fmt.Errorf("row group %d: %w", g, err)
			}
		}
		_, err = w.Close()
		return err
	})
}

// group decodes row group g of the codes, measures it and writes it.
func (d *decoding) group(codes *shard.Reader, g int, o *originals, w *shard.Writer) error {
	n := codes.GroupRows(g)
	xhat := make([]float32, n*d.decoder.width())
	if err := d.decoder.decode(codes, g, n, xhat); err != nil {
		return err
	}
	cols, err := codes.Scalars(g, "row", "pos")
	if err != nil {
		return err
	}
	row, pos := cols[0].([]int64), cols[1].([]int32)
	x, err := o.rows(row, pos)
	if err != nil {
		return err
	}
	d.measure(x, xhat, n)
	return d.write(w, row, pos, xhat)
}

// measure adds the rows that are finite.
func (d *decoding) measure(x, xhat []float32, n int) {
	width, from := len(x)/max(n, 1), 0
	for i := range n {
		if finite(x[i*width : (i+1)*width]) {
			continue
		}
		d.sums.Add(x[from*width:i*width], xhat[from*width:i*width], i-from)
		d.left++
		from = i + 1
	}
	d.sums.Add(x[from*width:], xhat[from*width:], n-from)
}

func finite(v []float32) bool {
	for _, x := range v {
		if x-x != 0 {
			return false
		}
	}
	return true
}

func (d *decoding) write(w *shard.Writer, row []int64, pos []int32, xhat []float32) error {
	b := shard.NewBlock(d.schema())
	b.Rows = len(row)
	copy(b.Scalars[0].([]int64), row)
	copy(b.Scalars[1].([]int32), pos)
	shard.PackF32(b.Vectors[0], xhat)
	b.Measure(d.schema())
	return w.WriteBlock(b)
}

// originals finds a unit's vectors by key. Keys come in the order of the unit.
type originals struct {
	reader *shard.Reader
	column string
	width  int

	group int // read last; −1 is none
	at    int // next row of it
	row   []int64
	pos   []int32
	x     []float32 // [rows, width]
}

// rows is the vectors of keys that follow those asked for before, [n, width].
func (o *originals) rows(row []int64, pos []int32) ([]float32, error) {
	out := make([]float32, 0, len(row)*o.width)
	for i := range row {
		for o.at == len(o.row) || o.row[o.at] != row[i] || o.pos[o.at] != pos[i] {
			if o.at++; o.at < len(o.row) {
				continue
			}
			if o.group++; o.group == o.reader.NumGroups() {
				return nil, fmt.Errorf("the codes hold row %d pos %d, which the unit's vectors do not, or in another order", row[i], pos[i])
			}
			if err := o.read(); err != nil {
				return nil, err
			}
		}
		out = append(out, o.x[o.at*o.width:(o.at+1)*o.width]...)
		o.at++
	}
	return out, nil
}

// read reads a row group.
func (o *originals) read() error {
	key, err := o.reader.Scalars(o.group, "row", "pos")
	if err != nil {
		return err
	}
	o.at, o.row, o.pos = 0, key[0].([]int64), key[1].([]int32)
	all := make([]int, len(o.row))
	for i := range all {
		all[i] = i
	}
	o.x, err = readVectors(o.reader, o.group, o.column, all)
	if err == nil && len(o.x) != len(o.row)*o.width {
		err = fmt.Errorf("column %s has vectors of %d, the coder was trained on vectors of %d", o.column, len(o.x)/max(len(o.row), 1), o.width)
	}
	return err
}
