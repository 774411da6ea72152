package sae

import (
	"fmt"
	"math"
	"slices"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/state"
)

// onDevice trains a Learner with tensors: parameters, their gradients and what the optimizer remembers lie on a device
// from put to fetch, and the Learner's own arrays are their image at these two moments. Counters of latents, constants
// and schedules stay with the Learner, which takes them on from the sums of a batch that a step brings back, all in one
// copy: the only time in a step that the host waits.
type onDevice struct {
	l     *Learner
	at    torch.Device
	value map[string]*torch.Tensor // parameters by name; autograd adds up the gradients of all but W_enc in them
	state map[string]*torch.Tensor // of the optimizer and the average, by their names in State
	dEnc  *torch.Tensor            // [M, D] ∂W_enc
	dPre  *torch.Tensor            // [M] Σ∂a, what reaches W_e z + b_e
	alive *torch.Tensor            // [M] Bool, latents that the auxiliary loss leaves out
	gains [2]*torch.Tensor         // s·gain of the columns of z and t

	products torch.Dtype   // F32, or BF16: what the encoder's product is rounded to
	rounded  *torch.Tensor // W_enc for the batch where that is not F32

	upload *uploads
	held   []*torch.Tensor // [n, Row] rows of the batch that are computed together
	sums   []sum
	drift  float64 // to be added to log θ
	ahead  bool    // of the learner's arrays
}

// A sum is a statistic of the batch, in float64.
type sum struct {
	name  string
	total *torch.Tensor // [any]
	into  func([]float64)
}

// Use makes the learner train on a device, a GPU with the encoder's product in F32 or BF16; weights, moments and sums are
// F32 with both. It comes before Init and Restored.
func (l *Learner) Use(at torch.Device, products torch.Dtype) {
	l.device = nil
	if at.IsCUDA() {
		l.device = newOnDevice(l, at, products)
	}
}

func newOnDevice(l *Learner, at torch.Device, products torch.Dtype) *onDevice {
	return &onDevice{l: l, at: at, products: products, upload: newUploads(at)}
}

// arrays are the arrays of the learner that lie on the device.
func (d *onDevice) arrays() (params, remembered *state.Set) {
	params, remembered = &state.Set{}, d.l.opt.State()
	for _, p := range d.l.params {
		state.Add(params, p.Name, p.Value, p.Shape...)
	}
	if d.l.ema != nil {
		remembered.Join("", d.l.ema.State())
	}
	return params, remembered
}

// put copies the learner's arrays to the device.
func (d *onDevice) put() error {
	return torch.Do(func(s *torch.Scope) error {
		params, remembered := d.arrays()
		if d.value == nil {
			d.allocate(s, params, remembered)
		}
		d.each(params, d.value, s.CopyTo, s)
		d.each(remembered, d.state, s.CopyTo, s)
		d.clear(s)
		return nil
	})
}

// fetch copies the learner's arrays back.
func (d *onDevice) fetch() error {
	if !d.ahead {
		return nil
	}
	d.ahead = false
	return torch.Do(func(s *torch.Scope) error {
		d.settle(s)
		back := func(dev, host *torch.Tensor) { s.CopyTo(host, dev) }
		params, remembered := d.arrays()
		d.each(params, d.value, back, s)
		d.each(remembered, d.state, back, s)
		d.l.variant.sync()
		return nil
	})
}

// free ends all tensors.
func (d *onDevice) free() {
	for _, all := range []map[string]*torch.Tensor{d.value, d.state} {
		for _, t := range all {
			t.Free()
		}
	}
	for _, m := range d.sums {
		m.total.Free()
	}
	for _, t := range slices.Concat([]*torch.Tensor{d.dEnc, d.dPre, d.alive, d.rounded}, d.gains[:], d.held) {
		t.Free()
	}
	d.upload.free()
}

// each hands over every array of a set: on the device and in the host's memory.
func (d *onDevice) each(set *state.Set, on map[string]*torch.Tensor, f func(dev, host *torch.Tensor), s *torch.Scope) {
	set.EachFloat32(func(name string, shape []int64, data []float32) { f(on[name], torch.WrapFloat32(s, data, shape...)) })
}

