package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"actfleet/collector/model/adapter"
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// ErrTooLong says that a prompt has more tokens than the model has positions.
var ErrTooLong = errors.New("prompt longer than the model's positions")

// ErrNoHead says that a model cannot give logits because its checkpoint has no output matrix.
var ErrNoHead = errors.New("the checkpoint has no lm_head (embed_out), as AutoModel saves it: it gives activations and no logits")

// Request is one forward pass.
type Request struct {
	IDs   [][]int32 // the prompts' token ids, none empty
	After *Prefix   // what stands before each of IDs; nil: nothing
	From  *Begun    // go on from there, where IDs and After are its own and no tap lies before; nil: from the beginning
	Cache *Cache    // remembers the prompts; where it does already, IDs are the one token that each goes on by; nil: nothing does
	Taps  []tap.Tap
	// Adapted are taps with each of the model's adapters on (Adapters); nil: the base alone. They are counted on behind
	// Taps: Emit and Kept have them under len(Taps) and so on. Logits and Next are then of the base's prompts, and
	// after them of each adapter's. Up to the first block that an adapter changes its pass is the base's.
	Adapted [][]tap.Tap
	// Emit receives the output of Taps[i], each tap once, in the order the network computes them.
	Emit func(i int, v View) error
	// Kept asks a model whose taps lie on a GPU for some rows instead; it goes before Emit.
	Kept *Kept
	// Patch has the network go on with other vectors, which are also those that are emitted; nil: with its own.
	Patch *Patch
	// Logits asks for the next-token logits after each prompt's last token; it costs the whole pass, as Next does.
	Logits bool
	Next   *Next
}

// predicts says whether the request needs the next tokens' logits.
func (r Request) predicts() bool { return r.Logits || r.Next != nil }

// Forward runs the prompts through the network. It returns the logits [B][Vocab] when asked, nil
// otherwise. Errors: ErrTooLong, what Emit returned, ctx's error, or libtorch's.
func (m *Model) Forward(ctx context.Context, r Request) (logits [][]float32, err error) {
	if r.From != nil {
		r.IDs, r.After = r.From.r.IDs, r.From.r.After
	}
	return m.each(ctx, r, r.After.of, false)
}

// run is Forward through so many blocks, with what they remember of the positions before: past is nil when there are none.
// The states behind as many blocks as a key of hold says are kept there.
func (m *Model) run(ctx context.Context, r Request, past []layer.Past, blocks int, hold map[int]*torch.Tensor) (logits [][]float32, err error) {
	if err := m.check(r); err != nil {
		return nil, err
	}
	p := newPass(m, r, past)
	p.hold = hold
	err = torch.Do(func(s *torch.Scope) error { return p.run(ctx, s, blocks) })
	if err == nil && r.Cache != nil {
		r.Cache.lengths = p.lengths
	}
	return p.logits, err
}

func (m *Model) check(r Request) error {
	if r.predicts() && m.info.NoHead {
		return fmt.Errorf("%w: %s", ErrNoHead, m.info.Name)
	}
	if r.Next != nil {
		if err := r.Next.check(m.info); err != nil {
			return err
		}
	}
	if r.Kept != nil {
		if err := r.Kept.check(len(r.Taps), len(r.IDs)*longest(r.IDs)); err != nil {
			return err
		}
	}
	if r.Patch != nil {
		if err := r.Patch.check(r.IDs); err != nil {
			return err
		}
	}
	if err := r.Cache.check(r); err != nil {
		return err
	}
	for i := range r.IDs {
		if err := m.checkPrompt(r, i); err != nil {
			return err
		}
	}
	if r.From != nil && r.From.m != m {
		return fmt.Errorf("the batch was begun with another model than %s", m.info.Name)
	}
	for _, t := range r.reached() {
		if err := m.checkTap(r, t); err != nil {
			return err
		}
	}
	if have, want := len(r.After.of(m)), m.blocks(r); r.After != nil && have < want {
		return fmt.Errorf("the prefix remembers %d blocks, the pass needs %d", have, want)
	}
	return nil
}

// checkPrompt refuses the ids of prompt i where the model cannot take them.
func (m *Model) checkPrompt(r Request, i int) error {
	ids := r.IDs[i]
	if len(ids) == 0 {
		return fmt.Errorf("prompt %d of the batch is empty", i)
	}
	if n := r.before(i) + len(ids); n > m.info.MaxPositions {
		return fmt.Errorf("%w: %d tokens, %s has %d positions", ErrTooLong, n, m.info.Name, m.info.MaxPositions)
	} else if r.After != nil && m.info.PrefixLimit > 0 && n > m.info.PrefixLimit {
		return fmt.Errorf("a prompt of %d tokens cannot go on from a prefix: %s computes those of more than %d otherwise", n, m.info.Name, m.info.PrefixLimit)
	}
	for _, id := range ids {
		if id < 0 || int(id) >= m.info.Vocab {
			return fmt.Errorf("token id %d is outside the vocabulary of %s (0..%d); is this its tokenizer.json?", id, m.info.Name, m.info.Vocab-1)
		}
	}
	return nil
}

