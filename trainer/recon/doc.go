// Package recon measures how well vectors are reconstructed.
//
// Vocabulary. x is a vector, x̂ its reconstruction, r = x − x̂, μ the mean of all x
// that were added, sums over all rows n:
//
//	fvu            Σ‖r‖² / Σ‖x−μ‖²                     fraction of variance unexplained
//	ev             1 − fvu
//	ev_legacy      mean_n(1 − ‖r‖²/‖x−μ_batch‖²)       as in published tables; depends on the batches
//	fve_var        1 − Σ_j Var(r_j) / Σ_j Var(x_j)     ignores a constant offset
//	cosine         mean_n ⟨x,x̂⟩/(‖x‖‖x̂‖)
//	l2_ratio       mean_n ‖x̂‖/‖x‖
//	relative_bias  Σ‖x̂‖² / Σ⟨x,x̂⟩                    1 is unbiased, below 1 is shrunk
//
// Guaranteed: sums are float64 and pooled over everything added, so every number
// but ev_legacy is the same for any split into batches.
// Not guaranteed: a number where the data have no variance; it is NaN there.
package recon
