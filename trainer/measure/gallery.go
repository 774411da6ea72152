package measure

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/trainer/coder"
	"actfleet/trainer/recon"
	"actfleet/trainer/stream"
)

// Bounds of what an evaluation keeps to look at.
const (
	galleryLatents = 400 // evenly over the densities when more are alive
	galleryRows    = 6
	tokensBefore   = 16
	tokensAfter    = 6
	tokenRunes     = 40 // of one token's text
)

// gallery finds the rows on which each latent is most active.
type gallery struct {
	best map[int32][]hit // by falling value
}

type hit struct {
	value float32
	key   stream.Key
}

func (g *gallery) add(m firing, rows []stream.Key) {
	if g.best == nil {
		g.best = map[int32][]hit{}
	}
	for b, key := range rows {
		latents, values := m.Active(b)
		for j, i := range latents {
			g.best[i] = insert(g.best[i], hit{values[j], key})
		}
	}
}

// insert keeps the greatest. Prompts that begin alike have the same vectors there: of equal values one is enough.
func insert(list []hit, h hit) []hit {
	at := len(list)
	for at > 0 && list[at-1].value < h.value {
		at--
	}
	if at == galleryRows || at > 0 && list[at-1].value == h.value {
		return list
	}
	same := slices.IndexFunc(list, func(o hit) bool { return o.key.Run == h.key.Run && o.key.Prompt == h.key.Prompt })
	switch {
	case same >= 0 && same < at:
		return list
	case same >= 0:
		list = slices.Delete(list, same, same+1)
	case len(list) == galleryRows:
		list = list[:galleryRows-1]
	}
	return slices.Insert(list, at, h)
}

// contexts reads the text around the rows of the latents that are shown.
func (g *gallery) contexts(ctx context.Context, runs []stream.Source, f recon.Firing) ([]coder.Latent, error) {
	shown := g.choose(f)
	texts := reader{runs: runs, tokens: map[promptOf]map[int32]string{}}
	for _, i := range shown {
		for _, h := range g.best[i] {
			texts.want(h.key)
		}
	}
	if err := texts.read(ctx); err != nil {
		return nil, err
	}
	var out []coder.Latent
	for _, i := range shown {
		l := coder.Latent{Index: int(i), Density: float64(f.Count[i]) / float64(f.N)}
		for _, h := range g.best[i] {
			l.Top = append(l.Top, texts.context(h))
		}
		out = append(out, l)
	}
	return out, nil
}

// choose lists the latents to show by falling density.
func (g *gallery) choose(f recon.Firing) []int32 {
	var alive []int32
	for i := range g.best {
		alive = append(alive, i)
	}
	slices.SortFunc(alive, func(a, b int32) int {
		return cmp.Or(cmp.Compare(f.Count[b], f.Count[a]), cmp.Compare(a, b))
	})
	if len(alive) <= galleryLatents {
		return alive
	}
	shown := make([]int32, galleryLatents)
	for i := range shown {
		shown[i] = alive[i*len(alive)/galleryLatents]
	}
	return shown
}

// promptOf is a prompt of a run, unitOf a unit of one.
type (
	promptOf struct {
		run    int32
		prompt int64
	}
	unitOf struct{ run, unit int32 }
)

// reader fetches the tokens of prompts.
type reader struct {
	runs   []stream.Source
	units  []unitOf // to be read
	tokens map[promptOf]map[int32]string
}

func (r *reader) want(k stream.Key) {
	if at := (promptOf{k.Run, k.Prompt}); r.tokens[at] == nil {
		r.tokens[at] = map[int32]string{}
		r.units = append(r.units, unitOf{k.Run, k.Unit})
	}
}

func (r *reader) read(ctx context.Context) error {
	slices.SortFunc(r.units, func(a, b unitOf) int { return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(a.unit, b.unit)) })
	for _, u := range slices.Compact(r.units) {
		if err := r.unit(ctx, u); err != nil {
			return fmt.Errorf("read the tokens of unit %d of %s: %w", u.unit, r.runs[u.run].Store, err)
		}
	}
	return nil
}

func (r *reader) unit(ctx context.Context, u unitOf) error {
	s, err := shard.Open(ctx, r.runs[u.run].Store, run.UnitKey(int(u.unit)))
	if err != nil {
		return err
	}
	defer s.Close() // read only
	for g := range s.NumGroups() {
		if err := ctx.Err(); err != nil {
			return err
		}
		cols, err := s.Scalars(g, "row", "pos", "token")
		if err != nil {
			return err
		}
		rows, pos, tokens := cols[0].([]int64), cols[1].([]int32), cols[2].([]string)
		for i, row := range rows {
			if kept := r.tokens[promptOf{u.run, row}]; kept != nil {
				kept[pos[i]] = brief(tokens[i])
			}
		}
	}
	return nil
}

// brief is a token's text, cut where it is too long to show.
func brief(token string) string {
	if r := []rune(token); len(r) > tokenRunes {
		return string(r[:tokenRunes]) + "…"
	}
	return strings.Clone(token)
}

// context walks from a row to both sides until a neighbour is missing.
func (r *reader) context(h hit) coder.Context {
	tokens := r.tokens[promptOf{h.key.Run, h.key.Prompt}]
	c := coder.Context{Value: h.value, Run: int(h.key.Run), Row: h.key.Prompt, Pos: h.key.Pos, Token: tokens[h.key.Pos]}
	at := h.key.Pos - 1
	for ; h.key.Pos-at <= tokensBefore && tokens[at] != ""; at-- {
		c.Before = tokens[at] + c.Before
	}
	if at >= 0 {
		c.Before = "…" + c.Before
	}
	for at = h.key.Pos + 1; at-h.key.Pos <= tokensAfter && tokens[at] != ""; at++ {
		c.After += tokens[at]
	}
	if tokens[at] != "" {
		c.After += "…"
	}
	return c
}
