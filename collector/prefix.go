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
	rows     []model.Rows // of each tap, every position; nil where the rule keeps none of them
	users    atomic.Int32
}

// holds says whether p has rows as they are wanted, in fp32 where f32 says so.
func (p *prefix) holds(f32 []bool) bool {
	for i, wanted := range f32 {
		if p.rows == nil || wanted && p.rows[i].F32 == nil {
			return false
		}
	}
	return true
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

// share is the prefix of a unit's batches, nil where they have none; f32 says of which columns fp32 is wanted. The caller
// leaves it when done.
func (us *units) share(ctx context.Context, work []batch, f32 []bool) (*prefix, error) {
	if len(work) == 0 || work[0].prefix == 0 {
		return nil, nil
	}
	ids := work[0].ids(0)[:work[0].prefix]
	kept := slices.ContainsFunc(work, us.keepsPrefix)
	us.prefixes.mu.Lock()
	defer us.prefixes.mu.Unlock()
	if last := us.prefixes.last; last == nil || !slices.Equal(last.computed.IDs, ids) || kept && !last.holds(f32) {
		p, err := us.takePrefix(ctx, ids, kept, f32)
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

// takePrefix takes a prefix through the model; with kept set, it holds on to what the taps give there. What a GPU rounded to
// fp16 and is not finite then is fetched in fp32.
func (us *units) takePrefix(ctx context.Context, ids []int32, kept bool, f32 []bool) (*prefix, error) {
	us.lanes.enter()
	defer us.lanes.leave()
	for {
		p := &prefix{}
		p.users.Store(1)
		r := model.Request{IDs: [][]int32{ids}, Taps: us.taps, Next: us.choices.next()}
		if kept {
			p.keep(&r, f32)
		}
		var err error
		p.computed, err = us.model.Prefix(ctx, r)
		if err != nil {
			return nil, err
		}
		again := slices.Clone(f32)
		for i, rows := range p.rows {
			again[i] = f32[i] || !finiteF16(rows.F16)
		}
		if slices.Equal(again, f32) {
			return p, nil
		}
		p.leave()
		f32 = again
	}
}

// keep has r bring every position of the prefix: gathered on a GPU, else as whole taps.
func (p *prefix) keep(r *model.Request, f32 []bool) {
	p.rows = make([]model.Rows, len(r.Taps))
	r.Emit = func(i int, v model.View) error {
		p.rows[i] = model.Rows{F32: slices.Clone(v.Data), D: v.D}
		return nil
	}
	r.Kept = &model.Kept{At: upTo(len(r.IDs[0])), F32: f32, Emit: func(i int, rows model.Rows) error {
		p.rows[i] = model.Rows{F16: slices.Clone(rows.F16), F32: slices.Clone(rows.F32), D: rows.D}
		return nil
	}}
}

// finiteF16 says whether little-endian fp16 values are all finite.
func finiteF16(values []byte) bool {
	const exponent = 0x7c // of a value's high byte: all set where it is not finite
	for i := 1; i < len(values); i += 2 {
		if values[i]&exponent == exponent {
			return false
		}
	}
	return true
}

// part is where the first of kept (b·T + t, T with the prefix) lie, so many of them as lie together: among the prefix's
// positions, whose rows of tap i it then returns, or, with nil, at these places of the batch's own.
func (p *prefix) part(i int, b batch, kept []int32) (rows *model.Rows, at []int32) {
	if p == nil {
		return nil, kept
	}
	within := int(kept[0])%b.steps < b.prefix
	if within {
		rows = &p.rows[i]
	}
	for _, k := range kept {
		prompt, pos := int(k)/b.steps, int(k)%b.steps
		switch {
		case pos < b.prefix != within:
			return rows, at
		case within:
			at = append(at, int32(pos))
		default:
			at = append(at, int32(prompt*(b.steps-b.prefix)+pos-b.prefix))
		}
	}
	return rows, at
}
