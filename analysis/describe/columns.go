package describe

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
	"gonum.org/v1/gonum/mat"

	"actfleet/internal/mapped"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/trainer/coder"
)

// sampleRows is how many rows of a column are looked at, and sampleUnits of how many units.
const sampleRows, sampleUnits = 2048, 64

// Column is what the vectors of one site and layer are like.
type Column struct {
	Name      string  `json:"name"`
	Width     int     `json:"width"`
	Rows      int64   `json:"rows"`
	RMS       float64 `json:"rms"`       // root of the mean square of all values
	MaxAbs    float64 `json:"max_abs"`   // greatest |x| of the finite values
	NonFinite int64   `json:"nonfinite"` // values that were NaN or infinite
	Overflow  int64   `json:"overflow"`  // values that did not fit into fp16
	// Norms has the median norm, its spread and the sinks among the rows of the sample.
	Norms coder.Norms `json:"norms"`
	// Outliers are the channels whose root mean square, without sinks, is outlierRatio times that of the median channel.
	Outliers []Channel `json:"outlier_channels,omitempty"`
	// Distinct is how many different rows the sample has.
	Distinct int `json:"distinct_rows"`
	// Constant is the number of channels with one and the same value in every row of the sample.
	Constant int `json:"constant_channels"`
	// Rank is the participation ratio (Σλ)²/Σλ² of the covariance's eigenvalues without sinks: how many directions the
	// vectors use, were they used alike. It cannot exceed the sample's rows.
	Rank float64 `json:"effective_rank"`
	// MeanShare is ‖mean‖² as a share of the mean ‖x‖², without sinks: near 1, rows differ little from their mean.
	MeanShare float64 `json:"mean_share"`
}

// Channel is one of a vector's values.
type Channel struct {
	Index int     `json:"index"`
	Ratio float64 `json:"ratio"` // its root mean square, as a multiple of the median channel's
}

const (
	outlierRatio = 20
	mostOutliers = 8
	// maxF16 is the greatest finite fp16 value.
	maxF16 = 65504
)

// columns describes every vector column of the committed units but those of whole numbers.
func columns(ctx context.Context, st store.Store, units []int, vectors []shard.Vector, progress func(done, of int)) ([]Column, error) {
	all, err := stats(ctx, st, units, vectors)
	if err != nil {
		return nil, err
	}
	var out []Column
	for i, v := range vectors {
		progress(i, len(vectors))
		if v.Dtype == shard.I32 {
			continue
		}
		s := sample{width: v.Width}
		if err := s.take(ctx, st, units, v); err != nil {
			return nil, fmt.Errorf("column %s: %w", v.Name, err)
		}
		a := all[i]
		c := Column{Name: v.Name, Width: v.Width, Rows: a.Count, MaxAbs: a.MaxAbs, NonFinite: a.NonFinite, Overflow: a.Overflow}
		c.RMS = math.Sqrt(a.SumSq / float64(max(1, a.Count*int64(v.Width))))
		s.describe(&c)
		out = append(out, c)
	}
	progress(len(vectors), len(vectors))
	return out, nil
}

