package steer

import (
	"errors"
	"slices"
	"testing"

	"actfleet/collector/model"
	"actfleet/shard/tap"
)

func TestParse(t *testing.T) {
	at := tap.Tap{Site: tap.Resid, Layer: 12}
	for text, want := range map[string]Spec{
		"v.npy@resid_12":              {Source: "v.npy", Latent: -1, Amount: 1, Tap: at},
		"a/v.npy*-2.5@resid_12":       {Source: "a/v.npy", Latent: -1, Amount: -2.5, Tap: at},
		"sae/x:7=4.0@resid_12":        {Source: "sae/x", Latent: 7, Amount: 4, Tap: at},
		"sae:0:=0@resid_12":           {Source: "sae", Latent: 0, Set: true, Amount: 0, Tap: at},
		"C=1/odd:name:3=1e1@resid_12": {Source: "C=1/odd:name", Latent: 3, Amount: 10, Tap: at},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "v.npy", "v.npy@", "v.npy@resid", "v.npy*@resid_12", "v.npy*nan@resid_12", "sae@resid_12", "sae:7@resid_12",
		"sae:x=1@resid_12", "sae:-1=1@resid_12", ":1=1@resid_12", "sae:1=inf@resid_12", "sae:1=1@resid_12__lora", "sae:99999999999=1@resid_12"} {
		if got, err := Parse(bad); !errors.Is(err, ErrSpec) {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"v.npy*2@resid_12", "sae:7:=4@resid_1", "@", ":=@fc1_0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err == nil && (s.Latent < -1 || s.Latent == -1 && s.Set) {
			t.Errorf("%q: %+v", text, s)
		}
	})
}

// first codes a vector by its first number.
type first struct{}

func (first) Codes(x []float32, n, latent int) (out []float32, err error) {
	for row := range n {
		out = append(out, x[row*2]*float32(latent))
	}
	return out, nil
}

func TestReplace(t *testing.T) {
	at, other := tap.Tap{Site: tap.Resid, Layer: 1}, tap.Tap{Site: tap.FC2, Layer: 0}
	changes := []Change{{Tap: at, Direction: []float32{1, 10}, Amount: 2}, {Tap: other, Direction: []float32{1, 0}, Amount: 1},
		{Tap: at, Direction: []float32{0, 1}, Amount: 5, Coder: first{}, Latent: 3}}
	taps, replace, err := Replace(changes, func(tap.Tap) int { return 2 })
	if err != nil || !slices.Equal(taps, []tap.Tap{at, other}) {
		t.Fatal(taps, err)
	}
	v := model.View{Data: []float32{0, 0, 1, 1}, T: 2, D: 2}
	if err := replace(0, v); err != nil || !slices.Equal(v.Data, []float32{2, 20 + 5 - 6, 3, 21 + 5 - 9}) {
		t.Errorf("%v, %v", v.Data, err)
	}
	if _, _, err := Replace(changes, func(tap.Tap) int { return 3 }); err == nil {
		t.Error("vectors of another width pass")
	}
}
