package collector

import (
	"fmt"

	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard"
	"actfleet/shard/tap"
)

// forward takes a batch through the model, and its kept rows into their segments; it returns what comes after each prompt,
// where the plan has choices. A batch that a GPU has not the memory for goes through in halves; the rows are the same, up to
// the rounding that comes with another shape.
func (a *attempt) forward(b batch, segments []segment) (after []model.Chances, err error) {
	if !a.us.tooLarge(b) {
		after, err = a.pass(b, segments)
		if !torch.OutOfMemory(err) {
			return after, err
		}
		if len(b.prompts) == 1 {
			return nil, fmt.Errorf("%w; one prompt of %d tokens is too much for this GPU: split the model (--device cuda:0+cuda:1), or cut prompts (--max-tokens)", err, b.steps)
		}
		a.us.shrink(b)
	}
	for _, half := range halves(b, segments) {
		some, err := a.forward(half.batch, half.segments)
		if err != nil {
			return nil, err
		}
		after = append(after, some...)
	}
	return after, nil
}

// tooLarge says whether a batch of the size has been too much for a GPU before.
func (us *units) tooLarge(b batch) bool {
	most := us.tooMuch.Load()
	return most > 0 && int64(b.computed()) >= most && len(b.prompts) > 1
}

// shrink remembers that a batch was too large, and says so the first time.
func (us *units) shrink(b batch) {
	n := int64(b.computed())
	for {
		most := us.tooMuch.Load()
		if most > 0 && most <= n {
			return
		}
		if us.tooMuch.CompareAndSwap(most, n) {
			if most == 0 && us.tell != nil {
				us.tell(fmt.Sprintf("a GPU has too little memory for %d tokens at a time: batches of so many are halved", n))
			}
			return
		}
	}
}

// half is a part of a batch, and where its rows go.
type half struct {
	batch
	segments []segment
}

// halves are the first and the last prompts of a batch, each as a batch of its own.
func halves(b batch, segments []segment) (parts [2]half) {
	middle := len(b.prompts) / 2
	for i, prompts := range [][]int{b.prompts[:middle], b.prompts[middle:]} {
		part := batch{input: b.input, prompts: prompts, prefix: b.prefix}
		for k := range prompts {
			part.steps = max(part.steps, len(part.ids(k)))
		}
		parts[i] = half{batch: part, segments: within(segments, b.steps, i*middle, len(prompts), part.steps)}
	}
	return parts
}

// within are the segments of n prompts from the first-th on, of a batch of so many steps, as those of a batch of their own.
func within(segments []segment, steps, first, n, own int) (out []segment) {
	for _, s := range segments {
		part := segment{group: s.group, first: -1}
		for i, k := range s.kept {
			prompt, pos := int(k)/steps-first, int(k)%steps
			if prompt < 0 || prompt >= n {
				continue
			}
			if part.first < 0 {
				part.first = s.first + i
			}
			part.kept = append(part.kept, int32(prompt*own+pos))
		}
		if part.first >= 0 {
			out = append(out, part)
		}
	}
	return out
}

// pass is one forward pass, of which nothing is counted when it fails. A model on a GPU gathers the kept rows and rounds
// them to fp16 there; any other hands whole taps to pack.
func (a *attempt) pass(b batch, segments []segment) (after []model.Chances, err error) {
	g := gathered{a: a, b: b, segments: segments}
	r := a.us.request(b, a.prefix)
	r.Emit = func(i int, v model.View) error { return a.pack(i, v, b, segments) }
	r.Kept = &model.Kept{F32: singles(a.task.schema.Vectors), Emit: g.pack}
	for _, s := range segments {
		r.Kept.At = append(r.Kept.At, ownPlaces(s.kept, b)...)
	}
	if r.Next != nil {
		r.Next.Emit = func(c model.Chances) { after = append(after, c) }
	}
	_, err = a.us.model.Forward(a.passes, r)
	if err == nil && len(g.again) > 0 {
		r.Next = nil
		r.Taps, r.Kept = g.inFull(r.Kept.At)
		_, err = a.us.model.Forward(a.passes, r)
	}
	if err != nil {
		return nil, err
	}
	for _, m := range g.measured {
		m.group.merge(m.column, m.VectorStats)
	}
	return after, nil
}

// ownPlaces are the places of kept (b·T + t, T with the prefix) that are the batch's own, counted without the prefix.
func ownPlaces(kept []int32, b batch) (at []int32) {
	for _, k := range kept {
		prompt, pos := int(k)/b.steps, int(k)%b.steps
		if pos >= b.prefix {
			at = append(at, int32(prompt*(b.steps-b.prefix)+pos-b.prefix))
		}
	}
	return at
}

// singles says of each column whether it must not be rounded to fp16.
func singles(columns []shard.Vector) []bool {
	f32 := make([]bool, len(columns))
	for i, c := range columns {
		f32[i] = c.Dtype != shard.F16
	}
	return f32
}

// gathered packs the rows of one batch that a GPU has gathered.
type gathered struct {
	a        *attempt
	b        batch
	segments []segment
	measured []measured
	again    []int // taps with a row that is not finite in fp16: in fp32 it may be, and then overflowed
}

// measured is what was measured of some rows of a row group's column.
type measured struct {
	group  *group
	column int
	shard.VectorStats
}

// inFull asks for the taps of again in fp32.
func (g *gathered) inFull(at []int32) (taps []tap.Tap, k *model.Kept) {
	k = &model.Kept{At: at, Emit: func(i int, rows model.Rows) error { return g.pack(g.again[i], rows) }}
	for _, i := range g.again {
		taps = append(taps, g.a.us.taps[i])
		k.F32 = append(k.F32, true)
	}
	return taps, k
}

// pack writes the rows of tap i into their row groups, and the prefix's rows between them.
func (g *gathered) pack(i int, rows model.Rows) error {
	var all []measured
	n := 0
	for _, s := range g.segments {
		for done := 0; done < len(s.kept); {
			before, at := g.a.prefix.part(i, g.b, s.kept[done:])
			if before == nil {
				own := rows.Slice(n, n+len(at))
				n += len(at)
				before, at = &own, upTo(len(at))
			}
			m, err := g.a.packEither(i, before, model.View{}, at, g.b, s.from(done))
			if err != nil {
				return err
			}
			all = append(all, measured{s.group, i, m})
			done += len(at)
		}
	}
	if rows.F16 != nil && overflowed(all) {
		g.again = append(g.again, i)
		return nil
	}
	g.measured = append(g.measured, all...)
	return nil
}

// overflowed says whether a value is not finite in fp16.
func overflowed(all []measured) bool {
	for _, m := range all {
		if m.NonFinite > 0 {
			return true
		}
	}
	return false
}

// upTo is 0, 1, … n−1.
func upTo(n int) []int32 {
	at := make([]int32, n)
	for i := range at {
		at[i] = int32(i)
	}
	return at
}
