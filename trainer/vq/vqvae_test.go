package vq

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The vectors were computed by hand from the definition for levels 8, 5, 5, 5.
func TestGridByHand(t *testing.T) {
	g := newGrid([]int{8, 5, 5, 5})
	for _, c := range []struct {
		u    []float32
		id   int32
		code []float32
	}{
		{[]float32{0, 0, 0, 0}, 500, []float32{0, 0, 0, 0}},
		{[]float32{1, -1, .3, 2}, 926, []float32{.5, -1, .5, 1}},
		{[]float32{-9, -9, -9, -9}, 0, []float32{-1, -1, -1, -1}},
		{[]float32{9, 9, 9, 9}, 999, []float32{.75, 1, 1, 1}},
	} {
		ids, code := make([]int32, 1), make([]float32, 4)
		if err := g.ids(c.u, 1, ids); err != nil {
			t.Fatal(err)
		}
		g.vectors(ids, 1, code)
		if ids[0] != c.id || !slices.Equal(code, c.code) {
			t.Errorf("%v: id %d, code %v; want %d, %v", c.u, ids[0], code, c.id, c.code)
		}
	}
}

// Every id stands for levels that give it back: encode∘decode is the identity on ids.
func TestGridCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		levels := rapid.SliceOfN(rapid.IntRange(2, 9), 1, 5).Draw(t, "levels")
		g := newGrid(levels)
		k, err := fsq{}.codes(Config{Levels: levels})
		if err != nil {
			t.Fatal(err)
		}
		id := int32(rapid.IntRange(0, k-1).Draw(t, "id"))
		u, again := make([]float32, len(levels)), make([]int32, 1)
		for j, l := range levels {
			u[j] = g.unround(j, int(id)/g.place[j]%l)
		}
		if err := g.ids(u, 1, again); err != nil || again[0] != id {
			t.Fatalf("id %d of %v comes back as %d, %v", id, levels, again[0], err)
		}
	})
}

// Where a code is nearest to itself, decoding and encoding again changes nothing: a
// codebook and a product of them. (residual is greedy: there it need not hold.)
func TestDecodeEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom([]Arch{EMA, Gradient, Product}).Draw(t, "arch")
		ids := 1
		if a == Product {
			ids = rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t, "ids")
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		c := newCodebooks(map[Arch]codebooksArch{EMA: ema{}, Gradient: gradient{}, Product: product{}}[a], Config{Arch: a},
			Dims{Row: 8, Ids: ids, Codes: rapid.IntRange(2, 40).Draw(t, "codes")})
		for _, b := range c.books {
			for i := range b.codes {
				b.codes[i] = float32(r.IntN(33)-16) / 8 // apart by more than rounding, or equal
			}
		}
		for j := range c.centre {
			c.centre[j] = float32(10 * normal(r))
		}
		c.scale[0] = float32(rapid.Float64Range(0.1, 10).Draw(t, "scale"))
		const n = 50
		x, first, again := make([]float32, n*8), make([]int32, n*ids), make([]int32, n*ids)
		for i := range x {
			x[i] = c.centre[i%8] + 2*c.scale[0]*float32(normal(r))
		}
		if err := errors.Join(c.Encode(x, n, first), c.Decode(first, n, x), c.Encode(x, n, again)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(first, again) {
			t.Fatalf("%s: encode∘decode∘encode is not encode: %v, then %v", a, first, again)
		}
	})
}

// slowCodebooks is Encode and Decode written out in float64: at every book the nearest
// code to its part of what is left, which is then taken away.
func slowCodebooks(c *Codebooks, x []float32) (ids []int32, xhat []float64) {
	d, w := c.dims.Row, c.width
	left := make([]float64, d)
	for j, v := range x {
		left[j] = (float64(v) - float64(c.centre[j])) / float64(c.scale[0])
	}
	xhat = make([]float64, d)
	for j := range xhat {
		xhat[j] = float64(c.centre[j])
	}
	for t, b := range c.books {
		at := c.from[t]
		best, least := 0, math.Inf(1)
		for k := range b.k {
			var far float64
			for j := range w {
				far += math.Pow(left[at+j]-float64(b.code(k)[j]), 2)
			}
			if far < least-1e-9 {
				best, least = k, far
			}
		}
		for j, v := range b.code(best) {
			left[at+j] -= float64(v)
			xhat[at+j] += float64(c.scale[0]) * float64(v)
		}
		ids = append(ids, int32(best))
	}
	return ids, xhat
}

