// Package sae is the TopK sparse autoencoder with an auxiliary loss for dead
// latents: equations, initialisation, gradients and metrics. The loop is trainer's.
//
// Vocabulary. x ∈ ℝ^d is a vector as stored, M the number of latents, W_e and W_d
// [M, d] with rows e_i and d_i, ‖d_i‖ = 1, N the rows of an optimizer step:
//
//	z = s·x − b_d                       s fixed before training so that E‖z‖² = d
//	a = W_e z + b_e
//	f = ReLU(TopK_k(a))                 ties go to the lower index
//	ẑ = W_dᵀ f,  r = ẑ − z,  e = −r
//	loss = Σ‖r‖² / (N·V)  +  c · Σ‖ê − sg(e)‖² / (N·V_a)
//	ê = W_dᵀ ReLU(TopK_{k_aux}(a restricted to the dead latents))
//
// V = E‖z−z̄‖² of the sample of Init and V_a = E‖e−ē‖² of the step before are fixed
// before a step begins, so that sums over micro-batches equal the full batch. A
// latent is dead when it has not fired for DeadTokens rows. (Gao et al. 2024,
// arXiv:2406.04093, sections 2.3 and A.2; its code scales c by 1/32.)
//
// Gradients are written out, no [N, M] code matrix exists in the backward pass.
// With g = 2r/(NV):
//
//	∂f_i = ⟨g, d_i⟩ where f_i > 0      ∂d_i = Σ f_i g      ∂e_i = Σ ∂f_i z
//	∂b_e = Σ ∂f                         ∂b_d = Σ g − W_eᵀ ∂b_e
//
// Before the step ∂d_i loses its part along d_i; after it d_i is made unit again.
// Initialisation: d_i random directions, e_i = d_i, b_e = 0, b_d = the geometric
// median of the sample (Weiszfeld).
//
// Guaranteed: the gradient of a step does not depend on how its rows are split into
// Micro calls, beyond rounding; results do not depend on the number of cores beyond
// libtorch's matrix product; a Model read back gives the codes it gave before.
// The files hold s folded in: W_enc, W_dec as trained, b_enc/s, b_dec/s, which is
// exact because ReLU and TopK commute with positive factors.
// Not guaranteed: bits equal between machines. Training runs on the CPU only.
package sae
