package sae

import (
	"fmt"
	"math"

	"actfleet/internal/torch"
	"actfleet/trainer/ranks"
)

// BatchTopK keeps the K·N largest positive activations of a batch of N rows, and those above one threshold once it is
// trained (Bussmann et al. 2024, arXiv:2412.06410).
const BatchTopK Arch = "batchtopk"

var archBatchTopK = architecture{
	arch: BatchTopK, activation: ThresholdActivation, together: true, revives: true, defaults: usual,
	variant: func(l *Learner) variant { v := newBatchTopK(l); return &v },
}

const (
	// chunkRows is how many rows are encoded at once. It is fixed so that a batch gives the same bits however it was
	// split into Micro calls.
	chunkRows = 1024

	// thetaRate is the weight of a batch in the moving average of θ.
	thetaRate = 0.01
)

// batchTopK needs all rows of a batch before it can choose: micro keeps them, flush computes. θ is the learner's
// constant constOwn, −1 before the first step.
type batchTopK struct {
	base
	aux   auxLoss
	held  []float32 // rows of the batch
	guess float32   // where the next choice starts its search; it decides the time alone
}

func newBatchTopK(l *Learner) batchTopK {
	l.consts = append(l.consts, -1)
	return batchTopK{base: base{l}, aux: auxLoss{l: l}}
}

func (v *batchTopK) sync() {
	for i := range v.l.Theta {
		v.l.Theta[i] = float32(max(v.l.consts[constOwn], 0))
	}
}

func (v *batchTopK) setTheta(theta float64) {
	v.l.consts[constOwn] = theta
	v.sync()
}

func (v *batchTopK) beginBatch() { v.aux.sum = 0 }

func (v *batchTopK) micro(x []float32, n int) error {
	v.held = append(v.held, x[:n*v.l.Row()]...)
	return nil
}

// choose is not called: what to keep depends on all rows.
func (v *batchTopK) choose([]float32, int) {}

// flush keeps the K·N largest positive pre-activations of the batch's N rows, on all ranks together, and adds the
// gradients of those of this rank's rows. Ties go to the earlier row, then to the lower latent.
func (v *batchTopK) flush() error {
	l, n := v.l, len(v.held)/v.l.Row()
	all, err := ranks.Total(l.ranks, n)
	if err != nil || all == 0 {
		return err
	}
	defer func() { v.held = v.held[:0] }()
	if uint64(n)*uint64(l.M) > math.MaxUint32 {
		return fmt.Errorf("sae: %d rows of %d latents are more than BatchTopK can rank at once: lower batch", n, l.M)
	}
	if err := l.load(v.held, n); err != nil {
		return err
	}
	least, err := v.chooseBatch(n, all)
	if err != nil {
		return err
	}
	l.consts[constOwn] = averageTheta(l.consts[constOwn], float64(least))
	if n > 0 {
		err = l.learn(n)
	}
	return ranks.Agree(l.ranks, err)
}

// chooseBatch fills the codes of this rank's n rows of the batch's all, and returns the least value chosen anywhere.
func (v *batchTopK) chooseBatch(n, all int) (least float32, err error) {
	s := newSelector(v.l.K * all)
	if err := v.candidates(s, n, v.guess); err != nil {
		return 0, err
	}
	if few, err := v.tooFew(s); err != nil {
		return 0, err
	} else if few {
		if err := v.candidates(s, n, 0); err != nil {
			return 0, err
		}
	}
	least, full, err := v.keepGreatest(s, n)
	v.guess = 0
	if full {
		v.guess = 0.9 * least
	}
	return least, err
}

