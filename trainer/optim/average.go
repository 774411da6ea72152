package optim

import (
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// EMA is a moving average of parameters, w̄ ← βw̄ + (1−β)w, begun with the first it sees.
type EMA struct {
	beta   float64
	params []Param
	mean   [][]float32
	begun  []int64
}

// NewEMA averages parameters with β.
func NewEMA(params []Param, beta float64) *EMA {
	return &EMA{beta: beta, params: params, mean: moments(params), begun: make([]int64, 1)}
}

// Add takes the parameters as they are now.
func (e *EMA) Add() {
	b := float32(e.beta)
	if e.begun[0] == 0 {
		b = 0
	}
	e.begun[0] = 1
	for i, p := range e.params {
		m := e.mean[i]
		parallel.For(len(m), grain, func(lo, hi int) {
			for j := lo; j < hi; j++ {
				m[j] = b*m[j] + (1-b)*p.Value[j]
			}
		})
	}
}

// AddOn is Add for tensors.
func (e *EMA) AddOn(on Tensors) {
	share := 1 - e.beta
	if e.begun[0] == 0 {
		share = 1
	}
	e.begun[0] = 1
	for _, p := range e.params {
		on.LerpTo(on.State["ema."+p.Name], on.Value[p.Name], share)
	}
}

// Average writes the averages to dst, before the first Add the parameters.
func (e *EMA) Average(dst [][]float32) {
	for i, p := range e.params {
		from := e.mean[i]
		if e.begun[0] == 0 {
			from = p.Value
		}
		copy(dst[i], from)
	}
}

// State is the averages.
func (e *EMA) State() *state.Set {
	s := &state.Set{}
	save(s, "ema.", e.params, e.mean)
	state.Add(s, "ema_begun", e.begun)
	return s
}
