// Package sae is sparse autoencoders: equations, initialisation, gradients and metrics.
// The training loop is trainer's.
//
// Vocabulary. A row is a vector x ∈ ℝ^d as stored, a batch the N rows of an optimizer step, which come in
// micro-batches. M is the number of latents, W_e and W_d [M, d] have the rows e_i and d_i, ‖d_i‖ = 1 (a direction),
// a are pre-activations, f activations or codes:
//
//	z = s·x − b_d                       s fixed before training so that E‖z‖² = d
//	a = W_e z + b_e
//	f = ReLU(TopK_k(a))                 ties go to the lower index
//	ẑ = W_dᵀ f,  r = ẑ − z,  e = −r          (as topk; the others are below)
//	loss = Σ‖r‖² / (N·V)  +  c · Σ‖ê − sg(e)‖² / (N·V_a)
//	ê = W_dᵀ ReLU(TopK_{k_aux}(a restricted to the dead latents))
//
// V = E‖z−z̄‖² of Init's sample and V_a = E‖e−ē‖² of the previous batch are fixed before a step begins, so that sums
// over micro-batches equal the full batch. A latent is dead when it has not fired for DeadTokens rows. (Gao et al.
// 2024, arXiv:2406.04093, sections 2.3 and A.2; its code scales c by 1/32.)
//
// The other architectures, with λ rising from 0 over the first steps and H(0) = 0:
//
//	multitopk   topk, plus ⅛ of the same loss with the 4k largest latents
//	batchtopk   f keeps the k·N largest positive a of the whole batch, ties to the earlier row and
//	            the lower index; θ is a moving average of the smallest kept one (rate .01, from the
//	            first step on). A trained model is f = a·H(a−θ). (Bussmann et al. 2024,
//	            arXiv:2412.06410.) A batch's rows are held in memory until the step
//	matryoshka  batchtopk whose loss is the mean over prefixes M_j = M/2^(g−j), or over prefixes drawn
//	            for the step, of the same with the first M_j latents alone; a trained model is one of
//	            batchtopk (Bussmann et al. 2025, arXiv:2503.17547)
//	relu        f = ReLU(a);  loss = (Σ‖r‖² + λΣP(f)) / (N·V), P = Σf_i or another Sparsity
//	relu_april  f = ReLU(W_e s·x + b_e);  loss = (Σ‖r‖² + λΣ f_i n_i) / (N·V), n_i = ‖d_i‖; d_i of any
//	            length, initially 0.1; b_d is initially 0 (the convention of Anthropic's update of April 2024)
//	gated       π = W_e z + b_e, f = H(π)·ReLU(exp(r)·W_e z + b_m);  loss = (Σ‖r‖² + λΣReLU(π)
//	            + Σ‖sg(W_d)ᵀ ReLU(π) − z‖²) / (N·V)  (Rajamanoharan et al. 2024, arXiv:2404.16014)
//	jumprelu    f = a·H(a−θ_i), log θ is trained;  loss = (Σ‖r‖² + λΣH(a−θ_i)) / (N·V);
//	            ∂f/∂θ = −(θ/ε)K((a−θ)/ε), ∂H/∂θ = −(1/ε)K((a−θ)/ε), K(u) = 1[|u| < ½]
//	            (Rajamanoharan et al. 2024, arXiv:2407.14435)
//	jumprelu_tanh  the same f of W_e s·x + b_e with d_i of any length;  loss = (Σ‖r‖² + λΣ tanh(4 f_i n_i)
//	            + λ_P Σ ReLU(θ_i−a) n_i) / (N·V)  (Anthropic's update of January 2025)
//
// Any of them is a transcoder when rows hold a target y behind x: z = s·x, r = ŷ − y, and a skip connection adds
// W_skip z to ŷ; and a crosscoder when vectors of several columns stand side by side in x, each scaled to the mean
// square 1 on its own; n_i is then the sum of the lengths of d_i's parts. Importance w_j makes the loss Σ w_j r_j²:
// columns are multiplied by √w_j, which is folded into the exported weights as the scales are. Every Resample steps in
// the first half of the training, dead latents are reinitialised from rows drawn by their squared loss (Bricken et al.
// 2023).
//
// A published λ is meant for ‖r‖² summed over a vector, as here; the constant V divides the whole loss and changes the
// meaning of no λ. ε and the initial θ are in units of the scaled vectors, whose mean square is 1.
//
// Gradients are written out; the backward pass has no [N, M] matrix of codes. With g = 2r/(NV):
//
//	∂f_i = ⟨g, d_i⟩ where f_i > 0      ∂d_i = Σ f_i g      ∂e_i = Σ ∂f_i z
//	∂b_e = Σ ∂f                         ∂b_d = Σ g − W_eᵀ ∂b_e
//
// Before the step ∂d_i loses its part along d_i; after it d_i is normalised again. Clip limits the
// norm of the gradient of V·loss, as published where that is what is minimised.
// Initialisation: d_i random directions, mixed with sample rows by the share DataInit,
// e_i = 0.3 d_i, b_e = 0, b_d = the geometric median of the sample (Weiszfeld).
//
// Layout. A Learner does what all architectures have in common; an architecture is one file, named after it, with an
// entry of the table in arch.go (the activation of trained models, defaults) and a variant (choice of latents, terms
// of the loss, metrics). To add one, write such a file and add its line to the table: configuration, export and
// evaluation ask the table. Tests have lists of their own, which docs/design.md names.
//
// Guaranteed: the gradient of a step does not depend on how its rows are split into
// Micro calls, beyond rounding; results do not depend on the number of cores beyond
// libtorch's matrix product; a Model read back gives the codes it gave before.
// Files have s folded in: W_enc, W_dec as trained (except for columns with other
// scales than the first's), b_enc/s, b_dec/s, which is exact because every activation
// here commutes with positive factors; thresholds are divided by s as well. relu_april's b_enc also gets W_enc b_dec,
// so that all files are read as one function.
// On a device (Use) parameters and what the optimizer remembers are tensors there, the equations above are those of the
// variants' tensors methods, and autograd finds the gradients; the written-out ones are tested against it.
// Not guaranteed: bits equal between machines, or between a CPU and another device.
package sae