// stats adds up what the shards say of each column.
func stats(ctx context.Context, st store.Store, units []int, vectors []shard.Vector) ([]shard.VectorStats, error) {
	all := make([]shard.VectorStats, len(vectors))
	for _, u := range units {
		err := open(ctx, st, u, func(r *shard.Reader) error {
			for i, v := range vectors {
				col, err := find(r, v)
				if err != nil {
					return err
				}
				all[i].Merge(r.Stats(col))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// open lets somebody use a unit's shard.
func open(ctx context.Context, st store.Store, u int, use func(*shard.Reader) error) (err error) {
	r, err := shard.Open(ctx, st, run.UnitKey(u))
	if err != nil {
		return fmt.Errorf("unit %d: %w", u, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := errors.Join(ctx.Err(), use(r)); err != nil {
		return fmt.Errorf("unit %d: %w", u, err)
	}
	return nil
}

// find is the index of a column of the plan in a shard, which has it in fp32 where a value did not fit into fp16.
func find(r *shard.Reader, v shard.Vector) (int, error) {
	col, ok := r.VectorIndex(v.Name)
	if !ok || r.Schema().Vectors[col].Width != v.Width {
		return 0, fmt.Errorf("%w: no column %s of width %d, as the plan has it", shard.ErrSchema, v.Name, v.Width)
	}
	return col, nil
}

// sample is some rows of a column.
type sample struct {
	width int
	x     []float32 // [n, width]
	pos   []int32
}

func (s *sample) rows() int { return len(s.pos) }

// take reads the rows: alike many of each of at most sampleUnits units, from a row group that is another one in each,
// since the rows of a unit are sorted by the length of their prompts.
func (s *sample) take(ctx context.Context, st store.Store, units []int, v shard.Vector) error {
	n := min(len(units), sampleUnits)
	for i := range n {
		err := open(ctx, st, units[i*len(units)/n], func(r *shard.Reader) error {
			col, err := find(r, v)
			if err != nil || r.NumGroups() == 0 {
				return err
			}
			return s.group(r, i%r.NumGroups(), col, (sampleRows-s.rows())/(n-i))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// group adds at most so many rows of a row group, evenly spread over it.
func (s *sample) group(r *shard.Reader, g, col, most int) (err error) {
	defer mapped.Guard(&err)()
	scalars, err := r.Scalars(g, "pos")
	if err != nil {
		return err
	}
	data, err := r.Vector(g, col, nil)
	if err != nil {
		return err
	}
	pos, v, n := scalars[0].([]int32), r.Schema().Vectors[col], r.GroupRows(g)
	row, take := make([]float32, v.Width), min(n, most)
	for i := range take {
		at := i * n / take
		v.Dtype.Unpack(row, data[at*v.RowBytes():][:v.RowBytes()])
		if !slices.ContainsFunc(row, notFinite) {
			s.x, s.pos = append(s.x, row...), append(s.pos, pos[at])
		}
	}
	return nil
}

func notFinite(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }

// describe fills in what the sample shows.
func (s *sample) describe(c *Column) {
	norms := make([]float64, s.rows())
	different := map[uint64]bool{}
	for i := range norms {
		norms[i] = norm(s.row(i))
		different[hash(s.row(i))] = true
	}
	c.Distinct = len(different)
	c.Norms = coder.NormsOf(c.Name, norms, s.pos)
	ordinary := sample{width: s.width}
	for i, n := range norms {
		if !c.Norms.Sink(n, s.pos[i]) {
			ordinary.x, ordinary.pos = append(ordinary.x, s.row(i)...), append(ordinary.pos, s.pos[i])
		}
	}
	if ordinary.rows() > 1 {
		ordinary.channels(c)
		ordinary.spread(c)
	}
}

func (s *sample) row(i int) []float32 { return s.x[i*s.width:][:s.width] }

func norm(x []float32) float64 {
	var square float64
	for _, v := range x {
		square += float64(v) * float64(v)
	}
	return math.Sqrt(square)
}

func hash(x []float32) uint64 {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return xxhash.Sum64(b)
}

// channels finds the channels that are far larger than others, and those that never change.
func (s *sample) channels(c *Column) {
	rms, constant := make([]float64, s.width), slices.Repeat([]bool{true}, s.width)
	for i := range s.rows() {
		for j, v := range s.row(i) {
			rms[j] += float64(v) * float64(v)
			constant[j] = constant[j] && v == s.x[j]
		}
	}
	for j := range rms {
		rms[j] = math.Sqrt(rms[j] / float64(s.rows()))
		if constant[j] {
			c.Constant++
		}
	}
	sorted := slices.Sorted(slices.Values(rms))
	median := sorted[len(sorted)/2]
	for j, v := range rms {
		if median > 0 && v > outlierRatio*median {
			c.Outliers = append(c.Outliers, Channel{j, v / median})
		}
	}
	slices.SortStableFunc(c.Outliers, func(a, b Channel) int { return cmp.Compare(b.Ratio, a.Ratio) })
	c.Outliers = c.Outliers[:min(len(c.Outliers), mostOutliers)]
}

// rankRows is how many rows tell the effective rank, which takes the products of each with each.
const rankRows = 1024

// spread computes the mean's share and the effective rank: with centred rows X, tr C = Σ(XXᵀ)ᵢᵢ and tr C² = ‖XXᵀ‖².
func (s *sample) spread(c *Column) {
	n := min(s.rows(), rankRows)
	x := mat.NewDense(n, s.width, nil)
	mean, square := make([]float64, s.width), 0.0
	for i := range n {
		for j, v := range s.row(i * s.rows() / n) {
			x.Set(i, j, float64(v))
			mean[j] += float64(v) / float64(n)
			square += float64(v) * float64(v) / float64(n)
		}
	}
	var meanSquare float64
	for j, m := range mean {
		meanSquare += m * m
		for i := range n {
			x.Set(i, j, x.At(i, j)-m)
		}
	}
	if square == 0 {
		return
	}
	c.MeanShare = meanSquare / square
	var gram mat.Dense
	gram.Mul(x, x.T())
	if second := mat.Norm(&gram, 2); second > 0 {
		c.Rank = mat.Trace(&gram) * mat.Trace(&gram) / (second * second)
	}
}
