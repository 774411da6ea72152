package modeltest

import (
	"context"
	"fmt"
	"math"
	"slices"

	"actfleet/collector/model"
	"actfleet/collector/model/arch"
	"actfleet/shard/tap"
)

// Fake is a model whose activations have a closed form (Value), so that whatever carries them can be
// checked exactly. Its zero Layers, Hidden and so on are not usable; see NewFake.
type Fake struct {
	Shape arch.Shape
	// Spoil, when set, may change an activation on its way out: a NaN, a value too large for fp16.
	Spoil func(t tap.Tap, id int32, pos, channel int, x float32) float32
	// Before, when set, runs at the start of each Forward and may fail it.
	Before func(ctx context.Context) error
}

// NewFake returns a fake of 3 layers, 8 channels, 100 tokens and 64 positions.
func NewFake() *Fake {
	return &Fake{Shape: arch.Shape{Layers: 3, Hidden: 8, Vocab: 100, MaxPositions: 64}}
}

// Info is the fake's; its digest depends on nothing.
func (f *Fake) Info() model.Info {
	return model.Info{Name: "fake", Arch: "fake", Digest: "fake", Shape: f.Shape}
}

// Width is 3 × Hidden at Wqkv, 4 × Hidden at fc1 and act, and Hidden elsewhere. There is no resid_mid, as in a block that
// computes attention and MLP side by side, and no router and no experts; embed and final are those of the first and the last layer.
func (f *Fake) Width(t tap.Tap) int {
	if t.Layer < 0 || t.Layer >= f.Shape.Layers {
		return 0
	}
	switch t.Site {
	case tap.Wqkv:
		return 3 * f.Shape.Hidden
	case tap.FC1, tap.Act:
		return 4 * f.Shape.Hidden
	case tap.ResidMid, tap.Router, tap.Experts:
		return 0
	}
	if t.Site == tap.Embed && t.Layer > 0 || t.Site == tap.Final && t.Layer < f.Shape.Layers-1 {
		return 0
	}
	return f.Shape.Hidden
}

// Same is out_proj for attn_out, fc2 for mlp_out and attn_in for mlp_in.
func (f *Fake) Same(site tap.Site) tap.Site {
	if first, ok := map[tap.Site]tap.Site{tap.AttnOut: tap.OutProj, tap.MLPOut: tap.FC2, tap.MLPIn: tap.AttnIn}[site]; ok {
		return first
	}
	return site
}

// sites are all there are, each with the number that its values depend on.
var sites = slices.Concat(tap.Sites, tap.Every)

// Value is the fake's activation at a tap: a number that fp16 holds exactly, different for neighbours
// in token, position, layer, site and channel.
func Value(t tap.Tap, id int32, pos, channel int) float32 {
	t.Site = (*Fake)(nil).Same(t.Site)
	site := max(slices.Index(sites, t.Site), 0)
	n := (int(id)*7 + pos*131 + t.Layer*17 + site*29 + channel*3) % 1999
	return float32(n-999) / 16
}

// Forward emits Value for every tap; pads hold NaN, so that a pad that leaks is seen. The logits favour
// the token after the prompt's last.
func (f *Fake) Forward(ctx context.Context, r model.Request) ([][]float32, error) {
	if f.Before != nil {
		if err := f.Before(ctx); err != nil {
			return nil, err
		}
	}
	steps := 0
	for _, ids := range r.IDs {
		steps = max(steps, len(ids))
	}
	if n := r.After.Len() + steps; n > f.Shape.MaxPositions {
		return nil, fmt.Errorf("%w: %d", model.ErrTooLong, n)
	}
	for i, t := range r.Taps {
		if r.Emit == nil {
			break
		}
		if err := r.Emit(i, f.view(t, r, steps)); err != nil {
			return nil, err
		}
	}
	logits := f.logits(r.IDs)
	for _, l := range logits {
		if r.Next != nil {
			r.Next.Emit(r.Next.Of(l))
		}
	}
	if !r.Logits {
		logits = nil
	}
	return logits, ctx.Err()
}

// Prefix emits like Forward; the Forwards after it count their positions from its end.
func (f *Fake) Prefix(ctx context.Context, r model.Request) (*model.Prefix, error) {
	if _, err := f.Forward(ctx, r); err != nil {
		return nil, err
	}
	return &model.Prefix{IDs: r.IDs[0]}, nil
}

func (f *Fake) view(t tap.Tap, r model.Request, steps int) model.View {
	v := model.View{T: steps, D: f.Width(t), Data: make([]float32, len(r.IDs)*steps*f.Width(t))}
	for i := range v.Data {
		v.Data[i] = nan
	}
	for b, ids := range r.IDs {
		for t0, id := range ids {
			row, pos := v.Row(b, t0), r.After.Len()+t0
			for d := range row {
				row[d] = Value(t, id, pos, d)
				if f.Spoil != nil {
					row[d] = f.Spoil(t, id, pos, d, row[d])
				}
			}
		}
	}
	return v
}

func (f *Fake) logits(prompts [][]int32) [][]float32 {
	out := make([][]float32, len(prompts))
	for b, ids := range prompts {
		out[b] = make([]float32, f.Shape.Vocab)
		out[b][(int(ids[len(ids)-1])+1)%f.Shape.Vocab] = 3
	}
	return out
}

var nan = float32(math.NaN())
