package vq

import "fmt"

// Product is a codebook for each of T equal parts of the row.
const Product Arch = "product"

// product is an ema for every part.
type product struct{ ema }

func (product) defaults() Defaults { return Defaults{Ids: usualIds, DeadShare: rareShare} }

func (product) check(_ Config, d Dims) error {
	if d.Row%d.Ids != 0 {
		return fmt.Errorf("ids is %d, which does not divide vectors of %d into parts of one length", d.Ids, d.Row)
	}
	return nil
}

func (product) part(d Dims, t int) (from, width int) {
	w := d.Row / d.Ids
	return t * w, w
}
