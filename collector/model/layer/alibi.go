package layer

import (
	"math"

	"actfleet/internal/torch"
)

// Alibi adds to each score a number that grows with the key's position, faster in some heads than in others, in the place
// of positions in the hidden states (Press et al. 2022). What is written as slope·(j − i) there is slope·j here: softmax
// makes no difference between them.
type Alibi struct {
	slopes  []float32 // of each query head
	factor  float32   // on the products; 1 unless Rounded
	rounded bool
}

// NewAlibi has the slopes of so many heads: 2^(−8h/n) for a power of two n, and between them every other one of 2n.
func NewAlibi(heads int) *Alibi {
	power := 1 << int(math.Log2(float64(heads)))
	a := &Alibi{factor: 1}
	ladder := func(n, from, step int) {
		base := float32(math.Pow(2, -8/float64(n)))
		for k := from; len(a.slopes) < heads && k <= n; k += step {
			a.slopes = append(a.slopes, float32(math.Pow(float64(base), float64(k))))
		}
	}
	ladder(power, 1, 1)
	ladder(2*power, 1, 2)
	return a
}

// Rounded makes a round slopes and products to bfloat16 and then multiply them by factor, as Falcon's code does.
func (a *Alibi) Rounded(factor float64) *Alibi {
	a.factor, a.rounded = float32(factor), true
	return a
}

// values are [heads, width] for the positions 0..width−1.
func (a *Alibi) values(width int) []float32 {
	out := make([]float32, len(a.slopes)*width)
	for h, slope := range a.slopes {
		for j := range width {
			v := slope * float32(j)
			if a.rounded {
				v = bfloat16(bfloat16(slope) * float32(j))
			}
			out[h*width+j] = v * a.factor
		}
	}
	return out
}

// bfloat16 is v rounded to the nearest number of 8 bits, ties to even.
func bfloat16(v float32) float32 {
	bits := math.Float32bits(v)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// biases are [K, G, 1, P+T], one for every key of a pass.
func (m *Masks) biases(d torch.Device, a *Alibi, h Heads, width int) *torch.Tensor {
	key := bias{d, a, width}
	if m.biased[key] == nil {
		shape := []int64{int64(h.KeyValue), int64(h.Query / h.KeyValue), 1, int64(width)}
		m.biased[key] = m.s.ToDevice(torch.FromFloat32(m.s, a.values(width), shape...), d)
	}
	return m.biased[key]
}

// bias describes the numbers of an Alibi on a device.
type bias struct {
	device torch.Device
	alibi  *Alibi
	width  int
}
