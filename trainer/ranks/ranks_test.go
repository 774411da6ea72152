package ranks_test

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"actfleet/trainer/ranks"
	"actfleet/trainer/ranks/rankstest"
)

// together runs f on every rank of a group.
func together(world int, f func(r ranks.Ranks) error) error {
	var all sync.WaitGroup
	errs := make([]error, world)
	for i, r := range rankstest.New(world) {
		all.Go(func() { errs[i] = f(r) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// The numbers that the ranks choose together are those that one of them would choose out of all, in the order of the
// ranks.
func TestGreatest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		world := rapid.IntRange(1, 4).Draw(t, "world")
		number := rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 5), rapid.Uint32Range(1<<31, 1<<31+2))
		var parts [][]uint32
		var all []uint32
		for range world {
			p := rapid.SliceOfN(number, 0, 20).Draw(t, "part")
			parts, all = append(parts, p), append(all, p...)
		}
		k := rapid.IntRange(0, 30).Draw(t, "k")
		order := make([]int, len(all))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[b], all[a]) })
		want := make([]bool, len(all))
		for _, i := range order[:min(k, len(all))] {
			want[i] = true
		}
		got := make([][]bool, world)
		err := together(world, func(r ranks.Ranks) error {
			own := parts[r.Rank()]
			least, share, err := ranks.Greatest(r, own, k)
			chosen := make([]bool, len(own))
			for i, v := range own {
				chosen[i] = k > 0 && (v > least || v == least && share > 0)
				if v == least {
					share--
				}
			}
			got[r.Rank()] = chosen
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if g := slices.Concat(got...); !slices.Equal(g, want) {
			t.Fatalf("of %v the greatest %d are %v, want %v", parts, k, g, want)
		}
	})
}

func TestRows(t *testing.T) {
	keys := [][]float64{{3, 1}, {}, {2, 0, 5}}
	err := together(3, func(r ranks.Ranks) error {
		own := keys[r.Rank()]
		var rows [][]float32
		for _, k := range own {
			rows = append(rows, []float32{float32(k), float32(r.Rank())})
		}
		least, all, err := ranks.Rows(r, own, rows, 4, 2)
		if !slices.Equal(least, []float64{0, 1, 2, 3}) || !slices.EqualFunc(all, [][]float32{{0, 2}, {1, 0}, {2, 2}, {3, 0}}, slices.Equal) {
			t.Errorf("rank %d has %v %v", r.Rank(), least, all)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestBucket(t *testing.T) {
	err := together(3, func(r ranks.Ranks) error {
		n, x, counts, flags, floats := r.Rank(), 0.5, []int64{1, int64(r.Rank())}, []bool{false, r.Rank() == 1}, []float32{2}
		var b ranks.Bucket
		ranks.Number(&b, &n)
		ranks.Number(&b, &x)
		ranks.Numbers(&b, counts)
		b.Flags(flags)
		b.Floats(floats)
		err := b.AllReduce(r)
		if n != 3 || x != 1.5 || !slices.Equal(counts, []int64{3, 3}) || !slices.Equal(flags, []bool{false, true}) || floats[0] != 6 {
			t.Errorf("rank %d has %v %v %v %v %v", r.Rank(), n, x, counts, flags, floats)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAgree(t *testing.T) {
	mine := errors.New("mine")
	err := together(3, func(r ranks.Ranks) error {
		var own, want error = nil, ranks.ErrOther
		if r.Rank() == 1 {
			own, want = mine, mine
		}
		if got := ranks.Agree(r, own); !errors.Is(got, want) {
			t.Errorf("rank %d agrees on %v, want %v", r.Rank(), got, want)
		}
		return ranks.Agree(r, nil)
	})
	if err != nil || ranks.Agree(ranks.Alone{}, mine) != mine {
		t.Error(err)
	}
}