// checkTap refuses a tap that the model has not, or that the pass does not come to.
func (m *Model) checkTap(r Request, t tap.Tap) error {
	switch {
	case t.Layer < 0 || t.Layer >= m.info.Layers:
		return fmt.Errorf("tap %s: %s has layers 0..%d", t.Column(""), m.info.Name, m.info.Layers-1)
	case m.Width(t) == 0:
		return fmt.Errorf("tap %s: %s (%s) has none there", t.Column(""), m.info.Name, m.info.Arch)
	case r.From != nil && (t.Layer < r.From.blocks || t.Site == tap.Embed):
		return fmt.Errorf("tap %s: the first %d blocks of the batch are computed already", t.Column(""), r.From.blocks)
	}
	return nil
}

// reached are the taps that the pass must come to.
func (r Request) reached() []tap.Tap {
	if r.Patch == nil {
		return r.Taps
	}
	return slices.Concat(r.Taps, r.Patch.Taps)
}

// before is the number of positions before the ids of prompt b.
func (r Request) before(b int) int {
	if at := r.Cache.at(); at != nil {
		return at[b]
	}
	return r.After.Len()
}

// blocks is how many of them a request needs: up to its last tap, or all.
func (m *Model) blocks(r Request) (n int) {
	if r.predicts() {
		return m.info.Layers
	}
	for _, t := range r.reached() {
		if t.Site != tap.Embed {
			n = max(n, t.Layer+1)
		}
	}
	return n
}

// pass is the state of one Forward call.
type pass struct {
	m    *Model
	r    Request
	past []layer.Past
	// lengths are the positions of each prompt, those of the prefix among them.
	lengths []int
	starts  []int32 // where each prompt begins among the tokens, and where the last ends, of a pass [1, N] without padding; nil: [B, T]
	wanted  map[tap.Tap]int
	patched map[tap.Tap]int
	x       *torch.Tensor         // the states so far, [B, T, Hidden] or [1, N, Hidden]
	behind  int                   // blocks that made them
	hold    map[int]*torch.Tensor // those that outlive the pass, by the number of blocks behind them
	held    adapter.Held          // what steps of the block being computed read
	staging *slab                 // for taps that come whole, or are patched, from a GPU; nil while none did
	fetch   *fetcher              // of the kept rows; nil: every tap comes whole
	places  placed
	err     error
	logits  [][]float32
}

// newPass is a pass of which nothing is computed yet.
func newPass(m *Model, r Request, past []layer.Past) *pass {
	p := &pass{m: m, r: r, past: past, wanted: map[tap.Tap]int{}, patched: map[tap.Tap]int{}}
	if m.packs(r) {
		p.starts = starts(r.IDs)
	}
	for i, t := range r.Taps {
		p.wanted[t] = i
	}
	if r.Patch != nil {
		for i, t := range r.Patch.Taps {
			p.patched[t] = i
		}
	}
	for b, ids := range r.IDs {
		p.lengths = append(p.lengths, r.before(b)+len(ids))
	}
	return p
}

// placed are the places b·T + t that a pass gathers rows from, on its devices.
type placed struct {
	kept  map[torch.Device]*torch.Tensor // of Kept; nil where those are all places in their order, or none
	patch map[torch.Device]*torch.Tensor // of Patch
	last  *torch.Tensor                  // of each prompt's last token, where it is asked what comes next
	sets  *torch.Tensor                  // the ids of Next's sets, one after another; nil on the CPU
}

func (p *pass) run(ctx context.Context, s *torch.Scope, blocks int) (err error) {
	if p.m.slabs != nil && p.r.Kept != nil {
		p.fetch = newFetcher(p.m.slabs, p.r.Kept)
		defer func() { err = errors.Join(err, p.fetch.end()) }()
	}
	defer p.free()
	if err := p.through(ctx, s, blocks); err != nil {
		return err
	}
	p.finish(s, p.x)
	return p.err
}

