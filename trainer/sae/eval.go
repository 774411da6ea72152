package sae

import (
	"maps"

	"actfleet/trainer/recon"
)

// Eval measures a Model on rows it is given. The zero value but for Model is ready.
type Eval struct {
	Model *Model

	sums   recon.Sums
	active int64
	fires  []int64 // [M]
	codes  Codes
	xhat   []float32
}

// Add measures n rows x [n, Row].
func (e *Eval) Add(x []float32, n int) error {
	if e.fires == nil {
		e.fires = make([]int64, e.Model.M)
	}
	e.xhat = grow(e.xhat, n*e.Model.Outputs())
	if err := e.Model.Reconstruct(x, e.xhat, n, &e.codes); err != nil {
		return err
	}
	e.sums.Add(e.Model.Target(x, n), e.xhat, n)
	for b := range n {
		idx, _ := e.codes.Row(b)
		e.active += int64(len(idx))
		for _, i := range idx {
			e.fires[i]++
		}
	}
	return nil
}

// Metrics is recon's metrics and: l0, the mean number of active latents, and how many latents are dead,
// almost dead and dense.
func (e *Eval) Metrics() map[string]float64 {
	m := e.sums.Metrics()
	n := float64(e.sums.N)
	if n == 0 {
		return m
	}
	m["rows"], m["l0"] = n, float64(e.active)/n
	maps.Copy(m, e.Firing().Metrics())
	return m
}

// Sums are those that the reconstruction's metrics are of.
func (e *Eval) Sums() *recon.Sums { return &e.sums }

// Aside adds n rows x [n, Row] and their reconstructions to other sums, and measures nothing else of them.
func (e *Eval) Aside(x []float32, n int, to *recon.Sums) error {
	xhat := make([]float32, n*e.Model.Outputs())
	if err := e.Reconstruct(x, xhat, n); err != nil {
		return err
	}
	to.Add(e.Model.Target(x, n), xhat, n)
	return nil
}

// Firing is on how many of the rows each latent was active.
func (e *Eval) Firing() recon.Firing { return recon.Firing{N: e.sums.N, Count: e.fires} }

// Active is the active latents of row b of those added last, and their values.
func (e *Eval) Active(b int) (latents []int32, values []float32) { return e.codes.Row(b) }

// Reconstruct writes the reconstructions of n rows x [n, Row] to xhat and measures nothing.
func (e *Eval) Reconstruct(x, xhat []float32, n int) error {
	var codes Codes
	return e.Model.Reconstruct(x, xhat, n, &codes)
}
