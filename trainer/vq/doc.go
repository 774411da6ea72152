// Package vq is the activation tokenizer: a codebook whose nearest entry stands for
// a vector. Equations, initialisation, statistics and metrics; the loop is trainer's.
//
// Vocabulary. z ∈ ℝ^d is a vector less the fixed centre of the sample, e_k the K
// codes, n_k the rows of an optimizer step (a window) whose nearest code is k, γ the
// decay, N the rows of the window:
//
//	k(z) = argmin_k ‖z−e_k‖²                      ties go to the lower index
//	N_k ← γ N_k + (1−γ) n_k      S_k ← γ S_k + (1−γ) Σ_{k(z)=k} z
//	Ñ_k = (N_k+ε)/(ΣN+Kε) · ΣN   e_k = S_k/Ñ_k    ε = 1e-5
//	commit = Σ‖z−e‖²/(N·d)       loss = (1+β)·commit
//	H = −Σ p_k log₂ p_k of the window's p_k = n_k/N, perplexity 2^H, usage = #{n_k>0}/K
//
// (van den Oord et al. 2017, arXiv:1711.00937, appendix A.1; Łańcucki et al. 2020,
// arXiv:2005.08520, for revival.) A code with N_k < Dead·ΣN/K is dead: it becomes a
// row of the window and N_k = ΣN/K, S_k = N_k·e_k. The rows for it are chosen by a
// hash of their place in the window.
//
// The codes begin as K rows of the sample chosen by k-means++, moved by a few steps
// of Lloyd's k-means.
//
// Guaranteed: the result of a step does not depend on how its rows are split into
// Micro calls, beyond rounding; statistics are float64 and applied once per step.
// The file holds the codes in the units of the data: codebook = e + centre.
// Not guaranteed: bits equal between machines.
package vq