// through computes the states behind the first n blocks.
func (p *pass) through(ctx context.Context, s *torch.Scope, n int) error {
	first, ids, masks := 0, p.load(s), layer.NewMasks(s)
	if from := p.r.From; from != nil {
		first, p.x = from.blocks, from.states
	} else {
		p.become(s.Keep(p.emit(s, tap.Tap{Site: tap.Embed}, p.m.net.Embed(s, ids, p.context(masks)))), 0)
	}
	for i := first; i < n; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.become(s.Keep(s.Sub(func(s *torch.Scope) *torch.Tensor { return p.block(s, i, p.x, masks) })), i+1)
		if p.failed() {
			return p.err
		}
	}
	return nil
}

// failed says whether Emit or Patch has failed; the error of a fetcher is joined at its end.
func (p *pass) failed() bool { return p.err != nil || p.fetch != nil && p.fetch.failed() != nil }

// become frees the states so far, unless others go on from them: one block's at a time, however deep the model. The new
// ones are behind so many blocks.
func (p *pass) become(x *torch.Tensor, blocks int) {
	p.drop()
	if _, wanted := p.hold[blocks]; wanted {
		p.hold[blocks] = x
	}
	p.x, p.behind = x, blocks
}

// drop frees the states so far, unless they are others'.
func (p *pass) drop() {
	_, held := p.hold[p.behind]
	if !held && (p.r.From == nil || p.x != p.r.From.states) {
		p.x.Free()
	}
}

func (p *pass) free() {
	p.drop()
	if p.staging != nil {
		p.m.staging.give(p.staging)
	}
}

// load brings what the pass needs of the request to the devices, in one copy, and returns the ids, [B, T] or [1, N].
func (p *pass) load(s *torch.Scope) *torch.Tensor {
	ids, rows := p.ids()
	v := p.view()
	first := p.m.target.First()
	all, last, sets := ids, len(ids), len(ids)
	if p.r.predicts() {
		for b, prompt := range p.r.IDs {
			all = append(all, int64(v.place(b, len(prompt)-1)))
		}
		sets = len(all)
	}
	if p.r.Next != nil && first.IsCUDA() {
		all = append(all, int64s(slices.Concat(p.r.Next.Sets...))...)
	}
	kept := len(all)
	if p.fetch != nil && !p.r.Kept.everything(len(ids)) {
		all = append(all, int64s(p.r.Kept.At)...)
	}
	patch := len(all)
	if p.r.Patch != nil {
		all = append(all, int64s(v.Places(p.r.Patch.At))...)
	}
	var there *torch.Tensor
	if p.fetch != nil {
		there = p.fetch.upload(s, all, first)
	} else {
		there = s.ToDevice(torch.FromInt64(s, all, int64(len(all))), first)
	}
	part := func(from, to int) *torch.Tensor { return s.Narrow(there, 0, int64(from), int64(to-from)) }
	p.places.last, p.places.sets = part(last, sets), part(sets, kept)
	p.places.kept, p.places.patch = p.everywhere(s, part(kept, patch)), p.everywhere(s, part(patch, len(all)))
	return s.View(part(0, len(ids)), int64(rows), -1)
}

// ids are the prompts' tokens, padded to so many rows or in one.
func (p *pass) ids() (ids []int64, rows int) {
	if p.starts == nil {
		return pad(p.r.IDs), len(p.r.IDs)
	}
	return int64s(slices.Concat(p.r.IDs...)), 1
}

// view is how the rows of the pass lie.
func (p *pass) view() View { return View{T: longest(p.r.IDs), starts: p.starts} }

// everywhere brings places, which are on the first device, to the others; nil of none.
func (p *pass) everywhere(s *torch.Scope, at *torch.Tensor) map[torch.Device]*torch.Tensor {
	if at.Len() == 0 {
		return nil
	}
	on := map[torch.Device]*torch.Tensor{p.m.target.First(): at}
	for _, d := range p.m.target.Devices {
		if on[d] == nil {
			on[d] = s.ToDevice(at, d)
		}
	}
	return on
}

// context says where the steps of the pass stand.
func (p *pass) context(masks *layer.Masks) layer.Context {
	return layer.Context{Before: p.r.After.Len(), Masks: masks, Lengths: p.lengths, Starts: p.starts, At: p.r.Cache.at()}
}

func (p *pass) block(s *torch.Scope, i int, x *torch.Tensor, masks *layer.Masks) *torch.Tensor {
	p.held = adapter.Held{}
	c := p.context(masks)
	if p.past != nil {
		c.Past = &p.past[i]
	}
	if p.r.Cache != nil {
		c.Cache = &p.r.Cache.blocks[i]
	}
	x = s.ToDevice(x, p.m.net.Device(i))
	next := p.m.net.Block(s, i, x, c, func(site tap.Site, y *torch.Tensor) *torch.Tensor {
		return p.emit(s, tap.Tap{Site: site, Layer: i}, y)
	})
	return p.emit(s, tap.Tap{Site: tap.Resid, Layer: i}, next)
}

