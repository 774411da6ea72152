package probe

import (
	"fmt"
	"slices"

	"actfleet/trainer/coder"
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

// Load reads probes whose ID, Kind and D are known back from what Save wrote. Probes that did not converge are
// without weights.
func Load(path string, fits []coder.Fit) ([]Probe, error) {
	if err := holdsAll(path, fits); err != nil {
		return nil, err
	}
	s := &state.Set{}
	probes, bias := make([]Probe, len(fits)), make([][]float64, len(fits))
	for i := range probes {
		p := &probes[i]
		p.Fit = fits[i]
		if !p.Converged {
			continue
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
	if err := s.LoadFinite(path); err != nil {
		return nil, err
	}
	for i := range probes {
		if bias[i] != nil {
			probes[i].B = bias[i][0]
		}
		if at := slices.IndexFunc(probes[i].std, func(v float64) bool { return !(v > 0) }); at >= 0 {
			return nil, fmt.Errorf("load %s: std_%s: value %d is %v, must be above 0", path, probes[i].ID, at, probes[i].std[at])
		}
	}
	return probes, nil
}

// holdsAll refuses probes that the file is too short for.
func holdsAll(path string, fits []coder.Fit) error {
	var bytes float64
	for _, f := range fits {
		if !f.Converged {
			continue
		}
		if f.D < 1 {
			return fmt.Errorf("load %s: probe %s over vectors of %d", path, f.ID, f.D)
		}
		bytes += 8 * float64(f.D)
	}
	return state.Holds(path, bytes)
}