func TestCodebooksAgainstReference(t *testing.T) {
	for _, a := range []Arch{EMA, Residual, Product} {
		c := train(t, small(a), 12, 10).Export().(*Codebooks)
		x, _ := clusters(rand.New(rand.NewPCG(9, 9)), 12, 8, 100)
		ids, xhat := make([]int32, 100*c.dims.Ids), make([]float32, 800)
		if err := c.Encode(x, 100, ids); err != nil {
			t.Fatal(err)
		}
		if err := c.Decode(ids, 100, xhat); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			want, rows := slowCodebooks(c, x[i*8:(i+1)*8])
			if got := ids[i*c.dims.Ids : (i+1)*c.dims.Ids]; !slices.Equal(got, want) {
				t.Fatalf("%s: row %d has the ids %v, want %v", a, i, got, want)
			}
			for j, v := range rows {
				if !near(float64(xhat[i*8+j]), v, 1e-3) {
					t.Fatalf("%s: row %d is %v, want %v", a, i, xhat[i*8:(i+1)*8], rows)
				}
			}
		}
	}
}

// slowNet is a net in float64, row by row.
func slowNet(n net, x []float64) []float64 {
	for i, l := range n {
		if i > 0 {
			for j, v := range x {
				x[j] = 0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
			}
		}
		y := make([]float64, l.out)
		for o := range y {
			y[o] = float64(l.b[o])
			for j, v := range x {
				y[o] += float64(l.w[o*l.in+j]) * v
			}
		}
		x = y
	}
	return x
}

// slowLoss is the loss of a VQVAE in float64, summed over rows x, in which what the
// quantiser does stands still: of IRIS, q = u + (q₀ − u₀), of FSQ q = f(u) + (q₀ − f(u₀)).
type slowLoss struct {
	*vqvaeLearner
	u0, q0 [][]float64
}

func (l *slowLoss) smoothed(u []float64) []float64 {
	out := slices.Clone(u)
	if g, ok := l.quant.(*grid); ok {
		for i, v := range u {
			j := i % len(g.levels)
			out[i] = (math.Tanh(v+g.s[j])*g.h[j] - g.o[j]) / float64(g.half[j])
		}
	}
	return out
}