func (d *onDevice) allocate(s *torch.Scope, params, remembered *state.Set) {
	d.value, d.state = map[string]*torch.Tensor{}, map[string]*torch.Tensor{}
	zeros := func(shape ...int64) *torch.Tensor { return s.Zeros(torch.F32, d.at, shape...) }
	params.EachFloat32(func(name string, shape []int64, _ []float32) { d.value[name] = s.Param(zeros(shape...)) })
	remembered.EachFloat32(func(name string, shape []int64, _ []float32) { d.state[name] = s.Keep(zeros(shape...)) })
	l := d.l
	m := int64(l.M)
	d.dEnc, d.dPre = s.Keep(zeros(m, int64(l.D))), s.Keep(zeros(m))
	d.alive = s.Keep(s.Ones(torch.Bool, d.at, m))
	for i, gain := range [][]float32{l.gainIn, l.gainOut} {
		if gain != nil {
			d.gains[i] = s.Keep(s.ToDevice(torch.FromFloat32(s, gain, int64(len(gain))), d.at))
		}
	}
}

// micro adds the gradients of n rows x [n, Row].
func (d *onDevice) micro(x []float32, n int) error {
	return torch.DoGrad(func(s *torch.Scope) error {
		if d.l.batch.n == 0 {
			s.NoGrad(func() { d.begin(s) })
		}
		d.l.batch.n += n
		rows := d.upload.rows(s, x, n, d.l.Row())
		if d.l.arch.together {
			d.held = append(d.held, s.Keep(rows))
			return nil
		}
		d.compute(s, rows, n)
		return nil
	})
}

// begin prepares a batch.
func (d *onDevice) begin(s *torch.Scope) {
	d.settle(s)
	if d.products != torch.F32 {
		d.rounded = s.Keep(s.To(d.value["W_enc"], d.products))
	}
	if len(d.l.dead) == 0 || d.l.cfg.AuxK == 0 {
		return
	}
	d.upload.mask(s, d.alive, func(alive []bool) {
		for i := range alive {
			alive[i] = true
		}
		for _, i := range d.l.dead {
			alive[i] = false
		}
	})
}

// settle adds the drift to log θ.
func (d *onDevice) settle(s *torch.Scope) {
	if d.drift != 0 {
		t := d.value[logThreshold]
		s.AddTo(t, s.Full(d.drift, torch.F32, d.at, 1), 1)
		d.drift = 0
	}
}

// flush computes the rows that were held.
func (d *onDevice) flush() error {
	if len(d.held) == 0 {
		return nil
	}
	err := torch.DoGrad(func(s *torch.Scope) error {
		d.compute(s, s.Cat(d.held, 0), d.l.batch.n)
		return nil
	})
	for _, rows := range d.held {
		rows.Free()
	}
	d.held = nil
	return err
}

// compute adds the gradients and sums of n rows.
func (d *onDevice) compute(s *torch.Scope, rows *torch.Tensor, n int) {
	p := newPass(s, d, rows, n)
	defer p.free()
	p.backward(d.l.variant.tensors(p))
}

// sum adds to a statistic of the batch; when the batch is over, into is given it.
func (d *onDevice) sum(s *torch.Scope, name string, x *torch.Tensor, into func([]float64)) {
	x = s.Reshape(s.To(s.Detach(x), torch.F64), -1)
	for i := range d.sums {
		if d.sums[i].name == name {
			s.NoGrad(func() { s.AddTo(d.sums[i].total, x, 1) })
			return
		}
	}
	d.sums = append(d.sums, sum{name, s.Keep(x), into})
}

// collect brings the sums to the host, which waits for them.
func (d *onDevice) collect(s *torch.Scope) {
	var all []*torch.Tensor
	for _, m := range d.sums {
		all = append(all, m.total)
	}
	got := make([]float64, s.Cat(all, 0).Len())
	s.CopyTo(torch.WrapFloat64(s, got, int64(len(got))), s.Cat(all, 0))
	for _, m := range d.sums {
		n := m.total.Len()
		m.into(got[:n])
		got = got[n:]
		m.total.Free()
	}
	d.sums = d.sums[:0]
	d.upload.arrived()
}

