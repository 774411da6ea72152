package reduce

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"
)

// need skips where Gloo is not compiled in.
func need(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
}

// links carry cards between ranks that live in one process.
func links(world int) (out []Link) {
	hear := make([]chan []byte, world)
	for i := range hear {
		hear[i] = make(chan []byte, 8*world)
	}
	for rank := range world {
		out = append(out, Link{Hear: hear[rank], Tell: func(card []byte) error {
			for i := range hear {
				if i != rank {
					hear[i] <- card
				}
			}
			return nil
		}})
	}
	return out
}

// ranks runs f on every rank of a group.
func ranks(t *testing.T, world int, f func(g *Group, rank int)) {
	t.Helper()
	to, all := links(world), sync.WaitGroup{}
	for rank := range world {
		all.Go(func() {
			g, err := Join(rank, world, "127.0.0.1", 10*time.Second, to[rank])
			if err != nil {
				t.Error(err)
				return
			}
			defer g.Close()
			f(g, rank)
		})
	}
	all.Wait()
}

func TestSum(t *testing.T) {
	need(t)
	for _, world := range []int{2, 3, 5} {
		ranks(t, world, func(g *Group, rank int) {
			for _, n := range []int{0, 1, 2, 3, 7, 64} { // fewer elements than ranks as well
				narrow, wide := make([]float32, n), make([]float64, n)
				for i := range n {
					narrow[i], wide[i] = float32(rank+i), float64(rank)+float64(i)/3
				}
				if err := g.SumFloat32s(narrow); err != nil {
					t.Error(err)
				}
				if err := g.SumFloat64s(wide); err != nil {
					t.Error(err)
				}
				for i := range n {
					ranks := float64(world * (world - 1) / 2)
					if want := float32(world*i) + float32(ranks); narrow[i] != want {
						t.Errorf("%d ranks: narrow %d of %d is %v, want %v", world, i, n, narrow[i], want)
					}
					if want := float64(world)*float64(i)/3 + ranks; math.Abs(wide[i]-want) > 1e-12*want {
						t.Errorf("%d ranks: wide %d of %d is %v, want %v", world, i, n, wide[i], want)
					}
				}
			}
		})
	}
}

// Sums have the same bits on every rank and in every group of as many ranks.
func TestSumBits(t *testing.T) {
	need(t)
	const world, n = 3, 100_003
	var want []float32
	for range 2 {
		got := make([][]float32, world)
		ranks(t, world, func(g *Group, rank int) {
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(math.Sin(float64(i*(rank+1)))) * float32(math.Exp(float64(i%17)))
			}
			if err := g.SumFloat32s(v); err != nil {
				t.Error(err)
			}
			got[rank] = v
		})
		if want == nil {
			want = got[0]
		}
		for rank, v := range got {
			for i := range v {
				if math.Float32bits(v[i]) != math.Float32bits(want[i]) {
					t.Fatalf("element %d is %v on rank %d, was %v", i, v[i], rank, want[i])
				}
			}
		}
	}
}

func TestShare(t *testing.T) {
	need(t)
	ranks(t, 3, func(g *Group, rank int) {
		data := []byte{byte(rank), 7, byte(rank)}
		if err := g.Share(data); err != nil || data[0] != 0 || data[1] != 7 || data[2] != 0 {
			t.Errorf("rank %d has %v (%v)", rank, data, err)
		}
	})
}

// A rank that leaves fails the sums of all others.
func TestLeaving(t *testing.T) {
	need(t)
	ranks(t, 3, func(g *Group, rank int) {
		if rank == 1 {
			return
		}
		began := time.Now()
		if err := g.SumFloat32s(make([]float32, 1000)); err == nil {
			t.Errorf("rank %d added up without rank 1", rank)
		}
		g.Close()
		t.Logf("rank %d knew after %v", rank, time.Since(began))
	})
}

func TestNobodyComes(t *testing.T) {
	need(t)
	_, err := Join(0, 2, "127.0.0.1", 200*time.Millisecond, links(2)[0])
	if err == nil {
		t.Error("joined a group that nobody else is in")
	}
	if _, err := Join(0, 2, "203.0.113.1", time.Second, links(2)[0]); err == nil {
		t.Error("listens on an address that is not of this machine")
	}
}

// BenchmarkSum is the gradients of 1,024 latents on rows of 256, and of 8,192 on rows of 512, on two ranks of one machine.
func BenchmarkSum(b *testing.B) {
	if err := Available(); err != nil {
		b.Skip(err)
	}
	for _, n := range []int{2*1024*256 + 1024 + 256, 2*8192*512 + 8192 + 512} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			to, all := links(2), sync.WaitGroup{}
			for rank := range 2 {
				all.Go(func() {
					g, err := Join(rank, 2, "127.0.0.1", 10*time.Second, to[rank])
					if err != nil {
						b.Error(err)
						return
					}
					defer g.Close()
					v := make([]float32, n)
					for range b.N {
						if err := g.SumFloat32s(v); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}
