// Package probe fits truth probes on the vectors of last tokens: data, splits, fits and
// scores. Measures and intervals are analysis/evaluate's.
//
// Vocabulary. x ∈ ℝ^D is the vector of a row at one column (tap and variant),
// y ∈ {0,1} its label, σ(t) = 1/(1+e^(−t)). A probe gives the log-odds of label 1 (Scores)
// and P(y=1) (Proba). A kind is one way to fit one: a file with the formula, and a line in
// kinds; docs/probes.md lists them with their sources. z = (x−mean)/std is a row
// standardised with the train rows' moments. A pair is two rows with one value of the
// column pair: a statement that affirms (polarity 1) and one that negates (0).
//
//	logistic   min_w,b (1/n) Σ log(1+e^(−y± (w·z+b))) + (l2/2)‖w‖²
//	           by L-BFGS until the gradient's largest part is below 1e-5;
//	           scikit-learn's C is 1/(n·l2)
//	mass_mean  θ = μ₁−μ₀, w = g·θ/v, b = −w·(μ₁+μ₀)/2: the threshold lies midway, and
//	           g = ‖θ‖² over the pooled variance v of θ·x makes the score a probability
//	           where both classes are normal along θ (Marks and Tegmark 2023,
//	           arXiv:2310.06824, for θ)
//
// Kinds whose score has no scale (ridge, svm, pairs') are turned into log-odds on val
// (calibrated): that changes no ranking.
//
// A label is 0 or 1, false or true, no or yes, −1 or 1 (where no row has 0), as a number,
// a truth value or text; what else stands there is 0 or 1 by Config.LabelMap, or its
// rows are refused by number (ErrLabel). A row is a number in a run: groups that are
// prompts do not meet across runs, groups of a column do.
//
// Splits come from a column (train, val, test and any other name), else from a hash
// of the group: 60 %, 20 %, 20 %. Without val a fifth of the train groups becomes
// val. Only val chooses among penalties; no other split is looked at in a fit.
//
// A run of Config.Frozen is a split by itself: what was fitted is measured on it and never
// fitted again. Its rows whose group train or val has are left out (Rows.LeftOut).
//
// Guaranteed: statistics of standardisation come from train rows alone, and so does the
// sign of what is found without labels; a group or a pair that
// lies in two splits is refused (ErrLeak); a column that is named and not there is
// refused (ErrColumn); a fit that did not converge says so, has
// no scores, and is never chosen; a fit without a penalty on rows that a hyperplane
// separates has no minimum and counts as not converged; scores are a pure function of
// (rows, Config); memory is bounded by the matrices of the columns fitted at once.
// Not guaranteed: that equal or similar texts in different groups are found; Config.Check
// may look for them (evaluate.CheckSplits, CheckNear).
package probe
