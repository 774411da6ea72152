package trainbench

import (
	"slices"
	"time"

	"actfleet/internal/torch"
	"actfleet/trainer/sae"
)

// Result is one pair of measurements; Ratio is the median over the rounds of ours over the limit.
type Result struct {
	Ours, Limit float64
	Ratio       float64
}

func compare(rounds int, ours, limit func() (float64, error)) (Result, error) {
	var a, b, ratio []float64
	for round := range rounds + 1 {
		x, err := ours()
		if err != nil {
			return Result{}, err
		}
		y, err := limit()
		if err != nil {
			return Result{}, err
		}
		if round > 0 { // the first one warms up
			a, b, ratio = append(a, x), append(b, y), append(ratio, x/y)
		}
	}
	return Result{Ours: median(a), Limit: median(b), Ratio: median(ratio)}, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// SAE measures seconds of one TopK step (forward, backward, Adam) over batch rows of width d with m
// latents, and of the encoder's forward matrix product alone.
func SAE(d, m, k, batch, rounds int) (Result, error) {
	l, err := sae.New(d, sae.Config{Width: m, K: k, AuxK: d / 2, AuxCoef: 1. / 32, DeadTokens: 1 << 40, Clip: 1, Scale: true, Seed: 1})
	if err != nil {
		return Result{}, err
	}
	x := make([]float32, batch*d)
	seed := uint64(1)
	for i := range x {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		x[i] = float32(seed>>40)/(1<<23) - 1
	}
	if err := l.Init(x, batch); err != nil {
		return Result{}, err
	}
	step := func() (float64, error) {
		began := time.Now()
		if err := l.Micro(x, batch); err != nil {
			return 0, err
		}
		_, err := l.Step(1e-4)
		return time.Since(began).Seconds(), err
	}
	return compare(rounds, step, func() (float64, error) { return matmul(x, batch, d, m) })
}

func matmul(x []float32, batch, d, m int) (seconds float64, err error) {
	err = torch.Do(func(s *torch.Scope) error {
		a := torch.WrapFloat32(s, x, int64(batch), int64(d))
		w := s.Zeros(torch.F32, torch.CPU, int64(d), int64(m))
		began := time.Now()
		s.MatMul(a, w)
		seconds = time.Since(began).Seconds()
		return nil
	})
	return seconds, err
}
