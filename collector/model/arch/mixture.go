package arch

import "fmt"

// mixture puts experts into the MLP's place of the blocks for which in says so; key is what config.json calls their number.
func (d *design) mixture(e expertsDesign, in func(i int) bool, key string) error {
	r := e.routing
	if err := checkSizes(map[string]int{key: e.count, "num_experts_per_tok": r.Chosen, "intermediate size of experts": e.inner}); err != nil {
		return err
	}
	most := e.count
	if r.Groups > 0 {
		if e.count%r.Groups != 0 || r.Allowed < 1 || r.Allowed > r.Groups || e.count/r.Groups < r.Best {
			return fmt.Errorf("%w: config.json: topk_group %d of n_group %d, for %d experts", ErrUnsupported, r.Allowed, r.Groups, e.count)
		}
		most = r.Allowed * (e.count / r.Groups)
	}
	if r.Chosen > most || e.count > maxExperts {
		return fmt.Errorf("%w: config.json: num_experts_per_tok %d of %s %d", ErrUnsupported, r.Chosen, key, e.count)
	}
	for i := range d.layers {
		if in(i) {
			d.layers[i].mlp.experts = &e
		}
	}
	return nil
}

// maxExperts bounds them before anything is allocated by their number.
const maxExperts = 1 << 12
