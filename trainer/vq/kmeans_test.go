package vq

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// crowds makes rows of d values in clusters of clusters, a few of them with most of the rows, as activations lie.
func crowds(seed uint64, d, n int) []float32 {
	const clusters = 300
	places := rand.New(rand.NewPCG(7, 7))
	at, share := make([]float64, clusters*d), make([]float64, clusters)
	for c := range clusters {
		parent := places.IntN(c/8 + 1) // near one of the first clusters
		for j := range d {
			at[c*d+j] = 0.7*at[parent*d+j] + normal(places)
		}
		share[c] = 1 / float64(c+3)
	}
	r := rand.New(rand.NewPCG(seed, 8))
	x := make([]float32, 0, n*d)
	for range n {
		c := draw(share, r.Uint64(), 0)
		wide := math.Exp(normal(r) / 2)
		for j := range d {
			x = append(x, float32(at[c*d+j]+0.4*wide*normal(r)))
		}
	}
	return x
}

// converged is k-means++ and Lloyd's steps until they stand still, the best of several starts.
func converged(t *testing.T, x []float32, d, codes int) Coder {
	t.Helper()
	n, least := len(x)/d, math.Inf(1)
	var best *Codebooks
	for seed := range uint64(4) {
		c := newCodebooks(ema{}, Config{Arch: EMA}, Dims{Row: d, Ids: 1, Codes: codes})
		if err := c.fit(x, n); err != nil {
			t.Fatal(err)
		}
		m := newKMeans(&c.books[0], slices.Clone(c.apply(x, n)), n, seed)
		for k, i := range m.plusPlus() {
			copy(m.code(k), m.row(i))
		}
		for was := math.Inf(1); ; was = total(m.far) {
			if err := m.steps(1); err != nil {
				t.Fatal(err)
			}
			if total(m.far) > was*(1-1e-5) {
				break
			}
		}
		if total(m.far) < least {
			least, best = total(m.far), c
		}
	}
	return best
}

// A short training is as good as k-means on all of its rows to the end, on rows that neither has seen.
func TestAsGoodAsFullKMeans(t *testing.T) {
	const d, codes, n, batch = 12, 64, 12000, 1000
	x, held := crowds(1, d, n), crowds(2, d, 8000)
	fvu := func(c Coder) float64 {
		e := Eval{Coder: c}
		if err := e.Add(held, len(held)/d); err != nil {
			t.Fatal(err)
		}
		return e.Metrics()["fvu"]
	}
	want := fvu(converged(t, x, d, codes))
	for seed := range uint64(3) {
		l, err := New(d, Config{Arch: EMA, Codes: codes, Ids: 1, Decay: .95, DeadShare: .1, KMeansSteps: 20, Batch: batch, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Init(x, n/3); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			at := i * batch % n
			step(t, l, x[at*d:(at+batch)*d], batch, 0)
		}
		if got := fvu(l.Export()); got > 1.005*want {
			t.Errorf("seed %d: fvu %.4f, full k-means %.4f", seed, got, want)
		}
	}
}

// The error of the codes never rises, whatever the rows.
func TestRelocationNeverHarms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, n := rapid.IntRange(2, 9).Draw(t, "codes"), rapid.IntRange(9, 60).Draw(t, "rows")
		z := make([]float32, 2*n)
		for i := range z {
			z[i] = float32(rapid.IntRange(-3, 3).Draw(t, "value"))
		}
		m := newKMeans(newCodebook(k, 2), z, n, rapid.Uint64().Draw(t, "seed"))
		for c, i := range m.plusPlus() {
			copy(m.code(c), m.row(i))
		}
		if err := m.steps(2); err != nil {
			t.Fatal(err)
		}
		before := total(m.far)
		if err := m.relocate(rapid.IntRange(0, 9).Draw(t, "steps")); err != nil {
			t.Fatal(err)
		}
		if after := total(m.far); after > before+1e-4 {
			t.Fatalf("the error rose from %v to %v", before, after)
		}
	})
}

func TestGreatestTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.Float32Range(-2, 2), 2, 9).Draw(t, "v")
		for i := range v {
			v[i] = float32(math.Round(float64(v[i]))) // ties
		}
		first, second := greatestTwo(v)
		if first != argMax(v) {
			t.Fatalf("the greatest of %v is at %d, not %d", v, argMax(v), first)
		}
		rest := slices.Clone(v)
		rest[first] = float32(math.Inf(-1))
		if second == first || v[second] != slices.Max(rest) {
			t.Fatalf("the next of %v is not at %d", v, second)
		}
	})
}
