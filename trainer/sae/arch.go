package sae

// Arch is the way a row's latents are chosen.
type Arch string

// TopK keeps the K largest positive pre-activations of a row.
const TopK Arch = "topk"