// candidates collects the pre-activations of n rows above a floor, and the dead latents of every row.
func (v *batchTopK) candidates(s *selector, n int, floor float32) error {
	l, dead, k := v.l, &v.aux.codes, v.aux.size()
	dead.reset(n, k)
	s.cand = s.cand[:0]
	for lo := 0; lo < n; lo += chunkRows {
		hi := min(lo+chunkRows, n)
		err := l.encode(l.work.z[lo*l.D:hi*l.D], hi-lo, &l.work.codes, func(pre []float32) {
			floor = s.more(pre, lo*l.M, floor)
			if k > 0 {
				part := Codes{N: hi - lo, K: k, Count: dead.Count[lo:hi], Idx: dead.Idx[lo*k : hi*k], Val: dead.Val[lo*k : hi*k]}
				part.chooseAmong(pre, l.M, l.dead)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tooFew tells whether fewer than K·N candidates lie above the guess.
func (v *batchTopK) tooFew(s *selector) (bool, error) {
	if v.guess == 0 {
		return false, nil
	}
	found, err := ranks.Total(v.l.ranks, len(s.cand))
	return found < s.k, err
}

// keepGreatest keeps the s.k greatest candidates of all ranks, fills the codes of n rows with those of this rank, and
// returns the least value kept anywhere, and whether there are s.k.
func (v *batchTopK) keepGreatest(s *selector, n int) (least float32, full bool, err error) {
	l := v.l
	if len(s.cand) > s.k {
		s.shrink()
	}
	if !ranks.Distributed(l.ranks) {
		return l.work.codes.keep(s.cand, n, l.M), len(s.cand) == s.k, nil
	}
	found, err := ranks.Total(l.ranks, len(s.cand))
	if err != nil {
		return 0, false, err
	}
	values := make([]uint32, len(s.cand))
	for i, c := range s.cand {
		values[i] = uint32(c >> 32) // the bits of positive floats are in the order of the floats
	}
	bits, share, err := ranks.Greatest(l.ranks, values, s.k)
	if err != nil {
		return 0, false, err
	}
	kept := s.cand[:0]
	for i, c := range s.cand {
		if values[i] > bits || values[i] == bits && share > 0 {
			kept = append(kept, c)
		}
		if values[i] == bits {
			share--
		}
	}
	l.work.codes.keep(kept, n, l.M)
	return math.Float32frombits(bits), found >= s.k, nil
}

// keep fills the codes of n rows of m latents from ranked candidates, whose index is row·m + latent,
// and returns the least value, or 0 when there is none.
func (c *Codes) keep(cand []uint64, n, m int) (least float32) {
	c.N, c.K, c.Count = n, 0, grow(c.Count, n)
	clear(c.Count)
	flat := func(x uint64) int { return int(uint32(candidateIndex(x))) }
	for _, x := range cand {
		c.Count[flat(x)/m]++
	}
	c.ragged()
	for e, x := range cand { // candidates are in the order of the rows
		c.Idx[e], c.Val[e] = int32(flat(x)%m), candidateValue(x)
		if v := c.Val[e]; e == 0 || v < least {
			least = v
		}
	}
	return least
}

// averageTheta is the threshold after a batch whose smallest kept activation is least: a moving average that begins
// with the first; a batch without any leaves it.
func averageTheta(theta, least float64) float64 {
	switch {
	case least <= 0:
		return theta
	case theta < 0:
		return least
	}
	return theta + thetaRate*(least-theta)
}

func (v *batchTopK) backward(n int) error {
	if err := v.l.backwardMain(n, nil); err != nil {
		return err
	}
	v.aux.backward(n)
	return nil
}

func (v *batchTopK) tensors(p *pass) *torch.Tensor {
	c, dead := v.chooseTensors(p)
	r := p.main(c, p.Relu(c.a))
	return v.aux.tensors(p, p.errors(r), r, dead)
}

// chooseTensors is the choice of flush on a device, and the auxiliary loss's candidates.
func (v *batchTopK) chooseTensors(p *pass) (c chosen, dead *torch.Tensor) {
	m, at := int64(v.l.M), int64(0)
	var values, places, left []*torch.Tensor
	for ; at < p.n; at += chunkRows {
		rows := min(chunkRows, p.n-at)
		pre := p.encode(p.Narrow(p.z, 0, at, rows))
		a, place := p.TopK(p.Reshape(pre, -1), min(int64(v.l.K)*p.n, rows*m), 0)
		values, places = append(values, a), append(places, p.Add(place, p.whole(int(at*m))))
		if d := v.aux.candidates(p, pre); d != nil {
			left = append(left, d)
		}
	}
	a, which := p.TopK(p.Cat(values, 0), int64(v.l.K)*p.n, 0)
	place, order := p.Sort(p.IndexSelect(p.Cat(places, 0), 0, which), 0, false)
	if left != nil {
		dead = p.Cat(left, 0)
	}
	v.least(p, a)
	return p.entries(p.IndexSelect(a, 0, order), place), dead
}

// least moves θ with the least positive value of a.
func (v *batchTopK) least(p *pass, a *torch.Tensor) {
	none := p.LeScalar(a, 0)
	least := p.Min(p.MaskedFill(a, none, math.Inf(1)))
	p.sum("least", least, func(sum []float64) {
		if !math.IsInf(sum[0], 1) {
			theta := &v.l.consts[constOwn]
			*theta = averageTheta(*theta, sum[0])
		}
	})
}

func (v *batchTopK) sums(b *ranks.Bucket) { v.aux.sums(b) }

func (v *batchTopK) metrics(m map[string]float64, n float64) {
	v.aux.metrics(m, n)
	m["theta"] = v.l.consts[constOwn]
}
