package model

import "actfleet/internal/torch"

// View is one tap's output for a batch in host memory, rows of D values; it is valid only inside the Emit call that
// received it. Row b·T + t stands for step t of prompt b; where it lies in Data, Places says. Steps past a prompt's length
// are garbage, or not there.
type View struct {
	Data []float32
	T, D int

	starts []int32 // the row at which each prompt begins in Data; nil: prompt b begins at b·T
}

// place is the row of Data that holds prompt b at step t.
func (v View) place(b, t int) int {
	if v.starts == nil {
		return b*v.T + t
	}
	return int(v.starts[b]) + t
}

// Row is the vector of prompt b at step t: at position t, or t after the prefix.
func (v View) Row(b, t int) []float32 {
	at := v.place(b, t) * v.D
	return v.Data[at : at+v.D]
}

// Rows are the vectors [n, D] of the first n steps of prompt b.
func (v View) Rows(b, n int) []float32 {
	at := v.place(b, 0) * v.D
	return v.Data[at : at+n*v.D]
}

// Places are the rows of Data that hold the steps b·T + t at.
func (v View) Places(at []int32) []int32 {
	if v.starts == nil {
		return at
	}
	places := make([]int32, len(at))
	for i, k := range at {
		places[i] = int32(v.place(int(k)/v.T, int(k)%v.T))
	}
	return places
}

// packs says whether the prompts of a request go through the network one after the other, without padding: on a CPU that has
// attention for it.
func (m *Model) packs(r Request) bool {
	return torch.Packs() && !m.target.First().IsCUDA() && r.Cache == nil
}

// starts are where each prompt begins when they lie one after the other, and where the last one ends.
func starts(prompts [][]int32) []int32 {
	at := make([]int32, len(prompts)+1)
	for i, p := range prompts {
		at[i+1] = at[i] + int32(len(p))
	}
	return at
}
