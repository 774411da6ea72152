package probe

import (
	"maps"
	"slices"
)

// baselines are scores that use no activation: the share of label 1 among the train
// rows of the same prompt length, of the same last token, and the model's own answer
// where the run has it. (The majority and random directions are evaluate's.)
func (d *data) baselines() []Baseline {
	out := []Baseline{
		{Name: "n_tokens", Scores: d.rates(d.NTokens)},
		{Name: "token_id", Scores: d.rates(d.TokenID)},
	}
	for _, name := range slices.Sorted(maps.Keys(d.Answers)) {
		out = append(out, Baseline{Name: name, Scores: d.Answers[name], Coverage: d.Coverage[name]})
	}
	return out
}

// rates is the share of label 1 among the train rows with the same key, drawn
// towards the overall share by two rows' worth.
func (d *data) rates(key []int32) []float64 {
	count, ones := map[int32]float64{}, map[int32]float64{}
	var total, positive float64
	for _, i := range d.In(Train) {
		count[key[i]]++
		total++
		if d.Label[i] {
			ones[key[i]]++
			positive++
		}
	}
	const prior = 2
	out := make([]float64, len(key))
	for i, k := range key {
		out[i] = (ones[k] + prior*positive/total) / (count[k] + prior)
	}
	return out
}
