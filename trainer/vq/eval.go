package vq

import "actfleet/trainer/recon"

// Eval measures a Coder on rows it is given. The zero value but for Coder is ready.
type Eval struct {
	Coder Coder

	sums recon.Sums
	used idStats
	ids  []int32
	xhat []float32
}

// Add measures n rows x [n, D].
func (e *Eval) Add(x []float32, n int) error {
	d := e.Coder.Dims()
	if e.used.count == nil {
		e.used = newIDStats(d)
	}
	e.xhat = grow(e.xhat, n*d.Row)
	if err := e.Reconstruct(x, e.xhat, n); err != nil {
		return err
	}
	e.sums.Add(x[:n*d.Row], e.xhat, n)
	e.used.add(e.ids, n)
	return nil
}

// Metrics is recon's metrics, those of the ids (entropy, perplexity, usage,
// diversity, alike), mse, the mean square of an error in the units of the data, bits
// that the ids of a row take, and rows.
func (e *Eval) Metrics() map[string]float64 {
	m := e.sums.Metrics()
	if e.sums.N == 0 {
		return m
	}
	for name, v := range e.used.metrics() {
		m[name] = v
	}
	d := e.Coder.Dims()
	m["rows"], m["bits"] = float64(e.sums.N), d.Bits()
	m["mse"] = e.sums.SquaredError() / (m["rows"] * float64(d.Row))
	return m
}

// Sums are those that the reconstruction's metrics are of.
func (e *Eval) Sums() *recon.Sums { return &e.sums }

// Aside adds n rows x [n, D] and their reconstructions to other sums, and measures nothing else of them.
func (e *Eval) Aside(x []float32, n int, to *recon.Sums) error {
	xhat := make([]float32, len(x))
	if err := e.Reconstruct(x, xhat, n); err != nil {
		return err
	}
	to.Add(x, xhat, n)
	return nil
}

// Reconstruct writes the reconstructions of n rows x [n, D] to xhat and measures nothing.
func (e *Eval) Reconstruct(x, xhat []float32, n int) error {
	e.ids = grow(e.ids, n*e.Coder.Dims().Ids)
	if err := e.Coder.Encode(x, n, e.ids); err != nil {
		return err
	}
	return e.Coder.Decode(e.ids, n, xhat)
}