// step takes the optimizer's step and returns the norm of the gradient.
func (d *onDevice) step(lr float64) (norm float64, err error) {
	if d.l.batch.n == 0 {
		return 0, errNoRows
	}
	if err := d.flush(); err != nil {
		return 0, err
	}
	d.ahead = true
	l, inv := d.l, 1/float64(d.l.batch.n)
	err = torch.Do(func(s *torch.Scope) error {
		grads := d.gradients(s)
		size := s.MulScalar(d.norm(s, grads), inv)
		d.sum(s, "norm", size, func(v []float64) { norm = v[0] })
		on := optim.Tensors{Scope: s, Value: d.value, Grad: grads, State: d.state, Scale: s.To(s.MulScalar(d.clip(s, size), inv), torch.F32)}
		l.opt.StepOn(on, lr)
		d.unitRows(s)
		if l.ema != nil {
			l.ema.AddOn(on)
		}
		d.clear(s)
		d.collect(s)
		return nil
	})
	if err == nil && !(isFinite(norm) && isFinite(l.batch.loss)) {
		err = fmt.Errorf("sae: the reconstruction or its gradient: %w", optim.ErrNonFinite)
	}
	return norm, err
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// gradients are those of the batch, complete: ∂b_e and ∂b_d with what reaches them through a, and ∂d_i without its part
// along d_i.
func (d *onDevice) gradients(s *torch.Scope) map[string]*torch.Tensor {
	grads := map[string]*torch.Tensor{"W_enc": d.dEnc, "b_enc": d.dPre}
	for name, w := range d.value {
		g := s.Grad(w)
		switch have := grads[name]; {
		case have != nil && g != nil:
			grads[name] = s.Add(g, have)
		case g != nil:
			grads[name] = g
		case have == nil:
			grads[name] = s.Zeros(torch.F32, d.at, w.Shape()...)
		}
	}
	if !d.l.plain { // ∂b_d = Σ g − W_eᵀ Σ∂a
		through := s.MatMul(s.Unsqueeze(d.dPre, 0), d.value["W_enc"])
		grads["b_dec"] = s.Minus(grads["b_dec"], s.Squeeze(through, 0))
	}
	if !d.l.arch.free {
		dec, g := d.value["W_dec"], grads["W_dec"]
		grads["W_dec"] = s.Minus(g, s.Mul(dec, s.SumDim(s.Mul(dec, g), 1, true)))
	}
	return grads
}

// norm is that of all gradients together, in float64.
func (d *onDevice) norm(s *torch.Scope, grads map[string]*torch.Tensor) *torch.Tensor {
	var squares []*torch.Tensor
	for _, p := range d.l.params { // in a fixed order
		squares = append(squares, s.To(s.Sum(s.Square(grads[p.Name])), torch.F64))
	}
	return s.Sqrt(s.Sum(s.Stack(squares, 0)))
}

// clip is the factor that brings the gradient of V·loss to at most Clip.
func (d *onDevice) clip(s *torch.Scope, norm *torch.Tensor) *torch.Tensor {
	if d.l.cfg.Clip <= 0 {
		return s.Ones(torch.F64, d.at)
	}
	return s.ClampMax(s.MulScalar(s.Reciprocal(norm), d.l.cfg.Clip/d.l.consts[constVariance]), 1)
}

func (d *onDevice) unitRows(s *torch.Scope) {
	if d.l.arch.free {
		return
	}
	dec := d.value["W_dec"]
	s.MulTo(dec, s.Reciprocal(s.ClampMin(s.NormDim(dec, 1, true), 1e-12)))
}

// clear forgets the gradients.
func (d *onDevice) clear(s *torch.Scope) {
	d.rounded.Free()
	s.ZeroTo(d.dEnc)
	s.ZeroTo(d.dPre)
	for _, w := range d.value {
		torch.ZeroGrad(w)
	}
}
