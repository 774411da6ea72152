package describe

import (
	"cmp"
	"maps"
	"slices"

	"actfleet/analysis/evaluate"
)

// Prompts are the prompts of a run, some columns of them: one value for each prompt, or none where a run has no such
// column.
type Prompts struct {
	Texts, Labels, Groups []string
}

// PromptReport is what the prompts are like.
type PromptReport struct {
	Prompts int `json:"prompts"`
	// Repeated is how many prompts have the text of an earlier one of another group, Near how many more nearly have it
	// (evaluate.NearJaccard). Without groups every prompt is its own.
	Repeated int `json:"repeated"`
	Near     int `json:"near_duplicates"`
	// Labels are the values of the column label, the commonest first, at most mostLabels of them.
	Labels     []Count `json:"labels,omitempty"`
	LabelKinds int     `json:"label_values"`
	Groups     int     `json:"groups"`        // different values of the column group; 0 without the column
	Singletons int     `json:"single_groups"` // groups of one prompt
	Largest    int     `json:"largest_group"`
}

// Count is how often a value occurs.
type Count struct {
	Value string `json:"value"`
	Rows  int    `json:"rows"`
}

const mostLabels = 10

func describePrompts(p Prompts) PromptReport {
	r := PromptReport{Prompts: len(p.Texts)}
	labels := counts(p.Labels)
	r.LabelKinds, r.Labels = len(labels), labels[:min(len(labels), mostLabels)]
	for _, g := range counts(p.Groups) {
		r.Groups++
		r.Largest = max(r.Largest, g.Rows)
		if g.Rows == 1 {
			r.Singletons++
		}
	}
	r.Repeated, r.Near = duplicates(p.Texts, p.Groups)
	return r
}

// counts are the values and how often each occurs, the commonest first.
func counts(values []string) (out []Count) {
	n := map[string]int{}
	for _, v := range values {
		n[v]++
	}
	for _, v := range slices.Sorted(maps.Keys(n)) {
		out = append(out, Count{v, n[v]})
	}
	slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(b.Rows, a.Rows) })
	return out
}

// duplicates counts the texts that stand before in another group, and those that nearly do.
func duplicates(texts, groups []string) (repeated, near int) {
	apart := func(i, j int) bool { return len(groups) == 0 || groups[i] != groups[j] }
	first := map[string]int{}
	all := evaluate.NewNear(texts)
	for i, t := range texts {
		if j, there := first[t]; there {
			if apart(i, j) {
				repeated++
			}
			continue
		}
		first[t] = i
		if slices.ContainsFunc(all.Of(t), func(j int) bool { return j < i && apart(i, j) }) {
			near++
		}
	}
	return repeated, near
}
