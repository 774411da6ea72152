// Package calibrate turns a probe's probabilities into better ones, and into decisions with guarantees.
//
// Vocabulary. Calibration rows are rows that took no part in fitting the probe: their
// probabilities p of label 1 and their labels. α is the share of errors that is allowed.
// A prediction set holds the labels that cannot be excluded: none, one or both.
//
// Guaranteed, for calibration rows and new rows that are exchangeable, whatever the
// probe: the sets of Conformal hold the true label with probability 1−α, over all rows
// or, Mondrian, over the rows of each label; one of VennAbers' two probabilities is
// calibrated; the false-positive rate above Threshold is at most what was asked for, with
// the confidence asked for, over the draw of calibration rows. Rows of one group are not
// exchangeable with new ones: give one row of each (OnePerGroup).
// Not guaranteed: any of it on rows of another distribution, which is what to look for.
package calibrate