// emit hands a tapped output on and returns what the network goes on with; after the first error nothing is handed on
// any more.
func (p *pass) emit(s *torch.Scope, t tap.Tap, y *torch.Tensor) *torch.Tensor {
	if v := p.m.variant; v != nil {
		y = v.bound.Step(s, t, y, p.held)
	}
	if i, ok := p.patched[t]; ok && !p.failed() {
		y = p.patch(s, i, y)
	}
	i, ok := p.wanted[t]
	switch {
	case !ok || p.failed():
	case p.fetch != nil:
		p.keep(s, i, y)
	case p.r.Emit != nil:
		v := p.view()
		v.Data, v.D = p.host(s, y).Float32s(), int(y.Shape()[2])
		p.err = p.r.Emit(i, v)
	}
	return y
}

// keep begins to fetch the kept rows of tap i, y [B, T, D].
func (p *pass) keep(s *torch.Scope, i int, y *torch.Tensor) {
	shape := y.Shape()
	rows := s.Reshape(y, shape[0]*shape[1], shape[2])
	switch {
	case len(p.r.Kept.At) == 0:
		rows = s.Narrow(rows, 0, 0, 0)
	case p.places.kept != nil:
		rows = s.IndexSelect(rows, 0, p.places.kept[y.Device()])
	}
	p.fetch.fetch(s, i, rows)
}

// host is y in host memory: y itself, or a copy in the pass's staging memory, which serves one tap after another.
func (p *pass) host(s *torch.Scope, y *torch.Tensor) *torch.Tensor {
	if p.m.staging == nil {
		return y
	}
	n := 4 * y.Len()
	if p.staging != nil && int64(len(p.staging.bytes)) < n {
		p.m.staging.give(p.staging)
		p.staging = nil
	}
	if p.staging == nil {
		p.staging = p.m.staging.take(s, n)
	}
	out := torch.Wrap(s, p.staging.bytes[:n], torch.F32, y.Shape()...)
	s.CopyTo(out, y)
	return out
}

// finish goes from the last block computed to what is asked for after it.
func (p *pass) finish(s *torch.Scope, x *torch.Tensor) {
	last := tap.Tap{Site: tap.Final, Layer: p.m.info.Layers - 1}
	tapped := slices.Contains(p.r.reached(), last)
	if tapped || p.m.variant != nil && p.r.predicts() { // whose steps may be at final
		tapped = true
		x = p.emit(s, last, p.m.net.Final(s, s.ToDevice(x, p.m.target.First())))
	}
	if !p.r.predicts() || p.failed() {
		return
	}
	rows := s.ToDevice(p.lastRows(s, x), p.m.target.First())
	if !tapped {
		rows = p.m.net.Final(s, rows)
	}
	p.predict(s, p.m.net.Logits(s, rows))
}

// lastRows are the states [B, Hidden] of each prompt's last real token.
func (p *pass) lastRows(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	shape := x.Shape()
	return s.IndexSelect(s.View(x, shape[0]*shape[1], shape[2]), 0, s.ToDevice(p.places.last, x.Device()))
}

// predict hands on what is asked for of the logits [B, Vocab] on the first device.
func (p *pass) predict(s *torch.Scope, logits *torch.Tensor) {
	next, vocab := p.r.Next, p.m.info.Vocab
	if next != nil && logits.Device().IsCUDA() {
		for _, c := range next.onDevice(s, logits, p.places.sets) {
			next.Emit(c)
		}
		next = nil
	}
	if next == nil && !p.r.Logits {
		return
	}
	for row := range slices.Chunk(s.ToDevice(logits, torch.CPU).Float32s(), vocab) {
		if next != nil {
			next.Emit(next.Of(row))
		}
		if p.r.Logits {
			p.logits = append(p.logits, slices.Clone(row))
		}
	}
}

// longest is how many tokens the longest prompt has.
func longest(prompts [][]int32) (steps int) {
	for _, p := range prompts {
		steps = max(steps, len(p))
	}
	return steps
}

func int64s(values []int32) []int64 {
	out := make([]int64, len(values))
	for i, v := range values {
		out[i] = int64(v)
	}
	return out
}

// pad lays the prompts out as [B, T], filled up on the right with token 0: under a causal mask what
// stands to the right of a position never reaches it.
func pad(prompts [][]int32) []int64 {
	steps := longest(prompts)
	ids := make([]int64, len(prompts)*steps)
	for b, p := range prompts {
		for t, id := range p {
			ids[b*steps+t] = int64(id)
		}
	}
	return ids
}