// freeze takes the ids of rows x [n, D], standardised, as they are now.
func (l *slowLoss) freeze(z []float32, n int) {
	d, w := l.dims.Row, l.latent()
	for i := range n {
		u := slowNet(l.enc, wide(z[i*d:(i+1)*d]))
		narrow, ids, q := make([]float32, w), make([]int32, l.dims.Ids), make([]float32, w)
		for j, v := range u {
			narrow[j] = float32(v)
		}
		_ = l.quant.ids(narrow, l.dims.Ids, ids)
		l.quant.vectors(ids, l.dims.Ids, q)
		l.u0, l.q0 = append(l.u0, u), append(l.q0, wide(q))
	}
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// at is the loss: recon/D + β‖u − q₀‖²/(T·w) per row.
func (l *slowLoss) at(z []float32, n int) (sum float64) {
	d, w := l.dims.Row, l.latent()
	for i := range n {
		row := wide(z[i*d : (i+1)*d])
		u := slowNet(l.enc, slices.Clone(row))
		f, f0, q := l.smoothed(u), l.smoothed(l.u0[i]), make([]float64, w)
		for j := range q {
			q[j] = f[j] + l.q0[i][j] - f0[j]
			if l.cfg.Arch == IRIS {
				sum += l.cfg.Beta * (u[j] - l.q0[i][j]) * (u[j] - l.q0[i][j]) / float64(w)
			}
		}
		sum += slowTarget(l.cfg.Loss, slowNet(l.dec, q), row) / float64(d)
	}
	return sum
}

// slowTarget is a loss by its definition: Σ(z−o)², Σ(symlog z−o)², −Σ log softmax(o)·two-hot.
func slowTarget(l Loss, out, row []float64) (sum float64) {
	for j, z := range row {
		switch l {
		case MSE:
			sum += (z - out[j]) * (z - out[j])
		case Symlog:
			sum += math.Pow(math.Copysign(math.Log(1+math.Abs(z)), z)-out[j], 2)
		case TwoHot:
			o, all := out[j*binCount:(j+1)*binCount], 0.0
			for _, v := range o {
				all += math.Exp(v)
			}
			lo, w := twoHot(symlog(z))
			sum -= w*math.Log(math.Exp(o[lo])/all) + (1-w)*math.Log(math.Exp(o[lo+1])/all)
		}
	}
	return sum
}

// The gradients of the networks are those of the loss with the quantiser's choice
// standing still, by finite differences of a reference in float64.
func TestNetGradients(t *testing.T) {
	for _, c := range []struct {
		arch   Arch
		hidden int
		loss   Loss
	}{{IRIS, 0, MSE}, {IRIS, 5, MSE}, {FSQ, 0, MSE}, {FSQ, 5, MSE}, {FSQ, 5, Symlog}, {IRIS, 5, TwoHot}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			cfg := small(c.arch)
			cfg.Hidden, cfg.Loss = c.hidden, c.loss
			l := begun(t, cfg).(*vqvaeLearner)
			x, _ := clusters(rand.New(rand.NewPCG(2, 2)), 9, 8, 7)
			z := slices.Clone(l.apply(x, 7))
			slow := slowLoss{vqvaeLearner: l}
			slow.freeze(z, 7)
			if err := l.Micro(x, 7); err != nil {
				t.Fatal(err)
			}
			for _, p := range l.params {
				for i := 0; i < len(p.Value); i += 1 + len(p.Value)/9 {
					const h = 1e-3
					was := p.Value[i]
					p.Value[i] = was + h
					up := slow.at(z, 7)
					p.Value[i] = was - h
					down := slow.at(z, 7)
					p.Value[i] = was
					want := (up - down) / float64((was+h)-(was-h))
					if !near(float64(p.Grad[i]), want, 1e-3*(1+math.Abs(want))) {
						t.Errorf("∂loss/∂%s[%d] = %v, want %v", p.Name, i, p.Grad[i], want)
					}
				}
			}
		})
	}
}

// The gradient of the codebook loss Σ‖sg(z)−e‖², by finite differences.
func TestCodebookGradient(t *testing.T) {
	l := begun(t, small(Gradient)).(*codebooksLearner)
	x, _ := clusters(rand.New(rand.NewPCG(2, 2)), 9, 8, 40)
	z := slices.Clone(l.apply(x, 40))
	if err := l.Micro(x, 40); err != nil {
		t.Fatal(err)
	}
	ids, b := slices.Clone(l.ids), l.stats[0]
	loss := func() (sum float64) {
		for i, k := range ids[:40] {
			for j, e := range b.code(int(k)) {
				sum += math.Pow(float64(z[i*8+j])-float64(e), 2)
			}
		}
		return sum
	}
	o := l.rules[0].(*codebookOptimizer)
	o.gradient(1)
	grad := o.param.Grad
	for i := range b.codes {
		const h = 1e-2
		was := b.codes[i]
		b.codes[i] = was + h
		up := loss()
		b.codes[i] = was - h
		down := loss()
		b.codes[i] = was
		if want := (up - down) / float64((was+h)-(was-h)); !near(float64(grad[i]), want, 1e-3*(1+math.Abs(want))) {
			t.Errorf("value %d: %v, want %v", i, grad[i], want)
		}
	}
}
