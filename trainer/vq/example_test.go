package vq_test

import (
	"fmt"
	"log"

	"actfleet/trainer/vq"
)

// A tokenizer of vectors that lie around three points, with one of four codes for each.
func ExampleNew() {
	batch := func(step int) (x []float32) { // 60 rows of 2 values
		for i := range 60 {
			off := float32((i+step)%5) / 100
			x = append(x, []float32{2, 10, -10}[i%3]+off, []float32{1, 5, 5}[i%3]-off)
		}
		return x
	}
	l, err := vq.New(2, vq.Config{Arch: vq.EMA, Codes: 4, Ids: 1, Decay: 0.9, DeadShare: 0.1, KMeansSteps: 5, Batch: 60})
	if err != nil {
		log.Fatal(err)
	}
	if err := l.Init(batch(0), 60); err != nil {
		log.Fatal(err)
	}
	for step := range 20 {
		if err := l.Micro(batch(step), 60); err != nil { // or in several parts
			log.Fatal(err)
		}
		if _, err := l.Step(0); err != nil { // averages need no learning rate
			log.Fatal(err)
		}
	}
	coder, ids, back := l.Export(), make([]int32, 4), make([]float32, 8)
	if err := coder.Encode([]float32{10.01, 5, 2, 1, -10, 5.01, 10, 5.02}, 4, ids); err != nil {
		log.Fatal(err)
	}
	if err := coder.Decode(ids, 4, back); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ids[0] == ids[3], ids[0] == ids[1], ids[1] == ids[2])
	fmt.Printf("%.0f\n", back)
	// Output:
	// true false false
	// [10 5 2 1 -10 5 10 5]
}
