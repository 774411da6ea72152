package codes

import (
	"slices"
	"testing"

	"actfleet/trainer/sae"
)

// Of more active latents than a row's list holds, the greatest are listed, by rising index.
func TestListOfLatents(t *testing.T) {
	m := sae.NewModel(sae.Weights{D: 4, M: 4, WEnc: []float32{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1},
		BEnc: make([]float32, 4), WDec: make([]float32, 16), BDec: make([]float32, 4)})
	m.Arch = sae.ReLU
	e := saeEncoder{model: m}
	x := []float32{3, 1, -1, 2, 0, 0, 0, 5, 2, 2, 2, 2}
	if err := m.Reconstruct(x, make([]float32, 12), 3, &e.codes); err != nil {
		t.Fatal(err)
	}
	for row, want := range [][4]float32{{0, 3, 3, 2}, {3, -1, 5, 0}, {0, 1, 2, 2}} {
		latents, values := make([]float32, 2), make([]float32, 2)
		e.list(row, latents, values)
		if got := append(latents, values...); !slices.Equal(got, want[:]) {
			t.Errorf("row %d: %v, want %v", row, got, want)
		}
	}
}
