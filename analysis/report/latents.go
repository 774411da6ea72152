package report

import (
	"fmt"
	"strings"
	"unicode"

	"actfleet/trainer/coder"
)

// Bounds of what is shown of a latent.
const (
	maxContexts  = 8
	maxTextRunes = 240
)

// maxLatents is how many latents a page shows, shared by its coders.
const maxLatents = 600

// browserView lists the latents of one coder.
type browserView struct {
	ID, Name string
	Shown    string // how many of how many
	Latents  []latentView
}

type latentView struct {
	Index   int
	Density string
	First   contextView
	More    []contextView
}

type contextView struct {
	Value, Before, Token, After, Where string
	Share                              int // value in percent of the latent's greatest
}

// browsers lists the latents of every coder that has some.
func browsers(coders []Coder) (out []browserView) {
	with := 0
	for _, c := range coders {
		if c.Eval != nil && len(c.Eval.Latents) > 0 {
			with++
		}
	}
	for _, c := range coders {
		if c.Eval != nil && len(c.Eval.Latents) > 0 {
			out = append(out, browserOf(c, max(1, maxLatents/with)))
		}
		if len(out) == maxPanels {
			break
		}
	}
	return out
}

// browserOf shows at most n latents, evenly over the densities.
func browserOf(c Coder, n int) browserView {
	all := c.Eval.Latents
	n = min(n, len(all))
	v := browserView{Name: c.Name, Shown: fmt.Sprintf("%s of %s latents", whole(int64(n)), whole(int64(c.Width)))}
	for i := range n {
		if l := all[i*len(all)/n]; len(l.Top) > 0 {
			v.Latents = append(v.Latents, latentOf(l))
		}
	}
	return v
}

func latentOf(l coder.Latent) latentView {
	v := latentView{Index: l.Index, Density: short(100*l.Density) + " %"}
	for i, c := range l.Top[:min(len(l.Top), maxContexts)] {
		shown := contextView{Value: short(float64(c.Value)), Before: visible(c.Before), Token: visible(c.Token), After: visible(c.After), Where: fmt.Sprintf("row %d, %d", c.Row, c.Pos)}
		if most := l.Top[0].Value; most > 0 && c.Value > 0 {
			shown.Share = int(min(100, 100*c.Value/most))
		}
		if i == 0 {
			v.First = shown
		} else {
			v.More = append(v.More, shown)
		}
	}
	return v
}

// visible replaces what would break a line or turn the direction of the text around, and bounds its length.
func visible(s string) string {
	n := 0
	var b strings.Builder
	for _, r := range s {
		if n++; n > maxTextRunes {
			b.WriteRune('…')
			break
		}
		switch {
		case r == '\n':
			b.WriteRune('⏎')
		case r == '\t':
			b.WriteRune('⇥')
		case unicode.Is(unicode.Bidi_Control, r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			b.WriteRune('�')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
