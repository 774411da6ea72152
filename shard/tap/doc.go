// Package tap names the places in a transformer where activations are read.
//
// A site is a kind of place in a transformer (Wqkv, out_proj, fc1, fc2, resid and
// those of docs/sites.md), a tap is a site in one layer, a variant is the model with a named adapter ("" is
// the base model), a column is the name under which a tap of a variant is stored
// ("fc1_12", "fc1_12__ia3"), and a rule says which positions of a prompt are kept.
// Modules are what transformers calls the parts of a family; a place is where it has
// a tap.
//
// Guaranteed: Cross gives the one column order of a run; ParseColumn(t.Column(v))
// is (t, v) and back; ParseChoice understands every name that NamesOf gives, but for
// those that mean something else elsewhere, which it refuses; layers are integers and are never sorted as text.
// Not guaranteed: that a model has the tap; the model decides that.
//
// The package is pure Go, imports nothing of this module, and every package may
// import it.
package tap
