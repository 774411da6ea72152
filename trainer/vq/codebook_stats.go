package vq

import (
	"fmt"

	"actfleet/trainer/optim"
	"actfleet/trainer/parallel"
	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// codebookStats is what training knows of a codebook.
type codebookStats struct {
	*codebook
	emaCount []float64 // [k] N_k
	emaSum   []float64 // [k, w] S_k

	// The batch.
	from  int // place of its first row in the batch of all ranks
	rows  int
	count []int64   // [k] n_k
	sum   []float64 // [k, w] Σ z
	error float64   // Σ‖z−e‖²
	spare reservoir // rows for dead codes

	// Work of add.
	start, of []int32
	errors    []float64 // [k]
}

func newCodebookStats(b *codebook) *codebookStats {
	return &codebookStats{codebook: b, emaCount: make([]float64, b.k), emaSum: make([]float64, b.k*b.w),
		count: make([]int64, b.k), sum: make([]float64, b.k*b.w)}
}

// save adds codes and averages to a State.
func (s *codebookStats) save(set *state.Set, prefix string) {
	state.Add(set, prefix+"codes", s.codes, s.k, s.w)
	state.Add(set, prefix+"ema_count", s.emaCount)
	state.Add(set, prefix+"ema_sum", s.emaSum, s.k, s.w)
}

// init sets the codes and their averages from rows z [n, w]; batch is the number of
// rows that a step will give the codebook.
func (s *codebookStats) init(z []float32, n, batch int, cfg Config) error {
	ids, err := fitKMeans(s.codebook, z, n, cfg.KMeansSteps, cfg.Seed)
	if err != nil {
		return err
	}
	s.startAverages(ids, n, batch, cfg.DeadShare)
	return nil
}

// startAverages sets N to the counts of the sample, scaled to a batch, but at least to the
// level of a code that is just alive, and S to N·e.
func (s *codebookStats) startAverages(ids []int32, n, batch int, dead float64) {
	per := float64(max(batch, 1)) / float64(n)
	clear(s.emaCount)
	for _, k := range ids {
		s.emaCount[k] += per
	}
	least := dead * float64(max(batch, 1)) / float64(s.k)
	for k := range s.emaCount {
		s.emaCount[k] = max(s.emaCount[k], least)
		for j, v := range s.code(k) {
			s.emaSum[k*s.w+j] = s.emaCount[k] * float64(v)
		}
	}
}

// startBatch empties the batch for a step. The rows that will be added are those of the
// batch of all ranks from place from on.
func (s *codebookStats) startBatch(seed, step uint64, from int) {
	s.from, s.rows, s.error = from, 0, 0
	clear(s.count)
	clear(s.sum)
	s.spare = newReservoir(min(s.k, maxSpare), s.w, seed, step)
}

// codeGrain is the least number of codes worth a goroutine of their own.
const codeGrain = 8

// add takes rows z [n, w] and their codes into the batch. Every code's rows are
// added in their order, so the sums do not depend on the number of cores.
func (s *codebookStats) add(z []float32, ids []int32) error {
	s.sort(ids)
	parallel.For(s.k, codeGrain, func(lo, hi int) {
		for k := lo; k < hi; k++ {
			s.addCode(k, z)
		}
	})
	s.error += total(s.errors)
	for i := range ids {
		s.spare.offer(z[i*s.w:(i+1)*s.w], uint64(s.from+s.rows))
		s.rows++
	}
	if s.error-s.error != 0 {
		return fmt.Errorf("vq: the distance to the codes: %w", optim.ErrNonFinite)
	}
	return nil
}

// sort lists the rows of each code: of[start[k]:start[k+1]] are those of code k.
func (s *codebookStats) sort(ids []int32) {
	s.start, s.of, s.errors = grow(s.start, s.k+2), grow(s.of, len(ids)), grow(s.errors, s.k)
	clear(s.start)
	for _, k := range ids {
		s.start[k+2]++
	}
	for k := range s.k {
		s.start[k+2] += s.start[k+1]
	}
	for i, k := range ids {
		s.of[s.start[k+1]] = int32(i)
		s.start[k+1]++
	}
}

func (s *codebookStats) addCode(k int, z []float32) {
	code, sum, far := s.code(k), s.sum[k*s.w:(k+1)*s.w], 0.0
	rows := s.of[s.start[k]:s.start[k+1]]
	for _, i := range rows {
		for j, v := range z[int(i)*s.w : (int(i)+1)*s.w] {
			r := float64(v - code[j])
			sum[j] += float64(v)
			far += r * r
		}
	}
	s.count[k] += int64(len(rows))
	s.errors[k] = far
}

// offer gives what a batch adds up to be summed; its spare rows come together when some are needed.
func (s *codebookStats) offer(b *ranks.Bucket) {
	ranks.Number(b, &s.rows)
	ranks.Number(b, &s.error)
	ranks.Numbers(b, s.count)
	ranks.Numbers(b, s.sum)
}

// average moves N and S.
func (s *codebookStats) average(decay float64) {
	for k, c := range s.count {
		s.emaCount[k] = decay*s.emaCount[k] + (1-decay)*float64(c)
	}
	for i, v := range s.sum {
		s.emaSum[i] = decay*s.emaSum[i] + (1-decay)*v
	}
}

// meanError is the mean square of a value of z − e.
func (s *codebookStats) meanError() float64 { return s.error / float64(s.rows*s.w) }

func total(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}
