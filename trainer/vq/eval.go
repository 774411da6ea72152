package vq

import "actfleet/trainer/recon"

// Eval measures a Model on rows it is given. The zero value but for Model is ready.
type Eval struct {
	Model *Model

	sums  recon.Sums
	count []int64
	codes []int32
	xhat  []float32
}

// Add measures n rows x [n, D].
func (e *Eval) Add(x []float32, n int) error {
	if e.count == nil {
		e.count = make([]int64, e.Model.K)
	}
	e.codes, e.xhat = grow(e.codes, n), grow(e.xhat, n*e.Model.D)
	if err := e.Model.Encode(x, n, e.codes); err != nil {
		return err
	}
	e.Model.Decode(e.codes, e.xhat, n)
	e.sums.Add(x[:n*e.Model.D], e.xhat, n)
	for _, k := range e.codes {
		e.count[k]++
	}
	return nil
}

// Metrics is recon's metrics, entropy, perplexity, usage, commit and rows.
func (e *Eval) Metrics() map[string]float64 {
	m := e.sums.Metrics()
	if e.sums.N == 0 {
		return m
	}
	for name, v := range usage(e.count) {
		m[name] = v
	}
	m["rows"] = float64(e.sums.N)
	m["commit"] = e.sums.SquaredError() / (m["rows"] * float64(e.Model.D))
	return m
}

// Reconstruct writes the reconstructions of n rows x [n, D] to xhat and measures nothing.
func (e *Eval) Reconstruct(x, xhat []float32, n int) error {
	codes := make([]int32, n)
	if err := e.Model.Encode(x, n, codes); err != nil {
		return err
	}
	e.Model.Decode(codes, xhat, n)
	return nil
}
