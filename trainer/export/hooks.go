package export

import "actfleet/shard/tap"

// Hook is a place in a language model under the names that other programs have for it; see tap.Names.
type Hook struct {
	TransformerLens string // a hook of HookedTransformer or of TransformerBridge
	HuggingFace     string // a module whose output it is
}

// HookOf is the place of a run's column in a model of a model_type. It is empty where nothing is known of either.
func HookOf(modelType, column string) Hook {
	t, _, ok := tap.ParseColumn(column)
	if !ok {
		return Hook{}
	}
	n := tap.NamesOf(modelType, t)
	return Hook{TransformerLens: n.TransformerLens, HuggingFace: n.HuggingFace}
}
