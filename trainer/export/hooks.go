package export

// Hook is a place in a language model under the names that other programs have for it; a name is empty where a
// program has none for just these vectors.
type Hook struct {
	TransformerLens string // a hook of HookedTransformer
	HuggingFace     string // a module, of which it is the output
}
