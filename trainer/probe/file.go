package probe

import (
	"fmt"

	"actfleet/trainer/state"
)

// Save writes the converged probes: for each w_<id> [D] and b_<id> [1] in float64,
// in the units of the data, and for logistic ones mean_<id> and std_<id> of the
// train rows.
func (r *Report) Save(path string) error {
	s := &state.Set{}
	for _, p := range r.Probes {
		if !p.Converged {
			continue
		}
		state.Add(s, "w_"+p.ID, p.W)
		state.Add(s, "b_"+p.ID, []float64{p.B})
		if p.std != nil {
			state.Add(s, "mean_"+p.ID, p.mean)
			state.Add(s, "std_"+p.ID, p.std)
		}
	}
	return s.Save(path, map[string]string{"format": "pt"})
}

// Load reads the weights of probes whose ID, Kind and D are known back from what Save
// wrote. Probes that did not converge stay without weights.
func Load(path string, probes []Probe) error {
	s := &state.Set{}
	bias := make([][]float64, len(probes))
	for i := range probes {
		p := &probes[i]
		if !p.Converged {
			continue
		}
		if p.D < 1 {
			return fmt.Errorf("load %s: probe %s over vectors of %d", path, p.ID, p.D)
		}
		if err := state.Holds(path, 8*float64(p.D)); err != nil {
			return err
		}
		p.W, bias[i] = make([]float64, p.D), make([]float64, 1)
		state.Add(s, "w_"+p.ID, p.W)
		state.Add(s, "b_"+p.ID, bias[i])
		if p.Kind == Logistic {
			p.mean, p.std = make([]float64, p.D), make([]float64, p.D)
			state.Add(s, "mean_"+p.ID, p.mean)
			state.Add(s, "std_"+p.ID, p.std)
		}
	}
	if err := s.Load(path); err != nil {
		return err
	}
	for i := range probes {
		if bias[i] != nil {
			probes[i].B = bias[i][0]
		}
	}
	return nil
}
