package collector

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"actfleet/collector/model"
)

// leastPrefix is how many tokens prompts must share for it to be worth the extra products per block that
// going on from a prefix takes.
const leastPrefix = 8

// sharedPrefix is how many tokens all prompts of a unit begin with, leaving each at least one of its own: they are
// computed once. It is 0 where that does not pay, or where a prompt has more tokens than the model can go on to from a
// prefix (limit; 0: any number), and a function of prompts and model alone.
func sharedPrefix(prompts [][]int32, limit int) int {
	if len(prompts) < 2 || limit > 0 && slices.ContainsFunc(prompts, func(ids []int32) bool { return len(ids) > limit }) {
		return 0
	}
	first := prompts[0]
	shared := len(first) - 1
	for _, ids := range prompts[1:] {
		n := 0
		for n < min(shared, len(ids)-1) && ids[n] == first[n] {
			n++
		}
		shared = n
	}
	if shared < leastPrefix {
		return 0
	}
	return shared
}

// prefix is the beginning of all prompts of a unit, taken through the model.
type prefix struct {
	computed *model.Prefix
	views    []model.View // of each tap, every position; nil where the rule keeps none of them
	users    atomic.Int32
}

// join adds a user; leave ends one user's part in p; the last one's ends p.
func (p *prefix) join() {
	if p != nil {
		p.users.Add(1)
	}
}

func (p *prefix) leave() {
	if p != nil && p.users.Add(-1) == 0 {
		p.computed.Free()
	}
}

// after is what the model goes on from; nil: nothing.
func (p *prefix) after() *model.Prefix {
	if p == nil {
		return nil
	}
	return p.computed
}

// prefixes remembers the last prefix, as one of its users: most units of a run share theirs.
type prefixes struct {
	mu   sync.Mutex
	last *prefix
}

// share is the prefix of a unit's batches, nil where they have none. The caller leaves it when done.
func (us *units) share(ctx context.Context, work []batch) (*prefix, error) {
	if len(work) == 0 || work[0].prefix == 0 {
		return nil, nil
	}
	ids := work[0].ids(0)[:work[0].prefix]
	kept := slices.ContainsFunc(work, us.keepsPrefix)
	us.prefixes.mu.Lock()
	defer us.prefixes.mu.Unlock()
	if last := us.prefixes.last; last == nil || !slices.Equal(last.computed.IDs, ids) || kept && last.views == nil {
		p, err := us.takePrefix(ctx, ids, kept)
		if err != nil {
			return nil, err
		}
		last.leave()
		us.prefixes.last = p
	}
	us.prefixes.last.users.Add(1)
	return us.prefixes.last, nil
}

// keepsPrefix says whether a position of the prefix becomes a row for some prompt of b.
func (us *units) keepsPrefix(b batch) bool {
	return slices.ContainsFunc(b.prompts, func(prompt int) bool {
		kept := us.positions(b.input, prompt)
		return len(kept) > 0 && int(kept[0]) < b.prefix
	})
}

// takePrefix takes a prefix through the model; with kept set, it holds on to what the taps give there.
func (us *units) takePrefix(ctx context.Context, ids []int32, kept bool) (*prefix, error) {
	us.lanes.enter()
	defer us.lanes.leave()
	p := &prefix{}
	r := model.Request{IDs: [][]int32{ids}, Taps: us.taps, Next: us.choices.next()}
	if kept {
		p.views = make([]model.View, len(us.taps))
		r.Emit = func(i int, v model.View) error {
			v.Data = slices.Clone(v.Data)
			p.views[i] = v
			return nil
		}
	}
	var err error
	p.computed, err = us.model.Prefix(ctx, r)
	p.users.Store(1)
	return p, err
}

// part is where the first of kept (b·T + t, T with the prefix) lie: the view, the prefix's or the batch's
// own v, that holds their vectors and at which places, so many of them as lie together.
func (p *prefix) part(i int, v model.View, b batch, kept []int32) (from model.View, at []int32) {
	if p == nil {
		return v, kept
	}
	within := int(kept[0])%b.steps < b.prefix
	if from = v; within {
		from = p.views[i]
	}
	for _, k := range kept {
		prompt, pos := int(k)/b.steps, int(k)%b.steps
		switch {
		case pos < b.prefix != within:
			return from, at
		case within:
			at = append(at, int32(pos))
		default:
			at = append(at, int32(prompt*v.T+pos-b.prefix))
		}
	}
	return from, at
}
