package main

import (
	"fmt"
	"maps"
	"slices"

	"actfleet/analysis/evaluate"
	"actfleet/shard/tap"
	"actfleet/trainer/probe"
	"actfleet/trainer/stream"
)

// splitNames are the splits of the rows, train first, then val, then the others by name.
func splitNames(rows *probe.Rows) []string {
	names := slices.Compact(slices.Sorted(slices.Values(rows.Split)))
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" }) // rows that are left out
	order := map[string]int{probe.Train: -2, probe.Val: -1}
	slices.SortStableFunc(names, func(a, b string) int { return order[a] - order[b] })
	return names
}

func pick[T any](v []T, at []int) []T {
	if len(v) == 0 {
		return nil
	}
	out := make([]T, len(at))
	for i, r := range at {
		out[i] = v[r]
	}
	return out
}

// splitsOf are the splits of the rows, in the order of splitNames.
func splitsOf(rows *probe.Rows, runs []stream.Source) (out []evaluate.Split) {
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.Plan.ID()
	}
	of := make([]evaluate.Row, rows.Len())
	for i := range of {
		of[i] = evaluate.Row{Run: ids[rows.Run[i]], Row: rows.Row[i]}
	}
	for _, name := range splitNames(rows) {
		at := rows.In(name)
		out = append(out, evaluate.Split{Name: name, Rows: pick(of, at), Groups: pick(rows.Group, at), Texts: pick(rows.Texts, at), Labels: pick(rows.Label, at), Elsewhere: rows.Frozen[name]})
	}
	return out
}

// probeTable measures every probe on every split, beside the baselines.
func probeTable(rep *probe.Report, label string, runs []stream.Source, seed uint64) (evaluate.Table, error) {
	rows := &rep.Rows
	t := evaluate.Table{Label: label, Target: "the data set's column " + label, GroupBy: rows.GroupBy,
		Splits: map[string]int{}, Fingerprints: map[string]string{}}
	if rows.LabelsSaid != "" {
		t.Target += " (" + rows.LabelsSaid + ")"
	}
	addTextBaselines(rep)
	names := splitNames(rows)
	t.Elsewhere, t.LeftOut = slices.Sorted(maps.Keys(rows.Frozen)), rows.LeftOut
	for _, s := range splitsOf(rows, runs) {
		t.Splits[s.Name], t.Fingerprints[s.Name] = len(s.Rows), s.Fingerprint()
	}
	o := evaluate.Options{Bootstrap: evaluate.Bootstrap{Seed: seed}}
	for i, p := range rep.Probes {
		line, err := measureProbe(rows, p, rep.Scores[i], names, o)
		if err != nil {
			return t, err
		}
		t.Probes = append(t.Probes, line)
	}
	for _, name := range names {
		t.Baselines = append(t.Baselines, baselines(rep, name, o)...)
	}
	return t, nil
}

// calibrated is the calibration of the chosen probe, on the split named calibration or else on val; nil where no probe
// may be chosen.
func calibrated(rep *probe.Report, t evaluate.Table) *evaluate.Calibration {
	chosen, ok := t.Chosen()
	if !ok {
		return nil
	}
	i := slices.IndexFunc(rep.Probes, func(p probe.Probe) bool { return p.ID == chosen.ID })
	samples, on := map[string]evaluate.Sample{}, probe.Val
	for _, name := range splitNames(&rep.Rows) {
		samples[name] = sample(&rep.Rows, rep.Scores[i], name)
		if name == calibrationSplit {
			on = name
		}
	}
	c := evaluate.Calibrate(chosen.ID, on, samples)
	return &c
}

// calibrationSplit is the split that is calibrated on, where the data have it.
const calibrationSplit = "calibration"

func measureProbe(rows *probe.Rows, p probe.Probe, scores []float64, names []string, o evaluate.Options) (evaluate.Probe, error) {
	at, variant, ok := tap.ParseColumn(p.Column)
	if !ok {
		return evaluate.Probe{}, fmt.Errorf("probe %s: %s is no vector column", p.ID, p.Column)
	}
	line := evaluate.Probe{ID: p.ID, Kind: p.Kind, Site: string(at.Site), Layer: at.Layer, Variant: variant, Converged: p.Converged, Separable: p.Separable, Splits: map[string]evaluate.Measure{}}
	for _, name := range names {
		if scores != nil {
			line.Splits[name] = evaluate.Evaluate(sample(rows, scores, name), o)
		}
	}
	if scores != nil && len(rows.Frozen) > 1 {
		m := evaluate.Evaluate(pooled(rows, scores), o)
		line.Pooled = &m
	}
	return line, nil
}

// pooled is the rows of all other runs.
func pooled(rows *probe.Rows, scores []float64) evaluate.Sample {
	var at []int
	for i, split := range rows.Split {
		if rows.Frozen[split] {
			at = append(at, i)
		}
	}
	return evaluate.Sample{Score: pick(scores, at), Positive: pick(rows.Label, at), Group: pick(rows.Group, at)}
}

func sample(rows *probe.Rows, scores []float64, split string) evaluate.Sample {
	at := rows.In(split)
	return evaluate.Sample{Score: pick(scores, at), Positive: pick(rows.Label, at), Group: pick(rows.Group, at)}
}

// baselines measures what a split gives without a probe: the commoner label, the fitted baselines, the
// words of the prompts and the model's own answer, as far as the run has them.
func baselines(rep *probe.Report, split string, o evaluate.Options) []evaluate.Baseline {
	rows := &rep.Rows
	train, at := rows.In(probe.Train), rows.In(split)
	out := []evaluate.Baseline{evaluate.Majority(pick(rows.Label, train), sample(rows, make([]float64, rows.Len()), split), split, o)}
	for _, b := range rep.Baselines {
		line := evaluate.Scored(baselineName(b.Name), split, sample(rows, b.Scores, split), o)
		line.Coverage = mean(pick(b.Coverage, at))
		out = append(out, line)
	}
	return out
}

// textBaselines learn from the train rows' texts.
var textBaselines = map[string]evaluate.TextBaseline{
	evaluate.BaselineWords: evaluate.BagOfWords, evaluate.BaselineNGrams: evaluate.NGrams, evaluate.BaselineLength: evaluate.Length,
}

// addTextBaselines adds what the texts of the rows give without a probe, where they are known.
func addTextBaselines(rep *probe.Report) {
	rows := &rep.Rows
	if rows.Texts == nil {
		return
	}
	train := rows.In(probe.Train)
	for _, name := range slices.Sorted(maps.Keys(textBaselines)) {
		scores := textBaselines[name](pick(rows.Texts, train), pick(rows.Label, train), rows.Texts)
		rep.Baselines = append(rep.Baselines, probe.Baseline{Name: name, Scores: scores})
	}
}

// mean is nil for no values.
func mean(v []float64) *evaluate.Value {
	if len(v) == 0 {
		return nil
	}
	var sum float64
	for _, x := range v {
		sum += x
	}
	m := evaluate.Value(sum / float64(len(v)))
	if !m.Defined() { // of a run without choices
		return nil
	}
	return &m
}

// baselineNames are how the report calls the trainer's baselines.
var baselineNames = map[string]string{"p_yes": evaluate.BaselineModel, "n_tokens": "number of tokens", "token_id": "last token"}

func baselineName(name string) string {
	if known, ok := baselineNames[name]; ok {
		return known
	}
	return name
}
