package collector

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/internal/torch"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

// gatherer is a model that brings kept rows as one on a GPU does: in fp16, from another goroutine.
type gatherer struct{ *modeltest.Fake }

func (g gatherer) Forward(ctx context.Context, r model.Request) (logits [][]float32, err error) {
	if r.Kept == nil {
		return g.Fake.Forward(ctx, r)
	}
	var wg sync.WaitGroup
	kept := r.Kept
	r.Kept, r.Emit = nil, func(i int, v model.View) error {
		var err error
		wg.Go(func() { err = kept.Emit(i, gather(v, kept.At, kept.F32[i])) })
		wg.Wait()
		return err
	}
	return g.Fake.Forward(ctx, r)
}

func (g gatherer) Prefix(ctx context.Context, r model.Request) (*model.Prefix, error) {
	_, err := g.Forward(ctx, r)
	return &model.Prefix{IDs: r.IDs[0]}, err
}

func gather(v model.View, at []int32, f32 bool) model.Rows {
	if !f32 {
		out := model.Rows{F16: make([]byte, 2*len(at)*v.D), D: v.D}
		new(torch.Packed).RowsF16(out.F16, v.Data, v.D, v.D, at, make([]float64, len(at)))
		return out
	}
	out := model.Rows{F32: []float32{}, D: v.D}
	for _, k := range at {
		out.F32 = append(out.F32, v.Data[int(k)*v.D:(int(k)+1)*v.D]...)
	}
	return out
}

// spoilt is a fake with values that fp16 cannot hold in a few places of two taps.
func spoilt() *modeltest.Fake {
	m := modeltest.NewFake()
	m.Spoil = func(at tap.Tap, id int32, pos, d int, x float32) float32 {
		switch {
		case at == tap.Tap{Site: tap.Resid, Layer: 2} && id%11 == 3 && d == 3:
			return 70000
		case at.Site == tap.FC1 && d == 1:
			return x / 3 // has to be rounded
		}
		return x
	}
	return m
}

// Rows that a GPU gathered and rounded make the bytes that whole taps make: any rule, with prefixes, fp32 columns, and
// columns that overflow on the way.
func TestGatheredRowsMakeTheSameShards(t *testing.T) {
	for _, c := range []struct {
		rule, dtype string
		shared      int // tokens that all prompts begin with
	}{{"all", "auto", 0}, {"all", "f32", 20}, {"last", "auto", 20}, {"every:7", "auto", 20}, {"pos:3", "auto", 20}} {
		t.Run(c.rule+"/"+c.dtype, func(t *testing.T) {
			a := ask(t, c.rule)
			a.Dtype = c.dtype
			want, got := shardsOf(t, spoilt(), a, c.shared), shardsOf(t, gatherer{spoilt()}, a, c.shared)
			wantSameUnits(t, got, want)
		})
	}
}

// shardsOf is the store of a whole run, whose events observe receives.
func shardsOf(t *testing.T, m Model, a Ask, shared int, observe ...func(Event)) store.Store {
	t.Helper()
	st := mem.New(time.Now)
	cfg := config(t, st, m, a, shots(prompts(130), shared))
	for _, f := range observe {
		cfg.Observe = f
	}
	if _, err := Collect(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run.Finish(t.Context(), st, cfg.Plan); err != nil {
		t.Fatal(err)
	}
	wantClean(t, st)
	return st
}

func wantSameUnits(t *testing.T, got, want store.Store) {
	t.Helper()
	for u := range 4 {
		if sum(t, want, u) != sum(t, got, u) {
			t.Errorf("unit %d has other bytes", u)
		}
	}
}

// What is not finite is named by its value, whichever way it came; what overflowed beside it does not hide it.
func TestGatheredNaNIsNamed(t *testing.T) {
	m := modeltest.NewFake()
	m.Spoil = func(at tap.Tap, id int32, pos, d int, x float32) float32 {
		switch {
		case at != tap.Tap{Site: tap.FC1, Layer: 2}:
		case d == 4:
			return 70000
		case id == 13 && pos == 0 && d == 5:
			return float32(math.Inf(-1))
		}
		return x
	}
	_, err := Collect(t.Context(), config(t, mem.New(time.Now), gatherer{m}, ask(t, "all"), prompts(200)))
	if !errors.Is(err, ErrNonFinite) || !strings.Contains(err.Error(), "position 0: fc1 of layer 2, channel 5 is -Inf") {
		t.Errorf("error %v does not name the value", err)
	}
}

// Under --dtype f16 a row that overflowed stops the run, as it does elsewhere.
func TestGatheredOverflowUnderF16(t *testing.T) {
	a := ask(t, "all")
	a.Dtype = "f16"
	if _, err := Collect(t.Context(), config(t, mem.New(time.Now), gatherer{spoilt()}, a, prompts(130))); !errors.Is(err, ErrOverflow) {
		t.Errorf("error %v, want ErrOverflow", err)
	}
}

// small is a GPU that has memory for so many positions at a time, and finds out after it has handed on some taps.
type small struct {
	gatherer
	most int
}

func (m small) Forward(ctx context.Context, r model.Request) ([][]float32, error) {
	steps := 0
	for _, ids := range r.IDs {
		steps = max(steps, len(ids))
	}
	if steps*len(r.IDs) <= m.most {
		return m.gatherer.Forward(ctx, r)
	}
	r.Taps, r.Next = r.Taps[:2], nil
	if _, err := m.gatherer.Forward(ctx, r); err != nil {
		return nil, err
	}
	return nil, &torch.Error{Op: "Linear", Msg: "CUDA out of memory. Tried to allocate 2 GiB"}
}

// Batches that are too large for a GPU go through in halves, which is said once; the rows are the same.
func TestTooLargeBatchesAreHalved(t *testing.T) {
	for rule, shared := range map[string]int{"all": 20, "last": 0} {
		a := ask(t, rule)
		a.Choices = []string{"no", "yes"}
		said := 0
		want := shardsOf(t, spoilt(), a, shared)
		got := shardsOf(t, small{gatherer{spoilt()}, 60}, a, shared, func(e Event) {
			if e.Event == "memory" {
				said++
			}
		})
		wantSameUnits(t, got, want)
		if said != 1 {
			t.Errorf("%s: it was said %d times", rule, said)
		}
	}
}

// One prompt that is too much is an error that says what to do.
func TestOnePromptTooLarge(t *testing.T) {
	st := mem.New(time.Now)
	_, err := Collect(t.Context(), config(t, st, small{gatherer{modeltest.NewFake()}, 30}, ask(t, "last"), prompts(130)))
	if !torch.OutOfMemory(err) || !strings.Contains(err.Error(), "--max-tokens") {
		t.Errorf("error %v", err)
	}
}
