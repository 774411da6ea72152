package codes

import (
	"fmt"
	"math"
	"path/filepath"

	"actfleet/shard"
	"actfleet/trainer/coder"
	"actfleet/trainer/sae"
	"actfleet/trainer/vq"
)

// decoder makes vectors of codes, as encoder made them.
type decoder interface {
	width() int
	// decode writes the vectors xhat [n, width] of the n rows of row group g.
	decode(codes *shard.Reader, g, n int, xhat []float32) error
	// cut is how many rows so far had more to them than their codes hold.
	cut() int64
}

func newDecoder(dir string, c coder.Card) (decoder, error) {
	switch {
	case c.Kind == coder.VQ:
		coder, err := LoadTokenizer(filepath.Join(dir, coder.WeightsFile), c)
		return &vqDecoder{coder}, err
	case c.Kind == coder.SAE && c.DOut == 0 && len(c.Parts) == 0:
		m, err := LoadSAE(dir, c)
		return &saeDecoder{model: m}, err
	}
	return nil, fmt.Errorf("%s: only the codes of tokenizers and of autoencoders of one column decode to vectors", dir)
}

type vqDecoder struct{ coder vq.Coder }

func (d *vqDecoder) width() int { return d.coder.Dims().Row }

func (d *vqDecoder) cut() int64 { return 0 }

// decode leaves NaN for rows without codes.
func (d *vqDecoder) decode(codes *shard.Reader, g, n int, xhat []float32) error {
	dims := d.coder.Dims()
	ids, err := readIds(codes, g, n, dims)
	if err != nil {
		return err
	}
	var none []int
	for i := range n {
		if row := ids[i*dims.Ids : (i+1)*dims.Ids]; row[0] == noCode {
			none = append(none, i)
			clear(row)
		}
	}
	if err := d.coder.Decode(ids, n, xhat); err != nil {
		return err
	}
	for _, i := range none {
		for j := range dims.Row {
			xhat[i*dims.Row+j] = float32(math.NaN())
		}
	}
	return nil
}

// readIds is the ids [n, T] of row group g.
func readIds(codes *shard.Reader, g, n int, dims vq.Dims) ([]int32, error) {
	names := codeColumns(dims)
	cols, err := codes.Scalars(g, names...)
	if err != nil {
		return nil, err
	}
	ids := make([]int32, n*dims.Ids)
	for t := range dims.Ids {
		column, ok := cols[t].([]int32)
		if !ok {
			return nil, fmt.Errorf("column %s holds no ids", names[t])
		}
		for i, id := range column {
			ids[i*dims.Ids+t] = id
		}
	}
	return ids, nil
}

type saeDecoder struct {
	model *sae.Model
	rows  int64 // that had more active latents than are listed
}

func (d *saeDecoder) width() int { return d.model.D }

func (d *saeDecoder) cut() int64 { return d.rows }

// decode adds up the listed directions: b_dec + Σ value·d_latent.
func (d *saeDecoder) decode(codes *shard.Reader, g, n int, xhat []float32) error {
	m := d.model
	l0, err := codes.Scalars(g, "l0")
	if err != nil {
		return err
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	latents, err := readVectors(codes, g, "latents", all)
	if err != nil {
		return err
	}
	values, err := readVectors(codes, g, "values", all)
	if err != nil {
		return err
	}
	if active, ok := l0[0].([]int32); !ok || len(active) != n || len(latents) != n*m.K || len(values) != n*m.K {
		return fmt.Errorf("the codes are no lists of %d latents", m.K)
	}
	for i, active := range l0[0].([]int32) {
		if int(active) > m.K {
			d.rows++
		}
		if err := d.row(xhat[i*m.D:(i+1)*m.D], latents[i*m.K:(i+1)*m.K], values[i*m.K:(i+1)*m.K]); err != nil {
			return err
		}
	}
	return nil
}

func (d *saeDecoder) row(dst, latents, values []float32) error {
	m := d.model
	copy(dst, m.BDec)
	for j, l := range latents {
		if l < 0 {
			return nil
		}
		if !(l < float32(m.M)) {
			return fmt.Errorf("the codes list latent %v of %d", l, m.M)
		}
		for c, w := range m.WDec[int(l)*m.D : (int(l)+1)*m.D] {
			dst[c] += values[j] * w
		}
	}
	return nil
}
