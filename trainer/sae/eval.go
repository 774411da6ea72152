package sae

import "actfleet/trainer/recon"

// Eval measures a Model on rows it is given. The zero value but for Model is ready.
type Eval struct {
	Model *Model

	sums   recon.Sums
	active int64
	fires  []int64 // [M]
	codes  Codes
	xhat   []float32
}

// Add measures n rows x [n, D].
func (e *Eval) Add(x []float32, n int) error {
	if e.fires == nil {
		e.fires = make([]int64, e.Model.M)
	}
	e.xhat = grow(e.xhat, n*e.Model.D)
	if err := e.Model.Reconstruct(x, e.xhat, n, &e.codes); err != nil {
		return err
	}
	e.sums.Add(x[:n*e.Model.D], e.xhat, n)
	for b := range n {
		idx, _ := e.codes.row(b)
		e.active += int64(len(idx))
		for _, i := range idx {
			e.fires[i]++
		}
	}
	return nil
}

// Dense is the density above which a latent counts as dense.
const Dense = 0.1

// Metrics is recon's metrics and: l0, the mean number of active latents; dead, the
// latents that fired on no row; dense, those that fired on more than Dense of them.
func (e *Eval) Metrics() map[string]float64 {
	m := e.sums.Metrics()
	n := float64(e.sums.N)
	if n == 0 {
		return m
	}
	m["rows"], m["l0"] = n, float64(e.active)/n
	var dead, dense float64
	for _, f := range e.fires {
		switch {
		case f == 0:
			dead++
		case float64(f) > Dense*n:
			dense++
		}
	}
	m["dead"], m["dense"] = dead, dense
	return m
}
