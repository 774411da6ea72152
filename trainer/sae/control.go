package sae

import "math"

// control moves λ so that a row has TargetL0 active latents on average: a controller with a proportional and an integral
// part, of log λ by e = log(L0/target), once a batch. It steers a λ that rises along. The thresholds of jumprelu,
// which follow λ slowly, it first puts in their place itself. What it knows is part of the constants of the State.
type control struct {
	l  *Learner
	at int // place of the factor's logarithm in the constants; behind it the last e
}

const (
	proportional = 0.5
	integral     = 0.05
	// settle is the share of the steps, as 1/settle, in which L0 falls from where it begins without being steered.
	settle = 20
	// placing is the share of the steps, as 1/placing, in which thresholds are moved themselves, all by one factor: a
	// penalty moves log θ by no more than the learning rate a step, and would by then be so great that nothing is
	// reconstructed. placed bounds the factor's logarithm in a batch, as a share of e.
	placing = 4
	placed  = 0.3
	// fastest bounds the change of log λ in a batch: latents that die of a great λ do not come back.
	fastest = 0.1
)

// newControl is nil without a target. It comes after the variant, whose own constant has a fixed place.
func newControl(l *Learner) *control {
	if l.cfg.TargetL0 == 0 {
		return nil
	}
	c := &control{l, len(l.consts)}
	l.consts = append(l.consts, 0, 0)
	return c
}

// factor is what λ is multiplied by.
func (c *control) factor() float64 {
	if c == nil {
		return 1
	}
	return math.Exp(c.l.consts[c.at])
}

// batch takes in the mean number of active latents of a batch.
func (c *control) batch(l0 float64) {
	if c == nil {
		return
	}
	state := c.l.consts[c.at : c.at+2]
	e := math.Log(max(l0, 1e-3) / c.l.cfg.TargetL0)
	if v, ok := c.l.variant.(interface{ shift(by float64) }); ok && c.l.steps() <= c.l.cfg.Steps/placing {
		v.shift(placed * max(-1, min(1, e)))
		state[1] = e
		return
	}
	if c.l.steps() > c.l.cfg.Steps/settle {
		state[0] += max(-fastest, min(fastest, proportional*(e-state[1])+integral*e))
	}
	state[1] = e
}
