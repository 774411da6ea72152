package generate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
)

// letters are tokens of one byte; 1 is special, and 200 the first byte of é.
type letters struct{}

func (letters) Decode(ids []int32) string {
	var b bytes.Buffer
	for _, id := range ids {
		b.WriteByte(map[int32]byte{200: 0xc3, 201: 0xa9}[id])
		if id < 200 {
			b.Truncate(b.Len() - 1)
			b.WriteByte(byte(id))
		}
	}
	return b.String()
}
func (letters) IsSpecial(id int32) bool { return id == 1 }

// parrot adds the same tokens to every prompt, as far as it may.
type parrot struct {
	says  []int32
	sizes []int // of its batches
}

func (p *parrot) Generate(_ context.Context, g model.Generation) (out []model.Continuation, err error) {
	p.sizes = append(p.sizes, len(g.IDs))
	for i := range g.IDs {
		if g.Numbers[i] < 0 {
			return nil, errors.New("no number")
		}
		c := model.Continuation{Why: model.AtLength}
		for _, id := range p.says[:min(g.Most, len(p.says))] {
			c.IDs = append(c.IDs, id)
			if g.Stop != nil && g.Stop(i, c.IDs) {
				c.Why = model.Stopped
				break
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// inputs are prompts of the given lengths.
func inputs(lengths ...int) *dataset.Input {
	in := &dataset.Input{}
	for i, n := range lengths {
		in.IDs = append(in.IDs, slices.Repeat([]int32{'x'}, n))
		in.Text = append(in.Text, fmt.Sprint(i))
	}
	return in
}

type memory struct{ *dataset.Input }

func (m memory) Rows(lo, hi int) (*dataset.Input, error) {
	return &dataset.Input{First: lo, IDs: m.IDs[lo:hi], Text: m.Text[lo:hi]}, nil
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name string
		says []int32
		stop []string
		want string
		ids  int
	}{
		{"whole", []int32{'a', ' ', 'b', 1}, nil, "a b", 4},
		{"a character of two tokens", []int32{200, 201, '!'}, []string{"é!"}, "", 3},
		{"its first half is no text", []int32{'a', 200}, nil, "a\uFFFD", 2},
		{"stops inside a token's text", []int32{'a', '\n', '\n', 'b'}, []string{"zz", "\n\n"}, "a", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []Row
			err := Run(t.Context(), &parrot{says: c.says}, memory{inputs(2, 1)}, letters{}, Settings{Most: 9, Stop: c.stop}, func(r Row) error {
				got = append(got, r)
				return nil
			})
			if err != nil || len(got) != 2 || got[1].Number() != 1 || got[1].Text != c.want || len(got[1].IDs) != c.ids {
				t.Errorf("%+v, %v; want %q of %d tokens", got, err, c.want, c.ids)
			}
		})
	}
}

// Batches have a bounded number of prompts and of tokens, and all prompts come in their order.
func TestBatches(t *testing.T) {
	p, next := &parrot{says: []int32{'a'}}, 0
	lengths := append(slices.Repeat([]int{3}, 20), 9000, 8000, 8000, 20000, 1)
	err := Run(t.Context(), p, memory{inputs(lengths...)}, letters{}, Settings{Most: 100}, func(r Row) error {
		if r.Number() != next {
			t.Errorf("prompt %d after %d", r.Number(), next-1)
		}
		next++
		return nil
	})
	if err != nil || next != len(lengths) || !slices.Equal(p.sizes, []int{16, 4, 1, 2, 1, 1}) {
		t.Errorf("%d prompts in batches of %v, %v", next, p.sizes, err)
	}
	stop := errors.New("enough")
	if err := Run(t.Context(), p, memory{inputs(1, 1)}, letters{}, Settings{Most: 1}, func(Row) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if err := Run(t.Context(), p, memory{inputs()}, letters{}, Settings{Most: 1}, func(Row) error { return nil }); err != nil {
		t.Errorf("%v", err)
	}
}
