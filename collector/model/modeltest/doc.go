// Package modeltest holds what tests of models need: a fake model with closed-form activations (Fake),
// and reference activations that another implementation computed (Reference).
//
// The references in testdata are made by scripts/ref/phi_ref.py and families_ref.py with Hugging Face transformers: eager
// attention, fp32, one prompt at a time, no padding.
package modeltest
