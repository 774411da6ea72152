package sae_test

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"actfleet/trainer/sae"
)

// Rows that are sums of two of 16 axes are reconstructed from two latents each.
func ExampleNew() {
	const d, n = 16, 256
	r := rand.New(rand.NewPCG(1, 2))
	rows := func(n int) []float32 {
		x := make([]float32, n*d)
		for b := range n {
			for range 2 {
				x[b*d+r.IntN(d)] += 1 + r.Float32()
			}
		}
		return x
	}

	l, err := sae.New(d, sae.Config{Arch: sae.TopK, Width: 32, K: 2, AuxK: 8, AuxCoef: 1. / 32, DeadTokens: 4096, Clip: 1, Scale: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = l.Init(rows(1000), 1000)
	for step := 0; step < 300 && err == nil; step++ {
		// Two micro-batches; any split of the same rows gives the same step.
		if err = errors.Join(l.Micro(rows(n/2), n/2), l.Micro(rows(n/2), n/2)); err == nil {
			_, err = l.Step(1e-2)
		}
	}
	eval := sae.Eval{Model: l.Export()}
	if err := errors.Join(err, eval.Add(rows(1000), 1000)); err != nil {
		fmt.Println(err)
		return
	}
	m := eval.Metrics()
	fmt.Printf("at most 2 latents of a row: %t\n", m["l0"] <= 2)
	fmt.Printf("more than 95%% of the variance explained: %t\n", m["fvu"] < 0.05)
	// Output:
	// at most 2 latents of a row: true
	// more than 95% of the variance explained: true
}
