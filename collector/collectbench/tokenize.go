package collectbench

import (
	"sync"
	"sync/atomic"
)

// Tokenized is how fast texts became ids, in medians over the rounds.
type Tokenized struct {
	Bytes  int64 // of the texts
	Tokens int64
	One    Cost // on one thread
	All    Cost // on all of them
	Ratio  Cost // one over all: by the clock, the number of threads at best; of processor time, one at best
}

// Tokenize encodes all texts on one thread and on several, in turn, once more than rounds: the first round warms up.
// encode is called by several goroutines at once.
func Tokenize(encode func(text string) []int32, texts []string, threads, rounds int) (Tokenized, error) {
	var t Tokenized
	var one, all, ratio []Cost
	for round := range rounds + 1 {
		a, err := timed(func() error { t.Tokens = encodeAll(encode, texts, 1); return nil })
		if err != nil {
			return t, err
		}
		b, err := timed(func() error { encodeAll(encode, texts, threads); return nil })
		if err != nil {
			return t, err
		}
		if round > 0 {
			one, all, ratio = append(one, a), append(all, b), append(ratio, a.over(b))
		}
	}
	for _, text := range texts {
		t.Bytes += int64(len(text))
	}
	t.One, t.All, t.Ratio = median(one), median(all), median(ratio)
	return t, nil
}

// encodeAll encodes every text and counts the tokens.
func encodeAll(encode func(text string) []int32, texts []string, threads int) int64 {
	var next, tokens atomic.Int64
	var running sync.WaitGroup
	for range threads {
		running.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(texts)) {
					return
				}
				tokens.Add(int64(len(encode(texts[i]))))
			}
		})
	}
	running.Wait()
	return tokens.Load()
}
