package measure

import (
	"math"
	"slices"

	"actfleet/trainer/recon"
	"actfleet/trainer/sae"
)

// Bits that a coefficient of an autoencoder may have.
const (
	MinCoefBits = coefExponent + 1
	MaxCoefBits = coefExponent + 23
)

// coefExponent is the bits of a coefficient's exponent, as of a half-precision float.
const coefExponent = 5

// RoundCoefficient is a coefficient as a float of so many bits without a sign: five of
// the exponent, from 2^−15 to 2^16, and the rest of the mantissa.
func RoundCoefficient(v float32, bits int) float32 {
	drop := uint32(23 - (bits - coefExponent))
	u := math.Float32bits(v)
	if half := uint32(1) << drop >> 1; half > 0 {
		u += half - 1 + u>>drop&1 // to the nearest, ties to even
		u &^= 1<<drop - 1
	}
	switch r := math.Float32frombits(u); {
	case r < 1.0/(1<<15):
		return 0
	case r >= 1<<16:
		return math.Float32frombits(math.Float32bits(1<<16) - 1<<drop)
	default:
		return r
	}
}

// CodeBits is what a row of an autoencoder takes: ⌈log₂C(M,l)⌉ bits say which l of M
// latents are active, and each has a coefficient.
func CodeBits(m, l, coefBits int) float64 {
	return math.Ceil(log2Choose(m, l)-1e-9) + float64(l*coefBits)
}

// log2Choose is log₂C(m,k).
func log2Choose(m, k int) float64 {
	lg := func(n int) float64 { v, _ := math.Lgamma(float64(n) + 1); return v }
	return (lg(m) - lg(k) - lg(m-k)) / math.Ln2
}

// saeCodeLength measures an autoencoder whose coefficients are rounded. Where every row keeps
// its k largest, all take the bits of k latents; where the number varies, ⌈log₂(M+1)⌉ bits more tell it, and
// bits is the mean.
type saeCodeLength struct {
	model    *sae.Model
	coefBits int

	sums   recon.Sums
	active int64
	bits   float64
	fires  []int64
	codes  sae.Codes
	xhat   []float32
}

// Add measures n rows x [n, D].
func (r *saeCodeLength) Add(x []float32, n int) error {
	m := r.model
	if r.fires == nil {
		r.fires = make([]int64, m.M)
	}
	r.xhat = slices.Grow(r.xhat[:0], n*m.D)[:n*m.D]
	if err := m.Reconstruct(x, r.xhat, n, &r.codes); err != nil {
		return err
	}
	for b := range n {
		idx, val := r.codes.Row(b)
		r.row(r.xhat[b*m.D:(b+1)*m.D], idx, val)
	}
	r.sums.Add(x, r.xhat, n)
	return nil
}

// Sums are those that the reconstruction's metrics are of.
func (r *saeCodeLength) Sums() *recon.Sums { return &r.sums }

// Aside adds n rows x [n, D] and their reconstructions to other sums, and measures nothing else of them.
func (r *saeCodeLength) Aside(x []float32, n int, to *recon.Sums) error {
	other := saeCodeLength{model: r.model, coefBits: r.coefBits}
	err := other.Add(x, n)
	to.Join(&other.sums)
	return err
}

// row decodes one row with rounded coefficients and counts its bits.
func (r *saeCodeLength) row(dst []float32, idx []int32, val []float32) {
	m := r.model
	copy(dst, m.BDec)
	for j, i := range idx {
		f := RoundCoefficient(val[j], r.coefBits)
		for c, w := range m.WDec[int(i)*m.D : (int(i)+1)*m.D] {
			dst[c] += f * w
		}
		r.fires[i]++
	}
	r.active += int64(len(idx))
	if m.Arch.Activation() == sae.TopKActivation {
		r.bits += CodeBits(m.M, m.K, r.coefBits)
		return
	}
	r.bits += CodeBits(m.M, len(idx), r.coefBits) + math.Ceil(math.Log2(float64(m.M+1)))
}

// Metrics is recon's metrics, bits of a row, l0, and usage, the share of latents that
// were active on any row.
func (r *saeCodeLength) Metrics() map[string]float64 {
	m := r.sums.Metrics()
	n := float64(r.sums.N)
	if n == 0 {
		return m
	}
	m["rows"], m["bits"], m["l0"] = n, r.bits/n, float64(r.active)/n
	for _, f := range r.fires {
		if f > 0 {
			m["usage"] += 1 / float64(len(r.fires))
		}
	}
	return m
}
