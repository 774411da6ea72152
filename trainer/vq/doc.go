// Package vq is the activation tokenizer, which represents a vector by a few ids. Equations, initialisation,
// statistics and metrics; the loop is trainer's.
//
// Vocabulary. x ∈ ℝ^D is a row, z = (x − centre)/scale the same with mean 0 and mean
// square 1 over the sample. An id is one of K values; a row has T of them, [n, T] in
// row order. A codebook has K codes e_k ∈ ℝ^w. N are the rows of an optimizer step
// (a batch), n_k those whose nearest code is k, sg() is the stop-gradient:
//
//	k(z) = argmin_k ‖z−e_k‖²                       ties go to the lower index
//
// Codebooks, without networks: x̂ = centre + scale·Σ_t e_t:
//
//	ema       N_k ← γ N_k + (1−γ) n_k      S_k ← γ S_k + (1−γ) Σ_{k(z)=k} z
//	          Ñ_k = (N_k+ε)/(ΣN+Kε) · ΣN   e_k = S_k/Ñ_k    ε = 1e-5
//	gradient  SparseAdam on ‖sg(z) − e‖²/(N·D)
//	residual  T codebooks as ema, each for the residual of those before (residual VQ)
//	product   T codebooks as ema, each for one of T equal parts of the row (product quantisation)
//
// VQVAE, with a learned encoder and decoder of one hidden layer with GELU: u = enc(z) in
// T pieces of w values, x̂ = centre + scale·dec(q):
//
//	iris      one codebook for all T; q = u + sg(e − u), straight through;
//	          ‖z − dec(q)‖²/D + β‖u − sg(e)‖²/(T·w) + ‖sg(u) − e‖²/(T·w)
//	fsq       q = b + sg(round(b) − b) of the squashed u (see grid); ‖z − dec(q)‖²/D
//
// where ‖z − dec(q)‖² may be replaced: by the same of symlog(z) = sgn(z)·ln(1+|z|), or
// by the cross entropy of 255 logits for every value with the two-hot weights of its
// symlog, of which the expectation is taken back (see Loss).
//
// (van den Oord et al. 2017, arXiv:1711.00937, with its appendix A.1; Micheli et al.
// 2023, arXiv:2209.00588, for iris; Zeghidour et al. 2021, arXiv:2107.03312, for
// residual; Jégou et al. 2011 for product; Mentzer et al. 2023, arXiv:2309.15505, for
// fsq; Łańcucki et al. 2020, arXiv:2005.08520, for revival.) A code with
// N_k < DeadShare·ΣN/K is dead: it becomes a row of the batch, N_k = ΣN/K, S_k = N_k·e_k,
// and its optimizer forgets it. The rows for it are chosen by a hash of their place in the batch.
//
// Codes begin as rows of the sample chosen by k-means++, moved by KMeansSteps of k-means; from the fifth on, codes
// that are hardly used are moved into the cells with the largest error (see relocate).
//
// An architecture is one file, named after it, and one line of variants in arch.go. The
// file says what is its own: through codebooksArch which part of the row each codebook codes and
// what moves its codes, through vqvaeArch the quantiser and what that learns.
//
// Guaranteed: the result of a step does not depend on how its rows are split into
// Micro calls, beyond rounding; statistics of codebooks are float64 and applied once
// per step. ema, gradient and product give decoded rows the ids they were decoded from,
// where codes differ by more than rounding; residual, being greedy, and
// networks need not. Files and states of earlier versions load.
// Not guaranteed: bits equal between machines.
package vq
