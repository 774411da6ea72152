package probe

import (
	"fmt"

	"actfleet/trainer/coder"
	"actfleet/trainer/state"
)

// Save writes the converged probes in float64 and in the units of the data: for each w_<id> [D] and b_<id> [1], for
// logistic ones mean_<id> and std_<id> of the train rows, for others what their Model says.
func (r *Report) Save(path string) error {
	s := &state.Set{}
	for _, p := range r.Probes {
		if p.Converged {
			p.arrays(s, p.ID)
		}
	}
	return s.Save(path, map[string]string{"format": "pt"})
}

// Load reads probes whose cards are known back from what Save wrote. Probes that did not converge have no Model.
func Load(path string, fits []coder.Fit) ([]Probe, error) {
	if err := holdsAll(path, fits); err != nil {
		return nil, err
	}
	s := &state.Set{}
	probes := make([]Probe, len(fits))
	for i, f := range fits {
		probes[i].Fit = f
		if f.Converged {
			probes[i].Model = kinds[f.Kind].empty(f)
			probes[i].arrays(s, f.ID)
		}
	}
	if err := s.LoadFinite(path); err != nil {
		return nil, err
	}
	for _, p := range probes {
		if p.Model == nil {
			continue
		}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("load %s: probe %s: %w", path, p.ID, err)
		}
	}
	return probes, nil
}

// holdsAll refuses probes that the file is too short for, or of kinds that this program does not have.
func holdsAll(path string, fits []coder.Fit) error {
	var bytes float64
	for _, f := range fits {
		if !f.Converged {
			continue
		}
		if err := CheckKind(f.Kind); err != nil {
			return fmt.Errorf("load %s: probe %s: %w", path, f.ID, err)
		}
		if f.D < 1 || f.Size < 0 {
			return fmt.Errorf("load %s: probe %s over vectors of %d, of size %d", path, f.ID, f.D, f.Size)
		}
		bytes += 8 * float64(f.D) * float64(max(1, kinds[f.Kind].rows(f)))
	}
	return state.Holds(path, bytes)
}
