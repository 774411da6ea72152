package probe

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"actfleet/trainer/coder"
	"actfleet/trainer/state"
)

// Network is a perceptron with one hidden layer: P(y=1) = σ(out·tanh(In x + bias) + B).
type Network struct {
	In   []float64 // [H, D]
	Bias []float64 // [H]
	Out  []float64 // [H]
	B    []float64 // [1]
}

func newNetwork(h, d int) *Network {
	return &Network{make([]float64, h*d), make([]float64, h), make([]float64, h), make([]float64, 1)}
}

func emptyMLP(f coder.Fit) Model { return newNetwork(f.Size, f.D) }

// Scores is the network's output before σ.
func (m *Network) Scores(x []float32) []float64 {
	h := len(m.Bias)
	d := len(m.In) / max(h, 1)
	out := make([]float64, len(x)/max(d, 1))
	for i := range out {
		out[i] = m.B[0]
		for k := range h {
			out[i] += m.Out[k] * math.Tanh(project(x[i*d:(i+1)*d], m.In[k*d:(k+1)*d])+m.Bias[k])
		}
	}
	return out
}

// Proba is σ of the scores.
func (m *Network) Proba(x []float32) []float64 { return sigmoids(m.Scores(x)) }

func (m *Network) arrays(s *state.Set, id string) {
	h := len(m.Bias)
	state.Add(s, "w1_"+id, m.In, h, len(m.In)/max(h, 1))
	state.Add(s, "b1_"+id, m.Bias)
	state.Add(s, "w2_"+id, m.Out)
	state.Add(s, "b2_"+id, m.B)
}

func (m *Network) check() error {
	if len(m.Bias) == 0 {
		return errors.New("a network without a hidden unit")
	}
	return nil
}

// fitMLP minimises the mean logistic loss + (l2/2)(‖In‖² + ‖out‖²) over standardised rows by L-BFGS, from Glorot's
// uniform start with the seed.
func fitMLP(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	net := newPerceptron(p.margin(z, p.d, logisticLoss), p.c.Hidden)
	start := net.start(p.c.Seed)
	return p.choose(p.c.L2, func(l2 float64) (Model, coder.Fit) {
		theta := slices.Clone(start)
		net.l2 = l2
		f := descend(net.objective, net.gradient, theta, p.c.MaxIter)
		f.Size = p.c.Hidden
		return net.network(s, theta), f
	})
}

// perceptron is the problem of fitting θ = (in [h, d], bias [h], out [h], b).
type perceptron struct {
	*margin // of its rows, labels and loss
	h       int
	act     blas64.General // [n, h] tanh(in z + bias)
	back    blas64.General // [n, h] work
}

func newPerceptron(m *margin, h int) *perceptron {
	n := m.z.Rows
	return &perceptron{margin: m, h: h, act: blas64.General{Rows: n, Cols: h, Stride: h, Data: make([]float64, n*h)},
		back: blas64.General{Rows: n, Cols: h, Stride: h, Data: make([]float64, n*h)}}
}

// parts are views into θ.
func (p *perceptron) parts(theta []float64) (in blas64.General, bias, out []float64, b *float64) {
	h, d := p.h, p.z.Cols
	return blas64.General{Rows: h, Cols: d, Stride: d, Data: theta[:h*d]}, theta[h*d : h*d+h], theta[h*d+h : h*d+2*h], &theta[h*d+2*h]
}

func (p *perceptron) start(seed uint64) []float64 {
	h, d := p.h, p.z.Cols
	theta := make([]float64, h*d+2*h+1)
	rng := rand.New(rand.NewPCG(seed, 0x6d6c70)) // its own stream: "mlp"
	in, _, out, _ := p.parts(theta)
	for i := range in.Data {
		in.Data[i] = (2*rng.Float64() - 1) * math.Sqrt(6/float64(d+h))
	}
	for i := range out {
		out[i] = (2*rng.Float64() - 1) * math.Sqrt(6/float64(h+1))
	}
	return theta
}

// forward sets the activations and the margins.
func (p *perceptron) forward(theta []float64) {
	in, bias, out, b := p.parts(theta)
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, p.z, in, 0, p.act)
	for i, v := range p.act.Data {
		p.act.Data[i] = math.Tanh(v + bias[i%p.h])
	}
	blas64.Gemv(blas.NoTrans, 1, p.act, vector(out), 0, vector(p.margin.margin))
	for i, s := range p.sign {
		p.margin.margin[i] = s * (p.margin.margin[i] + *b)
	}
}

func (p *perceptron) objective(theta []float64) (sum float64) {
	p.forward(theta)
	for i, m := range p.margin.margin {
		loss, _ := p.loss(m)
		sum += p.weight[i] * loss
	}
	in, _, out, _ := p.parts(theta)
	return sum/float64(p.z.Rows) + p.l2/2*(dot(in.Data, in.Data)+dot(out, out))
}

func (p *perceptron) gradient(grad, theta []float64) {
	p.forward(theta)
	in, _, out, _ := p.parts(theta)
	gIn, gBias, gOut, gB := p.parts(grad)
	clear(gBias)
	*gB = 0
	for i, s := range p.sign {
		_, slope := p.loss(p.margin.margin[i])
		pull := p.weight[i] * s * slope / float64(p.z.Rows)
		p.pull[i] = pull
		*gB += pull
		for k := range p.h {
			a := p.act.Data[i*p.h+k]
			p.back.Data[i*p.h+k] = pull * out[k] * (1 - a*a)
			gBias[k] += p.back.Data[i*p.h+k]
		}
	}
	copy(gIn.Data, in.Data)
	copy(gOut, out)
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, p.back, p.z, p.l2, gIn)
	blas64.Gemv(blas.Trans, 1, p.act, vector(p.pull), p.l2, vector(gOut))
}

// network is θ over standardised rows as a network over x.
func (p *perceptron) network(s scaling, theta []float64) *Network {
	d := p.z.Cols
	m := newNetwork(p.h, d)
	in, bias, out, b := p.parts(theta)
	copy(m.Out, out)
	m.B[0] = *b
	for k := range p.h {
		w, c := s.fold(append(slices.Clone(in.Data[k*d:(k+1)*d]), bias[k]))
		copy(m.In[k*d:], w)
		m.Bias[k] = c
	}
	return m
}
