package coder

import (
	"encoding/json"
	"math"
	"strings"
)

// Metrics are measured values by name. One that cannot be computed is NaN or infinite, and null in JSON; Undefined says
// why.
type Metrics map[string]float64

// MarshalJSON writes null for what is not finite.
func (m Metrics) MarshalJSON() ([]byte, error) {
	out := make(map[string]any, len(m))
	for name, v := range m {
		out[name] = orNull(v)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes; what is null is left out.
func (m *Metrics) UnmarshalJSON(text []byte) error {
	var all map[string]*float64
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	*m = Metrics{}
	for name, v := range all {
		if v != nil {
			(*m)[name] = *v
		}
	}
	return nil
}

// orNull is v, or nil where JSON has no number for it.
func orNull(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

// Undefined is why each metric that is not finite could not be computed; nil where all are.
func (m Metrics) Undefined() map[string]string {
	var out map[string]string
	for name, v := range m {
		if orNull(v) != nil {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		name, _, _ := strings.Cut(name, "@") // of one column of several
		out[name] = undefined[name]
		if out[name] == "" {
			out[name] = "a value is too great or no number"
		}
	}
	return out
}

const still = "the rows do not vary"

// undefined is what it means when a metric is not finite.
var undefined = map[string]string{
	"fvu": still, "ev": still, "fve_var": still, "ev_legacy": "the rows of each batch are equal",
	"cosine": "every row is 0", "l2_ratio": "every row is 0", "relative_bias": "the reconstructions have nothing of the rows",
	"ce_clean": "no prompt has a next token", "ce_coder": "no prompt has a next token", "ce_zero": "no prompt has a next token",
	"loss_recovered": "zeros cost the model nothing", "kl_score": "zeros change nothing",
	"kl_coder": "no position was measured", "kl_zero": "no position was measured",
}
