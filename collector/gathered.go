package collector

import (
	"actfleet/collector/model"
	"actfleet/shard"
	"actfleet/shard/tap"
)

// forward takes a batch through the model, and its kept rows into their segments. A model on a GPU gathers them and rounds
// them to fp16 there; any other hands whole taps to pack.
func (a *attempt) forward(b batch, segments []segment) ([][]float32, error) {
	g := gathered{a: a, b: b, segments: segments}
	r := a.us.request(b, a.prefix)
	r.Emit = func(i int, v model.View) error { return a.pack(i, v, b, segments) }
	r.Kept = &model.Kept{F32: singles(a.task.schema.Vectors), Emit: g.pack}
	for _, s := range segments {
		r.Kept.At = append(r.Kept.At, ownPlaces(s.kept, b)...)
	}
	logits, err := a.us.model.Forward(a.passes, r)
	if err != nil || len(g.again) == 0 {
		return logits, err
	}
	r.Logits = false
	r.Taps, r.Kept = g.inFull(r.Kept.At)
	_, err = a.us.model.Forward(a.passes, r)
	return logits, err
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

// singles says of each column whether it is stored in fp32.
func singles(columns []shard.Vector) []bool {
	f32 := make([]bool, len(columns))
	for i, c := range columns {
		f32[i] = c.Dtype == shard.F32
	}
	return f32
}

// gathered packs the rows of one batch that a GPU has gathered.
type gathered struct {
	a        *attempt
	b        batch
	segments []segment
	again    []int // taps with a row that is not finite in fp16: in fp32 it may be, and then overflowed
	second   bool  // those come once more, in fp32
}

// inFull asks for the taps of again in fp32.
func (g *gathered) inFull(at []int32) (taps []tap.Tap, k *model.Kept) {
	g.second = true
	k = &model.Kept{At: at, Emit: func(i int, rows model.Rows) error { return g.pack(g.again[i], rows) }}
	for _, i := range g.again {
		taps = append(taps, g.a.us.taps[i])
		k.F32 = append(k.F32, true)
	}
	return taps, k
}

// pack writes the rows of tap i into their row groups, and the prefix's rows between them.
func (g *gathered) pack(i int, rows model.Rows) error {
	var rowsDone []measured
	own := model.View{T: g.b.steps - g.b.prefix, D: rows.D} // stands for the batch's own rows
	n := 0
	for _, s := range g.segments {
		for done := 0; done < len(s.kept); {
			from, at := g.a.prefix.part(i, own, g.b, s.kept[done:])
			part := s.from(done)
			done += len(at)
			if from.Data != nil {
				if err := g.prefixPart(i, from, at, part); err != nil {
					return err
				}
				continue
			}
			mine := rows.Slice(n, n+len(at))
			n += len(at)
			if rows.F16 != nil {
				rowsDone = append(rowsDone, part.store(i, mine))
			} else if err := g.a.packPart(i, mine.View(), upTo(len(at)), g.b, part); err != nil {
				return err
			}
		}
	}
	g.settle(i, rowsDone)
	return nil
}

// prefixPart packs vectors of the prefix, the first time.
func (g *gathered) prefixPart(i int, from model.View, at []int32, part segment) error {
	if g.second {
		return nil
	}
	return g.a.packPart(i, from, at, g.b, part)
}

// measured is what was measured of rows in a row group.
type measured struct {
	group *group
	shard.VectorStats
}

func (s segment) store(i int, rows model.Rows) measured {
	return measured{s.group, s.group.store(i, s.first, rows)}
}

// settle counts the rows of a tap that are all finite in fp16; the others have to come again.
func (g *gathered) settle(i int, rows []measured) {
	for _, r := range rows {
		if r.NonFinite > 0 {
			g.again = append(g.again, i)
			return
		}
	}
	for _, r := range rows {
		r.group.merge(i, r.VectorStats)
	}
}

// upTo is 0, 1, … n−1.
func upTo(n int) []int32 {
	at := make([]int32, n)
	for i := range at {
		at[i] = int32(i)
	}
	return at
}
