// Package evaluate measures probes honestly: a number never comes without its
// interval, its split and its baselines.
//
// Vocabulary. A sample is what a probe said about the rows of one split: a
// score per row (the probability of the positive label), the true label and
// the group the row belongs to. Rows of one group (a question and its negated
// form, the tokens of one text) are not independent, so every interval here
// resamples or discounts whole groups. A split is a named set of rows; splits
// share neither rows nor groups nor texts, in one run or in several: a row is a
// number in a run. Near duplicates are texts that share 0.7 of their shingles, runs
// of five words, without what stands in every prompt. A baseline is what the same rows
// give without a probe: the majority label, random directions of the same
// activations, the words alone, the model's own answer. A table holds all
// probes of one sweep and is what results.json stores.
//
// Guarantees. Every function is a pure function of its arguments; resampling is
// seeded and its outcome does not depend on the machine or on the order of
// goroutines. AUROC counts ties as one half (Mann and Whitney 1947). Metrics
// that are not defined (one class only, no rows) are NaN, never zero, and
// reach JSON as null, and say why (Measure.Why). CheckSplits refuses leaks and names
// them, CheckNear more near duplicates than a share; Table.Check
// refuses tables without baselines, groups or intervals.
//
// Not guaranteed. Near duplicates are missed with a probability of 1e-4, and beyond
// the first 2,000 words of a text. Percentile intervals are approximate below some twenty
// groups. McNemar's test takes rows as independent. The best of many cells on
// a test split is biased upwards whatever its interval says: choose on the
// validation split (Table.Chosen) and quote that one cell.
package evaluate
